//! One word for each message: what the API answered and when, and whether the message arrived.
//!
//! ```text
//! bits 0..8    the outcome's code, 0 while there is none
//! bit  8       it arrived
//! bits 32..64  when the answer came, milliseconds of the run's clock
//! ```
//! The word is atomic because the answer and the arrival are seen by different threads.

use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{DropReason, ErrorCode, Rejection};
use std::sync::atomic::{AtomicU64, Ordering};

const ARRIVED: u64 = 1 << 8;
const ANSWERED_SHIFT: u32 = 32;

const DELIVERED: u8 = 1;
const STORED: u8 = 2;
const ACKED: u8 = 3;
const OFFLINE: u8 = 4;
const EXPIRED: u8 = 5;
const BUSY: u8 = 6;
const NO_ANSWER: u8 = 7;
const OTHER: u8 = 8;
const NEVER_SENT: u8 = 9;
const CUT_OFF: u8 = 10;
const REJECTED: u8 = 0x40;
const DROPPED: u8 = 0x80;
const ERROR: u8 = 0xc0;
const DETAIL: u8 = 0x3f;

/// What became of a message at the API, in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Code(u8);

impl Code {
    /// No answer came.
    pub(crate) const NO_ANSWER: Self = Self(NO_ANSWER);

    /// The connection ended before the answer.
    pub(crate) const CUT_OFF: Self = Self(CUT_OFF);

    /// It was not handed to the API.
    pub(crate) const NEVER_SENT: Self = Self(NEVER_SENT);

    /// Stored, to be delivered.
    pub(crate) const STORED: Self = Self(STORED);

    /// Acknowledged before it was stored.
    pub(crate) const ACKED: Self = Self(ACKED);

    /// The outcome that the gateway gave.
    pub(crate) fn of(outcome: Outcome) -> Self {
        Self(match outcome {
            Outcome::Delivered(_) => DELIVERED,
            Outcome::Stored(_) => STORED,
            Outcome::Acked(_) => ACKED,
            Outcome::Offline => OFFLINE,
            Outcome::Expired => EXPIRED,
            Outcome::Busy(_) => BUSY,
            Outcome::Rejected(why) => REJECTED | (why.number() & DETAIL),
            Outcome::Dropped(why) => DROPPED | (why.number() & DETAIL),
        })
    }

    /// The request was declined whole, with this error code.
    pub(crate) fn declined(code: u16) -> Self {
        match ErrorCode::from_number(u64::from(code)) {
            Some(known) => Self(ERROR | (known.number() & DETAIL)),
            None => Self(OTHER),
        }
    }

    /// Whether the gateway said that the message is written or will be.
    pub(crate) const fn accepted(self) -> bool {
        matches!(self.0, DELIVERED | STORED | ACKED)
    }

    /// Whether the gateway said nothing, so that it may have taken the message or not.
    pub(crate) const fn is_no_answer(self) -> bool {
        matches!(self.0, NO_ANSWER | CUT_OFF)
    }

    /// A word for people.
    pub(crate) fn name(self) -> &'static str {
        let detail = u64::from(self.0 & DETAIL);
        match self.0 & !DETAIL {
            REJECTED => Rejection::from_number(detail).map_or("rejected", Rejection::name),
            DROPPED => DropReason::from_number(detail).map_or("dropped", DropReason::name),
            ERROR => ErrorCode::from_number(detail).map_or("declined", ErrorCode::name),
            _ => match self.0 {
                DELIVERED => "delivered",
                STORED => "stored",
                ACKED => "acked",
                OFFLINE => "offline",
                EXPIRED => "expired",
                BUSY => "busy",
                NO_ANSWER => "no_answer",
                NEVER_SENT => "never_sent",
                CUT_OFF => "connection_ended",
                _ => "declined",
            },
        }
    }
}

/// What is known of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What the API answered; `None` if nothing yet.
    pub(crate) answer: Option<Code>,
    /// When it did, milliseconds of the run's clock.
    pub(crate) answered: u32,
    /// Whether it arrived.
    pub(crate) arrived: bool,
}

/// Every message of the schedule.
#[derive(Debug)]
pub(crate) struct Ledger {
    words: Vec<AtomicU64>,
}

impl Ledger {
    /// For `count` messages, 8 bytes each.
    pub(crate) fn new(count: u64) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Self { words: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The API answered about message `number` at `now` milliseconds.
    pub(crate) fn answered(&self, number: u64, code: Code, now: u32) {
        if let Some(word) = self.word(number) {
            word.fetch_or(u64::from(code.0) | u64::from(now) << ANSWERED_SHIFT, Ordering::Relaxed);
        }
    }

    /// Message `number` arrived; says whether for the first time, `None` if there is no such
    /// message.
    pub(crate) fn arrived(&self, number: u64) -> Option<bool> {
        let before = self.word(number)?.fetch_or(ARRIVED, Ordering::Relaxed);
        Some(before & ARRIVED == 0)
    }

    /// What is known of message `number`, which must be one.
    pub(crate) fn entry(&self, number: u64) -> Entry {
        let word = self.word(number).map_or(0, |word| word.load(Ordering::Relaxed));
        let [code, ..] = word.to_le_bytes();
        Entry {
            answer: (code != 0).then_some(Code(code)),
            answered: u32::try_from(word >> ANSWERED_SHIFT).unwrap_or(u32::MAX),
            arrived: word & ARRIVED != 0,
        }
    }

    fn word(&self, number: u64) -> Option<&AtomicU64> {
        self.words.get(usize::try_from(number).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_arrivals_meet_in_any_order() {
        let ledger = Ledger::new(2);
        assert_eq!(ledger.arrived(0), Some(true));
        ledger.answered(0, Code::of(Outcome::Delivered(77)), 1234);
        ledger.answered(1, Code::of(Outcome::Busy(5)), 9);
        assert_eq!(ledger.arrived(0), Some(false));
        assert_eq!(ledger.arrived(2), None);
        let first = ledger.entry(0);
        assert!(first.arrived && first.answer.is_some_and(Code::accepted));
        assert_eq!((first.answered, ledger.entry(1).answered), (1234, 9));
        assert_eq!(ledger.entry(1).answer.map(Code::name), Some("busy"));
    }

    #[test]
    fn every_outcome_keeps_its_name() {
        let mut all = vec![
            Outcome::Delivered(1),
            Outcome::Stored(1),
            Outcome::Acked(1),
            Outcome::Offline,
            Outcome::Expired,
            Outcome::Busy(1),
        ];
        all.extend(Rejection::ALL.iter().copied().map(Outcome::Rejected));
        all.extend(DropReason::ALL.iter().copied().map(Outcome::Dropped));
        for outcome in all {
            assert_eq!(Code::of(outcome).name(), outcome.name());
        }
        for &code in ErrorCode::ALL {
            assert_eq!(Code::declined(u16::from(code.number())).name(), code.name());
        }
        assert_eq!(Code::declined(9999).name(), "declined");
    }
}

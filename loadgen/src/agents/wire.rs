//! What a controller and an agent say to each other: JSON, sealed by [`super::channel`].
//!
//! What comes is read with bounds: unknown words are refused, histograms are checked before they
//! are given memory, and texts lose what a terminal would obey.

use super::channel::MESSAGE_BYTES;
use super::load::Load;
use crate::fleet::shared::Counts;
use crate::histogram::Tally;
use crate::report::timeline::Timeline;
use crate::run::Findings;
use crate::run::company::Barrier;
use crate::run::failure::Whose;
use crate::verify::judge::Sent;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// Longest text for people, in letters.
const TEXT: usize = 600;

/// What a controller says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ToAgent {
    /// Run this.
    Load(Box<Load>),
    /// Everybody is at the barrier; go on so many microseconds from now.
    Go { barrier: Barrier, after_us: u64, sent: Vec<Sent> },
    /// End early, and say what was found.
    Interrupt,
    /// Make the broadcasts that are due so many microseconds after the timeline began, or later.
    Broadcast { from_us: u64 },
    /// A sign of life, to be answered with its number; `heard` is the last answer that came.
    Ping { number: u64, heard: u64 },
}

/// What an agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ToController {
    /// The first word of an agent that is free.
    Welcome(Host),
    /// The first and last word of one that is not, or the answer to a load that may not be run.
    Refused(Text),
    /// It is at the barrier; these are the broadcasts that it made, since the timeline began.
    Ready { barrier: Barrier, sent: Vec<Sent> },
    /// A second is over.
    Second(Box<Second>),
    /// The answer to a ping.
    Pong(u64),
    /// The run is over.
    Findings(Box<Findings>),
    /// The run could not be set up, or broke off, and whose matter that is.
    Failed(Text, Whose),
}

/// Where an agent runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    pub(super) version: Text,
    pub(super) commit: Text,
    pub(super) kernel: Text,
    pub(super) processor: Text,
}

/// How it stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Second {
    /// A timeline of one sample.
    pub(super) line: Timeline,
    /// All that was counted since the beginning.
    pub(super) tally: Tally,
    pub(super) counts: Counts,
}

/// A text for people, of one line and not too long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn of(text: &str) -> Self {
        let lines = text.trim_end().replace('\n', "; ");
        let shown = lines.chars().map(|letter| if letter.is_control() { '?' } else { letter });
        Self(shown.take(TEXT).collect())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self::of(&text))
    }
}

/// A message as bytes.
///
/// # Errors
/// It is longer than may be sent.
pub(super) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, String> {
    let bytes = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    if bytes.len() > MESSAGE_BYTES {
        return Err(format!("a message of {} bytes is longer than may be sent", bytes.len()));
    }
    Ok(bytes)
}

/// A message of bytes.
///
/// # Errors
/// It is none; the text says where it is wrong.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes)
        .map_err(|error| Text::of(&format!("it said what nobody here understands: {error}")).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn second() -> Second {
        let mut tally = Tally::new();
        tally.push.record(5_000_000);
        tally.reason("reset by peer");
        // What was on its way once has no more room than it needs.
        let tally = serde_json::from_str(&serde_json::to_string(&tally).unwrap()).unwrap();
        let line = Timeline { at: vec![1.0], offered: vec![10.0], ..Timeline::default() };
        Second { line, tally, counts: Counts { online: 3, ..Counts::default() } }
    }

    fn examples() -> Vec<Vec<u8>> {
        let sent = vec![Sent { at: 12, product: 1, number: 3, ..Sent::default() }];
        let ready = ToController::Ready { barrier: Barrier::Drain, sent: sent.clone() };
        let go = ToAgent::Go { barrier: Barrier::Push, after_us: 100, sent };
        let failed = ToController::Failed(Text::of("why"), Whose::Gateways);
        let second = ToController::Second(Box::new(second()));
        let said = [ready, second, ToController::Pong(7), failed];
        let mut all: Vec<Vec<u8>> = said.iter().map(|one| encode(one).unwrap()).collect();
        all.push(encode(&go).unwrap());
        all.push(encode(&ToAgent::Broadcast { from_us: 5 }).unwrap());
        all.push(encode(&ToAgent::Ping { number: 9, heard: 7 }).unwrap());
        all.push(encode(&ToAgent::Load(Box::new(super::super::load::tests::load()))).unwrap());
        all
    }

    #[test]
    fn messages_come_back_as_they_were() {
        for bytes in examples() {
            let again = decode::<ToController>(&bytes).map(|said| encode(&said).unwrap());
            let again =
                again.or_else(|_| decode::<ToAgent>(&bytes).map(|said| encode(&said).unwrap()));
            assert_eq!(String::from_utf8(again.unwrap()), String::from_utf8(bytes));
        }
    }

    #[test]
    fn words_that_nobody_knows_are_refused() {
        for text in [
            r#"{"run":"rm -rf /"}"#,
            r#"{"load":{"command":"x"}}"#,
            "",
            "[]",
            r#"{"go":{"barrier":"push","after_us":1,"sent":[],"exec":"x"}}"#,
        ] {
            let refused = decode::<ToAgent>(text.as_bytes());
            assert!(refused.unwrap_err().contains("nobody here understands"), "{text}");
        }
    }

    #[test]
    fn a_text_has_one_line_and_nothing_that_a_terminal_obeys() {
        let text: Text = serde_json::from_str(r#""a\nb\u001b[2J""#).unwrap();
        assert_eq!(text.0, "a; b?[2J");
        assert_eq!(Text::of(&"x".repeat(9_999)).0.len(), TEXT);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn damaged_messages_are_refused_or_read_and_nothing_else(
            which in any::<prop::sample::Index>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = which.get(&examples()).clone();
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let _ = decode::<ToController>(&bytes);
            if let Ok(ToAgent::Load(load)) = decode::<ToAgent>(&bytes) {
                let _ = load.check();
            }
        }

        #[test]
        fn bytes_of_any_kind_are_refused_or_read(
            bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = decode::<ToController>(&bytes);
            let _ = decode::<ToAgent>(&bytes);
        }
    }
}

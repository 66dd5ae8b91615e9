//! What each connection is owed of the durable messages of its user: their order, none left out,
//! none again without saying so or before its time, none that is out of date.

use std::collections::BTreeMap;

use holdfast::io::sim::LinkId;

use super::{Durables, Judged, Message, SAFE, User};
use crate::ledger::MessageId;
use crate::plan::SECOND;

/// What a connection was sent.
#[derive(Debug)]
pub(crate) struct Reading {
    user: User,
    /// When the client connected: its home knew it only later.
    opened: u64,
    /// Its hello says that the client has dealt with all up to this.
    resumed_behind: u64,
    /// The welcome names a greater one.
    floor: u64,
    last: u64,
    /// How often each was written here.
    written: BTreeMap<u64, u64>,
    /// How often gateways had begun a round of what was not acknowledged when it opened.
    rounds: u64,
}

/// A message on its way to a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copy {
    pub(crate) link: LinkId,
    pub(crate) id: MessageId,
    pub(crate) sequence: u64,
    /// It says that it may have come before.
    pub(crate) again: bool,
    /// When its first byte was written, and its last.
    pub(crate) begun: u64,
    pub(crate) now: u64,
}

impl Durables {
    /// A client says hello, and that it has dealt with all up to this sequence.
    pub(crate) fn open_reading(
        &mut self,
        link: LinkId,
        user: User,
        (resumed_behind, opened): (u64, u64),
    ) {
        self.acked(&user, resumed_behind);
        let floor = self.account(&user).high();
        let written = BTreeMap::new();
        let rounds = self.rounds.begun;
        let reading = Reading { user, opened, resumed_behind, floor, last: 0, written, rounds };
        self.readings.insert(link, reading);
    }

    /// A connection is welcomed, and told this next sequence.
    pub(crate) fn welcomed(&self, link: LinkId, next: u64) -> Judged {
        let Some(reading) = self.readings.get(&link) else { return Ok(()) };
        if self.keeping.is_some() && next <= reading.floor {
            let floor = reading.floor;
            return Err(format!("connection {link} is told that {next} is next, after {floor}"));
        }
        Ok(())
    }

    /// A message enters the pipe of a client.
    pub(crate) fn written(&mut self, copy: &Copy) -> Judged {
        let Copy { link, id, sequence, now, .. } = *copy;
        self.place(id, sequence, (self.life(), now))?;
        let (Some(reading), Some(message)) = (self.readings.get(&link), self.message(id)) else {
            return Err(format!("connection {link} is sent the durable message {id}"));
        };
        if message.user != reading.user {
            return Err(format!("message {id} for {:?} goes to {:?}", message.user, reading.user));
        }
        if sequence <= reading.resumed_behind {
            let before = reading.resumed_behind;
            return Err(format!("connection {link} resumed behind {before} and gets {sequence}"));
        }
        self.judge_repeat(copy, reading, message)?;
        judge_age(copy, message)?;
        self.judge_order(copy, reading)?;
        if let Some(reading) = self.readings.get_mut(&link) {
            reading.last = sequence;
            *reading.written.entry(sequence).or_default() += 1;
        }
        let seen = self.message_mut(id).map(|message| message.seen.iter_mut());
        if let Some(seen) = seen.into_iter().flatten().find(|seen| seen.sequence == sequence) {
            seen.written.get_or_insert(now);
        }
        Ok(())
    }

    fn judge_repeat(&self, copy: &Copy, reading: &Reading, message: &Message) -> Judged {
        let Copy { link, id, sequence, again, .. } = *copy;
        let seen = message.seen.iter().find(|seen| seen.sequence == sequence);
        let before = seen.and_then(|seen| seen.written).is_some_and(|at| at < reading.opened);
        if (before || reading.written.contains_key(&sequence)) && !again {
            return Err(format!("message {id} comes again to {link} unsaid: {message:?}"));
        }
        // A connection gets each once, and once more with each round, or when its user is let out
        // of quarantine. A gateway that handed out more than that would waste it.
        let times = 1 + self.rounds.begun - reading.rounds + self.rounds.quarantines;
        if reading.written.get(&sequence).is_some_and(|&before| before >= times) {
            return Err(format!("message {id} comes to {link} more than {times} times"));
        }
        if message.promised.is_some_and(|promised| promised != sequence)
            && seen.is_some_and(|seen| seen.life != self.life())
        {
            return Err(format!("message {id} comes as {sequence} too: {message:?}"));
        }
        let trimmed = seen.and_then(|&seen| self.surely_trimmed(&reading.user, seen));
        if let Some((life, at)) = trimmed {
            return Err(format!(
                "message {id} comes again to {link}, and life {life} heard of its end at {at}"
            ));
        }
        if let Some((life, told)) = message.told_acked
            && told < reading.opened
            && !self.may_have_lost((life, told), SAFE)
        {
            return Err(format!("message {id} comes again to {link} and was acked at {told}"));
        }
        Ok(())
    }

    /// Nothing that was promised may be left out, but for what clients have acknowledged, what
    /// may be out of date, and what may have made room.
    fn judge_order(&self, copy: &Copy, reading: &Reading) -> Judged {
        let Some(account) = self.accounts.get(&reading.user) else { return Ok(()) };
        let behind = if copy.sequence > reading.last { reading.last } else { 0 };
        for (&sequence, &id) in account.by_sequence.range(behind + 1..copy.sequence) {
            let Some(message) = self.message(id) else { continue };
            let waits = message.promised == Some(sequence) && account.acked < sequence;
            // What comes again may begin anywhere in what was sent here.
            let owed = waits && !reading.written.contains_key(&sequence);
            if owed && !self.may_be_gone(message, copy.now) {
                let link = copy.link;
                let got = copy.sequence;
                return Err(format!(
                    "connection {link} gets {got} behind {behind} and not {sequence}: {message:?}"
                ));
            }
        }
        Ok(())
    }
}

/// What is out of date is not sent; a second may pass while it is on its way in the gateway.
fn judge_age(copy: &Copy, message: &Message) -> Judged {
    let seen = message.seen.iter().find(|seen| seen.sequence == copy.sequence);
    let ends = seen.map_or(copy.now, |seen| seen.at) / SECOND + u64::from(message.ttl) + 1;
    if message.ttl > 0 && copy.begun / SECOND > ends {
        return Err(format!("message {} is out of date at {}: {message:?}", copy.id, copy.begun));
    }
    Ok(())
}

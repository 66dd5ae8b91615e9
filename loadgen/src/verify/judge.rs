//! The verdict: every message in exactly one class.

use super::away::Absences;
use super::ledger::{Code, Entry, Ledger};
use crate::clock::milliseconds;
use crate::schedule::Schedule;
use std::collections::BTreeMap;

/// Why a message is refused that the generator could not hand over: the window stayed full, or
/// there was no connection.
pub(crate) const NEVER_SENT: &str = "never_sent";

/// Counts by reason.
pub(crate) type Reasons = BTreeMap<String, u64>;

/// Where every pushed message went: `offered = delivered + refused + gone + lost + unanswered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Pushes {
    /// Messages of the schedule; of an interrupted run, those that were sent.
    pub(crate) offered: u64,
    /// Arrived at the client that they were for.
    pub(crate) delivered: u64,
    /// The gateway said that they will not arrive, and they did not.
    pub(crate) refused: Reasons,
    /// Answered as delivered, but the client's connection ended while they were under way.
    pub(crate) gone: Reasons,
    /// The gateway took them, and they did not arrive.
    pub(crate) lost: Reasons,
    /// They did not arrive, and no answer came: nobody knows whether the gateway took them.
    #[serde(default)]
    pub(crate) unanswered: Reasons,
    /// Of those delivered: arrived although the gateway said that they would not.
    pub(crate) contradicted: u64,
    /// Of those offered: to be received after the answer "delivered", "stored" or "acked".
    pub(crate) accepted: u64,
    /// Of those accepted: stored, and acknowledged before that.
    pub(crate) stored: u64,
    pub(crate) acked: u64,
}

impl Pushes {
    /// All that was lost.
    pub(crate) fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    /// All that no answer came for.
    pub(crate) fn unanswered_total(&self) -> u64 {
        self.unanswered.values().sum()
    }

    /// Adds other messages.
    pub(crate) fn add(&mut self, other: &Self) {
        let counts = [
            (&mut self.offered, other.offered),
            (&mut self.delivered, other.delivered),
            (&mut self.contradicted, other.contradicted),
            (&mut self.accepted, other.accepted),
            (&mut self.stored, other.stored),
            (&mut self.acked, other.acked),
        ];
        for (sum, more) in counts {
            *sum = sum.saturating_add(more);
        }
        let reasons = [
            (&mut self.refused, &other.refused),
            (&mut self.gone, &other.gone),
            (&mut self.lost, &other.lost),
            (&mut self.unanswered, &other.unanswered),
        ];
        for (sum, more) in reasons {
            for (reason, count) in more {
                let sum = sum.entry(reason.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
    }

    /// Whether the sum closes; it always must.
    pub(crate) fn closes(&self) -> bool {
        let refused: u64 = self.refused.values().sum();
        let gone: u64 = self.gone.values().sum();
        let missing = self.lost_total() + self.unanswered_total();
        self.offered == self.delivered + refused + gone + missing
    }
}

/// Everything that judging takes.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// The plan. Being away excuses none of its durable messages.
    pub(crate) schedule: &'a Schedule,
    /// What is known of each message.
    pub(crate) ledger: &'a Ledger,
    /// How many messages of the plan count: all, or those sent before the run was interrupted.
    pub(crate) offered: u64,
    /// How many messages were handed to the API; those after them never left.
    pub(crate) sent: u64,
    /// When the push phase began, nanoseconds of the run's clock.
    pub(crate) start: u64,
    /// Who was away when.
    pub(crate) absences: &'a Absences,
    /// Whether a time to live was given, after which a durable message is gone.
    pub(crate) expires: bool,
}

/// Puts every message into its class.
pub(crate) fn pushes(evidence: &Evidence<'_>) -> Pushes {
    let mut sum = Pushes { offered: evidence.offered, ..Pushes::default() };
    for number in 0..evidence.offered {
        let entry = evidence.ledger.entry(number);
        sum.accepted += u64::from(entry.answer.is_some_and(Code::accepted));
        sum.stored += u64::from(entry.answer == Some(Code::STORED));
        sum.acked += u64::from(entry.answer == Some(Code::ACKED));
        classify(evidence, number, entry, &mut sum);
    }
    sum
}

fn classify(evidence: &Evidence<'_>, number: u64, entry: Entry, sum: &mut Pushes) {
    match entry.answer {
        Some(code) if entry.arrived => {
            sum.delivered += 1;
            sum.contradicted += u64::from(!code.accepted() && !code.is_no_answer());
        }
        None if entry.arrived => sum.delivered += 1,
        None if number >= evidence.sent => add(&mut sum.refused, NEVER_SENT),
        None => add(&mut sum.unanswered, Code::NO_ANSWER.name()),
        Some(code) if code.is_no_answer() => add(&mut sum.unanswered, code.name()),
        Some(code) if code.accepted() && evidence.schedule.is_durable(number) => {
            if evidence.expires {
                add(&mut sum.gone, "time_to_live");
            } else {
                add(&mut sum.lost, &format!("answered_{}", code.name()));
            }
        }
        Some(code) if code.accepted() => {
            let due = milliseconds(evidence.start + evidence.schedule.due(number));
            let user = evidence.schedule.target(number);
            match evidence.absences.explains(user, due, entry.answered) {
                Some(why) => add(&mut sum.gone, why.name()),
                None => add(&mut sum.lost, &format!("answered_{}", code.name())),
            }
        }
        Some(code) => add(&mut sum.refused, code.name()),
    }
}

fn add(reasons: &mut Reasons, reason: &str) {
    if let Some(count) = reasons.get_mut(reason) {
        *count += 1;
    } else {
        reasons.insert(reason.to_owned(), 1);
    }
}

/// One broadcast, as the API saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sent {
    /// Its number in the plan.
    pub(crate) number: u32,
    /// Which part of the run made it.
    pub(crate) by: u32,
    /// Which product's users it is for.
    pub(crate) product: usize,
    /// When it was handed to the API, milliseconds of the run's clock.
    pub(crate) at: u32,
    /// Why it was refused, if it was.
    pub(crate) refused: Option<String>,
    /// Why no answer came, if none did: nobody knows whether the gateway took it.
    pub(crate) unanswered: Option<String>,
    /// Sessions that the gateway says it did not serve.
    pub(crate) dropped: u64,
    /// Sessions that were not served yet when this run cancelled it.
    pub(crate) cancelled: u64,
}

/// What one client has of the broadcasts when the run is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Which product the client's user is of.
    pub(crate) product: usize,
    /// A bit for each broadcast that arrived.
    pub(crate) broadcasts: u64,
    /// Since when it has been logged in without a break, milliseconds; `u32::MAX` if it is not.
    pub(crate) since: u32,
}

/// Where every broadcast went, counted in (broadcast, client) pairs:
/// `offered = delivered + refused + gone + lost + unanswered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Broadcasts {
    /// Broadcasts of the schedule that were handed to the API.
    pub(crate) started: u64,
    /// Clients of its product, over all broadcasts.
    pub(crate) offered: u64,
    /// Arrived.
    pub(crate) delivered: u64,
    /// The gateway declined the broadcast, or says that it did not serve so many sessions, or was
    /// told to stop before it did.
    pub(crate) refused: Reasons,
    /// The client was away or logged in after the start.
    pub(crate) gone: u64,
    /// The gateway took the broadcast, and it did not arrive.
    pub(crate) lost: u64,
    /// It did not arrive, and nobody knows whether the gateway took it.
    #[serde(default)]
    pub(crate) unanswered: Reasons,
}

impl Broadcasts {
    /// Whether the sum closes; it always must.
    pub(crate) fn closes(&self) -> bool {
        let refused: u64 = self.refused.values().sum();
        let missing = self.lost + self.unanswered_total();
        self.offered == self.delivered + refused + self.gone + missing
    }

    /// All that no answer came for.
    pub(crate) fn unanswered_total(&self) -> u64 {
        self.unanswered.values().sum()
    }
}

/// How the clients of a broadcast's product stand with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Copies {
    /// How many they are.
    pub(crate) clients: u64,
    /// Of them: it arrived.
    pub(crate) has: u64,
    /// Of them: they were there all the time, and it did not.
    pub(crate) missing: u64,
}

impl Copies {
    /// Adds those of other clients.
    pub(crate) fn add(&mut self, other: Self) {
        self.clients = self.clients.saturating_add(other.clients);
        self.has = self.has.saturating_add(other.has);
        self.missing = self.missing.saturating_add(other.missing);
    }
}

/// Puts what `by` says of the broadcasts that it made in the place of what was known of them.
pub(crate) fn renew(known: &mut Vec<Sent>, told: &[Sent], by: u32) {
    for one in told.iter().filter(|one| one.by == by) {
        match known.iter_mut().find(|old| old.number == one.number) {
            Some(old) => old.clone_from(one),
            None => known.push(one.clone()),
        }
    }
}

/// Counts for each broadcast how the clients stand with it.
pub(crate) fn copies(sent: &[Sent], heard: &[Heard]) -> Vec<Copies> {
    let count = |broadcast: &Sent| {
        let bit = 1_u64.checked_shl(broadcast.number).unwrap_or_default();
        let meant = || heard.iter().filter(|client| client.product == broadcast.product);
        let stayed = |client: &&Heard| client.since <= broadcast.at && client.broadcasts & bit == 0;
        Copies {
            clients: meant().count() as u64,
            has: meant().filter(|client| client.broadcasts & bit != 0).count() as u64,
            missing: meant().filter(stayed).count() as u64,
        }
    };
    sent.iter().map(count).collect()
}

/// Puts every (broadcast, client) pair into its class, from the counts of each broadcast.
pub(crate) fn broadcasts(sent: &[Sent], copies: &[Copies]) -> Broadcasts {
    let mut sum = Broadcasts::default();
    for (broadcast, copies) in sent.iter().zip(copies) {
        sum.started += 1;
        sum.offered += copies.clients;
        sum.delivered += copies.has;
        sum.gone += copies.clients.saturating_sub(copies.has + copies.missing);
        let mut unexplained = copies.missing;
        for (reason, most) in admitted(broadcast) {
            let explained = unexplained.min(most);
            unexplained -= explained;
            if explained > 0 {
                *sum.refused.entry(reason.to_owned()).or_default() += explained;
            }
        }
        match &broadcast.unanswered {
            Some(why) if unexplained > 0 => {
                *sum.unanswered.entry(why.clone()).or_default() += unexplained;
            }
            _ => sum.lost += unexplained,
        }
    }
    sum
}

/// Why, and for how many sessions, the gateway says that it did not serve a broadcast.
fn admitted(broadcast: &Sent) -> Vec<(&str, u64)> {
    match &broadcast.refused {
        Some(why) => vec![(why, u64::MAX)],
        None => vec![("dropped", broadcast.dropped), ("cancelled", broadcast.cancelled)],
    }
}

#[cfg(test)]
mod tests;

//! The requests of one backend that are in flight, and the window that bounds them.
//!
//! A request is in parts, one for each target or user; each part is answered once, from whichever
//! shard knows, and with the last part the request is answered.

use crate::mesh::letter::Origin;
use holdfast_protocol::backend::{Outcome, RequestId, answer};
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet};

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// More would be in flight than the window allows.
    WindowOverrun,
    /// The id is in flight already.
    DuplicateId,
}

/// What the parts of a request answer.
#[derive(Debug)]
enum Parts {
    Outcomes(Vec<Outcome>),
    Counts(Vec<u32>),
    Kick,
    Job,
}

#[derive(Debug)]
struct Request {
    id: RequestId,
    parts: Parts,
    left: u32,
    cost: u32,
    /// Outcomes still to come for parts that went to several sessions.
    copies: BTreeMap<u16, u8>,
    /// When it was read, in microseconds.
    since: u64,
}

/// The requests of one backend.
#[derive(Debug, Default)]
pub struct Requests {
    in_flight: Slab<Request>,
    ids: BTreeSet<RequestId>,
    used: u32,
}

/// What kind of request it is, and of how many parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A push to so many targets.
    Push(usize),
    /// An online query for so many users.
    Online(usize),
    /// A kick.
    Kick,
    /// About a broadcast job.
    Job,
    /// About a mailbox.
    Mailbox,
    /// For the counters.
    Counters,
}

impl Requests {
    /// Takes a request, read at `now` microseconds, under a window of `window` parts; gives its
    /// place.
    pub fn admit(
        &mut self,
        id: RequestId,
        kind: Kind,
        window: u32,
        now: u64,
    ) -> Result<u32, Refused> {
        let (parts, left, cost) = match kind {
            Kind::Push(targets) => {
                (Parts::Outcomes(vec![Outcome::Offline; targets]), targets, targets)
            }
            Kind::Online(users) => (Parts::Counts(vec![0; users]), users, 1),
            Kind::Kick => (Parts::Kick, 1, 1),
            Kind::Job | Kind::Mailbox | Kind::Counters => (Parts::Job, 1, 1),
        };
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (left, cost) = (narrow(left), narrow(cost));
        if cost > window.saturating_sub(self.used) {
            return Err(Refused::WindowOverrun);
        }
        if !self.ids.insert(id) {
            return Err(Refused::DuplicateId);
        }
        self.used += cost;
        Ok(narrow(self.in_flight.insert(Request {
            id,
            parts,
            left,
            cost,
            copies: BTreeMap::new(),
            since: now,
        })))
    }

    /// How much of the window is used.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// How many requests are in flight.
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Takes one part's outcome; with the last one, appends the answer and gives the
    /// microsecond in which the request was read.
    pub fn outcome(&mut self, origin: Origin, outcome: Outcome, out: &mut Vec<u8>) -> Option<u64> {
        let Origin { request, part, copies, .. } = origin;
        let entry = self.in_flight.get_mut(request as usize)?;
        if let Parts::Outcomes(outcomes) = &mut entry.parts
            && let Some(place) = outcomes.get_mut(usize::from(part))
        {
            if copies > 1 {
                let left = entry.copies.entry(part).or_insert(copies);
                let first = *left == copies;
                *left -= 1;
                // One session that has it is enough.
                if first || matches!(outcome, Outcome::Delivered(_)) {
                    *place = outcome;
                }
                if *left > 0 {
                    return None;
                }
            } else {
                *place = outcome;
            }
        }
        self.part_done(request, out)
    }

    /// Takes how a mailbox stands; as [`Requests::outcome`].
    pub fn mailbox(
        &mut self,
        request: u32,
        mailbox: &answer::Mailbox,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let done = self.take(request)?;
        answer::put_mailbox(done.id, mailbox, out);
        Some(done.since)
    }

    /// Takes one part's count of sessions; as [`Requests::outcome`].
    pub fn count(&mut self, request: u32, part: u16, count: u32, out: &mut Vec<u8>) -> Option<u64> {
        let entry = self.in_flight.get_mut(request as usize)?;
        match &mut entry.parts {
            Parts::Counts(counts) => {
                if let Some(place) = counts.get_mut(usize::from(part)) {
                    *place = count;
                }
                self.part_done(request, out)
            }
            Parts::Kick => {
                let done = self.take(request)?;
                answer::put_kick(done.id, count, out);
                Some(done.since)
            }
            Parts::Outcomes(_) | Parts::Job => None,
        }
    }

    /// Takes how a job stands; as [`Requests::outcome`].
    pub fn job(
        &mut self,
        request: u32,
        job: Result<answer::Job, answer::ErrorCode>,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let done = self.take(request)?;
        match job {
            Ok(job) => answer::put_job(done.id, &job, out),
            Err(code) => answer::put_error(done.id, code, retry_after(code), code.name(), out),
        }
        Some(done.since)
    }

    /// Ends a request that was answered by other means.
    pub fn finish(&mut self, request: u32) {
        self.take(request);
    }

    fn part_done(&mut self, request: u32, out: &mut Vec<u8>) -> Option<u64> {
        let entry = self.in_flight.get_mut(request as usize)?;
        entry.left -= 1;
        if entry.left > 0 {
            return None;
        }
        let done = self.take(request)?;
        match &done.parts {
            Parts::Outcomes(outcomes) => answer::put_outcomes(done.id, outcomes, out),
            Parts::Counts(counts) => answer::put_online(done.id, counts, out),
            Parts::Kick | Parts::Job => {}
        }
        Some(done.since)
    }

    fn take(&mut self, request: u32) -> Option<Request> {
        let done = self.in_flight.try_remove(request as usize)?;
        self.ids.remove(&done.id);
        self.used -= done.cost;
        Some(done)
    }
}

/// After how many milliseconds it is worth asking again; 0 for never.
pub fn retry_after(code: answer::ErrorCode) -> u32 {
    use answer::ErrorCode as E;
    match code {
        E::WindowOverrun => 10,
        E::TooManyJobs | E::StoreBusy => 1000,
        E::ShuttingDown => 5000,
        E::StoreFull => 10_000,
        E::UnknownProduct
        | E::UnknownJob
        | E::EmptyBody
        | E::BodyTooLong
        | E::NoStore
        | E::DuplicateId
        | E::Unsupported => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::id::ConnectionId;
    use holdfast_protocol::backend::Answer;
    use holdfast_protocol::frame::split;

    #[test]
    fn the_last_part_answers_in_the_order_asked_and_frees_the_window() {
        let mut requests = Requests::default();
        let mut out = Vec::new();
        let request = requests.admit(7, Kind::Push(2), 2, 0).unwrap();
        assert_eq!(requests.admit(8, Kind::Kick, 2, 0), Err(Refused::WindowOverrun));
        let part = |part| origin(request, part, 1);
        assert_eq!(requests.outcome(part(1), Outcome::Offline, &mut out), None);
        assert_eq!(requests.outcome(part(0), Outcome::Delivered(5), &mut out), Some(0));
        let (frame, _) = split(&out, 100).unwrap().unwrap();
        let Answer::Push(7, outcomes) = Answer::decode(frame).unwrap() else { panic!("{frame:?}") };
        assert!(outcomes.iter().eq([Outcome::Delivered(5), Outcome::Offline]));
        assert_eq!((requests.used(), requests.len()), (0, 0));
    }

    fn origin(request: u32, part: u16, copies: u8) -> Origin {
        let connection = ConnectionId { shard: 0, slot: 0, generation: 0 };
        Origin { connection, request, part, copies }
    }

    #[test]
    fn one_session_that_has_it_is_enough() {
        let dropped = Outcome::Dropped(answer::DropReason::OutboxFull);
        for outcomes in [[Outcome::Delivered(5), dropped], [dropped, Outcome::Delivered(5)]] {
            let mut requests = Requests::default();
            let mut out = Vec::new();
            let request = requests.admit(7, Kind::Push(1), 2, 0).unwrap();
            let copy = origin(request, 0, 2);
            assert_eq!(requests.outcome(copy, outcomes[0], &mut out), None);
            assert_eq!(requests.outcome(copy, outcomes[1], &mut out), Some(0));
            let (frame, _) = split(&out, 100).unwrap().unwrap();
            let Answer::Push(7, told) = Answer::decode(frame).unwrap() else { panic!("{frame:?}") };
            assert!(told.iter().eq([Outcome::Delivered(5)]));
        }
    }

    #[test]
    fn an_id_may_be_used_again_only_after_its_answer() {
        let mut requests = Requests::default();
        let request = requests.admit(1, Kind::Kick, 9, 0).unwrap();
        assert_eq!(requests.admit(1, Kind::Job, 9, 0), Err(Refused::DuplicateId));
        assert!(requests.count(request, 0, 1, &mut Vec::new()).is_some());
        assert!(requests.admit(1, Kind::Job, 9, 0).is_ok());
    }
}

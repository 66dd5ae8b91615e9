//! The gateway's end of simulated connections: what each method of [`crate::io::Io`] does.
//!
//! A caller that breaks the contract is written down as a violation and not punished, so that
//! the simulation can show the run that led to it.

use super::link::{Stage, Watch};
use super::state::{Due, Pending, Shard, State, place};
use super::{LinkId, Plant};
use crate::io::{How, Interest, Key, Port, Received, Sent};

/// What a wait reports, with links in place of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Accepted(Port, LinkId),
    AcceptFailed(Port),
    Ready { key: Key, readable: bool, writable: bool },
    Woken,
}

impl State {
    pub(super) fn accept(&mut self, shard: usize, port: Port) {
        self.shards[shard].accepting[place(port)] = true;
        self.offer(shard, port);
    }

    pub(super) fn arm(&mut self, link: LinkId, key: Key, interest: Interest) {
        let edges_only = self.faults.edges_only;
        let near = &mut self.links[link].near;
        if let Some(watch) = near.watch {
            let old = watch.key;
            self.violate(&format!("a watch is armed for {key:?} while that of {old:?} is"));
            return;
        }
        near.serial += 1;
        let serial = near.serial;
        near.watch = Some(Watch { key, interest, serial, reported: false });
        let first = !std::mem::replace(&mut near.known, true);
        let changed = std::mem::take(&mut near.changed);
        let looks = !edges_only || first || changed || interest == Interest::ReadWrite;
        if looks || self.links[link].ended() {
            self.poke(link);
        }
        if self.chance.happens(self.faults.spurious_ready_permille) {
            let at = self.now + self.chance.below(self.faults.delay.max(1));
            self.at(at, Due::Report { link, serial, spurious: true });
        }
    }

    pub(super) fn widen(&mut self, link: LinkId) {
        if let Some(watch) = self.links[link].near.watch.as_mut() {
            watch.interest = Interest::ReadWrite;
            self.poke(link);
        }
    }

    pub(super) fn receive(&mut self, link: LinkId, buffer: &mut [u8]) -> Received {
        if buffer.is_empty() {
            self.violate("a receive into nothing");
        }
        let refused = self.chance.happens(self.faults.refused_receive_permille);
        let state = &mut self.links[link];
        if refused {
            state.near.changed = true;
            return Received::Empty;
        }
        let count = state.up.read(buffer);
        if count > 0 {
            self.touch(link);
            self.note(count as u64);
            return Received::Bytes(count);
        }
        if state.near.broken {
            Received::Broken
        } else if state.up.at_end() || state.near.shut_read {
            Received::End
        } else {
            Received::Empty
        }
    }

    pub(super) fn send(&mut self, link: LinkId, bytes: &[u8]) -> Sent {
        if bytes.is_empty() {
            self.violate("a send of nothing");
        }
        let state = &self.links[link];
        if state.near.broken || state.near.closed || state.down.is_ended() {
            return Sent::Broken;
        }
        let taken = self.take(link, bytes);
        self.note(taken as u64);
        if self.links[link].far.silent {
            self.lose_patience(link);
        }
        let forgets = self.plant == Some(Plant::ForgottenRest);
        if taken == bytes.len() || forgets { Sent::All } else { Sent::Part(taken) }
    }

    fn take(&mut self, link: LinkId, bytes: &[u8]) -> usize {
        if self.now < self.links[link].near.full_until {
            return 0;
        }
        if self.chance.happens(self.faults.refused_send_permille) {
            return 0;
        }
        let short = self.chance.happens(self.faults.short_send_permille);
        let limit = if short { self.chance.index(bytes.len()) } else { bytes.len() };
        let arrival = self.now + self.latency();
        let (taken, arrival) = self.links[link].down.write(&bytes[..limit], arrival);
        if taken > 0 {
            self.at(arrival, Due::Down(link));
            if let Some(recorded) = &mut self.recorded {
                recorded.push((link, bytes[..taken].to_vec()));
            }
        }
        if short {
            let until = self.now + 1 + self.chance.below(self.faults.delay);
            self.links[link].near.full_until = until;
            self.at(until, Due::Room(link));
        }
        taken
    }

    pub(super) fn shutdown(&mut self, link: LinkId, how: How) {
        if how == How::Both {
            self.links[link].near.shut_read = true;
        }
        self.end_down(link);
        self.poke(link);
    }

    fn end_down(&mut self, link: LinkId) {
        let arrival = self.now + self.latency();
        let state = &mut self.links[link];
        if !state.near.broken && !state.down.is_ended() {
            let arrival = state.down.end(arrival);
            self.at(arrival, Due::Down(link));
        }
    }

    /// The gateway drops the socket. Bytes that it never read turn the close into a reset, as in
    /// TCP.
    pub(super) fn close_near(&mut self, link: LinkId) {
        let alive = self.shards[self.links[link].shard].alive;
        if let Some(watch) = self.links[link].near.watch.take()
            && alive
        {
            self.violate(&format!("the socket of {:?} is dropped with its watch armed", watch.key));
        }
        let unread = self.links[link].up.readable() > 0;
        if unread && !self.links[link].near.broken {
            let arrival = self.now + self.latency();
            self.at(arrival, Due::BreakFar(link));
        }
        self.end_down(link);
        let state = &mut self.links[link];
        state.near.closed = true;
        state.up.clear();
        if state.near.broken {
            state.down.clear();
        }
    }

    /// What the shard's wait reports now.
    pub(super) fn reports(&mut self, shard: usize) -> Vec<Report> {
        let waiting = self.shards[shard].pending.len();
        let short = self.chance.happens(self.faults.short_wait_permille);
        let count = if short { self.chance.index(waiting) + 1 } else { waiting };
        let taken: Vec<_> = self.shards[shard].pending.drain(..count.min(waiting)).collect();
        let mut reports: Vec<_> =
            taken.into_iter().filter_map(|pending| self.report_of(shard, pending)).collect();
        if self.chance.happens(self.faults.spurious_wake_permille) {
            reports.push(Report::Woken);
        }
        self.note(reports.len() as u64);
        reports
    }

    fn report_of(&mut self, shard: usize, pending: Pending) -> Option<Report> {
        match pending {
            Pending::Accepted(port, link) => {
                self.links[link].stage = Stage::Accepted;
                Some(Report::Accepted(port, link))
            }
            Pending::AcceptFailed(port) => Some(Report::AcceptFailed(port)),
            Pending::Ready { link, serial, spurious } => self.ready(link, serial, spurious),
            Pending::Woken => {
                self.shards[shard].waking = false;
                Some(Report::Woken)
            }
        }
    }

    fn ready(&mut self, link: LinkId, serial: u64, spurious: bool) -> Option<Report> {
        let now = self.now;
        let state = &mut self.links[link];
        let watch = state.near.watch.filter(|watch| watch.serial == serial)?;
        let readable = state.readable() || spurious;
        let writable = watch.interest == Interest::ReadWrite && state.writable(now);
        if !readable && !writable {
            // What was to be reported is gone; the watch waits for the next.
            state.near.watch = Some(Watch { reported: false, ..watch });
            return None;
        }
        state.near.watch = None;
        state.near.changed = false;
        Some(Report::Ready { key: watch.key.travelling(), readable, writable })
    }

    /// Refuses who waits in the backlog of a port and who will come.
    pub(super) fn stop_listening(&mut self, shard: usize, port: Port) {
        let (shard, place) = (&mut self.shards[shard], place(port));
        shard.accepting[place] = false;
        shard.closed[place] = true;
        for link in std::mem::take(&mut shard.backlog[place]) {
            self.links[link].near.closed = true;
            self.at(self.now, Due::BreakFar(link));
        }
    }

    /// Where the shard had ended, another begins; nothing of the first is left.
    pub(super) fn begin_shard(&mut self, shard: usize) {
        if !self.shards[shard].alive {
            self.shards[shard] = Shard { alive: true, ..Shard::default() };
        }
    }

    /// The shard is gone, with its listeners.
    pub(super) fn end_shard(&mut self, shard: usize) {
        self.stop_listening(shard, Port::Client);
        self.stop_listening(shard, Port::Backend);
        let shard = &mut self.shards[shard];
        shard.alive = false;
        let unreported: Vec<_> = shard
            .pending
            .drain(..)
            .filter_map(|pending| match pending {
                Pending::Accepted(_, link) => Some(link),
                _ => None,
            })
            .collect();
        for link in unreported {
            self.links[link].near.closed = true;
            self.at(self.now, Due::BreakFar(link));
        }
    }

    pub(super) fn violate(&mut self, what: &str) {
        self.violations.push(format!("{} us: {what}", self.now));
    }
}

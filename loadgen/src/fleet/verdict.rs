//! What a message that arrived says about the gateway: whole or corrupt, first or again, in order
//! or not, its user's or another's, and how late. One that this run did not send is foreign,
//! whatever is in it.

use super::shared::Shared;
use crate::clock::milliseconds;
use crate::histogram::Tally;
use crate::verify::away::Away;
use crate::verify::body::{self, Number};
use crate::verify::order::Order;
use holdfast_protocol::client::Push;
use std::sync::atomic::Ordering;

/// What a client has at hand while it understands bytes: its thread's counts and buffer, and the
/// time.
pub(crate) struct Desk<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) tally: &'a mut Tally,
    pub(crate) absences: &'a mut Vec<Away>,
    /// A buffer without content.
    pub(crate) scratch: &'a mut Vec<u8>,
    /// The index of the client's user.
    pub(crate) user: u32,
    /// When the bytes were read, nanoseconds of the run's clock.
    pub(crate) now: u64,
    /// When the last of them arrived in the kernel, if it stamps them.
    pub(crate) arrived: Option<u64>,
}

impl Desk<'_> {
    /// The client is logged in; its absence, if there was one, ends.
    pub(crate) fn came_online(&mut self, absence: Option<u32>) {
        self.shared.gauges.online.fetch_add(1, Ordering::Relaxed);
        let away = absence.and_then(|index| self.absences.get_mut(index as usize));
        if let Some(away) = away {
            away.until = milliseconds(self.now);
        }
    }
}

/// Judges a message to one user.
pub(crate) fn push(push: &Push<'_>, order: &mut Order, desk: &mut Desk<'_>) {
    let follows = order.follows(push.sequence);
    let Some(header) = body::read(push.body) else {
        unreadable(push.body, desk);
        return;
    };
    let Number::Push(number) = header.number else {
        desk.tally.foreign += 1;
        return;
    };
    let runs = desk.shared.scenario.runs;
    if header.run != runs.pushes {
        let strays = runs.is_others(header.run);
        desk.tally.misdelivered += u64::from(strays);
        desk.tally.foreign += u64::from(!strays);
        return;
    }
    if desk.shared.scenario.schedule.target(number) != desk.user {
        desk.tally.misdelivered += 1;
        return;
    }
    match desk.shared.ledger.arrived(number) {
        None => desk.tally.foreign += 1,
        Some(false) if push.redelivered => desk.tally.redelivered += 1,
        Some(false) => desk.tally.duplicates += 1,
        Some(true) => {
            desk.tally.deliveries += 1;
            time(number, header.due, desk);
            desk.shared.gauges.deliveries.fetch_add(1, Ordering::Relaxed);
            desk.tally.disorder += u64::from(!follows && !push.redelivered);
        }
    }
}

/// Counts a body that is not as this program writes them: one of this run is damaged, any other is
/// somebody else's, such as a durable broadcast from before the run.
fn unreadable(body: &[u8], desk: &mut Desk<'_>) {
    let runs = desk.shared.scenario.runs;
    if body::is_of(runs.pushes, body) || body::is_of(runs.broadcasts, body) {
        desk.tally.corrupt += 1;
    } else {
        desk.tally.foreign += 1;
    }
}

/// Counts how long message `number` took, which was due at `due`.
fn time(number: u64, due: u64, desk: &mut Desk<'_>) {
    let during = |until| desk.shared.broadcasting.overlaps(due, until);
    let took = desk.now.saturating_sub(due);
    if desk.shared.is_weak(desk.user) {
        // The generator's own delay must not look like the gateway's.
        desk.tally.push_weak.record(took);
        return;
    }
    desk.tally.push.record(took);
    desk.tally.in_step(desk.shared.scenario.schedule.step(number)).record(took);
    if during(desk.now) {
        desk.tally.push_during_broadcast.record(took);
    }
    let Some(arrived) = desk.arrived else { return };
    let took = arrived.saturating_sub(due);
    desk.tally.push_arrival.record(took);
    if during(arrived) {
        desk.tally.push_arrival_during_broadcast.record(took);
    }
}

/// Judges a broadcast; `heard` has a bit for each that arrived before.
pub(crate) fn broadcast(push: &Push<'_>, order: &mut Order, heard: &mut u64, desk: &mut Desk<'_>) {
    let follows = order.follows(push.sequence);
    let Some(header) = body::read(push.body) else {
        unreadable(push.body, desk);
        return;
    };
    let bit = match header.number {
        Number::Broadcast(number @ 0..64) => 1_u64 << number,
        Number::Broadcast(_) | Number::Push(_) => 0,
    };
    let scenario = &desk.shared.scenario;
    let planned = scenario.plan.broadcasts.get(bit.trailing_zeros() as usize);
    if header.run != scenario.runs.broadcasts || bit == 0 {
        desk.tally.foreign += 1;
    } else if planned.is_none_or(|one| one.product != scenario.people.product(desk.user)) {
        desk.tally.misdelivered += 1;
    } else if *heard & bit == 0 {
        *heard |= bit;
        desk.tally.broadcasts += 1;
        // What another host stamped says nothing on this one's clock.
        if desk.shared.made.load(Ordering::Relaxed) & bit != 0 {
            let weak = desk.shared.is_weak(desk.user);
            let spread = if weak { &mut desk.tally.spread_weak } else { &mut desk.tally.spread };
            spread.record(desk.now.saturating_sub(header.due));
        }
        desk.shared.gauges.broadcasts.fetch_add(1, Ordering::Relaxed);
        desk.tally.disorder += u64::from(!follows && !push.redelivered);
    } else if push.redelivered {
        desk.tally.redelivered += 1;
    } else {
        desk.tally.duplicates += 1;
    }
}

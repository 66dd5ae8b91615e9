//! Commands without an answer that a server did not take: kept by slot, in order, until it does.
//!
//! Invariants: what is owed of a slot is carried out in its order, by one at a time; while that
//! order matters ([`holds`](Owed::holds)), nobody else carries out anything of the slot, so nothing
//! newer overtakes it. What no order matters for holds nothing up.
//!
//! It does not know which servers have the slots, nor whether they serve.

use crate::letter::{Command, KeyMark, Seen};
use crate::redis::counters::{Counters, count};
use crate::redis::names::by_bucket;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How many commands are owed at most.
const MOST: usize = 100_000;
/// How many are left when there were too many: so that finding out which go is rare.
const LEFT: usize = MOST - MOST / 8;

/// What is owed.
pub(super) struct Owed {
    lines: RefCell<BTreeMap<u16, Line>>,
    many: Cell<usize>,
    counters: Arc<Counters>,
}

/// What is owed of one slot.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Command>,
    /// Somebody carries out what was before.
    taken: bool,
    /// How many must not be overtaken, of those that are taken too.
    ordered: usize,
}

impl Owed {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { lines: RefCell::default(), many: Cell::new(0), counters }
    }

    /// How many are owed, those included that are being carried out.
    pub(super) fn len(&self) -> usize {
        self.many.get()
    }

    /// Whether something is.
    pub(super) fn is_empty(&self) -> bool {
        self.many.get() == 0
    }

    /// Whether something of this slot is owed that must not be overtaken.
    pub(super) fn holds(&self, slot: u16) -> bool {
        !self.is_empty() && self.lines.borrow().get(&slot).is_some_and(|line| line.ordered > 0)
    }

    /// Keeps a command of this slot alone, behind what is owed of it already.
    pub(super) fn push(&self, slot: u16, command: Command) {
        let mut lines = self.lines.borrow_mut();
        let line = lines.entry(slot).or_default();
        let may_join =
            matches!(command, Command::Steer { .. } | Command::Reserve(_) | Command::Seen(_));
        if may_join && line.waiting.iter_mut().any(|waiting| joins(waiting, &command)) {
            return;
        }
        line.ordered += usize::from(is_ordered(&command));
        line.waiting.push_back(command);
        self.count_to(self.many.get() + 1);
        if self.many.get() > MOST {
            self.shed(&mut lines);
        }
    }

    /// Takes up to so many of the slots in these ranges: of each slot the first, while `which`
    /// wants them. They are owed still, until [`settle`](Self::settle).
    pub(super) fn take(
        &self,
        most: usize,
        ranges: &[(u16, u16)],
        which: fn(&Command) -> bool,
    ) -> Vec<(u16, Command)> {
        let mut taken = Vec::new();
        let mut lines = self.lines.borrow_mut();
        for &(from, to) in ranges {
            for (&slot, line) in lines.range_mut(from..=to) {
                if taken.len() >= most {
                    return taken;
                }
                if !line.taken {
                    let first = line.waiting.iter().take(most - taken.len());
                    let many = first.take_while(|command| which(command)).count();
                    line.taken = many > 0;
                    taken.extend(line.waiting.drain(..many).map(|command| (slot, command)));
                }
            }
        }
        taken
    }

    /// What became of what [`take`](Self::take) gave, in that order: whether it is owed still.
    pub(super) fn settle(&self, taken: Vec<(u16, Command)>, owed: &[bool]) {
        let mut lines = self.lines.borrow_mut();
        let mut many = self.many.get();
        for ((slot, command), &owed) in taken.into_iter().zip(owed).rev() {
            let line = lines.entry(slot).or_default();
            line.taken = false;
            if owed {
                line.waiting.push_front(command);
            } else {
                line.ordered -= usize::from(is_ordered(&command));
                many -= 1;
            }
            if line.waiting.is_empty() && line.ordered == 0 {
                lines.remove(&slot);
            }
        }
        self.count_to(many);
    }

    /// Gives up what does least harm, first of all what only says when to look at a mailbox. How
    /// broadcasts stand and what is reserved is never given up: that is little.
    fn shed(&self, lines: &mut BTreeMap<u16, Line>) {
        let before = self.many.get();
        let mut many = before;
        for rank in 0..=2 {
            for line in lines.values_mut() {
                if many <= LEFT {
                    break;
                }
                let Line { waiting, ordered, .. } = line;
                waiting.retain(|command| {
                    let goes = many > LEFT && harm(command) == Some(rank);
                    many -= usize::from(goes);
                    *ordered -= usize::from(goes && is_ordered(command));
                    !goes
                });
            }
        }
        lines.retain(|_, line| line.taken || !line.waiting.is_empty());
        count(&self.counters.dropped, before - many);
        self.count_to(many);
    }

    fn count_to(&self, many: usize) {
        self.many.set(many);
        self.counters.owed.store(many as u64, Relaxed);
    }
}

/// The same commands, each of them of one slot.
pub(super) fn split(commands: Vec<Command>) -> Vec<Command> {
    let mut all = Vec::with_capacity(commands.len());
    for command in commands {
        match command {
            Command::Seen(seen) => all.extend(by_bucket(&seen).into_iter().map(|users| {
                let Seen { product, number, until, .. } = seen;
                Command::Seen(Seen { product, number, until, users })
            })),
            Command::Keys(marks) => {
                all.extend(marks.into_iter().map(|mark: KeyMark| Command::Keys(vec![mark])));
            }
            other => all.push(other),
        }
    }
    all
}

/// Whether what comes later must not be carried out before this, nor a question be answered.
fn is_ordered(command: &Command) -> bool {
    !matches!(command, Command::Due { .. } | Command::Reserve(_))
}

/// How much harm it does to forget this; `None`: too much.
fn harm(command: &Command) -> Option<u8> {
    match command {
        // A backend does not hear that its message went out of date.
        Command::Due { .. } => Some(0),
        // Its messages are delivered once more, or expire.
        Command::Trim { .. } => Some(1),
        Command::Steer { .. } | Command::Reserve(_) => None,
        _ => Some(2),
    }
}

/// Makes a command say what this one says too, where one says it all.
fn joins(waiting: &mut Command, new: &Command) -> bool {
    match (waiting, new) {
        (
            Command::Steer { product, number, state },
            Command::Steer { product: of, number: which, state: now },
        ) if (*product, *number) == (*of, *which) => *state = *now,
        (Command::Reserve(upto), Command::Reserve(new)) => *upto = (*upto).max(*new),
        (Command::Seen(seen), Command::Seen(new))
            if (seen.product, seen.number) == (new.product, new.number) =>
        {
            seen.users.extend(&new.users);
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::BroadcastState;

    const ALL: [(u16, u16); 1] = [(0, u16::MAX)];

    fn owed() -> Owed {
        Owed::new(Arc::default())
    }

    fn trim(upto: u64) -> Command {
        Command::Trim { product: 0, user: "u".into(), upto }
    }

    fn due(expires: u32) -> Command {
        Command::Due { product: 0, user: "u".into(), expires }
    }

    fn steer(state: BroadcastState) -> Command {
        Command::Steer { product: 0, number: 1, state }
    }

    fn trims(owed: &Owed) -> Vec<u64> {
        let taken = owed.take(MOST, &ALL, |_| true);
        let upto = |(_, command): &(u16, Command)| match command {
            Command::Trim { upto, .. } => *upto,
            other => panic!("{other:?} is no trim"),
        };
        taken.iter().map(upto).collect()
    }

    #[test]
    fn what_failed_again_comes_before_what_came_meanwhile() {
        let owed = owed();
        (1..=3).for_each(|upto| owed.push(7, trim(upto)));
        let taken = owed.take(2, &ALL, |_| true);
        owed.push(7, trim(4));
        assert!(owed.take(9, &ALL, |_| true).is_empty(), "somebody carries out what is before");
        owed.settle(taken, &[false, true]);
        assert_eq!((trims(&owed), owed.len()), (vec![2, 3, 4], 3));
    }

    #[test]
    fn a_slot_is_held_until_the_last_of_it_is_carried_out() {
        let owed = owed();
        owed.push(7, trim(1));
        owed.push(8, due(1));
        let taken = owed.take(9, &ALL, |_| true);
        assert!(owed.holds(7), "it is on its way");
        assert!(!owed.holds(8) && !owed.holds(9), "order does not matter there");
        owed.settle(taken, &[false, false]);
        assert!(!owed.holds(7) && owed.is_empty());
    }

    #[test]
    fn what_is_taken_lies_in_the_ranges_and_is_wanted() {
        let owed = owed();
        (4..=6).for_each(|slot| owed.push(slot, trim(slot.into())));
        owed.push(5, steer(BroadcastState::Paused));
        owed.push(5, trim(9));
        let wanted = |command: &Command| matches!(command, Command::Trim { .. });
        let slots: Vec<_> = owed.take(9, &[(5, 6)], wanted).iter().map(|one| one.0).collect();
        assert_eq!(slots, [5, 6], "and nothing from behind what is not wanted");
    }

    #[test]
    fn too_many_lose_deadlines_then_trims_and_never_how_a_broadcast_stands() {
        let owed = owed();
        owed.push(1, steer(BroadcastState::Paused));
        (0..9).for_each(|expires| owed.push(1, due(expires)));
        (10..MOST as u64).for_each(|upto| owed.push(2, trim(upto)));
        assert_eq!(owed.len(), MOST);
        owed.push(2, trim(u64::MAX));
        assert_eq!(owed.len(), LEFT);
        assert_eq!(owed.counters.dropped.load(Relaxed), (MOST + 1 - LEFT) as u64);
        let left: Vec<_> = owed.take(2, &ALL, |_| true).into_iter().map(|one| one.1).collect();
        assert!(matches!(left[0], Command::Steer { .. }), "{left:?}");
        let dropped = (MOST + 1 - LEFT - 9) as u64;
        assert!(matches!(left[1], Command::Trim { upto, .. } if upto == 10 + dropped), "{left:?}");
    }

    #[test]
    fn the_last_word_about_a_broadcast_is_all_that_is_owed() {
        let owed = owed();
        owed.push(1, steer(BroadcastState::Paused));
        owed.push(1, steer(BroadcastState::Running));
        let taken = owed.take(9, &ALL, |_| true);
        let [(1, Command::Steer { state: BroadcastState::Running, .. })] = taken.as_slice() else {
            panic!("{taken:?}");
        };
    }
}

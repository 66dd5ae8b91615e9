//! A gate that lets so many messages of one kind through in a second, and counts the rest.
//!
//! It belongs to one shard and takes the time as an argument. A gate is a few bytes: have one for
//! each kind of message that a peer can cause.

/// What to do with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Log it. So many of its kind were kept back since the last one that passed: where that is not
    /// 0, say so in the same breath ("suppressed 812").
    Log {
        /// Messages kept back since the last one that passed.
        suppressed: u64,
    },
    /// Do not log it.
    Suppress,
}

/// Lets `limit` messages a second through.
#[derive(Debug, Clone)]
pub struct Gate {
    limit: u32,
    second: u64,
    passed: u32,
    suppressed: u64,
}

impl Gate {
    /// A gate that lets `limit` messages a second through; 0 keeps all back.
    pub const fn new(limit: u32) -> Self {
        Self { limit, second: 0, passed: 0, suppressed: 0 }
    }

    /// Asks to log one message at `now_seconds`, on any clock that does not go back.
    pub fn ask(&mut self, now_seconds: u64) -> Pass {
        if now_seconds > self.second {
            self.second = now_seconds;
            self.passed = 0;
        }
        if self.passed >= self.limit {
            self.suppressed += 1;
            return Pass::Suppress;
        }
        self.passed += 1;
        Pass::Log { suppressed: std::mem::take(&mut self.suppressed) }
    }

    /// What was kept back and not yet spoken of, if its second is over at `now_seconds`: for a
    /// line of its own when no further message comes. Asking forgets it.
    pub fn settle(&mut self, now_seconds: u64) -> Option<u64> {
        let over = now_seconds > self.second && self.suppressed > 0;
        over.then(|| std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::{Gate, Pass};

    #[test]
    fn a_flood_is_a_few_lines_a_second() {
        let mut gate = Gate::new(3);
        let mut lines = 0;
        for message in 0..10_000_u64 {
            let second = message / 1_000;
            lines += u32::from(matches!(gate.ask(second), Pass::Log { .. }));
        }
        assert_eq!(lines, 30);
    }

    #[test]
    fn the_first_line_after_a_flood_tells_its_size() {
        let mut gate = Gate::new(1);
        assert_eq!(gate.ask(5), Pass::Log { suppressed: 0 });
        for _ in 0..812 {
            assert_eq!(gate.ask(5), Pass::Suppress);
        }
        assert_eq!(gate.ask(6), Pass::Log { suppressed: 812 });
        assert_eq!(gate.ask(7), Pass::Log { suppressed: 0 }, "and tells it once");
    }

    #[test]
    fn a_flood_that_ends_is_told_when_asked() {
        let mut gate = Gate::new(1);
        assert_eq!(gate.settle(0), None);
        let _ = gate.ask(5);
        let _ = gate.ask(5);
        assert_eq!(gate.settle(5), None, "its second is not over");
        assert_eq!(gate.settle(6), Some(1));
        assert_eq!(gate.settle(7), None);
        assert_eq!(gate.ask(7), Pass::Log { suppressed: 0 });
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_opens_nothing() {
        let mut gate = Gate::new(1);
        assert_eq!(gate.ask(9), Pass::Log { suppressed: 0 });
        assert_eq!(gate.ask(8), Pass::Suppress);
        assert_eq!(gate.ask(9), Pass::Suppress);
    }

    #[test]
    fn a_gate_of_zero_is_shut() {
        let mut gate = Gate::new(0);
        assert_eq!(gate.ask(1), Pass::Suppress);
        assert_eq!(gate.settle(2), Some(1));
    }
}

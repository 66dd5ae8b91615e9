//! The sequences of one user: each greater than the one before, none twice.

/// How far a sequence has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Order {
    last: u64,
}

impl Order {
    /// Nothing was seen.
    pub(crate) const fn new() -> Self {
        Self { last: 0 }
    }

    /// The greatest sequence seen or granted.
    pub(crate) const fn last(self) -> u64 {
        self.last
    }

    /// A welcome says that the next new message has `next`. Gives whether that is believable: a
    /// session that goes on never falls behind what was received; a new one may begin anew.
    pub(crate) const fn welcomed(&mut self, next: u64, resumed: bool) -> bool {
        let before = next.saturating_sub(1);
        let fits = !resumed || before >= self.last;
        // What was stored for the user comes below `next`, and what was seen must not come again.
        if !resumed && before < self.last {
            self.last = before;
        }
        fits
    }

    /// A message came under `sequence`; says whether it is greater than all before.
    pub(crate) const fn follows(&mut self, sequence: u64) -> bool {
        let follows = sequence > self.last;
        if follows {
            self.last = sequence;
        }
        follows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_sequences_follow_and_others_do_not() {
        let mut order = Order::default();
        assert!(order.follows(1) && order.follows(2) && order.follows(9));
        assert!(!order.follows(9) && !order.follows(3));
        assert!(order.follows(10));
    }

    #[test]
    fn a_resumed_session_may_not_fall_back() {
        let mut order = Order { last: 7 };
        assert!(!order.welcomed(5, true));
        assert!(order.welcomed(8, true));
        assert_eq!(order.last(), 7);
    }

    #[test]
    fn a_new_session_may_begin_anew() {
        let mut order = Order { last: 7 };
        assert!(order.welcomed(1, false));
        assert!(order.follows(1));
    }
}

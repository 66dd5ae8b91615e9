//! When a user had no connection, and why.

use std::collections::HashMap;

/// Why a connection ended before the end of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The scenario dropped it.
    Churned,
    /// The gateway or the network ended it, unasked.
    Ended,
    /// The scenario's weak network broke it.
    Network,
}

impl Why {
    /// The reason under which a message is gone.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Churned => "client_dropped",
            Self::Ended => "connection_ended",
            Self::Network => "network_broke",
        }
    }
}

/// One absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away {
    /// Whose.
    pub(crate) user: u32,
    /// When the connection ended, milliseconds of the run's clock.
    pub(crate) from: u32,
    /// When the welcome of the next one was read; `u32::MAX` for never.
    pub(crate) until: u32,
    /// Why.
    pub(crate) why: Why,
}

/// All absences, by user.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    by_user: HashMap<u32, Vec<Away>>,
}

impl Absences {
    /// From a list in any order.
    pub(crate) fn new(all: Vec<Away>) -> Self {
        let mut by_user: HashMap<u32, Vec<Away>> = HashMap::new();
        for away in all {
            by_user.entry(away.user).or_default().push(away);
        }
        Self { by_user }
    }

    /// Why a message to `user`, due at `due` and answered as written at `answered` (milliseconds),
    /// may have been on a connection that was no more. `None` if it must have arrived: every byte
    /// that the gateway wrote before the answer was read from the connection before it was dropped.
    pub(crate) fn explains(&self, user: u32, due: u32, answered: u32) -> Option<Why> {
        let of_user = self.by_user.get(&user)?;
        of_user.iter().find(|away| answered >= away.from && due <= away.until).map(|away| away.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absences() -> Absences {
        Absences::new(vec![Away { user: 4, from: 1_000, until: 1_200, why: Why::Churned }])
    }

    #[test]
    fn a_message_in_flight_over_the_drop_is_explained() {
        assert_eq!(absences().explains(4, 990, 1_005), Some(Why::Churned));
        assert_eq!(absences().explains(4, 1_100, 1_101), Some(Why::Churned));
    }

    #[test]
    fn a_message_answered_before_or_due_after_is_not() {
        assert_eq!(absences().explains(4, 900, 999), None);
        assert_eq!(absences().explains(4, 1_201, 1_300), None);
        assert_eq!(absences().explains(5, 1_100, 1_101), None);
    }
}

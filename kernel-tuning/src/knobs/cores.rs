//! The cores' clock and sleep.

use super::{Knob, each};
use crate::want::Want;

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        name: "scaling_governor",
        reason: "a core that must first raise its clock serves the first messages of a burst at \
                 half its speed",
        cost: "power: the cores never clock down",
        source: "Documentation/admin-guide/pm/cpufreq.rst",
        limits_connections: false,
        settings: |_, facts| each(&facts.governed, &Want::OneOf(&["performance"])),
    },
    Knob {
        name: "cpuidle",
        reason: "a core in a state that it needs more than 50 µs to leave makes the next message \
                 wait longer than all of the gateway does",
        cost: "power; and cores that do not sleep leave the others less room to clock up",
        source: "Documentation/admin-guide/pm/cpuidle.rst",
        limits_connections: false,
        settings: |_, facts| each(&facts.deep_sleeps, &Want::at_least(1)),
    },
];

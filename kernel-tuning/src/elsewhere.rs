//! What a goal needs of a host that is not here, by nothing but its memory and its cores.

use crate::facts::{Facts, Interface, Interrupt};
use crate::goal::Goal;
use crate::knobs::{self, Knob, Setting};
use crate::room::Room;

/// What such a host needs.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Its settings, each with its knob.
    pub settings: Vec<(&'static Knob, Setting)>,
    /// Knobs that follow its cards and its cores, of which nothing is known here.
    pub by_host: Vec<&'static Knob>,
    /// Whether the goal fits.
    pub room: Room,
}

impl Elsewhere {
    /// What a host of the goal's memory and cores needs for it.
    pub fn new(goal: &Goal) -> Self {
        let facts = Facts::assumed(goal.memory, goal.cores);
        let of = |knob: &'static Knob| {
            (knob.settings)(goal, &facts).into_iter().map(move |setting| (knob, setting))
        };
        let equipped = equipped(&facts);
        let is_by_host = |knob: &&Knob| {
            let settings = |facts| (knob.settings)(goal, facts);
            settings(&facts).is_empty() && !settings(&equipped).is_empty()
        };
        Self {
            settings: knobs::all().flat_map(of).collect(),
            by_host: knobs::all().filter(is_by_host).collect(),
            room: Room::new(goal, &facts),
        }
    }
}

/// The same host with something of all that a host may have.
fn equipped(facts: &Facts) -> Facts {
    let card = Interface {
        name: "card".to_owned(),
        kinds: vec![("combined", 64)],
        spreads: 2,
        receiving: 2,
        sending: 2,
        interrupts: vec![Interrupt::default()],
    };
    let core = |file: &str| vec![format!("/sys/devices/system/cpu/cpu0/{file}")];
    Facts {
        interfaces: vec![card],
        deep_sleeps: core("cpuidle/state2/disable"),
        governed: core("cpufreq/scaling_governor"),
        ..facts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_knob_is_planned_or_said_to_be_the_host_s_own() {
        let facts = Facts::assumed(64 << 30, 24);
        let there = Elsewhere::new(&Goal::new(3_000_000, 50_000, &facts));
        let planned = there.settings.iter().map(|(knob, _)| knob.name);
        let by_host: Vec<_> = there.by_host.iter().map(|knob| knob.name).collect();
        assert!(by_host.contains(&"interrupts") && by_host.contains(&"scaling_governor"));
        let all: BTreeSet<_> = planned.chain(by_host.iter().copied()).collect();
        assert_eq!(all, knobs::all().map(|knob| knob.name).collect());
        assert!(there.room.lacking.is_empty(), "{:?}", there.room);
    }

    #[test]
    fn what_does_not_matter_for_the_goal_is_neither() {
        let one = Elsewhere::new(&Goal::new(1_000, 0, &Facts::assumed(8 << 30, 1)));
        let names = |name: &str| one.settings.iter().any(|(knob, _)| knob.name == name);
        assert!(names("fs.nr_open") && !names("net.core.netdev_budget"));
        assert!(!one.by_host.iter().any(|knob| knob.name == "xps_cpus"), "{:?}", one.by_host);
    }
}

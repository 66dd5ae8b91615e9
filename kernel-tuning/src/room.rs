//! Whether the goal fits the host at all: an account of memory and of cores.

use crate::facts::Facts;
use crate::goal::Goal;
use crate::knobs::tcp_pages_needed;
use serde::Serialize;

/// What the gateway takes for an idle client, at most.
pub const GATEWAY_BYTES: u32 = 256;
/// What the kernel keeps for it: socket, file and poll, as measured.
pub const KERNEL_BYTES: u32 = 3_900;
/// The system, the program and what else runs beside it.
const SYSTEM_BYTES: u64 = 512 << 20;
/// Rings and buffers of a shard.
const SHARD_BYTES: u64 = 4 << 20;
/// An entry of the firewall's table.
const TRACKED_BYTES: u64 = 320;
/// CPU of a push, store and delivery included, in nanoseconds: the most that a durable one may
/// take (`durable_rate` in BENCHMARKS.md, where it took 12,000 to 15,000).
const PUSH_NS: u64 = 25_000;
/// CPU of a heartbeat and its answer, in nanoseconds: the most that was measured (`idle_cpu`).
const HEARTBEAT_NS: u64 = 25_000;
/// What the kernel keeps of the memory that a machine is sold with is less than this part.
const NOMINAL: u64 = 10;
/// Seconds between two heartbeats of a client.
const HEARTBEAT_S: u64 = 300;

/// An account of what the goal needs, and whether the host has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Bytes, line by line.
    pub memory: Vec<(&'static str, u64)>,
    /// Their sum.
    pub memory_needed: u64,
    /// Bytes there are.
    pub memory_there: u64,
    /// Thousandths of a core that pushes and heartbeats keep busy.
    pub millicores_needed: u64,
    /// Thousandths of a core there are.
    pub millicores_there: u64,
    /// What the host cannot do, in words, what decides first; empty where the goal fits.
    pub lacking: Vec<String>,
}

impl Room {
    /// Adds up what `goal` needs on a host such as this.
    pub fn new(goal: &Goal, facts: &Facts) -> Self {
        let memory = memory(goal, facts);
        let memory_needed = sum(&memory);
        let heartbeats = goal.connections / HEARTBEAT_S;
        let millicores_needed = (goal.pushes * PUSH_NS + heartbeats * HEARTBEAT_NS) / 1_000_000;
        let mut room = Self {
            memory,
            memory_needed,
            memory_there: goal.memory.min(facts.memory),
            millicores_needed,
            millicores_there: goal.cores.min(facts.cores) * 1000,
            lacking: Vec::new(),
        };
        room.lacking = room.lacks(goal, facts);
        room
    }

    /// What decides comes first: what the goal needs and nothing here has, then what it says of the
    /// host that is not so.
    fn lacks(&self, goal: &Goal, facts: &Facts) -> Vec<String> {
        let mut lacking = Vec::new();
        if self.memory_needed > self.memory_there {
            let fitting = match self.fitting(goal, facts) {
                0 => "hardly any fit beside shards and system".to_owned(),
                some => format!("some {some} fit"),
            };
            lacking.push(format!(
                "{} connections need {} of memory, and there are {}: {fitting}",
                goal.connections,
                in_units(self.memory_needed),
                in_units(self.memory_there)
            ));
        }
        if self.millicores_needed > self.millicores_there {
            lacking.push(format!(
                "{} pushes a second, if all are durable and take {} us each, and the heartbeats \
                 keep some {} cores busy, and there are {}",
                goal.pushes,
                PUSH_NS / 1_000,
                self.millicores_needed.div_ceil(1000),
                self.millicores_there / 1000
            ));
        }
        if has_less_memory(goal, facts) {
            lacking.push(format!(
                "the host has {} of memory, not {}",
                in_units(facts.memory),
                in_units(goal.memory)
            ));
        }
        if goal.cores > facts.cores {
            lacking.push(format!("the host has {} cores, not {}", facts.cores, goal.cores));
        }
        lacking
    }

    /// The most connections that the memory is enough for, to a thousand.
    fn fitting(&self, goal: &Goal, facts: &Facts) -> u64 {
        let fits = |thousands: u64| {
            let less = Goal { connections: thousands * 1000, ..goal.clone() };
            sum(&memory(&less, facts)) <= self.memory_there
        };
        let (mut most, mut too_many) = (0, goal.connections / 1000 + 1);
        while most + 1 < too_many {
            let between = most.midpoint(too_many);
            if fits(between) { most = between } else { too_many = between }
        }
        most * 1000
    }
}

/// Whether the host is of another size than the goal says; a machine that is sold with 64 GB is one
/// of 64 GB, though the kernel counts less.
pub fn has_less_memory(goal: &Goal, facts: &Facts) -> bool {
    facts.memory < goal.memory - goal.memory / NOMINAL
}

/// What takes memory, line by line.
fn memory(goal: &Goal, facts: &Facts) -> Vec<(&'static str, u64)> {
    let tcp = tcp_pages_needed(goal) * facts.page;
    let tracked = if facts.tracks { goal.connections * TRACKED_BYTES } else { 0 };
    vec![
        ("the gateway, 256 B for each idle client", goal.connections * u64::from(GATEWAY_BYTES)),
        ("the kernel, 3,900 B for each", goal.connections * u64::from(KERNEL_BYTES)),
        ("TCP buffers while everybody gets a message", tcp),
        ("the firewall's table", tracked),
        ("shards and system", SYSTEM_BYTES + goal.cores * SHARD_BYTES),
    ]
}

fn sum(memory: &[(&'static str, u64)]) -> u64 {
    memory.iter().map(|(_, bytes)| bytes).sum()
}

/// Bytes for people: `10.9 GiB`.
pub fn in_units(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..0x10_0000 => return format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => (1_u64 << 20, "MiB"),
        _ => (1 << 30, "GiB"),
    };
    let tenths = bytes.saturating_mul(10) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(connections: u64, pushes: u64) -> Room {
        let facts =
            Facts { cores: 24, memory: 64 << 30, page: 4096, tracks: true, ..Facts::default() };
        Room::new(&Goal::new(connections, pushes, &facts), &facts)
    }

    #[test]
    fn three_million_connections_fit_into_64_gib_and_30_million_do_not() {
        let fits = room(3_000_000, 50_000);
        assert!(fits.lacking.is_empty(), "{fits:?}");
        assert!((20 << 30..40 << 30).contains(&fits.memory_needed), "{fits:?}");
        let large = room(30_000_000, 50_000);
        assert!(large.lacking[0].contains("connections need"), "{large:?}");
    }

    #[test]
    fn too_many_pushes_for_the_cores_are_told() {
        let busy = room(1000, 2_000_000);
        assert!(busy.lacking[0].contains("50 cores busy"), "{busy:?}");
    }

    #[test]
    fn what_decides_is_said_before_what_the_goal_says_of_the_host() {
        let facts = Facts { cores: 2, memory: 12 << 30, page: 4096, ..Facts::default() };
        let goal = Goal { memory: 64 << 30, cores: 24, ..Goal::new(3_000_000, 100_000, &facts) };
        let lacking = Room::new(&goal, &facts).lacking;
        let starts = ["3000000 connections need", "100000 pushes", "the host has 12.0 GiB"];
        assert_eq!(lacking.len(), 4, "{lacking:?}");
        for (lack, start) in lacking.iter().zip(starts) {
            assert!(lack.starts_with(start), "{lacking:?}");
        }
    }

    #[test]
    fn a_machine_of_64_gb_is_one_where_the_kernel_counts_62() {
        let facts = Facts { cores: 24, memory: 62 << 30, page: 4096, ..Facts::default() };
        let goal = Goal { memory: 64 << 30, ..Goal::new(1_000_000, 0, &facts) };
        assert!(Room::new(&goal, &facts).lacking.is_empty());
        let half = Facts { memory: 32 << 30, ..facts };
        assert_eq!(
            Room::new(&goal, &half).lacking,
            ["the host has 32.0 GiB of memory, not 64.0 GiB"]
        );
    }

    #[test]
    fn what_a_goal_needs_does_not_shrink_with_the_host() {
        let needs = |gib: u64| {
            let facts = Facts { cores: 24, memory: gib << 30, page: 4096, ..Facts::default() };
            Room::new(&Goal::new(3_000_000, 0, &facts), &facts).memory_needed
        };
        assert_eq!(needs(8), needs(64));
    }

    #[test]
    fn what_is_said_to_fit_fits_and_a_little_more_does_not() {
        let facts = Facts { cores: 2, memory: 8 << 30, page: 4096, ..Facts::default() };
        let goal = Goal::new(30_000_000, 0, &facts);
        let fitting = Room::new(&goal, &facts).fitting(&goal, &facts);
        let lacking =
            |connections| Room::new(&Goal { connections, ..goal.clone() }, &facts).lacking;
        assert!(fitting > 500_000 && lacking(fitting).is_empty(), "{fitting}");
        assert!(!lacking(fitting + 1000).is_empty(), "{fitting}");
        let small = Facts { memory: 512 << 20, ..facts };
        let lacking = Room::new(&goal, &small).lacking;
        assert!(lacking[0].ends_with(": hardly any fit beside shards and system"), "{lacking:?}");
    }

    #[test]
    fn bytes_are_written_for_people() {
        assert_eq!(in_units(500 << 10), "500 KiB");
        assert_eq!(in_units(3 << 30), "3.0 GiB");
        assert_eq!(in_units((1 << 20) + (1 << 19)), "1.5 MiB");
    }
}

//! What a shard may use, as a sum with names: printed at start, refused where it does not fit.

use crate::config::Config;
use crate::connection::CLIENT_BYTES;
use crate::connection::table::SLOTS_MAX;
use crate::mesh::{ToHome, ToOrigin, ToSession};
use holdfast_tuning::room;
use std::fmt;

/// Descriptors of a shard that are not connections: standard streams, listeners, ring, wake-ups.
const DESCRIPTORS_KEPT: usize = 64;
/// A timer of one slot.
pub const TIMER_BYTES: usize = 12;
/// A membership in the list of a product.
pub const MEMBER_BYTES: usize = 16;
/// A user's home.
pub const HOME_BYTES: usize = 72;
/// The index of homes, at its fullest and emptiest between 6 and 12 bytes.
const HOME_INDEX_BYTES: usize = 12;
/// The slot around a connection: generation, and its place in the list of free slots.
const SLOT_BYTES: usize = 12;
/// A slot with its connection.
pub const CONNECTION_BYTES: usize = CLIENT_BYTES + SLOT_BYTES;
/// What one idle, logged-in client takes of the gateway's own memory, at most.
pub const IDLE_CLIENT_BYTES: usize =
    CLIENT_BYTES + SLOT_BYTES + TIMER_BYTES + MEMBER_BYTES + HOME_BYTES + HOME_INDEX_BYTES;

/// What the kernel keeps for one idle client: what a host's room is reckoned with.
pub const KERNEL_CLIENT_BYTES: usize = room::KERNEL_BYTES as usize;

const _: () =
    assert!(IDLE_CLIENT_BYTES <= room::GATEWAY_BYTES as usize, "the promise of the README");

/// What this host has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Cores that the process may use.
    pub cores: usize,
    /// Descriptors of one table.
    pub descriptors: usize,
    /// Bytes of memory that could be had.
    pub memory: usize,
}

/// The sizes of a gateway on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Shards.
    pub shards: u16,
    /// Connections of clients of one shard.
    pub connections: usize,
    /// Connections of backends of one shard.
    pub backends: usize,
    /// The sum for one shard, line by line.
    pub lines: Vec<(&'static str, usize)>,
}

/// The configuration asks for more than this host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TooLarge {
    /// More connections than descriptors.
    Descriptors {
        /// Connections asked for.
        asked: usize,
        /// Connections that the shards' descriptor tables hold.
        most: usize,
    },
    /// Not even one connection has a descriptor.
    NoRoom {
        /// Descriptors that a table may hold.
        limit: usize,
        /// Descriptors that are not for clients.
        kept: usize,
    },
    /// More memory than there is.
    Memory {
        /// Bytes asked for.
        asked: usize,
        /// Bytes there are.
        most: usize,
    },
}

impl fmt::Display for TooLarge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptors { asked, most } => write!(
                out,
                "client.connections_max = {asked} needs more descriptors than there are: {most} \
                 connections fit; raise the limit (ulimit -n, LimitNOFILE=), or add shards"
            ),
            Self::NoRoom { limit, kept } => write!(
                out,
                "no client could connect: the limit is {limit} descriptors, and the gateway keeps \
                 {kept} for itself and its backends; raise it (ulimit -n, LimitNOFILE=), or lower \
                 backend.connections_max"
            ),
            Self::Memory { asked, most } => write!(
                out,
                "the configured limits add up to {} MiB, and {} MiB can be had; lower \
                 client.connections_max, shards or mesh.capacity",
                asked >> 20,
                most >> 20
            ),
        }
    }
}

impl std::error::Error for TooLarge {}

impl Limits {
    /// What `config` means on `host`, where each shard has its own descriptor table if
    /// `own_tables`.
    ///
    /// # Errors
    /// What does not fit, with the numbers.
    pub fn new(config: &Config, host: Host, own_tables: bool) -> Result<Self, TooLarge> {
        let shards = if config.shards == 0 { host.cores } else { config.shards }.max(1);
        let tables = if own_tables { 1 } else { shards };
        let kept = DESCRIPTORS_KEPT + 2 * shards;
        // A few more than the share, since the kernel spreads connections over shards by hash.
        let backends = config.backend.connections_max.div_ceil(shards) + shards.min(8);
        let fitting = (host.descriptors / tables).saturating_sub(kept + backends).min(SLOTS_MAX);
        let asked = config.client.connections_max;
        if fitting == 0 {
            return Err(TooLarge::NoRoom {
                limit: host.descriptors,
                kept: (kept + backends) * tables,
            });
        }
        if asked > fitting * shards {
            return Err(TooLarge::Descriptors { asked, most: fitting * shards });
        }
        // A margin over each one's share, for the same reason; all together are bounded by the
        // accept.
        let share = asked.div_ceil(shards);
        let connections = match asked {
            // Nobody said how many: no more than the memory holds, the kernel's part included.
            0 => fitting.min(remembered(config, host, shards, backends)).max(1),
            _ => (share + share / 8 + 64).min(fitting),
        };
        let lines = lines(config, shards, connections + backends);
        let limits = Self {
            shards: u16::try_from(shards).unwrap_or(u16::MAX),
            connections,
            backends,
            lines,
        };
        let asked = limits.sum().saturating_mul(shards);
        if asked > host.memory {
            return Err(TooLarge::Memory { asked, most: host.memory });
        }
        Ok(limits)
    }

    /// Bytes of one shard, without what busy connections need.
    pub fn sum(&self) -> usize {
        self.lines.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Connections of one shard that its part of the memory is enough for.
fn remembered(config: &Config, host: Host, shards: usize, backends: usize) -> usize {
    let fixed: usize = lines(config, shards, backends).iter().map(|(_, bytes)| bytes).sum();
    let left = (host.memory / shards).saturating_sub(fixed);
    left / (IDLE_CLIENT_BYTES + KERNEL_CLIENT_BYTES)
}

fn lines(config: &Config, shards: usize, connections: usize) -> Vec<(&'static str, usize)> {
    let letters = size_of::<ToHome>() + size_of::<ToSession>() + size_of::<ToOrigin>();
    vec![
        ("connection table", connections * (CLIENT_BYTES + SLOT_BYTES)),
        ("timers", connections * TIMER_BYTES),
        ("members of products", connections * MEMBER_BYTES),
        ("homes of users", connections * (HOME_BYTES + HOME_INDEX_BYTES)),
        ("buffers", 512 << 10),
        ("io_uring", 384 << 10),
        ("rings to other shards", shards * config.mesh.capacity * letters),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Host = Host { cores: 4, descriptors: 20_000, memory: 8 << 30 };

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Config::load(None, &sets).unwrap()
    }

    #[test]
    fn own_tables_multiply_what_fits() {
        let own = Limits::new(&config(&[]), HOST, true).unwrap();
        let shared = Limits::new(&config(&[]), HOST, false).unwrap();
        assert_eq!(own.shards, 4);
        assert!(own.connections > 19_600 && shared.connections < 5_000, "{own:?} {shared:?}");
    }

    #[test]
    fn what_nobody_asked_for_is_no_more_than_the_memory_holds() {
        // As a container has it: descriptors without end, and little memory.
        let container = Host { cores: 16, descriptors: 1 << 30, memory: 1 << 30 };
        let limits = Limits::new(&config(&[]), container, true).unwrap();
        let each = IDLE_CLIENT_BYTES + KERNEL_CLIENT_BYTES;
        let all = limits.connections * usize::from(limits.shards) * each;
        assert!(all < 1 << 30 && limits.connections > 1_000, "{limits:?}");
        let asked = config(&["client.connections_max=30000000"]);
        assert!(matches!(Limits::new(&asked, container, true), Err(TooLarge::Memory { .. })));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let none = Host { descriptors: 64, ..HOST };
        let refused = Limits::new(&config(&[]), none, true).unwrap_err();
        assert!(matches!(refused, TooLarge::NoRoom { limit: 64, .. }), "{refused}");
        let many = config(&["client.connections_max=100000"]);
        let refused = Limits::new(&many, HOST, true).unwrap_err();
        assert!(matches!(refused, TooLarge::Descriptors { asked: 100_000, .. }), "{refused}");
        let small = Host { memory: 1 << 20, ..HOST };
        let refused = Limits::new(&config(&[]), small, true).unwrap_err();
        assert!(refused.to_string().contains("mesh.capacity"), "{refused}");
    }
}

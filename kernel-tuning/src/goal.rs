//! What the host shall carry.

use crate::facts::Facts;
use serde::Serialize;

/// Ports of a gateway that is configured as delivered: clients, backends, operators.
pub const PORTS: [u16; 3] = [7500, 7600, 7700];

/// What the host shall carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Goal {
    /// Connections of clients at the same time.
    pub connections: u64,
    /// Messages a second that are pushed to single users.
    pub pushes: u64,
    /// Memory of the host, in bytes.
    pub memory: u64,
    /// Cores that shards run on; the first ones of the host.
    pub cores: u64,
    /// Ports that the gateway listens on, in order.
    pub ports: Vec<u16>,
}

impl Goal {
    /// A goal for this host as it is: all of its memory, all of its cores, the usual ports.
    pub fn new(connections: u64, pushes: u64, facts: &Facts) -> Self {
        let (memory, cores) = (facts.memory, facts.cores);
        Self { connections, pushes, memory, cores, ports: PORTS.to_vec() }
    }

    /// What to type to have the same goal again.
    pub fn arguments(&self) -> String {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let gib = self.memory >> 30;
        let memory =
            if gib << 30 == self.memory { format!("{gib}G") } else { self.memory.to_string() };
        format!(
            "--connections {} --pushes {} --memory {memory} --cores {} --ports {}",
            self.connections,
            self.pushes,
            self.cores,
            ports.join(",")
        )
    }

    /// Descriptors of a process that holds all connections: one for each, an eighth more for what
    /// is being opened and closed, and those of shards, store and backends.
    pub fn descriptors(&self) -> u64 {
        round_up(self.connections + self.connections / 8 + 4096, 1024)
    }

    /// Bytes that shards may lock in memory: 8 MiB each, for rings and what is registered with
    /// them.
    pub fn locked(&self) -> u64 {
        self.cores * (8 << 20)
    }

    /// Connections that may wait to be accepted. When a gateway comes back its clients do too,
    /// within some seconds; a 64th of them is what comes in a tenth of a second of six.
    pub fn backlog(&self) -> u64 {
        (self.connections / 64).next_power_of_two().clamp(4096, 65_536)
    }
}

/// The next multiple of `step`, which is not 0.
pub fn round_up(value: u64, step: u64) -> u64 {
    value.div_ceil(step) * step
}

/// Bytes, as people write them: `64G`, `23.5 GiB`, `512M`, `1024`; a unit is 1024 of the one below.
///
/// # Errors
/// What is wrong, in words.
pub fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib") {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        unit => return Err(format!("`{unit}` is no unit of memory; write 64G, 512M or bytes")),
    };
    let none = || format!("`{text}` is no amount of memory");
    let (whole, tenth) = digits.trim_end().split_once('.').unwrap_or((digits.trim_end(), "0"));
    let number: u64 = whole.parse().map_err(|_| none())?;
    // One place behind the point, as `check` writes it.
    let tenth = tenth.parse::<u64>().ok().filter(|_| tenth.len() == 1).ok_or_else(none)?;
    let bytes =
        number.checked_mul(1 << shift).and_then(|all| all.checked_add((tenth << shift) / 10));
    bytes.ok_or_else(|| format!("`{text}` is more than there can be"))
}

/// The most connections or pushes of a goal.
const MOST: u64 = 1_000_000_000;

/// A number of things, as people type them: `3000000`, `3_000_000`, `3M`, `50k`.
///
/// # Errors
/// It is none, or over 1000000000; the text says what is allowed.
pub fn count(text: &str) -> Result<u64, String> {
    let units = [('k', 1_000), ('K', 1_000), ('M', 1_000_000)];
    let written = text.trim().replace('_', "");
    let unit = units.into_iter().find(|(letter, _)| written.ends_with(*letter));
    let digits = unit.map_or(written.as_str(), |_| &written[..written.len() - 1]);
    let number: Option<u64> = digits.parse().ok();
    let count = number.and_then(|number| number.checked_mul(unit.map_or(1, |(_, factor)| factor)));
    count
        .filter(|count| *count <= MOST)
        .ok_or_else(|| format!("a whole number up to {MOST}, such as 3000000, 3M or 50k"))
}

/// The same, and at least one.
///
/// # Errors
/// As [`count`]'s, and for 0.
pub fn some(text: &str) -> Result<u64, String> {
    count(text).and_then(|count| if count > 0 { Ok(count) } else { Err("at least 1".to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read_as_people_write_them() {
        assert_eq!(bytes("64G"), Ok(64 << 30));
        assert_eq!(bytes("64GiB"), Ok(64 << 30));
        assert_eq!(bytes("512m"), Ok(512 << 20));
        assert_eq!(bytes("1024"), Ok(1024));
        assert_eq!((bytes("23.5 GiB"), bytes("1.5k")), (Ok(47 << 29), Ok(1536)));
        for wrong in [".5G", "1.G", "1.25G", "1.-5G", "", "G", "64X", "-1", "99999999T"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        assert_eq!((count("3M"), count("50k"), count("0")), (Ok(3_000_000), Ok(50_000), Ok(0)));
        assert_eq!((count("3_000_000"), some("1K")), (Ok(3_000_000), Ok(1_000)));
        for wrong in ["", "M", "3m", "1.5M", "-1", "2000M", "99999999999999M", "3G"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
        assert!(some("0").is_err());
    }

    #[test]
    fn a_backlog_grows_with_the_connections_between_bounds() {
        let facts = Facts { cores: 24, memory: 64 << 30, ..Facts::default() };
        let backlog = |connections| Goal::new(connections, 0, &facts).backlog();
        assert_eq!([backlog(1), backlog(1_000_000), backlog(100_000_000)], [4096, 16_384, 65_536]);
    }
}

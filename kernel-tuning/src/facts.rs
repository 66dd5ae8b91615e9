//! What a host is: its cores, its memory, its network interfaces.

use crate::host::{CARD, Host};
use crate::want::ranges;

/// What a host is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Cores that are online; in a container with a quota no more than that.
    pub cores: u64,
    /// Their numbers, in order; there may be gaps.
    pub online: Vec<u64>,
    /// Memory in bytes; in a container no more than it may have.
    pub memory: u64,
    /// This is a network namespace of its own, as containers have: what counts for the whole host
    /// cannot be seen from here.
    pub apart: bool,
    /// Bytes of a page.
    pub page: u64,
    /// Connections are tracked (`nf_conntrack` is loaded).
    pub tracks: bool,
    /// Interfaces with hardware behind them.
    pub interfaces: Vec<Interface>,
    /// Idle states of cores that take long to leave.
    pub deep_sleeps: Vec<String>,
    /// Cores whose clock can be governed.
    pub governed: Vec<String>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The kinds of its queues whose number can be chosen, and how many of each it may have:
    /// `combined`, of both directions, or `rx` and `tx`.
    pub kinds: Vec<(&'static str, u64)>,
    /// Over how many queues at most it can be told to spread what it receives; 0 where it cannot be
    /// told.
    pub spreads: u64,
    /// Its queues that receive.
    pub receiving: u64,
    /// Its queues that send.
    pub sending: u64,
    /// The interrupts of its queues, by number.
    pub interrupts: Vec<Interrupt>,
}

impl Interface {
    /// What is of its queues, and may be set anew by a driver that makes them.
    pub(crate) fn of_queues(&self) -> impl Iterator<Item = String> {
        let folder = format!("/sys/class/net/{}/queues", self.name);
        let receiving = (0..self.receiving).flat_map(|queue| {
            ["rps_cpus", "rps_flow_cnt"].map(|file| format!("rx-{queue}/{file}"))
        });
        let sending = (0..self.sending).map(|queue| format!("tx-{queue}/xps_cpus"));
        let files = receiving.chain(sending).map(move |file| format!("{folder}/{file}"));
        let interrupt = |one: &Interrupt| format!("/proc/irq/{}/smp_affinity_list", one.number);
        let interrupts = self.interrupts.iter().map(interrupt);
        [format!("{CARD}{}:rss", self.name)].into_iter().chain(files).chain(interrupts)
    }
}

/// An interrupt by which a queue says that it has something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interrupt {
    /// Its number.
    pub number: u32,
    /// The number of its queue.
    pub queue: u64,
}

/// A core that sleeps so deep is late by so many microseconds: as much as a message needs through
/// the whole gateway.
const DEEP_US: u64 = 50;

impl Facts {
    /// Looks at a host. What cannot be read is taken as not there.
    pub fn of(host: &Host) -> Self {
        let online = online(host);
        Self {
            cores: (online.len() as u64).min(granted_cores(host)),
            online,
            memory: memory(host).min(granted_memory(host)),
            apart: !host.has("/proc/sys/net/core/netdev_max_backlog"),
            page: rustix::param::page_size() as u64,
            tracks: host.has("/proc/sys/net/netfilter/nf_conntrack_max"),
            interfaces: interfaces(host),
            deep_sleeps: deep_sleeps(host),
            governed: governed(host),
        }
    }

    /// A host of which nothing but its size is known: pages as most have them, and a firewall.
    pub fn assumed(memory: u64, cores: u64) -> Self {
        let online = (0..cores).collect();
        Self { cores, online, memory, page: 4096, tracks: true, ..Self::default() }
    }
}

fn online(host: &Host) -> Vec<u64> {
    let online = host.read("/sys/devices/system/cpu/online").unwrap_or_default();
    let online = ranges(&online).filter(|cores| !cores.is_empty());
    online.map_or(vec![0], |cores| cores.into_iter().collect())
}

fn memory(host: &Host) -> u64 {
    let meminfo = host.text("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// What the control group at the root of a container may have; a host has no such file. Version 2
/// says `max` where there is no limit, and version 1 a number that is too large for any host.
fn granted_memory(host: &Host) -> u64 {
    let files = ["memory.max", "memory/memory.limit_in_bytes"];
    let granted = files
        .iter()
        .filter_map(|file| host.read(&format!("/sys/fs/cgroup/{file}")).ok()?.parse::<u64>().ok());
    granted.min().unwrap_or(u64::MAX)
}

/// Cores by a container's quota of CPU time, begun ones as whole.
fn granted_cores(host: &Host) -> u64 {
    let quota = host.read("/sys/fs/cgroup/cpu.max").unwrap_or_default();
    let mut words = quota.split_whitespace().map_while(|word| word.parse::<u64>().ok());
    match (words.next(), words.next()) {
        (Some(quota), Some(period)) if period > 0 => quota.div_ceil(period).max(1),
        _ => u64::MAX,
    }
}

/// The folders of the cores that are there.
fn core_folders(host: &Host) -> Vec<String> {
    const CORES: &str = "/sys/devices/system/cpu";
    let is_core = |name: &String| {
        let number = name.strip_prefix("cpu").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let names = host.names(CORES).into_iter().filter(is_core);
    names.map(|name| format!("{CORES}/{name}")).collect()
}

/// The governors that can be set to be fast always.
fn governed(host: &Host) -> Vec<String> {
    let folders = core_folders(host).into_iter().map(|core| format!("{core}/cpufreq"));
    let fast = |folder: &String| {
        let choices = host.text(&format!("{folder}/scaling_available_governors"));
        choices.is_ok_and(|all| all.split_whitespace().any(|one| one == "performance"))
    };
    folders.filter(fast).map(|folder| format!("{folder}/scaling_governor")).collect()
}

fn deep_sleeps(host: &Host) -> Vec<String> {
    let mut deep = Vec::new();
    for core in core_folders(host) {
        for state in host.names(&format!("{core}/cpuidle")) {
            let folder = format!("{core}/cpuidle/{state}");
            let latency = host.read(&format!("{folder}/latency")).unwrap_or_default();
            let is_deep = latency.parse::<u64>().is_ok_and(|us| us > DEEP_US);
            if is_deep && host.has(&format!("{folder}/disable")) {
                deep.push(format!("{folder}/disable"));
            }
        }
    }
    deep
}

fn interfaces(host: &Host) -> Vec<Interface> {
    const ALL: &str = "/sys/class/net";
    let physical = |name: &String| host.has(&format!("{ALL}/{name}/device"));
    let interface = |name: String| {
        let queues = host.names(&format!("{ALL}/{name}/queues"));
        let count = |kind| queues.iter().filter(|queue| queue.starts_with(kind)).count() as u64;
        let (receiving, sending) = (count("rx-"), count("tx-"));
        let interrupts = interrupts(host, &name, &format!("{ALL}/{name}/device"));
        let kinds = kinds(host, &name);
        let spreads = spreads(host, &name, receiving);
        Interface { name, kinds, spreads, receiving, sending, interrupts }
    };
    host.names(ALL).into_iter().filter(physical).map(interface).collect()
}

/// Some cards have more queues than their tables may name.
fn spreads(host: &Host, card: &str, receiving: u64) -> u64 {
    let says = |what| host.read(&format!("{CARD}{card}:{what}"));
    if says("rss").is_err() {
        return 0;
    }
    let most = says("rss_max").ok().and_then(|most| most.parse().ok());
    most.map_or(receiving, |most: u64| most.min(receiving))
}

/// The kinds of a card's queues whose number can be chosen, with the most that it may have.
fn kinds(host: &Host, card: &str) -> Vec<(&'static str, u64)> {
    let most = |kind: &'static str| {
        let most = host.read(&format!("{CARD}{card}:{kind}_max")).ok()?.parse().ok()?;
        Some((kind, most))
    };
    let has = |kind| host.read(&format!("{CARD}{card}:{kind}")).is_ok_and(|count| count != "0");
    match most("combined") {
        // Some count these among those of one direction too, and some have either these or those.
        Some(combined) if has("combined") || !has("rx") => vec![combined],
        _ => ["rx", "tx"].into_iter().filter_map(most).collect(),
    }
}

/// The interrupts of a card's queues; those of a virtual card are its bus device's. What else a
/// card interrupts for (its configuration, its link) is nobody's to move.
fn interrupts(host: &Host, interface: &str, device: &str) -> Vec<Interrupt> {
    let folders = ["msi_irqs", "../msi_irqs"].map(|folder| format!("{device}/{folder}"));
    let folder = folders.iter().find(|folder| host.has(folder));
    let numbers = folder.map_or_else(Vec::new, |folder| host.names(folder)).into_iter();
    let of_a_queue = |number: u32| {
        let folder = format!("/proc/irq/{number}");
        let mut names = host.names(&folder).into_iter();
        let queue = names.find_map(|name| queue(&name, interface))?;
        host.has(&format!("{folder}/smp_affinity_list")).then_some(Interrupt { number, queue })
    };
    let mut all: Vec<Interrupt> =
        numbers.filter_map(|name| of_a_queue(name.parse().ok()?)).collect();
    all.sort_unstable();
    all
}

/// The queue in a name that a driver gave to its interrupt: `virtio0-input.1`, `eth0-TxRx-1`,
/// `mlx5_comp1@pci:0000:01:00.0`.
fn queue(name: &str, interface: &str) -> Option<u64> {
    const OTHERS: [&str; 4] = ["async", "event", "config", "mgmnt"];
    let own = name.split('@').next().unwrap_or_default().replacen(interface, "", 1);
    let word = own.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_other = word.is_empty() || OTHERS.iter().any(|other| word.contains(other));
    if is_other { None } else { own[word.len()..].parse().ok() }
}

/// Whether `irqbalance` runs, which moves interrupts as it sees fit.
pub fn balances(host: &Host) -> bool {
    let processes = host.names("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
    let mut names = processes.map(|id| host.read(&format!("/proc/{id}/comm")).unwrap_or_default());
    names.any(|name| name == "irqbalance")
}

#[cfg(test)]
mod tests {
    use super::queue;

    #[test]
    fn the_queue_of_an_interrupt_is_in_its_name() {
        for (name, number) in [
            ("virtio2-input.0", 0),
            ("virtio2-output.13", 13),
            ("eth0-TxRx-3", 3),
            ("ice-eth0-TxRx-7", 7),
            ("mlx5_comp5@pci:0000:01:00.0", 5),
            ("gve-ntfy-blk2@pci:0000:00:04.0", 2),
        ] {
            assert_eq!(queue(name, "eth0"), Some(number), "{name}");
        }
        for name in [
            "virtio2-config",
            "eth0",
            "mlx5_async0@pci:0000:01:00.0",
            "ena-mgmnt@pci:0000:00:05.0",
            "eth0-event-8",
            "PCIe PME",
            "smp_affinity_list",
            "spurious",
        ] {
            assert_eq!(queue(name, "eth0"), None, "{name}");
        }
    }
}

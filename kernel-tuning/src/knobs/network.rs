//! Packets between the card and the sockets.

use super::{Knob, Place, Setting, sysctl};
use crate::facts::{Facts, Interface, Interrupt};
use crate::goal::Goal;
use crate::host::CARD;
use crate::want::Want;

/// The knob of how many queues a card has, which other knobs follow.
pub(crate) const CHANNELS: &str = "channels";
/// Pushes a second from which packets come in bursts that the defaults cut short.
const MANY_PUSHES: u64 = 20_000;
/// Flows whose core is remembered.
const FLOWS: u64 = 32_768;

fn when_many(goal: &Goal, settings: Vec<Setting>) -> Vec<Setting> {
    if goal.pushes >= MANY_PUSHES { settings } else { Vec::new() }
}

/// The cores that shards run on.
fn shards(goal: &Goal, facts: &Facts) -> Vec<u64> {
    let most = usize::try_from(goal.cores).unwrap_or(usize::MAX);
    facts.online.iter().copied().take(most).collect()
}

/// A setting for each queue that receives, where there are fewer of them than shards.
fn steered(
    goal: &Goal,
    facts: &Facts,
    file: &str,
    want: impl Fn(&Interface) -> Want,
) -> Vec<Setting> {
    let few = |one: &&Interface| one.receiving < shards(goal, facts).len() as u64;
    let queues = |one: &Interface| {
        let path = |queue| format!("/sys/class/net/{}/queues/rx-{queue}/{file}", one.name);
        super::each(&(0..one.receiving).map(path).collect::<Vec<_>>(), &want(one))
    };
    facts.interfaces.iter().filter(few).flat_map(queues).collect()
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        name: "net.core.netdev_max_backlog",
        reason: "so many packets may wait for a core that has no time for them; what comes beyond \
                 is dropped",
        cost: "what waits longer comes later: where it is full all the time, cores are missing",
        source: "Documentation/admin-guide/sysctl/net.rst, netdev_max_backlog",
        limits_connections: false,
        settings: |goal, _| {
            when_many(goal, sysctl("net.core.netdev_max_backlog", Want::at_least(16_384)))
        },
    },
    Knob {
        name: "net.core.netdev_budget",
        reason: "packets that a core takes from the card before it lets others go on; too few \
                 hand the rest to ksoftirqd, which waits its turn",
        cost: "programs on that core wait longer for theirs",
        source: "Documentation/admin-guide/sysctl/net.rst, netdev_budget",
        limits_connections: false,
        settings: |goal, _| when_many(goal, sysctl("net.core.netdev_budget", Want::at_least(600))),
    },
    Knob {
        name: "net.core.netdev_budget_usecs",
        reason: "the same in microseconds: what ends first ends the round",
        cost: "programs on that core wait longer for theirs",
        source: "Documentation/admin-guide/sysctl/net.rst, netdev_budget_usecs",
        limits_connections: false,
        settings: |goal, _| {
            when_many(goal, sysctl("net.core.netdev_budget_usecs", Want::at_least(4000)))
        },
    },
    Knob {
        name: "net.core.busy_poll",
        reason: "with many idle connections on a core there is nearly always something to do, and \
                 a core that polls one of them in between does nothing for the others",
        cost: "a wake-up of some microseconds when a core was idle",
        source: "Documentation/networking/napi.rst, busy polling",
        limits_connections: false,
        settings: |goal, _| {
            // Below some thousands for each core, polling can pay: that is left to who measures.
            let many = goal.connections / goal.cores.max(1) > 10_000;
            if many { sysctl("net.core.busy_poll", Want::at_most(0)) } else { Vec::new() }
        },
    },
    Knob {
        name: CHANNELS,
        reason: "with a queue for each shard the card itself hands packets to all their cores; \
                 with fewer a core must hand on what it took for another",
        cost: "the card stops for a moment when it is changed; each queue has buffers of its own",
        source: "ethtool(8), --set-channels; Documentation/networking/scaling.rst, RSS",
        limits_connections: false,
        settings: |goal, facts| {
            let shards = shards(goal, facts).len() as u64;
            let queues = |card: &str, (kind, most): &(&str, u64)| Setting {
                place: Place::Kernel(format!("{CARD}{card}:{kind}")),
                want: Want::at_least(shards.min(*most)),
            };
            let of = |one: &Interface| {
                one.kinds.iter().map(|kind| queues(&one.name, kind)).collect::<Vec<_>>()
            };
            facts.interfaces.iter().flat_map(of).collect()
        },
    },
    Knob {
        name: "rss",
        reason: "a queue that is not in the card's table receives nothing, and its shard's core \
                 takes no packet from the card",
        cost: "none; flows change their queue once",
        source: "ethtool(8), --set-rxfh-indir; Documentation/networking/scaling.rst, RSS",
        limits_connections: false,
        settings: |_, facts| {
            let table = |one: &Interface| Setting {
                place: Place::Kernel(format!("{CARD}{}:rss", one.name)),
                want: Want::Spread(one.spreads),
            };
            let several = |one: &&Interface| one.spreads > 1;
            facts.interfaces.iter().filter(several).map(table).collect()
        },
    },
    Knob {
        name: "interrupts",
        reason: "a packet that is taken from the card on the core of its shard is in that core's \
                 cache when the shard reads it",
        cost: "a core with a busy queue cannot be helped by the others; irqbalance must not move \
               them back",
        source: "Documentation/core-api/irq/irq-affinity.rst",
        limits_connections: false,
        settings: |goal, facts| {
            let cores = shards(goal, facts);
            let setting = |one: &Interrupt| {
                let place = format!("/proc/irq/{}/smp_affinity_list", one.number);
                let core = *cores.get(usize::try_from(one.queue).ok()? % cores.len().max(1))?;
                Some(Setting { place: Place::Kernel(place), want: Want::List(vec![core]) })
            };
            let all = facts.interfaces.iter().flat_map(|one| &one.interrupts);
            all.filter_map(setting).collect()
        },
    },
    Knob {
        name: "rps_cpus",
        reason: "where the card has fewer queues than there are shards, the kernel spreads its \
                 packets over their cores",
        cost: "an interrupt to another core for each batch of packets",
        source: "Documentation/networking/scaling.rst, RPS",
        limits_connections: false,
        settings: |goal, facts| {
            steered(goal, facts, "rps_cpus", |_| Want::Mask(shards(goal, facts)))
        },
    },
    Knob {
        name: "rps_flow_cnt",
        reason: "packets go to the core where their connection was read last, which is its shard's",
        cost: "8 bytes for each flow",
        source: "Documentation/networking/scaling.rst, RFS",
        limits_connections: false,
        settings: |goal, facts| {
            let share = |one: &Interface| Want::at_least(FLOWS / one.receiving.max(1));
            steered(goal, facts, "rps_flow_cnt", share)
        },
    },
    Knob {
        name: "net.core.rps_sock_flow_entries",
        reason: "the table of RFS: where each flow's program runs",
        cost: "4 bytes for each entry",
        source: "Documentation/networking/scaling.rst, RFS",
        limits_connections: false,
        settings: |goal, facts| {
            if steered(goal, facts, "", |_| Want::at_least(0)).is_empty() {
                return Vec::new();
            }
            sysctl("net.core.rps_sock_flow_entries", Want::at_least(FLOWS))
        },
    },
    Knob {
        name: "xps_cpus",
        reason: "a shard sends through a queue that few other cores use, so it seldom waits for \
                 the queue's lock",
        cost: "none where there are as many queues as cores",
        source: "Documentation/networking/scaling.rst, XPS",
        limits_connections: false,
        settings: |goal, facts| {
            let queues = |one: &Interface| -> Vec<Setting> {
                let of = |queue| {
                    let all = facts.online.iter().enumerate();
                    let mine = all.filter(|(at, _)| *at as u64 % one.sending == queue);
                    let path = format!("/sys/class/net/{}/queues/tx-{queue}/xps_cpus", one.name);
                    let cores = mine.map(|(_, core)| *core).collect();
                    Setting { place: Place::Kernel(path), want: Want::Mask(cores) }
                };
                // One queue is everybody's, and the kernel has no such file that can be written.
                if one.sending < 2 { Vec::new() } else { (0..one.sending).map(of).collect() }
            };
            facts.interfaces.iter().filter(|_| goal.cores > 1).flat_map(queues).collect()
        },
    },
];

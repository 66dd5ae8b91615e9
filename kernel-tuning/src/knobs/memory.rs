//! Memory: what sockets may hold, together and each.

use super::{Knob, sysctl};
use crate::facts::Facts;
use crate::goal::Goal;
use crate::want::{Bound, Want};

/// The pages that TCP's buffers may take: `[low, pressure, high]`.
///
/// A message that waits for its acknowledgement takes a page of this account, so a broadcast that
/// reaches everybody needs one for each connection. No more than half of the memory.
pub(crate) fn tcp_pages(goal: &Goal, facts: &Facts) -> [u64; 3] {
    let most = goal.memory.min(facts.memory) / 2 / facts.page.max(1);
    let high = tcp_pages_needed(goal).min(most);
    [high / 2, high / 4 * 3, high]
}

/// The pages that they take while everybody gets a message, whatever the host has.
pub(crate) fn tcp_pages_needed(goal: &Goal) -> u64 {
    (goal.connections + goal.connections / 4).max(16_384)
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        name: "net.ipv4.tcp_mem",
        reason: "pages for the buffers of all TCP sockets: under pressure the kernel shrinks \
                 windows, and at the last number it drops; a broadcast needs a page for each \
                 connection until it is acknowledged",
        cost: "the kernel may take so much memory while messages are under way, at most half",
        source: "tcp(7), tcp_mem",
        limits_connections: true,
        settings: |goal, facts| {
            let pages = tcp_pages(goal, facts).map(Bound::AtLeast);
            sysctl("net.ipv4.tcp_mem", Want::Numbers(pages.to_vec()))
        },
    },
    Knob {
        name: "net.ipv4.tcp_rmem",
        reason: "a client sends little and the gateway reads at once, so a receive buffer that may \
                 grow to megabytes is only room for those who flood",
        cost: "a client far away uploads at most a megabyte for each round trip",
        source: "tcp(7), tcp_rmem",
        limits_connections: false,
        settings: |_, _| {
            let bounds = [Bound::AtLeast(4096), Bound::AtMost(131_072), Bound::AtMost(1 << 20)];
            sysctl("net.ipv4.tcp_rmem", Want::Numbers(bounds.to_vec()))
        },
    },
    Knob {
        name: "net.ipv4.tcp_wmem",
        reason: "what a client that does not read may hold in the kernel; beside \
                 tcp_notsent_lowat it bounds what is sent and not acknowledged",
        cost: "a client far away is sent at most a megabyte for each round trip",
        source: "tcp(7), tcp_wmem",
        limits_connections: false,
        settings: |_, _| {
            let bounds = [Bound::AtLeast(4096), Bound::AtMost(65_536), Bound::AtMost(1 << 20)];
            sysctl("net.ipv4.tcp_wmem", Want::Numbers(bounds.to_vec()))
        },
    },
    Knob {
        name: "net.ipv4.tcp_notsent_lowat",
        reason: "what waits for a slow client waits in the gateway, which can drop or expire it, \
                 and not in the kernel, which cannot; the gateway sets 16 KiB for its own sockets, \
                 this is for the others'",
        cost: "programs that send in bulk are woken more often",
        source: "tcp(7), TCP_NOTSENT_LOWAT",
        limits_connections: false,
        settings: |_, _| sysctl("net.ipv4.tcp_notsent_lowat", Want::at_most(131_072)),
    },
    Knob {
        name: "vm.swappiness",
        reason: "a connection that is idle for minutes looks cold, and its next message would wait \
                 for the disk",
        cost: "the page cache gives way sooner than idle programs do",
        source: "Documentation/admin-guide/sysctl/vm.rst, swappiness",
        limits_connections: false,
        settings: |_, _| sysctl("vm.swappiness", Want::at_most(10)),
    },
    Knob {
        name: "transparent_hugepage",
        reason: "with `always` a table that grows a little at a time takes 2 MB at every touch, \
                 and the kernel stops programs to make such pages",
        cost: "programs that never ask for huge pages and would gain from them do not get them",
        source: "Documentation/admin-guide/mm/transhuge.rst",
        limits_connections: false,
        settings: |_, _| {
            let path = "/sys/kernel/mm/transparent_hugepage/enabled".to_owned();
            super::each(&[path], &Want::OneOf(&["madvise", "never"]))
        },
    },
];

//! Connections that come, many at once after an outage, and those that go.

use super::{Knob, sysctl};
use crate::want::{Bound, Want};

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        name: "net.core.somaxconn",
        reason: "so many finished handshakes may wait for accept; what comes beyond is dropped \
                 and tried again a second later, when all the others do too",
        cost: "some 256 bytes for each that waits, and none while nobody does; the gateway asks \
               for its setting socket.backlog, which is to be raised with it above 4096",
        source: "listen(2); Documentation/networking/ip-sysctl.rst, somaxconn",
        limits_connections: false,
        settings: |goal, _| sysctl("net.core.somaxconn", Want::at_least(goal.backlog())),
    },
    Knob {
        name: "net.ipv4.tcp_max_syn_backlog",
        reason: "so many handshakes may be half done; beyond its listener's backlog SYN cookies \
                 begin, which lose window scaling and SACK where the client has no timestamps, and \
                 without them three quarters of this is where handshakes are dropped",
        cost: "some 304 bytes for each",
        source: "Documentation/networking/ip-sysctl.rst, tcp_max_syn_backlog",
        limits_connections: false,
        settings: |goal, _| sysctl("net.ipv4.tcp_max_syn_backlog", Want::at_least(goal.backlog())),
    },
    Knob {
        name: "net.ipv4.tcp_syncookies",
        reason: "where a flood fills the backlog all the same, clients still come in",
        cost: "none until the backlog is full",
        source: "Documentation/networking/ip-sysctl.rst, tcp_syncookies",
        limits_connections: false,
        settings: |_, _| sysctl("net.ipv4.tcp_syncookies", Want::at_least(1)),
    },
    Knob {
        name: "net.ipv4.ip_local_reserved_ports",
        reason: "an outgoing connection that happens to get the gateway's port keeps it from \
                 starting",
        cost: "outgoing connections have a few ports less",
        source: "Documentation/networking/ip-sysctl.rst, ip_local_reserved_ports",
        limits_connections: false,
        settings: |goal, _| {
            sysctl("net.ipv4.ip_local_reserved_ports", Want::Contains(goal.ports.clone()))
        },
    },
    Knob {
        name: "net.ipv4.ip_local_port_range",
        reason: "outgoing connections take a port each; fewer than the kernel's own choice run out \
                 (a load generator's host needs 1024 to 65535)",
        cost: "services that listen in between may find their port taken: reserve it",
        source: "ip(7), ip_local_port_range",
        limits_connections: false,
        settings: |_, _| {
            let want = Want::Numbers(vec![Bound::AtMost(32_768), Bound::AtLeast(60_999)]);
            sysctl("net.ipv4.ip_local_port_range", want)
        },
    },
    Knob {
        name: "net.ipv4.tcp_max_orphans",
        reason: "when a gateway ends, its connections belong to nobody until they are closed; \
                 beyond this they are reset, and what was on its way is lost",
        cost: "up to 64 KB that cannot be swapped for each orphan that has data",
        source: "tcp(7), tcp_max_orphans",
        limits_connections: false,
        settings: |goal, _| {
            let least = (goal.connections / 4).max(65_536);
            sysctl("net.ipv4.tcp_max_orphans", Want::at_least(least))
        },
    },
    Knob {
        name: "net.ipv4.tcp_max_tw_buckets",
        reason: "connections that the gateway closed wait a minute for late segments; beyond this \
                 they do not, and a late one can reach the next connection of the same port",
        cost: "some 256 bytes for each",
        source: "tcp(7), tcp_max_tw_buckets",
        limits_connections: false,
        settings: |goal, _| {
            let least = (goal.connections / 4).max(65_536);
            sysctl("net.ipv4.tcp_max_tw_buckets", Want::at_least(least))
        },
    },
    Knob {
        name: "net.ipv4.tcp_fin_timeout",
        reason: "mobile clients vanish once they have acknowledged the gateway's FIN and before \
                 they send theirs; a shorter wait frees them sooner",
        cost: "a peer that needs longer to close its half is reset",
        source: "tcp(7), tcp_fin_timeout",
        limits_connections: false,
        settings: |_, _| sysctl("net.ipv4.tcp_fin_timeout", Want::at_most(30)),
    },
    Knob {
        name: "net.ipv4.tcp_keepalive_time",
        reason: "the gateway has heartbeats of its own and sets no SO_KEEPALIVE; connections of \
                 other programs on the host are looked at before a NAT forgets them",
        cost: "a packet for each idle connection of those programs, so often",
        source: "tcp(7), tcp_keepalive_time",
        limits_connections: false,
        settings: |_, _| sysctl("net.ipv4.tcp_keepalive_time", Want::at_most(600)),
    },
];

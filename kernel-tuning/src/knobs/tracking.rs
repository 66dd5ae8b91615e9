//! The firewall's table of connections, where there is one.

use super::{Knob, Setting, sysctl};
use crate::facts::Facts;
use crate::want::Want;

fn when_tracked(facts: &Facts, name: &str, least: u64) -> Vec<Setting> {
    if facts.tracks { sysctl(name, Want::at_least(least)) } else { Vec::new() }
}

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        name: "net.netfilter.nf_conntrack_max",
        reason: "the firewall keeps an entry for each connection; when its table is full it drops \
                 what comes (`nf_conntrack: table full, dropping packet`)",
        cost: "some 320 bytes for each entry, and a lookup for each packet: a rule with `notrack` \
               for the gateway's ports costs neither",
        source: "Documentation/networking/nf_conntrack-sysctl.rst, nf_conntrack_max",
        limits_connections: true,
        settings: |goal, facts| {
            let least = goal.connections + goal.connections / 4;
            when_tracked(facts, "net.netfilter.nf_conntrack_max", least)
        },
    },
    Knob {
        name: "net.netfilter.nf_conntrack_buckets",
        reason: "entries of the table share buckets; with more than four in each every packet pays \
                 for a walk",
        cost: "8 bytes for each bucket",
        source: "Documentation/networking/nf_conntrack-sysctl.rst, nf_conntrack_buckets",
        limits_connections: false,
        settings: |goal, facts| {
            let least = (goal.connections / 4).max(16_384);
            when_tracked(facts, "net.netfilter.nf_conntrack_buckets", least)
        },
    },
];

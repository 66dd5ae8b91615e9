//! Descriptors, of which each connection takes one, and locked memory.

use super::{Knob, Limit, Place, Setting, sysctl};
use crate::want::Want;

pub(super) const KNOBS: &[Knob] = &[
    Knob {
        name: "fs.nr_open",
        reason: "no process may be given more descriptors than this; each connection takes one",
        cost: "none: tables grow only as descriptors are opened, 8 bytes each",
        source: "proc_sys_fs(5), nr_open; setrlimit(2), RLIMIT_NOFILE",
        limits_connections: true,
        settings: |goal, _| sysctl("fs.nr_open", Want::at_least(goal.descriptors())),
    },
    Knob {
        name: "fs.file-max",
        reason: "all processes together may have so many files open; beyond it accept fails with \
                 ENFILE",
        cost: "none: an open file takes memory only once it is open, some 256 bytes",
        source: "proc_sys_fs(5), file-max",
        limits_connections: true,
        settings: |goal, _| {
            sysctl("fs.file-max", Want::at_least(goal.descriptors() + goal.descriptors() / 8))
        },
    },
    Knob {
        name: "nofile",
        reason: "the gateway's own limit of descriptors; where shards may have tables of their \
                 own, it holds for each of them",
        cost: "none for programs that use poll or epoll; one that closes every number it may have \
               starts slowly",
        source: "setrlimit(2), RLIMIT_NOFILE; systemd.exec(5), LimitNOFILE=",
        limits_connections: true,
        settings: |goal, _| {
            let want = Want::at_least(goal.descriptors());
            vec![Setting { place: Place::Process(Limit::Descriptors), want }]
        },
    },
    Knob {
        name: "memlock",
        reason: "what a shard registers with its ring cannot be swapped and is counted; older \
                 kernels count the rings too",
        cost: "so much memory cannot be swapped",
        source: "setrlimit(2), RLIMIT_MEMLOCK; io_uring_setup(2), ENOMEM",
        limits_connections: false,
        settings: |goal, _| {
            let want = Want::at_least(goal.locked());
            vec![Setting { place: Place::Process(Limit::LockedMemory), want }]
        },
    },
    Knob {
        name: "kernel.io_uring_disabled",
        reason: "the gateway serves over io_uring where it may, and else over epoll, which costs \
                 more CPU for each message",
        cost: "every process may use io_uring; where that shall not be, leave it and serve over \
               epoll, or set 1 and make the service's group kernel.io_uring_group",
        source: "Documentation/admin-guide/sysctl/kernel.rst, io_uring_disabled (since Linux 6.6)",
        limits_connections: false,
        settings: |_, _| sysctl("kernel.io_uring_disabled", Want::at_most(0)),
    },
];

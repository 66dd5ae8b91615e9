//! What on this host holds the gateway below the connections that it is configured for, and the
//! command that mends it.
//!
//! Descriptors are [`crate::limits`]' business: they are counted by shard, and where they are too
//! few the gateway does not start.

use crate::config::Config;
use holdfast_tuning::knobs::Place;
use holdfast_tuning::plan::{self, Finding};
use holdfast_tuning::want::on_one_line;
use holdfast_tuning::{Facts, Goal, Host};

/// What a gateway is configured for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Configured {
    /// Connections of clients; 0 where nobody said how many, and nothing falls short of that.
    pub(super) connections: usize,
    /// Connections that may wait to be accepted.
    pub(super) backlog: u32,
}

impl From<&Config> for Configured {
    fn from(config: &Config) -> Self {
        Self { connections: config.client.connections_max, backlog: config.socket.backlog }
    }
}

/// Says it in the log, a line each.
pub(super) fn warn(configured: Configured) {
    for line in lines(&Host::here(), configured) {
        tracing::warn!("{line}");
    }
}

fn lines(host: &Host, configured: Configured) -> Vec<String> {
    let limited =
        if configured.connections > 0 { too_little(host, configured) } else { Vec::new() };
    limited.into_iter().chain(short_backlog(host, configured)).collect()
}

fn too_little(host: &Host, configured: Configured) -> Vec<String> {
    let facts = Facts::of(host);
    let goal = Goal::new(configured.connections as u64, 0, &facts);
    let limiting = plan::limiting(host, &goal, &facts);
    let line = |one: &Finding| {
        let (name, have, value) = (one.label(), on_one_line(&one.have), one.value());
        let (connections, reason) = (goal.connections, one.knob.reason);
        format!(
            "{name} = {have} is too little for {connections} connections: {reason}. To make it \
             {value}: holdfast-tuning apply --connections {connections}"
        )
    };
    limiting.iter().filter(|one| is_the_kernel_s(one)).map(line).collect()
}

/// Of the kernel alone, and not of descriptors.
fn is_the_kernel_s(finding: &Finding) -> bool {
    matches!(finding.place, Place::Kernel(_)) && finding.knob.name != "fs.nr_open"
}

fn short_backlog(host: &Host, configured: Configured) -> Option<String> {
    let most: u32 = host.read("/proc/sys/net/core/somaxconn").ok()?.parse().ok()?;
    let backlog = configured.backlog;
    (most < backlog).then(|| {
        format!(
            "net.core.somaxconn = {most} cuts socket.backlog = {backlog}: when all clients return \
             at once, more of them must try again. To raise it: holdfast-tuning apply \
             --connections N"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const CONFIGURED: Configured = Configured { connections: 1_000_000, backlog: 4096 };

    /// A host of files with a kernel of these settings.
    fn host(settings: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::below(folder.path());
        let fixed = [("/proc/meminfo", "MemTotal:       33554432 kB\n")];
        for (path, text) in fixed.iter().chain(settings) {
            let place = host.place(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }
        (folder, host)
    }

    #[test]
    fn each_limit_is_a_line_with_the_command_that_mends_it() {
        let (_folder, host) = host(&[
            ("/proc/sys/fs/file-max", "100000\n"),
            ("/proc/sys/fs/nr_open", "1024\n"),
            ("/proc/sys/net/core/somaxconn", "128\n"),
            ("/proc/sys/net/ipv4/tcp_mem", "1000\t2000\t3000\n"),
            ("/proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
        ]);
        let said = lines(&host, CONFIGURED);
        let names: Vec<_> = said.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let limits = ["fs.file-max", "net.ipv4.tcp_mem", "net.netfilter.nf_conntrack_max"];
        assert_eq!(names[..3], limits);
        assert_eq!(names[3..], ["net.core.somaxconn"]);
        for line in &said[..3] {
            assert!(line.ends_with("holdfast-tuning apply --connections 1000000"), "{line}");
        }
        let open = Configured { connections: 0, ..CONFIGURED };
        assert_eq!(lines(&host, open), said[3..], "nobody said how many");
        assert!(said[1].starts_with("net.ipv4.tcp_mem = 1000 2000 3000 is too little"), "{said:?}");
    }

    #[test]
    fn a_host_with_room_is_not_spoken_of() {
        let (_folder, host) = host(&[
            ("/proc/sys/fs/file-max", "9223372036854775807\n"),
            ("/proc/sys/net/core/somaxconn", "4096\n"),
            ("/proc/sys/net/ipv4/tcp_mem", "1000000\t2000000\t3000000\n"),
        ]);
        assert_eq!(lines(&host, CONFIGURED), Vec::<String>::new());
    }
}

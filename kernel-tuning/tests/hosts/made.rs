//! A host of files: four cores, 32 GiB, a card with two queues, and a kernel's defaults.

use holdfast_tuning::Host;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A host that was made, and goes away again.
pub(crate) struct Made {
    folder: TempDir,
    pub(crate) host: Host,
}

const SYSCTLS: &[(&str, &str)] = &[
    ("fs/nr_open", "1048576"),
    ("fs/file-max", "790000"),
    ("net/core/somaxconn", "4096"),
    ("net/core/netdev_max_backlog", "1000"),
    ("net/core/netdev_budget", "300"),
    ("net/core/netdev_budget_usecs", "2000"),
    ("net/core/busy_poll", "0"),
    ("net/core/rps_sock_flow_entries", "0"),
    ("net/ipv4/tcp_max_syn_backlog", "2048"),
    ("net/ipv4/tcp_syncookies", "1"),
    // Not empty: a file, unlike the kernel, is empty for a moment while it is written, and a
    // program that is killed then would leave it so.
    ("net/ipv4/ip_local_reserved_ports", "8080"),
    ("net/ipv4/ip_local_port_range", "32768\t60999"),
    ("net/ipv4/tcp_max_orphans", "131072"),
    ("net/ipv4/tcp_max_tw_buckets", "131072"),
    ("net/ipv4/tcp_fin_timeout", "60"),
    ("net/ipv4/tcp_keepalive_time", "7200"),
    ("net/ipv4/tcp_mem", "383562\t511418\t767124"),
    ("net/ipv4/tcp_rmem", "4096\t131072\t6291456"),
    ("net/ipv4/tcp_wmem", "4096\t16384\t4194304"),
    ("net/ipv4/tcp_notsent_lowat", "4294967295"),
    ("vm/swappiness", "60"),
];

const FILES: &[(&str, &str)] = &[
    ("/proc/meminfo", "MemTotal:       33554432 kB\nMemFree:         1000000 kB"),
    (
        "/proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n\
         Max open files            1024                 524288               files\n\
         Max locked memory         8388608              8388608              bytes",
    ),
    ("/proc/1/comm", "systemd"),
    ("/proc/irq/23/smp_affinity_list", "0-3"),
    ("/proc/irq/23/virtio0-config/handler", ""),
    ("/proc/irq/24/smp_affinity_list", "0-3"),
    ("/proc/irq/24/virtio0-input.0/handler", ""),
    ("/proc/irq/25/smp_affinity_list", "0-3"),
    ("/proc/irq/25/virtio0-output.0/handler", ""),
    ("/proc/irq/26/smp_affinity_list", "0-3"),
    ("/proc/irq/26/virtio0-input.1/handler", ""),
    ("/proc/irq/27/smp_affinity_list", "0-3"),
    ("/proc/irq/27/virtio0-output.1/handler", ""),
    ("/sys/kernel/mm/transparent_hugepage/enabled", "always"),
    ("/sys/devices/system/cpu/online", "0-3"),
    ("/sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0"),
    ("/sys/devices/system/cpu/cpu0/cpuidle/state0/disable", "0"),
    ("/sys/devices/system/cpu/cpu0/cpuidle/state2/latency", "133"),
    ("/sys/devices/system/cpu/cpu0/cpuidle/state2/disable", "0"),
    ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave"),
    ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors", "performance powersave"),
    ("/sys/class/net/lo/operstate", "unknown"),
    ("/sys/class/net/eth0/device/msi_irqs/23", "msix"),
    ("/sys/class/net/eth0/device/msi_irqs/24", "msix"),
    ("/sys/class/net/eth0/device/msi_irqs/25", "msix"),
    ("/sys/class/net/eth0/device/msi_irqs/26", "msix"),
    ("/sys/class/net/eth0/device/msi_irqs/27", "msix"),
    ("/ethtool:eth0:combined", "2"),
    ("/ethtool:eth0:combined_max", "2"),
    ("/ethtool:eth0:rss", "0 1 0 1 0 1 0 1"),
    ("/sys/class/net/eth0/queues/rx-0/rps_cpus", "0"),
    ("/sys/class/net/eth0/queues/rx-0/rps_flow_cnt", "0"),
    ("/sys/class/net/eth0/queues/rx-1/rps_cpus", "0"),
    ("/sys/class/net/eth0/queues/rx-1/rps_flow_cnt", "0"),
    ("/sys/class/net/eth0/queues/tx-0/xps_cpus", "0"),
    ("/sys/class/net/eth0/queues/tx-1/xps_cpus", "0"),
];

impl Made {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Self { host: Host::below(folder.path()), folder };
        for (name, value) in SYSCTLS {
            made.write(&format!("/proc/sys/{name}"), &format!("{value}\n"));
        }
        for (path, text) in FILES {
            made.write(path, &format!("{text}\n"));
        }
        for folder in ["/run", "/etc", "/var/lib"] {
            fs::create_dir_all(made.host.place(folder)).unwrap();
        }
        made
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, path: &str, text: &[u8]) {
        let place = self.host.place(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        self.host.text(path).unwrap()
    }

    /// A program that is told of this host.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg("--root").arg(self.folder.path());
        command
    }

    /// A setting that nobody can write from now on.
    pub(crate) fn replace_by_folder(&self, path: &str) {
        fs::remove_file(self.host.place(path)).unwrap();
        fs::create_dir(self.host.place(path)).unwrap();
    }

    /// And one that can be written again.
    pub(crate) fn replace_by_file(&self, path: &str, text: &str) {
        fs::remove_dir(self.host.place(path)).unwrap();
        self.write(path, text);
    }

    /// Every file with its bytes, every folder without.
    pub(crate) fn everything(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut all = BTreeMap::new();
        collect(self.folder.path(), self.folder.path(), &mut all);
        all
    }
}

fn collect(root: &Path, folder: &Path, all: &mut BTreeMap<String, Option<Vec<u8>>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if path.is_dir() {
            all.insert(name, None);
            collect(root, &path, all);
        } else {
            all.insert(name, Some(fs::read(&path).unwrap()));
        }
    }
}

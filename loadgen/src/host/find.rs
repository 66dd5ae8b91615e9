//! Which process listens at an address of this machine.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The state of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// The process that listens on the address's port; `None` if it is not here or may not be seen.
pub(crate) fn listener(address: SocketAddr) -> Option<u32> {
    let inodes = listening(address.port());
    if inodes.is_empty() || !address.ip().is_loopback() {
        return None;
    }
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let pids = fs::read_dir("/proc").ok()?.flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| holds(*pid, &wanted))
}

fn listening(port: u16) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    texts
        .iter()
        .flat_map(|text| text.lines().skip(1))
        .filter_map(|line| inode(line, port))
        .collect()
}

/// The inode of the socket of a line, if it listens on `port`.
fn inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let same = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
    same.then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
}

/// Whether the process has one of the sockets. Its threads may each have their own descriptor
/// table.
fn holds(pid: u32, wanted: &[String]) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| table_holds(&thread.path().join("fd"), wanted))
}

fn table_holds(table: &Path, wanted: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(table) else { return false };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|link| wanted.iter().any(|socket| link.as_os_str().as_bytes() == socket.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn this_process_is_found_by_its_listener() {
        let listener_socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener_socket.local_addr().unwrap();
        assert_eq!(listener(address), Some(std::process::id()));
        drop(listener_socket);
        assert_eq!(listener(address), None);
    }
}

//! What of a card no file of the kernel tells: how many queues it has and may have, and over which
//! of them it spreads what it receives.
//!
//! `SIOCETHTOOL` (`linux/ethtool.h`), as `ethtool(8)` has it with `-l` and `-x`.
#![expect(unsafe_code, reason = "an ioctl whose argument is a pointer in a union")]

use rustix::net::{AddressFamily, SocketType, socket};
use std::io;
use std::os::fd::AsRawFd;

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const GET_CHANNELS: u32 = 0x3c;
const SET_CHANNELS: u32 = 0x3d;
const GET_SPREAD: u32 = 0x38;
const SET_SPREAD: u32 = 0x39;
/// Words of `struct ethtool_channels`.
const CHANNELS: usize = 9;
/// The kinds of queues that a shard can use, with the word that says how many a card may have, and
/// that which says how many it has.
const KINDS: [(&str, usize, usize); 3] = [("combined", 4, 8), ("rx", 1, 5), ("tx", 2, 6)];
/// How many queues receive: the two words after the first two of `struct ethtool_rxnfc`.
const GET_RINGS: u32 = 0x2d;
/// Words of `struct ethtool_rxnfc`. The kernel reads and writes all of it, whatever is asked for.
const RXNFC: usize = 48;
/// Words before the table of `struct ethtool_rxfh_indir`; the second is the table's length.
const HEAD: usize = 2;
/// No card has a longer table.
const LONGEST: usize = 1 << 14;

/// What a card says, by the name that a [`Host`](crate::host::Host) has for it: `eth0:combined`,
/// its queues of both directions, `eth0:rx` and `eth0:tx`, those of one; `eth0:combined_max`, how
/// many those may be; `eth0:rss`, the queue of each place of its table; `eth0:rss_max`, how many
/// queues it may name.
///
/// # Errors
/// `NotFound` where the card has nothing of the kind; else those of `ioctl(2)`.
pub(crate) fn read(name: &str) -> io::Result<String> {
    let (card, what) = split(name)?;
    said(card, what).map_err(|error| match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENODEV) => io::ErrorKind::NotFound.into(),
        _ => error,
    })
}

fn said(card: &str, what: &str) -> io::Result<String> {
    if what == "rss" {
        let table: Vec<String> = spread(card)?.iter().map(u32::to_string).collect();
        return Ok(table.join(" "));
    }
    if what == "rss_max" {
        return rings(card).map(|most| most.to_string());
    }
    let kind = what.strip_suffix("_max").unwrap_or(what);
    let (most, count) = words(kind)?;
    let all = channels(card)?;
    match all[most] {
        0 => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(all[if kind == what { count } else { most }].to_string()),
    }
}

/// Has a card do as `value` says, which is as [`read`] gives it.
///
/// # Errors
/// `InvalidInput` where the value is none; else those of `ioctl(2)`: `EOPNOTSUPP` where the card's
/// driver can tell this, and not change it.
pub(crate) fn set(name: &str, value: &str) -> io::Result<()> {
    let (card, what) = split(name)?;
    let numbers: Result<Vec<u32>, _> = value.split_whitespace().map(str::parse).collect();
    let numbers = numbers.map_err(|_| io::ErrorKind::InvalidInput)?;
    match (what, numbers.as_slice()) {
        ("rss", [_, ..]) => set_spread(card, &numbers),
        (kind, [number]) => {
            let (_, count) = words(kind)?;
            let mut all = channels(card)?;
            (all[0], all[count]) = (SET_CHANNELS, *number);
            ask(card, &mut all)
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn split(name: &str) -> io::Result<(&str, &str)> {
    name.split_once(':').ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Where it is said of a kind of queues how many there may be, and how many there are.
fn words(kind: &str) -> io::Result<(usize, usize)> {
    let known = KINDS.into_iter().find(|(name, ..)| *name == kind);
    known.map(|(_, most, count)| (most, count)).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn channels(card: &str) -> io::Result<[u32; CHANNELS]> {
    let mut all = [0; CHANNELS];
    all[0] = GET_CHANNELS;
    ask(card, &mut all)?;
    Ok(all)
}

fn spread(card: &str) -> io::Result<Vec<u32>> {
    let mut head = [GET_SPREAD, 0];
    ask(card, &mut head)?;
    let length = usize::try_from(head[1]).unwrap_or(LONGEST + 1);
    if !(1..=LONGEST).contains(&length) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut table = vec![0; HEAD + length];
    table[..HEAD].copy_from_slice(&[GET_SPREAD, head[1]]);
    ask(card, &mut table)?;
    Ok(table.split_off(HEAD))
}

fn rings(card: &str) -> io::Result<u32> {
    let mut all = [0; RXNFC];
    all[0] = GET_RINGS;
    ask(card, &mut all)?;
    // One of them is the upper half, which is 0.
    Ok(all[2] | all[3])
}

/// A table that deals its places out in turn is the kernel's own: of that the card is told by a
/// length of nothing, so that it stays the kernel's when there are other queues.
fn set_spread(card: &str, table: &[u32]) -> io::Result<()> {
    let in_turn = (0..rings(card)?.max(1)).cycle();
    let table = if table.iter().copied().eq(in_turn.take(table.len())) { &[][..] } else { table };
    let length = u32::try_from(table.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    ask(card, &mut [&[SET_SPREAD, length], table].concat())
}

/// Asks the card; the answer is in the question's place, and no longer. The question is as long as
/// the command's struct, since the kernel copies all of that in and out.
fn ask(card: &str, words: &mut [u32]) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut name = [0; libc::IFNAMSIZ];
    if card.len() >= name.len() {
        return Err(io::ErrorKind::NotFound.into());
    }
    for (place, byte) in name.iter_mut().zip(card.bytes()) {
        *place = byte.cast_signed();
    }
    let data = words.as_mut_ptr().cast();
    let mut request =
        libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: data } };
    // SAFETY: the descriptor is open until `socket` is dropped, and `request` is what this request
    // takes. Its data are the words, which live until then: they are as many as the command's
    // struct has, which the kernel reads and writes, with a table as long as its second word says.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::{fs, ptr, slice, thread};

    /// So many words, of which the first is this, where nothing behind them may be touched.
    fn at_the_end_of_memory(first: u32, length: usize) -> &'static mut [u32] {
        let page = rustix::param::page_size();
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: the memory is new, and nobody else's.
        let all =
            unsafe { libc::mmap(ptr::null_mut(), 2 * page, libc::PROT_WRITE, private, -1, 0) };
        assert_ne!(all, libc::MAP_FAILED);
        let end = all.wrapping_byte_add(page);
        // SAFETY: it is the second of the pages, which nobody has looked into.
        assert_eq!(unsafe { libc::mprotect(end, page, libc::PROT_NONE) }, 0);
        let words = end.cast::<u32>().wrapping_sub(length);
        // SAFETY: they are the end of the first page, full of zeros, which stays.
        let words = unsafe { slice::from_raw_parts_mut(words, length) };
        words[0] = first;
        words
    }

    /// Of the cards that are here, in what they answer.
    #[test]
    fn the_kernel_touches_no_more_than_the_question() {
        for card in fs::read_dir("/sys/class/net").unwrap() {
            let card = card.unwrap().file_name().into_string().unwrap();
            let questions = [(GET_CHANNELS, CHANNELS), (GET_RINGS, RXNFC), (GET_SPREAD, HEAD)];
            for (command, length) in questions {
                let answer = ask(&card, at_the_end_of_memory(command, length));
                println!("{card} {command:#x}: {answer:?}");
                let error = answer.err().and_then(|error| error.raw_os_error());
                assert_ne!(error, Some(libc::EFAULT), "{card} {command:#x}");
            }
        }
    }

    /// In a network namespace of its own, with a card that is none: `veth(4)`, with four queues of
    /// each direction. Who may make no such namespace sees it on another machine.
    #[test]
    fn queues_are_counted_and_set() {
        let alone = || {
            // SAFETY: this thread alone leaves the network that it had, and ends soon.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                println!("skipped: {}", io::Error::last_os_error());
                return;
            }
            let link = "link add veth0 numrxqueues 4 numtxqueues 4 type veth peer name veth1";
            let Ok(made) = Command::new("ip").args(link.split(' ')).status() else {
                println!("skipped: there is no ip(8)");
                return;
            };
            assert!(made.success());
            let says = |what| read(&format!("veth0:{what}")).unwrap();
            set("veth0:rx", "2").unwrap();
            set("veth0:tx", "3").unwrap();
            let now = ["rx", "tx", "rx_max", "tx_max"].map(says);
            assert_eq!(now, ["2", "3", "4", "4"]);
            assert_eq!(read("veth0:combined").unwrap_err().kind(), io::ErrorKind::NotFound);
            assert_eq!(set("veth0:rx", "9").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        };
        thread::spawn(alone).join().unwrap();
    }

    #[test]
    fn who_is_no_card_has_nothing() {
        let kind = |name| read(name).unwrap_err().kind();
        for name in ["lo:combined", "lo:rss", "nosuchcard:combined", "lo", "lo:colour"] {
            assert_eq!(kind(name), io::ErrorKind::NotFound, "{name}");
        }
        assert_eq!(kind("a-name-that-is-too-long:combined"), io::ErrorKind::NotFound);
        let refused = |name, value| set(name, value).unwrap_err().kind();
        let cannot = set("lo:combined", "2").unwrap_err();
        assert_eq!(cannot.raw_os_error(), Some(libc::EOPNOTSUPP));
        for (name, value) in [("lo:combined", "many"), ("lo:combined", "1 2"), ("lo:rss", "")] {
            assert_eq!(refused(name, value), io::ErrorKind::InvalidInput, "{name} {value}");
        }
    }
}

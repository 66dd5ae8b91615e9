//! Watches: one-shot polls of connections and of the wake-up descriptor.
//!
//! A poll checks its descriptor as it is armed, so what waits already is reported. Room to send is
//! added to an armed poll by changing it in place; that searches the kernel's table, which is why
//! only a connection with a full send buffer asks for it.

#![allow(unsafe_code, reason = "entries are pushed, and one is made that the crate lacks")]

use io_uring::{opcode, squeue, types};

use super::Event;
use super::ring::Ring;
use crate::io::socket::Socket;
use crate::io::token::{Operation, Token};
use crate::io::wake::WakeFd;
use crate::io::{Interest, Key};

const READ: i16 = libc::POLLIN | libc::POLLRDHUP;
const READ_WRITE: i16 = READ | libc::POLLOUT;

pub(super) fn arm(ring: &mut Ring, key: Key, socket: &Socket, interest: Interest) {
    let mask = match interest {
        Interest::Read => READ,
        Interest::ReadWrite => READ_WRITE,
    };
    push_poll(ring, socket.raw(), mask, Token::watch(key));
}

pub(super) fn arm_wake(ring: &mut Ring, wake: &WakeFd) {
    push_poll(ring, wake.raw(), libc::POLLIN, Token::at(Operation::Wake, 0));
}

pub(super) fn widen(ring: &mut Ring, key: Key) {
    let name = Token { operation: Operation::Change, key }.encode();
    let entry =
        change(Token::watch(key), READ_WRITE).user_data(name).flags(squeue::Flags::SKIP_SUCCESS);
    // SAFETY: the entry names no memory.
    unsafe { ring.push(&entry) };
}

/// What a watch's result means: the events that ended it, or why it could not stand, which a receive
/// will find out.
pub(super) fn ready(key: Key, result: i32) -> Event {
    let ended = i32::from(READ | libc::POLLHUP | libc::POLLERR);
    let readable = result < 0 || result & ended != 0;
    let writable = result >= 0 && result & i32::from(libc::POLLOUT) != 0;
    Event::Ready { key, readable, writable }
}

fn push_poll(ring: &mut Ring, fd: i32, mask: i16, token: Token) {
    let entry = opcode::PollAdd::new(types::Fd(fd), mask.cast_unsigned().into())
        .build()
        .user_data(token.encode());
    // SAFETY: the entry names no memory.
    unsafe { ring.push(&entry) };
}

/// A change of what an armed poll waits for: `IORING_OP_POLL_REMOVE` with
/// `IORING_POLL_UPDATE_EVENTS`, which the crate has no builder for.
fn change(armed: Token, mask: i16) -> squeue::Entry {
    const UPDATE_EVENTS: u32 = 2;
    /// The kernel's layout of an entry, as far as this operation uses it.
    #[repr(C)]
    struct Raw {
        head: [u8; 16],
        addr: u64,
        len: u32,
        poll_events: u32,
        tail: [u8; 32],
    }
    let mut entry = opcode::PollRemove::new(armed.encode()).build();
    let raw = (&raw mut entry).cast::<Raw>();
    const { assert!(size_of::<Raw>() == size_of::<squeue::Entry>()) };
    const { assert!(align_of::<Raw>() <= align_of::<squeue::Entry>()) };
    // SAFETY: an entry is these 64 bytes, all initialised, and `entry` is borrowed by nobody else.
    let raw = unsafe { &mut *raw };
    raw.len = UPDATE_EVENTS;
    let events = u32::from(mask.cast_unsigned());
    // The kernel takes the halves in this order on either kind of machine.
    raw.poll_events = if cfg!(target_endian = "big") { events.rotate_left(16) } else { events };
    entry
}

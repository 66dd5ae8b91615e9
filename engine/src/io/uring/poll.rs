//! One-shot polls of connections and of the wake-up descriptor.
//!
//! A poll looks at its descriptor as it is armed, so what waits already is reported. Which polls a
//! watch needs is in [`super::watches`].

#![allow(unsafe_code, reason = "entries are pushed")]

use io_uring::{opcode, types};

use super::ring::Ring;
use crate::io::socket::Socket;
use crate::io::token::{Operation, Token};
use crate::io::wake::WakeFd;
use crate::io::{Interest, Key};

const READ: i16 = libc::POLLIN | libc::POLLRDHUP;

pub(super) fn arm(ring: &mut Ring, key: Key, socket: &Socket, interest: Interest) {
    let mask = match interest {
        Interest::Read => READ,
        Interest::ReadWrite => READ | libc::POLLOUT,
    };
    push(ring, socket.raw(), mask, Token::watch(key));
}

pub(super) fn arm_room(ring: &mut Ring, key: Key, socket: &Socket) {
    push(ring, socket.raw(), libc::POLLOUT, Token::room(key));
}

pub(super) fn arm_wake(ring: &mut Ring, wake: &WakeFd) {
    push(ring, wake.raw(), libc::POLLIN, Token::at(Operation::Wake, 0));
}

fn push(ring: &mut Ring, fd: i32, mask: i16, token: Token) {
    let entry = opcode::PollAdd::new(types::Fd(fd), mask.cast_unsigned().into())
        .build()
        .user_data(token.encode());
    // SAFETY: the entry names no memory.
    unsafe { ring.push(&entry) };
}

/// What the result of a poll says: something to read, which an end or an error is as well, and
/// room to send. A poll that could not stand reads as the first: a receive will find out why.
pub(super) fn meaning(result: i32) -> (bool, bool) {
    let ended = READ | libc::POLLHUP | libc::POLLERR;
    let has = |mask: i16| result >= 0 && result & i32::from(mask) != 0;
    (result < 0 || has(ended), has(libc::POLLOUT))
}

//! Accepting: one multishot operation a listener, and what its results mean.
//!
//! Two facts are kept apart: whether connections are wanted, and whether the kernel holds the
//! operation. It may end after any result (a full completion queue, an error, a cancellation); then
//! it is armed again while it is wanted. So stopping and starting in one turn needs no waiting.

#![allow(unsafe_code, reason = "a descriptor comes as a number, and entries are pushed")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use io_uring::{opcode, squeue, types};
use rustix::io::Errno;

use super::ring::{Completion, Ring};
use crate::io::Port;
use crate::io::socket::{Listener, Socket, concerns_one_connection};
use crate::io::token::{Operation, Token};

/// One listener.
#[derive(Debug)]
pub(super) struct Acceptor {
    port: Port,
    listener: Listener,
    wanted: bool,
    in_kernel: bool,
}

/// What one completion brought.
#[derive(Debug)]
pub(super) enum Outcome {
    Accepted(Socket),
    /// Accepting can not go on by itself.
    Failed(io::Error),
    Nothing,
}

impl From<(Port, Listener)> for Acceptor {
    fn from((port, listener): (Port, Listener)) -> Self {
        Self { port, listener, wanted: false, in_kernel: false }
    }
}

impl Acceptor {
    pub(super) fn port(&self) -> Port {
        self.port
    }

    pub(super) fn want(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    pub(super) fn arm_if_wanted(&mut self, ring: &mut Ring, index: usize) {
        if !self.wanted || self.in_kernel {
            return;
        }
        let entry = opcode::AcceptMulti::new(types::Fd(self.listener.as_fd().as_raw_fd()))
            .flags(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
            .build()
            .user_data(Token::at(Operation::Accept, index).encode());
        // SAFETY: the entry names no memory.
        unsafe { ring.push(&entry) };
        self.in_kernel = true;
    }

    pub(super) fn stop(&mut self, ring: &mut Ring, index: usize) {
        self.wanted = false;
        if !self.in_kernel {
            return;
        }
        let entry = opcode::AsyncCancel::new(Token::at(Operation::Accept, index).encode())
            .build()
            .user_data(Token::at(Operation::Cancel, index).encode())
            .flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: the entry names no memory.
        unsafe { ring.push(&entry) };
    }

    /// Stops for good.
    pub(super) fn close(&mut self, ring: &mut Ring, index: usize) {
        self.stop(ring, index);
        self.listener.close();
    }

    pub(super) fn completed(&mut self, completion: Completion) -> Outcome {
        self.in_kernel = completion.more;
        match socket(completion.result) {
            Ok(socket) => Outcome::Accepted(socket),
            Err(Errno::CANCELED) => Outcome::Nothing,
            Err(error) if concerns_one_connection(error) => Outcome::Nothing,
            // Another listener of the port failed first and was reported.
            Err(_) if !self.wanted => Outcome::Nothing,
            Err(error) => Outcome::Failed(error.into()),
        }
    }
}

/// Closes the connection of an accept that nobody will report.
pub(super) fn close_unreported(completion: Completion) {
    let token = Token::decode(completion.name);
    if token.is_some_and(|token| token.operation == Operation::Accept) {
        drop(socket(completion.result));
    }
}

/// The socket that an accept's result names, once.
fn socket(result: i32) -> Result<Socket, Errno> {
    if result < 0 {
        return Err(Errno::from_raw_os_error(-result));
    }
    // SAFETY: the kernel has just opened this descriptor for this completion, which is seen once.
    Ok(Socket::from(unsafe { OwnedFd::from_raw_fd(result) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::socket::SocketOptions;

    fn acceptor() -> Acceptor {
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(address, &SocketOptions::default()).expect("a listener");
        Acceptor { wanted: true, in_kernel: true, ..Acceptor::from((Port::Client, listener)) }
    }

    fn failing(errno: i32) -> Completion {
        let name = Token::at(Operation::Accept, 0).encode();
        Completion { name, result: -errno, more: false }
    }

    #[test]
    fn a_shortage_is_reported_as_it_is_and_ends_the_operation() {
        for errno in [libc::ENOBUFS, libc::ENOMEM, libc::ENFILE, libc::EMFILE] {
            let mut acceptor = acceptor();
            match acceptor.completed(failing(errno)) {
                Outcome::Failed(error) => assert_eq!(error.raw_os_error(), Some(errno)),
                other => panic!("{other:?} of {errno}"),
            }
            assert!(!acceptor.in_kernel, "the next arming would do nothing");
        }
    }

    #[test]
    fn a_shortage_of_the_port_is_reported_once() {
        let mut second = acceptor();
        // As the back end does when the first listener of the port fails.
        second.want(false);
        assert!(matches!(second.completed(failing(libc::ENOBUFS)), Outcome::Nothing));
    }

    #[test]
    fn a_connection_lost_before_its_accept_is_passed_over() {
        for errno in [libc::ECONNABORTED, libc::EPROTO, libc::ECANCELED] {
            let mut acceptor = acceptor();
            assert!(matches!(acceptor.completed(failing(errno)), Outcome::Nothing), "{errno}");
            assert!(acceptor.wanted, "accepting goes on");
        }
    }
}

//! The product's back end: one `io_uring` a shard.
//!
//! - A watch is a one-shot poll that the caller arms again: while idle it is all that the kernel
//!   keeps. No poll is ever cancelled or changed by name, since the kernel finds it by walking one
//!   of at most 256 chains: measured, 110 µs with 200,000 polls armed and 700 µs with a million,
//!   where arming again costs 0.5 µs a receive. How a watch for room to send gets by without is
//!   in [`watches`].
//! - Accepting is one multishot operation a listener.
//! - Sends are operations that cannot wait, joined in one call (see [`send`]).
//! - Completions are first copied out, then acted on; what a [`Io::send`] finds of others' is kept
//!   for the next wait, which then does not block.
//!
//! The unsafe code under here rests on two facts: only [`send`] names memory to the kernel, and it
//! does not return before the kernel is done with it. Everything else names descriptors, and a
//! stale descriptor can end in a wrong report but not in wrong memory.
//!
//! Receives and shutdowns are plain calls: measured, they cost the same as operations, and a
//! receive as an operation would need its buffer while idle.

mod accept;
mod poll;
mod probe;
mod ring;
mod send;
mod watches;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use self::accept::Acceptor;
pub use self::probe::{Refused, probe};
use self::ring::{Completion, Ring};
use self::watches::{Need, Watches};
use super::socket::{Listener, Socket};
use super::token::{Operation, Token};
use super::urgent::Urgent;
use super::wake::WakeFd;
use super::{How, Interest, Io, Key, Outgoing, Port, Received, Sent};

type Event = super::Event<Socket>;

/// How many completions one wait takes; the rest stay for the next, in order.
const COMPLETIONS_PER_WAIT: usize = 512;

/// How often one wait may enter the kernel again for work that it left undone (it runs about 20
/// pieces a call), so that a busy shard's turn is a large batch and yet ends.
const ENTERS_PER_WAIT: usize = 32;

/// The sizes of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UringOptions {
    /// Entries of the submission queue, 64 bytes each. What does not fit is submitted early, so
    /// this bounds a batch and loses nothing.
    pub submissions: u32,
    /// Entries of the completion queue, 16 bytes each. What does not fit waits in kernel memory
    /// allocated one by one, so it is sized for the largest burst that is usual.
    pub completions: u32,
}

impl Default for UringOptions {
    /// 64 KiB and 256 KiB a shard. From 8,192 completions on the kernel's table for cancellations
    /// and changes has its full size.
    fn default() -> Self {
        Self { submissions: 1024, completions: 16 * 1024 }
    }
}

/// One shard's sockets on `io_uring`.
#[derive(Debug)]
pub struct Uring {
    ring: Ring,
    wake: WakeFd,
    acceptors: Vec<Acceptor>,
    watches: Watches,
    urgent: Urgent,
    /// Reports that came up outside a wait.
    held: Vec<Event>,
}

impl Uring {
    /// A shard's world with its listeners; none accepts before [`Io::accept`].
    ///
    /// The ring belongs to the calling thread: no other may use it.
    ///
    /// # Errors
    /// The kernel refuses the ring; [`probe()`] says why in words.
    pub fn new(
        options: UringOptions,
        listeners: Vec<(Port, Listener)>,
        wake: WakeFd,
    ) -> io::Result<Self> {
        let ring = Ring::new(options)?;
        let urgent = Urgent::new(&wake, listeners.iter().map(|(_, listener)| listener))?;
        let acceptors = listeners.into_iter().map(Acceptor::from).collect();
        let (watches, held) = (Watches::default(), Vec::new());
        let mut uring = Self { ring, wake, acceptors, watches, urgent, held };
        poll::arm_wake(&mut uring.ring, &uring.wake);
        Ok(uring)
    }

    /// Whether the kernel holds the ring to the operations used here.
    pub fn is_restricted(&self) -> bool {
        self.ring.is_restricted()
    }

    fn dispatch(&mut self, completion: Completion, events: &mut Vec<Event>) {
        let Some(token) = Token::decode(completion.name) else { return };
        match token.operation {
            Operation::Watch => events.extend(self.watches.polled(token.key, completion.result)),
            Operation::Room => events.extend(self.watches.has_room(token.key, completion.result)),
            Operation::Accept => self.accepted(token.index(), completion, events),
            Operation::Wake => {
                // Drained before it is armed again: a wake-up in between makes the poll end at
                // once.
                self.wake.drain();
                poll::arm_wake(&mut self.ring, &self.wake);
                events.push(Event::Woken);
            }
            // What was to be cancelled had ended; and sends are taken by `send` itself.
            Operation::Cancel | Operation::Send => {}
        }
    }

    fn accepted(&mut self, index: usize, completion: Completion, events: &mut Vec<Event>) {
        let Some(acceptor) = self.acceptors.get_mut(index) else { return };
        let port = acceptor.port();
        match acceptor.completed(completion) {
            accept::Outcome::Accepted(socket) => events.push(Event::Accepted(port, socket)),
            accept::Outcome::Nothing => {}
            accept::Outcome::Failed(error) => {
                self.stop_accepting(port);
                events.push(Event::AcceptFailed(port, error));
            }
        }
        // The kernel may end the operation after any result: it goes on while it is wanted.
        self.acceptors[index].arm_if_wanted(&mut self.ring, index);
    }

    /// Acts on the completions at hand, at most `bound`; returns how many there were.
    fn reap(&mut self, bound: usize, events: &mut Vec<Event>) -> usize {
        let mut reaped = 0;
        while reaped < bound {
            let Some(completion) = self.ring.next_completion() else { break };
            self.dispatch(completion, events);
            reaped += 1;
        }
        reaped
    }
}

impl Io for Uring {
    type Socket = Socket;
    type Waker = WakeFd;

    fn waker(&self) -> WakeFd {
        self.wake.clone()
    }

    fn accept(&mut self, port: Port) {
        for (index, acceptor) in self.acceptors.iter_mut().enumerate() {
            if acceptor.port() == port {
                acceptor.want(true);
                acceptor.arm_if_wanted(&mut self.ring, index);
            }
        }
    }

    fn stop_accepting(&mut self, port: Port) {
        for (index, acceptor) in self.acceptors.iter_mut().enumerate() {
            if acceptor.port() == port {
                acceptor.stop(&mut self.ring, index);
            }
        }
    }

    fn stop_listening(&mut self, port: Port) {
        for (index, acceptor) in self.acceptors.iter_mut().enumerate() {
            if acceptor.port() == port {
                acceptor.close(&mut self.ring, index);
            }
        }
    }

    fn watch(&mut self, key: Key, socket: &Socket, interest: Interest) {
        match self.watches.arm(key, interest) {
            Need::Poll(interest) => poll::arm(&mut self.ring, key, socket, interest),
            Need::Room => poll::arm_room(&mut self.ring, key, socket),
            Need::Nothing => {}
            Need::Report(event) => self.held.push(event),
        }
    }

    fn watch_writable_too(&mut self, key: Key, socket: &Socket) {
        if self.watches.widen(key) {
            poll::arm_room(&mut self.ring, key, socket);
        }
    }

    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> Received {
        socket.receive(buffer)
    }

    fn send(&mut self, batch: &[Outgoing<'_, Socket>], outcomes: &mut Vec<Sent>) {
        send::send(&mut self.ring, batch, outcomes);
    }

    fn shutdown(&mut self, socket: &Socket, how: How) {
        socket.shutdown(how);
    }

    fn peer(&self, socket: &Socket) -> Option<SocketAddr> {
        socket.peer_address().ok()
    }

    fn hurry(&mut self, socket: &Socket) {
        self.urgent.add(socket);
    }

    /// As nobody waits at the ring, what its polls find wakes nobody. What is not submitted yet can
    /// stay so: a poll that is armed later looks at its socket then.
    fn rest(&mut self, limit: Duration) {
        if self.held.is_empty() && !self.ring.has_completions() && !self.ring.has_work() {
            self.urgent.rest(limit);
        }
    }

    /// Each cost an allocation: grow [`UringOptions::completions`].
    fn overflows(&self) -> u64 {
        self.ring.overflows()
    }

    fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        let at_hand = !self.held.is_empty() || self.ring.has_completions();
        events.append(&mut self.held);
        if at_hand {
            self.ring.submit()?;
        } else {
            self.ring.submit_and_wait(timeout)?;
        }
        let mut left = COMPLETIONS_PER_WAIT;
        left -= self.reap(left, events);
        for _ in 0..ENTERS_PER_WAIT {
            if left == 0 || !self.ring.has_work() {
                break;
            }
            self.ring.submit()?;
            let reaped = self.reap(left, events);
            left -= reaped;
            // The kernel may raise its flag after the work was run, and leaves it up until there is
            // more: without progress it says nothing.
            if reaped == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for Uring {
    /// Closes what was accepted and not reported: only its completion knows the descriptor.
    fn drop(&mut self) {
        for index in 0..self.acceptors.len() {
            self.acceptors[index].stop(&mut self.ring, index);
        }
        if self.ring.submit().is_ok() {
            while let Some(completion) = self.ring.next_completion() {
                accept::close_unreported(completion);
            }
        }
    }
}

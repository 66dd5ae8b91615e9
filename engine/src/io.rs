//! All that the engine asks of the world: sockets, wake-ups and the wait itself.
//!
//! Three implementations stand behind one interface: [`uring`] (the product), [`epoll`] (where a
//! kernel or a container forbids `io_uring`) and `sim` (no kernel, seeded). The same engine code
//! runs above all three, so the rules below are the whole contract and each has a test in
//! `tests/kernel_contract.rs`:
//!
//! - A *watch* is armed by [`Io::watch`] and is in the kernel's hands until its one
//!   [`Event::Ready`]. Nothing else about that socket is reported in between. Whoever frees a slot
//!   waits for that event first ([`Io::shutdown`] with [`How::Both`] makes it come).
//! - After `Ready`, the caller receives until it got less than it asked for, and only then arms the
//!   watch again: the epoll back end is edge-triggered and keeps its registration.
//! - [`Io::send`] never blocks and never keeps a borrow: when it returns, every buffer is free and
//!   every outcome is known. At most one send per socket may stand in one batch.
//! - Wake-ups may be spurious and may be merged; they are never lost.

use std::net::SocketAddr;
use std::time::Duration;

pub mod epoll;
pub mod memory;
pub mod sim;
pub mod sleep;
mod slots;
pub mod socket;
pub mod spsc;
mod sync;
pub mod table;
mod token;
mod urgent;
pub mod uring;
pub mod wake;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Port {
    /// Client connections.
    Client,
    /// Backends on the binary API.
    Backend,
}

/// Names one use of one connection slot; given back in [`Event::Ready`].
///
/// The generation makes an event of an earlier use of the slot recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Index in the shard's connection table; below 2^24.
    pub slot: u32,
    /// Grows by one with each use of the slot; the low 24 bits travel through the kernel.
    pub generation: u32,
}

impl Key {
    /// How many bits of a slot and of a generation the kernel carries.
    pub const TRAVELLING_BITS: u32 = 24;

    /// The key as [`Event::Ready`] gives it back: with the low 24 bits of its generation.
    #[must_use]
    pub const fn travelling(self) -> Self {
        let mask = (1 << Self::TRAVELLING_BITS) - 1;
        Self { slot: self.slot & mask, generation: self.generation & mask }
    }
}

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, end of stream, reset.
    Read,
    /// As `Read`, and room in the send buffer.
    ReadWrite,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event<S> {
    /// A peer connected. The socket is non-blocking and close-on-exec.
    Accepted(Port, S),
    /// Accepting ended with this error; nothing is accepted on the port until [`Io::accept`] is
    /// called again.
    AcceptFailed(Port, std::io::Error),
    /// The watch of `key` ended.
    Ready {
        /// The key that the watch was armed with, as [`Key::travelling`] gives it.
        key: Key,
        /// Worth a receive: bytes, end of stream or an error wait.
        readable: bool,
        /// The send buffer has room (only where [`Interest::ReadWrite`] asked).
        writable: bool,
    },
    /// Somebody called [`Wake::wake`].
    Woken,
}

/// The outcome of [`Io::receive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes were written to the buffer; never 0.
    Bytes(usize),
    /// Nothing waits now.
    Empty,
    /// The peer closed its direction in order.
    End,
    /// The connection is broken (reset, timed out, no route).
    Broken,
}

/// One send of a batch.
#[derive(Debug)]
pub struct Outgoing<'a, S> {
    /// Where to.
    pub socket: &'a S,
    /// What; never empty.
    pub bytes: &'a [u8],
}

/// The outcome of one send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The kernel took every byte.
    All,
    /// The send buffer took so many bytes (0 included) and is full.
    Part(usize),
    /// The connection is broken.
    Broken,
}

/// Which direction to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// No more sends: the peer reads what was sent, then end of stream.
    Write,
    /// Both directions. An armed watch becomes ready.
    Both,
}

/// Ends the wait of one shard, from any thread.
pub trait Wake: Send + 'static {
    /// Makes the shard's next or present [`Io::wait`] return with [`Event::Woken`].
    fn wake(&self);
}

/// The world of one shard. Every method is called by the shard's own thread.
pub trait Io {
    /// A connected socket. Dropping it closes it, in both directions.
    type Socket: std::fmt::Debug;
    /// Wakes this shard.
    type Waker: Wake;

    /// A handle that ends this shard's wait, to be given to its neighbours.
    fn waker(&self) -> Self::Waker;

    /// Accepts on the port's listener from now on, until [`Event::AcceptFailed`] or
    /// [`Io::stop_accepting`]. Calling it while accepting does nothing.
    fn accept(&mut self, port: Port);

    /// Stops accepting on the port. Sockets accepted meanwhile may still be reported. Peers go on
    /// connecting into the listener's backlog, and wait there.
    fn stop_accepting(&mut self, port: Port);

    /// Stops listening on the port for good: who connects is refused from now on, and so is who
    /// waits in the backlog. A socket accepted before may still be reported.
    fn stop_listening(&mut self, port: Port);

    /// Arms the one watch of a socket.
    fn watch(&mut self, key: Key, socket: &Self::Socket, interest: Interest);

    /// Widens the armed watch of a socket to [`Interest::ReadWrite`]; it still ends with one
    /// `Ready`.
    fn watch_writable_too(&mut self, key: Key, socket: &Self::Socket);

    /// Reads what waits, without blocking.
    fn receive(&mut self, socket: &Self::Socket, buffer: &mut [u8]) -> Received;

    /// Sends a batch without blocking and appends one outcome per item, in order.
    fn send(&mut self, batch: &[Outgoing<'_, Self::Socket>], outcomes: &mut Vec<Sent>);

    /// Shuts the socket down; errors are of no consequence and not reported.
    fn shutdown(&mut self, socket: &Self::Socket, how: How);

    /// The address of the other end, for the log; `None` where it is gone or unknown. It costs a
    /// system call.
    fn peer(&self, _socket: &Self::Socket) -> Option<SocketAddr> {
        None
    }

    /// Makes whatever this socket brings end a [`Io::rest`].
    fn hurry(&mut self, socket: &Self::Socket);

    /// Sleeps until a neighbour wakes the shard, somebody connects, or a socket of [`Io::hurry`]
    /// has something, at most `limit`; what other sockets bring does not end it. It may end early.
    /// It reports nothing, and the next [`Io::wait`] everything.
    fn rest(&mut self, limit: Duration);

    /// How often more was reported at once than the back end had made room for, so far. Nothing was
    /// lost.
    fn overflows(&self) -> u64 {
        0
    }

    /// Waits until something happened, at most `timeout` (none: until something happens), and
    /// appends what did. A zero timeout submits and polls. Interrupts return early with nothing.
    ///
    /// # Errors
    /// Only what makes the shard unable to go on, such as a destroyed ring.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event<Self::Socket>>,
    ) -> std::io::Result<()>;
}

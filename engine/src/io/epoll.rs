//! The back end for kernels and containers that forbid `io_uring`.
//!
//! A connection is registered once, edge-triggered, and costs one system call more than its
//! receives and sends only where writability is asked. The kernel reports edges whether or not a
//! watch is armed, so [`edges`] remembers, in four bytes a slot, what came while none was: nothing
//! that waits is lost, and nothing unarmed is reported. Listeners are level-triggered: an accept
//! loop that its budget cut short goes on at the next wait by itself.
//!
//! It does not know who reads or writes: that is the engine's, the same as above `io_uring`.

mod edges;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use self::edges::{Arming, Edges};
use super::socket::{Listener, Socket, concerns_one_connection, failed_receive, is_shortage};
use super::token::{Operation, Token};
use super::urgent::Urgent;
use super::wake::WakeFd;
use super::{How, Interest, Io, Key, Outgoing, Port, Received, Sent};

type Event = super::Event<Socket>;

/// How many kernel events one wait takes. The kernel keeps the rest in order, so none starves.
const EVENTS_PER_WAIT: usize = 512;

/// How many connections one listener yields in one wait, so that a connect storm leaves room for
/// those who are connected.
const ACCEPTS_PER_WAIT: usize = 64;

/// One shard's sockets on epoll.
pub struct Epoll {
    instance: OwnedFd,
    wake: WakeFd,
    acceptors: Vec<Acceptor>,
    edges: Edges,
    urgent: Urgent,
    /// Reports that came up outside a wait.
    held: Vec<Event>,
    /// Sockets whose last receive the kernel had no memory for. What waits there makes no edge
    /// again, so their next watch has the kernel look. Empty but for such moments.
    starved: Vec<RawFd>,
    /// Lent to the kernel in each wait; empty in between.
    reported: Vec<epoll::Event>,
    /// The last wait took all that it could: the kernel may have more.
    full: bool,
}

#[derive(Debug)]
struct Acceptor {
    port: Port,
    listener: Listener,
    accepting: bool,
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll")
            .field("acceptors", &self.acceptors)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl Epoll {
    /// A shard's world with its listeners; none accepts before [`Io::accept`].
    ///
    /// # Errors
    /// No descriptor or no memory is left.
    pub fn new(listeners: Vec<(Port, Listener)>, wake: WakeFd) -> io::Result<Self> {
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = data(Token::at(Operation::Wake, 0));
        epoll::add(&instance, &wake, data, epoll::EventFlags::IN)?;
        let urgent = Urgent::new(&wake, listeners.iter().map(|(_, listener)| listener))?;
        let acceptors = listeners
            .into_iter()
            .map(|(port, listener)| Acceptor { port, listener, accepting: false })
            .collect();
        let reported = Vec::with_capacity(EVENTS_PER_WAIT);
        let (edges, held) = (Edges::default(), Vec::new());
        Ok(Self {
            instance,
            wake,
            acceptors,
            edges,
            urgent,
            held,
            starved: Vec::new(),
            reported,
            full: false,
        })
    }

    /// Registers the socket, or changes what it is registered for; both report what is so now.
    fn register(&self, arming: Arming, key: Key, socket: &Socket) -> rustix::io::Result<()> {
        let mut flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        let data = data(Token::watch(key));
        match arming {
            Arming::Add { writable } => {
                flags.set(epoll::EventFlags::OUT, writable);
                match epoll::add(&self.instance, socket, data, flags) {
                    // The same socket under another key: it keeps its place.
                    Err(Errno::EXIST) => epoll::modify(&self.instance, socket, data, flags),
                    other => other,
                }
            }
            Arming::AskWritable => {
                let flags = flags | epoll::EventFlags::OUT;
                epoll::modify(&self.instance, socket, data, flags)
            }
            Arming::LookAgain => epoll::modify(&self.instance, socket, data, flags),
            Arming::Done | Arming::ReadyNow => Ok(()),
        }
    }

    /// Whether the kernel had no memory for the last receive of this socket; once.
    fn was_starved(&mut self, socket: &Socket) -> bool {
        let place = self.starved.iter().position(|fd| *fd == socket.raw());
        place.map(|place| self.starved.swap_remove(place)).is_some()
    }

    fn dispatch(&mut self, event: epoll::Event, events: &mut Vec<Event>) {
        let bits = event.data.u64();
        let flags = event.flags;
        let Some(token) = Token::decode(bits) else { return };
        match token.operation {
            Operation::Watch => events.extend(self.edges.edge(token.key, flags)),
            Operation::Accept => self.accept_waiting(token.index(), events),
            Operation::Wake => {
                self.wake.drain();
                events.push(Event::Woken);
            }
            // Names of the other back end, never registered here.
            Operation::Cancel | Operation::Send | Operation::Room => {}
        }
    }

    fn accept_waiting(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some(acceptor) = self.acceptors.get(index) else { return };
        let port = acceptor.port;
        for _ in 0..ACCEPTS_PER_WAIT {
            // Another listener of the port may have failed earlier in this wait.
            if !self.acceptors[index].accepting {
                return;
            }
            match self.acceptors[index].listener.accept() {
                Ok(socket) => events.push(Event::Accepted(port, socket)),
                Err(Errno::AGAIN) => return,
                Err(error) if concerns_one_connection(error) => {}
                Err(error) => {
                    self.stop_accepting(port);
                    events.push(Event::AcceptFailed(port, error.into()));
                }
            }
        }
    }
}

impl Io for Epoll {
    type Socket = Socket;
    type Waker = WakeFd;

    fn waker(&self) -> WakeFd {
        self.wake.clone()
    }

    fn accept(&mut self, port: Port) {
        let mut failure = None;
        for (index, acceptor) in self.acceptors.iter_mut().enumerate() {
            if acceptor.port != port || acceptor.accepting {
                continue;
            }
            let data = data(Token::at(Operation::Accept, index));
            match epoll::add(&self.instance, &acceptor.listener, data, epoll::EventFlags::IN) {
                Ok(()) => acceptor.accepting = true,
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            self.stop_accepting(port);
            self.held.push(Event::AcceptFailed(port, error.into()));
        }
    }

    fn stop_accepting(&mut self, port: Port) {
        for acceptor in self.acceptors.iter_mut().filter(|a| a.port == port && a.accepting) {
            acceptor.accepting = false;
            // It can only fail where the listener is not registered, and then nothing is to be
            // done.
            let _ = epoll::delete(&self.instance, &acceptor.listener);
        }
    }

    fn stop_listening(&mut self, port: Port) {
        self.stop_accepting(port);
        let listeners = self.acceptors.iter().filter(|acceptor| acceptor.port == port);
        listeners.for_each(|acceptor| acceptor.listener.close());
    }

    fn watch(&mut self, key: Key, socket: &Socket, interest: Interest) {
        let mut arming = self.edges.arm(key, interest);
        if self.was_starved(socket) && arming == Arming::Done {
            arming = Arming::LookAgain;
        }
        let registered = self.register(arming, key, socket);
        if let Err(error) = registered {
            tracing::warn!(%error, slot = key.slot, "epoll refuses a socket");
        }
        if matches!(arming, Arming::ReadyNow) || registered.is_err() {
            self.held.extend(self.edges.report_now(key));
        }
    }

    fn watch_writable_too(&mut self, key: Key, socket: &Socket) {
        if self.edges.widen(key) {
            // As the registration exists, only a lack of memory could refuse, and it asks for none.
            let _ = self.register(Arming::AskWritable, key, socket);
        }
    }

    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> Received {
        socket.try_receive(buffer).unwrap_or_else(|error| {
            let fd = socket.raw();
            if is_shortage(error) && !self.starved.contains(&fd) {
                self.starved.push(fd);
            }
            failed_receive(error)
        })
    }

    fn send(&mut self, batch: &[Outgoing<'_, Socket>], outcomes: &mut Vec<Sent>) {
        outcomes.extend(batch.iter().map(|one| one.socket.send(one.bytes)));
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

    fn rest(&mut self, limit: Duration) {
        if self.held.is_empty() && !self.full {
            self.urgent.rest(limit);
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        let timeout = if self.held.is_empty() { timeout } else { Some(Duration::ZERO) };
        // A timeout beyond the kernel's range is as good as none.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        events.append(&mut self.held);
        let mut reported = std::mem::take(&mut self.reported);
        let waited = epoll::wait(&self.instance, spare_capacity(&mut reported), timeout.as_ref());
        self.full = reported.len() == EVENTS_PER_WAIT;
        for event in reported.drain(..) {
            self.dispatch(event, events);
        }
        self.reported = reported;
        match waited {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn data(token: Token) -> epoll::EventData {
    epoll::EventData::new_u64(token.encode())
}

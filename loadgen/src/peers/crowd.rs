//! The clients and the publisher of one server, and the plain loop that moves their bytes.
//!
//! One thread, one descriptor table, one epoll: the same for every protocol, so that the
//! generator's own cost is alike for all. It reads what came at once and never waits for a single
//! client. What it does not do: decide what is sent when ([`super::work`]), or understand bytes
//! ([`super::peer`]).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::ledger::Ledger;
use super::peer::{Message, Peer, What};
use crate::clock::Clock;
use crate::floor::connect_from;
use crate::interrupt::Interrupt;

/// Logins that wait for their answer at the same time: less than any listener's queue holds.
const OPENING: u32 = 64;
/// Events of one wait.
const EVENTS: usize = 512;
/// The publisher among the events.
const PUBLISHER: u64 = u64::MAX;
/// The number of the publisher's source address, out of the way of the clients'.
const PUBLISHER_SOURCE: u32 = 1 << 20;
/// A login fails when for so long nobody is answered.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is said of a run that somebody ended.
pub(super) const INTERRUPTED: &str = "interrupted";

/// A connection and what came of a message whose end has not come.
#[derive(Debug)]
struct Link {
    socket: OwnedFd,
    held: Vec<u8>,
    ready: bool,
}

/// The publisher's side.
#[derive(Debug)]
struct Publisher {
    link: Link,
    /// What is still to be sent.
    out: Vec<u8>,
    refused: u64,
}

/// Where the clients and the publisher of a server connect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) clients: u16,
    pub(super) publisher: u16,
}

/// All connections to one server.
pub(super) struct Crowd {
    peer: Box<dyn Peer>,
    target: SocketAddrV4,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    clients: Vec<Link>,
    publisher: Publisher,
    /// Clients that are logged in.
    ready: u32,
    buffer: Vec<u8>,
    reply: Vec<u8>,
    interrupt: Interrupt,
    pub(super) clock: Clock,
}

fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// What one read brought.
enum Came {
    Bytes(usize),
    Nothing,
}

fn read(link: &Link, buffer: &mut [u8]) -> Result<Came, String> {
    match recv(&link.socket, buffer, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Err("the server hung up".to_owned()),
        Ok((length, _)) => Ok(Came::Bytes(length)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Came::Nothing),
        Err(error) => Err(error.to_string()),
    }
}

/// Sends as much as the kernel takes, and leaves the rest.
fn write(link: &Link, out: &mut Vec<u8>) -> Result<(), String> {
    let mut sent = 0;
    while sent < out.len() {
        match send(&link.socket, &out[sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(length) => sent += length,
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    out.drain(..sent);
    Ok(())
}

impl Crowd {
    /// A publisher that is logged in, and no client yet.
    pub(super) fn new(
        mut peer: Box<dyn Peer>,
        ports: Ports,
        interrupt: Interrupt,
    ) -> Result<Self, String> {
        let failed = |error| format!("publisher: {error}");
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
        let socket = connect_from(PUBLISHER_SOURCE, loopback(ports.publisher))
            .map_err(|error| format!("publisher: {error}"))?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&epoll, &socket, epoll::EventData::new_u64(PUBLISHER), flags)
            .map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let ready = peer.greet_as_publisher(&mut out).map_err(failed)?;
        let link = Link { socket, held: Vec::new(), ready };
        let mut crowd = Self {
            peer,
            target: loopback(ports.clients),
            epoll,
            events: Vec::with_capacity(EVENTS),
            clients: Vec::new(),
            publisher: Publisher { link, out, refused: 0 },
            ready: 0,
            buffer: vec![0; 64 * 1024],
            reply: Vec::new(),
            interrupt,
            clock: Clock::start(),
        };
        crowd.flush()?;
        let mut nobody = Ledger::new(0, 0);
        let start = Instant::now();
        while !crowd.publisher.link.ready {
            crowd.turn(Duration::from_millis(100), &mut nobody)?;
            if start.elapsed() > PATIENCE {
                return Err("the publisher was not let in".to_owned());
            }
        }
        Ok(crowd)
    }

    /// How many clients there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.clients.len()).unwrap_or(u32::MAX)
    }

    /// Messages that the server said it refused.
    pub(super) const fn refused(&self) -> u64 {
        self.publisher.refused
    }

    /// Connects so many clients; ends when each is logged in and subscribed.
    pub(super) fn open(&mut self, count: u32, ledger: &mut Ledger) -> Result<(), String> {
        let (mut ready, mut heard) = (self.ready, Instant::now());
        while self.ready < count {
            while self.count() < count && self.count() - self.ready < OPENING {
                self.connect()?;
            }
            self.turn(Duration::from_millis(100), ledger)?;
            if self.ready > ready {
                (ready, heard) = (self.ready, Instant::now());
            } else if heard.elapsed() > PATIENCE {
                return Err(format!("only {ready} of {count} clients were let in"));
            }
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<(), String> {
        let number = self.count();
        let failed = |error: &dyn std::fmt::Display| format!("client {number}: {error}");
        let socket = connect_from(number, self.target).map_err(|error| failed(&error))?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(u64::from(number)), flags)
            .map_err(|error| failed(&error))?;
        let link = Link { socket, held: Vec::new(), ready: false };
        self.reply.clear();
        self.peer.greet(number, &mut self.reply)?;
        write(&link, &mut self.reply).map_err(|error| failed(&error))?;
        self.clients.push(link);
        Ok(())
    }

    /// Publishes these messages.
    pub(super) fn publish(&mut self, messages: &[Message<'_>]) -> Result<(), String> {
        self.peer.publish(messages, &mut self.publisher.out)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), String> {
        let publisher = &mut self.publisher;
        write(&publisher.link, &mut publisher.out).map_err(|error| format!("publisher: {error}"))
    }

    /// Waits once, for at most `timeout`, and takes what came.
    pub(super) fn turn(&mut self, timeout: Duration, ledger: &mut Ledger) -> Result<(), String> {
        if self.interrupt.came() {
            return Err(INTERRUPTED.to_owned());
        }
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let timeout = Timespec::try_from(timeout).map_err(|error| error.to_string())?;
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("epoll: {error}")),
        }
        for event in &events {
            match event.data.u64() {
                PUBLISHER => self.take_answers().map_err(|error| format!("publisher: {error}"))?,
                number => self
                    .take_messages(number, ledger)
                    .map_err(|error| format!("client {number}: {error}"))?,
            }
        }
        self.events = events;
        Ok(())
    }

    fn take_messages(&mut self, number: u64, ledger: &mut Ledger) -> Result<(), String> {
        let index = usize::try_from(number).map_err(|error| error.to_string())?;
        let client = u32::try_from(number).map_err(|error| error.to_string())?;
        let Some(link) = self.clients.get_mut(index) else { return Ok(()) };
        self.reply.clear();
        while let Came::Bytes(length) = read(link, &mut self.buffer)? {
            let now = self.clock.now();
            let bytes = joined(&mut link.held, &self.buffer[..length]);
            let mut at = 0;
            while let Some(heard) = self.peer.hear(link.ready, &bytes[at..], &mut self.reply)? {
                at += heard.length;
                match heard.what {
                    What::Ready if !link.ready => {
                        link.ready = true;
                        self.ready += 1;
                    }
                    What::Message(body) => ledger.heard(client, body, now),
                    What::Ready | What::Other => {}
                }
            }
            keep(&mut link.held, &self.buffer[..length], at);
            if length < self.buffer.len() {
                break;
            }
        }
        write(link, &mut self.reply)?;
        if self.reply.is_empty() { Ok(()) } else { Err("the server reads no answers".to_owned()) }
    }

    fn take_answers(&mut self) -> Result<(), String> {
        let Publisher { link, out, refused } = &mut self.publisher;
        while let Came::Bytes(length) = read(link, &mut self.buffer)? {
            let bytes = joined(&mut link.held, &self.buffer[..length]);
            let mut at = 0;
            while let Some(answer) = self.peer.hear_as_publisher(&bytes[at..], out)? {
                at += answer.length;
                link.ready |= answer.ready;
                *refused += answer.refused;
            }
            keep(&mut link.held, &self.buffer[..length], at);
        }
        write(link, out)
    }
}

/// All that there is to understand: what was held and what came now.
fn joined<'a>(held: &'a mut Vec<u8>, came: &'a [u8]) -> &'a [u8] {
    if held.is_empty() {
        return came;
    }
    held.extend_from_slice(came);
    held
}

/// Holds what was not understood: all but the first `taken` bytes of what [`joined`] gave.
fn keep(held: &mut Vec<u8>, came: &[u8], taken: usize) {
    if held.is_empty() {
        held.extend_from_slice(&came[taken..]);
    } else {
        held.drain(..taken);
    }
    if held.is_empty() {
        // An idle client holds no memory.
        *held = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_held_until_the_rest_comes() {
        let mut held = Vec::new();
        assert_eq!(joined(&mut held, b"abc"), b"abc");
        keep(&mut held, b"abc", 1);
        assert_eq!(joined(&mut held, b"de"), b"bcde");
        keep(&mut held, b"de", 3);
        assert_eq!(held, b"e");
        assert_eq!(joined(&mut held, b"f"), b"ef");
        keep(&mut held, b"f", 2);
        assert_eq!(held.capacity(), 0);
    }
}

//! One connection through the proxy: the client's socket, the gateway's, and what is on its way
//! between them.

use super::Weak;
use super::fate::Fate;
use super::pipe::Pipe;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A client says who it is before all else: its index, so many bytes, the least first.
pub(crate) const PREFACE: usize = 4;

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    /// Never another's, though its place may be.
    pub(super) token: u64,
    pub(super) client: OwnedFd,
    /// `None` until it is known who the client is.
    pub(super) server: Option<OwnedFd>,
    preface: Vec<u8>,
    /// From the client to the gateway, and back.
    pub(super) up: Way,
    pub(super) down: Way,
    /// What ends it, so many nanoseconds after it began to be possible.
    pub(super) fate: Option<(u64, Fate)>,
    /// When it does, on the run's clock; `None` while it cannot.
    pub(super) ends: Option<u64>,
    /// Nothing moves any more.
    pub(super) silent: bool,
    /// The earliest moment at which it is to be looked at again.
    pub(super) armed: u64,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Way {
    pipe: Pipe,
    /// Something may wait at the source, and the destination may take something.
    pub(super) readable: bool,
    pub(super) writable: bool,
    source: Source,
    /// When the source was read empty last.
    drained: u64,
}

/// How far the source of a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Open,
    /// It is at its end; what it said before is on its way.
    Ended,
    /// All of that has left, and the destination knows.
    Told,
}

/// What a connection needs to move bytes.
pub(super) struct Means<'a> {
    pub(super) weak: &'a Weak,
    pub(super) buffer: &'a mut [u8],
    /// Nanoseconds of the run's clock.
    pub(super) now: u64,
}

/// The socket takes nothing any more.
struct Deaf;

impl Way {
    fn new(connection: u64, way: u64, now: u64) -> Self {
        let pipe = Pipe::new(connection, way);
        Self { pipe, readable: false, writable: false, source: Source::Open, drained: now }
    }

    /// Moves what is due, then takes what waits, as much as there is room for.
    fn turn(
        &mut self,
        (from, to): (&OwnedFd, &OwnedFd),
        means: &mut Means<'_>,
        mut took: impl FnMut(u64),
    ) -> Result<(), Deaf> {
        while self.writable {
            let due = self.pipe.due(means.now);
            if due.is_empty() {
                break;
            }
            match send(to, due, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(length) => self.pipe.left(length, |came| took(means.now - came)),
                Err(Errno::AGAIN | Errno::INTR) => self.writable = false,
                Err(_) => return Err(Deaf),
            }
        }
        self.read(from, means);
        if self.source == Source::Ended && self.pipe.is_empty() {
            self.source = Source::Told;
            // It fails where the other end is gone, which is known elsewhere.
            let _ = shutdown(to, Shutdown::Write);
        }
        Ok(())
    }

    fn read(&mut self, from: &OwnedFd, means: &mut Means<'_>) {
        while self.readable && self.source == Source::Open {
            let room = self.pipe.room(means.weak).min(means.buffer.len());
            if room == 0 {
                return;
            }
            match recv(from, &mut means.buffer[..room], RecvFlags::DONTWAIT) {
                // A reset ends it too, after what came before.
                Ok((0, _)) => self.source = Source::Ended,
                Ok((length, _)) => {
                    let bytes = &means.buffer[..length];
                    self.pipe.take(means.weak, bytes, (means.now, self.drained));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.readable = false;
                    self.drained = means.now;
                }
                Err(_) => self.source = Source::Ended,
            }
        }
    }

    /// When there is something to do.
    fn next(&self) -> u64 {
        self.pipe.next().filter(|_| self.writable).unwrap_or(u64::MAX)
    }

    fn is_over(&self) -> bool {
        self.source == Source::Told
    }
}

impl Link {
    /// A client has connected; the connection's chance begins with `seed` once it is known who it
    /// is.
    pub(super) fn new(client: OwnedFd, token: u64, now: u64) -> Self {
        let mut link = Self {
            token,
            client,
            server: None,
            preface: Vec::new(),
            up: Way::new(0, 0, now),
            down: Way::new(0, 1, now),
            fate: None,
            ends: None,
            silent: false,
            armed: u64::MAX,
        };
        (link.up.readable, link.down.writable) = (true, true);
        link
    }

    /// Reads who the client is, if it has said so by now. An error is the end of the connection.
    pub(super) fn client_index(&mut self) -> Result<Option<u32>, Errno> {
        let mut buffer = [0; PREFACE];
        let wanted = PREFACE - self.preface.len();
        match recv(&self.client, &mut buffer[..wanted], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(Errno::CONNRESET),
            Ok((length, _)) => self.preface.extend(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(self.client())
    }

    /// Who the client is, as far as is known.
    pub(super) fn client(&self) -> Option<u32> {
        self.preface[..].try_into().ok().map(u32::from_le_bytes)
    }

    /// It is known where it goes: the way there begins.
    pub(super) fn begin(&mut self, server: OwnedFd, seed: u64, now: u64) {
        self.server = Some(server);
        let readable = std::mem::replace(&mut self.up, Way::new(seed, 0, now)).readable;
        let writable = std::mem::replace(&mut self.down, Way::new(seed, 1, now)).writable;
        (self.up.readable, self.down.writable) = (readable, writable);
    }

    /// Moves what can be moved, and gives `took` how long each segment to the client was on its
    /// way; whether the connection goes on.
    pub(super) fn turn(&mut self, means: &mut Means<'_>, took: impl FnMut(u64)) -> bool {
        let Some(server) = self.server.as_ref().filter(|_| !self.silent) else { return true };
        if self.up.turn((&self.client, server), means, |_| {}).is_err() {
            // What the gateway said before is still for the client.
            self.up.source = Source::Told;
            self.up.writable = false;
        }
        if self.down.turn((server, &self.client), means, took).is_err() {
            return false;
        }
        !(self.up.is_over() && self.down.is_over())
    }

    /// When it is to be looked at again.
    pub(super) fn next(&self) -> u64 {
        let moves = if self.silent { u64::MAX } else { self.up.next().min(self.down.next()) };
        moves.min(self.ends.unwrap_or(u64::MAX))
    }

    /// Up to when all that the gateway had written has left to the client; `None` for all of it.
    pub(super) fn clear(&self) -> Option<u64> {
        self.down.pipe.clear()
    }

    /// Resets both ends.
    pub(super) fn cut(self) {
        for socket in [Some(self.client), self.server].into_iter().flatten() {
            // Where it fails the end is an orderly one, which is an end too.
            let _ = set_socket_linger(&socket, Some(Duration::ZERO));
        }
    }
}

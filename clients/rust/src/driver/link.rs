//! One connection's socket, buffers and times.
//!
//! The socket is watched by edges: `readable` and `writable` are true until the kernel says "would
//! block". Written bytes are taken from the ledger only when everything before them has left, so a
//! slow gateway costs at most one window of queued requests.

use super::SOCKET;
use crate::error::Cause;
use holdfast_protocol::limits::{BACKEND_PAYLOAD, HEADER_BYTES};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Bytes read at once, and the size that the input has unless one frame is longer.
const INPUT: usize = 64 << 10;
/// An output buffer over this is given back once it is sent.
const OUTPUT_KEPT: usize = 1 << 20;

/// Where the conversation stands, and its one special time.
enum Stage {
    /// The kernel is connecting; given up then.
    Connecting {
        until: Instant,
    },
    /// Connected and not welcomed; given up then.
    Greeting {
        until: Instant,
    },
    Open,
    /// To be left once every answer is here, and then at the latest.
    Draining {
        until: Instant,
    },
}

pub(super) struct Link {
    stream: TcpStream,
    stage: Stage,
    readable: bool,
    writable: bool,
    /// The poll saw the other end stop writing: behind the last bytes there is an end to be read.
    ending: bool,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    sent: usize,
    /// When something was last heard.
    heard: Instant,
    /// When it was last pinged, if nothing was heard since.
    pinged: Option<Instant>,
}

impl Link {
    /// Begins to connect.
    pub(super) fn dial(socket: SocketAddr, poll: &Poll, patience: Duration) -> io::Result<Self> {
        let mut stream = TcpStream::connect(socket)?;
        poll.registry().register(&mut stream, SOCKET, Interest::READABLE | Interest::WRITABLE)?;
        let now = Instant::now();
        Ok(Self {
            stream,
            stage: Stage::Connecting { until: now + patience },
            readable: false,
            writable: false,
            ending: false,
            input: vec![0; INPUT],
            filled: 0,
            output: Vec::new(),
            sent: 0,
            heard: now,
            pinged: None,
        })
    }

    /// Takes note of what the poll saw.
    pub(super) fn note(&mut self, events: &Events) {
        for event in events.iter().filter(|event| event.token() == SOCKET) {
            self.ending |= event.is_read_closed() || event.is_error();
            self.readable |= event.is_readable() || self.ending;
            self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        }
    }

    /// Whether the connection stands.
    pub(super) fn finish_connect(&mut self) -> Result<bool, Cause> {
        let Stage::Connecting { until } = self.stage else { return Ok(true) };
        if !self.writable {
            return Ok(false);
        }
        if let Some(error) = self.stream.take_error().map_err(|error| Cause::io(&error))? {
            return Err(Cause::io(&error));
        }
        match self.stream.peer_addr() {
            Ok(_) => self.stage = Stage::Greeting { until },
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                self.writable = false;
                return Ok(false);
            }
            Err(error) => return Err(Cause::io(&error)),
        }
        // Requests are batched here already; the kernel's own batching would only add to their
        // latency.
        self.stream.set_nodelay(true).map_err(|error| Cause::io(&error))?;
        Ok(true)
    }

    fn is_connected(&self) -> bool {
        !matches!(self.stage, Stage::Connecting { .. })
    }

    // ---- bytes ----

    /// Reads once; whether the stream has ended.
    pub(super) fn read(&mut self) -> Result<bool, Cause> {
        if !self.readable {
            return Ok(false);
        }
        if self.filled == self.input.len() {
            // One frame is longer than the buffer; the decoder has seen its length, and bounded it.
            let longer = (self.input.len() * 2).min(BACKEND_PAYLOAD + HEADER_BYTES);
            self.input.resize(longer, 0);
        }
        let room = self.input.len() - self.filled;
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => return Ok(true),
            Ok(count) => {
                // A short read has emptied the socket, and whatever comes later is a new edge; so
                // under epoll and kqueue there is no need to ask again.
                self.readable = self.ending || count == room || cfg!(not(unix));
                self.filled += count;
                self.heard = Instant::now();
                self.pinged = None;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Cause::io(&error)),
        }
        Ok(false)
    }

    /// What was read and is not consumed.
    pub(super) fn received(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// So many bytes are understood.
    pub(super) fn consumed(&mut self, count: usize) {
        self.input.copy_within(count..self.filled, 0);
        self.filled -= count;
        if self.filled < INPUT && self.input.len() > INPUT {
            self.input.truncate(INPUT);
            self.input.shrink_to_fit();
        }
    }

    /// Writes what there is; `more` appends what was queued meanwhile.
    pub(super) fn write(&mut self, mut more: impl FnMut(&mut Vec<u8>)) -> Result<(), Cause> {
        while self.writable {
            if self.sent == self.output.len() {
                self.sent = 0;
                self.output.clear();
                self.output.shrink_to(OUTPUT_KEPT);
                more(&mut self.output);
            }
            if self.output.is_empty() {
                break;
            }
            match self.stream.write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Cause::io(&error)),
            }
        }
        Ok(())
    }

    /// Whether output can leave at once.
    pub(super) fn can_write(&self) -> bool {
        self.is_connected() && self.writable
    }

    /// Whether there may be more to read.
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether there is something to do without waiting, given whether there is `output`.
    pub(super) fn has_work(&self, output: bool) -> bool {
        self.is_connected() && self.readable || self.can_write() && output
    }

    // ---- times ----

    /// What the last frames said.
    pub(super) fn learnt(&mut self, welcomed: bool, drain: Option<Duration>) {
        if welcomed {
            self.stage = Stage::Open;
        }
        if let Some(delay) = drain {
            self.stage = Stage::Draining { until: Instant::now() + delay };
        }
    }

    pub(super) fn is_welcomed(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Draining { .. })
    }

    pub(super) fn welcome_is_late(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Connecting { until } | Stage::Greeting { until } => now >= until,
            Stage::Open | Stage::Draining { .. } => false,
        }
    }

    pub(super) fn is_silent(&self, now: Instant, bound: Duration) -> bool {
        self.is_welcomed() && now >= self.heard + bound
    }

    pub(super) fn is_drained(&self, now: Instant, settled: impl FnOnce() -> bool) -> bool {
        matches!(self.stage, Stage::Draining { until } if now >= until || settled())
    }

    /// Whether a ping is due; if so, it counts as sent.
    pub(super) fn wants_ping(&mut self, now: Instant, every: Duration) -> bool {
        let due = self.is_welcomed() && now >= self.pinged.unwrap_or(self.heard) + every;
        if due {
            self.pinged = Some(now);
        }
        due
    }

    /// When the clock next asks for something.
    pub(super) fn next_alarm(&self, ping_after: Duration) -> Instant {
        let ping = self.pinged.unwrap_or(self.heard) + ping_after;
        match self.stage {
            Stage::Connecting { until } | Stage::Greeting { until } => until,
            Stage::Draining { until } => until.min(ping),
            Stage::Open => ping,
        }
    }
}

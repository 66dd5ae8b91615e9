//! The client's own thread: dials, talks, and dials again.
//!
//! ```text
//!   Dialling ──welcome──▶ Open ──drain──▶ Draining
//!     ▲  │                 │                 │
//!     │  └── close ≥ 3500 ─┼──▶ Ended        │
//!     └──────── lost ──────┴─────────────────┘
//! ```
//!
//! It is the only one to touch the socket, to call sinks, and to tell of events; it does each of
//! them without holding the ledger's lock. It ends when the last handle is gone, or when a gateway
//! says "do not come back".

mod link;
mod route;

use crate::error::{Attempt, Cause, Error};
use crate::event::Event;
use crate::ledger::{Due, Heard, Phase, Shared};
use crate::receipt::Receipt;
use crate::sink::{Sink, WrongAnswer};
use holdfast_protocol::backend::answer::kind;
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::SKIPPABLE;
use link::Link;
use mio::{Events, Poll, Token};
use route::Route;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const WAKE: Token = Token(0);
const SOCKET: Token = Token(1);

/// How many times `ping_after` may pass in silence before the connection is given up.
const SILENT_TIMES: u32 = 3;

/// Why a conversation ended, or why there is no more of it.
enum End {
    /// The last handle is gone.
    Abandoned,
    /// To be dialled again.
    Lost(Cause),
}

impl From<Cause> for End {
    fn from(cause: Cause) -> Self {
        Self::Lost(cause)
    }
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    poll: Poll,
    events: Events,
    route: Route,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, poll: Poll) -> Self {
        let route = Route::new(&shared.options);
        Self { shared, poll, events: Events::with_capacity(8), route }
    }

    /// Lives the client's life.
    pub(crate) fn run(mut self) {
        self.shared.claim_driver();
        while !self.shared.abandoned() {
            let Some(delay) = self.visit() else { break };
            if !delay.is_zero() && self.pause(delay) {
                break;
            }
        }
    }

    /// Tries the next address and talks as long as it lasts; gives the delay before the next visit,
    /// or `None` when there must be none.
    fn visit(&mut self) -> Option<Duration> {
        let name = self.route.next();
        let sockets = match route::resolve(&name) {
            Ok(sockets) => sockets,
            Err(cause) => {
                self.failed(Attempt { address: Arc::clone(&name), cause });
                Vec::new()
            }
        };
        let mut talked = None;
        for socket in sockets {
            let address = route::label(&name, socket);
            let began = Instant::now();
            let (end, welcomed) = self.converse(socket, &address);
            match end {
                End::Abandoned => return None,
                End::Lost(cause) if is_terminal(&cause) => {
                    self.give_up(Attempt { address, cause });
                    return None;
                }
                End::Lost(cause) if welcomed => {
                    self.lost(Attempt { address, cause });
                    talked = Some(began.elapsed());
                    break;
                }
                End::Lost(cause) => self.failed(Attempt { address, cause }),
            }
        }
        let (delay, all_failed) = self.route.after(talked);
        if all_failed {
            self.shared.round_failed();
            self.tell(&Event::Waiting(delay));
        }
        Some(delay)
    }

    fn tell(&self, event: &Event) {
        if let Some(listener) = &self.shared.options.on_event {
            listener(event);
        }
    }

    fn hand_over(&self, receipt: Receipt) {
        if let Some(listener) = &self.shared.options.on_receipt {
            // As with a sink: a panic has spoken, and must not take the thread along.
            let _ = catch_unwind(AssertUnwindSafe(|| listener(receipt)));
        }
    }

    fn failed(&mut self, attempt: Attempt) {
        self.shared.dial_failed(attempt.clone());
        self.tell(&Event::Failed(attempt));
    }

    fn lost(&mut self, attempt: Attempt) {
        let sinks = self.shared.detach(Phase::dialling_after(attempt.clone()));
        self.tell(&Event::Lost { attempt: attempt.clone(), in_flight: sinks.len() });
        self.fail_all(sinks, &Error::ConnectionLost(attempt));
    }

    fn give_up(&mut self, attempt: Attempt) {
        let Cause::Closed(close) = &attempt.cause else { return };
        let sinks = self.shared.detach(Phase::refused(&attempt.address, close));
        self.tell(&Event::Refused { address: Arc::clone(&attempt.address), close: close.clone() });
        self.fail_all(sinks, &Error::ConnectionLost(attempt));
    }

    /// Sleeps; whether the last handle went meanwhile.
    fn pause(&mut self, delay: Duration) -> bool {
        let end = Instant::now() + delay;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.shared.abandoned() {
                return true;
            }
            if left.is_zero() {
                return false;
            }
            // An interrupted wait is a short one; the clock is read again.
            let _ = self.poll.poll(&mut self.events, Some(left));
        }
    }

    fn fail_all(&self, sinks: Vec<Sink>, error: &Error) {
        if sinks.is_empty() {
            return;
        }
        for sink in sinks {
            sink.fail(error.clone());
        }
        self.shared.handed_over();
    }

    /// One connection from the first packet to its end; whether it was welcomed.
    fn converse(&mut self, socket: SocketAddr, address: &Arc<str>) -> (End, bool) {
        let patience = self.shared.options.connect_timeout;
        let mut link = match Link::dial(socket, &self.poll, patience) {
            Ok(link) => link,
            Err(error) => return (End::Lost(Cause::io(&error)), false),
        };
        self.shared.attach();
        let end = loop {
            if let Err(end) = self.turn(&mut link, address) {
                break end;
            }
        };
        (end, link.is_welcomed())
    }

    /// Sleeps until there is something to do, and does all of it once.
    fn turn(&mut self, link: &mut Link, address: &Arc<str>) -> Result<(), End> {
        let due = self.shared.due(link.can_write());
        if due.abandoned {
            return Err(End::Abandoned);
        }
        let timeout = self.timeout(link, &due);
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Cause::io(&error).into());
            }
            _ => {}
        }
        link.note(&self.events);
        if !link.finish_connect()? {
            return self.keep_time(link);
        }
        let ended = link.read()?;
        self.hear(link, address)?;
        if ended {
            return Err(Cause::EndOfStream.into());
        }
        self.keep_time(link)?;
        if let Err(cause) = link.write(|bytes| self.shared.take_output(bytes)) {
            // The other end may have said why it closes before it stopped to read.
            while link.read() == Ok(false) && link.is_readable() {}
            self.hear(link, address)?;
            return Err(cause.into());
        }
        Ok(())
    }

    /// How long the thread may sleep; zero when there is work already.
    fn timeout(&self, link: &Link, due: &Due) -> Duration {
        if link.has_work(due.output) {
            return Duration::ZERO;
        }
        let next = link.next_alarm(self.shared.options.ping_after);
        let next = due.deadline.map_or(next, |deadline| deadline.min(next));
        next.saturating_duration_since(Instant::now())
    }

    /// Hands every complete frame that was read to whom it is for.
    fn hear(&mut self, link: &mut Link, address: &Arc<str>) -> Result<(), Cause> {
        let Some(first) = link.received().first() else { return Ok(()) };
        if !link.is_welcomed() && !may_begin(*first) {
            return Err(Cause::Protocol(Violation::UnknownKind));
        }
        let mut heard = Vec::new();
        let (taken, mut wrong) = self.shared.receive(link.received(), &mut heard);
        let mut welcomed = false;
        let mut drain = None;
        let mut close = None;
        for one in heard {
            match one {
                Heard::Answer(sink, answer) => {
                    if let Err(WrongAnswer(sink)) = sink.answer(&answer) {
                        let cause = Cause::Protocol(Violation::WrongState);
                        let attempt = Attempt { address: Arc::clone(address), cause };
                        sink.fail(Error::ConnectionLost(attempt));
                        wrong = Some(Violation::WrongState);
                    }
                }
                Heard::Welcome(welcome) => {
                    welcomed = true;
                    self.tell(&Event::Connected { address: Arc::clone(address), welcome });
                }
                Heard::Drain(delay) => {
                    drain = Some(delay);
                    self.tell(&Event::Draining { address: Arc::clone(address), delay });
                }
                Heard::Close(why) => close = Some(why),
                Heard::Receipt(receipt) => self.hand_over(receipt),
            }
        }
        self.shared.handed_over();
        link.consumed(taken);
        link.learnt(welcomed, drain);
        match (close, wrong) {
            (Some(close), _) => Err(Cause::Closed(close)),
            (None, Some(violation)) => Err(Cause::Protocol(violation)),
            (None, None) => Ok(()),
        }
    }

    /// What the clock asks for: answers that did not come, pings, and the end of a silent or
    /// draining link.
    fn keep_time(&self, link: &mut Link) -> Result<(), End> {
        let now = Instant::now();
        let options = &self.shared.options;
        self.fail_all(self.shared.expire(now), &Error::TimedOut(options.timeout));
        if link.welcome_is_late(now) {
            return Err(Cause::NoWelcome(options.connect_timeout).into());
        }
        if link.is_silent(now, options.ping_after * SILENT_TIMES) {
            return Err(Cause::Silent(options.ping_after * SILENT_TIMES).into());
        }
        if link.is_drained(now, || self.shared.is_settled()) {
            return Err(Cause::Drained.into());
        }
        if link.wants_ping(now, options.ping_after) {
            self.shared.ping();
        }
        Ok(())
    }
}

impl Drop for Driver {
    /// However the thread ends, nobody waits for it any longer.
    fn drop(&mut self) {
        self.fail_all(self.shared.end(), &Error::Closed);
    }
}

/// Whether a gateway's first frame may be of this kind. Another server's greeting would otherwise
/// be taken for the beginning of a long frame, and waited for.
fn may_begin(kind: u8) -> bool {
    matches!(kind, kind::WELCOME | kind::CLOSE | SKIPPABLE..)
}

fn is_terminal(cause: &Cause) -> bool {
    matches!(cause, Cause::Closed(close) if close.terminal())
}

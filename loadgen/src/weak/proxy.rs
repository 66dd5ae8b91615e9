//! The threads of the proxy, each with its own descriptors, connections and clock of departures.
//!
//! A thread waits for its sockets and for the next segment that is due, and moves bytes in short
//! turns; it never touches a client's thread. What it cannot read for want of room stays with the
//! kernel, so a full way holds its sender back and costs no memory.

use super::board::Board;
use super::fate::{self, Fate};
use super::link::{Link, Means};
use super::{OWN, Weak};
use crate::clock::{MILLISECOND, SECOND};
use crate::fleet::shared::{Phase, Shared};
use crate::fleet::socket;
use crate::histogram::Tally;
use crate::schedule::chance;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

/// How many reports one wait takes.
const REPORTS: usize = 1_024;
/// The listener's own among the reports.
const LISTENER: u64 = u64::MAX;
/// One read takes at most so many bytes.
const READ_BYTES: usize = 64 << 10;
/// The longest wait, after which the clients are told again how far the thread is.
const LONGEST: u64 = 5 * MILLISECOND;
/// Delays are added to the run's once in this time.
const PUBLISH: u64 = SECOND / 2;

/// Starts the proxy's threads, if the scenario has a weak network, and waits until they listen.
///
/// # Errors
/// A thread could not be set up; the text says why.
pub(crate) fn start(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, String> {
    let (Some(weak), Some(board)) = (&shared.scenario.weak, &shared.board) else {
        return Ok(Vec::new());
    };
    let (mut threads, mut ports) = (Vec::new(), Vec::new());
    for index in 0..shared.scenario.proxies {
        let (ready, started) = mpsc::channel();
        let (shared, weak, board) = (Arc::clone(shared), weak.clone(), Arc::clone(board));
        let work = move || match Proxy::open(&shared, &weak, &board, index) {
            Ok((proxy, port)) => {
                drop(ready.send(Ok(port)));
                proxy.run();
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let thread = thread::Builder::new().name(format!("network-{index}")).spawn(work);
        threads.push(thread.map_err(|error| format!("cannot start a thread: {error}"))?);
        let port = started.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        ports.push(port.map_err(|error| format!("cannot set up the weak network: {error}"))?);
    }
    board.listen(ports);
    Ok(threads)
}

/// One thread.
struct Proxy<'a> {
    shared: &'a Shared,
    weak: &'a Weak,
    board: &'a Board,
    index: u32,
    set: OwnedFd,
    listener: TcpListener,
    links: Vec<Option<Link>>,
    free: Vec<usize>,
    /// When to look at which connection again; entries that are not its `armed` are stale.
    timers: BinaryHeap<Reverse<(u64, usize, u64)>>,
    /// Of each client: its last connection, and how many it has had.
    owners: HashMap<u32, (u64, u64)>,
    tokens: u64,
    rough: bool,
    buffer: Vec<u8>,
    tally: Tally,
    published: u64,
}

impl<'a> Proxy<'a> {
    fn open(
        shared: &'a Shared,
        weak: &'a Weak,
        board: &'a Board,
        index: u32,
    ) -> io::Result<(Self, SocketAddr)> {
        socket::own_descriptors()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // Clients may come in a wave; the standard library's own queue is short.
        rustix::net::listen(&listener, 16_384)?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&set, &listener, data, epoll::EventFlags::IN)?;
        let proxy = Self {
            shared,
            weak,
            board,
            index,
            set,
            listener,
            links: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            owners: HashMap::new(),
            tokens: 0,
            rough: false,
            buffer: vec![0; READ_BYTES],
            tally: Tally::new(),
            published: 0,
        };
        Ok((proxy, port))
    }

    /// Moves bytes until the run stops.
    fn run(mut self) {
        let mut reports = Vec::with_capacity(REPORTS);
        while self.shared.phase() != Phase::Stop {
            let before = self.shared.clock.now();
            let next = self.timers.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let wait = next.saturating_sub(before).min(LONGEST);
            reports.clear();
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::try_from(wait).unwrap_or_default() };
            // Only a signal can end the wait early; then nothing is reported.
            let _ = epoll::wait(&self.set, spare_capacity(&mut reports), Some(&wait));
            let now = self.shared.clock.now();
            self.weather(now);
            for report in &reports {
                self.report(*report, now);
            }
            self.due(now);
            // Where more was to be reported, not all that came is seen.
            if reports.len() < REPORTS {
                self.board.sweep(self.index, now);
            }
            if now - self.published > PUBLISH {
                self.published = now;
                self.shared.absorb(&mut self.tally);
            }
        }
        self.shared.absorb(&mut self.tally);
    }

    fn report(&mut self, report: epoll::Event, now: u64) {
        let data = report.data.u64();
        if data == LISTENER {
            return self.accept(now);
        }
        let Ok(place) = usize::try_from(data / 2) else { return };
        let Some(link) = self.links.get_mut(place).and_then(Option::as_mut) else { return };
        let of_client = data.is_multiple_of(2);
        let (out, back) = if of_client {
            (&mut link.up.readable, &mut link.down.writable)
        } else {
            (&mut link.down.readable, &mut link.up.writable)
        };
        let flags = report.flags;
        *out |= flags.intersects(!epoll::EventFlags::OUT);
        *back |= flags.intersects(!epoll::EventFlags::IN);
        self.turn(place, now);
    }

    fn accept(&mut self, now: u64) {
        loop {
            match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(client) => self.add(client, now),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => return,
            }
        }
    }

    fn add(&mut self, client: OwnedFd, now: u64) {
        self.tokens += 1;
        let place = self.free.pop().unwrap_or(self.links.len());
        if self.watch(&client, place, 0).is_ok() {
            // Without it small frames wait for each other; it is no matter of right or wrong.
            let _ = rustix::net::sockopt::set_tcp_nodelay(&client, true);
            let link = Some(Link::new(client, self.tokens, now));
            match self.links.get_mut(place) {
                Some(free) => *free = link,
                None => self.links.push(link),
            }
            self.turn(place, now);
        } else {
            self.free.push(place);
        }
    }

    fn watch(&self, socket: &OwnedFd, place: usize, side: u64) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        let flags = flags | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(place as u64 * 2 + side);
        Ok(epoll::add(&self.set, socket, data, flags)?)
    }

    /// Looks at one connection.
    fn turn(&mut self, place: usize, now: u64) {
        let Some(mut link) = self.links.get_mut(place).and_then(Option::take) else { return };
        if link.server.is_none() && !self.introduce(&mut link, place, now) {
            self.free.push(place);
            return;
        }
        if link.ends.is_some_and(|at| at <= now) {
            link.ends = None;
            match link.fate {
                Some((_, Fate::Cut)) => return self.cut(link, place),
                Some((_, Fate::Silent)) => self.silence(&mut link),
                None => {}
            }
        }
        let mut means = Means { weak: self.weak, buffer: &mut self.buffer, now };
        let tally = &mut self.tally;
        let goes_on = link.turn(&mut means, |took| tally.network.record(took));
        let owner = link.client().filter(|client| self.owns(*client, &link));
        if let Some(client) = owner.filter(|_| !link.silent) {
            self.board.clear(client, link.clear());
        }
        if goes_on {
            self.arm(&mut link, place);
            self.links[place] = Some(link);
        } else {
            self.free.push(place);
        }
    }

    /// Learns who the client is, if it has said so, and begins the way to the gateway; whether the
    /// connection goes on.
    fn introduce(&mut self, link: &mut Link, place: usize, now: u64) -> bool {
        let client = match link.client_index() {
            Ok(Some(client)) => client,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let scenario = &self.shared.scenario;
        let Ok(server) = scenario.dial(client, false) else { return false };
        if self.watch(&server, place, 1).is_err() {
            return false;
        }
        let (owner, had) = self.owners.entry(client).or_default();
        (*owner, *had) = (link.token, *had + 1);
        let seed = chance::hash(scenario.schedule.seed ^ OWN, u64::from(client));
        let seed = chance::hash(seed, *had);
        link.begin(server, seed, now);
        link.fate = fate::drawn(self.weak, seed);
        link.ends = link.fate.filter(|_| self.rough).map(|(after, _)| now.saturating_add(after));
        self.board.begins(client);
        true
    }

    /// Whether this is the last connection of its client.
    fn owns(&self, client: u32, link: &Link) -> bool {
        self.owners.get(&client).is_some_and(|(owner, _)| *owner == link.token)
    }

    fn arm(&mut self, link: &mut Link, place: usize) {
        let next = link.next();
        if next < link.armed {
            link.armed = next;
            self.timers.push(Reverse((next, place, link.token)));
        }
    }

    /// Looks at every connection whose moment has come.
    fn due(&mut self, now: u64) {
        while let Some(&Reverse((at, place, token))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            let link = self.links.get_mut(place).and_then(Option::as_mut);
            if let Some(link) = link.filter(|link| link.token == token && link.armed == at) {
                link.armed = u64::MAX;
                self.turn(place, now);
            }
        }
    }

    /// Lets connections be cut and fall silent, or ends that: what hangs is cut then.
    fn weather(&mut self, now: u64) {
        let rough = self.board.is_rough();
        if std::mem::replace(&mut self.rough, rough) == rough {
            return;
        }
        for place in 0..self.links.len() {
            let Some(mut link) = self.links[place].take() else { continue };
            if link.silent {
                self.cut(link, place);
                continue;
            }
            let after = link.fate.filter(|_| rough).map(|(after, _)| after);
            link.ends = after.map(|after| now.saturating_add(after));
            self.arm(&mut link, place);
            self.links[place] = Some(link);
        }
    }

    fn silence(&self, link: &mut Link) {
        link.silent = true;
        self.say_end(link);
    }

    fn cut(&mut self, link: Link, place: usize) {
        if !link.silent {
            self.say_end(&link);
        }
        link.cut();
        self.free.push(place);
    }

    /// Tells the client up to when all came through.
    fn say_end(&self, link: &Link) {
        if let Some(client) = link.client().filter(|client| self.owns(*client, link)) {
            let clear = link.clear().unwrap_or_else(|| self.board.swept(self.index));
            self.board.ends(client, clear);
        }
    }
}

//! The clients of one descriptor table, and the plainest loop that can move them.
//!
//! Between phases nobody waits on the sockets: what comes stays in the kernel until the next phase
//! takes it.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use holdfast_protocol::client::from_client;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with, sockopt,
};
use rustix::process::{Pid, Signal, kill_process};

use super::acks::Acks;
use super::stamp;
use crate::floor::language::{Language, Wanted};

/// Logins that wait for their answer at the same time.
const OPENING: usize = 64;
/// Connects that meet the server at once in a storm or a crowd; less than a listener's queue holds.
const STORM: usize = 512;
/// Connections from one source address. The kernel looks at every second port first; past those,
/// about 14,000 by default, each connect walks over all that are taken.
const PER_SOURCE: u32 = 10_000;
/// Ample time to accept a burst that waits for no answer.
const SILENT_BURST: Duration = Duration::from_millis(50);
/// A phase fails when so long nothing comes: longer than a broadcast to a million takes, as its
/// last clients hear nothing before.
const PATIENCE: Duration = Duration::from_mins(2);
/// Events of one wait.
const EVENTS: usize = 512;

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    /// The beginning of a message whose end has not come.
    held: Vec<u8>,
}

/// How clients are connected.
#[derive(Debug, Clone, Copy)]
pub(in crate::floor) struct Manner {
    /// Each says its greeting and is answered.
    pub(in crate::floor) greet: bool,
    /// A storm: this process, the server, stands still while a burst of them connects. It then has
    /// as much before it as a server has when a whole city reconnects, however slow the driver is.
    pub(in crate::floor) held: Option<u32>,
    /// How many connect before the first is waited for.
    pub(in crate::floor) burst: usize,
}

impl Manner {
    /// Without a word.
    pub(in crate::floor) const SILENT: Self = Self { greet: false, held: None, burst: OPENING };
    /// Each says its greeting; a few at a time.
    pub(in crate::floor) const POLITE: Self = Self { greet: true, held: None, burst: OPENING };
    /// Each says its greeting; as many at once as the server can be given while it runs.
    pub(in crate::floor) const CROWD: Self = Self { greet: true, held: None, burst: STORM };

    /// A storm that meets this process, with a greeting or without.
    pub(in crate::floor) const fn storm(server: u32, greet: bool) -> Self {
        Self { greet, held: Some(server), burst: STORM }
    }
}

/// The loopback address that a client connects from.
fn source(number: u32) -> Ipv4Addr {
    const FIRST: u32 = u32::from_be_bytes([127, 0, 1, 1]);
    Ipv4Addr::from(FIRST + number / PER_SOURCE)
}

/// Connects the client with this number, from a source address that has ports left.
pub(crate) fn connect_from(number: u32, target: SocketAddrV4) -> io::Result<OwnedFd> {
    let kind = SocketType::STREAM;
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    // Closing resets: a closed client leaves nothing behind that the next run would meet.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    setsockopt(&socket, IpBindAddressNoPort, &true)?;
    bind(&socket, &SocketAddrV4::new(source(number), 0))?;
    connect(&socket, &target)?;
    Ok(socket)
}

fn hold(server: Option<u32>, signal: Signal) -> Result<(), String> {
    let Some(pid) = server else { return Ok(()) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("not a process")?;
    kill_process(pid, signal).map_err(|error| format!("cannot hold the server: {error}"))
}

/// Cuts at most `room` numbers off the front.
pub(super) fn take_front(left: &mut Range<u32>, room: usize) -> Range<u32> {
    let end = left.end.min(left.start.saturating_add(u32::try_from(room).unwrap_or(u32::MAX)));
    let taken = left.start..end;
    left.start = end;
    taken
}

/// Clients in one table. One thread owns it.
pub(super) struct Fleet {
    language: Language,
    target: SocketAddrV4,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    pub(super) acks: Acks,
    /// When this round of events was taken.
    now: Instant,
    /// How late each stamped message came, in nanoseconds.
    pub(super) latency: Histogram<u64>,
}

impl Fleet {
    pub(super) fn new(language: Language, target: SocketAddrV4) -> io::Result<Self> {
        Ok(Self {
            language,
            target,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS),
            clients: Vec::new(),
            buffer: vec![0; 64 * 1024],
            acks: Acks::default(),
            now: Instant::now(),
            latency: stamp::histogram().map_err(io::Error::other)?,
        })
    }

    /// Connects one client for each number, in the given manner.
    pub(super) fn open(
        &mut self,
        mut numbers: Range<u32>,
        manner: Manner,
        token: &dyn Fn(u32) -> Vec<u8>,
    ) -> Result<(), String> {
        while !numbers.is_empty() {
            let some = take_front(&mut numbers, manner.burst);
            let expected = if manner.greet { some.len() } else { 0 };
            hold(manner.held, Signal::STOP)?;
            let opened = self.open_burst(some, manner.greet, token);
            hold(manner.held, Signal::CONT)?;
            opened?;
            self.collect(Wanted::Greeting, expected)?;
            if manner.held.is_some() && !manner.greet {
                // Nothing will say that the burst was accepted, and the queue must not overflow.
                sleep(SILENT_BURST);
            }
        }
        Ok(())
    }

    fn open_burst(
        &mut self,
        numbers: Range<u32>,
        greet: bool,
        token: &dyn Fn(u32) -> Vec<u8>,
    ) -> Result<(), String> {
        let mut greeting = Vec::new();
        for number in numbers {
            let socket =
                connect_from(number, self.target).map_err(|error| format!("connect: {error}"))?;
            let data = epoll::EventData::new_u64(self.clients.len() as u64);
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&self.epoll, &socket, data, flags).map_err(|error| error.to_string())?;
            if greet {
                greeting.clear();
                self.language.greeting(number, &token(number), &mut greeting);
                send(&socket, &greeting, SendFlags::NOSIGNAL)
                    .map_err(|error| format!("greeting: {error}"))?;
            }
            self.clients.push(Client { socket, held: Vec::new() });
            self.acks.add();
        }
        Ok(())
    }

    /// Each client knocks and is answered, `rounds` times.
    pub(super) fn echo(&mut self, rounds: usize) -> Result<(), String> {
        for _ in 0..rounds {
            for client in &self.clients {
                send(&client.socket, self.language.knock(), SendFlags::NOSIGNAL)
                    .map_err(|error| format!("knock: {error}"))?;
            }
            self.collect(Wanted::Echo, self.clients.len())?;
        }
        Ok(())
    }

    /// Knocks `rate` times a second, going round the clients, for so long. Each knock is sent when
    /// it is due, whether or not those before it were answered.
    pub(super) fn beat(&mut self, rate: f64, time: Duration) -> Result<usize, String> {
        let (start, mut sent, mut answered) = (Instant::now(), 0_u32, 0);
        let pause = Duration::from_secs_f64(1.0 / rate);
        while start.elapsed() < time {
            while pause * sent <= start.elapsed() {
                let client = &self.clients[sent as usize % self.clients.len()];
                send(&client.socket, self.language.knock(), SendFlags::NOSIGNAL)
                    .map_err(|error| format!("knock: {error}"))?;
                sent += 1;
            }
            answered += self.turn(Wanted::Echo, (pause * sent).saturating_sub(start.elapsed()))?;
        }
        self.collect(Wanted::Echo, (sent as usize).saturating_sub(answered))?;
        Ok(sent as usize)
    }

    /// Connects one client for each number, each of which takes `each` durable messages that wait
    /// for it, and acknowledges them.
    pub(super) fn load(
        &mut self,
        numbers: Range<u32>,
        each: usize,
        token: &dyn Fn(u32) -> Vec<u8>,
    ) -> Result<usize, String> {
        let count = numbers.len() * each;
        self.acks.count_from_here();
        self.open(numbers, Manner::CROWD, token)?;
        // What a greeting waited for may have brought messages with it.
        let came = self.acks.came();
        self.collect(Wanted::Message, count.saturating_sub(came))?;
        self.acknowledge_all()?;
        match self.acks.came() {
            came if came == count => Ok(count),
            came => Err(format!("{came} of {count} messages that waited came")),
        }
    }

    /// Receives until `count` of what is wanted have come; gives how many came.
    pub(super) fn collect(&mut self, wanted: Wanted, count: usize) -> Result<usize, String> {
        let mut came = 0;
        let mut heard = Instant::now();
        while came < count {
            let now = self.turn(wanted, Duration::from_millis(500))?;
            came += now;
            if now > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                return Err(format!("only {came} of {count} came ({wanted:?})"));
            }
        }
        Ok(came)
    }

    /// Waits once and takes what came; gives how many were wanted.
    pub(super) fn turn(&mut self, wanted: Wanted, timeout: Duration) -> Result<usize, String> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let timeout = self.acks.pause(Instant::now()).map_or(timeout, |pause| pause.min(timeout));
        let timeout = Timespec::try_from(timeout).map_err(|error| error.to_string())?;
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("epoll: {error}")),
        }
        self.now = Instant::now();
        let mut came = 0;
        for event in &events {
            let index = usize::try_from(event.data.u64()).map_err(|error| error.to_string())?;
            came += self.take(index, wanted)?;
        }
        self.events = events;
        while let Some((client, sequence)) = self.acks.due(self.now) {
            self.acknowledge(client, sequence)?;
        }
        Ok(came)
    }

    fn acknowledge(&self, client: usize, sequence: u64) -> Result<(), String> {
        let mut word = Vec::with_capacity(16);
        from_client::put_ack(sequence, &mut word);
        send(&self.clients[client].socket, &word, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|error| format!("client {client}: acknowledgement: {error}"))
    }

    /// Nobody owes anything any more.
    pub(super) fn acknowledge_all(&mut self) -> Result<(), String> {
        while let Some((client, sequence)) = self.acks.next() {
            self.acknowledge(client, sequence)?;
        }
        Ok(())
    }

    fn take(&mut self, index: usize, wanted: Wanted) -> Result<usize, String> {
        let client = &mut self.clients[index];
        let mut came = 0;
        loop {
            let length = match recv(&client.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT)
            {
                Ok((0, _)) => return Err(format!("client {index}: the server hung up")),
                Ok((length, _)) => length,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(came),
                Err(error) => return Err(format!("client {index}: {error}")),
            };
            let bytes = &self.buffer[..length];
            if !client.held.is_empty() {
                client.held.extend_from_slice(bytes);
            }
            let whole = if client.held.is_empty() { bytes } else { &client.held };
            let mut at = 0;
            while let Some(taken) = self.language.split(&whole[at..], wanted)? {
                at += taken.length;
                if let Some(durable) = taken.durable
                    && !self.acks.heard(index, durable, self.now)?
                {
                    continue;
                }
                came += usize::from(taken.wanted);
                if let Some(late) = stamp::lateness(taken.body) {
                    self.latency.saturating_record(late);
                }
            }
            client.held = whole[at..].to_vec();
            if length < self.buffer.len() {
                return Ok(came);
            }
        }
    }
}

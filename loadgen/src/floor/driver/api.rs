//! The backend's side of a driver: a control connection per bare shard, or the gateway's backend
//! API.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use holdfast_protocol::backend::answer::{Answer, Outcome};
use holdfast_protocol::backend::machine::{Machine, Refused, State};
use holdfast_protocol::backend::request::{self, Broadcast, Target};
use holdfast_protocol::client::Class;

use crate::floor::control::{self, MESSAGE};
use crate::floor::language::{PRODUCT, user};

const PATIENCE: Duration = Duration::from_mins(2);

/// A backend of the subject.
#[derive(Debug)]
pub(super) enum Api {
    Bare(Vec<TcpStream>),
    Holdfast(Box<Backend>),
}

/// One connection to the gateway's API.
#[derive(Debug)]
pub(super) struct Backend {
    stream: TcpStream,
    machine: Machine,
    input: Vec<u8>,
}

/// Requests to be pushed, each a list of users' numbers.
#[derive(Debug)]
pub(super) struct Pushes {
    pub(super) requests: Vec<Vec<u32>>,
    /// Messages to each user listed.
    pub(super) repeat: u32,
    /// Requests without an answer at the same time.
    pub(super) in_flight: usize,
}

fn dial(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Api {
    pub(super) fn bare(ports: &[u16]) -> io::Result<Self> {
        ports.iter().map(|port| dial(*port)).collect::<io::Result<_>>().map(Self::Bare)
    }

    pub(super) fn holdfast(port: u16, key: &str) -> Result<Self, String> {
        Backend::open(port, key).map(|backend| Self::Holdfast(Box::new(backend)))
    }

    /// How many connections the subject has; `None` where it cannot be asked.
    pub(super) fn count(&mut self) -> Result<Option<usize>, String> {
        let Self::Bare(streams) = self else { return Ok(None) };
        let mut command = Vec::new();
        control::put_count(&mut command);
        let counts = command_all(streams, &command).map_err(|error| error.to_string())?;
        Ok(Some(counts.iter().sum()))
    }

    /// Has `copies` messages sent to each client, as one send where the subject is bare.
    pub(super) fn broadcast(&mut self, copies: u32) -> Result<(), String> {
        match self {
            Self::Bare(streams) => {
                let mut command = Vec::new();
                control::put_all(copies, MESSAGE, &mut command);
                command_all(streams, &command).map(drop).map_err(|error| error.to_string())
            }
            Self::Holdfast(backend) => (0..copies).try_for_each(|_| backend.broadcast()),
        }
    }

    /// Pushes the requests, pipelined, and waits for every answer.
    pub(super) fn push(&mut self, pushes: &Pushes) -> Result<(), String> {
        match self {
            Self::Bare(streams) => {
                push_bare(&mut streams[0], pushes).map_err(|error| error.to_string())
            }
            Self::Holdfast(backend) => backend.push_all(pushes),
        }
    }

    /// Pushes one message to one user; its answer is awaited with the next.
    pub(super) fn push_one(&mut self, number: u32, body: &[u8]) -> Result<(), String> {
        match self {
            Self::Bare(_) => Err("a bare server has no users".into()),
            Self::Holdfast(backend) => backend.push_one(number, body),
        }
    }
}

fn command_all(streams: &mut [TcpStream], command: &[u8]) -> io::Result<Vec<usize>> {
    for stream in streams.iter_mut() {
        stream.write_all(command)?;
    }
    streams.iter_mut().map(answer).collect()
}

fn answer(stream: &mut TcpStream) -> io::Result<usize> {
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(u32::from_le_bytes(answer) as usize)
}

fn push_bare(stream: &mut TcpStream, pushes: &Pushes) -> io::Result<()> {
    let (mut sent, mut expected) = (0, 0);
    let mut command = Vec::new();
    for (index, list) in pushes.requests.iter().enumerate() {
        // As long on the wire as the request of a gateway for the same work.
        let mut real = Vec::new();
        with_targets(list, pushes.repeat, |targets| {
            request::put_push(1, PRODUCT, targets, &mut real);
        });
        command.clear();
        control::put_listed(pushes.repeat, list, real.len(), &mut command);
        if index >= pushes.in_flight {
            sent += answer(stream)?;
        }
        stream.write_all(&command)?;
        expected += list.len();
    }
    for _ in 0..pushes.in_flight.min(pushes.requests.len()) {
        sent += answer(stream)?;
    }
    if sent == expected { Ok(()) } else { Err(io::Error::other("not every send succeeded")) }
}

/// Lends the targets of one request. Bodies alternate, so that none rides as a copy of the one
/// before.
fn with_targets<T>(list: &[u32], repeat: u32, use_it: impl FnOnce(&[Target<'_>]) -> T) -> T {
    static BODIES: [[u8; MESSAGE]; 2] = [[0x5a; MESSAGE], [0xa5; MESSAGE]];
    let users: Vec<String> = list.iter().map(|number| user(*number)).collect();
    let repeated = users.iter().flat_map(|user| std::iter::repeat_n(user, repeat as usize));
    let targets: Vec<Target<'_>> = repeated
        .zip(BODIES.iter().cycle())
        .map(|(user, body)| Target {
            user,
            class: Class::Online,
            ttl: 0,
            key: &[],
            receipt: false,
            body,
        })
        .collect();
    use_it(&targets)
}

impl Backend {
    fn open(port: u16, key: &str) -> Result<Self, String> {
        let stream = dial(port).map_err(|error| format!("backend API: {error}"))?;
        let machine = Machine::new("floor-driver", key.as_bytes());
        let mut backend = Self { stream, machine, input: Vec::new() };
        while !matches!(backend.machine.state(), State::Open(_)) {
            backend.exchange()?;
        }
        Ok(backend)
    }

    fn flush(&mut self) -> Result<(), String> {
        let written = self.stream.write_all(self.machine.output());
        self.machine.output().clear();
        written.map_err(|error| format!("backend API: {error}"))
    }

    /// Sends what is due and waits for something to come.
    fn exchange(&mut self) -> Result<(), String> {
        self.flush()?;
        let mut buffer = [0; 16 * 1024];
        let length =
            self.stream.read(&mut buffer).map_err(|error| format!("backend API: {error}"))?;
        if length == 0 {
            return Err("backend API: the gateway hung up".into());
        }
        self.input.extend_from_slice(&buffer[..length]);
        let mut taken = 0;
        let received = |violation| format!("backend API: {violation}");
        while let Some((answer, length)) =
            self.machine.receive(&self.input[taken..]).map_err(received)?
        {
            taken += length;
            check(&answer)?;
        }
        self.input.drain(..taken);
        Ok(())
    }

    fn broadcast(&mut self) -> Result<(), String> {
        let broadcast = Broadcast {
            product: PRODUCT,
            tag: "",
            class: Class::Online,
            ttl: 0,
            users_per_second: 0,
            bits_per_second: 0,
            key: &[],
            body: &[0x5a; MESSAGE],
        };
        self.machine.broadcast(&broadcast).map_err(|refused| format!("broadcast: {refused:?}"))?;
        self.drain(0)
    }

    fn drain(&mut self, in_flight: usize) -> Result<(), String> {
        while self.machine.unanswered().count() > in_flight {
            self.exchange()?;
        }
        Ok(())
    }

    fn push_all(&mut self, pushes: &Pushes) -> Result<(), String> {
        for list in &pushes.requests {
            self.drain(pushes.in_flight.saturating_sub(1))?;
            with_targets(list, pushes.repeat, |targets| self.push(targets))?;
        }
        self.drain(0)
    }

    fn push_one(&mut self, number: u32, body: &[u8]) -> Result<(), String> {
        let user = user(number);
        self.drain(64)?;
        let class = Class::Online;
        self.push(&[Target { user: &user, class, ttl: 0, key: &[], receipt: false, body }])
    }

    fn push(&mut self, targets: &[Target<'_>]) -> Result<(), String> {
        loop {
            match self.machine.push(PRODUCT, targets) {
                Ok(_) => return self.flush(),
                Err(Refused::WindowFull) => self.exchange()?,
                Err(refused) => return Err(format!("push: {refused:?}")),
            }
        }
    }
}

/// Anything but a delivery spoils the measurement.
fn check(answer: &Answer<'_>) -> Result<(), String> {
    match answer {
        Answer::Push(_, outcomes) => {
            let failed = outcomes.iter().find(|outcome| !matches!(outcome, Outcome::Delivered(_)));
            failed.map_or(Ok(()), |outcome| Err(format!("push: {}", outcome.name())))
        }
        Answer::Error { code, text, .. } => Err(format!("backend API: {code} {text}")),
        Answer::Close { code, reason } => Err(format!("backend API closed: {code} {reason}")),
        _ => Ok(()),
    }
}

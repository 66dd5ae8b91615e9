//! The backend's side of a driver: a control connection per bare shard, or the gateway's backend
//! API.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::ops::Range;
use std::time::Duration;

use holdfast_protocol::backend::answer::{Answer, Outcome};
use holdfast_protocol::backend::machine::{Machine, Refused, State};
use holdfast_protocol::backend::request::{self, Broadcast, MailboxAction, Target};
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
    /// The class of what is unanswered.
    class: Class,
}

/// Requests to be pushed, each a list of users' numbers.
#[derive(Debug)]
pub(super) struct Pushes {
    pub(super) requests: Vec<Vec<u32>>,
    /// Messages to each user listed.
    pub(super) repeat: u32,
    /// Requests without an answer at the same time.
    pub(super) in_flight: usize,
    /// What is pushed.
    pub(super) sort: Sort,
}

/// What kind of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) class: Class,
    /// Bytes of a body, 1 to [`BODY_MAX`].
    pub(super) body: usize,
}

impl Sort {
    /// As a bare server sends them.
    pub(super) const ONLINE: Self = Self { class: Class::Online, body: MESSAGE };
    /// The same, kept until they are acknowledged.
    pub(super) const DURABLE: Self = Self { class: Class::Durable, body: MESSAGE };
}

/// The longest body.
pub(super) const BODY_MAX: usize = 4096;

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

    /// Pushes one message to each of these users; the answer is awaited with a later request, or
    /// by [`Api::settle`].
    pub(super) fn push_to(
        &mut self,
        users: &[u32],
        class: Class,
        body: &[u8],
    ) -> Result<(), String> {
        self.holdfast_alone()?.push_to(users, class, body)
    }

    /// Waits for every answer.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.holdfast_alone()?.drain(0)
    }

    /// Has the mailboxes of these users emptied.
    pub(super) fn purge(&mut self, users: Range<u32>) -> Result<(), String> {
        self.holdfast_alone()?.purge(users)
    }

    fn holdfast_alone(&mut self) -> Result<&mut Backend, String> {
        match self {
            Self::Bare(_) => Err("a bare server has no users".into()),
            Self::Holdfast(backend) => Ok(backend),
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
        with_targets(list, pushes, |targets| {
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
fn with_targets<T>(list: &[u32], pushes: &Pushes, use_it: impl FnOnce(&[Target<'_>]) -> T) -> T {
    static BODIES: [[u8; BODY_MAX]; 2] = [[0x5a; BODY_MAX], [0xa5; BODY_MAX]];
    let Sort { class, body } = pushes.sort;
    let users: Vec<String> = list.iter().map(|number| user(*number)).collect();
    let repeated = users.iter().flat_map(|user| std::iter::repeat_n(user, pushes.repeat as usize));
    let targets: Vec<Target<'_>> = repeated
        .zip(BODIES.iter().cycle())
        .map(|(user, bytes)| target(user, class, &bytes[..body]))
        .collect();
    use_it(&targets)
}

fn target<'a>(user: &'a str, class: Class, body: &'a [u8]) -> Target<'a> {
    Target { user, class, ttl: 0, key: &[], receipt: false, body }
}

impl Backend {
    fn open(port: u16, key: &str) -> Result<Self, String> {
        let stream = dial(port).map_err(|error| format!("backend API: {error}"))?;
        let machine = Machine::new("floor-driver", key.as_bytes());
        let mut backend = Self { stream, machine, input: Vec::new(), class: Class::Online };
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
            check(&answer, self.class)?;
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

    /// What is unanswered is of one class, so that each answer is known to be good.
    fn begin(&mut self, class: Class) -> Result<(), String> {
        if class != self.class {
            self.drain(0)?;
            self.class = class;
        }
        Ok(())
    }

    fn push_all(&mut self, pushes: &Pushes) -> Result<(), String> {
        self.begin(pushes.sort.class)?;
        for list in &pushes.requests {
            self.drain(pushes.in_flight.saturating_sub(1))?;
            with_targets(list, pushes, |targets| self.push(targets))?;
        }
        self.drain(0)
    }

    fn push_to(&mut self, users: &[u32], class: Class, body: &[u8]) -> Result<(), String> {
        self.begin(class)?;
        let users: Vec<String> = users.iter().map(|number| user(*number)).collect();
        let targets: Vec<_> = users.iter().map(|user| target(user, class, body)).collect();
        self.drain(64)?;
        self.push(&targets)
    }

    fn purge(&mut self, users: Range<u32>) -> Result<(), String> {
        for number in users {
            let name = user(number);
            while self.machine.mailbox(MailboxAction::Purge, PRODUCT, &name).is_err() {
                self.exchange()?;
            }
            if self.machine.output().len() > 16 * 1024 {
                self.exchange()?;
            }
        }
        self.drain(0)
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

/// Anything but a delivery, or that a message is kept, spoils the measurement.
fn check(answer: &Answer<'_>, class: Class) -> Result<(), String> {
    let good = |outcome: &Outcome| match class {
        Class::Online => matches!(outcome, Outcome::Delivered(_)),
        Class::Durable => matches!(outcome, Outcome::Stored(_) | Outcome::Acked(_)),
    };
    match answer {
        Answer::Push(_, outcomes) => {
            let failed = outcomes.iter().find(|outcome| !good(outcome));
            failed.map_or(Ok(()), |outcome| Err(format!("push: {}", outcome.name())))
        }
        Answer::Error { code, text, .. } => Err(format!("backend API: {code} {text}")),
        Answer::Close { code, reason } => Err(format!("backend API closed: {code} {reason}")),
        _ => Ok(()),
    }
}

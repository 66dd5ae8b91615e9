//! The bare server: it accepts, keeps each socket on a watch, echoes what comes, and sends 256
//! bytes when told.
//!
//! It is as little as a push server can be, so what it costs is what the kernel costs. A thread is
//! a shard: own descriptor table, own listener on the shared port, own control port. It does not
//! survive what a server must survive: an error ends it with a message.

pub(super) mod epoll;
pub(super) mod kernel;

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname, listen, recv,
    send, socket_with, sockopt,
};
use rustix::process::{Signal, set_parent_process_death_signal};

use self::epoll::Epoll;
use self::kernel::{Event, Kernel};
use super::control::{Command, PAYLOAD, Sockets};
use super::ring::Ring;
use super::{Backend, machine};

/// Listener ids, out of the way of sockets' ids.
const CLIENTS: u32 = u32::MAX;
const CONTROLS: u32 = u32::MAX - 1;
/// Control connections have ids from here on.
const FIRST_CONTROL: u32 = 1 << 31;
/// Sends handed over at once.
const BATCH: usize = 128;
/// Receives at most so much at once.
const BUFFER: usize = 256 * 1024;

/// How a bare server runs.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ServeArgs {
    /// The kernel interface.
    #[arg(long, value_enum, default_value_t = Backend::Uring)]
    io: Backend,
    /// Threads, each with a descriptor table of its own.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// Accept, but never watch: what a watch costs is the difference.
    #[arg(long)]
    unwatched: bool,
    /// The core that all of them share.
    #[arg(long, default_value_t = 0)]
    core: usize,
}

/// Serves until standard input ends; prints `PORT CONTROL...` once everything listens.
pub(super) fn main(args: &ServeArgs) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &ServeArgs) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    machine::pin_to(args.core)?;
    machine::raise_descriptor_limit();
    let (tell, told) = mpsc::channel();
    let mut port = 0;
    let mut controls = Vec::new();
    for _ in 0..args.shards {
        let (args, tell) = (args.clone(), tell.clone());
        thread::spawn(move || {
            if let Err(error) = shard(&args, port, &tell) {
                eprintln!("floor server: {error}");
                std::process::exit(1);
            }
        });
        let (clients, control): (u16, u16) = told.recv().map_err(io::Error::other)?;
        port = clients;
        controls.push(control.to_string());
    }
    println!("{port} {}", controls.join(" "));
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn shard(args: &ServeArgs, port: u16, tell: &mpsc::Sender<(u16, u16)>) -> io::Result<()> {
    machine::own_table()?;
    let (clients, controls) = (listener(port)?, listener(0)?);
    let ports = (local_port(&clients)?, local_port(&controls)?);
    let watched = !args.unwatched;
    match args.io {
        Backend::Uring => Shard::new(Ring::new()?, [clients, controls], watched)?.run(ports, tell),
        Backend::Epoll => Shard::new(Epoll::new()?, [clients, controls], watched)?.run(ports, tell),
    }
}

pub(super) fn listener(port: u16) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Inherited by what is accepted.
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    listen(&socket, 4096)?;
    Ok(socket)
}

pub(super) fn local_port(socket: &OwnedFd) -> io::Result<u16> {
    let address = SocketAddr::try_from(getsockname(socket)?)?;
    Ok(address.port())
}

struct Control {
    socket: OwnedFd,
    input: Vec<u8>,
}

struct Shard<K> {
    kernel: K,
    clients: Vec<Option<OwnedFd>>,
    free: Vec<u32>,
    controls: Vec<Control>,
    buffer: Vec<u8>,
    watched: bool,
    /// Kept open; the kernel accepts on them.
    _listeners: [OwnedFd; 2],
}

impl<K: Kernel> Shard<K> {
    fn new(mut kernel: K, listeners: [OwnedFd; 2], watched: bool) -> io::Result<Self> {
        kernel.listen(&listeners[0], CLIENTS)?;
        kernel.listen(&listeners[1], CONTROLS)?;
        Ok(Self {
            kernel,
            clients: Vec::new(),
            free: Vec::new(),
            controls: Vec::new(),
            buffer: vec![0; BUFFER],
            watched,
            _listeners: listeners,
        })
    }

    fn run(mut self, ports: (u16, u16), tell: &mpsc::Sender<(u16, u16)>) -> io::Result<()> {
        tell.send(ports).map_err(io::Error::other)?;
        let mut events = Vec::new();
        loop {
            self.kernel.wait(&mut events)?;
            for event in events.drain(..) {
                match event {
                    Event::Accepted(CONTROLS, socket) => self.add_control(socket)?,
                    Event::Accepted(_, socket) => self.add_client(socket)?,
                    Event::Ended(id) => self.watch_again(id)?,
                    Event::Ready(id) if id >= FIRST_CONTROL => self.obey(id)?,
                    Event::Ready(id) => self.echo(id)?,
                }
            }
        }
    }

    fn add_client(&mut self, socket: OwnedFd) -> io::Result<()> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => u32::try_from(self.clients.len()).map_err(io::Error::other)?,
        };
        if self.watched {
            self.kernel.watch(&socket, id)?;
        }
        let slot = id as usize;
        if slot == self.clients.len() {
            self.clients.push(None);
        }
        self.clients[slot] = Some(socket);
        Ok(())
    }

    fn add_control(&mut self, socket: OwnedFd) -> io::Result<()> {
        let index = u32::try_from(self.controls.len()).map_err(io::Error::other)?;
        self.kernel.watch(&socket, FIRST_CONTROL + index)?;
        self.controls.push(Control { socket, input: Vec::new() });
        Ok(())
    }

    fn watch_again(&mut self, id: u32) -> io::Result<()> {
        match self.clients.get(id as usize) {
            Some(Some(socket)) => self.kernel.watch(socket, id),
            _ => Ok(()),
        }
    }

    fn echo(&mut self, id: u32) -> io::Result<()> {
        let Some(slot) = self.clients.get_mut(id as usize) else { return Ok(()) };
        let Some(socket) = slot.as_ref() else { return Ok(()) };
        match recv(socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::CONNRESET | Errno::PIPE) => {
                self.kernel.forget(socket, id)?;
                *slot = None;
                self.free.push(id);
                Ok(())
            }
            Ok((length, _)) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                send(socket, &self.buffer[..length], flags)?;
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn obey(&mut self, id: u32) -> io::Result<()> {
        let index = (id - FIRST_CONTROL) as usize;
        loop {
            let control = &mut self.controls[index];
            match recv(&control.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(Errno::AGAIN) => return Ok(()),
                Ok((length, _)) => control.input.extend_from_slice(&self.buffer[..length]),
                Err(error) => return Err(error.into()),
            }
            let mut input = std::mem::take(&mut control.input);
            let (mut taken, mut answers) = (0, Vec::new());
            while let Some((command, length)) = Command::split(&input[taken..]) {
                answers.extend_from_slice(&self.carry_out(&command)?.to_le_bytes());
                taken += length;
            }
            if !answers.is_empty() {
                // All that came together is answered together, as a gateway would.
                send(&self.controls[index].socket, &answers, SendFlags::NOSIGNAL)?;
            }
            input.drain(..taken);
            self.controls[index].input = input;
        }
    }

    /// Gives how many sockets were served, or are open.
    fn carry_out(&mut self, command: &Command<'_>) -> io::Result<u32> {
        let bytes = &PAYLOAD[..command.bytes()];
        let count = match &command.sockets {
            Sockets::Count => self.clients.iter().flatten().count(),
            Sockets::All => send_to(&mut self.kernel, self.clients.iter().flatten(), bytes)?,
            Sockets::Listed(indices) => {
                let clients = &self.clients;
                let listed = indices.iter().filter_map(|index| clients.get(index)?.as_ref());
                send_to(&mut self.kernel, listed, bytes)?
            }
        };
        u32::try_from(count).map_err(io::Error::other)
    }
}

fn send_to<'a, K: Kernel>(
    kernel: &mut K,
    sockets: impl Iterator<Item = &'a OwnedFd>,
    bytes: &'static [u8],
) -> io::Result<usize> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut served = 0;
    for socket in sockets {
        batch.push(socket);
        if batch.len() == BATCH {
            served += BATCH - kernel.send(&batch, bytes)?;
            batch.clear();
        }
    }
    let failed = kernel.send(&batch, bytes)?;
    Ok(served + batch.len() - failed)
}

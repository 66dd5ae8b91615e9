//! The users' clients: they come and go as they like, acknowledge late or in their next hello, and
//! say to the ledger what they got.
//!
//! All of them live in one thread, which waits for their sockets. What each says is made by the
//! protocol's own client.

use crate::client::{Client, Scene};
use crate::ledger::Ledger;
use crate::plan::{Who, devices};
use holdfast::io::sim::Chance;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The longest wait for a socket.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 4_000_000 };

/// How clients behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// They come, go and acknowledge as chance has it.
    Restless,
    /// They come, stay and acknowledge at once.
    Calm,
    /// They stay away.
    Away,
}

/// All clients of a run.
#[derive(Debug)]
pub(crate) struct Crowd {
    clients: Vec<Client>,
    address: SocketAddr,
    chance: Chance,
    start: Instant,
    pub(crate) mood: Mood,
}

impl Crowd {
    /// One client for each device of these users, none of them connected.
    pub(crate) fn new(address: SocketAddr, users: Range<usize>, seed: u64) -> Self {
        let chance = Chance::new(seed, "crowd");
        let start = Instant::now();
        let of = |user| (0..devices(user)).map(move |device| Who { user, device });
        let clients = users.flat_map(of).map(|who| Client::new(who, start)).collect();
        Self { clients, address, chance, start, mood: Mood::Restless }
    }

    /// The clients, and what each of them needs to know now.
    fn scene<'a>(&'a mut self, ledger: &'a mut Ledger) -> (&'a mut [Client], Scene<'a>) {
        let now = Instant::now();
        let scene = Scene {
            address: self.address,
            chance: &mut self.chance,
            ledger,
            mood: self.mood,
            now,
            second: second(self.start, now),
        };
        (&mut self.clients, scene)
    }

    /// Waits a little for what comes, and does what is due.
    pub(crate) fn turn(&mut self, ledger: &mut Ledger) {
        self.listen(ledger);
        let (clients, mut scene) = self.scene(ledger);
        for client in clients {
            client.act(&mut scene);
        }
    }

    /// Reads what has come, waiting a little where nothing has.
    fn listen(&mut self, ledger: &mut Ledger) {
        let readable: Vec<usize> = {
            let there = self.clients.iter().enumerate();
            let (places, mut waits): (Vec<usize>, Vec<PollFd<'_>>) = there
                .filter_map(|(place, client)| Some((place, client.stream()?)))
                .map(|(place, stream)| {
                    (place, PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN))
                })
                .unzip();
            if poll(&mut waits, Some(&LOOK)).is_err() {
                return;
            }
            let ready =
                places.into_iter().zip(waits).filter(|(_, wait)| !wait.revents().is_empty());
            ready.map(|(place, _)| place).collect()
        };
        if self.clients.iter().all(|client| client.stream().is_none()) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let (clients, mut scene) = self.scene(ledger);
        for place in readable {
            clients[place].read(&mut scene);
        }
    }

    /// The gateway is gone: every client reads what was left and is away.
    pub(crate) fn orphaned(&mut self, ledger: &mut Ledger) {
        let (clients, mut scene) = self.scene(ledger);
        for client in clients {
            client.orphaned(&mut scene);
        }
    }

    /// How many are logged in.
    pub(crate) fn online(&self) -> usize {
        self.clients.iter().filter(|client| client.is_online()).count()
    }

    /// Whether all are logged in.
    pub(crate) fn is_complete(&self) -> bool {
        self.clients.iter().all(Client::is_online)
    }

    /// Whether this user's first client is logged in.
    pub(crate) fn is_online(&self, user: usize) -> bool {
        let client = self.clients.iter().find(|client| client.who.user == user);
        client.is_some_and(Client::is_online)
    }

    /// Each client of a user with several, and how often it has connected.
    pub(crate) fn siblings(&self) -> impl Iterator<Item = (Who, u32)> {
        let several = self.clients.iter().filter(|client| devices(client.who.user) > 1);
        several.map(|client| (client.who, client.visits))
    }
}

fn second(start: Instant, now: Instant) -> u32 {
    u32::try_from((now - start).as_secs()).unwrap()
}

//! The backends: each pushes by itself, has many pushes in flight, and pushes again, with the same
//! key, what was not answered.

use crate::body;
use crate::herald::Herald;
use crate::ledger::{Id, Kind, Ledger};
use crate::plan::{BUSY_USERS, PRODUCTS, USERS, name, product};
use holdfast::io::sim::Chance;
use holdfast_client::{Advice, Backend, Error, Options, Receipt};
use holdfast_protocol::backend::answer::Rejection;
use holdfast_protocol::backend::{Outcome, Target};
use holdfast_protocol::client::Class;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Pushes that one backend has in flight.
const WINDOW: usize = 32;
/// Most targets of one push.
const TARGETS: u64 = 12;
/// The time to live of what is to expire, in seconds.
const SHORT: u32 = 1;

/// What a backend's connection says.
enum Note {
    Answer { desk: usize, ids: Vec<Id>, answer: Result<Vec<Outcome>, Error> },
    Receipt(Receipt),
}

/// One backend.
struct Desk {
    backend: Backend,
    in_flight: usize,
    /// Messages to be pushed again, from when on.
    again: VecDeque<(Instant, Id)>,
}

/// All backends of a run.
pub(crate) struct Office {
    desks: Vec<Desk>,
    notes: Receiver<Note>,
    says: Sender<Note>,
    chance: Chance,
    /// New messages a second, over all backends; 0 for none.
    pub(crate) rate: u32,
    owed: f64,
    before: Instant,
    /// Whether something was refused because the store has no room.
    pub(crate) store_full: u64,
    pub(crate) herald: Herald,
}

impl Office {
    /// So many backends, which connect when they can.
    pub(crate) fn new(address: SocketAddr, backends: usize, seed: u64) -> Self {
        let (says, notes) = channel();
        let desk = |number: usize| {
            let receipts = says.clone();
            let options = Options {
                name: format!("backend-{number}"),
                timeout: Duration::from_secs(2),
                backoff_min: Duration::from_millis(20),
                backoff_max: Duration::from_millis(100),
                ..Options::new([address.to_string()])
            };
            let options = options.on_receipt(move |receipt| {
                // It fails where the run is over.
                let _ = receipts.send(Note::Receipt(receipt));
            });
            let backend = Backend::start(options).unwrap();
            Desk { backend, in_flight: 0, again: VecDeque::new() }
        };
        let desks = (0..backends).map(desk).collect();
        let chance = Chance::new(seed, "office");
        let (before, herald) = (Instant::now(), Herald::new(seed));
        Self { desks, notes, says, chance, rate: 0, owed: 0.0, before, store_full: 0, herald }
    }

    /// A backend, for questions.
    pub(crate) fn backend(&self) -> &Backend {
        &self.desks[0].backend
    }

    /// Whether nothing is in flight and nothing is to be pushed again.
    pub(crate) fn is_idle(&self) -> bool {
        let quiet = self.desks.iter().all(|desk| desk.in_flight == 0 && desk.again.is_empty());
        quiet && self.herald.is_idle()
    }

    /// Takes what was answered, and pushes what is due.
    pub(crate) fn turn(&mut self, ledger: &mut Ledger) {
        while let Ok(note) = self.notes.try_recv() {
            match note {
                Note::Answer { desk, ids, answer } => self.answered(desk, ids, answer, ledger),
                Note::Receipt(receipt) => heard(&receipt, ledger),
            }
        }
        let now = Instant::now();
        self.owed += f64::from(self.rate) * (now - self.before).as_secs_f64();
        // What could not be pushed for want of a gateway is not made up for.
        self.owed = self.owed.min(f64::from(self.rate) / 10.0);
        self.before = now;
        self.herald.turn(&self.desks[1].backend, ledger);
        for desk in 0..self.desks.len() {
            self.push_again(desk, now, ledger);
        }
        while self.owed >= 1.0 {
            let desk = self.chance.index(self.desks.len());
            let free = self.desks[desk].in_flight < WINDOW;
            if !free || self.desks[desk].backend.window_left() == 0 {
                return;
            }
            let ids = self.compose(ledger);
            self.owed -= f64::from(u32::try_from(ids.len()).unwrap());
            self.send(desk, ids, ledger);
        }
    }

    /// New messages of one product.
    fn compose(&mut self, ledger: &mut Ledger) -> Vec<Id> {
        let chance = &mut self.chance;
        let of = chance.index(PRODUCTS.len());
        let targets = chance.between(1, TARGETS);
        let mut ids = Vec::new();
        for _ in 0..targets {
            let among = if chance.happens(250) { BUSY_USERS } else { USERS };
            let user = chance.index(among / PRODUCTS.len()) * PRODUCTS.len() + of;
            let size = match chance.below(100) {
                0 => chance.between(4_000, 40_000),
                1..=9 => chance.between(500, 4_000),
                _ => chance.between(16, 300),
            };
            let durable = chance.happens(880);
            let kind = Kind {
                durable,
                keyed: durable && chance.happens(650),
                receipt: durable && chance.happens(300),
                short: durable && chance.happens(30),
                size: usize::try_from(size).unwrap(),
            };
            ids.push(ledger.make(user, kind));
        }
        ids
    }

    /// Pushes one to this user, with a key.
    pub(crate) fn push_to(&mut self, user: usize, ledger: &mut Ledger) -> Id {
        let kind = Kind { durable: true, keyed: true, size: 64, ..Kind::default() };
        let id = ledger.make(user, kind);
        self.desks[0].again.push_back((Instant::now(), id));
        id
    }

    /// Pushes messages of one product; what cannot be pushed waits.
    fn send(&mut self, desk: usize, ids: Vec<Id>, ledger: &mut Ledger) {
        let pieces: Vec<Piece> = ids.iter().map(|&id| Piece::new(id, ledger)).collect();
        let targets: Vec<Target<'_>> = pieces.iter().map(Piece::target).collect();
        let (says, asked) = (self.says.clone(), ids.clone());
        let of = PRODUCTS[pieces[0].product];
        let place = &mut self.desks[desk];
        let sent = place.backend.try_push_then(of, &targets, move |answer| {
            // It fails where the run is over.
            let _ = says.send(Note::Answer { desk, ids: asked, answer });
        });
        match sent {
            Ok(()) => {
                place.in_flight += 1;
                for id in ids {
                    ledger.tried(id);
                }
            }
            Err(Error::NotConnected { .. } | Error::WindowFull { .. }) => {
                let later = Instant::now() + Duration::from_millis(30);
                place.again.extend(ids.into_iter().map(|id| (later, id)));
            }
            Err(error) => ledger.fault(format!("a push was refused: {error}")),
        }
    }

    /// Pushes again what is due.
    fn push_again(&mut self, desk: usize, now: Instant, ledger: &mut Ledger) {
        let place = &mut self.desks[desk];
        if place.in_flight >= WINDOW || place.backend.window_left() == 0 {
            return;
        }
        let mut batches: [Vec<Id>; PRODUCTS.len()] = Default::default();
        while let Some(&(due, id)) = place.again.front() {
            if due > now || batches.iter().map(Vec::len).sum::<usize>() >= 64 {
                break;
            }
            place.again.pop_front();
            let (user, _) = ledger.message(id).unwrap();
            batches[product(user)].push(id);
        }
        for ids in batches.into_iter().filter(|ids| !ids.is_empty()) {
            self.send(desk, ids, ledger);
        }
    }

    fn answered(
        &mut self,
        desk: usize,
        ids: Vec<Id>,
        answer: Result<Vec<Outcome>, Error>,
        ledger: &mut Ledger,
    ) {
        let place = &mut self.desks[desk];
        place.in_flight -= 1;
        let now = Instant::now();
        match answer {
            Ok(outcomes) => {
                for (id, outcome) in ids.into_iter().zip(outcomes) {
                    match outcome {
                        Outcome::Busy(after) => {
                            ledger.doubted(id);
                            let after = Duration::from_millis(after.into());
                            place.again.push_back((now + after, id));
                        }
                        outcome => {
                            let full = outcome == Outcome::Rejected(Rejection::StoreFull);
                            self.store_full += u64::from(full);
                            ledger.answered(id, outcome);
                        }
                    }
                }
            }
            Err(error) => match error.advice() {
                Advice::RetryIfIdempotent => {
                    if matches!(error, Error::TimedOut(_)) {
                        for &id in &ids {
                            ledger.doubted(id);
                        }
                    }
                    let keyed = ids.into_iter().filter(|&id| ledger.message(id).unwrap().1.keyed);
                    place.again.extend(keyed.map(|id| (now, id)));
                }
                Advice::Retry(after) => {
                    place.again.extend(ids.into_iter().map(|id| (now + after, id)));
                }
                Advice::Change => ledger.fault(format!("a push failed: {error}")),
            },
        }
    }
}

fn heard(receipt: &Receipt, ledger: &mut Ledger) {
    let user = receipt.user.strip_prefix("user-").and_then(|number| number.parse().ok());
    match user {
        Some(user) if user < USERS && PRODUCTS[product(user)] == receipt.product => {
            ledger.receipt(user, receipt.sequence, receipt.outcome);
        }
        _ => ledger.fault(format!("a receipt of nobody: {receipt:?}")),
    }
}

/// A target's parts.
struct Piece {
    user: String,
    product: usize,
    kind: Kind,
    key: [u8; 8],
    body: Vec<u8>,
}

impl Piece {
    fn new(id: Id, ledger: &Ledger) -> Self {
        let (user, kind) = ledger.message(id).unwrap();
        let (product, user) = (product(user), name(user));
        Self { user, product, kind, key: id.to_le_bytes(), body: body::write(id, kind.size) }
    }

    fn target(&self) -> Target<'_> {
        let Kind { durable, keyed, receipt, short, .. } = self.kind;
        Target {
            user: &self.user,
            class: if durable { Class::Durable } else { Class::Online },
            ttl: if short { SHORT } else { 0 },
            key: if keyed { &self.key } else { &[] },
            receipt,
            body: &self.body,
        }
    }
}

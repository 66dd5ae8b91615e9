//! One target of a scripted backend's push, and what its outcome must be.

use holdfast::io::sim::Chance;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::{DropReason, Rejection};
use holdfast_protocol::backend::request::Target;
use holdfast_protocol::client::Class;

use crate::durable::FIRST_ID;
use crate::ledger::{MessageId, write_body};
use crate::plan::{BODY_MAX, PRODUCTS, SECOND};
use crate::scene::Scene;

/// One target of a push.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) id: MessageId,
    pub(crate) user: String,
    kind: Kind,
    /// Its time to live in seconds; 0 for the gateway's own.
    ttl: u32,
    key: Vec<u8>,
    receipt: bool,
    body: Vec<u8>,
    /// It is pushed again although it was answered.
    repeats: bool,
}

/// What is special about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Usual,
    Empty,
    TooLong,
    /// Durable, where there is no store.
    Unkept,
    /// Durable.
    Kept,
}

impl Parcel {
    /// A message of class online.
    pub(crate) fn online(product: usize, user: &str, scene: &mut Scene) -> Self {
        let id = scene.ledger.ask(product, user);
        Self::new(id, user, Kind::Usual, write_body(id, 32))
    }

    fn new(id: MessageId, user: &str, kind: Kind, body: Vec<u8>) -> Self {
        let (user, ttl, key) = (user.to_owned(), 0, Vec::new());
        Self { id, user, kind, ttl, key, receipt: false, body, repeats: false }
    }

    /// A message by chance; `product` is out of bounds where it is unknown.
    pub(crate) fn draw(product: usize, user: &str, chance: &mut Chance, scene: &mut Scene) -> Self {
        let length = 4 + usize::try_from(chance.below(scene.plan.body)).unwrap_or(0);
        let ttl = *chance.pick(&[0, 0, 0, 1, 3]);
        let keeps = scene.plan.keeping.as_ref().map(|keeping| keeping.durable_permille);
        let known = product < PRODUCTS.len();
        if keeps.is_some_and(|permille| known && chance.happens(permille)) {
            return Self::kept((product, user), (length, ttl), chance, scene);
        }
        let kind = match chance.below(100) {
            0 => Kind::Empty,
            1 => Kind::TooLong,
            2 if keeps.is_none() => Kind::Unkept,
            _ => Kind::Usual,
        };
        let id = scene.ledger.ask(product, user);
        let body = match kind {
            Kind::Empty => Vec::new(),
            Kind::TooLong => write_body(id, BODY_MAX + 1),
            Kind::Usual | Kind::Unkept | Kind::Kept => write_body(id, length),
        };
        Self { ttl, ..Self::new(id, user, kind, body) }
    }

    fn kept(
        (product, user): (usize, &str),
        (length, ttl): (usize, u32),
        chance: &mut Chance,
        scene: &mut Scene,
    ) -> Self {
        let keyed = chance.happens(500);
        let to = (product, user.to_owned());
        let id = scene.ledger.durables.ask(to, ttl, keyed, scene.now);
        Self {
            ttl,
            key: if keyed { id.to_be_bytes().to_vec() } else { Vec::new() },
            receipt: chance.happens(500),
            repeats: keyed && chance.happens(100),
            ..Self::new(id, user, Kind::Kept, write_body(id, length))
        }
    }

    /// As the API wants it.
    pub(crate) fn target(&self) -> Target<'_> {
        let durable = matches!(self.kind, Kind::Kept | Kind::Unkept);
        Target {
            user: &self.user,
            class: if durable { Class::Durable } else { Class::Online },
            ttl: self.ttl,
            key: &self.key,
            receipt: self.receipt,
            body: &self.body,
        }
    }

    /// The parcel to push once more, where that is safe and it is to be.
    pub(crate) fn retry(self, unanswered: bool) -> Option<Self> {
        let again = !self.key.is_empty() && (unanswered || self.repeats);
        again.then_some(Self { repeats: false, ..self })
    }

    /// Its answer will never come.
    pub(crate) fn forget(&self, scene: &mut Scene) {
        if self.id < FIRST_ID {
            scene.ledger.unasked(self.id);
        }
    }

    /// The request was refused as a whole.
    pub(crate) fn refused(&self, scene: &mut Scene) {
        if self.id < FIRST_ID {
            scene.ledger.refused(self.id);
        }
    }

    /// Judges what became of it, asked at `at` and answered by the gateway of this life.
    pub(crate) fn judge(
        &self,
        product: usize,
        outcome: Outcome,
        (life, at): (u32, u64),
        scene: &mut Scene,
    ) {
        if self.kind == Kind::Kept {
            scene.trace(|| format!("durable {} for {} is {outcome:?}", self.id, self.user));
            scene.ledger.count(outcome.name());
            let told = (life, scene.now);
            let judged = scene.ledger.durables.outcome(self.id, outcome, told);
            if !scene.closing {
                scene.ledger.judged(judged);
            }
            return;
        }
        scene.ledger.outcome(self.id, outcome);
        let fair = match (self.kind, outcome) {
            (Kind::Empty, Outcome::Rejected(Rejection::EmptyBody))
            | (Kind::TooLong, Outcome::Rejected(Rejection::BodyTooLong))
            | (Kind::Unkept, Outcome::Rejected(Rejection::NoStore))
            | (Kind::Usual, Outcome::Delivered(_) | Outcome::Dropped(DropReason::OutboxFull)) => {
                true
            }
            (Kind::Usual, Outcome::Offline | Outcome::Dropped(DropReason::ConnectionLost)) => {
                !scene.surely_online(product, &self.user, at)
            }
            (Kind::Usual, Outcome::Dropped(DropReason::Shutdown)) => scene.leaves(life),
            (Kind::Usual, Outcome::Expired) => {
                self.ttl > 0 && scene.now - at > u64::from(self.ttl) * SECOND
            }
            _ => false,
        };
        if !fair {
            let (id, user) = (self.id, &self.user);
            scene.ledger.fail(format!("message {id} for {user} is {outcome:?} without a reason"));
        }
    }
}

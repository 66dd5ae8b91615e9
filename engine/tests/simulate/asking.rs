//! The requests of a scripted backend and what their answers must be.

use holdfast::io::sim::{Chance, LinkId};
use holdfast_protocol::backend::answer::{DropReason, ErrorCode, Rejection};
use holdfast_protocol::backend::request::{self, Broadcast, JobAction, Target};
use holdfast_protocol::backend::{Answer, JobId, Outcome, RequestId};
use holdfast_protocol::client::Class;

use crate::backend::{Talk, action};
use crate::habit;
use crate::ledger::{MessageId, write_body};
use crate::plan::{BODY_MAX, PRODUCTS, SECOND, TAGS, UNKNOWN_PRODUCT};
use crate::scene::Scene;

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    what: What,
    pub(crate) at: u64,
    /// More may be in flight than the window allows.
    may_overrun: bool,
    must_overrun: bool,
}

/// What a request asks.
#[derive(Debug)]
pub(crate) enum What {
    /// A push to these users; an unknown product where it is `None`.
    Push(Option<usize>, Vec<Parcel>),
    /// A broadcast to a product and a tag, under its number.
    Broadcast(usize, &'static str, MessageId, Terms),
    /// About a job; one that there never was where it may be unknown.
    Job(JobAction, JobId),
    /// Who of these is online, and what must be the answer, where that is known.
    Online(usize, Vec<(String, Option<u32>)>),
    /// A kick.
    Kick(usize, String),
    /// The counters.
    Counters,
}

/// How fast a broadcast may go, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) users_per_second: u32,
    pub(crate) bits_per_second: u64,
    ttl: u32,
}

/// The length of a broadcast's body.
const BROADCAST_BODY: usize = 64;

impl Terms {
    fn draw(chance: &mut Chance) -> Self {
        Self {
            users_per_second: *chance.pick(&[0, 0, 5, 100, 10_000]),
            bits_per_second: *chance.pick(&[0, 0, 0, 8_000, 500_000]),
            ttl: *chance.pick(&[0, 0, 0, 1, 5]),
        }
    }

    /// The most copies a second; `None` for as many as go. Of a copy, the body counts.
    pub(crate) fn most(self) -> Option<u64> {
        let users = u64::from(self.users_per_second);
        let bits = self.bits_per_second.div_ceil(BROADCAST_BODY as u64 * 8);
        [users, bits].into_iter().filter(|&most| most > 0).min()
    }
}

/// One target of a push.
#[derive(Debug)]
pub(crate) struct Parcel {
    id: MessageId,
    user: String,
    kind: ParcelKind,
    /// Its time to live in seconds; 0 for the gateway's own.
    ttl: u32,
    body: Vec<u8>,
}

/// What is special about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParcelKind {
    Usual,
    Empty,
    TooLong,
    Durable,
}

impl What {
    /// A push of one message to one user.
    pub(crate) fn push_one(product: usize, user: &str, scene: &mut Scene) -> Self {
        let id = scene.ledger.ask(product, user);
        let (user, kind) = (user.to_owned(), ParcelKind::Usual);
        let body = write_body(id, 32);
        Self::Push(Some(product), vec![Parcel { id, user, kind, ttl: 0, body }])
    }
}

/// Asks for something by chance.
pub(crate) fn something(talk: &mut Talk, chance: &mut Chance, scene: &mut Scene) {
    let product = chance.index(PRODUCTS.len());
    let what = match chance.below(100) {
        0..70 => push(talk, chance, scene),
        70..76 => {
            let tag = if chance.happens(500) { "" } else { *chance.pick(&TAGS) };
            let terms = Terms::draw(chance);
            let id = scene.ledger.broadcasts.ask(product, tag, scene.now, terms.most());
            What::Broadcast(product, tag, id, terms)
        }
        76..88 => {
            let jobs = scene.ledger.broadcasts.jobs();
            let known = !jobs.is_empty() && chance.happens(900);
            let job = if known { *chance.pick(&jobs) } else { chance.next() };
            What::Job(action(chance), job)
        }
        88..95 => {
            let count = 1 + chance.index(20);
            let users = (0..count).map(|_| (habit::user(&scene.plan, chance), None)).collect();
            What::Online(product, users)
        }
        95..98 => {
            let user = habit::user(&scene.plan, chance);
            scene.ledger.kick(product, &user);
            What::Kick(product, user)
        }
        _ => What::Counters,
    };
    put(talk, what, scene);
}

fn push(talk: &Talk, chance: &mut Chance, scene: &mut Scene) -> What {
    let overrun = chance.happens(20);
    let free = usize::try_from(talk.machine.window_left()).unwrap_or(0).max(1);
    let usual = 1 + chance.index(scene.plan.targets);
    let count = if overrun { free + usual } else { usual.min(free) };
    let product = (!chance.happens(20)).then(|| chance.index(PRODUCTS.len()));
    let one_user = chance.happens(200).then(|| habit::user(&scene.plan, chance));
    let parcels = (0..count).map(|_| {
        let user = one_user.clone().unwrap_or_else(|| habit::user(&scene.plan, chance));
        let kind = match chance.below(100) {
            0 => ParcelKind::Empty,
            1 => ParcelKind::TooLong,
            2 => ParcelKind::Durable,
            _ => ParcelKind::Usual,
        };
        let id = scene.ledger.ask(product.unwrap_or(usize::MAX), &user);
        let usual = 4 + usize::try_from(chance.below(scene.plan.body)).unwrap_or(0);
        let body = match kind {
            ParcelKind::Empty => Vec::new(),
            ParcelKind::TooLong => write_body(id, BODY_MAX + 1),
            ParcelKind::Usual | ParcelKind::Durable => write_body(id, usual),
        };
        Parcel { id, user, kind, ttl: *chance.pick(&[0, 0, 0, 1, 3]), body }
    });
    What::Push(product, parcels.collect())
}

/// Puts a request into the output; past the machine where its window would not let it through.
/// `false` where it was not put, and is forgotten.
pub(crate) fn put(talk: &mut Talk, what: What, scene: &mut Scene) -> bool {
    let may_overrun = talk.overruns();
    let mut asked = Asked { what, at: scene.now, may_overrun, must_overrun: false };
    let machine = &mut talk.machine;
    let id = match &asked.what {
        What::Push(product, parcels) => return put_push(talk, *product, parcels.len(), asked),
        What::Broadcast(product, tag, id, terms) => {
            let body = write_body(*id, BROADCAST_BODY);
            machine.broadcast(&Broadcast {
                product: PRODUCTS[*product],
                tag,
                class: Class::Online,
                ttl: terms.ttl,
                users_per_second: terms.users_per_second,
                bits_per_second: terms.bits_per_second,
                key: b"",
                body: &body,
            })
        }
        What::Job(action, job) => machine.job(*action, *job),
        What::Online(product, users) => {
            let names: Vec<&str> = users.iter().map(|(user, _)| user.as_str()).collect();
            machine.online(PRODUCTS[*product], &names)
        }
        What::Kick(product, user) => machine.kick(PRODUCTS[*product], user, "by the simulator"),
        What::Counters => machine.counters(),
    };
    asked.at = scene.now;
    if let Ok(id) = id {
        talk.asked.insert(id, asked);
        return true;
    }
    forget(&asked, scene);
    false
}

fn put_push(talk: &mut Talk, product: Option<usize>, count: usize, mut asked: Asked) -> bool {
    let What::Push(_, parcels) = &asked.what else { return false };
    let name = product.map_or(UNKNOWN_PRODUCT, |product| PRODUCTS[product]);
    let targets: Vec<Target<'_>> = parcels
        .iter()
        .map(|parcel| Target {
            user: &parcel.user,
            class: if parcel.kind == ParcelKind::Durable { Class::Durable } else { Class::Online },
            ttl: parcel.ttl,
            key: b"",
            receipt: false,
            body: &parcel.body,
        })
        .collect();
    let id = talk.machine.push(name, &targets).unwrap_or_else(|_| {
        let id: RequestId = talk.next_raw;
        request::put_push(id, name, &targets, talk.machine.output());
        talk.next_raw += 1;
        asked.may_overrun = true;
        id
    });
    asked.must_overrun = count > talk.window();
    talk.asked.insert(id, asked);
    true
}

/// Its answer will never come.
pub(crate) fn forget(asked: &Asked, scene: &mut Scene) {
    match &asked.what {
        What::Push(_, parcels) => {
            for parcel in parcels {
                scene.ledger.unasked(parcel.id);
            }
        }
        What::Broadcast(_, _, id, _) => scene.ledger.broadcasts.give_up(*id),
        What::Job(..) | What::Online(..) | What::Kick(..) | What::Counters => {}
    }
}

/// Judges an answer.
pub(crate) fn check(link: LinkId, asked: &Asked, answer: &Answer<'_>, scene: &mut Scene) {
    scene.ledger.count("answers");
    if let Answer::Error { code, .. } = answer {
        refused(asked, *code, scene);
        return;
    }
    match (&asked.what, answer) {
        (What::Push(Some(product), parcels), Answer::Push(_, outcomes)) => {
            if outcomes.len() != parcels.len() || asked.must_overrun {
                scene.ledger.fail(format!("{outcomes:?} answers {} targets", parcels.len()));
                return;
            }
            for (parcel, outcome) in parcels.iter().zip(outcomes.iter()) {
                judge(*product, parcel, outcome, asked.at, scene);
            }
        }
        (What::Broadcast(_, _, id, _), Answer::Job(_, job)) => {
            let failure = scene.ledger.broadcasts.started(link, *id, *job);
            scene.ledger.failures.extend(failure);
        }
        (What::Job(_, id), Answer::Job(_, job)) if job.id == *id => {
            let failure = scene.ledger.broadcasts.told(link, *job);
            scene.ledger.failures.extend(failure);
        }
        (What::Online(product, users), Answer::Online(_, counts)) => {
            for ((user, known), count) in users.iter().zip(counts.iter()) {
                let sure = known.is_none() && scene.surely_online(*product, user, asked.at);
                let wrong = known.is_some_and(|known| known != count) || (sure && count == 0);
                if wrong || count > 1 {
                    let what = format!("{user} has {count} sessions and not {known:?} ({sure})");
                    scene.ledger.fail(what);
                }
            }
        }
        (What::Kick(..), Answer::Kick(_, count)) if *count <= 1 => {}
        (What::Counters, Answer::Counters(..)) => {}
        (what, answer) => scene.ledger.fail(format!("{what:?} is answered by {answer:?}")),
    }
}

fn refused(asked: &Asked, code: u16, scene: &mut Scene) {
    let Some(code) = ErrorCode::from_number(u64::from(code)) else {
        scene.ledger.fail(format!("an error has the unknown code {code}"));
        return;
    };
    let fair = match (&asked.what, code) {
        (_, ErrorCode::WindowOverrun) => asked.may_overrun,
        (_, ErrorCode::ShuttingDown) => scene.draining,
        (What::Push(None, _), ErrorCode::UnknownProduct)
        | (What::Job(..), ErrorCode::UnknownJob)
        | (What::Broadcast(..), ErrorCode::TooManyJobs) => true,
        _ => false,
    };
    if !fair {
        scene.ledger.fail(format!("{:?} is refused: {}", asked.what, code.name()));
    }
    match &asked.what {
        What::Push(_, parcels) => {
            for parcel in parcels {
                scene.ledger.refused(parcel.id);
            }
        }
        What::Broadcast(_, _, id, _) => scene.ledger.broadcasts.give_up(*id),
        What::Job(..) | What::Online(..) | What::Kick(..) | What::Counters => {}
    }
}

fn judge(product: usize, parcel: &Parcel, outcome: Outcome, at: u64, scene: &mut Scene) {
    scene.ledger.outcome(parcel.id, outcome);
    let fair = match (parcel.kind, outcome) {
        (ParcelKind::Empty, Outcome::Rejected(Rejection::EmptyBody))
        | (ParcelKind::TooLong, Outcome::Rejected(Rejection::BodyTooLong))
        | (ParcelKind::Durable, Outcome::Rejected(Rejection::NoStore))
        | (ParcelKind::Usual, Outcome::Delivered(_) | Outcome::Dropped(DropReason::OutboxFull)) => {
            true
        }
        (ParcelKind::Usual, Outcome::Offline | Outcome::Dropped(DropReason::ConnectionLost)) => {
            !scene.surely_online(product, &parcel.user, at)
        }
        (ParcelKind::Usual, Outcome::Dropped(DropReason::Shutdown)) => scene.draining,
        (ParcelKind::Usual, Outcome::Expired) => {
            parcel.ttl > 0 && scene.now - at > u64::from(parcel.ttl) * SECOND
        }
        _ => false,
    };
    if !fair {
        let (id, user) = (parcel.id, &parcel.user);
        scene.ledger.fail(format!("message {id} for {user} is {outcome:?} without a reason"));
    }
}

//! The requests of a scripted backend and what their answers must be.

use holdfast::io::sim::{Chance, LinkId};
use holdfast_protocol::backend::answer::{ErrorCode, Receipt};
use holdfast_protocol::backend::request::{self, Broadcast, JobAction, MailboxAction, Target};
use holdfast_protocol::backend::{Answer, JobId, RequestId};
use holdfast_protocol::client::Class;

use crate::backend::{Talk, action};
use crate::habit;
use crate::ledger::{MessageId, write_body};
use crate::parcel::Parcel;
use crate::plan::{PRODUCTS, SECOND, TAGS, UNKNOWN_PRODUCT};
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

impl Asked {
    /// What of it is to be pushed again; all that may be, if it was not answered.
    pub(crate) fn retries(self, unanswered: bool) -> Vec<(usize, Parcel)> {
        let What::Push(Some(product), parcels) = self.what else { return Vec::new() };
        let again = parcels.into_iter().filter_map(|parcel| parcel.retry(unanswered));
        again.map(|parcel| (product, parcel)).collect()
    }
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
    /// About a mailbox.
    Mailbox(MailboxAction, usize, String),
    /// The counters.
    Counters,
}

/// How fast a broadcast may go, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) users_per_second: u32,
    pub(crate) bits_per_second: u64,
    ttl: u32,
    /// Of class durable.
    kept: bool,
}

/// The length of a broadcast's body.
const BROADCAST_BODY: usize = 64;

impl Terms {
    fn draw(chance: &mut Chance) -> Self {
        Self {
            users_per_second: *chance.pick(&[0, 0, 5, 100, 10_000]),
            bits_per_second: *chance.pick(&[0, 0, 0, 8_000, 500_000]),
            ttl: *chance.pick(&[0, 0, 0, 1, 5]),
            kept: false,
        }
    }

    /// Where there is a store, some are durable.
    fn perhaps_kept(self, chance: &mut Chance, scene: &Scene) -> Self {
        Self { kept: scene.plan.keeping.is_some() && chance.happens(600), ..self }
    }

    /// The most copies a second; `None` for as many as go. Of a copy, the body counts.
    pub(crate) fn most(self) -> Option<u64> {
        let users = u64::from(self.users_per_second);
        let bits = self.bits_per_second.div_ceil(BROADCAST_BODY as u64 * 8);
        [users, bits].into_iter().filter(|&most| most > 0).min()
    }
}

impl What {
    /// A push of one message to one user.
    pub(crate) fn push_one(product: usize, user: &str, scene: &mut Scene) -> Self {
        Self::Push(Some(product), vec![Parcel::online(product, user, scene)])
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
            let terms = terms.perhaps_kept(chance, scene);
            let kept = terms.kept.then_some(terms.ttl);
            let id = scene.ledger.broadcasts.ask(product, tag, (terms.most(), kept), scene.now);
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
        95 if scene.plan.keeping.is_some() => {
            let actions = [MailboxAction::Show, MailboxAction::Purge, MailboxAction::Release];
            What::Mailbox(*chance.pick(&actions), product, habit::user(&scene.plan, chance))
        }
        95..98 => {
            let user = habit::user(&scene.plan, chance);
            scene.ledger.kick(product, &user);
            What::Kick(product, user)
        }
        _ => What::Counters,
    };
    if let What::Push(_, parcels) = &what {
        for parcel in parcels {
            scene.trace(|| format!("pushes {parcel:?}"));
        }
    }
    put(talk, what, scene);
}

fn push(talk: &mut Talk, chance: &mut Chance, scene: &mut Scene) -> What {
    if chance.happens(300)
        && let Some((product, parcel)) = talk.retries.pop()
    {
        scene.ledger.durables.ask_again(parcel.id);
        return What::Push(Some(product), vec![parcel]);
    }
    let overrun = chance.happens(20);
    let free = usize::try_from(talk.machine.window_left()).unwrap_or(0).max(1);
    let usual = 1 + chance.index(scene.plan.targets);
    let count = if overrun { free + usual } else { usual.min(free) };
    let product = (!chance.happens(20)).then(|| chance.index(PRODUCTS.len()));
    let one_user = chance.happens(200).then(|| habit::user(&scene.plan, chance));
    let parcels = (0..count).map(|_| {
        let user = one_user.clone().unwrap_or_else(|| habit::user(&scene.plan, chance));
        Parcel::draw(product.unwrap_or(usize::MAX), &user, chance, scene)
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
                class: if terms.kept { Class::Durable } else { Class::Online },
                ttl: terms.ttl,
                users_per_second: terms.users_per_second,
                bits_per_second: terms.bits_per_second,
                key: b"",
                body: &body,
            })
        }
        What::Job(action, job) => {
            if *action != JobAction::Status {
                scene.ledger.broadcasts.steers(*job);
            }
            machine.job(*action, *job)
        }
        What::Mailbox(action, product, user) => {
            if *action == MailboxAction::Purge {
                scene.ledger.durables.purge((*product, user.clone()), u64::MAX);
            }
            machine.mailbox(*action, PRODUCTS[*product], user)
        }
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
    let targets: Vec<Target<'_>> = parcels.iter().map(Parcel::target).collect();
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
                parcel.forget(scene);
            }
        }
        What::Broadcast(_, _, id, _) => scene.ledger.broadcasts.give_up(*id),
        What::Mailbox(MailboxAction::Purge, product, user) => {
            // It may be carried out all the same, soon.
            scene.ledger.durables.purge((*product, user.clone()), scene.now + 10 * SECOND);
        }
        What::Mailbox(..) | What::Job(..) | What::Online(..) | What::Kick(..) | What::Counters => {}
    }
}

/// Judges what became of a message later.
pub(crate) fn receipt(receipt: &Receipt<'_>, life: u32, scene: &mut Scene) {
    scene.ledger.count("receipts");
    let Some(product) = PRODUCTS.iter().position(|product| *product == receipt.product) else {
        scene.ledger.fail(format!("{receipt:?} is of no product"));
        return;
    };
    let user = (product, receipt.user.to_owned());
    let (sequence, outcome, told) = (receipt.sequence, receipt.outcome, (life, scene.now));
    let judged = scene.ledger.durables.receipt(&user, sequence, outcome, told);
    scene.ledger.judged(judged);
}

/// Judges an answer.
pub(crate) fn check(
    (link, life): (LinkId, u32),
    asked: &Asked,
    answer: &Answer<'_>,
    scene: &mut Scene,
) {
    scene.ledger.count("answers");
    if let Answer::Error { code, .. } = answer {
        refused(asked, (*code, life), scene);
        return;
    }
    match (&asked.what, answer) {
        (What::Push(Some(product), parcels), Answer::Push(_, outcomes)) => {
            if outcomes.len() != parcels.len() || asked.must_overrun {
                scene.ledger.fail(format!("{outcomes:?} answers {} targets", parcels.len()));
                return;
            }
            for (parcel, outcome) in parcels.iter().zip(outcomes.iter()) {
                parcel.judge(*product, outcome, (life, asked.at), scene);
            }
        }
        (What::Broadcast(_, _, id, _), Answer::Job(_, job)) => {
            let failure = scene.ledger.broadcasts.started(link, *id, *job, scene.now);
            scene.ledger.failures.extend(failure);
        }
        (What::Job(_, id), Answer::Job(_, job)) if job.id == *id => {
            let failure = scene.ledger.broadcasts.told(link, *job, scene.now);
            scene.ledger.failures.extend(failure);
        }
        (What::Online(product, users), Answer::Online(_, counts)) => {
            for ((user, known), count) in users.iter().zip(counts.iter()) {
                let sure = known.is_none() && scene.surely_online(*product, user, asked.at);
                let wrong = known.is_some_and(|known| known != count) || (sure && count == 0);
                if wrong || count as usize > scene.ledger.sessions {
                    let what = format!("{user} has {count} sessions and not {known:?} ({sure})");
                    scene.ledger.fail(what);
                }
            }
        }
        (What::Kick(..), Answer::Kick(_, count)) if *count as usize <= scene.ledger.sessions => {}
        (What::Counters, Answer::Counters(..)) => {}
        (What::Mailbox(action, product, user), Answer::Mailbox(..)) => {
            if *action == MailboxAction::Purge {
                let user = (*product, user.clone());
                scene.ledger.durables.purge(user, scene.now);
            }
            scene.ledger.count("mailboxes looked at");
        }
        (what, answer) => scene.ledger.fail(format!("{what:?} is answered by {answer:?}")),
    }
}

fn refused(asked: &Asked, (code, life): (u16, u32), scene: &mut Scene) {
    let Some(code) = ErrorCode::from_number(u64::from(code)) else {
        scene.ledger.fail(format!("an error has the unknown code {code}"));
        return;
    };
    let fair = match (&asked.what, code) {
        (_, ErrorCode::WindowOverrun) => asked.may_overrun,
        (_, ErrorCode::ShuttingDown) => scene.leaves(life),
        // A job that is refused for the store's sake was steered, as if nobody had answered: a
        // restart may forget it.
        (What::Push(None, _), ErrorCode::UnknownProduct)
        | (What::Job(..), ErrorCode::UnknownJob | ErrorCode::StoreBusy | ErrorCode::StoreFull)
        | (What::Broadcast(..), ErrorCode::TooManyJobs) => true,
        (What::Broadcast(_, _, _, terms), ErrorCode::StoreBusy | ErrorCode::StoreFull) => {
            terms.kept
        }
        _ => false,
    };
    if !fair {
        scene.ledger.fail(format!("{:?} is refused: {}", asked.what, code.name()));
    }
    match &asked.what {
        What::Push(_, parcels) => {
            for parcel in parcels {
                parcel.refused(scene);
            }
        }
        What::Broadcast(_, _, id, _) => scene.ledger.broadcasts.give_up(*id),
        What::Job(_, job) if code == ErrorCode::UnknownJob => {
            let failure = scene.ledger.broadcasts.unknown(*job, scene.now);
            scene.ledger.failures.extend(failure);
        }
        What::Mailbox(..) | What::Job(..) | What::Online(..) | What::Kick(..) | What::Counters => {}
    }
}

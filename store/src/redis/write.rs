//! Batches: commands of shards as commands of servers, and what came of them as events.

use crate::clock;
use crate::letter::{Append, Broadcast};
use crate::letter::{Batch, Command, Event, KeyMark, Mark, Place, Seen, Trouble};
use crate::redis::caller::{Caller, Op};
use crate::redis::counters::count;
use crate::redis::desk::{Desk, now};
use crate::redis::encode;
use crate::redis::names::{Key, by_bucket, user_of};
use crate::redis::owed::split;
use crate::redis::reply::{Fault, integer};
use crate::redis::script::{OVERTAKEN, Script};
use redis::{Cmd, Value};
use std::rc::Rc;

/// The field of a product's states that changes with each of them.
pub(super) const VERSION: &str = "version";
/// How many sequences a process takes at once.
pub(super) const BLOCK: u64 = 1 << 30;

/// How many seconds a body outlives its message: who decides that it is out of date is the engine,
/// and until then it must be there.
pub(super) const SPARED: u32 = 60;

/// Serves one shard's batches until its channel ends.
pub(super) async fn write(desk: Rc<Desk>, batches: flume::Receiver<Batch>) {
    let mut caller = Caller::new(Rc::clone(&desk.atlas));
    while let Ok(batch) = batches.recv_async().await {
        count(&desk.health.counters.batches, 1);
        let shard = batch.shard;
        let mut commands = split(batch.commands);
        let events = if let Some(trouble) = desk.health.trouble() {
            // The watcher tries; nobody else waits for a server that is known not to answer.
            caller.hang_up();
            desk.owe(commands.into_iter().filter(|command| !is_answered(command)));
            count(&desk.health.counters.failed, 1);
            vec![Event::Failed(trouble)]
        } else {
            commands.extend(due(&commands));
            let begun = clock::instant();
            let events = carry(&desk, &mut caller, commands).await;
            desk.health.counters.wrote(begun.elapsed());
            events
        };
        for event in events {
            desk.health.tell(shard, event);
        }
    }
}

/// What is to be looked at when the time to live of these messages ends: where somebody wants to
/// hear of that.
fn due(commands: &[Command]) -> Vec<Command> {
    let due = commands.iter().filter_map(|command| {
        let Command::Append(append) = command else { return None };
        let Append { product, expires, .. } = *append;
        let user = user_of(append).into();
        append.receipt.is_some().then_some(Command::Due { product, user, expires })
    });
    due.collect()
}

/// Carries commands out and says what became of them; those without an answer that failed are owed.
/// Who steers a broadcast waits for the batch, and hears whether that is safe: of that the event
/// before says what there is to say.
async fn carry(desk: &Desk, caller: &mut Caller, commands: Vec<Command>) -> Vec<Event> {
    let faults = attempt(desk, caller, &commands.iter().collect::<Vec<_>>()).await;
    let (mut worst, mut unsteered) = (None, None);
    let mut places = Vec::new();
    let mut owed = Vec::new();
    for (command, fault) in commands.into_iter().zip(faults) {
        let answered = is_answered(&command);
        match fault {
            None if answered => places.push(place(&command)),
            None => {}
            Some(Fault::Refused(why)) => {
                refuse(desk, &command, &why);
                places.extend(answered.then_some(Place::REFUSED));
                if matches!(command, Command::Steer { .. }) {
                    unsteered = Some(Trouble::Down);
                }
            }
            Some(fault @ Fault::Away(_)) if answered && !desk.atlas.is_dark() => {
                judge(desk, &fault);
                places.push(Place::AWAY);
            }
            Some(fault) => {
                let trouble = judge(desk, &fault);
                match &command {
                    _ if answered => worst = Some(trouble),
                    Command::Steer { .. } => unsteered = Some(trouble),
                    _ => {}
                }
                if !answered {
                    owed.push(command);
                }
            }
        }
    }
    desk.owe(owed);
    let counters = &desk.health.counters;
    if let Some(trouble) = worst {
        count(&counters.failed, 1);
        return vec![Event::Failed(trouble)];
    }
    count(&counters.appended, places.iter().filter(|place| place.is_one()).count());
    unsteered.map(Event::Unsteered).into_iter().chain([Event::Written(places)]).collect()
}

/// Says what a fault means for the store, and for the batch.
fn judge(desk: &Desk, fault: &Fault) -> Trouble {
    desk.say(fault);
    if matches!(fault, Fault::Full(_)) { Trouble::Full } else { Trouble::Down }
}

/// The store is well, and did not take this command.
fn refuse(desk: &Desk, command: &Command, why: &str) {
    count(&desk.health.counters.overtaken, 1);
    if matches!(command, Command::Append(_)) && why.contains(OVERTAKEN) {
        // It comes again, behind what others stored.
        tracing::debug!(why, "another host stored something for this user");
    } else {
        tracing::warn!(why, "the store in Redis refused a command");
    }
}

/// Carries commands out once and says of each what went wrong, if something did.
pub(super) async fn attempt(
    desk: &Desk,
    caller: &mut Caller,
    commands: &[&Command],
) -> Vec<Option<Fault>> {
    let mut faults = vec![None; commands.len()];
    // The scripts' hashes come with the first connection, which the watcher has made.
    let (mut ops, mut owners) = (Vec::new(), Vec::new());
    for (at, command) in commands.iter().enumerate() {
        if let Command::Append(append) = command
            && append.sequence <= desk.floor.get()
        {
            let why = format!("{OVERTAKEN} sequence {} was given before", append.sequence);
            faults[at] = Some(Fault::Refused(why));
            continue;
        }
        desk.put(command, &mut ops);
        owners.resize(ops.len(), at);
    }
    let outcomes = caller.carry(&ops, true).await;
    for (owner, outcome) in owners.into_iter().zip(outcomes) {
        match outcome {
            Ok(value) => desk.learn(commands[owner], &value),
            Err(fault) => faults[owner] = Some(fault),
        }
    }
    faults
}

/// Whether a shard waits for a place.
fn is_answered(command: &Command) -> bool {
    match command {
        Command::Append(_) | Command::Move(_) | Command::Broadcast(_) => true,
        Command::Trim { .. }
        | Command::Steer { .. }
        | Command::Seen(_)
        | Command::Keys(_)
        | Command::Reserve(_)
        | Command::Cleaned(_)
        | Command::Mark { .. }
        | Command::Given { .. }
        | Command::Due { .. } => false,
    }
}

/// Servers find things by name: places say nothing.
fn place(command: &Command) -> Place {
    if let Command::Move(place) = command { *place } else { Place::default() }
}

impl Desk {
    /// Writes a command as the servers know it.
    pub(super) fn put(&self, command: &Command, ops: &mut Vec<Op>) {
        match command {
            Command::Append(append) => ops.push(self.append(append)),
            Command::Trim { product, user, upto } => ops.push(self.trim(*product, user, *upto)),
            Command::Broadcast(broadcast) => ops.push(self.broadcast(broadcast)),
            Command::Steer { product, number, state } => {
                let key = self.names.states(self.product(*product));
                let mut set = redis::cmd("HSET");
                set.arg(&key.name).arg(*number).arg(encode::state(*state));
                ops.push(op(&key, set));
                let mut news = redis::cmd("HINCRBY");
                news.arg(&key.name).arg(VERSION).arg(1);
                ops.push(op(&key, news));
                // A key that had expired must not come back for ever.
                outlive(&key, self.names.remembered(now(), 0), ops);
            }
            Command::Seen(seen) => self.seen(seen, ops),
            Command::Keys(marks) => marks.iter().for_each(|mark| self.mark(mark, ops)),
            Command::Reserve(upto) => {
                let key = self.names.sequence();
                let more = upto.saturating_sub(self.reserved.get());
                if more > 0 {
                    let mut raise = redis::cmd("INCRBY");
                    raise.arg(&key.name).arg(more.max(BLOCK));
                    ops.push(op(&key, raise));
                }
            }
            Command::Mark { product, user, mark } => self.remember(*product, user, *mark, ops),
            Command::Given { product, user, upto } => {
                let key = self.user(*product, user).index;
                let mut raise = redis::cmd("ZADD");
                raise.arg(&key.name).arg("LT").arg(format!("-{upto}")).arg("last");
                ops.push(op(&key, raise));
                outlive(&key, self.names.remembered(now(), 0), ops);
            }
            Command::Due { product, user, expires } => {
                let key = self.names.deadlines();
                let mut add = redis::cmd("ZADD");
                add.arg(&key.name).arg(*expires);
                add.arg(encode::deadline(*expires, self.product(*product), user));
                ops.push(op(&key, add));
                outlive(&key, self.names.remembered(now(), *expires), ops);
            }
            Command::Move(_) | Command::Cleaned(_) => {}
        }
    }

    /// What is known of the deliveries to a user stands in the index, with the score 0.
    fn remember(&self, product: u16, user: &str, mark: Option<Mark>, ops: &mut Vec<Op>) {
        let key = self.user(product, user).index;
        let mut forget = redis::cmd("ZREMRANGEBYSCORE");
        forget.arg(&key.name).arg(0).arg(0);
        ops.push(op(&key, forget));
        if let Some(mark) = mark {
            let mut add = redis::cmd("ZADD");
            add.arg(&key.name).arg(0).arg(encode::delivered(mark));
            ops.push(op(&key, add));
            outlive(&key, self.names.remembered(now(), 0), ops);
        }
    }

    fn append(&self, append: &Append) -> Op {
        let user = user_of(append);
        let keys = self.user(append.product, user);
        let mut call = self.atlas.hashes.borrow().call(Script::Append);
        call.arg(3).arg(&keys.index.name).arg(&keys.bodies.name).arg(&keys.marks.name);
        call.arg(append.sequence).arg(encode::entry(append));
        call.arg(append.body.of(&append.bytes)).arg(append.expires.saturating_add(SPARED));
        call.arg(self.names.remembered(append.at, append.expires));
        call.arg(encode::mark_of(append)).arg(append.at).arg(self.names.window.as_secs());
        call.arg(append.behind).arg(self.process).arg(u8::from(append.chained));
        op(&keys.index, call)
    }

    fn trim(&self, product: u16, user: &str, upto: u64) -> Op {
        let keys = self.user(product, user);
        let mut call = self.atlas.hashes.borrow().call(Script::Trim);
        call.arg(2).arg(&keys.index.name).arg(&keys.bodies.name);
        call.arg(upto).arg(self.names.remembered(now(), 0));
        op(&keys.index, call)
    }

    fn broadcast(&self, broadcast: &Broadcast) -> Op {
        let product = self.product(broadcast.product);
        let key = self.names.broadcasts(product);
        let mut call = self.atlas.hashes.borrow().call(Script::Broadcast);
        call.arg(2).arg(&key.name).arg(self.names.states(product).name);
        call.arg(broadcast.number).arg(encode::broadcast(broadcast));
        call.arg(encode::state(broadcast.state)).arg(broadcast.expires);
        op(&key, call)
    }

    fn seen(&self, seen: &Seen, ops: &mut Vec<Op>) {
        let product = self.product(seen.product);
        for users in by_bucket(seen) {
            let key = self.names.seen(product, seen.number, users[0]);
            let mut add = redis::cmd("SADD");
            add.arg(&key.name);
            for user in users {
                add.arg(encode::member(user));
            }
            ops.push(op(&key, add));
            let mut expire = redis::cmd("EXPIREAT");
            expire.arg(&key.name).arg(seen.until);
            ops.push(op(&key, expire));
        }
    }

    fn mark(&self, mark: &KeyMark, ops: &mut Vec<Op>) {
        let key = self.names.marks(mark.user);
        let mut add = redis::cmd("ZADD");
        add.arg(&key.name).arg(mark.at).arg(encode::mark(mark.key, mark.sequence));
        ops.push(op(&key, add));
        let mut expire = redis::cmd("EXPIRE");
        expire.arg(&key.name).arg(self.names.window.as_secs());
        ops.push(op(&key, expire));
    }

    /// What this process knows better once a command is carried out.
    fn learn(&self, command: &Command, value: &Value) {
        match command {
            Command::Reserve(_) => {
                let end = integer(value).and_then(|end| end.try_into().ok()).unwrap_or(0);
                if end > self.reserved.get() {
                    self.reserved.set(end);
                    self.health.tell_all(|| Event::Block(end - BLOCK));
                }
            }
            Command::Broadcast(broadcast) => self.know(broadcast),
            Command::Steer { product, number, state } => {
                self.see_state((*product, *number), *state);
            }
            Command::Due { expires, .. } => self.due.set(self.due.get().min(*expires)),
            _ => {}
        }
    }
}

/// A command on this key.
pub(super) fn op(key: &Key, command: Cmd) -> Op {
    Op { slot: key.slot, command }
}

/// Has a key expire at this second, or later.
fn outlive(key: &Key, till: u64, ops: &mut Vec<Op>) {
    for which in ["NX", "GT"] {
        let mut expire = redis::cmd("EXPIREAT");
        expire.arg(&key.name).arg(till).arg(which);
        ops.push(op(key, expire));
    }
}

//! Questions: what a mailbox holds, and bodies.

use crate::Kept;
use crate::letter::{Ask, Event, KeyMark, Loaded, Mark, Span, Trouble};
use crate::redis::caller::{Caller, Op};
use crate::redis::counters::count;
use crate::redis::desk::{Desk, now};
use crate::redis::encode;
use crate::redis::reply::{bytes, integer, list};
use crate::redis::write::op;
use redis::Value;
use std::rc::Rc;

/// How many questions go together, and how many bytes of bodies.
const TOGETHER: (usize, usize) = (256, 4 << 20);

/// Serves questions until their channel ends. Several of these may share one channel.
pub(super) async fn read(desk: Rc<Desk>, asks: flume::Receiver<Ask>) {
    let mut caller = Caller::new(Rc::clone(&desk.atlas));
    while let Ok(ask) = asks.recv_async().await {
        let group = gather(ask, &asks);
        if desk.health.trouble() == Some(Trouble::Down) {
            caller.hang_up();
            for ask in &group {
                desk.unanswered(ask);
            }
        } else {
            desk.answer(&mut caller, &group).await;
        }
    }
}

/// What waits, as far as it goes together.
fn gather(first: Ask, asks: &flume::Receiver<Ask>) -> Vec<Ask> {
    let size = |ask: &Ask| ask.wanted.iter().map(|one| one.length as usize).sum::<usize>();
    let mut all = size(&first);
    let mut group = vec![first];
    while group.len() < TOGETHER.0 && all < TOGETHER.1 {
        let Ok(next) = asks.try_recv() else { break };
        all += size(&next);
        group.push(next);
    }
    group
}

impl Desk {
    async fn answer(&self, caller: &mut Caller, group: &[Ask]) {
        let (mut ops, mut sizes) = (Vec::new(), Vec::new());
        for ask in group {
            let before = ops.len();
            // New broadcasts may come while the servers think.
            let live = self.live(ask.product);
            self.question(ask, &live, &mut ops);
            sizes.push((ops.len() - before, live));
        }
        let mut outcomes = caller.carry(&ops, false).await.into_iter();
        for (ask, (size, live)) in group.iter().zip(sizes) {
            let answers: Vec<_> = outcomes.by_ref().take(size).collect();
            match answers.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(answers) if ask.wanted.is_empty() => self.opened(ask, &live, &answers),
                Ok(answers) => self.loaded(ask, &answers),
                Err(fault) => {
                    self.say(&fault);
                    self.unanswered(ask);
                }
            }
        }
    }

    fn unanswered(&self, ask: &Ask) {
        count(&self.health.counters.unanswered, 1);
        self.health.tell(ask.shard, Event::Unanswered { token: ask.token });
    }

    fn question(&self, ask: &Ask, live: &[u64], ops: &mut Vec<Op>) {
        let keys = self.user(ask.product, &ask.user);
        if !ask.wanted.is_empty() {
            let mut get = redis::cmd("HMGET");
            get.arg(&keys.bodies.name);
            for one in &ask.wanted {
                get.arg(one.sequence);
            }
            ops.push(op(&keys.bodies, get));
            return;
        }
        let mut index = redis::cmd("ZRANGE");
        index.arg(&keys.index.name).arg(0).arg(-1).arg("WITHSCORES");
        ops.push(op(&keys.index, index));
        let since = u64::from(now()).saturating_sub(self.names.window.as_secs());
        let mut marks = redis::cmd("ZRANGEBYSCORE");
        marks.arg(&keys.marks.name).arg(since).arg("+inf").arg("WITHSCORES");
        ops.push(op(&keys.marks, marks));
        let hash = self.homes.hash(ask.product, &ask.user);
        for number in live {
            let key = self.names.seen(self.product(ask.product), *number, hash);
            let mut had = redis::cmd("SISMEMBER");
            had.arg(&key.name).arg(encode::member(hash));
            ops.push(op(&key, had));
        }
    }

    /// The broadcasts of a product that somebody may still have to get.
    fn live(&self, product: u16) -> Vec<u64> {
        let known = self.known.borrow();
        known.get(&product).into_iter().flat_map(|known| known.live.keys()).copied().collect()
    }

    fn opened(&self, ask: &Ask, live: &[u64], answers: &[Value]) {
        count(&self.health.counters.opened, 1);
        let [index, marks, had @ ..] = answers else { return self.unanswered(ask) };
        let (messages, last, mark) = self.index(ask, index);
        let hash = self.homes.hash(ask.product, &ask.user);
        let seen = live.iter().copied().zip(had);
        let seen = seen.filter(|(_, had)| integer(had) == Some(1)).map(|(number, _)| number);
        let event = Event::Opened {
            token: ask.token,
            messages,
            last,
            keys: keys(hash, marks),
            seen: seen.collect(),
            mark,
        };
        self.health.tell(ask.shard, event);
    }

    /// What an index says: messages by sequence, the greatest sequence ever given, and how the
    /// deliveries stand.
    fn index(&self, ask: &Ask, index: &Value) -> (Vec<Kept>, u64, Option<Mark>) {
        let (mut messages, mut last, mut mark) = (Vec::new(), 0, None);
        for pair in list(index).chunks_exact(2) {
            let score = integer(&pair[1]).unwrap_or(0);
            if score < 0 {
                let is_last = bytes(&pair[0]) == Some(b"last");
                last = if is_last { score.unsigned_abs() } else { last };
            } else if score == 0 {
                mark = bytes(&pair[0]).and_then(encode::delivered_of);
            } else if let Some(kept) = bytes(&pair[0]).and_then(encode::kept) {
                messages.push(kept);
            } else {
                let (product, user) = (self.product(ask.product), ask.user.as_str());
                tracing::error!(product, user, score, "an entry in Redis cannot be read");
            }
        }
        (messages, last, mark)
    }

    fn loaded(&self, ask: &Ask, answers: &[Value]) {
        let bodies = answers.first().map(list).unwrap_or_default();
        let mut all = Vec::new();
        let mut spans = Vec::with_capacity(ask.wanted.len());
        for (at, wanted) in ask.wanted.iter().enumerate() {
            let body = bodies.get(at).and_then(bytes).unwrap_or_default();
            let right = body.len() == wanted.length as usize;
            let begin = u32::try_from(all.len()).ok().filter(|_| right);
            spans.push(begin.map_or(Span::default(), |at| Span { at, length: wanted.length }));
            all.extend_from_slice(if begin.is_some() { body } else { &[] });
        }
        count(&self.health.counters.loaded, spans.len());
        let shared: std::sync::Arc<[u8]> = all.into();
        let messages = ask.wanted.iter().zip(spans).map(|(wanted, body)| Loaded {
            sequence: wanted.sequence,
            bytes: std::sync::Arc::clone(&shared),
            body,
        });
        let event = Event::Loaded { token: ask.token, messages: messages.collect() };
        self.health.tell(ask.shard, event);
    }
}

/// A user's idempotency keys.
fn keys(user: u64, marks: &Value) -> Vec<KeyMark> {
    let pairs = list(marks).chunks_exact(2).filter_map(|pair| {
        let at = u32::try_from(integer(&pair[1])?).ok()?;
        encode::key_mark(user, bytes(&pair[0])?, at)
    });
    pairs.collect()
}

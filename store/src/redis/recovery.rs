//! What a process needs from the servers before it begins: a block of sequences of its own, and the
//! broadcasts that are live. Mailboxes are opened when they are asked for.

use crate::Recovered;
use crate::letter::{Broadcast, BroadcastState};
use crate::redis::caller::{Caller, Op};
use crate::redis::desk::{Desk, now};
use crate::redis::encode;
use crate::redis::reply::{Fault, bytes, integer, list, text};
use crate::redis::write::{BLOCK, op};
use redis::{Cmd, Value};

/// Begins; one [`Recovered`] for each shard. A write is tried first, so that servers that cannot
/// keep what the options promise are refused here.
pub(super) async fn begin(desk: &Desk, caller: &mut Caller) -> Result<Vec<Recovered>, String> {
    desk.probe(caller, true).await.map_err(why)?;
    let sequence = reserve(desk, caller).await?;
    let mut broadcasts = Vec::new();
    for product in 0..desk.homes.products().len() {
        let product = u16::try_from(product).map_err(|_| "more than 65,535 products")?;
        broadcasts.extend(of_product(desk, caller, product).await?);
    }
    for broadcast in &broadcasts {
        desk.know(broadcast);
    }
    let shards = 0..desk.homes.shards();
    let recovered = shards.map(|_| Recovered {
        broadcasts: broadcasts.clone(),
        sequence,
        ..Recovered::default()
    });
    Ok(recovered.collect())
}

/// Takes the next block. Its end is what every later process begins behind.
async fn reserve(desk: &Desk, caller: &mut Caller) -> Result<u64, String> {
    let key = desk.names.sequence();
    let mut take = redis::cmd("INCRBY");
    take.arg(&key.name).arg(BLOCK);
    let end = one(caller, op(&key, take), true).await?;
    let end = integer(&end).and_then(|end| u64::try_from(end).ok());
    let end = end.filter(|end| *end >= BLOCK).ok_or("the sequence is not a number")?;
    desk.reserved.set(end);
    Ok(end - BLOCK)
}

/// A product's live broadcasts. Those whose time is over are removed.
async fn of_product(
    desk: &Desk,
    caller: &mut Caller,
    product: u16,
) -> Result<Vec<Broadcast>, String> {
    let name = desk.product(product);
    let (key, states) = (desk.names.broadcasts(name), desk.names.states(name));
    let all = |name: &str| redis::cmd("HGETALL").arg(name).to_owned();
    let ops = [op(&key, all(&key.name)), op(&states, all(&states.name))];
    let answers = caller.carry(&ops, false).await.into_iter().collect::<Result<Vec<_>, _>>();
    let answers = answers.map_err(why)?;
    let (mut live, mut over) = (Vec::new(), Vec::new());
    for pair in list(&answers[0]).chunks_exact(2) {
        let number = text(&pair[0]).and_then(|number| number.parse().ok());
        let state = number.map_or(BroadcastState::Running, |number| state(&answers[1], number));
        let read = number
            .zip(bytes(&pair[1]))
            .and_then(|(number, value)| encode::broadcast_of((product, number), state, value));
        match read {
            Some(broadcast) if broadcast.expires >= now() => live.push(broadcast),
            Some(broadcast) => over.push(broadcast.number),
            None => tracing::error!(product = name, "a broadcast in Redis cannot be read"),
        }
    }
    live.sort_unstable_by_key(|broadcast| broadcast.number);
    if !over.is_empty() {
        let forget = |name: &str| -> Cmd { redis::cmd("HDEL").arg(name).arg(&over).to_owned() };
        for key in [&key, &states] {
            one(caller, op(key, forget(&key.name)), false).await?;
        }
    }
    Ok(live)
}

/// How the broadcast of this number stands; as it began, where nothing is said.
fn state(states: &Value, number: u64) -> BroadcastState {
    let own = all_states(states).find(|(of, _)| *of == number);
    own.map_or(BroadcastState::Running, |(_, state)| state)
}

/// Every broadcast's number and how it stands.
pub(super) fn all_states(states: &Value) -> impl Iterator<Item = (u64, BroadcastState)> {
    list(states).chunks_exact(2).filter_map(|pair| {
        let number = text(&pair[0])?.parse().ok()?;
        Some((number, encode::state_of(bytes(&pair[1])?)?))
    })
}

async fn one(caller: &mut Caller, op: Op, safe: bool) -> Result<Value, String> {
    let mut outcomes = caller.carry(&[op], safe).await;
    outcomes.pop().unwrap_or(Ok(Value::Nil)).map_err(why)
}

fn why(fault: Fault) -> String {
    match fault {
        Fault::Full(why) | Fault::Down(why) | Fault::Away(why) | Fault::Refused(why) => why,
    }
}

//! One `[[phase]]` of a scenario file. Its kind says what it is about and which keys it must have;
//! all kinds but `hold` and the first `ramp` may push and broadcast besides.

use super::kinds::{self, Kind as Value};
use super::table::Table;
use crate::clock::{MILLISECOND, SECOND};
use crate::profile::Profile;
use crate::scenario::phase::{Behaviour, Broadcasts, Kind, Phase, Pushes};
use crate::schedule::Order;
use crate::schedule::rhythm::Rhythm;
use holdfast_protocol::client::Class;
use holdfast_protocol::limits::PRODUCT_BYTES;
use std::path::Path;

/// The keys of a replay, whose rhythm and length are in its profile.
const REPLAY: [&str; 6] = ["kind", "name", "profile", "targets", "class", "durable"];
/// The keys of the first ramp, which lasts as long as it takes.
const FIRST: [&str; 2] = ["kind", "name"];
const COMMON: [&str; 3] = ["kind", "name", "duration"];
/// What is of use only beside `rate`.
const PUSHING: [&str; 6] = ["size", "arrivals", "burst", "scatter", "targets", "durable"];
/// What is of use only beside `broadcasts`.
const BROADCASTING: [&str; 4] =
    ["broadcast_size", "broadcast_users", "broadcast_bits", "broadcast_product"];

/// How many broadcasts a phase may have by itself; the run has its own limit.
const BROADCASTS: u64 = crate::scenario::plan::BROADCASTS_MAX as u64;
const CLASSES: [(&str, Class); 2] = [("online", Class::Online), ("durable", Class::Durable)];
const ORDERS: [(&str, Order); 2] = [("random", Order::Random), ("sequential", Order::Sequential)];

/// How arrivals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrivals {
    Even,
    Poisson,
    Burst,
}

const ARRIVALS: [(&str, Arrivals); 3] =
    [("even", Arrivals::Even), ("poisson", Arrivals::Poisson), ("burst", Arrivals::Burst)];

/// Reads a phase, which is the first or not; `None` where it is wrong.
pub(super) fn read(table: Table<'_>, first: bool) -> Option<Phase> {
    let kind = table.need("kind", &kinds::choice(&Kind::NAMES))?;
    let place = if first { "the first" } else { "a" };
    let table = table.called(format!("{place} phase of kind \"{}\"", kind.name()));
    let begins = first && kind == Kind::Ramp;
    let known = if begins { FIRST.to_vec() } else { known(kind) };
    table.only_or(&known, |key| elsewhere(key).or_else(|| super::home(key)));
    let name = table.get("name", &kinds::text(1, 64)).unwrap_or_else(|| kind.name().to_owned());
    if begins {
        let clients = Behaviour::Stay;
        return Some(Phase { kind, name, length: 0, pushes: None, broadcasts: None, clients });
    }
    if kind == Kind::Replay {
        return replay(&table, name);
    }
    let length = table.need("duration", &kinds::time(1));
    let pushes = pushes(&table, kind);
    let broadcasts = broadcasts(&table, kind);
    let clients = behaviour(&table, kind, length.unwrap_or(u64::MAX));
    class_of_nothing(&table, kind);
    Some(Phase { kind, name, length: length?, pushes, broadcasts, clients })
}

/// A phase that offers a rhythm again that was recorded.
fn replay(table: &Table<'_>, name: String) -> Option<Phase> {
    let path = table.need("profile", &kinds::text(1, 4_096))?;
    let (order, durable) = (order(table), durable(table));
    match Profile::read(Path::new(&path)) {
        Ok(profile) => Some(Phase::replay(name, &profile, order, durable)),
        Err(wrong) => {
            table.wrong_at("profile", wrong);
            None
        }
    }
}

fn order(table: &Table<'_>) -> Order {
    table.get("targets", &kinds::choice(&ORDERS)).unwrap_or(Order::Random)
}

/// The share that is durable.
fn durable(table: &Table<'_>) -> f64 {
    if table.has("class") && table.has("durable") {
        table.wrong_at("durable", "durable is a share of pushes and class is all; keep one");
    }
    let all = f64::from(u8::from(class(table) == Class::Durable));
    table.get("durable", &kinds::share(true)).unwrap_or(all)
}

/// The keys of a kind.
fn known(kind: Kind) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        Kind::Ramp => &["share"],
        Kind::Hold => return COMMON.to_vec(),
        Kind::Push | Kind::Broadcast => &[],
        Kind::Churn => &["share", "pause"],
        Kind::Storm => &["share", "over", "pause", "spread"],
        Kind::Slow => &["share", "read"],
        Kind::Offline => &["share", "pause", "spread"],
        Kind::Replay => return REPLAY.to_vec(),
    };
    [&COMMON[..], own, &["rate", "class", "broadcasts"], &PUSHING, &BROADCASTING].concat()
}

/// The keys of all kinds.
pub(super) fn all_keys() -> Vec<&'static str> {
    Kind::NAMES.iter().flat_map(|(_, kind)| known(*kind)).collect()
}

/// The phases that have such a key, for one that stands in another phase.
fn elsewhere(key: &str) -> Option<String> {
    let kinds = Kind::NAMES.iter().filter(|(_, kind)| known(*kind).contains(&key));
    let kinds: Vec<&str> = kinds.map(|(name, _)| *name).collect();
    (!kinds.is_empty()).then(|| format!("other phases, of kind {}", kinds.join(", ")))
}

fn pushes(table: &Table<'_>, kind: Kind) -> Option<Pushes> {
    let rate = &kinds::number(1, 10_000_000);
    let rate = if kind == Kind::Push { table.need("rate", rate) } else { table.get("rate", rate) };
    if !table.has("rate") && kind != Kind::Push {
        useless(table, &PUSHING, "rate");
    }
    let arrivals = table.get("arrivals", &kinds::choice(&ARRIVALS)).unwrap_or(Arrivals::Even);
    let burst = burst(table, arrivals);
    let (order, durable) = (order(table), durable(table));
    let sizes = table.get("size", &kinds::sizes());
    Some(Pushes {
        rate: rate?,
        slices: Vec::new(),
        sizes: sizes.or_else(|| "256-1024".parse().ok())?,
        rhythm: if arrivals == Arrivals::Poisson { Rhythm::Poisson } else { Rhythm::Even },
        burst,
        scatter: table.get("scatter", &kinds::flag()).unwrap_or(false),
        order,
        durable,
    })
}

fn burst(table: &Table<'_>, arrivals: Arrivals) -> u32 {
    let kind = kinds::number(2, 100_000);
    if arrivals == Arrivals::Burst {
        return table.need("burst", &kind).unwrap_or(1);
    }
    for key in ["burst", "scatter"] {
        if table.has(key) {
            table.wrong_at(key, format!("{key} is of use only with arrivals = \"burst\""));
        }
    }
    1
}

fn broadcasts(table: &Table<'_>, kind: Kind) -> Option<Broadcasts> {
    let count = table.get("broadcasts", &kinds::number(1, BROADCASTS));
    let count = count.or((kind == Kind::Broadcast).then_some(1));
    if count.is_none() && !table.has("broadcasts") {
        useless(table, &BROADCASTING, "broadcasts");
    }
    let pace = kinds::number(0, 1_000_000_000);
    let bits = kinds::number(0, 1_000_000_000_000);
    Some(Broadcasts {
        count: count?,
        size: table.get("broadcast_size", &kinds::size()).unwrap_or(256),
        users: table.get("broadcast_users", &pace).unwrap_or(0),
        bits: table.get("broadcast_bits", &bits).unwrap_or(0),
        class: class(table),
        product: table.get("broadcast_product", &kinds::text(1, PRODUCT_BYTES)),
    })
}

fn class(table: &Table<'_>) -> Class {
    table.get("class", &kinds::choice(&CLASSES)).unwrap_or(Class::Online)
}

fn class_of_nothing(table: &Table<'_>, kind: Kind) {
    let sends = matches!(kind, Kind::Push | Kind::Broadcast | Kind::Hold);
    if !sends && !table.has("rate") && !table.has("broadcasts") {
        useless(table, &["class"], "rate or broadcasts");
    }
}

fn useless(table: &Table<'_>, keys: &[&str], beside: &str) {
    for key in keys.iter().filter(|key| table.has(key)) {
        table.wrong_at(key, format!("{key} is of use only beside {beside}"));
    }
}

/// What clients do in a phase that lasts `length` nanoseconds.
fn behaviour(table: &Table<'_>, kind: Kind, length: u64) -> Behaviour {
    let time = kinds::time(0);
    let get = |key, absent| table.get(key, &time).unwrap_or(absent);
    let some = kinds::share(false);
    match kind {
        Kind::Hold | Kind::Push | Kind::Broadcast | Kind::Replay => Behaviour::Stay,
        // Who was there before is known once all phases are.
        Kind::Ramp => {
            Behaviour::Join { from: 0.0, to: table.need("share", &some).unwrap_or_default() }
        }
        Kind::Churn => Behaviour::Churn {
            share: table.need("share", &some).unwrap_or_default(),
            pause: get("pause", 200 * MILLISECOND),
        },
        Kind::Storm => {
            let over = get("over", 0);
            if over > length {
                table.wrong_at("over", "over is longer than the phase's duration");
            }
            let share = table.get("share", &some).unwrap_or(1.0);
            let pause = Some(get("pause", SECOND));
            Behaviour::Wave { share, over, pause, spread: get("spread", 0) }
        }
        Kind::Slow => Behaviour::Slow {
            share: table.need("share", &some).unwrap_or_default(),
            bytes: table.need("read", &kinds::number(0, 1_000_000_000)).unwrap_or_default(),
        },
        Kind::Offline => offline(table, &some),
    }
}

/// With a pause clients take turns in being away, so many at a time; without one the same clients
/// are away until the phase ends.
fn offline(table: &Table<'_>, some: &Value<f64>) -> Behaviour {
    let share = table.need("share", some).unwrap_or_default();
    let Some(pause) = table.get("pause", &kinds::time(1)) else {
        let spread = table.get("spread", &kinds::time(0)).unwrap_or(0);
        return Behaviour::Wave { share, over: 0, pause: None, spread };
    };
    useless_with_pause(table);
    Behaviour::Churn { share: per_second(share, pause), pause }
}

fn useless_with_pause(table: &Table<'_>) {
    if table.has("spread") {
        table.wrong_at("spread", "spread is of use only without pause: clients return one by one");
    }
}

/// The share that must drop each second so that, at `pause` nanoseconds each, `share` is away.
fn per_second(share: f64, pause: u64) -> f64 {
    share / crate::clock::duration(pause).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_away_takes_turns_by_its_pause() {
        assert!((per_second(0.2, SECOND / 2) - 0.4).abs() < 1e-9);
    }

    #[test]
    fn every_key_of_every_kind_is_on_the_page_that_scenarios_prints() {
        const PAGE: &str = include_str!("../../../scenarios/README.md");
        for (name, kind) in Kind::NAMES {
            let keys = [vec![name], known(kind)].concat();
            for key in keys.into_iter().filter(|key| *key != "kind") {
                assert!(PAGE.contains(&format!("`{key}`")), "{key} of {name}");
            }
        }
    }

    #[test]
    fn every_kind_knows_the_keys_that_it_needs() {
        for (kind, needed) in [
            (Kind::Ramp, "share"),
            (Kind::Push, "rate"),
            (Kind::Broadcast, "broadcasts"),
            (Kind::Churn, "share"),
            (Kind::Storm, "over"),
            (Kind::Slow, "read"),
            (Kind::Offline, "share"),
            (Kind::Hold, "duration"),
            (Kind::Replay, "profile"),
        ] {
            assert!(known(kind).contains(&needed), "{kind:?}");
        }
        assert!(!known(Kind::Hold).contains(&"rate") && !FIRST.contains(&"duration"));
    }
}

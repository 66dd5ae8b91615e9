//! A scenario file: what is read from TOML, checked as far as the file alone can be.
//!
//! Everything that is wrong is said at once, each with file, line and column, the key, and what is
//! allowed. Whether this machine can run it is [`super::Scenario`]'s business.

mod kinds;
mod network;
mod phases;
mod source;
mod table;

use super::people::Asked;
use super::phase::{Behaviour, Kind, Phase};
use super::plan::{BROADCASTS_MAX, in_time};
use crate::clock::{MILLISECOND, SECOND};
use crate::weak::Weak;
use holdfast_protocol::limits::{PRODUCT_BYTES, PUSH_TARGETS, TAG_BYTES, USER_BYTES};
use source::Source;
use table::Table;
use toml::de::DeTable;

/// What a file says; `None` where it says nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct File {
    /// What it is for, in a line.
    pub(crate) about: String,
    pub(crate) seed: Option<u64>,
    /// Seconds.
    pub(crate) drain: Option<u32>,
    pub(crate) clients: Clients,
    pub(crate) batch: Option<usize>,
    /// Seconds.
    pub(crate) ttl: Option<u32>,
    pub(crate) receipts: Option<bool>,
    /// What the way to the gateway is like for some clients.
    pub(crate) weak: Option<Weak>,
    /// In order; a ramp is the first.
    pub(crate) phases: Vec<Phase>,
}

/// What a file says of its clients.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Clients {
    pub(crate) count: Option<u32>,
    /// New connections a second.
    pub(crate) connect_rate: Option<u32>,
    /// Seconds.
    pub(crate) login_timeout: Option<u64>,
    /// Seconds.
    pub(crate) heartbeat: Option<u16>,
    pub(crate) pings: Option<u32>,
    pub(crate) user_bytes: Option<usize>,
    pub(crate) ack: Option<bool>,
    pub(crate) ack_every: Option<u32>,
    /// Milliseconds.
    pub(crate) ack_after: Option<u64>,
    pub(crate) allow_disconnects: Option<bool>,
    pub(crate) populations: Vec<Asked>,
}

const KEYS: [&str; 7] = ["about", "seed", "drain", "clients", "pushes", "network", "phase"];
const CLIENTS: [&str; 11] = [
    "count",
    "connect_rate",
    "login_timeout",
    "heartbeat",
    "pings",
    "user_bytes",
    "ack",
    "ack_every",
    "ack_after",
    "allow_disconnects",
    "population",
];

const PUSHES: [&str; 3] = ["batch", "ttl", "receipts"];
const POPULATION: [&str; 4] = ["product", "prefix", "share", "tag"];

/// The table that has such a key, for one that stands in another.
fn home(key: &str) -> Option<String> {
    let of_phases = phases::all_keys();
    let tables: [(&str, &[&str]); 6] = [
        ("[clients]", &CLIENTS),
        ("[pushes]", &PUSHES),
        ("[[clients.population]]", &POPULATION),
        ("[[phase]]", &of_phases),
        ("[network]", &network::KEYS),
        ("the head of the file", &KEYS),
    ];
    tables.iter().find(|(_, keys)| keys.contains(&key)).map(|(name, _)| (*name).to_owned())
}

impl File {
    /// Reads the text of the file called `name`.
    ///
    /// # Errors
    /// All that is wrong, a line each.
    pub(crate) fn read(name: &str, text: &str) -> Result<Self, String> {
        let source = Source::new(name, text);
        let parsed = match DeTable::parse(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                source.problem(at, format!("this is not TOML: {}", error.message()));
                return Err(source.refusal());
            }
        };
        let file = read(&Table::whole(&source, parsed.get_ref()));
        if source.is_wrong() { Err(source.refusal()) } else { Ok(file) }
    }
}

fn read(table: &Table<'_>) -> File {
    table.only(&KEYS);
    let pushes = table.table("pushes");
    if let Some(pushes) = &pushes {
        pushes.only(&PUSHES);
    }
    let of_pushes = pushes.as_ref();
    let (batch, ttl) = (kinds::number(1, PUSH_TARGETS as u64), kinds::time(0));
    let file = File {
        about: table.need("about", &kinds::text(1, 100)).unwrap_or_default(),
        seed: table.get("seed", &kinds::number(0, u64::MAX)),
        drain: table.get("drain", &kinds::time(0)).map(whole_seconds),
        clients: table.table("clients").as_ref().map(clients).unwrap_or_default(),
        batch: of_pushes.and_then(|pushes| pushes.get("batch", &batch)),
        ttl: of_pushes.and_then(|pushes| pushes.get("ttl", &ttl)).map(whole_seconds),
        receipts: of_pushes.and_then(|pushes| pushes.get("receipts", &kinds::flag())),
        weak: table.table("network").as_ref().and_then(network::read),
        phases: phases(table),
    };
    if let Some(Err(why)) = file.drain.map(|drain| in_time(&file.phases, drain)) {
        table.wrong_at("drain", why);
    }
    let durable = |phase: &Phase| phase.pushes.as_ref().is_some_and(|pushes| pushes.durable > 0.0);
    if let Some(pushes) = of_pushes.filter(|_| file.receipts == Some(true))
        && !file.phases.iter().any(durable)
    {
        pushes
            .wrong_at("receipts", "receipts is of use only where a phase pushes durable messages");
    }
    file
}

fn clients(table: &Table<'_>) -> Clients {
    table.only(&CLIENTS);
    let few = kinds::number(1, u64::from(u32::MAX));
    let clients = Clients {
        count: table.get("count", &few),
        connect_rate: table.get("connect_rate", &few),
        login_timeout: table
            .get("login_timeout", &kinds::time(1_000))
            .map(|ns| ns.div_ceil(SECOND)),
        heartbeat: table
            .get("heartbeat", &kinds::time_to(0, u64::from(u16::MAX) * 1_000))
            .map(|ns| u16::try_from(whole_seconds(ns)).unwrap_or(u16::MAX)),
        pings: table.get("pings", &kinds::number(0, u64::from(u32::MAX))),
        user_bytes: table.get("user_bytes", &kinds::number(1, USER_BYTES as u64)),
        ack: table.get("ack", &kinds::flag()),
        ack_every: table.get("ack_every", &few),
        ack_after: table.get("ack_after", &kinds::time(0)).map(|ns| ns / MILLISECOND),
        allow_disconnects: table.get("allow_disconnects", &kinds::flag()),
        populations: table.tables("population").iter().filter_map(population).collect(),
    };
    if table.has("population") && table.tables("population").is_empty() {
        table.wrong_at("population", "population is an empty list; leave it out or name one");
    }
    clients
}

fn population(table: &Table<'_>) -> Option<Asked> {
    table.only(&POPULATION);
    let product = table.need("product", &kinds::text(1, PRODUCT_BYTES));
    let prefix = table.get("prefix", &kinds::text(0, USER_BYTES - 10));
    let share = table.get("share", &kinds::weight());
    let tag = table.get("tag", &kinds::text(1, TAG_BYTES));
    let prefix = prefix.unwrap_or_else(|| "user-".to_owned());
    Some(Asked { product: product?, prefix, share: share.unwrap_or(1.0), tag })
}

/// All phases, and what their order must be.
fn phases(whole: &Table<'_>) -> Vec<Phase> {
    let products: Vec<String> = whole.table("clients").map_or(Vec::new(), |clients| {
        let name = |one: &Table<'_>| one.get("product", &kinds::text(1, PRODUCT_BYTES));
        clients.tables("population").iter().filter_map(name).collect()
    });
    if !whole.has("phase") {
        whole.wrong("there is no [[phase]]; the first must be of kind \"ramp\"");
    }
    let (mut phases, mut broadcasts): (Vec<Phase>, usize) = (Vec::new(), 0);
    for (index, table) in whole.tables("phase").into_iter().enumerate() {
        let at = table.mark();
        let Some(phase) = phases::read(table, index == 0) else { continue };
        if index == 0 && phase.kind != Kind::Ramp {
            at.wrong("the first phase is of kind \"ramp\"");
        }
        broadcasts += phase.broadcast() as usize;
        if broadcasts > BROADCASTS_MAX {
            at.wrong(format!("all phases together may have {BROADCASTS_MAX} broadcasts"));
        }
        // Those without a name have that of their kind.
        let is_named = phase.name != phase.kind.name();
        let taken =
            |other: &Phase| other.name == phase.name && (is_named || other.kind != phase.kind);
        if phases.iter().any(taken) {
            at.wrong(format!("there is a phase called \"{}\" already", phase.name));
        }
        let to = phase.broadcasts.as_ref().and_then(|broadcasts| broadcasts.product.as_ref());
        if let Some(product) = to.filter(|product| !products.contains(*product)) {
            at.wrong(format!("broadcast_product \"{product}\" is of no [[clients.population]]"));
        }
        phases.push(phase);
        if !in_turn(&mut phases) {
            at.wrong("shares of ramps come to 1 or more here, but the first ramp brings the rest");
        }
    }
    phases
}

/// Puts the clients of one ramp after those of the other; the first brings whom the others leave.
/// Whether they leave any.
fn in_turn(phases: &mut [Phase]) -> bool {
    let mut after = 1.0;
    for phase in phases.iter_mut().rev() {
        if let Behaviour::Join { from, to } = &mut phase.clients {
            (*from, *to) = (after - (*to - *from), after);
            after = *from;
        }
    }
    // Shares that come to 1 need not do so in binary.
    after > 1e-9
}

/// Whole seconds, none of them lost.
fn whole_seconds(ns: u64) -> u32 {
    u32::try_from(ns.div_ceil(SECOND)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

//! What a seed means: the sizes, the faults and the habits of one simulated gateway and its world.

use holdfast::io::sim::{Chance, Faults, Plant};

/// The products that the gateway serves.
pub(crate) const PRODUCTS: [&str; 2] = ["chat", "shop"];
/// A product that it does not serve.
pub(crate) const UNKNOWN_PRODUCT: &str = "ghost";
/// The tags that sessions may have.
pub(crate) const TAGS: [&str; 3] = ["red", "green", "blue"];
/// The longest body that the gateway takes here.
pub(crate) const BODY_MAX: usize = 8 << 10;

/// The secret of the key that signs tokens, where a gateway wants them.
pub(crate) const SECRET: &str = "a secret of the simulator, 32 bytes and more";

/// The API key of every backend, where a gateway wants them.
pub(crate) const API_KEY: &str = "an API key of the simulator";
/// The longest silence of a backend, in seconds.
pub(crate) const BACKEND_IDLE: u32 = 30;

/// How long an idempotency key counts, in seconds: longer than the load of a run.
pub(crate) const IDEMPOTENCY_WINDOW: u32 = 40;

/// One second of virtual time.
pub(crate) const SECOND: u64 = 1_000_000;

/// Which bug, if any, is put in to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// None: every promise must hold.
    None,
    /// In the simulated world.
    World(Plant),
    /// Connection slots are found whatever their generation.
    #[cfg(feature = "planted-bugs")]
    ForgottenGeneration,
    /// A push is answered before the store has it.
    #[cfg(feature = "planted-bugs")]
    EarlyAnswer,
    /// An acknowledgement takes the message behind it too.
    #[cfg(feature = "planted-bugs")]
    LongTrim,
    /// A broadcast that a user has missed is not made up for.
    #[cfg(feature = "planted-bugs")]
    ForgottenBroadcast,
    /// A gateway begins with the sequences behind those that wait, not behind those reserved.
    ForgottenReserve,
    /// A shard that leaves in order does not tell the store what it had gathered for it.
    ForgottenParting,
}

/// What goes wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It has no room.
    Full,
    /// Syncs fail.
    Sync,
    /// Writes fail.
    Write,
    /// Writes do a part of what they are given.
    Short,
    /// Reads fail.
    Read,
}

/// The end of a gateway in the middle of its work. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    pub(crate) at: u64,
    pub(crate) how: How,
    /// How long until the next gateway.
    pub(crate) down: u64,
}

/// How a gateway ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// At once.
    Crash,
    /// At once, and the power goes too, and with it what was not synced.
    PowerLoss,
    /// In order, as it is told to: within so many seconds.
    Stop(u64),
}

/// The store of a run and what it goes through.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    pub(crate) segment_bytes: u32,
    /// Messages in a mailbox, at most.
    pub(crate) messages_max: usize,
    /// Which products refuse what is new when a mailbox is full; the others drop the oldest.
    pub(crate) rejects: [bool; PRODUCTS.len()],
    pub(crate) sessions: usize,
    /// How long a dropped session lingers, in seconds.
    pub(crate) linger: u64,
    /// When what is not acknowledged is sent again, in seconds.
    pub(crate) redelivery: u64,
    /// Rounds in vain before a mailbox is put into quarantine.
    pub(crate) rounds: u16,
    /// The longest that a group waits for its turn, in microseconds.
    pub(crate) sync: u64,
    /// The same for a question.
    pub(crate) read: u64,
    /// Durable targets, in a thousand.
    pub(crate) durable_permille: u32,
    pub(crate) exits: Vec<Exit>,
    /// When, and what.
    pub(crate) troubles: Vec<(u64, Trouble)>,
}

impl Keeping {
    fn draw(seed: u64, length: u64) -> Option<Self> {
        let mut chance = Chance::new(seed, "keeping");
        if chance.happens(500) {
            return None;
        }
        let mut exits = Vec::new();
        // Of chance of its own, so that all else is the same.
        let mut stops = Chance::new(seed, "stops");
        let mut at = 0;
        for _ in 0..chance.below(4) {
            at += SECOND / 2 + chance.below(length / 3);
            let (power, down) = (chance.happens(500), chance.below(SECOND));
            let how = if stops.happens(500) {
                How::Stop(stops.between(1, 5))
            } else if power {
                How::PowerLoss
            } else {
                How::Crash
            };
            exits.push(Exit { at, how, down });
            at += down;
        }
        let kinds = [Trouble::Full, Trouble::Sync, Trouble::Write, Trouble::Short, Trouble::Read];
        let ails = if chance.happens(400) { chance.below(4) } else { 0 };
        let troubles = (0..ails).map(|_| (chance.below(length), *chance.pick(&kinds))).collect();
        Some(Self {
            segment_bytes: *chance.pick(&[4 << 10, 32 << 10, 1 << 20]),
            messages_max: *chance.pick(&[4, 20, 1000]),
            rejects: [chance.happens(500), chance.happens(500)],
            sessions: *chance.pick(&[1, 1, 2, 3]),
            linger: *chance.pick(&[0, 1, 5]),
            redelivery: *chance.pick(&[1, 5, 30]),
            sync: *chance.pick(&[100, 5_000, 200_000]),
            read: *chance.pick(&[100, 5_000, 50_000]),
            durable_permille: *chance.pick(&[100, 500, 900]),
            rounds: *chance.pick(&[1000, 2]),
            exits,
            troubles,
        })
    }
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) bug: Bug,
    pub(crate) faults: Faults,
    pub(crate) shards: usize,
    /// Letters that each ring between two shards holds.
    pub(crate) mesh: usize,
    /// What one backend may have in flight.
    pub(crate) window: u32,
    /// Bytes that may wait for one client.
    pub(crate) outbox: usize,
    pub(crate) clients: usize,
    /// Names that clients log in under; fewer than clients means that some are logged in twice.
    pub(crate) users: usize,
    pub(crate) backends: usize,
    /// How long the load lasts, in microseconds.
    pub(crate) length: u64,
    /// Mean time between two requests of one backend, in microseconds.
    pub(crate) request_every: u64,
    /// Most targets of one push.
    pub(crate) targets: usize,
    /// Longest usual body.
    pub(crate) body: u64,
    /// Mean time that a client stays, in microseconds.
    pub(crate) stay: u64,
    /// Clients that misbehave, in a thousand.
    pub(crate) rude_permille: u32,
    /// Whether clients need a signed token and backends an API key.
    pub(crate) keys: bool,
    /// Most connections of one shard.
    pub(crate) connections_max: usize,
    /// Most broadcast copies that one shard queues in a turn.
    pub(crate) slice: u32,
    /// The heartbeat that clients ask for, in seconds.
    pub(crate) heartbeat: u16,
    /// Clients that a leaving shard closes in a second; zero for all at once.
    pub(crate) drain_rate: u32,
    /// Whether the gateway is told to stop while the load lasts.
    pub(crate) drain_under_load: bool,
    /// Whether all peers go before the gateway is told to stop.
    pub(crate) all_leave: bool,
    /// The longest that a shard that could run is kept from it, in microseconds.
    pub(crate) pause: u64,
    /// The store, if there is one.
    pub(crate) keeping: Option<Keeping>,
}

impl Plan {
    pub(crate) fn draw(seed: u64, bug: Bug) -> Self {
        let mut chance = Chance::new(seed, "plan");
        let faults = Faults::draw(&mut chance);
        let crowded = chance.happens(100);
        let (least, most) = if crowded { (200, 500) } else { (10, 160) };
        let clients = draw(&mut chance, least, most);
        let mesh = *chance.pick(&[2, 8, 64, 1024]);
        // Letters pass a small ring a few a turn: with long pauses too, nothing would be in time.
        let pauses: &[u64] = if mesh < 64 { &[0, 2_000] } else { &[0, 2_000, 100_000] };
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            seed,
            bug,
            faults,
            shards: draw(&mut chance, 2, 5),
            mesh,
            window: narrow(chance.between(4, 600)),
            outbox: draw(&mut chance, 16 << 10, 128 << 10),
            clients,
            users: draw(&mut chance, 1 + clients / 4, 2 * clients),
            backends: draw(&mut chance, 1, if crowded { 12 } else { 4 }),
            length: chance.between(5 * SECOND, 25 * SECOND),
            request_every: *chance.pick(&[20_000, 100_000, 500_000]),
            targets: *chance.pick(&[1, 8, 64]),
            body: *chance.pick(&[16, 300, 2_000]),
            stay: *chance.pick(&[SECOND / 5, 2 * SECOND, 10 * SECOND, 60 * SECOND]),
            rude_permille: *chance.pick(&[0, 100, 400]),
            keys: chance.happens(500),
            connections_max: if chance.happens(100) { 16 } else { 4096 },
            slice: *chance.pick(&[1, 16, 1024]),
            heartbeat: *chance.pick(&[5, 10, 30]),
            drain_rate: *chance.pick(&[0, 5, 50]),
            drain_under_load: chance.happens(200),
            all_leave: chance.happens(500),
            pause: *chance.pick(pauses),
            keeping: None,
        }
        .with_keeping()
    }

    /// Of chance of its own, so that all else is the same with and without a store.
    fn with_keeping(self) -> Self {
        Self { keeping: Keeping::draw(self.seed, self.length), ..self }
    }
}

fn draw(chance: &mut Chance, low: usize, high: usize) -> usize {
    low + chance.index(high - low + 1)
}

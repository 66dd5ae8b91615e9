//! One shard in its seat: when it may run, what it was given, what it holds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holdfast::clock::Now;
use holdfast::config::Config;
use holdfast::io::Wake;
use holdfast::io::sim::{SimIo, SimSocket, World};
use holdfast::io::sleep::Doorbell;
use holdfast::io::{Event, Io};
use holdfast::limits::Limits;
#[cfg(feature = "planted-bugs")]
use holdfast::mailbox::room::Planted;
use holdfast::mesh;
use holdfast::metrics::{Counter, Gauge, ShardMetrics};
use holdfast::shard::Shard;
use holdfast::shard::parting::{Farewell, Parting, Step};
use holdfast::shard::settings::Settings;

use holdfast_store::{Bell, Port, Recovered};

use crate::durable::Rounds;
use crate::plan::{
    API_KEY, BACKEND_IDLE, BODY_MAX, Bug, IDEMPOTENCY_WINDOW, Keeping, PRODUCTS, Plan, SECOND,
    SECRET,
};
use crate::scene::Scene;
use crate::storage::Storage;

/// The wall clock at the beginning of the world, in milliseconds since 1970 UTC.
pub(crate) const EPOCH_MILLIS: u64 = 1_700_000_000_000;

/// A shard and its turn-taking.
#[derive(Debug)]
pub(crate) struct Seat {
    shard: Shard<SimIo>,
    number: usize,
    metrics: Arc<[ShardMetrics]>,
    events: Vec<Event<SimSocket>>,
    /// When its sleep ends by itself; `None` while the turn lasts.
    wakes_at: Option<u64>,
    /// Until then only what is urgent wakes it.
    rests_until: Option<u64>,
    /// When it runs, once something is there to do.
    runs_at: Option<u64>,
    /// Its core is busy with the last turn until then.
    free_at: u64,
    /// A neighbour has got ahead in leaving.
    rung: bool,
    farewell: Arc<Farewell>,
    parting: Parting,
    /// It has left, and does nothing any more.
    over: bool,
    /// As it said last.
    rounds: Rounds,
    pub(crate) turns: u64,
}

/// Rings a shard as its neighbours do.
struct ShardBell<W>(Doorbell<W>);

impl<W: Wake + Send + Sync> Bell for ShardBell<W> {
    fn ring(&self) {
        self.0.ring();
    }
}

/// The shards of the scene's plan, connected and accepting, with what the storage had kept: one
/// life of the gateway.
pub(crate) fn all(
    scene: &Scene,
    storage: Option<&mut Storage>,
    life: u32,
) -> Result<Vec<Seat>, String> {
    let plan = &scene.plan;
    let settings = Arc::new(settings(plan, life));
    let metrics: Arc<[ShardMetrics]> = (0..plan.shards).map(|_| ShardMetrics::default()).collect();
    let worlds: Vec<SimIo> = (0..plan.shards).map(|number| scene.world.io(number)).collect();
    let wakers: Vec<_> = worlds.iter().map(Io::waker).collect();
    let ends = mesh::connect(&wakers, plan.mesh);
    let bells = ends.iter().enumerate().map(|(number, ends)| {
        let bell: Arc<dyn Bell> = Arc::new(ShardBell(ends.doorbells[number].clone()));
        bell
    });
    let kept = storage.map(|storage| storage.open(bells.collect(), scene.now)).transpose()?;
    let mut kept = kept.into_iter().flatten();
    let farewell = Arc::new(Farewell::new(plan.shards));
    let seats = worlds.into_iter().zip(ends).enumerate().map(|(number, (io, ends))| {
        let (settings, shards) = (Arc::clone(&settings), Arc::clone(&metrics));
        let place = u16::try_from(number).expect("a run has few shards");
        let mut shard = Shard::new(place, settings, io, ends, shards);
        if let Some((port, recovered)) = kept.next() {
            keep_with(&mut shard, port, recovered, plan.bug);
        }
        #[cfg(feature = "planted-bugs")]
        plant(&mut shard, plan.bug);
        shard.open();
        Seat {
            shard,
            number,
            metrics: Arc::clone(&metrics),
            events: Vec::new(),
            wakes_at: Some(0),
            rests_until: None,
            runs_at: None,
            free_at: 0,
            rung: false,
            farewell: Arc::clone(&farewell),
            parting: Parting::default(),
            over: false,
            rounds: Rounds::default(),
            turns: 0,
        }
    });
    Ok(seats.collect())
}

fn keep_with(shard: &mut Shard<SimIo>, port: Port, mut recovered: Recovered, bug: Bug) {
    if bug == Bug::ForgottenReserve {
        let messages = recovered.mailboxes.iter().flat_map(|mailbox| &mailbox.messages);
        recovered.sequence = messages.map(|message| message.sequence).max().unwrap_or(0);
    }
    // The store hands them out in no order, and one seed is to be one run.
    recovered
        .mailboxes
        .sort_by(|one, other| (one.product, &one.user).cmp(&(other.product, &other.user)));
    recovered.keys.sort_by_key(|mark| (mark.at, mark.user, mark.key));
    shard.keep_with(port, recovered);
}

#[cfg(feature = "planted-bugs")]
fn plant(shard: &mut Shard<SimIo>, bug: Bug) {
    match bug {
        Bug::ForgottenGeneration => shard.forget_generations(),
        Bug::EarlyAnswer => shard.plant(Planted::EarlyAnswer),
        Bug::LongTrim => shard.plant(Planted::LongTrim),
        Bug::ForgottenBroadcast => shard.plant(Planted::ForgottenBroadcast),
        Bug::None | Bug::World(_) | Bug::ForgottenReserve | Bug::ForgottenParting => {}
    }
}

fn keeping_settings(keeping: &Keeping, sets: &mut Vec<String>) {
    let rejects = PRODUCTS.iter().zip(keeping.rejects).map(|(product, rejects)| {
        let policy = if rejects { "reject" } else { "drop_oldest" };
        format!("{{product='{product}',when_full='{policy}'}}")
    });
    let rejects: Vec<_> = rejects.collect();
    sets.extend([
        format!("store.idempotency_window={IDEMPOTENCY_WINDOW}"),
        format!("client.sessions_max={}", keeping.sessions),
        format!("client.linger={}", keeping.linger),
        format!("mailbox.messages_max={}", keeping.messages_max),
        format!("mailbox.redelivery_after={}", keeping.redelivery),
        "mailbox.redelivery_at_most=60".to_owned(),
        format!("mailbox.redelivery_rounds={}", keeping.rounds),
        format!("mailbox.products=[{}]", rejects.join(",")),
    ]);
}

fn settings(plan: &Plan, life: u32) -> Settings {
    let mut sets: Vec<String> = vec![
        "host=1".to_owned(),
        format!("products={PRODUCTS:?}"),
        format!("body_max={BODY_MAX}"),
        "client.slow_reader_timeout=10".to_owned(),
        format!("client.heartbeat_default={}", plan.heartbeat),
        "client.heartbeat_max=60".to_owned(),
        format!("client.outbox_bytes={}", plan.outbox),
        format!("backend.window={}", plan.window),
        "broadcast.jobs_max=4".to_owned(),
        format!("broadcast.slice={}", plan.slice),
    ];
    match &plan.keeping {
        Some(keeping) => keeping_settings(keeping, &mut sets),
        None => sets.push("client.linger=0".to_owned()),
    }
    if plan.keys {
        sets.push(format!("auth.client_keys=[{{id='k',algorithm='HS256',secret='{SECRET}'}}]"));
        let backends: Vec<_> = (0..plan.backends)
            .map(|number| format!("{{name='backend-{number}',key='{API_KEY}'}}"))
            .collect();
        sets.push(format!("auth.backend_keys=[{}]", backends.join(",")));
    }
    let config = Config::parse("the simulator", "", &sets, Path::new(".")).expect("it is valid");
    let limits = Limits {
        shards: u16::try_from(plan.shards).expect("a run has few shards"),
        connections: plan.connections_max,
        backends: 8,
        lines: Vec::new(),
    };
    let mut settings =
        holdfast::boot::settings::settings(&config, &limits, 1 + life).expect("the keys are valid");
    settings.backend_idle = BACKEND_IDLE;
    // Less than may be configured, so that it is full now and then.
    settings.backend_outbox_bytes = 64 << 10;
    settings.drain_rate = plan.drain_rate;
    settings
}

impl Seat {
    /// Looks whether its world has something to report; it will run after `pause`.
    pub(crate) fn notice(&mut self, world: &World, now: u64, pause: impl FnOnce() -> u64) {
        if self.over {
            return;
        }
        if self.wakes_at.is_none() && self.free_at <= now {
            // Others have run since the turn began, so this look at the rings is not for nothing.
            let sleep = self.shard.sleep();
            let rest = self.shard.rest(sleep);
            let after = |time: Duration| {
                now.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
            };
            self.wakes_at = Some(after(sleep));
            self.rests_until = Some(after(rest));
        }
        if self.wakes_at.is_some() && std::mem::take(&mut self.rung) {
            (self.wakes_at, self.rests_until) = (Some(0), None);
        }
        self.rests_until = self.rests_until.filter(|&until| until > now);
        let ready = match self.rests_until {
            Some(_) => world.is_urgent(self.number),
            None => world.is_ready(self.number),
        };
        let wakes = self.wakes_at.is_some_and(|at| ready || at <= now);
        if self.runs_at.is_none() && wakes {
            self.runs_at = Some(now + pause());
        }
    }

    pub(crate) fn may_run(&self, now: u64) -> bool {
        self.runs_at.is_some_and(|at| at <= now)
    }

    /// When it is worth looking at again.
    pub(crate) fn next_time(&self) -> u64 {
        if self.over {
            return u64::MAX;
        }
        self.runs_at.or(self.rests_until).or(self.wakes_at).unwrap_or(self.free_at)
    }

    /// Wakes, does one turn and goes to sleep again; its core is busy for `cost` microseconds.
    /// Whether its neighbours are to be woken, because it leaves and has got ahead.
    pub(crate) fn turn(&mut self, scene: &Scene, cost: u64) -> bool {
        let micros = scene.now;
        let wait = self.shard.io().wait(Some(Duration::ZERO), &mut self.events);
        wait.expect("a simulated wait with a limit cannot fail");
        self.shard.awake();
        scene.trace(|| format!("shard {} gets {:?}", self.number, self.events));
        let now = Now { micros, unix_millis: EPOCH_MILLIS + micros / 1000 };
        self.shard.turn(now, &mut self.events);
        self.turns += 1;
        self.runs_at = None;
        self.free_at = micros + cost;
        self.wakes_at = None;
        self.rests_until = None;
        self.part(scene.plan.bug)
    }

    /// Leaves a step further, as a shard's thread does; whether it got ahead.
    fn part(&mut self, bug: Bug) -> bool {
        if self.shard.drained().is_none() {
            return false;
        }
        let step = self.shard.part(&mut self.parting, &self.farewell);
        if step == Step::Over {
            self.over = true;
            if bug != Bug::ForgottenParting {
                self.shard.part_from_store();
            }
        }
        step != Step::Waits
    }

    /// Its neighbours want it to look round.
    pub(crate) fn ring(&mut self) {
        self.rung = true;
    }

    /// Checks that it keeps to its limits.
    pub(crate) fn check(&self, scene: &mut Scene) {
        let waiting = self.metrics[self.number].gauge(Gauge::OutboxBytes);
        // Control frames may go over the limit of an outbox by a little.
        let each = scene.plan.outbox + BODY_MAX + (8 << 10);
        let most = (self.connections() + 1) as u64 * each as u64;
        if waiting > most {
            let held = self.connections();
            scene.ledger.fail(format!("{waiting} bytes wait for {held} connections"));
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.shard.connections()
    }

    /// How often it sent again what was not acknowledged, since it was asked before.
    pub(crate) fn take_rounds(&mut self) -> Rounds {
        let metrics = &self.metrics[self.number];
        let (begun, quarantines) =
            (metrics.counter(Counter::RedeliveryRounds), metrics.counter(Counter::Quarantines));
        let before = std::mem::replace(&mut self.rounds, Rounds { begun, quarantines });
        Rounds { begun: begun - before.begun, quarantines: quarantines - before.quarantines }
    }

    /// Messages in all its mailboxes.
    pub(crate) fn kept(&self) -> u64 {
        self.metrics[self.number].gauge(Gauge::MailboxMessages)
    }

    /// Whether nobody is connected and nobody is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.leftovers().is_none()
    }

    /// What is held although everybody has left.
    pub(crate) fn leftovers(&self) -> Option<String> {
        let metrics = &self.metrics[self.number];
        let held = [
            ("connections", self.connections() as u64),
            ("users", metrics.gauge(Gauge::Users)),
            ("mailboxes", metrics.gauge(Gauge::Mailboxes)),
            ("outbox bytes", metrics.gauge(Gauge::OutboxBytes)),
            ("pushes in flight", metrics.gauge(Gauge::PushesInFlight)),
        ];
        let left: Vec<_> = held.iter().filter(|(_, count)| *count > 0).collect();
        (!left.is_empty()).then(|| format!("shard {} holds {left:?}", self.number))
    }

    /// Tells the gateway to stop at `now` microseconds, within `seconds`.
    pub(crate) fn begin_drain(&mut self, now: u64, seconds: u64) {
        let now = Now { micros: now, unix_millis: EPOCH_MILLIS + now / 1000 };
        self.shard.begin_drain(now, Duration::from_secs(seconds));
        self.wakes_at = Some(0);
        self.rests_until = None;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }
}

/// Seconds since 1970 UTC at a time of the world.
pub(crate) fn unix_seconds(micros: u64) -> u64 {
    EPOCH_MILLIS / 1000 + micros / SECOND
}

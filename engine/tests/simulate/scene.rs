//! What every actor of a run sees: the world, the plan, the ledger, the time.

use holdfast::io::sim::{LinkId, World};

use crate::durable::Durables;
use crate::ledger::Ledger;
use crate::plan::{Plan, SECOND};

/// The stage on which clients and backends act.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) plan: Plan,
    pub(crate) ledger: Ledger,
    /// Microseconds since the world began.
    pub(crate) now: u64,
    /// The load is over: nobody comes or leaves, everybody reads, nothing goes wrong any more.
    pub(crate) calm: bool,
    /// The gateway was told to stop.
    pub(crate) draining: bool,
    /// And there will be no other: nobody comes any more.
    pub(crate) closing: bool,
    /// Connections before this one ended with a gateway that is gone, or met none.
    pub(crate) forgiven: LinkId,
    /// One more than the youngest connection.
    pub(crate) links: LinkId,
    /// Whether to print what happens.
    pub(crate) tracing: bool,
}

impl Scene {
    pub(crate) fn new(plan: Plan, tracing: bool) -> Self {
        let world = World::new(plan.seed, plan.shards, plan.faults.clone());
        world.take_recorded();
        // Those who are gone without a word still hold slots, so it is not enough to count actors.
        let crowded = plan.connections_max < 1000;
        let sessions = plan.keeping.as_ref().map_or(1, |keeping| keeping.sessions);
        let durables = Durables::new(plan.keeping.clone());
        let ledger = Ledger::new(crowded, sessions, durables);
        Self {
            world,
            plan,
            ledger,
            now: 0,
            calm: false,
            draining: false,
            closing: false,
            forgiven: 0,
            links: 0,
            tracing,
        }
    }

    /// Whether so little gets through that a frame, or a close, may not do so in its time.
    pub(crate) fn is_narrow(&self) -> bool {
        let faults = &self.plan.faults;
        let stutters = faults.short_send_permille > 50 && faults.delay > 1_000;
        faults.pipe_bytes.0 < 60_000 || stutters
    }

    /// A peer connects.
    pub(crate) fn connected(&mut self, link: LinkId) {
        self.links = self.links.max(link + 1);
    }

    /// Nothing is owed to any connection: there is no gateway.
    pub(crate) fn forgive_all(&mut self) {
        self.forgiven = LinkId::MAX;
    }

    /// Nothing is owed to the connections of now: their gateway is gone.
    pub(crate) fn forgive_past(&mut self) {
        self.forgiven = self.links;
    }

    /// Whether the gateway of this life was told to stop, or is gone: what it said then may be read
    /// later.
    pub(crate) fn leaves(&self, life: u32) -> bool {
        self.draining || life < self.ledger.durables.life()
    }

    /// The clock of the client and backend machines.
    pub(crate) fn seconds(&self) -> u32 {
        u32::try_from(self.now / SECOND).unwrap_or(u32::MAX)
    }

    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.tracing {
            println!("{:>12} {}", self.now, line());
        }
    }

    /// Shows the ledger what the gateway has sent.
    pub(crate) fn read_recorded(&mut self) {
        for (link, bytes) in self.world.take_recorded() {
            self.ledger.written(link, &bytes, self.now);
        }
    }

    /// Whether a user is online beyond doubt, and was before `since`.
    pub(crate) fn surely_online(&self, product: usize, user: &str, since: u64) -> bool {
        let link = self.ledger.surely_online(product, user, since);
        !self.draining && link.is_some_and(|link| !self.world.harmed(link))
    }
}

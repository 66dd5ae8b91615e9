//! One run of a plan: shards in random order with random pauses, actors, phases, promises.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use holdfast::io::sim::{Chance, LinkId};

use crate::backend::Backend;
use crate::client::Client;
use crate::durable::End;
use crate::phases;
use crate::plan::{Plan, SECOND, Trouble};
use crate::scene::Scene;
use crate::seat::{self, Seat};
use crate::storage::Storage;

/// Most steps of a run; more means that time does not pass any more.
const STEPS: u64 = 1_000_000;

/// What a run came to, where every promise held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The same for two runs of one seed.
    pub(crate) digest: u64,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// How long the run was in the world's time, in microseconds.
    pub(crate) length: u64,
    pub(crate) turns: u64,
}

/// A run in progress.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) scene: Scene,
    pub(crate) seats: Vec<Seat>,
    pub(crate) clients: Vec<Client>,
    pub(crate) backends: Vec<Backend>,
    pub(crate) storage: Option<Storage>,
    /// Gateways before this one.
    lives: u32,
    schedule: Chance,
    /// When actors have something to do by themselves; what is not in `armed` is out of date.
    timers: BinaryHeap<Reverse<(u64, usize)>>,
    armed: Vec<u64>,
    actor_of: BTreeMap<LinkId, usize>,
    steps: u64,
}

impl Run {
    pub(crate) fn new(plan: Plan, tracing: bool) -> Result<Self, String> {
        let scene = Scene::new(plan, tracing);
        scene.trace(|| format!("{:#?}", scene.plan));
        let seed = scene.plan.seed;
        let clients: Vec<_> =
            (0..scene.plan.clients).map(|number| Client::new(seed, number, &scene)).collect();
        let backends: Vec<_> =
            (0..scene.plan.backends).map(|number| Backend::new(seed, number)).collect();
        let mut run = Self {
            seats: Vec::new(),
            storage: Storage::new(&scene.plan),
            lives: 0,
            scene,
            clients,
            backends,
            schedule: Chance::new(seed, "schedule"),
            timers: BinaryHeap::new(),
            armed: Vec::new(),
            actor_of: BTreeMap::new(),
            steps: 0,
        };
        run.seats = seat::all(&run.scene, run.storage.as_mut(), 0)?;
        run.armed = vec![u64::MAX; run.clients.len() + run.backends.len()];
        (0..run.clients.len() + run.backends.len()).for_each(|actor| run.set_timer(actor));
        Ok(run)
    }

    /// The gateway ends at once, in the middle of its work.
    pub(crate) fn crash(&mut self, power: bool) {
        let scene = &mut self.scene;
        scene.trace(|| format!("the gateway crashes; with the power: {power}"));
        self.seats.clear();
        if let Some(storage) = &mut self.storage {
            storage.crash(power, scene.now);
        }
        scene.forgive_all();
        scene.ledger.over(End { at: scene.now, in_order: false });
    }

    /// The gateway is told to stop within so many seconds, and does.
    pub(crate) fn stop(&mut self, seconds: u64) -> Result<(), String> {
        // A disk that is slow by then leaves more for the end.
        if self.storage.as_mut().is_some_and(Storage::tires) {
            let while_later = in_seconds(self, 2);
            self.scene.ledger.durables.slow(self.scene.now, while_later + (seconds + 1) * SECOND);
            self.go_on(while_later, |_| false)?;
        }
        self.leave(seconds)?;
        self.seats.clear();
        let scene = &mut self.scene;
        if let Some(storage) = &mut self.storage {
            storage.stop(scene.now);
        }
        scene.draining = false;
        scene.forgive_all();
        scene.ledger.over(End { at: scene.now, in_order: true });
        Ok(())
    }

    /// The gateway leaves in order, and must have done so within its bound.
    pub(crate) fn leave(&mut self, seconds: u64) -> Result<(), String> {
        self.scene.trace(|| format!("the gateway is told to stop within {seconds} s"));
        self.scene.draining = true;
        let (now, deadline) = (self.scene.now, in_seconds(self, seconds));
        self.seats.iter_mut().for_each(|seat| seat.begin_drain(now, seconds));
        if self.go_on(deadline + SECOND, |run| run.seats.iter().all(Seat::is_over))? {
            return Ok(());
        }
        let stands = phases::standing(self);
        Err(format!("not gone {seconds} s after it was told: {stands}"))
    }

    /// The disk begins to fail.
    pub(crate) fn ail(&mut self, trouble: Trouble) {
        let scene = &mut self.scene;
        scene.trace(|| format!("the disk fails: {trouble:?}"));
        if let Some(storage) = &mut self.storage {
            storage.ail(trouble, scene.now, &mut scene.ledger);
        }
    }

    /// Another gateway begins in its place.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.lives += 1;
        self.scene.trace(|| "another gateway begins".to_owned());
        self.scene.forgive_past();
        self.seats = seat::all(&self.scene, self.storage.as_mut(), self.lives)?;
        Ok(())
    }

    /// Goes on until `until` microseconds or until `done`; whether it was done.
    pub(crate) fn go_on(
        &mut self,
        until: u64,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool, String> {
        while !done(self) {
            if self.next_time() > until {
                self.scene.world.advance(until);
                self.scene.now = until;
                return Ok(false);
            }
            self.step()?;
        }
        Ok(true)
    }

    fn next_time(&mut self) -> u64 {
        let world = self.scene.world.next_due();
        let seats = self.seats.iter().map(Seat::next_time);
        let actor = self.timers.peek().map(|Reverse((at, _))| *at);
        let storage = self.storage.as_ref().map(Storage::next_time);
        let next = seats.chain(world).chain(actor).chain(storage).min().unwrap_or(u64::MAX);
        next.max(self.scene.now)
    }

    fn step(&mut self) -> Result<(), String> {
        let now = self.next_time();
        self.scene.world.advance(now);
        self.scene.now = now;
        if let Some(storage) = &mut self.storage {
            storage.step(now);
        }
        self.run_shards();
        if let Some(storage) = &mut self.storage {
            storage.notice(now);
        }
        self.run_actors();
        self.steps += 1;
        if self.steps > STEPS {
            self.scene.ledger.fail("the world goes round and round".to_owned());
        }
        self.verdict()
    }

    /// The promises that are broken so far.
    pub(crate) fn verdict(&mut self) -> Result<(), String> {
        let violations = self.scene.world.violations();
        self.scene.ledger.failures.extend(violations);
        if self.scene.ledger.failures.is_empty() {
            return Ok(());
        }
        self.scene.ledger.failures.truncate(5);
        Err(format!("at {} us: {}", self.scene.now, self.scene.ledger.failures.join("; ")))
    }

    fn run_shards(&mut self) {
        self.notice();
        let now = self.scene.now;
        let mut runnable: Vec<_> =
            (0..self.seats.len()).filter(|&number| self.seats[number].may_run(now)).collect();
        self.schedule.shuffle(&mut runnable);
        for number in runnable {
            let cost = self.schedule.between(1, 30);
            if self.seats[number].turn(&self.scene, cost) {
                self.seats.iter_mut().for_each(Seat::ring);
            }
            let rounds = self.seats[number].take_rounds();
            self.scene.ledger.durables.again(rounds);
            self.scene.read_recorded();
            self.seats[number].check(&mut self.scene);
        }
        // A turn of one may have woken another.
        self.notice();
    }

    /// Finds out which shards have something to do.
    fn notice(&mut self) {
        let pause = if self.scene.calm { 0 } else { self.scene.plan.pause };
        for seat in &mut self.seats {
            seat.notice(&self.scene.world, self.scene.now, || self.schedule.below(pause + 1));
        }
    }

    fn run_actors(&mut self) {
        for link in self.scene.world.take_touched() {
            if let Some(&actor) = self.actor_of.get(&link) {
                self.act(actor);
            }
        }
        while let Some(&Reverse((at, actor))) = self.timers.peek()
            && at <= self.scene.now
        {
            self.timers.pop();
            if self.armed[actor] == at {
                self.armed[actor] = u64::MAX;
                self.act(actor);
            }
        }
    }

    fn timer(&self, actor: usize) -> u64 {
        match actor.checked_sub(self.clients.len()) {
            None => self.clients[actor].timer,
            Some(backend) => self.backends[backend].timer,
        }
    }

    fn set_timer(&mut self, actor: usize) {
        let at = self.timer(actor);
        if at != self.armed[actor] {
            self.armed[actor] = at;
            self.timers.push(Reverse((at, actor)));
        }
    }

    fn act(&mut self, actor: usize) {
        let (before, after) = match actor.checked_sub(self.clients.len()) {
            None => {
                let client = &mut self.clients[actor];
                let before = client.link();
                client.step(&mut self.scene);
                (before, client.link())
            }
            Some(backend) => {
                let backend = &mut self.backends[backend];
                let before = backend.link();
                backend.step(&mut self.scene);
                (before, backend.link())
            }
        };
        self.relink(actor, before, after);
        self.set_timer(actor);
    }

    fn relink(&mut self, actor: usize, before: Option<LinkId>, after: Option<LinkId>) {
        if before != after {
            before.map(|link| self.actor_of.remove(&link));
            after.map(|link| self.actor_of.insert(link, actor));
        }
    }

    /// Has every actor look at the world, as after a change of phase.
    pub(crate) fn stir(&mut self) {
        (0..self.clients.len() + self.backends.len()).for_each(|actor| self.act(actor));
    }

    /// How many turns all shards have done.
    pub(crate) fn turns(&self) -> u64 {
        self.seats.iter().map(|seat| seat.turns).sum()
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            digest: self.scene.world.digest(),
            counts: self.scene.ledger.counts.clone(),
            length: self.scene.now,
            turns: self.turns(),
        }
    }
}

/// A time after now.
pub(crate) fn in_seconds(run: &Run, seconds: u64) -> u64 {
    run.scene.now + seconds * SECOND
}

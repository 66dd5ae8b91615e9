//! The heart of the embedded store: takes batches of all shards at once, commits them as one
//! group, and says what each shard hears.
//!
//! It has no thread, and reads a clock only to say how long syncs take, so a simulator can drive
//! it. Invariants: nothing is called
//! written before its bytes are synced; of a group that failed nothing answered counts, and what
//! was not to be answered is written with a later one; a segment goes only when every shard has
//! said that it needs nothing of it, and what the store itself carries was moved and synced.

mod clean;
mod draft;
mod health;
mod reserve;

use self::clean::Round;
use self::draft::{Draft, Scribe};
use self::health::{Health, is_full};
use self::reserve::Reserve;
use crate::disk::Disk;
use crate::letter::{Batch, Command, Event, Place, Trouble};
use crate::log::Log;
use crate::own::Own;
use crate::recover::{OpenError, Past, Terms, recover};
use crate::stats::{Figures, Stats};
use crate::{Homes, Recovered, clock};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// A life of the store may give out so many sequences before a shard has to say
/// [`Command::Reserve`].
pub const RESERVED_AHEAD: u64 = 1 << 30;

/// Unanswered commands that wait for the store to be well, at most.
const WAITING: usize = 1 << 18;

/// What a trim takes on disk, nearly always at most, in bytes.
const TRIM: usize = 128;

/// What shards are to hear: which shard, and what.
pub type Events = Vec<(u16, Event)>;

/// How a store is to work.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes after which a segment is full. The store's disk is given back in such pieces; 16 MiB
    /// to 1 GiB are sensible. (One group may go beyond it.)
    pub segment_bytes: u32,
    /// How long an idempotency key counts, in seconds.
    pub idempotency_window: u32,
    /// What segments are salted from. Another number for each life, that clients cannot know.
    pub seed: u64,
}

/// The store without its threads.
pub struct Keeper {
    log: Log,
    scribe: Scribe,
    own: Own,
    reserve: Reserve,
    shards: u16,
    round: Option<Round>,
    health: Health,
    /// Unanswered commands of groups that failed.
    waiting: VecDeque<Command>,
    /// Something was written since the last tick.
    is_busy: bool,
    /// What shards are to hear first of all.
    news: Events,
    stats: Arc<Stats>,
}

impl Keeper {
    /// Opens what is on this disk, at `now` seconds since 1970 UTC. `progress` hears how many bytes
    /// of how many are read.
    ///
    /// # Errors
    ///
    /// Where the store is damaged, cannot be read, or its first new segment cannot be written for
    /// another reason than a full disk.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: Settings,
        homes: &dyn Homes,
        now: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Self, Vec<Recovered>), OpenError> {
        let window = settings.idempotency_window;
        let oversized = homes.products().iter().find(|name| name.len() > usize::from(u16::MAX));
        if let Some(name) = oversized {
            return Err(OpenError::Product(name.clone()));
        }
        let Past { segments, reserved, recovered, own, expired } =
            recover(&Terms { disk: disk.as_ref(), homes, now, window }, progress)?;
        let directory = disk.describe();
        let failed = |error| OpenError::Disk { directory: directory.clone(), error };
        let mut log = Log::new(disk.clone(), settings.segment_bytes, settings.seed);
        log.inherit(segments, reserved);
        log.reserve(reserved.saturating_add(RESERVED_AHEAD));
        let reserve = Reserve::find(disk.clone(), settings.segment_bytes).map_err(&failed)?;
        let stats = Arc::new(Stats::default());
        stats.expired(expired);
        let mut keeper = Self {
            log,
            scribe: Scribe::new(disk, homes.products(), window),
            own,
            reserve,
            shards: homes.shards(),
            round: None,
            health: Health::default(),
            waiting: VecDeque::new(),
            is_busy: false,
            news: Events::new(),
            stats,
        };
        keeper.settle_in(now).map_err(failed)?;
        keeper.show(now);
        Ok((keeper, recovered))
    }

    /// Begins to write. A full disk is no reason not to serve what is there.
    fn settle_in(&mut self, now: u32) -> io::Result<()> {
        // Synced before anything new is taken: no later life gives these sequences out again.
        let mut ready = self.log.begin();
        if ready.as_ref().is_err_and(is_full) {
            self.reserve.give_up();
            // Perhaps there is room now, so that trims can be written; it is full all the same.
            let _ = self.log.begin();
        } else if ready.is_ok() {
            self.log.mark();
            // Without it less would be noticed, and nothing is lost.
            let _ = self.log.witness();
            ready = self.reserve.take(0);
        }
        match ready {
            Err(error) if is_full(&error) => {
                let mut news = Events::new();
                self.fail(&error, now, &mut news);
                self.news = news;
                Ok(())
            }
            other => other,
        }
    }

    /// What shards are to hear before anything else, once: that the store is in trouble as it
    /// opens.
    pub fn news(&mut self) -> Events {
        std::mem::take(&mut self.news)
    }

    /// The store's numbers, which stay up to date.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Commits these batches as one group, at `now` seconds since 1970 UTC. When shards were told,
    /// [`Keeper::tidy`] is to be called, and when no further batch waits, [`Keeper::rest`].
    pub fn group(&mut self, batches: Vec<Batch>, now: u32, out: &mut Events) {
        for freed in batches.iter().flat_map(|batch| &batch.freed) {
            self.log.free(*freed);
        }
        match self.attempt(&batches, now, out) {
            Ok(places) => self.answer(&batches, places, out),
            Err(Trouble::Full) => self.keep_house(batches, now, out),
            Err(trouble) => self.put_off(batches, trouble, out),
        }
        self.show(now);
    }

    fn answer(&mut self, batches: &[Batch], places: Vec<Vec<Place>>, out: &mut Events) {
        for (batch, places) in batches.iter().zip(places) {
            out.push((batch.shard, Event::Written(places)));
            self.note_cleaned(batch);
        }
    }

    /// The disk is full: batches that bring something new are refused, the others are written to
    /// where the reserve was.
    fn keep_house(&mut self, batches: Vec<Batch>, now: u32, out: &mut Events) {
        let is_new =
            |command: &Command| matches!(command, Command::Append(_) | Command::Broadcast(_));
        let (refused, rest): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(|batch| batch.commands.iter().any(is_new));
        self.put_off(refused, Trouble::Full, out);
        let cleans = |command: &Command| {
            matches!(command, Command::Move(_) | Command::Keys(_) | Command::Cleaned(_))
        };
        // What is said of a broadcast stays in order.
        let steers = |command: &Command| matches!(command, Command::Steer { .. });
        let (cleaning, other): (Vec<_>, Vec<_>) = rest.into_iter().partition(|batch| {
            batch.commands.iter().any(cleans) && !batch.commands.iter().any(steers)
        });
        // What waits takes its turn with the rest: it must not take the room that cleaning needs.
        // But what was to be said again before a segment goes is said before that counts.
        let again = |command: &Command| matches!(command, Command::Keys(_) | Command::Seen(_));
        let waiting = std::mem::take(&mut self.waiting);
        let (first, waiting) =
            waiting.into_iter().partition(|command| !cleaning.is_empty() && again(command));
        self.waiting = first;
        self.spend(cleaning, now, out);
        let failed = std::mem::replace(&mut self.waiting, waiting);
        self.waiting.extend(failed);
        self.spend_on_trims(other, now, out);
    }

    /// Writes what waits and then these, as far as there is room for that.
    fn spend_on_trims(&mut self, batches: Vec<Batch>, now: u32, out: &mut Events) {
        let left = self.for_trims().saturating_sub(self.health.spent);
        let few = usize::try_from(left).unwrap_or(usize::MAX) / TRIM;
        let later = self.waiting.split_off(few.min(self.waiting.len()));
        let more: usize = batches.iter().map(|batch| batch.commands.len()).sum();
        let fits = later.is_empty() && self.waiting.len() + more <= few;
        let (now_too, put_off) = if fits { (batches, Vec::new()) } else { (Vec::new(), batches) };
        self.spend(now_too, now, out);
        self.health.spent += self.health.wrote as u64;
        self.waiting.extend(later);
        self.put_off(put_off, Trouble::Full, out);
    }

    /// Writes these and what waits, if there is any room at all.
    fn spend(&mut self, batches: Vec<Batch>, now: u32, out: &mut Events) {
        self.health.wrote = 0;
        if self.health.is_stuck(now) {
            return self.put_off(batches, Trouble::Full, out);
        }
        match self.commit(&batches).map_err(|error| self.fail(&error, now, out)) {
            Ok(places) => self.answer(&batches, places, out),
            Err(trouble) => self.put_off(batches, trouble, out),
        }
    }

    /// To be called about each second, also when nothing is to be written: tries whether the store
    /// is well again. As after a group, [`Keeper::tidy`] and [`Keeper::rest`] are to be called.
    pub fn tick(&mut self, now: u32, out: &mut Events) {
        // What is wrong is said there; nobody waits for an answer.
        if (!self.waiting.is_empty() || self.health.trouble().is_some())
            && self.attempt(&[], now, out) == Err(Trouble::Full)
        {
            self.keep_house(Vec::new(), now, out);
        }
        self.roll_if_useless(now);
        if !std::mem::take(&mut self.is_busy) {
            // Should that fail, more of the disk is taken than has to be.
            let _ = self.log.slim();
        }
        self.show(now);
    }

    /// Nothing is waiting to be written: says in the log how much is safe.
    pub fn rest(&mut self) {
        if self.health.trouble().is_none() {
            self.log.mark();
        }
    }

    /// Writes what still waits, at the end of a life.
    pub fn stop(&mut self, now: u32) {
        if self.attempt(&[], now, &mut Vec::new()) == Err(Trouble::Full) {
            // Nothing has to be cleaned any more: all the room is for what waits.
            self.spend(Vec::new(), now, &mut Vec::new());
        }
        if let Err(error) = self.log.end() {
            tracing::warn!(%error, "the end of the log could not be marked");
        }
    }

    fn attempt(
        &mut self,
        batches: &[Batch],
        now: u32,
        out: &mut Events,
    ) -> Result<Vec<Vec<Place>>, Trouble> {
        self.recheck(now, out)?;
        self.commit(batches).map_err(|error| self.fail(&error, now, out))
    }

    fn commit(&mut self, batches: &[Batch]) -> io::Result<Vec<Vec<Place>>> {
        let writes = |command: &Command| !matches!(command, Command::Cleaned(_));
        let commands = batches.iter().flat_map(|batch| &batch.commands);
        if self.waiting.is_empty() && !commands.into_iter().any(writes) {
            return Ok(vec![Vec::new(); batches.len()]);
        }
        let mut draft = self.scribe.begin(self.log.ready()?);
        for command in &self.waiting {
            self.scribe.put(command, &mut self.own, &mut draft);
        }
        let mut places = Vec::with_capacity(batches.len());
        for batch in batches {
            for command in &batch.commands {
                self.scribe.put(command, &mut self.own, &mut draft);
            }
            places.push(std::mem::take(&mut draft.places));
        }
        self.seal_group(draft)?;
        self.waiting.clear();
        Ok(places)
    }

    /// Writes and syncs what the scribe has, and takes note of it.
    fn seal_group(&mut self, mut draft: Draft) -> io::Result<()> {
        if let Some(error) = draft.failure.take() {
            return Err(error);
        }
        let start = clock::instant();
        let bytes = self.scribe.bytes();
        self.health.wrote = bytes.len();
        if self.health.trouble().is_none() {
            self.health.size = bytes.len();
        }
        self.is_busy = true;
        self.log.commit(bytes, &draft.tally)?;
        let micros = start.elapsed().as_micros();
        self.stats.synced(u64::try_from(micros).unwrap_or(u64::MAX));
        self.stats.written_bytes(bytes.len() as u64);
        self.stats.appended(draft.appended);
        self.stats.moved(draft.moved);
        self.stats.skipped(draft.skipped);
        self.log.reserve(draft.reserved);
        for (name, held, state) in draft.casts {
            self.own.cast(name, held, state);
        }
        self.scribe.end();
        Ok(())
    }

    fn put_off(&mut self, batches: Vec<Batch>, trouble: Trouble, out: &mut Events) {
        for Batch { shard, commands, .. } in batches {
            out.push((shard, Event::Failed(trouble)));
            self.stats.failed(1);
            for command in commands {
                match command {
                    // Its shard's moves may have failed with it: all are asked again.
                    Command::Cleaned(_) => self.round = None,
                    Command::Append(_) | Command::Move(_) | Command::Broadcast(_) => {}
                    _ => self.waiting.push_back(command),
                }
            }
        }
        if self.waiting.len() > WAITING {
            self.drop_some();
        }
    }

    /// Gives up the older half of what waits, but for what is small and must not be lost.
    fn drop_some(&mut self) {
        let older = self.waiting.len() / 2;
        let before = self.waiting.len();
        let mut index = 0;
        self.waiting.retain(|command| {
            index += 1;
            index > older || matches!(command, Command::Reserve(_) | Command::Steer { .. })
        });
        self.stats.dropped((before - self.waiting.len()) as u64);
    }

    fn show(&mut self, now: u32) {
        let mut figures = Figures {
            disk_bytes: self.log.blank_bytes(),
            needed_bytes: self.own.bytes(),
            oldest: u64::from(self.log.oldest()),
            waiting: self.waiting.len() as u64,
            trouble: match self.health.trouble() {
                None => 0,
                Some(Trouble::Full) => 1,
                Some(Trouble::Down) => 2,
            },
            ..Figures::default()
        };
        for segment in self.log.segments() {
            figures.segments += 1;
            figures.disk_bytes += u64::from(segment.length);
            figures.live += segment.tally.live;
            figures.needed_bytes += segment.needed(now);
        }
        self.stats.set_log(&figures);
    }
}

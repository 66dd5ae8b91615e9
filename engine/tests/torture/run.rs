//! A run: gateways live and die as the plan says, under load; then there is calm, and everything
//! must add up.

use crate::crowd::{Crowd, Mood};
use crate::gateway::{Gateway, House, PATIENCE, SEGMENT_BYTES};
use crate::ledger::{Id, Ledger, Sums};
use crate::news::NewsSums;
use crate::office::Office;
use crate::outage::Watch;
use crate::plan::{
    BACKENDS, End, Life, MAILBOX, Outage, PRODUCTS, SESSIONS, SHARED, USERS, Who, draw, name,
    outages, product,
};
use holdfast::io::sim::Chance;
use holdfast_client::{MailboxAction, Pending};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Messages offered in a second.
const RATE: u32 = 600;
/// Milliseconds between two broadcasts of a product.
const NEWS: u64 = 900;
/// Most of a turn that counts as waiting.
const TURN: Duration = Duration::from_secs(1);
/// Bytes of a log that are shown.
const LOG: usize = 4000;
/// Segments that a store may keep when nothing waits.
const SEGMENTS: u64 = 2;

/// What a run has at hand.
pub(crate) struct Run {
    pub(crate) house: House,
    pub(crate) ledger: Ledger,
    pub(crate) crowd: Crowd,
    pub(crate) office: Office,
    pub(crate) watch: Watch,
    chance: Chance,
}

impl Run {
    pub(crate) fn new(house: House, seed: u64) -> Self {
        let makes_room = (0..USERS).map(|user| match product(user) {
            1 => Some(MAILBOX[1]),
            _ => None,
        });
        let mut ledger = Ledger::new(makes_room.collect());
        ledger.is_late = house.redis.is_some();
        Self {
            ledger,
            crowd: Crowd::new(house.clients(), 0..USERS, seed),
            office: Office::new(house.backends(), BACKENDS, seed),
            chance: Chance::new(seed, "run"),
            watch: Watch::default(),
            house,
        }
    }

    /// Everybody does what is due, until `over` says so; fails with `what` if it does not.
    pub(crate) fn until(&mut self, what: &str, mut over: impl FnMut(&mut Self) -> bool) {
        let mut waited = Duration::ZERO;
        while !over(self) {
            let start = Instant::now();
            self.turn();
            // Where the whole machine stood still, nobody has waited.
            waited += start.elapsed().min(TURN);
            assert!(waited < PATIENCE, "this never came: {what}; {}", self.standing());
        }
    }

    /// How things stand, for who gives up.
    fn standing(&self) -> String {
        let (log, online) = (self.house.log(), self.crowd.online());
        let from = log.len().saturating_sub(LOG);
        let end = log.get(from..).unwrap_or(&log);
        format!("{:?}, {online} online; the log ends:\n{end}", self.ledger.sums())
    }

    pub(crate) fn turn(&mut self) {
        self.watch_store();
        self.office.turn(&mut self.ledger);
        self.crowd.turn(&mut self.ledger);
    }

    /// Everybody does what is due for so long, and the gateway lives.
    pub(crate) fn pass(&mut self, gateway: &mut Gateway, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.turn();
            self.lives(gateway);
        }
    }

    /// Starts a gateway and waits until it says that it takes everything.
    pub(crate) fn start(&mut self) -> Gateway {
        let mut gateway = self.serve();
        self.ready(&mut gateway);
        gateway
    }

    /// Starts a gateway and waits until it serves; perhaps it takes nothing durable.
    pub(crate) fn serve(&mut self) -> Gateway {
        self.watch.begins(&self.house);
        let mut gateway = self.house.start();
        self.until("the gateway is there", |run| match gateway.is_there() {
            Ok(there) => there,
            // As whoever runs it would: the server took too long this time.
            Err(_) if run.house.log().ends_with(": timed out\n") => {
                gateway = run.house.start();
                false
            }
            Err(status) => panic!("the gateway does not start: {status}\n{}", run.house.log()),
        });
        gateway
    }

    /// Waits until a gateway says that it takes everything.
    pub(crate) fn ready(&mut self, gateway: &mut Gateway) {
        self.until("the gateway is ready", |run| {
            run.lives(gateway);
            gateway.is_ready()
        });
    }

    /// The gateway has not ended by itself.
    fn lives(&self, gateway: &mut Gateway) {
        if let Some(status) = gateway.ended() {
            panic!("the gateway ended by itself: {status}\n{}", self.house.log());
        }
    }

    /// One gateway from its start to its end.
    pub(crate) fn live(&mut self, life: Life, outage: Option<Outage>) {
        if life.unready {
            self.watch.begins(&self.house);
            let gateway = self.house.start();
            // Nobody cares whether it has come so far.
            let start = Instant::now();
            while start.elapsed() < life.length {
                self.turn();
            }
            self.end(gateway, life.end);
        } else {
            let mut gateway = self.start();
            self.pass(&mut gateway, life.length / 2);
            if let Some(outage) = outage.filter(|_| self.house.redis.is_some()) {
                self.outage(&mut gateway, outage);
            } else if let Some(time) = life.freeze {
                gateway.signal(Signal::STOP);
                self.pass(&mut gateway, time);
                gateway.signal(Signal::CONT);
            }
            self.pass(&mut gateway, life.length / 2);
            self.end(gateway, life.end);
        }
        if life.tail > 0 {
            self.house.tear(life.tail, &mut self.chance);
        }
    }

    /// Ends a gateway.
    pub(crate) fn end(&mut self, mut gateway: Gateway, end: End) {
        match end {
            End::Terminate => {
                self.ledger.news.leaves();
                gateway.signal(Signal::TERM);
                self.until("the gateway leaves in order", |_| gateway.ended().is_some());
                let status = gateway.end();
                assert!(status.success(), "it left with {status}\n{}", self.house.log());
                self.crowd.orphaned(&mut self.ledger);
                self.look_at_store();
                self.ledger.ended();
            }
            End::Kill | End::KillFrozen => {
                if end == End::KillFrozen {
                    gateway.signal(Signal::STOP);
                    self.pass(&mut gateway, Duration::from_millis(50));
                }
                gateway.kill();
                self.crowd.orphaned(&mut self.ledger);
                self.ledger.killed();
            }
        }
    }

    /// What is broken so far.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> {
        self.ledger.faults().iter().chain(&self.ledger.news.faults).take(20).cloned()
    }

    /// No promise was broken so far.
    pub(crate) fn assert_sound(&self) {
        let faults: Vec<_> = self.faults().collect();
        assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), self.house.log());
        assert!(!self.house.log().contains("panicked"), "{}", self.house.log());
    }

    /// Nothing new is pushed and nobody leaves, until everything was received.
    pub(crate) fn settle(&mut self) {
        self.office.rate = 0;
        self.office.herald.every = 0;
        self.crowd.mood = Mood::Calm;
        self.until("all pushes are answered", |run| run.office.is_idle());
        self.until("everybody is logged in", |run| run.crowd.is_complete());
        self.received();
        self.roll_call();
        self.received();
    }

    /// Waits until all was received, and the gateway holds nothing.
    fn received(&mut self) {
        let mut looked = Instant::now();
        self.until("all that was accepted is received", |run| {
            let due = looked.elapsed() > Duration::from_millis(200);
            due && {
                looked = Instant::now();
                run.ledger.sums().0.missing == 0
            }
        });
        self.until("all mailboxes are empty", |run| run.waiting() == 0);
    }

    /// Each device of a user with several gets its copy, if it stays, and the store has room.
    fn roll_call(&mut self) {
        let before: Vec<_> = self.crowd.siblings().collect();
        let mut called: Vec<(Who, u32, Id)> = Vec::new();
        for (who, visits) in before {
            let same = called.last().filter(|(last, ..)| last.user == who.user);
            let id = match same {
                Some(&(.., id)) => id,
                None => self.office.push_to(who.user, &mut self.ledger),
            };
            called.push((who, visits, id));
        }
        self.until("every device has its copy", |run| {
            let now: Vec<_> = run.crowd.siblings().collect();
            called.iter().zip(now).all(|(&(who, before, id), (_, visits))| {
                let ledger = &run.ledger;
                ledger.has_come_to(who, id) || visits != before || ledger.is_refused(id)
            })
        });
        self.until("the calls are answered", |run| run.office.is_idle());
    }

    /// Messages that the gateway still holds.
    pub(crate) fn waiting(&self) -> u64 {
        self.counted("mailbox_messages")
    }

    /// What the gateway counts under this name; the greatest number where it cannot be asked.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        let counters = self.office.backend().counters().and_then(Pending::wait);
        let counters = counters.unwrap_or_default();
        counters.iter().find(|(known, _)| known == name).map_or(u64::MAX, |it| it.1)
    }

    /// Mailboxes have room for everything here.
    pub(crate) fn with_roomy_mailboxes(mut self, users: usize) -> Self {
        self.house.set("mailbox.messages_max=1000000");
        let several =
            format!("{{ product = \"{}\", sessions_max = {SESSIONS} }}", PRODUCTS[SHARED]);
        self.house.set(&format!("mailbox.products=[{several}]"));
        self.ledger = Ledger::new(vec![None; users]);
        self
    }

    /// No user has a message in the mailbox, says the gateway of each.
    fn assert_empty(&self) {
        for user in 0..USERS {
            let asked = self.office.backend().mailbox(
                MailboxAction::Show,
                PRODUCTS[product(user)],
                &name(user),
            );
            let shown = asked.unwrap().wait().unwrap();
            assert_eq!(shown.messages, 0, "{user}: {shown:?}");
        }
    }
}

/// Lives that many lives from this seed and judges them.
pub(crate) fn torture(house: House, seed: u64, lives: u64) -> (Sums, NewsSums) {
    let mut run = Run::new(house, seed);
    run.await_redis();
    run.first_news();
    run.live_all(seed, lives);
    let gateway = run.start();
    run.settle();
    run.assert_empty();
    run.end(gateway, End::Terminate);
    run.assert_sound();
    // What was acknowledged stays acknowledged: everybody comes once more, and gets nothing. Keys
    // take disk for as long as they count.
    run.house.set("store.idempotency_window=1s");
    let gateway = run.start();
    run.settle();
    run.until("everybody had every broadcast", |run| run.ledger.news.missing().is_empty());
    // Broadcasts take disk until their time is over, each at most twice.
    let kept = 2 * run.ledger.news.kept_bytes() + SEGMENTS * SEGMENT_BYTES;
    run.until("the disk is given back", |run| run.house.disk() <= kept);
    run.end(gateway, End::Terminate);
    (run.judged(), run.ledger.news.sums())
}

impl Run {
    /// Everybody has one broadcast, and so something to remember; then the gateway is killed.
    fn first_news(&mut self) {
        self.crowd.mood = Mood::Calm;
        let gateway = self.start();
        self.until("everybody is there", |run| run.crowd.is_complete());
        let begin = |product| self.office.herald.begin(product, &mut self.ledger);
        let first: Vec<Id> = (0..PRODUCTS.len()).map(begin).collect();
        self.until("everybody has one broadcast", |run| {
            first.iter().all(|&id| run.ledger.news.is_everywhere(id))
        });
        self.crowd.mood = Mood::Restless;
        self.end(gateway, End::Kill);
    }

    /// Lives so many lives under load.
    pub(crate) fn live_all(&mut self, seed: u64, lives: u64) {
        self.office.rate = RATE;
        self.office.herald.every = NEWS;
        let lives = draw(seed, lives).into_iter().zip(outages(seed, lives));
        for (number, (life, outage)) in lives.enumerate() {
            let outage = outage.filter(|_| self.house.redis.is_some() && !life.unready);
            println!("life {number}: {life:?} {outage:?}");
            self.live(life, outage);
            self.assert_sound();
        }
    }

    /// Everything must add up now.
    pub(crate) fn judged(&mut self) -> Sums {
        self.ledger.close();
        self.assert_sound();
        let (sums, missing) = self.ledger.sums();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
        let explained = sums.acked + sums.expired + sums.dropped + sums.excused;
        assert_eq!(sums.accepted, explained, "{sums:?}");
        sums
    }
}

//! A run: gateways live and die as the plan says, under load; then there is calm, and everything
//! must add up.

use crate::crowd::{Crowd, Mood};
use crate::gateway::{Gateway, House, PATIENCE};
use crate::ledger::{Ledger, Sums};
use crate::office::Office;
use crate::plan::{BACKENDS, End, Life, MAILBOX, PRODUCTS, USERS, draw, name, product};
use holdfast::io::sim::Chance;
use holdfast_client::{MailboxAction, Pending};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Messages offered in a second.
const RATE: u32 = 600;
/// Segments that a store may keep when nothing waits.
const SEGMENTS: usize = 2;

/// What a run has at hand.
pub(crate) struct Run {
    pub(crate) house: House,
    pub(crate) ledger: Ledger,
    pub(crate) crowd: Crowd,
    pub(crate) office: Office,
    chance: Chance,
}

impl Run {
    pub(crate) fn new(house: House, seed: u64) -> Self {
        let makes_room = (0..USERS).map(|user| match product(user) {
            0 => None,
            other => Some(MAILBOX[other]),
        });
        Self {
            ledger: Ledger::new(makes_room.collect()),
            crowd: Crowd::new(house.clients(), 0..USERS, seed),
            office: Office::new(house.backends(), BACKENDS, seed),
            chance: Chance::new(seed, "run"),
            house,
        }
    }

    /// Everybody does what is due, until `over` says so; fails with `what` if it does not.
    pub(crate) fn until(&mut self, what: &str, mut over: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !over(self) {
            self.turn();
            let stands = || format!("{:?}, {} online", self.ledger.sums(), self.crowd.online());
            assert!(start.elapsed() < PATIENCE, "this never came: {what}; {}", stands());
        }
    }

    pub(crate) fn turn(&mut self) {
        self.office.turn(&mut self.ledger);
        self.crowd.turn(&mut self.ledger);
    }

    /// Everybody does what is due for so long, and the gateway lives.
    pub(crate) fn pass(&mut self, gateway: &mut Gateway, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.turn();
            if let Some(status) = gateway.ended() {
                panic!("the gateway ended by itself: {status}\n{}", self.house.log());
            }
        }
    }

    /// Starts a gateway and waits until it serves.
    pub(crate) fn start(&mut self) -> Gateway {
        let mut gateway = self.house.start();
        self.ready(&mut gateway);
        gateway
    }

    fn ready(&mut self, gateway: &mut Gateway) {
        self.until("the gateway is ready", |run| match gateway.is_ready() {
            Ok(ready) => ready,
            Err(status) => panic!("the gateway does not start: {status}\n{}", run.house.log()),
        });
    }

    /// One gateway from its start to its end.
    pub(crate) fn live(&mut self, life: Life) {
        let mut gateway = self.house.start();
        if life.unready {
            // Nobody cares whether it has come so far.
            let start = Instant::now();
            while start.elapsed() < life.length {
                self.turn();
            }
        } else {
            self.ready(&mut gateway);
            self.pass(&mut gateway, life.length / 2);
            if let Some(time) = life.freeze {
                gateway.signal(Signal::STOP);
                self.pass(&mut gateway, time);
                gateway.signal(Signal::CONT);
            }
            self.pass(&mut gateway, life.length / 2);
        }
        self.end(gateway, life.end);
        if life.tail > 0 {
            self.house.tear(life.tail, &mut self.chance);
        }
    }

    /// Ends a gateway.
    pub(crate) fn end(&mut self, mut gateway: Gateway, end: End) {
        match end {
            End::Terminate => {
                gateway.signal(Signal::TERM);
                self.until("the gateway leaves in order", |_| gateway.ended().is_some());
                let status = gateway.end();
                assert!(status.success(), "it left with {status}\n{}", self.house.log());
                self.crowd.orphaned(&mut self.ledger);
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

    /// No promise was broken so far.
    pub(crate) fn assert_sound(&self) {
        let faults = self.ledger.faults();
        assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), self.house.log());
        assert!(!self.house.log().contains("panicked"), "{}", self.house.log());
    }

    /// Nothing new is pushed and nobody leaves, until everything was received.
    pub(crate) fn settle(&mut self) {
        self.office.rate = 0;
        self.crowd.mood = Mood::Calm;
        self.until("all pushes are answered", |run| run.office.is_idle());
        self.until("everybody is logged in", |run| run.crowd.online() == USERS);
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
        self.house.set("mailbox.products=[]");
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
pub(crate) fn torture(house: House, seed: u64, lives: u64) -> Sums {
    let mut run = Run::new(house, seed);
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
    run.until("the disk is given back", |run| run.house.segments().len() <= SEGMENTS);
    run.end(gateway, End::Terminate);
    run.judged()
}

impl Run {
    /// Lives so many lives under load.
    pub(crate) fn live_all(&mut self, seed: u64, lives: u64) {
        self.office.rate = RATE;
        for (number, life) in draw(seed, lives).into_iter().enumerate() {
            println!("life {number}: {life:?}");
            self.live(life);
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

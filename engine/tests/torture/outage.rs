//! A server that keeps the messages dies or stands still while the gateway lives: the gateway says
//! so, online traffic goes on meanwhile, and it comes back by itself.
//!
//! On a machine that is busy enough the gateway may take it for dead at any time: the log says so.

use crate::body;
use crate::gateway::{Gateway, House};
use crate::ledger::Kind;
use crate::plan::{Outage, PRODUCTS, VISITOR, name, product};
use crate::run::Run;
use holdfast_client::{Outcome, Pending};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// What the log says when the server is given up, and when it is back.
const AWAY: &str = "the store in Redis takes no messages";
const BACK: &str = "the store in Redis takes messages again";
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a gateway thinks of its server, as far as its log says.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Where its log begins.
    from: usize,
    looked: Option<Instant>,
    /// Whether the run itself has taken the server away.
    declared: bool,
    away: bool,
}

impl Watch {
    /// Another gateway begins.
    pub(crate) fn begins(&mut self, house: &House) {
        self.from = house.log().len();
    }
}

impl Run {
    /// Waits until the server of the messages answers, where there is one.
    pub(crate) fn await_redis(&mut self) {
        self.until("redis-server answers", |run| {
            run.house.redis.as_mut().is_none_or(crate::redis::Server::is_ready)
        });
    }

    /// Looks now and then whether the gateway takes its server for dead, although nobody took it
    /// away.
    pub(crate) fn watch_store(&mut self) {
        if self.watch.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.watch.looked = Some(Instant::now());
            self.look_at_store();
        }
    }

    /// Looks whether the gateway takes, or took as it ended, its server for dead.
    pub(crate) fn look_at_store(&mut self) {
        if self.house.redis.is_none() || self.watch.declared {
            return;
        }
        let log = self.house.log();
        let log = log.get(self.watch.from..).unwrap_or_default();
        let away = log.rfind(AWAY) > log.rfind(BACK);
        if away != self.watch.away {
            self.watch.away = away;
            self.ledger.store_away(away);
        }
    }

    /// The server goes away and comes back.
    pub(crate) fn outage(&mut self, gateway: &mut Gateway, outage: Outage) {
        self.until("the visitor is there", |run| run.crowd.is_online(VISITOR));
        self.watch.declared = true;
        self.ledger.store_away(true);
        let Some(redis) = &mut self.house.redis else { return };
        if outage.kill {
            redis.kill();
        } else {
            redis.signal(Signal::STOP);
        }
        if outage.noticed {
            self.until("the gateway says that its store is away", |_| gateway.misses_its_store());
            self.online_traffic_goes_on(VISITOR);
            assert!(gateway.misses_its_store(), "it says so for as long as it is");
        }
        self.pass(gateway, outage.length);
        if let Some(redis) = &mut self.house.redis {
            if outage.kill {
                redis.again();
            } else {
                redis.signal(Signal::CONT);
            }
        }
        self.await_redis();
        self.ready(gateway);
        self.ledger.store_away(false);
        (self.watch.declared, self.watch.away) = (false, false);
    }

    /// An online message reaches a user who is there.
    pub(crate) fn online_traffic_goes_on(&mut self, visitor: usize) {
        self.until("online traffic goes on", |run| {
            let kind = Kind { size: 64, ..Kind::default() };
            let id = run.ledger.make(visitor, kind);
            let (user, body) = (name(visitor), body::write(id, kind.size));
            let target = holdfast_client::target(&user, &body);
            let backend = run.office.backend();
            let asked = backend.push_one(PRODUCTS[product(visitor)], target);
            run.ledger.tried(id);
            let Ok(outcome) = asked.and_then(Pending::wait) else { return false };
            run.ledger.answered(id, outcome);
            let delivered = matches!(outcome, Outcome::Delivered(_));
            if delivered {
                run.until("the visitor has it", |run| run.ledger.has_come(id));
            }
            delivered
        });
    }
}

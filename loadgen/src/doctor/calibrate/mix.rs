//! What is asked for beside single messages, as rates: of the busiest phase, and for as few clients
//! as the calibration has.
//!
//! A rate over all clients stays what it is, whoever is there to receive it: so many pings, drops
//! and deliveries of broadcasts a second cost the generator the same with fewer clients.

use crate::clock::SECOND;
use crate::options::Options;
use crate::report::float;
use crate::scenario::phase::{Behaviour, Broadcasts, Phase};
use crate::scenario::plan;
use serde::Serialize;

/// Most of the clients that drop in a second: with more nobody would be there to receive.
const CHURN_MOST: f64 = 0.25;

/// What is asked for, each a second and over all clients.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(in crate::doctor) struct Mix {
    pub(in crate::doctor) pings: u32,
    /// Clients that drop and return.
    pub(in crate::doctor) drops: f64,
    /// Milliseconds for which they stay away.
    #[serde(skip)]
    pause: u64,
    /// Deliveries of broadcasts.
    pub(in crate::doctor) broadcast: f64,
    /// Their size in bytes, and their pace in users and in bits a second.
    #[serde(skip)]
    paced: (usize, u32, u64),
}

impl Mix {
    /// What these options ask for.
    pub(in crate::doctor) fn of(options: &Options) -> Self {
        let clients = f64::from(options.clients.connections);
        let mut mix = Self { pings: options.clients.pings, ..Self::default() };
        for phase in &plan::phases(options) {
            mix.note_phase(phase, clients);
        }
        mix
    }

    fn note_phase(&mut self, phase: &Phase, clients: f64) {
        if let Some(broadcasts) = &phase.broadcasts {
            self.note_broadcasts(broadcasts, clients, float(phase.length) / float(SECOND));
        }
        if let Behaviour::Churn { share, pause } = phase.clients {
            self.note_drops(share * clients, pause / (SECOND / 1_000));
        }
    }

    fn note_drops(&mut self, drops: f64, pause: u64) {
        if drops > self.drops {
            (self.drops, self.pause) = (drops, pause);
        }
    }

    /// A paced broadcast goes as fast as its pace while it goes; one without comes in bursts, of
    /// which the gateway decides how fast they are, and counts on average.
    fn note_broadcasts(&mut self, asked: &Broadcasts, clients: f64, seconds: f64) {
        if asked.count == 0 {
            return;
        }
        let mean = f64::from(asked.count) * clients / seconds.max(1.0);
        let by_bits = float(asked.bits) / (float(asked.size as u64) * 8.0).max(1.0);
        let paces = [f64::from(asked.users), by_bits].into_iter().filter(|pace| *pace > 0.0);
        let deliveries = paces.fold(None, |least: Option<f64>, pace| {
            Some(least.map_or(pace, |least| least.min(pace)))
        });
        let deliveries = deliveries.unwrap_or(mean);
        if deliveries > self.broadcast {
            self.broadcast = deliveries;
            self.paced = (asked.size, asked.users, asked.bits);
        }
    }

    /// Has a run of so many seconds offer it.
    pub(super) fn put_into(self, options: &mut Options, seconds: u32) {
        let clients = f64::from(options.clients.connections.max(1));
        options.clients.pings = self.pings;
        options.clients.churn = (self.drops / clients).min(CHURN_MOST);
        options.clients.churn_pause = self.pause;
        let count = (self.broadcast * f64::from(seconds) / clients).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a conversion saturates, and it is not negative"
        )]
        let count = count as u32;
        let (size, users, bits) = self.paced;
        options.broadcast.count = count;
        options.broadcast.size = if count > 0 { size } else { options.broadcast.size };
        (options.broadcast.users, options.broadcast.bits) = (users, bits);
    }

    /// Whether anything is asked for.
    pub(in crate::doctor) fn is_anything(self) -> bool {
        self != Self { pause: self.pause, ..Self::default() }
    }

    /// All of it, for people; empty where there is nothing.
    pub(in crate::doctor) fn in_words(self) -> String {
        let parts = [
            (f64::from(self.pings), "pings/s"),
            (self.drops, "drops/s"),
            (self.broadcast, "deliveries/s of broadcasts"),
        ];
        let asked = parts.iter().filter(|(count, _)| *count > 0.0);
        let words: Vec<_> = asked.map(|(count, what)| format!(", {count:.0} {what}")).collect();
        words.concat()
    }
}

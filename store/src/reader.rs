//! Answers what shards ask about bodies, from handles of its own: a question never waits for a
//! sync.
//!
//! A body is handed out only if its record is whole and is the message that was asked for.

use crate::disk::Disk;
use crate::letter::{Ask, Event, Loaded, Place, Span, Wanted};
use crate::log::shelf::{Missing, Shelf};
use crate::record::{Record, parse_payload};
use crate::stats::Stats;
use std::sync::Arc;

/// Reads bodies.
pub struct Reader {
    shelf: Shelf,
    products: Vec<String>,
    stats: Arc<Stats>,
    gate: Gate,
}

/// Lets one line a second through.
#[derive(Default)]
struct Gate {
    second: u32,
    suppressed: u64,
}

/// What became of one wanted message.
enum Found {
    Body(Span),
    /// Not what was stored: it will not come back.
    Lost,
    /// Perhaps later, or elsewhere.
    NotNow,
}

impl Reader {
    /// A reader of this disk; `stats` are those of the store that writes it, and `products` the
    /// names that numbers stand for.
    pub fn new(disk: Arc<dyn Disk>, products: &[String], stats: Arc<Stats>) -> Self {
        let products = products.to_vec();
        Self { shelf: Shelf::new(disk), products, stats, gate: Gate::default() }
    }

    /// The answer, at `now` seconds since 1970 UTC.
    pub fn answer(&mut self, ask: &Ask, now: u32) -> Event {
        self.tidy();
        // Only stores that several hosts share are asked for a whole mailbox.
        if ask.wanted.is_empty() {
            return Event::Unanswered { token: ask.token };
        }
        let total = ask.wanted.iter().map(|wanted| wanted.length as usize).sum();
        let mut bytes = Vec::with_capacity(total);
        let mut spans = Vec::with_capacity(ask.wanted.len());
        for wanted in &ask.wanted {
            match self.load(ask, wanted, now, &mut bytes) {
                Found::Body(span) => spans.push(span),
                Found::Lost => spans.push(Span::default()),
                Found::NotNow if spans.is_empty() => {
                    return Event::Unanswered { token: ask.token };
                }
                // Whoever has the first ones asks again for the others.
                Found::NotNow => break,
            }
        }
        let bytes: Arc<[u8]> = bytes.into();
        let each = ask.wanted.iter().zip(spans);
        let messages = each.map(|(wanted, body)| {
            let (sequence, bytes) = (wanted.sequence, bytes.clone());
            Loaded { sequence, bytes, body }
        });
        Event::Loaded { token: ask.token, messages: messages.collect() }
    }

    /// Closes handles of segments that are gone. To be called now and then.
    pub fn tidy(&mut self) {
        self.shelf.forget_before(self.stats.oldest_segment());
    }

    fn load(&mut self, ask: &Ask, wanted: &Wanted, now: u32, bytes: &mut Vec<u8>) -> Found {
        let fetched = self.shelf.fetch(wanted.place, wanted.length as usize);
        let error = match fetched {
            Ok((kind, payload)) => match parse_payload(kind, payload) {
                Some(Record::Message(message))
                    if message.sequence == wanted.sequence
                        && message.user == ask.user
                        && self.products.get(usize::from(ask.product)).map(String::as_str)
                            == Some(message.product) =>
                {
                    let at = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    bytes.extend_from_slice(message.body);
                    let length = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
                    return Found::Body(Span { at, length });
                }
                _ => "another record lies there".to_owned(),
            },
            Err(Missing::Gone) => return Found::NotNow,
            Err(error @ Missing::Disk { .. }) => {
                self.complain(wanted.place, &error.to_string(), now);
                return Found::NotNow;
            }
            Err(error @ Missing::Damaged { .. }) => error.to_string(),
        };
        self.stats.skipped(1);
        self.complain(wanted.place, &error, now);
        Found::Lost
    }

    fn complain(&mut self, place: Place, error: &str, now: u32) {
        if self.gate.second == now {
            self.gate.suppressed += 1;
            return;
        }
        self.gate.second = now;
        let suppressed = std::mem::take(&mut self.gate.suppressed);
        let Place { segment, offset } = place;
        tracing::error!(segment, offset, error, suppressed, "a stored message cannot be read");
    }
}

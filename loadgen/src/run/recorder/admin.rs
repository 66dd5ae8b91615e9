//! Reads the load of each shard from the gateway's admin page, once for each sample.
//!
//! The page is the `OpenMetrics` text of `/metrics`; of it three families are understood, by the
//! label `shard`. A gateway that does not answer in time leaves a gap, and is asked again.

use crate::clock::Clock;
use crate::page;
use crate::report::float;
use crate::report::timeline::{Shard, Timeline};
use crate::secret;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

const FRAMES: &str = "holdfast_client_frames_sent_total";
const TURNS: &str = "holdfast_turn_duration_seconds_sum";
const CONNECTIONS: &str = "holdfast_connections";

/// The admin page of a gateway.
pub(super) struct Admin {
    address: SocketAddr,
    token: Option<String>,
    clock: Clock,
    /// The last page that could be read, and when it was, nanoseconds of the run's clock.
    last: Option<(u64, Page)>,
}

/// What a page says of each shard.
#[derive(Debug, Default, PartialEq)]
struct Page(BTreeMap<String, Load>);

/// The counts of one shard.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Load {
    /// Messages sent to clients, since the start.
    messages: f64,
    /// Seconds in turns, since the start.
    busy: f64,
    /// Connections of clients, now.
    connections: f64,
}

impl Admin {
    /// The page at `address`, with the token in the file where the gateway wants one.
    pub(super) fn new(address: SocketAddr, token: Option<&Path>, clock: Clock) -> Self {
        // Without the token the gateway refuses, and there is no load of shards in the report.
        let token = token.and_then(|file| secret::read("", Some(file)).ok());
        let token = token.and_then(|token| String::from_utf8(token).ok());
        let mut admin = Self { address, token, clock, last: None };
        admin.last = admin.read();
        admin
    }

    /// Adds one sample to the shards of `line`, whose `at` has it already.
    pub(super) fn sample(&mut self, line: &mut Timeline) {
        let place = line.at.len().saturating_sub(1);
        if let Some((at, page)) = self.read() {
            if let Some((before, last)) = &self.last {
                let passed = float(at.saturating_sub(*before)) / 1e9;
                page.note(last, passed.max(1e-3), (&mut line.shards, place));
            }
            self.last = Some((at, page));
        }
        for shard in &mut line.shards {
            for values in [&mut shard.messages, &mut shard.busy, &mut shard.connections] {
                values.resize(place + 1, None);
            }
        }
    }

    fn read(&self) -> Option<(u64, Page)> {
        let text = page::get(self.address, "/metrics", self.token.as_deref()).ok()?;
        let page = Page::parse(&text);
        (!page.0.is_empty()).then(|| (self.clock.now(), page))
    }
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            // Writing nothing for a line that is not understood is what the caller expects.
            let _ = page.line(line);
        }
        page
    }

    /// Takes `name{shard="0",kind="push"} 12`.
    fn line(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.split_once("} ")?;
        let wanted = name == FRAMES && labels.contains("kind=\"push\"");
        if !wanted && name != TURNS && name != CONNECTIONS {
            return None;
        }
        let shard = labels.split(',').find_map(|label| label.strip_prefix("shard=\""))?;
        let value: f64 = value.split_whitespace().next()?.parse().ok()?;
        let load = self.0.entry(shard.trim_end_matches('"').to_owned()).or_default();
        match name {
            FRAMES => load.messages += value,
            TURNS => load.busy += value,
            _ => load.connections += value,
        }
        Some(())
    }

    /// Writes what happened since `last` at `place` of each shard's arrays.
    fn note(&self, last: &Self, passed: f64, (shards, place): (&mut Vec<Shard>, usize)) {
        for (name, load) in &self.0 {
            let Some(before) = last.0.get(name) else { continue };
            let known = shards.iter().position(|shard| shard.name == *name);
            let known = known.unwrap_or_else(|| {
                shards.push(Shard { name: name.clone(), ..Shard::default() });
                shards.len() - 1
            });
            let rate = |now: f64, before: f64| {
                (now >= before).then(|| super::round((now - before) / passed))
            };
            let shard = &mut shards[known];
            for (values, value) in [
                (&mut shard.messages, rate(load.messages, before.messages)),
                (&mut shard.busy, rate(load.busy, before.busy)),
                (&mut shard.connections, Some(load.connections)),
            ] {
                values.resize(place, None);
                values.push(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    const TEXT: &str = "# TYPE holdfast_connections gauge\n\
        holdfast_connections{shard=\"0\",state=\"online\"} 5\n\
        holdfast_connections{shard=\"0\",state=\"closing\"} 1\n\
        holdfast_client_frames_sent_total{shard=\"0\",kind=\"welcome\"} 900\n\
        holdfast_client_frames_sent_total{shard=\"0\",kind=\"push\"} 100\n\
        holdfast_turn_duration_seconds_sum{shard=\"0\"} 1.5\n\
        holdfast_turns_total{shard=\"0\"} 7\n\
        holdfast_turn_duration_seconds_sum{shard=\"11\"} 2\n# EOF\n";

    fn load(messages: f64, busy: f64, connections: f64) -> Load {
        Load { messages, busy, connections }
    }

    #[test]
    fn the_shards_of_a_page_are_told_apart() {
        let page = Page::parse(TEXT);
        assert_eq!(page.0.get("0"), Some(&load(100.0, 1.5, 6.0)));
        assert_eq!(page.0.get("11"), Some(&load(0.0, 2.0, 0.0)));
        assert_eq!(page.0.len(), 2);
    }

    #[test]
    fn a_shard_that_comes_late_has_gaps_before_it_and_one_that_starts_anew_has_one() {
        let page = |loads: &[(&str, Load)]| {
            Page(loads.iter().map(|(name, load)| ((*name).to_owned(), *load)).collect())
        };
        let mut shards = Vec::new();
        let both = page(&[("0", load(10.0, 1.0, 3.0)), ("1", load(10.0, 1.0, 3.0))]);
        page(&[("0", load(30.0, 2.0, 4.0))]).note(&both, 2.0, (&mut shards, 0));
        let anew = page(&[("0", load(5.0, 0.1, 1.0)), ("1", load(14.0, 1.5, 3.0))]);
        anew.note(&both, 2.0, (&mut shards, 1));
        assert_eq!(shards[0].messages, [Some(10.0), None]);
        assert_eq!(shards[0].busy, [Some(0.5), None]);
        assert_eq!(shards[1].messages, [None, Some(2.0)]);
        assert_eq!(shards[1].connections, [None, Some(3.0)]);
    }

    #[test]
    fn a_page_is_read_over_http_and_nothing_but_a_page() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut requests = Vec::new();
            for status in ["200 OK", "401 Unauthorized"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                requests.push(String::from_utf8(request).unwrap());
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", TEXT.len());
                stream.write_all((head + TEXT).as_bytes()).unwrap();
            }
            requests
        });
        let admin =
            Admin { address, token: Some("t0ken".to_owned()), clock: Clock::start(), last: None };
        assert!(admin.read().is_some());
        assert!(admin.read().is_none());
        let requests = server.join().unwrap();
        assert!(requests[0].starts_with("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:"));
        assert!(requests[0].contains("Authorization: Bearer t0ken\r\n"));
        assert!(admin.read().is_none(), "nobody listens any more");
    }
}

//! How many clients the gateway under test has room for, by its own metrics: whoever is one too
//! many is refused, again and again, until the run gives up.

use crate::gateway;
use crate::options::Options;
use crate::run::failure::{Failure, Whose};
use crate::scenario::plan::Plan;

/// What it holds at most, over its shards.
const LIMIT: &str = "holdfast_connections_limit{";
/// What it holds, by shard and state.
const CONNECTIONS: &str = "holdfast_connections{";

/// The gateway's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Most clients.
    limit: u64,
    /// Clients that are there and stay.
    taken: u64,
}

impl Room {
    /// Asks the gateway; `None` where it does not tell, as an older one.
    pub(crate) fn ask(options: &Options) -> Option<Self> {
        Self::parse(&gateway::metrics(options)?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut limit, mut taken) = (None, 0_u64);
        for line in text.lines() {
            if let Some(value) = value(line, LIMIT) {
                limit = Some(limit.unwrap_or(0_u64).saturating_add(value));
            }
            // Who is told to go is gone before the load comes, and who says nothing may be the
            // generator itself, which has just looked whether the gateway answers.
            if !["closing", "opening"].iter().any(|state| line.contains(state)) {
                taken = taken.saturating_add(value(line, CONNECTIONS).unwrap_or(0));
            }
        }
        limit.map(|limit| Self { limit, taken })
    }

    /// What there is, in words.
    pub(crate) fn in_words(self) -> String {
        let Self { limit, taken } = self;
        format!("the gateway holds at most {limit} clients and has {taken}")
    }

    /// What mends it where so many more do not fit.
    pub(crate) fn lacks(self, clients: u32) -> Option<String> {
        let needed = self.taken.saturating_add(u64::from(clients));
        (needed > self.limit).then(|| raise(needed))
    }
}

/// How a gateway comes to hold so many.
pub(crate) fn raise(needed: u64) -> String {
    format!(
        "raise the gateway's descriptor limit (ulimit -n, LimitNOFILE=) or client.connections_max: \
         `holdfast-tuning check --connections {needed}` says which; its /metrics has the limit \
         (holdfast_connections_limit)"
    )
}

/// Most clients that the plan has connected at any time.
pub(crate) fn most(options: &Options, plan: &Plan) -> u32 {
    let clients = options.clients.connections;
    let ends = plan.steps.iter().map(|step| plan.joined(clients, Some(step.until)));
    ends.fold(plan.joined(clients, None), u32::max)
}

/// Whether a load fits into the gateway, as far as the gateway says.
///
/// # Errors
/// It does not; the text says why and what mends it.
pub(crate) fn check(options: &Options, plan: &Plan) -> Result<(), Failure> {
    let Some(room) = Room::ask(options) else { return Ok(()) };
    let clients = most(options, plan);
    let Some(mend) = room.lacks(clients) else { return Ok(()) };
    let why = format!("{clients} clients, but {}: {mend}", room.in_words());
    Err(Failure { why, whose: Whose::Gateways })
}

/// The value of a sample whose name begins so.
fn value(line: &str, name: &str) -> Option<u64> {
    let (_, value) = line.strip_prefix(name)?.split_once("} ")?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE holdfast_connections_limit gauge\n\
        holdfast_connections_limit{shard=\"0\"} 60\n\
        holdfast_connections_limit{shard=\"1\"} 40\n\
        holdfast_connections{shard=\"0\",state=\"online\"} 20\n\
        holdfast_connections{shard=\"1\",state=\"logging_in\"} 5\n\
        holdfast_connections{shard=\"1\",state=\"closing\"} 50\n\
        holdfast_connections{shard=\"0\",state=\"opening\"} 50\n# EOF\n";

    #[test]
    fn there_is_room_for_the_limit_less_those_that_are_there() {
        let room = Room::parse(PAGE).unwrap();
        assert_eq!(room, Room { limit: 100, taken: 25 });
        assert_eq!(room.lacks(75), None);
        let mend = room.lacks(76).unwrap();
        assert!(mend.contains("holdfast-tuning check --connections 101`"), "{mend}");
        assert_eq!(Room::parse("holdfast_connections{shard=\"0\",state=\"online\"} 2\n"), None);
    }

    #[test]
    fn whatever_a_page_says_is_added_up() {
        let most = u64::MAX;
        let page = format!("{LIMIT}}} {most}\n{CONNECTIONS}}} {most}\n").repeat(2);
        let room = Room::parse(&page).unwrap();
        assert_eq!((room, room.lacks(1)), (Room { limit: most, taken: most }, None));
    }
}

//! One table of everything that is counted, for all who show it.

use super::frames::{BACKEND_IN, BACKEND_OUT, CLIENT_IN, CLIENT_OUT, Kinds};
use super::names::{ConnectionState, Counter, Gauge, Memory, OUTCOMES, Refusal, Unit};
use super::possible::{BACKEND_CLOSES, BACKEND_VIOLATIONS, CLOSES, LOGIN_REFUSALS};
use super::{Cells, ShardMetrics};
use holdfast_protocol::backend::answer::{DropReason, ErrorCode, Rejection};
use holdfast_protocol::close::Code;
use holdfast_protocol::error::Violation;

/// Numbers that belong together and differ in one label.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Unit,
    /// Whether it may go down.
    pub(super) gauge: bool,
    /// The name of the label; empty where there is one number alone.
    pub(super) label: &'static str,
    /// The value of the label with the number, each.
    pub(super) samples: Vec<(&'static str, u64)>,
}

/// Every family of one shard, in a fixed order.
pub(super) fn families(shard: &ShardMetrics) -> Vec<Family> {
    let mut families = Vec::with_capacity(64);
    families.extend(gauges(shard));
    families.extend(plain(shard));
    families.extend(connections(shard));
    families.extend(messages(shard));
    families.extend(frames(shard));
    families
}

fn plain(shard: &ShardMetrics) -> impl Iterator<Item = Family> {
    Counter::ALL.iter().zip(shard.counters.values()).map(|(counter, value)| Family {
        name: counter.name(),
        help: counter.help(),
        unit: counter.unit(),
        gauge: false,
        label: "",
        samples: vec![("", value)],
    })
}

fn gauges(shard: &ShardMetrics) -> impl Iterator<Item = Family> {
    let plain = Gauge::ALL.iter().zip(shard.gauges.values()).map(|(gauge, value)| Family {
        name: gauge.name(),
        help: gauge.help(),
        unit: gauge.unit(),
        gauge: true,
        label: "",
        samples: vec![("", value)],
    });
    let connections = labelled(
        ("connections", "Connections of clients by where they stand.", "state"),
        names(ConnectionState::ALL, ConnectionState::name, &shard.connections),
    );
    let memory = labelled(
        ("memory", "Bytes of user space by who holds them.", "of"),
        names(Memory::ALL, Memory::name, &shard.memory),
    );
    let memory = Family { unit: Unit::Bytes, ..memory };
    plain.chain([connections, memory].map(|family| Family { gauge: true, ..family }))
}

fn connections(shard: &ShardMetrics) -> [Family; 6] {
    [
        labelled(
            ("refused_connections", "Connections closed before their first byte.", "reason"),
            names(Refusal::ALL, Refusal::name, &shard.refused),
        ),
        labelled(
            ("refused_logins", "Logins of clients that were refused.", "reason"),
            names(LOGIN_REFUSALS, Code::name, &shard.logins_refused),
        ),
        labelled(
            ("closes", "Connections of clients that ended, by close code.", "code"),
            names(CLOSES, Code::name, &shard.closes),
        ),
        labelled(
            ("backend_closes", "Connections of backends that ended, by close code.", "code"),
            names(BACKEND_CLOSES, Code::name, &shard.backend_closes),
        ),
        labelled(
            ("violations", "What clients did against the protocol.", "kind"),
            names(&Violation::ALL, Violation::name, &shard.violations),
        ),
        labelled(
            ("backend_violations", "What backends did against the protocol.", "kind"),
            names(BACKEND_VIOLATIONS, Violation::name, &shard.backend_violations),
        ),
    ]
}

fn messages(shard: &ShardMetrics) -> [Family; 3] {
    let mut outcomes: Vec<_> = OUTCOMES.into_iter().zip(shard.outcomes.values()).collect();
    outcomes.extend(names(Rejection::ALL, Rejection::name, &shard.rejections));
    outcomes.extend(names(DropReason::ALL, DropReason::name, &shard.outcome_drops));
    [
        labelled(("pushes", "Targets of pushes by what became of them.", "outcome"), outcomes),
        labelled(
            ("drops", "Messages, of pushes and broadcasts, given up after acceptance.", "reason"),
            names(DropReason::ALL, DropReason::name, &shard.drops),
        ),
        labelled(
            ("request_errors", "Requests of backends that were answered with an error.", "code"),
            names(ErrorCode::ALL, ErrorCode::name, &shard.request_errors),
        ),
    ]
}

fn frames(shard: &ShardMetrics) -> [Family; 4] {
    let kinds = |kinds: &Kinds, values: Vec<u64>| {
        let named = kinds.names().iter().copied().zip(values);
        named.filter(|(name, _)| !name.is_empty()).collect()
    };
    [
        labelled(
            ("client_frames_received", "Frames from clients.", "kind"),
            kinds(&CLIENT_IN, shard.client_in.values().collect()),
        ),
        labelled(
            ("client_frames_sent", "Frames to clients.", "kind"),
            kinds(&CLIENT_OUT, shard.client_out.values().collect()),
        ),
        labelled(
            ("backend_frames_received", "Frames from backends.", "kind"),
            kinds(&BACKEND_IN, shard.backend_in.values().collect()),
        ),
        labelled(
            ("backend_frames_sent", "Frames to backends.", "kind"),
            kinds(&BACKEND_OUT, shard.backend_out.values().collect()),
        ),
    ]
}

fn labelled(
    (name, help, label): (&'static str, &'static str, &'static str),
    samples: Vec<(&'static str, u64)>,
) -> Family {
    Family { name, help, unit: Unit::None, gauge: false, label, samples }
}

fn names<T: Copy, const N: usize>(
    all: &[T],
    name: fn(T) -> &'static str,
    cells: &Cells<N>,
) -> Vec<(&'static str, u64)> {
    all.iter().map(|value| name(*value)).zip(cells.values()).collect()
}

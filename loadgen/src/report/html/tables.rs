//! The tables of the page.

use crate::host::Process;
use crate::report::timeline::Timeline;
use crate::report::{Cpu, OWN_CLOCK, Report, float, legend};
use crate::units::{bytes, count, counted, duration, full, percent};
use crate::verify::judge::Reasons;
use maud::{Markup, html};

/// What was asked for with `--slo`; nothing where nothing was.
pub(super) fn slo(report: &Report) -> Markup {
    html! {
        @if !report.slo.is_empty() {
            section {
                h2 { "SLO" }
                div.scroll {
                    table.slo {
                        thead { tr { th scope="col" { "asked" } th scope="col" { "measured" }
                            th scope="col" { "verdict" } } }
                        tbody {
                            @for judged in &report.slo {
                                tr {
                                    th scope="row" { (judged.clause) }
                                    td { (judged.says) }
                                    td { span class=(if judged.met { "good" } else { "bad" }) {
                                        @if judged.met { "\u{2713} met" }
                                        @else { "\u{2717} missed" }
                                    } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// All the others.
pub(super) fn all(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Accounts" }
            p { "Every message is in exactly one line: "
                "offered = delivered + refused + gone + lost + unanswered." }
            (covers(report))
            div.tables { (accounts(report)) (connections(report)) }
            (durable(report))
        }
        (agents(report))
        (phases(report))
        section { h2 { "Latencies" } (latencies(report)) }
        section {
            h2 { "CPU and memory" }
            div.tables { (cpu(report)) (memory(report)) (shards(&report.timeline)) }
            p { "The generator: " (report.generator) "." }
            p { "Softirq, ksoftirqd and kernel memory are of the whole machine: where the clients "
                "run on it too, that memory holds both ends of each connection." }
        }
        section { h2 { "Environment" } (environment(report)) }
    }
}

/// Of whom the figures are, where an agent died.
pub(super) fn covers(report: &Report) -> Markup {
    html! { @if let Some(covers) = &report.covers { p.caution { "The " (covers.words) "." } } }
}

fn accounts(report: &Report) -> Markup {
    let (pushes, broadcasts) = (&report.pushes, &report.broadcasts);
    let row = |name: &str, one: Markup, other: Markup| {
        html! { tr { th scope="row" { (name) } td { (one) } td { (other) } } }
    };
    let plain = |value: u64| html! { (full(value)) };
    html! {
        div.scroll { table {
            caption { "Messages" }
            thead { tr { th {} th scope="col" { "pushes" }
                th scope="col" { "copies of " (counted(broadcasts.started, "broadcast")) } } }
            tbody {
                (row("offered", plain(pushes.offered), plain(broadcasts.offered)))
                (row("delivered", plain(pushes.delivered), plain(broadcasts.delivered)))
                (row("refused", reasons(&pushes.refused), reasons(&broadcasts.refused)))
                (row("gone", reasons(&pushes.gone), plain(broadcasts.gone)))
                (row("lost", reasons(&pushes.lost), plain(broadcasts.lost)))
                (row("unanswered", reasons(&pushes.unanswered), reasons(&broadcasts.unanswered)))
            }
        } }
    }
}

fn durable(report: &Report) -> Markup {
    html! {
        @if let Some(durable) = &report.durable {
            p { "Of the durable class: " (full(durable.stored)) " stored, " (full(durable.acked))
                " acknowledged at once, " (full(durable.missing)) " missing"
                @if let Some(receipts) = durable.receipts {
                    ", " (full(receipts)) " receipts acknowledged and " (full(durable.given_up))
                    " given up"
                } "." }
        }
    }
}

/// The hosts, where it ran on several.
fn agents(report: &Report) -> Markup {
    let time = |us: Option<u64>| us.map_or_else(|| "\u{2013}".to_owned(), |us| duration(float(us)));
    let cores = |cores: Option<f64>| {
        cores.map_or_else(|| "\u{2013}".to_owned(), |cores| percent(cores * 100.0))
    };
    html! {
        @if !report.agents.is_empty() {
            section {
                h2 { "Agents" }
                div.scroll tabindex="0" role="region" aria-label="Agents" { table {
                    thead { tr { th {} @for name in ["clients", "pushes a second", "offered",
                        "delivered", "lost", "p99", "lateness p99", "CPU", "busiest thread"] {
                        th scope="col" { (name) } } } }
                    tbody { @for agent in &report.agents { tr {
                        th scope="row" {
                            span.name { (agent.name) }
                            @if let Some(died) = &agent.died {
                                br; small.bad { "died at " (format!("{:.1} s", died.at)) }
                            }
                        }
                        td { (full(u64::from(agent.clients))) }
                        td { (full(u64::from(agent.rate))) }
                        td { (full(agent.offered)) }
                        td { (full(agent.delivered)) }
                        td { @match agent.lost { Some(lost) => (full(lost)), None => "unknown" } }
                        td { (time(agent.push.as_ref().map(|push| push.p99_us))) }
                        td { (time(agent.lateness_p99_us)) }
                        td { (cores(agent.cpu)) }
                        td { (cores(agent.busiest)) }
                    } } }
                } }
                @if report.broadcasts.started > 0 { p { "The " (OWN_CLOCK) "." } }
            }
        }
    }
}

/// The phases of a scenario, with the latencies of what was due in them.
fn phases(report: &Report) -> Markup {
    let shown =
        |us: Option<u64>| us.map_or_else(|| "\u{2013}".to_owned(), |us| duration(float(us)));
    html! {
        @if !report.phases.is_empty() {
            section {
                h2 { "Phases" }
                div.scroll tabindex="0" role="region" aria-label="Phases" { table {
                    thead { tr { th {} @for name in ["kind", "from", "to", "pushes", "p50", "p99",
                        "max"] { th scope="col" { (name) } } } }
                    tbody { @for phase in &report.phases {
                        @let push = phase.push.as_ref();
                        tr {
                            th scope="row" { span.name { (phase.name) } }
                            td { (phase.kind) }
                            td { (format!("{:.1} s", phase.from)) }
                            td { (format!("{:.1} s", phase.to)) }
                            td { (full(push.map_or(0, |push| push.count))) }
                            td { (shown(push.map(|push| push.p50_us))) }
                            td { (shown(push.map(|push| push.p99_us))) }
                            td { (shown(push.map(|push| push.max_us))) }
                        }
                    } }
                } }
            }
        }
    }
}

/// The sum, and what it is made of.
fn reasons(reasons: &Reasons) -> Markup {
    html! {
        (full(reasons.values().sum()))
        @for (reason, count) in reasons { br; small { (words(reason)) " " (full(*count)) } }
    }
}

fn connections(report: &Report) -> Markup {
    html! {
        div.scroll { table {
            caption { "Counts" }
            tbody { @for (name, value) in &report.counts {
                @if *value > 0 || FAULTS.contains(&name.as_str()) {
                    tr { th scope="row" { (words(name)) } td { (full(*value)) } }
                }
            } }
        } }
        @if !report.connection_reasons.is_empty() {
            div.scroll { table {
                caption { "Why connections failed or ended" }
                tbody { @for (reason, count) in &report.connection_reasons {
                    tr { th scope="row" { span.name { (reason) } } td { (full(*count)) } }
                } }
            } }
        }
    }
}

/// Counts that are shown where they are zero too.
const FAULTS: [&str; 6] =
    ["duplicates", "out_of_order", "corrupt", "misdelivered", "foreign", "unasked_ends"];

fn latencies(report: &Report) -> Markup {
    let known: Vec<_> = report.latencies.iter().filter(|(_, all)| all.count > 0).collect();
    html! {
        p { "From when a thing was due, not from when the generator came round to it." }
        div.scroll tabindex="0" role="region" aria-label="Latencies" { table {
            thead { tr {
                th {}
                @for name in ["count", "min", "mean", "p50", "p90", "p99", "p99.9", "max"] {
                    th scope="col" { (name) }
                }
            } }
            tbody { @for (name, values) in &known {
                tr {
                    th scope="row" { (words(name)) }
                    td { (full(values.count)) }
                    td { (duration(float(values.min_us))) }
                    td { (duration(values.mean_us)) }
                    @for us in [values.p50_us, values.p90_us, values.p99_us, values.p999_us,
                        values.max_us] { td { (duration(float(us))) } }
                }
            } }
        } }
        @for (name, meaning) in legend::latencies(report) { p { (words(name)) ": " (meaning) "." } }
    }
}

fn cpu(report: &Report) -> Markup {
    let milliseconds = |ms: f64| duration(ms * 1e3);
    let each = |cpu: &Cpu| match cpu.server_us_per_operation {
        Some(us) => format!("{us:.2} us a {}", cpu.operation),
        None => "\u{2013}".to_owned(),
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="CPU time" { table {
            caption { "CPU time of each stage" }
            thead { tr { th {} @for name in ["gateway", "gateway, each", "generator", "softirq",
                "ksoftirqd"] { th scope="col" { (name) } } } }
            tbody { @for stage in &report.cpu { tr {
                th scope="row" { (stage.stage) }
                td { (stage.server_ms.map_or_else(|| "unknown".to_owned(), milliseconds)) }
                td { (each(stage)) }
                td { (milliseconds(stage.client_ms)) }
                td { (milliseconds(float(stage.softirq_ms))) }
                td { (milliseconds(float(stage.ksoftirqd_ms))) }
            } } }
        } }
    }
}

fn memory(report: &Report) -> Markup {
    let memory = &report.memory;
    let known = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), bytes);
    let settled = report.samples.get("settled");
    let whole = |process: Option<Process>| process.map(|process| float(process.rss));
    let row = |name: &str, each: String, all: String| {
        html! { tr { th scope="row" { (name) } td { (each) } td { (all) } } }
    };
    let gateway = if memory.server_served_before {
        "unknown: it had connections before".to_owned()
    } else {
        known(memory.server_anonymous_per_connection)
    };
    let slab = settled.map(|sample| float(sample.machine.slab));
    let slab_each = legend::slab(report).unwrap_or_else(str::to_owned);
    let server = whole(settled.and_then(|sample| sample.server));
    html! {
        div.scroll { table {
            caption { "Memory when all clients had logged in" }
            thead { tr { th {} th scope="col" { "for each connection" }
                th scope="col" { "in all" } } }
            tbody {
                (row("gateway", gateway, known(server)))
                (row("generator", bytes(memory.client_anonymous_per_connection),
                    bytes(float(memory.client_rss))))
                (row("kernel slab", slab_each, known(slab)))
            }
        } }
    }
}

fn shards(line: &Timeline) -> Markup {
    let shown = |value: Option<f64>, text: fn(f64) -> String| {
        value.map_or_else(|| "\u{2013}".to_owned(), text)
    };
    html! {
        @if !line.shards.is_empty() {
            div.scroll { table {
                caption { "Shards while pushing, by the gateway's own count" }
                thead { tr { th {} th scope="col" { "messages a second" } th scope="col" { "busy" }
                    th scope="col" { "clients" } } }
                tbody { @for shard in &line.shards { tr {
                    th scope="row" { "shard " (shard.name) }
                    td { (shown(line.mean(&shard.messages), count)) }
                    td { (shown(line.mean(&shard.busy).map(|busy| busy * 100.0), percent)) }
                    td { (shown(line.mean(&shard.connections), count)) }
                } } }
            } }
        }
    }
}

fn environment(report: &Report) -> Markup {
    let clients = format!(
        "{} on {}, from {}",
        full(u64::from(report.clients)),
        counted(u64::from(report.threads), "thread"),
        counted(report.source_addresses as u64, "address")
    );
    let seconds = &report.seconds;
    let stages = format!(
        "connect {:.1} s, push {:.1} s, drain {:.1} s, leave {:.1} s",
        seconds.ramp, seconds.push, seconds.drain, seconds.leave
    );
    let version = format!("{}, commit {}", report.version, report.commit);
    let command = report.command.join(" ");
    let scenario = report.scenario.as_deref().unwrap_or("none");
    let gateway = report.gateway.as_deref().unwrap_or("not known");
    let rows: [(&str, &str); 8] = [
        ("scenario", scenario),
        ("clients", &clients),
        ("stages", &stages),
        ("kernel", &report.kernel),
        ("processor", &report.processor),
        ("gateway", gateway),
        ("generator", &version),
        ("command", &command),
    ];
    html! {
        dl.environment { @for (name, value) in rows {
            div { dt { (name) } dd { (value) } }
        } }
    }
}

/// A name of the JSON as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

//! The report as a table for people.

use super::super::progress::latency;
use super::super::remedy;
use crate::histogram::Percentiles;
use crate::report::{Cpu, Report, legend};
use crate::units::counted;
use crate::verify::judge::Reasons;
use std::fmt::Write;

/// No agent keeps a client in less than this, in bytes.
const OWN: f64 = 400.0;
/// With fewer clients, what does not grow with them is most of the memory of each.
const FEW: u32 = 1_000;

/// The whole table.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_all(report, &mut text);
    text
}

fn write_all(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n{} on {}, source addresses: {}; the {}ramp took {:.1} s",
        counted(u64::from(report.clients), "client"),
        counted(u64::from(report.threads), "thread"),
        report.source_addresses,
        if ramps(report) > 1 { "first " } else { "" },
        report.seconds.ramp
    )?;
    writeln!(out, "{}", report.plan)?;
    writeln!(out, "kernel {}, {}, commit {}", report.kernel, report.processor, report.commit)?;
    if let Some(gateway) = &report.gateway {
        writeln!(out, "gateway {gateway}")?;
    }
    if let Some(covers) = &report.covers {
        writeln!(out, "\nnote: {}", covers.words)?;
    }
    latencies(report, out)?;
    phases(report, out)?;
    accounts(report, out)?;
    agents(report, out)?;
    writeln!(out, "\ncpu, softirq and ksoftirqd those of the whole machine")?;
    let known = report.cpu.iter().any(|cpu| cpu.server_ms.is_some());
    for cpu in &report.cpu {
        stage(cpu, known, out)?;
    }
    writeln!(out, "\ngenerator   {}", report.generator)?;
    memory(report, out)?;
    if !report.connection_reasons.is_empty() {
        writeln!(out, "\nconnections that failed or ended")?;
        for (reason, count) in &report.connection_reasons {
            writeln!(out, "  {count:>10}  {reason}")?;
            if let Some(mend) = remedy::of(reason, report.clients) {
                writeln!(out, "              mend: {mend}")?;
            }
        }
    }
    write!(out, "\n{}", verdict(report))
}

/// The end of the table: whether all is well, and what is not.
pub(super) fn verdict(report: &Report) -> String {
    let mut text = String::new();
    if report.interrupted {
        let seconds = report.seconds.push;
        // Writing into a string cannot fail.
        let _ = writeln!(text, "INTERRUPTED after {seconds:.1} s of pushing\n");
    }
    text.push_str(&slo(report));
    if !report.generator.kept_up() {
        let _ = writeln!(text, "{}\n", report.generator.verdict());
    }
    if let Some(starved) = &report.starved {
        let _ = writeln!(text, "warning: {}\n", starved.verdict());
    }
    if !report.verdict.is_empty() {
        return text + &format!("FAILED: {}\n", report.verdict.join("; "));
    }
    text.push_str("all is accounted for: nothing lost, doubled, out of order or corrupt\n");
    let refused: u64 = report.pushes.refused.values().sum();
    if refused > 0 {
        let offline = report.pushes.refused.contains_key("offline") && ramps(report) > 1;
        let why = if offline { "; users of a later ramp are offline until it" } else { "" };
        let _ = writeln!(text, "the gateway refused {}{why}", counted(refused, "push"));
    }
    text
}

fn ramps(report: &Report) -> usize {
    report.phases.iter().filter(|phase| phase.kind == "ramp").count()
}

/// What was asked for with `--slo`, a line each; empty where nothing was.
fn slo(report: &Report) -> String {
    let longest = report.slo.iter().map(|judged| judged.clause.len()).max().unwrap_or_default();
    let mut text = String::new();
    for judged in &report.slo {
        let word = if judged.met { "met" } else { "MISSED" };
        let (clause, says) = (&judged.clause, &judged.says);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "slo {word:<6}  {clause:<longest$}  {says}");
    }
    text
}

fn latencies(report: &Report, out: &mut String) -> std::fmt::Result {
    let head = ["latency", "count", "p50", "p90", "p99", "p99.9", "max"];
    writeln!(
        out,
        "\n{:<30} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10}",
        head[0], head[1], head[2], head[3], head[4], head[5], head[6]
    )?;
    for (name, values) in &report.latencies {
        if values.count > 0 {
            row(name, values, out)?;
        }
    }
    for (name, meaning) in legend::latencies(report) {
        writeln!(out, "  {}: {meaning}", name.replace('_', " "))?;
    }
    Ok(())
}

/// The latencies of each phase that had pushes, where there is more than one such phase.
fn phases(report: &Report, out: &mut String) -> std::fmt::Result {
    let pushed = || report.phases.iter().filter_map(|phase| Some((phase, phase.push.as_ref()?)));
    if pushed().count() < 2 {
        return Ok(());
    }
    writeln!(out, "\n{:<30} {:>8} {:>10} {:>10}", "pushes due in", "count", "p50", "p99")?;
    for (phase, push) in pushed() {
        let [p50, p99] = [push.p50_us, push.p99_us].map(|us| latency(us, push.count));
        writeln!(out, "{:<30} {:>8} {p50:>10} {p99:>10}", phase.name, push.count)?;
    }
    Ok(())
}

fn row(name: &str, values: &Percentiles, out: &mut String) -> std::fmt::Result {
    write!(out, "{:<30} {:>8}", name.replace('_', " "), values.count)?;
    for us in [values.p50_us, values.p90_us, values.p99_us, values.p999_us, values.max_us] {
        write!(out, " {:>10}", latency(us, values.count))?;
    }
    writeln!(out)
}

fn accounts(report: &Report, out: &mut String) -> std::fmt::Result {
    let (pushes, broadcasts) = (&report.pushes, &report.broadcasts);
    writeln!(
        out,
        "\npushes      offered {} = delivered {} + refused {} + gone {} + lost {} + unanswered {}",
        pushes.offered,
        pushes.delivered,
        with_reasons(&pushes.refused),
        with_reasons(&pushes.gone),
        with_reasons(&pushes.lost),
        with_reasons(&pushes.unanswered)
    )?;
    writeln!(
        out,
        "broadcasts  offered {} = delivered {} + refused {} + gone {} + lost {} + unanswered {}   \
         ({} started)",
        broadcasts.offered,
        broadcasts.delivered,
        with_reasons(&broadcasts.refused),
        broadcasts.gone,
        broadcasts.lost,
        with_reasons(&broadcasts.unanswered),
        broadcasts.started
    )?;
    if let Some(durable) = &report.durable {
        write!(out, "durable     stored {} + acked {}", durable.stored, durable.acked)?;
        write!(out, ", missing {}", durable.missing)?;
        match durable.receipts {
            Some(receipts) => {
                writeln!(out, ", receipts {receipts} acked + {} given up", durable.given_up)?;
            }
            None => writeln!(out)?,
        }
    }
    let shown = ["duplicates", "out_of_order", "corrupt", "misdelivered", "foreign", "redelivered"];
    write!(out, "order      ")?;
    for name in shown {
        write!(out, " {} {}", name.replace('_', " "), report.counts.get(name).unwrap_or(&0))?;
    }
    write!(out, "\nconnections")?;
    for name in ["logins", "churned", "unasked_ends", "closed_after_bye", "pings", "pongs", "acks"]
    {
        write!(out, " {} {}", name.replace('_', " "), report.counts.get(name).unwrap_or(&0))?;
    }
    writeln!(out, "\n  what the words mean: `holdfast-loadgen run --help`, at its end")
}

/// The hosts, where it ran on several.
fn agents(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.agents.is_empty() {
        return Ok(());
    }
    let head = ["agent", "clients", "pushes/s", "offered", "delivered", "lost", "late p99", "cpu"];
    writeln!(
        out,
        "\n{:<24} {:>8} {:>9} {:>10} {:>10} {:>8} {:>10} {:>6}",
        head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7]
    )?;
    for agent in &report.agents {
        let lost = agent.lost.map_or_else(|| "unknown".to_owned(), |lost| lost.to_string());
        let late = agent.lateness_p99_us;
        writeln!(
            out,
            "{:<24} {:>8} {:>9} {:>10} {:>10} {:>8} {:>10} {:>6}",
            agent.name,
            agent.clients,
            agent.rate,
            agent.offered,
            agent.delivered,
            lost,
            latency(late.unwrap_or_default(), u64::from(late.is_some())),
            agent.cpu.map_or_else(|| "-".to_owned(), |cores| format!("{cores:.2}"))
        )?;
        if let Some(died) = &agent.died {
            writeln!(
                out,
                "  died at {:.1} s: {}; what is after that is unknown",
                died.at, died.why
            )?;
        }
    }
    if report.broadcasts.started > 0 && report.agents.len() > 1 {
        writeln!(out, "  {}", crate::report::OWN_CLOCK)?;
    }
    Ok(())
}

/// The sum, and in brackets what it is made of.
fn with_reasons(reasons: &Reasons) -> String {
    let total: u64 = reasons.values().sum();
    if reasons.is_empty() {
        return total.to_string();
    }
    let parts: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    format!("{total} ({})", parts.join(", "))
}

/// `known` says whether the gateway's process was there in some stage.
fn stage(cpu: &Cpu, known: bool, out: &mut String) -> std::fmt::Result {
    write!(out, "  {:<6}", cpu.stage)?;
    match (cpu.server_ms, cpu.server_us_per_operation) {
        (Some(ms), Some(us)) => {
            write!(out, " gateway {ms:.0} ms ({us:.2} us a {}),", cpu.operation)?;
        }
        (Some(ms), None) => write!(out, " gateway {ms:.0} ms,")?,
        (None, _) if known => write!(out, " gateway unknown (its process ended),")?,
        (None, _) => write!(out, " gateway unknown (give --server-pid),")?,
    }
    writeln!(
        out,
        " generator {:.0} ms, softirq {} ms, ksoftirqd {} ms",
        cpu.client_ms, cpu.softirq_ms, cpu.ksoftirqd_ms
    )
}

fn memory(report: &Report, out: &mut String) -> std::fmt::Result {
    let (memory, clients) = (&report.memory, report.clients);
    let held = report.phases.iter().take(2).any(|phase| phase.kind == "hold");
    let when = if held || report.phases.is_empty() { "settled" } else { "right after the ramp" };
    writeln!(out, "\nmemory for each connection, {when}")?;
    match (memory.server_anonymous_per_connection, memory.server_rss_per_connection) {
        _ if memory.server_served_before => {
            writeln!(
                out,
                "  gateway    unknown: it had served connections before; restart it before a \
                 measured run"
            )?;
        }
        (Some(anonymous), Some(rss)) => {
            writeln!(out, "  gateway    {anonymous:.0} B anonymous, {rss:.0} B resident")?;
        }
        _ => writeln!(out, "  gateway    unknown (give --server-pid)")?,
    }
    let own = memory.client_anonymous_per_connection;
    if !report.agents.is_empty() && own < OWN {
        writeln!(out, "  generator  unknown: its agents had clients before, or died")?;
    } else {
        writeln!(out, "  generator  {own:.0} B anonymous")?;
    }
    match legend::slab(report) {
        Ok(slab) => writeln!(out, "  kernel     {slab} slab, whole machine (both ends)")?,
        Err(why) => writeln!(out, "  kernel     {why}")?,
    }
    if clients < FEW {
        let few = counted(u64::from(clients), "client");
        writeln!(out, "  note       fixed costs are spread over only {few}; take {FEW} or more")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Agent, Covers, Died, Passed, sample};

    #[test]
    fn of_whom_the_figures_are_is_said_where_an_agent_died() {
        let mut report = sample::report();
        let agent =
            |name: &str, clients| Agent { name: name.to_owned(), clients, ..Agent::default() };
        report.agents = vec![agent("h1", 300), agent("h2", 200)];
        report.covers = Covers::of(&report.agents);
        assert!(report.covers.is_none() && !render(&report).contains("note:"));
        report.agents[1].died = Some(Died::default());
        report.covers = Covers::of(&report.agents);
        let text = render(&report);
        let words = "note: accounts and latencies are of the 300 of 500 clients";
        assert!(text.contains(words), "{text}");
    }

    #[test]
    fn refusals_for_users_who_are_still_to_come_are_said_to_be_that() {
        let mut report = sample::report();
        (report.verdict, report.slo) = (Vec::new(), Vec::new());
        report.pushes.refused = Reasons::from([("offline".to_owned(), 1)]);
        assert!(verdict(&report).ends_with("the gateway refused 1 push\n"), "{}", verdict(&report));
        let ramp = || Passed::new("ramp", "ramp", (0, 1));
        report.phases = vec![ramp(), ramp()];
        let says = "refused 1 push; users of a later ramp are offline until it\n";
        assert!(verdict(&report).ends_with(says), "{}", verdict(&report));
    }

    #[test]
    fn memory_that_says_little_is_said_to_say_little() {
        let mut report = sample::report();
        report.memory.server_anonymous_per_connection = Some(300.0);
        report.clients = 999;
        assert!(render(&report).contains("spread over only 999 clients"));
        report.clients = 1_000;
        assert!(!render(&report).contains("spread over"));
        report.memory.server_served_before = true;
        assert!(render(&report).contains("served connections before; restart it"));
    }

    #[test]
    fn each_phase_with_pushes_has_a_row_where_there_are_several() {
        let mut report = sample::report();
        let push = report.latencies["push"];
        let phase = |name: &str, push| Passed {
            name: name.to_owned(),
            kind: "push".to_owned(),
            from: 1.0,
            to: 2.0,
            step: None,
            push,
        };
        report.phases = vec![phase("calm", Some(push)), phase("rest", None)];
        assert!(!render(&report).contains("pushes due in"));
        report.phases.push(phase("rush", Some(Percentiles { count: 7, p99_us: 1_500, ..push })));
        let text = render(&report);
        let row = |name: &str| text.lines().find(|line| line.starts_with(name));
        let rush: Vec<&str> = row("rush").unwrap().split_whitespace().collect();
        assert_eq!((rush[1], &rush[4..]), ("7", &["1.50", "ms"][..]));
        assert!(row("calm").is_some() && row("rest").is_none());
    }
}

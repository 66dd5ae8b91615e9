//! A comparison as a table for people.

use super::Comparison;
use super::decide::{Finding, Verdict};
use std::fmt::Write;

/// What helps where the runs do not say.
const REMEDY: &str = "to tell more: longer runs, or three or more on each side \
                      (--base FILE... --new FILE...)";
/// What helps where a side has no run that says something of the gateway.
const TELLING: &str = "to tell anything: a run on each side that loses no agent and whose \
                       generator keeps up";

/// The whole table.
pub(super) fn table(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_all(comparison, &mut text);
    text
}

fn write_all(comparison: &Comparison, out: &mut String) -> std::fmt::Result {
    let Comparison { base, base_gateway, base_commit, .. } = comparison;
    side(out, ("base", base), base_gateway, base_commit)?;
    let Comparison { new, new_gateway, new_commit, .. } = comparison;
    side(out, ("new", new), new_gateway, new_commit)?;
    let left_out = comparison.lost_agents.iter().chain(&comparison.generator_bound);
    for note in left_out.chain(&comparison.doubts) {
        writeln!(out, "note  {note}")?;
    }
    writeln!(out, "\n{:<22} {:>12} {:>12} {:>9}  verdict", "metric", "base", "new", "change")?;
    for finding in &comparison.metrics {
        row(finding, out)?;
    }
    let (tolerance, sure) = (comparison.tolerance_percent, comparison.confidence_percent);
    writeln!(
        out,
        "\na difference is more than {tolerance} %; each verdict alone is {sure:.1} % sure or more"
    )?;
    writeln!(out, "{}", overall(comparison))?;
    if comparison.blind {
        writeln!(out, "{TELLING}")?;
    } else if comparison.metrics.iter().any(|one| one.verdict == Verdict::CannotTell) {
        writeln!(out, "{REMEDY}")?;
    }
    writeln!(out)
}

fn side(
    out: &mut String,
    (name, files): (&str, &[String]),
    gateway: &str,
    commit: &str,
) -> std::fmt::Result {
    let gateway = if gateway.is_empty() { "of unknown version" } else { gateway };
    writeln!(out, "{name:<5} {}", files.join(" "))?;
    writeln!(out, "      gateway {gateway}; generator of commit {commit}")
}

fn row(finding: &Finding, out: &mut String) -> std::fmt::Result {
    let change = finding.change_percent.map_or("-".to_owned(), |by| format!("{by:+.1} %"));
    let (base, new) = &finding.shown;
    let sure = finding.confidence_percent.map(|sure| format!("{sure:.1} % sure, "));
    writeln!(
        out,
        "{:<22} {base:>12} {new:>12} {change:>9}  {:<11}  {}{}",
        finding.metric,
        finding.verdict.word(),
        sure.unwrap_or_default(),
        finding.because
    )
}

/// The end of it, in one line.
fn overall(comparison: &Comparison) -> String {
    let named = |verdict| {
        let of = comparison.metrics.iter().filter(|finding| finding.verdict == verdict);
        of.map(|finding| finding.metric).collect::<Vec<_>>().join(", ")
    };
    match comparison.verdict {
        Verdict::Worse => format!("WORSE: {}", named(Verdict::Worse)),
        Verdict::CannotTell => comparison.nothing_told.map_or_else(
            || format!("nothing is worse; cannot tell: {}", named(Verdict::CannotTell)),
            |why| format!("CANNOT TELL: {why}"),
        ),
        Verdict::Better => format!("BETTER: {}; nothing is worse", named(Verdict::Better)),
        Verdict::Same => "SAME".to_owned(),
    }
}

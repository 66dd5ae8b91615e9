//! Reads an SLO as it was typed. What is wrong is said with a mark under the word and with what
//! could stand there instead.

use super::metric::{Kind, METRICS, Metric};
use super::{Clause, Comparison, Limit, Slo};
use std::ops::Range;
use std::str::FromStr;

/// The signs, longer ones before those that they begin with.
const SIGNS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
    ("=", Comparison::Equal),
];
const KIB: f64 = 1024.0;
const TIMES: [(&str, f64); 3] = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
const SIZES: [(&str, f64); 4] =
    [("B", 1.0), ("KiB", KIB), ("MiB", KIB * KIB), ("GiB", KIB * KIB * KIB)];
const SHARES: [(&str, f64); 1] = [("%", 1.0)];
const COUNTS: [(&str, f64); 3] = [("", 1.0), ("k", 1e3), ("M", 1e6)];
const RATES: [(&str, f64); 6] =
    [("", 1.0), ("k", 1e3), ("M", 1e6), ("/s", 1.0), ("k/s", 1e3), ("M/s", 1e6)];

/// What is wrong, and where.
struct Wrong {
    at: Range<usize>,
    says: String,
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut clauses = Vec::new();
        let mut at = 0;
        for part in text.split(',') {
            clauses.push(clause(text, at..at + part.len()).map_err(|wrong| wrong.show(text))?);
            at += part.len() + 1;
        }
        Ok(Self { clauses })
    }
}

impl Wrong {
    fn new(at: Range<usize>, says: impl Into<String>) -> Self {
        Self { at, says: says.into() }
    }

    /// The text, a mark under what is wrong, and what could be there.
    fn show(&self, text: &str) -> String {
        let before = text[..self.at.start].chars().count();
        let marked = text[self.at.clone()].chars().count().max(1);
        let mark = "^".repeat(marked);
        format!("{}\n  {text}\n  {:before$}{mark}", self.says, "")
    }
}

fn clause(text: &str, at: Range<usize>) -> Result<Clause, Wrong> {
    let at = trimmed(text, at);
    if at.is_empty() {
        return Err(Wrong::new(at, "a clause is missing, such as p99 < 20ms"));
    }
    let part = &text[at.clone()];
    let name_end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let name = at.start..name_end.map_or(at.end, |end| at.start + end);
    let metric = METRICS.iter().find(|metric| metric.name == &text[name.clone()]);
    let metric = *metric.ok_or_else(|| unknown(text, name.clone()))?;
    let rest = trimmed(text, name.end..at.end);
    let sign = SIGNS.iter().find(|(sign, _)| text[rest.clone()].starts_with(sign));
    let (sign, how) = sign.ok_or_else(|| {
        let word = first_word(text, rest.clone());
        Wrong::new(word, format!("after {} comes one of < <= = >= >", metric.name))
    })?;
    let value = trimmed(text, rest.start + sign.len()..at.end);
    let limit = limit(text, value.clone(), metric)?;
    let text = format!("{} {sign} {}", metric.name, &text[value]);
    Ok(Clause { text, metric, how: *how, limit })
}

fn unknown(text: &str, name: Range<usize>) -> Wrong {
    let known: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let (at, known) = (name.start..name.end.max(name.start), known.join(" "));
    let at = if at.is_empty() { first_word(text, at.start..text.len()) } else { at };
    Wrong::new(at, format!("this is no metric; there are {known}"))
}

/// A number with the unit that the metric wants.
fn limit(text: &str, at: Range<usize>, metric: Metric) -> Result<Limit, Wrong> {
    let part = &text[at.clone()];
    let digits = part.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let number_end = at.start + digits.unwrap_or(part.len());
    let number: Option<f64> = text[at.start..number_end].replace('_', "").parse().ok();
    let allowed = allowed(metric);
    let Some(number) = number else {
        let says = format!("{} is compared to a number with {allowed}", metric.name);
        return Err(Wrong::new(first_word(text, at), says));
    };
    let unit = trimmed(text, number_end..at.end);
    let word = &text[unit.clone()];
    if word == "%" && metric.has_share() {
        return Ok(Limit::OfOffered(number));
    }
    // Nothing is the same in every unit.
    let bare_zero = word.is_empty() && number == 0.0;
    let factor = units(metric.kind).iter().find(|(unit, _)| *unit == word).map(|(_, by)| *by);
    let factor = factor.or(bare_zero.then_some(1.0)).ok_or_else(|| {
        let unit = if word.is_empty() { at } else { unit };
        Wrong::new(unit, format!("{} is compared to a number with {allowed}", metric.name))
    })?;
    Ok(Limit::Plain(number * factor))
}

const fn units(kind: Kind) -> &'static [(&'static str, f64)] {
    match kind {
        Kind::Time => &TIMES,
        Kind::Size => &SIZES,
        Kind::Share => &SHARES,
        Kind::Count => &COUNTS,
        Kind::Rate => &RATES,
    }
}

/// The units that a metric's limit may have, in words.
fn allowed(metric: Metric) -> String {
    let mut names: Vec<&str> = units(metric.kind)
        .iter()
        .map(|(name, _)| if name.is_empty() { "no unit" } else { *name })
        .collect();
    if metric.has_share() {
        names.push("% (of what was offered)");
    }
    match names.as_slice() {
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
        [] => String::new(),
    }
}

fn trimmed(text: &str, at: Range<usize>) -> Range<usize> {
    let part = &text[at.clone()];
    let start = at.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

/// The first word in a range that begins with one; an empty range where there is nothing.
fn first_word(text: &str, at: Range<usize>) -> Range<usize> {
    let end = text[at.clone()].find(|c: char| c.is_whitespace() || c == ',');
    at.start..end.map_or(at.end, |end| at.start + end)
}

//! `store`: the files of an embedded store that no gateway has open.
//!
//! A check reads and changes nothing; a salvage writes into another directory. Both hold the
//! store's lock meanwhile, so that no gateway starts with it, and refuse where one has it.

use crate::cli::args::{StoreAction, StoreArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::Screen;
use crate::cli::value::{bytes, counted, grouped};
use crate::clock::Clock;
use holdfast_store::check::{
    self, Loss, Report, Salvage, SalvageError, SegmentReport, State, Trace,
};
use serde_json::{Value, json};
use std::io::{self, ErrorKind};
use std::path::Path;

pub(super) fn run(args: &StoreArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    match &args.action {
        StoreAction::Check { directory, json } => look(directory, *json, screen),
        StoreAction::Salvage { from, to, json } => salvage(from, to, *json, screen),
    }
}

/// Why a store cannot be looked at, with what to try.
fn unusable(directory: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(Exit::Unusable, format!("{}: {error}", directory.display()));
    match error.kind() {
        ErrorKind::ResourceBusy => failure.with_hint("again when no gateway runs on it"),
        ErrorKind::NotFound => {
            failure.with_hint("`store.directory` in the gateway's configuration names it")
        }
        ErrorKind::AlreadyExists => failure.with_hint("a directory that is not there yet"),
        ErrorKind::StorageFull => failure.with_hint("a directory on a disk with more room"),
        _ => failure,
    }
}

fn look(directory: &Path, as_json: bool, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let now = u32::try_from(Clock::new().now().unix_millis / 1000).unwrap_or(u32::MAX);
    let failed = |error| unusable(directory, &error);
    let report = check::check(directory, now).map_err(failed)?;
    if report.segments.is_empty() && report.flaw.is_none() {
        return Err(failed(io::Error::new(ErrorKind::NotFound, "there is no store in it")));
    }
    let exit = verdict(&report);
    if as_json {
        screen.say(&report_json(directory, &report, exit).to_string());
        return Ok(exit);
    }
    for segment in &report.segments {
        screen.say(&line(segment));
    }
    if let Some((file, what)) = &report.flaw
        && !report.segments.iter().any(|segment| says(segment, file, what))
    {
        screen.say(&format!("{file}  DAMAGED: {what}"));
    }
    let size = bytes(report.segments.iter().map(|segment| segment.bytes).sum());
    let segments = counted(report.segments.len() as u64, "segment");
    let reserve = match report.reserve {
        0 => "nothing kept back for a full disk".to_owned(),
        kept => format!("{} kept back for a full disk", bytes(kept)),
    };
    screen.say(&format!("{}: {segments}, {size}; {reserve}", word(exit)));
    if exit == Exit::Damaged {
        let directory = directory.display();
        screen.advise(&format!(
            "`holdfast store salvage {directory} NEW` saves what can be read into the directory NEW"
        ));
    }
    Ok(exit)
}

/// Whether a segment's own line says this of its file already.
fn says(segment: &SegmentReport, file: &str, what: &str) -> bool {
    segment.file == file && matches!(segment.state, State::Damaged(_, it) if it == what)
}

fn verdict(report: &Report) -> Exit {
    let is_torn = |segment: &SegmentReport| matches!(segment.state, State::Torn(_));
    if !report.is_sound() {
        Exit::Damaged
    } else if report.segments.iter().any(is_torn) {
        Exit::Torn
    } else {
        Exit::Done
    }
}

const fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Damaged => "damaged, no gateway starts with it",
        Exit::Torn => "torn at its end, which the next start cuts off",
        _ => "sound",
    }
}

fn line(segment: &SegmentReport) -> String {
    let state = match segment.state {
        State::Whole => "whole".to_owned(),
        State::Torn(offset) => format!("torn at offset {}", grouped(offset.into())),
        State::Damaged(offset, what) => {
            format!("DAMAGED at offset {}: {what}", grouped(offset.into()))
        }
    };
    let records = segment.records.iter().map(|(kind, n)| format!("{kind} {}", grouped(*n)));
    let records: Vec<_> = records.collect();
    let live = grouped(segment.live);
    let (file, size) = (&segment.file, bytes(segment.bytes));
    format!("{file}  {size}  {state}; {live} still needed; records: {}", records.join(", "))
}

fn report_json(directory: &Path, report: &Report, exit: Exit) -> Value {
    let state = match exit {
        Exit::Damaged => "damaged",
        Exit::Torn => "torn",
        _ => "sound",
    };
    let segments: Vec<_> = report.segments.iter().map(segment_json).collect();
    let flaw = report.flaw.as_ref().map(|(file, what)| json!({ "file": file, "what": what }));
    json!({
        "directory": directory.display().to_string(),
        "state": state,
        "flaw": flaw,
        "segments": segments,
        "reserve_bytes": report.reserve,
    })
}

fn segment_json(segment: &SegmentReport) -> Value {
    let (state, offset, what) = match segment.state {
        State::Whole => ("whole", None, None),
        State::Torn(offset) => ("torn", Some(offset), None),
        State::Damaged(offset, what) => ("damaged", Some(offset), Some(what)),
    };
    json!({
        "file": segment.file,
        "bytes": segment.bytes,
        "records": segment.records,
        "needed": segment.live,
        "state": state,
        "offset": offset,
        "what": what,
    })
}

fn salvage(
    from: &Path,
    to: &Path,
    as_json: bool,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let done = check::salvage(from, to).map_err(|error| match error {
        SalvageError::From(error) => unusable(from, &error),
        SalvageError::To(error) => unusable(to, &error),
    })?;
    if as_json {
        screen.say(&salvage_json(&done).to_string());
        return Ok(Exit::Done);
    }
    for loss in &done.losses {
        screen.say(&lost(loss));
    }
    for number in &done.missing {
        screen.say(&format!("segment {number}  lost: it is not there, and whose cannot be told"));
    }
    let saved = counted(done.saved, "record");
    screen.say(&format!("{saved} of {} saved in {}", from.display(), to.display()));
    screen.note("set `store.directory` to it; the damaged one is as it was");
    Ok(Exit::Done)
}

/// Bytes that are lost, and what is known of whose they were.
fn lost(loss: &Loss) -> String {
    let Loss { file, from, to, reads, before, behind } = loss;
    let (size, from, to) = (bytes((to - from).into()), grouped((*from).into()), *to);
    let mut parts = vec![format!("{file}  lost: {size}, offset {from} to {}", grouped(to.into()))];
    if reads.is_empty() {
        parts.push("whose cannot be told".to_owned());
    } else {
        let reads: Vec<_> = reads.iter().map(trace).collect();
        parts.push(format!("reads as {}, which no sum vouches for", reads.join(", ")));
    }
    for (side, beside) in [("before", before), ("behind", behind)] {
        parts.extend(beside.iter().map(|beside| format!("{side} it: {}", trace(beside))));
    }
    parts.join("; ")
}

/// What a record is about. Names that nothing vouches for may hold anything.
fn trace(trace: &Trace) -> String {
    let number = trace.number.map_or(String::new(), |number| format!(" {number}"));
    let product = trace.product.as_deref().map(str::escape_debug);
    let product = product.map_or(String::new(), |product| format!(" of {product}"));
    let user = trace.user.as_deref().map(str::escape_debug);
    let user = user.map_or(String::new(), |user| format!("/{user}"));
    format!("{}{number}{product}{user}", trace.kind)
}

fn trace_json(trace: &Trace) -> Value {
    let Trace { kind, product, user, number } = trace;
    json!({ "kind": kind, "product": product, "user": user, "number": number })
}

fn salvage_json(done: &Salvage) -> Value {
    let losses = done.losses.iter().map(|loss| {
        let Loss { file, from, to, reads, before, behind } = loss;
        let reads: Vec<_> = reads.iter().map(trace_json).collect();
        let (before, behind) = (before.as_ref().map(trace_json), behind.as_ref().map(trace_json));
        json!({
            "file": file, "from": from, "to": to,
            "reads": reads, "before": before, "behind": behind,
        })
    });
    let losses: Vec<_> = losses.collect();
    json!({ "saved": done.saved, "losses": losses, "missing": done.missing })
}

//! A store whose files were changed behind its back: it is not served from, the place is named,
//! and all that the damage did not touch is saved.

use crate::body;
use crate::crowd::Mood;
use crate::gateway::{House, flip};
use crate::ledger::Id;
use crate::plan::{End, USERS};
use crate::run::Run;
use holdfast::io::sim::Chance;
use holdfast_store::check::{self, Salvage, State};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Segments that are filled before one of them is damaged.
const FILLED: usize = 4;
/// Messages offered in a second while they are.
const RATE: u32 = 3000;

/// The body of each message that lies in this file whole: where it begins.
fn bodies(run: &Run, file: &Path) -> HashMap<Id, usize> {
    let bytes = fs::read(file).unwrap();
    let mut found = HashMap::new();
    for at in 0..bytes.len().saturating_sub(body::SHORTEST) {
        // The head alone says which one it may be.
        let id = Id::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let Some((_, kind)) = run.ledger.message(id) else { continue };
        let end = at + kind.size.max(body::SHORTEST);
        if bytes.get(at..end).and_then(body::read) == Some(id) {
            found.insert(id, at);
        }
    }
    found
}

/// Fills a store for users who are all away, and kills its gateway.
fn filled(directory: &Path, seed: u64) -> Run {
    let mut run = Run::new(House::new(directory, "epoll"), seed).with_roomy_mailboxes(USERS);
    run.crowd.mood = Mood::Away;
    let gateway = run.start();
    run.office.rate = RATE;
    run.until("some segments are full", |run| run.house.segments().len() >= FILLED);
    run.office.rate = 0;
    run.until("all pushes are answered", |run| run.office.is_idle());
    run.end(gateway, End::Kill);
    run.assert_sound();
    run
}

/// Messages whose body lies in what was lost.
fn lost(salvage: &Salvage, file: &str, bodies: &HashMap<Id, usize>) -> Vec<Id> {
    let hit = |at: usize| {
        let at = u32::try_from(at).unwrap();
        salvage.losses.iter().any(|loss| loss.file == file && (loss.from..loss.to).contains(&at))
    };
    bodies.iter().filter(|(_, at)| hit(**at)).map(|(&id, _)| id).collect()
}

/// Flips a bit in a body in an old segment.
pub(crate) fn a_flipped_bit_is_refused_and_the_rest_is_saved(directory: &Path, seed: u64) {
    let mut run = filled(directory, seed);
    let files = run.house.segments();
    let mut chance = Chance::new(seed, "damage");
    // Not the newest, whose end may be torn.
    let file = &files[chance.index(files.len() - 1)];
    let bodies = bodies(&run, file);
    let mut ids: Vec<_> = bodies.keys().copied().collect();
    ids.sort_unstable();
    let victim = *chance.pick(&ids);
    let (_, kind) = run.ledger.message(victim).unwrap();
    let at = bodies[&victim] + chance.index(kind.size.max(body::SHORTEST));
    flip(file, at);
    let file = file.file_name().unwrap().to_str().unwrap();

    let status = run.house.start().end();
    let log = run.house.log();
    assert!(!status.success(), "it serves from a damaged store\n{log}");
    let report = check::check(&run.house.store, 0).unwrap();
    let damaged = report.segments.iter().find_map(|segment| match segment.state {
        State::Damaged(offset, _) => Some((segment.file.clone(), offset)),
        _ => None,
    });
    let (named, offset) = damaged.expect("the check finds the damage");
    assert_eq!(named, file);
    assert!(offset as usize <= at && at - offset as usize <= kind.size + 512, "{offset}, {at}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains(file) && last.contains(&format!("offset {offset}")), "{log}");

    let saved = directory.join("saved");
    fs::create_dir(&saved).unwrap();
    let salvage = check::salvage(&run.house.store, &saved).unwrap();
    assert!(salvage.missing.is_empty(), "{salvage:?}");
    let gone = lost(&salvage, file, &bodies);
    assert_eq!(gone, [victim], "one bit costs one message: {salvage:?}");
    run.ledger.excused.extend(gone);
    run.house.store = saved;
    run.house.set(&format!("store.directory={}", run.house.store.display()));
    let gateway = run.start();
    run.settle();
    run.end(gateway, End::Terminate);
    let sums = run.judged();
    assert!(sums.excused <= 1 && sums.acked > 1000, "{sums:?}");
}

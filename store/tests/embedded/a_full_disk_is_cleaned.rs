//! A full disk: what is new is refused, what was kept is handed out, what makes room goes on, with
//! the room that was kept back; and a store opens where there is no room at all.

use crate::support::{Life, NOW, SEGMENT, WINDOW, keyed, mailboxes, message, segments, trim};
use holdfast_store::check::{State, check_disk};
use holdfast_store::disk::Disk;
use holdfast_store::disk::memory::Memory;
use holdfast_store::{Command, Event, Freed, Place, Trouble, Wanted};

const RESERVE: usize = SEGMENT as usize / 4;

fn taken(disk: &Memory) -> u64 {
    let names = disk.list().unwrap();
    names.iter().filter_map(|name| disk.length(name)).map(|length| length as u64).sum()
}

fn states(events: &[Event]) -> Vec<Option<Trouble>> {
    let state = |event: &Event| match event {
        Event::State(state) => Some(*state),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}

fn is_well(events: &[Event]) -> bool {
    states(events).last() == Some(&None)
}

fn written(events: &[Event]) -> Option<&Vec<Place>> {
    events.iter().find_map(|event| match event {
        Event::Written(places) => Some(places),
        _ => None,
    })
}

fn clean(events: &[Event]) -> Option<u32> {
    events.iter().find_map(|event| match event {
        Event::Clean(upto) => Some(*upto),
        _ => None,
    })
}

fn append(sequence: u64) -> Command {
    Command::Append(keyed("u0", sequence, &sequence.to_le_bytes(), &[7; 200]))
}

/// Appends, each with a key, until the disk is full; where what was written lies.
fn fill(life: &mut Life, from: u64) -> Vec<Place> {
    let mut places = Vec::new();
    for sequence in from.. {
        let heard = life.batch(0, vec![append(sequence)]);
        let Some(found) = written(&heard) else {
            assert_eq!(states(&heard), [Some(Trouble::Full)]);
            break;
        };
        places.extend(found);
    }
    places
}

fn freed(places: &[Place]) -> Vec<Freed> {
    places.iter().map(|it| Freed { segment: it.segment, records: 1, bytes: 200 }).collect()
}

/// A store on a disk of so many segments that is full.
fn full(size: u64) -> (Memory, Life, Vec<Place>) {
    let disk = Memory::new();
    disk.set_reuses(true);
    disk.set_size(Some(size * u64::from(SEGMENT)));
    let (mut life, _) = Life::open(&disk, 1);
    assert_eq!(check_disk(&disk, NOW).unwrap().reserve, RESERVE as u64);
    let places = fill(&mut life, 1);
    assert!(disk.length("reserve") == Some(0) && check_disk(&disk, NOW).unwrap().reserve == 0);
    (disk, life, places)
}

#[test]
fn a_trim_is_written_where_a_message_is_not() {
    let (disk, mut life, places) = full(4);
    assert!(places.len() > 30, "{}", places.len());
    let heard = life.batch(0, vec![trim("u0", 3)]);
    assert!(written(&heard).is_some(), "{heard:?}");
    let heard = life.batch(0, vec![append(1000)]);
    assert!(matches!(heard[..], [Event::Failed(Trouble::Full)]), "{heard:?}");
    let wanted = Wanted { sequence: 4, place: places[3], length: 200 };
    assert_eq!(life.body(0, "u0", wanted), Some(vec![7; 200]));
    drop(life);
    disk.crash(&mut |_| 0);
    let (_, recovered) = Life::open(&disk, 2);
    let left: Vec<_> = mailboxes(&recovered).into_iter().map(|(_, number, ..)| number).collect();
    let accepted: Vec<_> = (4..=places.len() as u64).collect();
    assert_eq!(left, accepted);
}

/// What is acknowledged has keys that count on; and nobody waits until they do not.
#[test]
fn a_full_store_is_cleaned_before_its_keys_end() {
    let (disk, mut life, places) = full(6);
    let all = places.len() as u64;
    // So many trims need more than was kept back: they wait, since cleaning needs it.
    let trims = (1..=100).map(|_| life.batch(0, vec![trim("u0", 1)]));
    let put_off = trims.filter(|heard| written(heard).is_none()).count();
    assert!((1..100).contains(&put_off), "{put_off}");
    let mut heard = life.batch_freeing(0, vec![trim("u0", all)], freed(&places));
    let (_, recovered) = Life::open(&disk.copy(), 2);
    let keys = recovered[0].keys.clone();
    assert_eq!(keys.len(), places.len());
    let mut rounds = 0;
    while !is_well(&heard) {
        assert!(life.now < NOW + 60, "it stays full");
        heard = if let Some(upto) = clean(&heard) {
            rounds += 1;
            let old = |number: u64| places[usize::try_from(number).unwrap() - 1].segment <= upto;
            let marks = keys.iter().filter(|mark| old(mark.sequence)).copied().collect();
            life.written(1, vec![Command::Cleaned(upto)]);
            life.batch(0, vec![Command::Keys(marks), Command::Cleaned(upto)])
        } else {
            life.pass(1);
            life.hear(0)
        };
    }
    assert!(rounds > 0 && life.now < NOW + WINDOW);
    assert_eq!(disk.length("reserve"), Some(RESERVE));
    life.written(0, vec![append(1000)]);
}

/// What was to be said again before a segment goes may have been refused with a message.
#[test]
fn no_segment_goes_before_its_keys_are_said_again() {
    let (disk, mut life, places) = full(6);
    // They wait, and so would the keys behind them.
    (0..100).for_each(|_| drop(life.batch(0, vec![trim("u0", 1)])));
    let all = places.len() as u64;
    let mut heard = life.batch_freeing(0, vec![trim("u0", all)], freed(&places));
    let (_, recovered) = Life::open(&disk.copy(), 2);
    let keys = recovered[0].keys.clone();
    let (before, mut said) = (segments(&disk).len(), 0);
    while segments(&disk).len() >= before {
        assert!(life.now < NOW + 60, "it stays full");
        let Some(upto) = clean(&heard) else {
            life.pass(1);
            heard = life.hear(0);
            continue;
        };
        let segment = |number: u64| places[usize::try_from(number).unwrap() - 1].segment;
        let old = |number: u64| segment(number) > said && segment(number) <= upto;
        let marks = keys.iter().filter(|mark| old(mark.sequence)).copied().collect();
        life.written(1, vec![Command::Cleaned(upto)]);
        let mut batch = vec![Command::Keys(marks), Command::Cleaned(upto)];
        if said == 0 {
            batch.push(append(1000));
        }
        said = upto;
        heard = life.batch(0, batch);
    }
    drop(life);
    disk.crash(&mut |_| 0);
    let (_, recovered) = Life::open(&disk, 3);
    assert_eq!(recovered[0].keys.len(), keys.len());
}

/// There is one segment, too large for its disk, and one message of it waits.
#[test]
fn the_only_segment_is_cleaned_too() {
    let disk = Memory::new();
    disk.set_reuses(true);
    disk.set_size(Some(u64::from(SEGMENT) + RESERVE as u64 - 300));
    let (mut life, _) = Life::open(&disk, 1);
    let mut places = life.written(0, vec![Command::Append(message("u2", 1, &[7; 200]))]);
    places.extend((2..).map_while(|sequence| {
        let heard = life.batch(0, vec![Command::Append(message("u0", sequence, &[7; 200]))]);
        written(&heard).map(|found| found[0])
    }));
    assert_eq!(segments(&disk).len(), 1);
    life.hear(0);
    let mut heard = life.batch_freeing(0, vec![trim("u0", 500)], freed(&places[1..]));
    let mut moved = places[0];
    while !is_well(&heard) {
        assert!(life.now < NOW + 60, "it stays full");
        heard = if let Some(upto) = clean(&heard) {
            moved = life.written(0, vec![Command::Move(moved)])[0];
            life.written(1, vec![Command::Cleaned(upto)]);
            life.batch(0, vec![Command::Cleaned(upto)])
        } else {
            life.pass(1);
            life.hear(0)
        };
    }
    assert_ne!(moved, places[0]);
    life.written(0, vec![append(1000)]);
}

#[test]
fn a_store_opens_without_any_room() {
    for spare in [0, 30, 600] {
        let (disk, life, places) = full(4);
        drop(life);
        disk.set_size(Some(taken(&disk) + spare));
        let (mut life, recovered) = Life::open(&disk, 2);
        assert_eq!(states(&life.hear(0)), [Some(Trouble::Full)]);
        assert_eq!(states(&life.hear(1)), [Some(Trouble::Full)]);
        let kept = mailboxes(&recovered);
        assert_eq!(kept.len(), places.len());
        let (_, sequence, place, length) = kept[0].clone();
        let wanted = Wanted { sequence, place, length };
        assert_eq!(life.body(0, "u0", wanted), Some(vec![7; 200]));
        let heard = life.batch(0, vec![append(1000)]);
        assert!(matches!(heard[..], [Event::Failed(Trouble::Full)]), "{heard:?}");
        // What is acknowledged gives back segments of the earlier life.
        let before = segments(&disk).len();
        life.batch_freeing(0, vec![trim("u0", 1000)], freed(&places));
        life.pass(WINDOW + 1);
        life.pass(1);
        assert!(segments(&disk).len() < before, "nothing is given back");
        assert!(is_well(&life.hear(0)));
        life.written(0, vec![append(1001)]);
        drop(life);
        let (_, recovered) = Life::open(&disk, 3);
        let left: Vec<_> = mailboxes(&recovered).into_iter().map(|it| it.1).collect();
        assert_eq!(left, [1001]);
        assert!(recovered[0].sequence >= 2 << 30, "each life reserves sequences of its own");
    }
}

#[test]
fn a_full_store_does_not_go_to_and_fro() {
    let (disk, mut life, places) = full(4);
    // Room for the reserve and a little more is not enough.
    let taken = taken(&disk);
    disk.set_size(Some(taken + 2 * RESERVE as u64));
    life.pass(1);
    assert_eq!(states(&life.hear(0)), []);
    // When it is well it takes as much as the reserve holds, at least.
    disk.set_size(Some(taken + 2 * RESERVE as u64 + 600));
    life.pass(1);
    assert_eq!(states(&life.hear(0)), [None]);
    let more = fill(&mut life, places.len() as u64 + 1);
    assert!(more.len() * 200 > RESERVE / 2, "{}", more.len());
}

#[test]
fn the_next_segment_is_there_before_it_is_needed() {
    let disk = Memory::new();
    disk.set_reuses(true);
    let (mut life, _) = Life::open(&disk, 1);
    let files = |disk: &Memory| {
        let names = disk.list().unwrap();
        names.iter().filter(|name| name.ends_with(".segment")).count()
    };
    let mut sequence = 0;
    let mut next = |life: &mut Life| {
        sequence += 1;
        life.written(0, vec![append(sequence)])[0]
    };
    while files(&disk) == 1 {
        assert!(disk.length(&segments(&disk)[0]) <= Some(SEGMENT as usize / 2 + 20));
        next(&mut life);
    }
    assert_eq!((files(&disk), segments(&disk).len()), (2, 1));
    // Nothing is in it, and that is no flaw.
    let report = check_disk(&disk, NOW).unwrap();
    let prepared = report.segments.last().unwrap();
    assert!(report.is_sound() && prepared.state == State::Whole && prepared.bytes == 0);
    let (again, recovered) = Life::open(&disk.copy(), 2);
    assert_eq!(mailboxes(&recovered).len(), usize::try_from(sequence_of(&recovered)).unwrap());
    drop(again);
    // Going over to it costs a write and a sync, as every group does.
    while disk.length(&segments(&disk)[0]) < Some(SEGMENT as usize + 20) {
        next(&mut life);
    }
    disk.fail(|faults| faults.calls_left = Some(2));
    assert_eq!(next(&mut life).segment, 2);
}

fn sequence_of(recovered: &[holdfast_store::Recovered]) -> u64 {
    mailboxes(recovered).last().map_or(0, |it| it.1)
}

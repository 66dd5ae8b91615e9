//! Disk is taken for what is needed: after everything is acknowledged two segments are left, one
//! old message does not hold everything behind it, and what the store itself has to carry survives
//! its segment.

use crate::support::{Life, NOW, SEGMENT, Two, WINDOW, keyed, mailboxes, message, segments, trim};
use holdfast_store::check::{State, check_disk, salvage_disk};
use holdfast_store::disk::Disk;
use holdfast_store::disk::memory::Memory;
use holdfast_store::embedded::Stats;
use holdfast_store::{Broadcast, BroadcastState, Command, Event, Freed, KeyMark, Place, Wanted};
use std::sync::Arc;

/// Appends one message for `u0`, trims it and frees it; says what the shard heard.
fn come_and_go(life: &mut Life, sequence: u64) -> Vec<Event> {
    let mut heard = life.batch(0, vec![Command::Append(message("u0", sequence, &[1; 300]))]);
    let Some(Event::Written(places)) =
        heard.iter().find(|event| matches!(event, Event::Written(_)))
    else {
        panic!("{heard:?}")
    };
    let freed = vec![Freed { segment: places[0].segment, records: 1, bytes: 300 }];
    heard.extend(life.batch_freeing(0, vec![trim("u0", sequence)], freed));
    heard
}

fn asked(events: &[Event]) -> Option<u32> {
    events.iter().find_map(|event| match event {
        Event::Clean(upto) => Some(*upto),
        _ => None,
    })
}

fn bytes(stats: &Arc<Stats>) -> u64 {
    stats.read().disk_bytes
}

#[test]
fn two_segments_are_left_when_all_is_acknowledged() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let stats = life.store.stats();
    for sequence in 1..=300 {
        assert_eq!(asked(&come_and_go(&mut life, sequence)), None, "nothing has to be moved");
        assert!(bytes(&stats) <= 2 * u64::from(SEGMENT) + 1000);
    }
    assert!(segments(&disk).len() <= 2);
    // And at rest, one that holds next to nothing.
    life.pass(1);
    life.pass(1);
    assert!(bytes(&stats) < u64::from(SEGMENT) / 2);
    drop(life);
    let (_, recovered) = Life::open(&disk, 2);
    assert!(mailboxes(&recovered).is_empty());
    assert!(recovered[0].sequence >= 1 << 30, "what the first life reserved");
}

#[test]
fn files_are_written_over_while_writing_goes_on() {
    let disk = Memory::new();
    disk.set_reuses(true);
    let (mut life, _) = Life::open(&disk, 1);
    let stats = life.store.stats();
    let mut spares = 0;
    for sequence in 1..=600 {
        come_and_go(&mut life, sequence);
        spares += u32::from(disk.length("spare").is_some());
        assert!(bytes(&stats) <= 3 * u64::from(SEGMENT) + 1000, "{}", bytes(&stats));
    }
    assert!(spares > 0);
    // What is written where another segment was is read as what it is.
    life.written(0, vec![Command::Append(message("u0", 601, b"kept"))]);
    life.pass(1);
    life.pass(1);
    assert_eq!(disk.length("spare"), None, "an idle store keeps no file");
    drop(life);
    disk.crash(&mut |_| 0);
    let (mut life, recovered) = Life::open(&disk, 2);
    let [(user, sequence, place, length)] = &mailboxes(&recovered)[..] else { panic!() };
    let wanted = Wanted { sequence: *sequence, place: *place, length: *length };
    assert_eq!(life.body(0, user, wanted).as_deref(), Some(&b"kept"[..]));
}

/// What an older segment left in a file is neither torn nor lost, whenever the process is killed.
#[test]
fn a_killed_store_that_wrote_over_files_is_whole() {
    let disk = Memory::new();
    disk.set_reuses(true);
    let (mut life, _) = Life::open(&disk, 1);
    let (mut over, mut prepared) = (0, 0);
    for sequence in 1..=200 {
        come_and_go(&mut life, sequence);
        let killed = disk.copy();
        let report = check_disk(&killed, NOW).unwrap();
        assert!(report.segments.iter().all(|it| it.state == State::Whole), "{report:?}");
        let done = salvage_disk(&killed, &Memory::new()).unwrap();
        assert_eq!((done.losses, done.missing), (vec![], vec![]), "after {sequence}");
        let last = report.segments.last().unwrap();
        let is_prepared = last.records.is_empty();
        prepared += u32::from(is_prepared && last.bytes > 0);
        over += u32::from(!is_prepared && last.bytes > 2 * u64::from(SEGMENT) / 3);
    }
    assert!(over > 10 && prepared > 10, "{over} and {prepared}");
}

/// Damage, and what was torn behind the older file's end, are told there too.
#[test]
fn a_segment_over_an_older_file_hides_no_damage() {
    let disk = Memory::new();
    disk.set_reuses(true);
    let (mut life, _) = Life::open(&disk, 1);
    let mut sequence = 0;
    let (name, room, place) = loop {
        sequence += 1;
        let append = Command::Append(message("u0", sequence, &[1; 300]));
        let place = life.written(0, vec![append])[0];
        let number = format!("{:010}-", place.segment);
        let name = segments(&disk).into_iter().find(|name| name.starts_with(&number)).unwrap();
        let room = disk.length(&name).unwrap();
        if place.offset < 800 && room > 2000 {
            break (name, room, place);
        }
        let freed = vec![Freed { segment: place.segment, records: 1, bytes: 300 }];
        life.batch_freeing(0, vec![trim("u0", sequence)], freed);
    };
    let state = |disk: &Memory| {
        let report = check_disk(disk, NOW).unwrap();
        report.segments.iter().find(|it| it.file == name).unwrap().state
    };
    let damaged = disk.copy();
    damaged.flip(&name, u64::from(place.offset + 50) * 8);
    assert!(matches!(state(&damaged), State::Damaged(at, _) if at == place.offset));
    assert_eq!(salvage_disk(&damaged, &Memory::new()).unwrap().losses.len(), 1);
    let torn = disk.copy();
    torn.open(&name).unwrap().write_at(room as u64, &[7; 100]).unwrap();
    assert!(matches!(state(&torn), State::Torn(_)));
    assert_eq!(state(&disk), State::Whole);
}

#[test]
fn a_file_of_a_killed_life_is_given_back() {
    let disk = Memory::new();
    disk.set_reuses(true);
    let (mut life, _) = Life::open(&disk, 1);
    let mut sequence = 0;
    while disk.length("spare").is_none() {
        sequence += 1;
        come_and_go(&mut life, sequence);
    }
    drop(life);
    drop(Life::open(&disk, 2));
    assert_eq!(disk.length("spare"), None);
}

#[test]
fn an_orderly_end_leaves_nothing_behind_the_log() {
    let disk = Memory::new();
    disk.set_reuses(true);
    let (mut life, _) = Life::open(&disk, 1);
    for sequence in 1..=400 {
        come_and_go(&mut life, sequence);
    }
    life.store.stop(NOW);
    let report = check_disk(&disk, NOW).unwrap();
    assert!(report.segments.iter().all(|segment| segment.state == State::Whole), "{report:?}");
    assert_eq!(disk.length("spare"), None);
}

#[test]
fn one_old_message_is_moved_out_of_the_way() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let stats = life.store.stats();
    let old = message("u2", 1, &[9; 50]);
    let mut place = life.written(0, vec![Command::Append(old)])[0];
    let mut moved = 0;
    for sequence in 2..=300 {
        let Some(upto) = asked(&come_and_go(&mut life, sequence)) else { continue };
        if place.segment <= upto {
            place = life.written(0, vec![Command::Move(place)])[0];
            moved += 1;
        }
        let before = segments(&disk).len();
        life.written(0, vec![Command::Cleaned(upto)]);
        assert_eq!(segments(&disk).len(), before, "the other shard has not answered");
        life.written(1, vec![Command::Cleaned(upto)]);
        assert!(bytes(&stats) <= 3 * u64::from(SEGMENT));
    }
    assert!(moved > 3, "{moved}");
    let wanted = Wanted { sequence: 1, place, length: 50 };
    assert_eq!(life.body(0, "u2", wanted), Some(vec![9; 50]));
    drop(life);
    let (_, recovered) = Life::open(&disk, 2);
    assert_eq!(mailboxes(&recovered), [("u2".to_owned(), 1, place, 50)]);
}

/// Each life begins a segment, and none goes before the first.
#[test]
fn one_old_message_does_not_hold_a_segment_of_every_life() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let mut place = life.written(0, vec![Command::Append(message("u2", 1, &[9; 50]))])[0];
    let mut most = 0;
    for seed in 2..=60 {
        drop(life);
        (life, _) = Life::open(&disk, seed);
        life.pass(1);
        life.hear(1);
        if let Some(upto) = asked(&life.hear(0)) {
            if place.segment <= upto {
                place = life.written(0, vec![Command::Move(place)])[0];
            }
            life.written(0, vec![Command::Cleaned(upto)]);
            life.written(1, vec![Command::Cleaned(upto)]);
        }
        most = most.max(segments(&disk).len());
    }
    assert_eq!(most, 17, "16 may stay, and one is written");
    let wanted = Wanted { sequence: 1, place, length: 50 };
    assert_eq!(life.body(0, "u2", wanted), Some(vec![9; 50]));
}

#[test]
fn a_move_that_failed_is_asked_for_again() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let place = life.written(0, vec![Command::Append(message("u2", 1, &[9; 50]))])[0];
    let mut sequence = 1;
    let upto = loop {
        sequence += 1;
        if let Some(upto) = asked(&come_and_go(&mut life, sequence)) {
            break upto;
        }
    };
    life.written(1, vec![Command::Cleaned(upto)]);
    disk.fail(|faults| faults.failing_syncs = 1);
    let heard = life.batch(0, vec![Command::Move(place), Command::Cleaned(upto)]);
    assert!(heard.iter().any(|event| matches!(event, Event::Failed(_))));
    life.pass(2);
    assert_eq!(asked(&life.hear(0)), Some(upto));
    let wanted = Wanted { sequence: 1, place, length: 50 };
    assert_eq!(life.body(0, "u2", wanted), Some(vec![9; 50]));
}

fn broadcast(number: u64) -> Arc<Broadcast> {
    Arc::new(Broadcast {
        product: 0,
        number,
        job: 70 + number,
        tag: "t".into(),
        at: NOW,
        expires: NOW + 1000,
        state: BroadcastState::Running,
        key: Box::from(*b"k"),
        body: Arc::from(*b"to all"),
    })
}

/// Fills segments and answers each question, moving nothing.
fn churn(life: &mut Life, from: u64) {
    for sequence in from..from + 100 {
        if let Some(upto) = asked(&come_and_go(life, sequence)) {
            life.written(0, vec![Command::Cleaned(upto)]);
            life.written(1, vec![Command::Cleaned(upto)]);
        }
    }
}

#[test]
fn broadcasts_survive_their_segment_as_they_stand() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    life.written(0, vec![Command::Broadcast(broadcast(1)), Command::Broadcast(broadcast(2))]);
    let state = BroadcastState::Paused;
    life.written(0, vec![Command::Steer { product: 0, number: 1, state }]);
    let first = segments(&disk)[0].clone();
    churn(&mut life, 1);
    assert!(!segments(&disk).contains(&first));
    for life_number in 2..4 {
        drop(life);
        let recovered;
        (life, recovered) = Life::open(&disk, life_number);
        for shard in recovered {
            let paused = Broadcast { state, ..(*broadcast(1)).clone() };
            assert_eq!(shard.broadcasts, [paused, (*broadcast(2)).clone()]);
        }
        churn(&mut life, 1000 * life_number);
    }
    // When their time is over they hold nothing.
    life.pass(2000);
    churn(&mut life, 9000);
    assert!(segments(&disk).len() <= 2);
}

/// Writes large broadcasts; says how many segments they take.
fn many_broadcasts(disk: &Memory, life: &mut Life) -> usize {
    for number in 1..=30 {
        let large = Broadcast { body: vec![5; 1000].into(), ..(*broadcast(number)).clone() };
        life.written(0, vec![Command::Broadcast(Arc::new(large))]);
    }
    segments(disk).len()
}

#[test]
fn broadcasts_that_are_over_hold_nothing() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    assert!(many_broadcasts(&disk, &mut life) > 5);
    life.pass(2000);
    life.pass(1);
    let left = segments(&disk).len();
    assert!(left <= 2, "{left}");
    assert!(bytes(&life.store.stats()) <= 2 * u64::from(SEGMENT));
}

#[test]
fn broadcasts_that_were_cancelled_hold_no_body() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    assert!(many_broadcasts(&disk, &mut life) > 5);
    let state = BroadcastState::Cancelled;
    let cancel = |number| Command::Steer { product: 0, number, state };
    life.written(0, (1..=30).map(cancel).collect());
    churn(&mut life, 1);
    drop(life);
    let (mut life, recovered) = Life::open(&disk, 2);
    churn(&mut life, 1000);
    let left = bytes(&life.store.stats());
    assert!(left <= 6 * u64::from(SEGMENT), "{left}");
    // Their keys still count.
    assert_eq!(recovered[0].broadcasts.len(), 30);
    assert!(recovered[0].broadcasts.iter().all(|it| it.state == state && *it.key == *b"k"));
    life.pass(2000);
    churn(&mut life, 2000);
    assert!(segments(&disk).len() <= 2);
}

#[test]
fn a_product_that_is_not_configured_is_carried() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    life.written(0, vec![Command::Append(message("u0", 1, &[9; 50]))]);
    drop(life);
    let (mut life, recovered) = Life::at(&disk, &Two::new(&["b"]), 2, NOW).unwrap();
    assert!(mailboxes(&recovered).is_empty());
    let first = segments(&disk)[0].clone();
    churn(&mut life, 1);
    assert!(!segments(&disk).contains(&first));
    drop(life);
    let (mut life, recovered) = Life::open(&disk, 3);
    let found = mailboxes(&recovered);
    let (user, sequence, place, length) = found[0].clone();
    assert_eq!((found.len(), &*user, sequence), (1, "u0", 1));
    assert_eq!(life.body(0, "u0", Wanted { sequence, place, length }), Some(vec![9; 50]));
}

#[test]
fn a_used_key_holds_its_segment_until_it_is_said_again() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let append = keyed("u0", 1, b"key", &[1; 50]);
    let place = life.written(0, vec![Command::Append(append)])[0];
    let freed = vec![Freed { segment: place.segment, records: 1, bytes: 50 }];
    life.batch_freeing(0, vec![trim("u0", 1)], freed);
    let mut sequence = 1;
    let upto = loop {
        sequence += 1;
        if let Some(upto) = asked(&come_and_go(&mut life, sequence)) {
            break upto;
        }
    };
    assert!(upto >= place.segment);
    let (_, recovered) = Life::open(&disk.copy(), 2);
    let keys = recovered[0].keys.clone();
    assert_eq!(keys.len(), 1);
    life.written(0, vec![Command::Keys(keys.clone()), Command::Cleaned(upto)]);
    life.written(1, vec![Command::Cleaned(upto)]);
    drop(life);
    let (mut life, recovered) = Life::open(&disk, 3);
    assert_eq!(recovered[0].keys, keys);
    let KeyMark { sequence, at, .. } = keys[0];
    assert_eq!((sequence, at), (1, NOW));
    // After its window nothing has to be said.
    life.pass(WINDOW + 1);
    life.pass(1);
    let Place { segment, .. } = place;
    assert!(segments(&disk).iter().all(|name| !name.starts_with(&format!("{segment:010}"))));
}

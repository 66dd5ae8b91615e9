//! A disk that fails or is full: nothing unsafe is called written, shards hear of it once, what had
//! been kept is read as ever, and the store gets well by itself.

use crate::support::{Life, NOW, SEGMENT, mailboxes, message, segments, trim};
use holdfast_store::disk::memory::{Faults, Memory};
use holdfast_store::{Command, Event, Place, Trouble, Wanted};

fn append(sequence: u64) -> Vec<Command> {
    vec![Command::Append(message("u0", sequence, &[7; 400]))]
}

fn wanted(place: Place) -> Wanted {
    Wanted { sequence: 1, place, length: 400 }
}

/// A batch fails for this reason, all shards hear it once; later the disk is well again.
fn fails_and_gets_well(change: impl Fn(&mut Faults), trouble: Trouble) {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let place = life.written(0, append(1))[0];
    disk.fail(&change);
    let heard = life.batch(0, append(2));
    let failed = |event: &Event| matches!(event, Event::Failed(how) if *how == trouble);
    let told = |event: &Event| matches!(event, Event::State(Some(how)) if *how == trouble);
    assert_eq!(heard.iter().filter(|event| failed(event)).count(), 1, "{heard:?}");
    assert_eq!(heard.iter().filter(|event| told(event)).count(), 1, "{heard:?}");
    assert_eq!(life.hear(1).iter().filter(|event| told(event)).count(), 1);
    for second in 0..3 {
        disk.fail(&change);
        let heard = life.batch(0, append(3 + second));
        assert!(matches!(&heard[..], [Event::Failed(how)] if *how == trouble), "{heard:?}");
        life.now += 1;
    }
    assert_eq!(life.body(0, "u0", wanted(place)), Some(vec![7; 400]));
    disk.fail(|faults| *faults = Faults::default());
    life.pass(1);
    assert!(matches!(life.hear(0)[..], [Event::State(None)]));
    life.written(0, append(9));
    drop(life);
    let (_, recovered) = Life::open(&disk, 2);
    let kept: Vec<_> = mailboxes(&recovered).into_iter().map(|(_, number, ..)| number).collect();
    assert_eq!(kept, [1, 9]);
}

#[test]
fn a_full_disk() {
    fails_and_gets_well(|faults| faults.room = Some(600), Trouble::Full);
}

#[test]
fn a_file_that_may_not_grow() {
    fails_and_gets_well(|faults| faults.file_size = Some(600), Trouble::Full);
}

#[test]
fn a_failing_sync() {
    fails_and_gets_well(|faults| faults.failing_syncs = 2, Trouble::Down);
}

#[test]
fn a_failing_sync_whose_bytes_cannot_be_cut_off() {
    let change = |faults: &mut Faults| (faults.failing_syncs, faults.failing_cuts) = (2, 9);
    fails_and_gets_well(change, Trouble::Down);
}

/// Also where it is the first group of a segment that fails.
#[test]
fn what_a_failing_sync_refused_is_in_no_later_life() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let is_full = || {
        let begun = segments(&disk).into_iter().filter_map(|name| disk.length(&name));
        begun.filter(|length| *length > 0).all(|length| length >= SEGMENT as usize)
    };
    let mut accepted = 0;
    while !is_full() {
        accepted += 1;
        life.written(0, append(accepted));
    }
    disk.fail(|faults| faults.failing_syncs = 1);
    let heard = life.batch(0, append(accepted + 1));
    assert!(heard.iter().any(|event| matches!(event, Event::Failed(Trouble::Down))));
    let (_, recovered) = Life::open(&disk.copy(), 2);
    assert_eq!(mailboxes(&recovered).len() as u64, accepted);
}

#[test]
fn a_failing_write() {
    fails_and_gets_well(|faults| faults.failing_writes = 9, Trouble::Down);
}

#[test]
fn short_writes_are_no_failure() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    disk.fail(|faults| faults.short = Some(7));
    let place = life.written(0, append(1))[0];
    assert_eq!(life.body(0, "u0", wanted(place)), Some(vec![7; 400]));
}

#[test]
fn a_little_room_is_not_taken_for_enough() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    disk.fail(|faults| faults.room = Some(600));
    life.batch(0, vec![Command::Append(message("u0", 1, &[7; 3000]))]);
    disk.fail(|faults| faults.room = Some(2000));
    life.pass(1);
    assert!(!life.hear(0).iter().any(|event| matches!(event, Event::State(None))));
}

#[test]
fn what_is_not_answered_is_written_later() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    life.written(0, append(1));
    disk.fail(|faults| faults.failing_syncs = 1);
    let heard = life.batch(0, vec![trim("u0", 1), Command::Reserve(1 << 40)]);
    assert!(heard.iter().any(|event| matches!(event, Event::Failed(Trouble::Down))));
    life.pass(1);
    drop(life);
    disk.crash(&mut |_| 0);
    let (life, recovered) = Life::open(&disk, 2);
    assert!(mailboxes(&recovered).is_empty(), "the trim was forgotten");
    assert!(recovered.iter().all(|shard| shard.sequence >= 1 << 40));
    assert_eq!(life.now, NOW);
}

#[test]
fn a_read_that_fails_is_not_a_message_lost() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let place = life.written(0, append(1))[0];
    disk.fail(|faults| faults.failing_reads = 1);
    assert!(matches!(life.load("u0", vec![wanted(place)]), Event::Unanswered { token: 7 }));
    assert_eq!(life.body(0, "u0", wanted(place)), Some(vec![7; 400]));
    // Its segment is gone: it was moved, or is not needed; the shard knows.
    let gone = Place { segment: 77, offset: 0 };
    assert!(matches!(life.load("u0", vec![wanted(gone)]), Event::Unanswered { token: 7 }));
}

//! A bit turns over in every byte of a small store, or a piece of it is gone: either it is refused
//! with its place, or nothing is lost by it. What is salvaged is all but what lay there.

use crate::support::{Life, NOW, SEGMENT, Two, mailboxes, message, segments, to_u32, trim};
use holdfast_store::check::{SalvageError, State, check_disk, salvage_disk};
use holdfast_store::disk::Disk;
use holdfast_store::disk::memory::Memory;
use holdfast_store::embedded::OpenError;
use holdfast_store::{Command, Event, Span, Wanted};
use std::io::ErrorKind::StorageFull;

type Held = Vec<(String, u64, Vec<u8>)>;

fn body(sequence: u64) -> Vec<u8> {
    vec![u8::try_from(sequence % 250).unwrap() + 1; 90]
}

/// A store that was left without a farewell, over several segments.
fn some_store() -> Memory {
    let disk = Memory::new();
    drop(a_life(&disk));
    disk
}

/// A store that was stopped in order, with the newest of its segments.
fn stopped_store(reuses: bool) -> (Memory, String) {
    let disk = Memory::new();
    disk.set_reuses(reuses);
    a_life(&disk).store.stop(NOW);
    let newest = segments(&disk).pop().unwrap();
    (disk, newest)
}

fn a_life(disk: &Memory) -> Life {
    let (mut life, _) = Life::open(disk, 1);
    for sequence in 1..=60 {
        let user = format!("u{}", sequence % 4 * 2);
        let append = Command::Append(message(&user, sequence, &body(sequence)));
        life.written(0, vec![append]);
    }
    life.written(0, vec![trim("u2", 9)]);
    life
}

/// What a store hands out, if it opens.
fn contents(disk: &Memory) -> Result<Held, OpenError> {
    let homes = Two::new(&["a", "b"]);
    let (mut life, recovered) = Life::at(disk, &homes, 2, NOW)?;
    let mut held = Vec::new();
    for (user, sequence, place, length) in mailboxes(&recovered) {
        let body = life.body(0, &user, Wanted { sequence, place, length });
        held.push((user, sequence, body.expect("a body")));
    }
    Ok(held)
}

#[test]
fn a_bit_anywhere_is_found_or_costs_nothing() {
    let disk = some_store();
    let whole = contents(&disk.copy()).unwrap();
    assert_eq!(whole.len(), 60 - 3);
    assert!(whole.iter().all(|(_, sequence, found)| *found == body(*sequence)));
    let names = segments(&disk);
    assert!(names.len() > 2);
    let mut refused = 0;
    for name in &names {
        for byte in 0..disk.length(name).unwrap() as u64 {
            let damaged = disk.copy();
            assert!(damaged.flip(name, byte * 8 + byte % 8));
            match contents(&damaged) {
                Ok(found) => assert!(found == whole, "{name}, byte {byte}"),
                Err(OpenError::Corrupt { file, offset, .. }) => {
                    assert_eq!(&file, name);
                    assert!(u64::from(offset) <= byte, "{name}, byte {byte}: {offset}");
                    refused += 1;
                }
                Err(other) => panic!("{name}, byte {byte}: {other}"),
            }
        }
    }
    // All but the last mark of each segment, which nobody needs.
    let bytes: usize = names.iter().map(|name| disk.length(name).unwrap()).sum();
    assert!(refused + 13 * names.len() >= bytes, "{refused} of {bytes}");
}

#[test]
fn a_segment_that_was_cut_or_is_gone_is_refused() {
    let disk = some_store();
    let names = segments(&disk);
    let (first, second) = (&names[0], &names[1]);
    let cut = disk.copy();
    cut.cut(first, 500);
    assert!(matches!(contents(&cut), Err(OpenError::Corrupt { file, .. }) if file == *first));
    let gone = disk.copy();
    gone.remove(second).unwrap();
    let refused = contents(&gone).expect_err("a segment is missing").to_string();
    assert!(refused.contains(&names[2]) && refused.contains("holdfast store salvage"), "{refused}");
    let report = check_disk(&gone, NOW).unwrap();
    assert!(!report.is_sound());
}

#[test]
fn a_newest_segment_that_lost_its_end_is_refused_after_an_orderly_stop() {
    for reuses in [false, true] {
        let (disk, newest) = stopped_store(reuses);
        let whole = contents(&disk.copy()).unwrap();
        assert_eq!(whole.len(), 60 - 3);
        for length in 0..disk.length(&newest).unwrap() {
            let cut = disk.copy();
            cut.cut(&newest, length);
            let Err(OpenError::Corrupt { file, offset, .. }) = contents(&cut) else {
                panic!("cut to {length} bytes it opens")
            };
            assert!(file == newest && offset as usize <= length, "{length}: {file}, {offset}");
            assert!(!check_disk(&cut, NOW).unwrap().is_sound(), "{length}");
        }
        // A start that was refused changes nothing, nor does one that is not.
        contents(&disk).unwrap();
        assert_eq!(contents(&disk).unwrap(), whole);
    }
}

#[test]
fn salvage_says_what_a_newest_segment_has_lost() {
    let disk = Memory::new();
    let mut life = a_life(&disk);
    life.written(0, vec![Command::Append(message("u0", 61, &body(61)))]);
    life.store.stop(NOW);
    let newest = segments(&disk).pop().unwrap();
    let length = disk.length(&newest).unwrap();
    // A mark comes behind the message, and less than this of the message is its body.
    disk.cut(&newest, length - 80);
    let cut = salvage_disk(&disk, &Memory::new()).unwrap();
    let [half, rest] = &cut.losses[..] else { panic!("{:?}", cut.losses) };
    assert_eq!((rest.file.as_str(), rest.to as usize), (newest.as_str(), length));
    let reads = &half.reads[0];
    assert_eq!((reads.user.as_deref(), reads.number), (Some("u0"), Some(61)));
}

#[test]
fn a_newest_segment_that_is_gone_is_refused_after_an_orderly_stop() {
    let (disk, newest) = stopped_store(false);
    let number: u32 = newest[..10].parse().unwrap();
    let names = segments(&disk);
    let (gone, empty) = (disk.copy(), disk);
    gone.remove(&newest).unwrap();
    for name in &names {
        empty.remove(name).unwrap();
    }
    for disk in [&gone, &empty] {
        let refused = contents(disk).expect_err("the newest is missing").to_string();
        let says = ["newest segment is missing", &newest, "holdfast store salvage"];
        assert!(says.iter().all(|part| refused.contains(part)), "{refused}");
        assert!(!check_disk(disk, NOW).unwrap().is_sound());
    }
    let saved = Memory::new();
    assert_eq!(salvage_disk(&gone, &saved).unwrap().missing, [number]);
    assert!(contents(&saved).unwrap().len() > 10, "what the others hold is saved");
    assert_eq!(salvage_disk(&empty, &Memory::new()).unwrap().missing, [number]);
}

#[test]
fn a_newest_segment_may_end_anywhere_behind_its_beginning_after_a_kill() {
    let (disk, _) = stopped_store(false);
    // Another life, which is killed: it said that its segment counts, with its header.
    let (mut life, _) = Life::open(&disk, 3);
    let newest = segments(&disk).pop().unwrap();
    let beginning = {
        let mut bytes = [0; 28];
        disk.open("end").unwrap().read_at(0, &mut bytes).unwrap();
        u32::from_le_bytes(bytes[20..24].try_into().unwrap()) as usize
    };
    let last = message("u0", 100, &body(100));
    life.written(0, vec![Command::Append(last)]);
    drop(life);
    assert_eq!(segments(&disk).pop().unwrap(), newest);
    let whole = disk.length(&newest).unwrap();
    assert!(0 < beginning && beginning < whole);
    for length in 0..whole {
        let cut = disk.copy();
        cut.cut(&newest, length);
        match contents(&cut) {
            Ok(_) => assert!(length >= beginning, "cut to {length} bytes it opens"),
            Err(OpenError::Corrupt { file, .. }) if file == newest => {
                assert!(length < beginning, "cut to {length} bytes it is refused");
            }
            Err(error) => panic!("cut to {length} bytes: {error}"),
        }
    }
}

#[test]
fn a_newest_segment_that_is_lost_whole_is_noticed_after_a_kill() {
    let disk = some_store();
    // Two more lives, so that the newest segment alone says what they may have given out.
    drop(Life::open(&disk, 1));
    drop(Life::open(&disk, 2));
    let given = Life::open(&disk.copy(), 3).1.iter().map(|shard| shard.sequence).max().unwrap();
    let newest = segments(&disk).pop().unwrap();
    let damages: [fn(&Memory, &str); 3] = [
        |disk, newest| disk.remove(newest).unwrap(),
        |disk, newest| disk.cut(newest, 0),
        |disk, newest| {
            let length = disk.length(newest).unwrap();
            disk.cut(newest, 0);
            disk.open(newest).unwrap().write_at(0, &vec![0; length]).unwrap();
        },
    ];
    for damage in damages {
        let less = disk.copy();
        damage(&less, &newest);
        let refused = contents(&less).expect_err("a segment is lost").to_string();
        assert!(refused.contains(&newest) && refused.contains("store salvage"), "{refused}");
        assert!(!check_disk(&less, NOW).unwrap().is_sound());
        let new = Memory::new();
        let saved = salvage_disk(&less, &new).unwrap();
        assert!(!saved.missing.is_empty() || !saved.losses.is_empty(), "salvage says so");
        let again = Life::at(&new, &Two::new(&["a", "b"]), 1, NOW).unwrap().1;
        assert!(again.iter().all(|shard| shard.sequence >= given), "no sequence is given twice");
    }
}

#[test]
fn salvage_saves_all_but_what_lay_there() {
    let disk = some_store();
    let whole = contents(&disk.copy()).unwrap();
    let name = segments(&disk)[1].clone();
    disk.flip(&name, 8 * 1100);
    let report = check_disk(&disk, NOW).unwrap();
    let states: Vec<_> = report.segments.iter().map(|segment| segment.state).collect();
    assert!(matches!(states[..2], [State::Whole, State::Damaged(..)]), "{states:?}");
    let saved = Memory::new();
    let salvage = salvage_disk(&disk, &saved).unwrap();
    assert_eq!(salvage.losses.len(), 1);
    let loss = &salvage.losses[0];
    assert!(loss.file == name && loss.from <= 1100 && loss.to > 1100 && loss.to < SEGMENT);
    // Its body is damaged, and its head can be read.
    let [reads] = &loss.reads[..] else { panic!("{loss:?}") };
    assert_eq!((reads.kind, reads.product.as_deref()), ("message", Some("a")));
    let left = contents(&saved).unwrap();
    let absent: Vec<_> = whole.iter().filter(|held| !left.contains(held)).collect();
    let [(user, sequence, _)] = absent[..] else { panic!("one message lay there: {absent:?}") };
    assert_eq!((reads.user.as_ref(), reads.number), (Some(user), Some(*sequence)));
    let beside = [&loss.before, &loss.behind].map(|it| it.as_ref().and_then(|it| it.number));
    assert_eq!(beside, [Some(sequence - 1), Some(sequence + 1)]);
    assert!(left.iter().all(|held| whole.contains(held)));
    assert!(check_disk(&saved, NOW).unwrap().is_sound());
    assert!(salvage_disk(&disk, &saved).is_err(), "a store is not written over");
}

#[test]
fn salvage_without_room_leaves_nothing_in_the_way() {
    let disk = some_store();
    let bytes: usize = segments(&disk).iter().map(|name| disk.length(name).unwrap()).sum();
    let saved = Memory::new();
    for room in (0..bytes - 100).step_by(bytes / 7) {
        saved.set_size(Some(room as u64));
        let refused = salvage_disk(&disk, &saved).expect_err("there is no room");
        assert!(matches!(refused, SalvageError::To(error) if error.kind() == StorageFull));
        assert_eq!(saved.list().unwrap(), Vec::<String>::new());
    }
    saved.set_size(None);
    salvage_disk(&disk, &saved).unwrap();
    assert_eq!(contents(&saved).unwrap(), contents(&disk).unwrap());
}

#[test]
fn a_sound_store_is_called_sound() {
    let disk = some_store();
    let report = check_disk(&disk, NOW).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.segments.iter().map(|segment| segment.live).sum::<u64>(), 57);
    let messages = report.segments.iter().filter_map(|segment| segment.records.get("message"));
    assert_eq!(messages.sum::<u64>(), 60);
}

#[test]
fn damage_under_a_running_store_costs_that_body_alone() {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    let appends = (1..=2).map(|sequence| message("u0", sequence, &body(sequence)));
    let places = life.written(0, appends.map(Command::Append).collect());
    let wanted = |index: usize| {
        let sequence = index as u64 + 1;
        Wanted { sequence, place: places[index], length: to_u32(90) }
    };
    disk.flip(&segments(&disk)[0], u64::from(places[1].offset) * 8 - 20);
    let Event::Loaded { messages, .. } = life.load("u0", vec![wanted(0), wanted(1)]) else {
        panic!("no answer")
    };
    assert_eq!(messages[0].body, Span::default());
    assert_eq!(messages[1].body.of(&messages[1].bytes), body(2));
    // Nor is another message ever taken for the one that was asked for.
    assert_eq!(life.body(0, "u0", Wanted { sequence: 1, ..wanted(1) }), None);
    assert_eq!(life.body(0, "u2", wanted(1)), None);
    assert_eq!(life.body(1, "u0", wanted(1)), None);
}

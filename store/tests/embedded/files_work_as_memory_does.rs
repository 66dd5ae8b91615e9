//! The same over real files and threads: what was written is there after a stop and after none, a
//! second process is refused, and the tools read what the store wrote.

use crate::support::{NOW, Two, WINDOW, bells, keyed, message, to_u32};
use holdfast_store::check::{check, salvage};
use holdfast_store::embedded::{OpenError, Options, Started, memory, start};
use holdfast_store::{Append, Ask, Batch, Command, Event, Homes, Place, Port, Wanted};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

fn homes() -> Arc<dyn Homes> {
    Arc::new(Two::new(&["a", "b"]))
}

fn options(directory: &Path) -> Options {
    Options { directory: directory.to_owned(), segment_bytes: 1 << 20, idempotency_window: WINDOW }
}

fn open(directory: &Path) -> Result<Started, OpenError> {
    start(&options(directory), &homes(), bells(2))
}

/// Waits for the next event, without a clock: the other thread must run.
fn heard(port: &Port) -> Event {
    loop {
        if let Some(event) = port.hear() {
            return event;
        }
        std::thread::yield_now();
    }
}

fn long(append: Append) -> Command {
    Command::Append(Append { expires: u32::MAX, ..append })
}

fn write(port: &Port, commands: Vec<Command>) -> Vec<Place> {
    assert!(port.send(Batch { shard: 0, commands, freed: Vec::new() }));
    match heard(port) {
        Event::Written(places) => places,
        other => panic!("{other:?}"),
    }
}

fn body(port: &Port, sequence: u64, place: Place, length: usize) -> Vec<u8> {
    let wanted = vec![Wanted { sequence, place, length: to_u32(length) }];
    port.ask(Ask { shard: 0, token: 1, product: 0, user: "u0".into(), wanted });
    match heard(port) {
        Event::Loaded { messages, .. } => messages[0].body.of(&messages[0].bytes).to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let Started { ports, handle, .. } = open(directory.path()).unwrap();
    let places = write(&ports[0], vec![long(keyed("u0", 1, b"k", b"hello"))]);
    assert_eq!(body(&ports[0], 1, places[0], 5), b"hello");
    assert_eq!(handle.figures().appended, 1);
    let other = open(directory.path()).err().expect("it is in use").to_string();
    assert!(other.contains("another process"), "{other}");
    let looked = check(directory.path(), NOW).expect_err("it is being written");
    assert_eq!(looked.kind(), std::io::ErrorKind::ResourceBusy);
    handle.stop();
    let batch = Batch { shard: 0, commands: Vec::new(), freed: Vec::new() };
    assert!(!ports[0].send(batch), "the store has ended");

    let Started { ports, recovered, handle } = open(directory.path()).unwrap();
    let kept = &recovered[0].mailboxes[0].messages[0];
    assert_eq!((kept.sequence, kept.place), (1, places[0]));
    assert_eq!(body(&ports[0], 1, kept.place, 5), b"hello");
    handle.stop();
    assert!(check(directory.path(), NOW).unwrap().is_sound());
}

#[test]
fn nobody_but_the_owner_may_read_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let Started { ports, handle, .. } = open(&store).unwrap();
    write(&ports[0], vec![long(message("u0", 1, b"hello"))]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store), 0o700);
    let files: Vec<_> = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "a lock, a reserve and a segment: {files:?}");
    assert!(files.iter().all(|path| mode(path) == 0o600), "{files:?}");
    handle.stop();
}

#[test]
fn damaged_files_are_refused_and_salvaged() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let Started { ports, handle, .. } = open(&old).unwrap();
    let write_one = |sequence| write(&ports[0], vec![long(message("u0", sequence, &[3; 100]))])[0];
    let places: Vec<_> = (1..=3).map(write_one).collect();
    handle.stop();
    let is_segment = |path: &std::path::PathBuf| path.extension().is_some();
    let paths = fs::read_dir(&old).unwrap().map(|entry| entry.unwrap().path());
    let file = paths.into_iter().find(is_segment).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[places[1].offset as usize + 60] ^= 1;
    fs::write(&file, bytes).unwrap();

    let refused = open(&old).err().expect("it is damaged").to_string();
    let offset = format!("offset {}", places[1].offset);
    assert!(refused.contains(&offset) && refused.contains("holdfast store salvage"), "{refused}");
    assert!(!check(&old, NOW).unwrap().is_sound());
    assert_eq!(salvage(&old, &new).unwrap().losses.len(), 1);
    let Started { recovered, handle, .. } = open(&new).unwrap();
    let messages = recovered[0].mailboxes[0].messages.iter();
    assert_eq!(messages.map(|kept| kept.sequence).collect::<Vec<_>>(), [1, 3]);
    handle.stop();
}

#[test]
fn many_messages_of_many_users_come_back() {
    const MESSAGES: u64 = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let Started { ports, handle, .. } = open(directory.path()).unwrap();
    let all: Vec<u64> = (1..=MESSAGES).collect();
    for some in all.chunks(10_000) {
        let one = |number: &u64| long(message(&format!("u{}", number % 20_000), *number, &[8; 40]));
        write(&ports[0], some.iter().map(one).collect());
    }
    handle.stop();
    let Started { recovered, handle, .. } = open(directory.path()).unwrap();
    let boxes = || recovered.iter().flat_map(|shard| &shard.mailboxes);
    assert_eq!(boxes().count(), 20_000);
    assert!(boxes().all(|mailbox| mailbox.messages.len() == 5));
    assert!(boxes().all(|mailbox| mailbox.messages.is_sorted_by_key(|kept| kept.sequence)));
    handle.stop();
}

#[test]
fn a_store_in_memory_is_the_same_for_one_life() {
    let Started { ports, handle, .. } = memory(1 << 20, WINDOW, &homes(), bells(2)).unwrap();
    let places = write(&ports[0], vec![long(message("u0", 1, b"hello"))]);
    assert_eq!(body(&ports[0], 1, places[0], 5), b"hello");
    handle.stop();
}

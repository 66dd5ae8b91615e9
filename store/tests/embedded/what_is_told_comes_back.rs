//! What shards tell a store comes back in the next life: to the shard that is home to it, without
//! what was trimmed or has expired.

use crate::support::{Life, NOW, Two, WINDOW, keyed, message, trim};
use holdfast_store::disk::memory::Memory;
use holdfast_store::port::key_hash;
use holdfast_store::{Append, Broadcast, BroadcastState, Command, Homes, KeyMark, Recovered, Seen};
use std::sync::Arc;

fn two() -> Two {
    Two::new(&["a", "b"])
}

fn told(commands: Vec<Command>, later: u32) -> Vec<Recovered> {
    let disk = Memory::new();
    let (mut life, _) = Life::open(&disk, 1);
    life.written(0, commands);
    drop(life);
    Life::at(&disk, &two(), 2, NOW + later).unwrap().1
}

fn append(message: Append) -> Command {
    Command::Append(message)
}

#[test]
fn mailboxes_go_to_their_homes_in_order() {
    let receipt = Some("shop".into());
    let recovered = told(
        vec![
            append(message("u3", 5, b"five")),
            append(Append { receipt: receipt.clone(), ..message("u2", 7, b"seven") }),
            append(message("u2", 6, b"six")),
            append(message("u2", 4, b"four")),
            append(Append { product: 1, ..message("u2", 8, b"other") }),
            trim("u2", 4),
        ],
        0,
    );
    let [even, odd] = &recovered[..] else { panic!("two shards") };
    assert_eq!(odd.mailboxes.len(), 1);
    assert_eq!((&*odd.mailboxes[0].user, odd.mailboxes[0].messages[0].sequence), ("u3", 5));
    let mut boxes = even.mailboxes.clone();
    boxes.sort_by_key(|mailbox| mailbox.product);
    let sequences = |index: usize| {
        let messages = boxes[index].messages.iter();
        messages.map(|kept| (kept.sequence, kept.length)).collect::<Vec<_>>()
    };
    assert_eq!((boxes.len(), sequences(0), sequences(1)), (2, vec![(6, 3), (7, 5)], vec![(8, 5)]));
    assert_eq!(boxes[0].messages[1].receipt, receipt);
    assert_eq!(boxes[0].messages[0].receipt, None);
    assert_eq!(boxes[0].messages[0].expires, NOW + 1_000_000);
}

#[test]
fn what_has_expired_does_not() {
    let short = Append { expires: NOW + 10, ..message("u0", 1, b"short") };
    let commands = || vec![append(short.clone()), append(message("u0", 2, b"long"))];
    assert_eq!(told(commands(), 10)[0].mailboxes[0].messages.len(), 2);
    assert_eq!(told(commands(), 11)[0].mailboxes[0].messages.len(), 1);
}

/// The backend that waits for a receipt is told, once: not again by every life that finds it.
#[test]
fn what_has_expired_comes_back_where_that_is_to_be_told() {
    let wanted =
        |sequence| Append { receipt: Some("b".into()), ..message("u0", sequence, b"short") };
    let short = |sequence| append(Append { expires: NOW + 10, ..wanted(sequence) });
    let later = |at| append(Append { at, ..message("u2", 9, b"later") });
    let found = told(vec![short(1), append(message("u0", 2, b"long"))], 11);
    let messages: Vec<_> = found[0].mailboxes[0].messages.iter().map(|it| it.sequence).collect();
    assert_eq!(messages, [1, 2]);
    let users = |commands| -> Vec<_> {
        let found = told(commands, 40);
        found[0].mailboxes.iter().map(|mailbox| mailbox.user.to_string()).collect()
    };
    assert_eq!(users(vec![short(1), later(NOW + 20)]).len(), 2, "perhaps nobody was told");
    assert_eq!(users(vec![short(1), later(NOW + 21)]), ["u2"], "somebody was told");
}

#[test]
fn keys_come_back_within_their_window() {
    let user = two().hash(0, "u3");
    let mark = KeyMark { user: 8, key: 9, sequence: 3, at: NOW };
    let commands =
        || vec![append(keyed("u3", 5, b"once", b"five")), trim("u3", 5), Command::Keys(vec![mark])];
    let recovered = told(commands(), WINDOW);
    let of_message = KeyMark { user, key: key_hash(b"once"), sequence: 5, at: NOW };
    assert_eq!(recovered[1].keys, [of_message]);
    assert_eq!(recovered[0].keys, [mark]);
    assert!(told(commands(), WINDOW + 1).iter().all(|shard| shard.keys.is_empty()));
}

#[test]
fn broadcasts_come_back_with_who_has_had_them() {
    let broadcast = Broadcast {
        product: 1,
        number: 4,
        job: 99,
        tag: "blue".into(),
        at: NOW,
        expires: NOW + 100,
        state: BroadcastState::Running,
        key: Box::from(*b"k"),
        body: Arc::from(*b"to all"),
    };
    let seen = |users: &[u64]| {
        Command::Seen(Seen { product: 1, number: 4, until: NOW + 100, users: users.to_vec() })
    };
    let state = BroadcastState::Cancelled;
    let commands = || {
        vec![
            Command::Broadcast(Arc::new(broadcast.clone())),
            seen(&[2, 3]),
            Command::Steer { product: 1, number: 4, state },
            seen(&[5, 2]),
        ]
    };
    let recovered = told(commands(), 100);
    for (shard, users) in recovered.iter().zip([vec![2], vec![3, 5]]) {
        assert_eq!(shard.broadcasts, [Broadcast { state, ..broadcast.clone() }]);
        assert_eq!(shard.seen, [Seen { product: 1, number: 4, until: NOW + 100, users }]);
    }
    assert!(told(commands(), 101).iter().all(|shard| shard.broadcasts.is_empty()));
}

#[test]
fn sequences_of_earlier_lives_are_not_given_again() {
    let disk = Memory::new();
    let (_, first) = Life::open(&disk, 1);
    assert_eq!(first[0].sequence, 0);
    let (mut life, second) = Life::open(&disk, 2);
    assert_eq!(second[0].sequence, 1 << 30);
    life.written(0, vec![Command::Reserve(1 << 33)]);
    drop(life);
    let (_, third) = Life::open(&disk, 3);
    assert_eq!(third[1].sequence, 1 << 33);
}

//! Any frame of any direction, as the JSON of the vector files, for property tests.

use crate::value::{hex, number};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const SEQUENCE_MAX: u64 = (1 << 49) - 1;

/// Text of `min` to `max` bytes of UTF-8, of characters of one to four bytes.
fn text(min: usize, max: usize) -> impl Strategy<Value = String> {
    vec(prop_oneof![4 => prop::char::range('a', 'z'), 1 => any::<char>()], min..=max).prop_map(
        move |characters| {
            let mut text: String = characters.into_iter().collect();
            text.truncate(text.floor_char_boundary(max));
            text
        },
    )
}

/// Bytes as hex, often around the lengths where one byte of length becomes two.
fn bytes(min: usize, max: usize) -> impl Strategy<Value = String> {
    let near = [min, min + 1, 127, 128, max].map(|length| length.clamp(min, max));
    let length = prop_oneof![min..=max.min(min + 32), prop::sample::select(near.to_vec())];
    (length, any::<u8>()).prop_flat_map(|(length, byte)| {
        prop_oneof![Just(vec![byte; length]), vec(any::<u8>(), length)].prop_map(|all| hex(&all))
    })
}

/// An integer of any length in bytes, at most `max`.
fn integer(max: u64) -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(move |(value, shift)| (value >> shift).min(max))
}

fn any_number() -> impl Strategy<Value = Value> {
    integer(u64::MAX).prop_map(number)
}

fn class() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["online", "durable"])
}

fn session() -> impl Strategy<Value = String> {
    any::<[u8; 16]>().prop_map(|id| hex(&id))
}

fn hello() -> impl Strategy<Value = Value> {
    let resume = (session(), integer(SEQUENCE_MAX), integer(SEQUENCE_MAX)).prop_map(
        |(session, sequence, broadcast)| {
            json!({"session": session, "sequence": sequence, "broadcast": broadcast})
        },
    );
    let who = (text(1, 32), text(1, 64), text(0, 64), bytes(0, 2048));
    (integer(3600), who, prop::option::of(resume), vec(text(1, 32), 0..=16)).prop_map(
        |(heartbeat, (product, user, device, token), resume, tags)| {
            json!({
                "kind": "hello", "version": 1, "heartbeat": heartbeat, "product": product,
                "user": user, "device": device, "token": token, "resume": resume, "tags": tags,
            })
        },
    )
}

/// A frame from a client.
pub(crate) fn from_client() -> impl Strategy<Value = Value> {
    prop_oneof![
        hello(),
        Just(json!({"kind": "ping"})),
        integer(SEQUENCE_MAX).prop_map(|sequence| json!({"kind": "ack", "sequence": sequence})),
        Just(json!({"kind": "bye"})),
    ]
}

fn close() -> impl Strategy<Value = Value> {
    (any::<u16>(), text(0, 255))
        .prop_map(|(code, reason)| json!({"kind": "close", "code": code, "reason": reason}))
}

fn notice() -> impl Strategy<Value = Value> {
    prop_oneof![
        (any::<u16>(), text(0, 255)).prop_map(|(code, reason)| {
            json!({"kind": "notice", "notice": "kick", "code": code, "reason": reason})
        }),
        (any::<u32>(), vec(text(1, 255), 1..=8)).prop_map(|(delay, addresses)| {
            json!({
                "kind": "notice", "notice": "redirect", "delay": delay, "addresses": addresses,
            })
        }),
        any::<u32>().prop_map(|delay| json!({"kind": "notice", "notice": "drain", "delay": delay})),
    ]
}

/// A frame to a client.
pub(crate) fn from_server() -> impl Strategy<Value = Value> {
    let numbers = (1..=3600_u16, any_number(), 1..=SEQUENCE_MAX, 0..=1_048_576_u32);
    let welcome = (session(), numbers, any::<bool>()).prop_map(
        |(session, (heartbeat, time, next, body_max), resumed)| {
            json!({
                "kind": "welcome", "session": session, "heartbeat": heartbeat,
                "server_time": time, "next_sequence": next, "resumed": resumed,
                "body_max": body_max,
            })
        },
    );
    let sequence = integer(SEQUENCE_MAX).prop_map(|sequence| sequence.max(1));
    let push = (class(), any::<bool>(), any::<bool>(), sequence, bytes(1, 20_000)).prop_map(
        |(class, broadcast, redelivered, sequence, body)| {
            json!({
                "kind": "push", "class": class, "broadcast": broadcast,
                "redelivered": redelivered, "sequence": sequence, "body": body,
            })
        },
    );
    prop_oneof![welcome, Just(json!({"kind": "pong"})), push, notice(), close()]
}

fn push_request() -> impl Strategy<Value = Value> {
    let flags = (class(), any::<bool>(), any::<bool>());
    let target = (flags, text(1, 64), 0..=2_592_000_u32, bytes(0, 64), bytes(1, 300));
    (any_number(), text(1, 32), vec(target, 1..=12)).prop_map(|(id, product, targets)| {
        let mut before: Option<String> = None;
        let targets = targets.into_iter().map(|((class, receipt, same), user, ttl, key, body)| {
            let same = same && before.is_some();
            let body = before.take().filter(|_| same).unwrap_or(body);
            before = Some(body.clone());
            json!({
                "user": user, "class": class, "time_to_live": ttl, "key": key,
                "receipt": receipt, "same_body": same, "body": body,
            })
        });
        let targets: Vec<_> = targets.collect();
        json!({"kind": "push", "id": id, "product": product, "targets": targets})
    })
}

fn broadcast() -> impl Strategy<Value = Value> {
    let to = (text(1, 32), text(0, 32), class(), 0..=2_592_000_u32);
    (any_number(), to, (any::<u32>(), any_number()), (bytes(0, 64), bytes(0, 20_000))).prop_map(
        |(id, (product, tag, class, ttl), (users, bits), (key, body))| {
            json!({
                "kind": "broadcast", "id": id, "product": product, "tag": tag, "class": class,
                "time_to_live": ttl, "users_per_second": users, "bits_per_second": bits,
                "key": key, "body": body,
            })
        },
    )
}

fn mailbox_request() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["show", "purge", "release"]);
    (any_number(), text(1, 32), text(1, 64), action).prop_map(|(id, product, user, action)| {
        json!({"kind": "mailbox", "id": id, "product": product, "user": user, "action": action})
    })
}

/// A frame from a backend.
pub(crate) fn request() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["status", "pause", "resume", "cancel"]);
    let users = vec(text(1, 64), 1..=150);
    prop_oneof![
        (text(1, 64), bytes(0, 256)).prop_map(
            |(name, key)| json!({"kind": "hello", "version": 1, "name": name, "key": key})
        ),
        Just(json!({"kind": "ping"})),
        push_request(),
        broadcast(),
        (action, any_number(), any_number())
            .prop_map(|(action, id, job)| json!({"kind": action, "id": id, "job": job})),
        (any_number(), text(1, 32), users).prop_map(|(id, product, users)| {
            json!({"kind": "online", "id": id, "product": product, "users": users})
        }),
        mailbox_request(),
        (any_number(), text(1, 32), text(1, 64), text(0, 255)).prop_map(
            |(id, product, user, reason)| json!({
                "kind": "kick", "id": id, "product": product, "user": user, "reason": reason,
            })
        ),
        any_number().prop_map(|id| json!({"kind": "counters", "id": id})),
    ]
}

fn dropped() -> impl Strategy<Value = Value> {
    const REASONS: [&str; 6] =
        ["outbox_full", "connection_lost", "shutdown", "made_room", "purged", "unreadable"];
    prop::sample::select(REASONS.to_vec())
        .prop_map(|reason| json!({"outcome": "dropped", "reason": reason}))
}

fn outcome() -> impl Strategy<Value = Value> {
    const REASONS: [&str; 5] =
        ["empty_body", "body_too_long", "no_store", "mailbox_full", "store_full"];
    let rejected = prop::sample::select(REASONS.to_vec());
    let numbered = prop::sample::select(vec!["delivered", "stored", "acked"]);
    prop_oneof![
        (numbered, any_number())
            .prop_map(|(outcome, sequence)| json!({"outcome": outcome, "sequence": sequence})),
        Just(json!({"outcome": "offline"})),
        Just(json!({"outcome": "expired"})),
        rejected.prop_map(|reason| json!({"outcome": "rejected", "reason": reason})),
        any::<u32>().prop_map(|after| json!({"outcome": "busy", "milliseconds": after})),
        dropped(),
    ]
}

fn receipt() -> impl Strategy<Value = Value> {
    let result = prop_oneof![Just(json!("acked")), Just(json!({"outcome": "expired"})), dropped()];
    (text(1, 32), text(1, 64), any_number(), result).prop_map(
        |(product, user, sequence, mut result)| {
            if result == "acked" {
                result = json!({"outcome": "acked", "sequence": sequence});
            }
            json!({
                "kind": "receipt", "product": product, "user": user, "sequence": sequence,
                "result": result,
            })
        },
    )
}

fn mailbox() -> impl Strategy<Value = Value> {
    (vec(any_number(), 5), any::<[u32; 3]>(), any::<[bool; 2]>()).prop_map(
        |(numbers, small, flags)| {
            json!({
                "kind": "mailbox", "id": numbers[0], "messages": small[0], "bytes": numbers[1],
                "first": numbers[2], "last": numbers[3], "acked": numbers[4],
                "deliveries": small[1], "quarantined": flags[0], "online": flags[1],
                "sessions": small[2],
            })
        },
    )
}

fn job() -> impl Strategy<Value = Value> {
    let state = prop::sample::select(vec!["running", "paused", "done", "cancelled"]);
    (state, vec(any_number(), 6)).prop_map(|(state, numbers)| {
        json!({
            "kind": "job", "state": state, "id": numbers[0], "job": numbers[1],
            "sequence": numbers[2], "total": numbers[3], "delivered": numbers[4],
            "dropped": numbers[5],
        })
    })
}

/// A frame to a backend.
pub(crate) fn answer() -> impl Strategy<Value = Value> {
    let counter = (text(1, 128), any_number())
        .prop_map(|(name, value)| json!({"name": name, "value": value}));
    let numbers = (any::<u32>(), 0..=1_048_576_u32, any::<u16>(), any::<u32>());
    prop_oneof![
        numbers.prop_map(|(window, body_max, host, incarnation)| json!({
            "kind": "welcome", "version": 1, "window": window, "body_max": body_max,
            "host": host, "incarnation": incarnation,
        })),
        Just(json!({"kind": "pong"})),
        any::<u32>().prop_map(|delay| json!({"kind": "drain", "delay": delay})),
        close(),
        (any_number(), 1..=12_u16, any::<u32>(), text(0, 255)).prop_map(
            |(id, code, after, text)| json!({
                "kind": "error", "id": id, "code": code, "retry_after": after, "text": text,
            })
        ),
        (any_number(), vec(outcome(), 0..=150)).prop_map(|(id, outcomes)| {
            json!({"kind": "push_outcomes", "id": id, "outcomes": outcomes})
        }),
        job(),
        mailbox(),
        receipt(),
        (any_number(), vec(any::<u32>(), 0..=150))
            .prop_map(|(id, counts)| json!({"kind": "online_counts", "id": id, "counts": counts})),
        (any_number(), any::<u32>()).prop_map(
            |(id, sessions)| json!({"kind": "kick_count", "id": id, "sessions": sessions})
        ),
        (any_number(), vec(counter, 0..=20))
            .prop_map(|(id, counters)| json!({"kind": "counters", "id": id, "counters": counters})),
    ]
}

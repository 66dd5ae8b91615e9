//! Frames of the backend API as the JSON of the vector files, both ways.

use crate::client_json::{class_name, get_class};
use crate::value::{get, get_bool, get_bytes, get_list, get_str, get_strs, hex, number};
use holdfast_protocol::backend::answer::{self, DropReason, ErrorCode, Rejection};
use holdfast_protocol::backend::request::{self, JobAction};
use holdfast_protocol::backend::{
    Answer, Broadcast, Job, JobState, Mailbox, MailboxAction, Outcome, Push, Receipt, Request,
    Target, Welcome,
};
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::Frame;
use holdfast_protocol::limits::VERSION;
use serde_json::{Value, json};

/// A frame from a backend as JSON.
pub(crate) fn decode_request(frame: Frame<'_>) -> Result<Value, Violation> {
    if let Some(id) = request::unsupported(frame)? {
        return Ok(json!({"kind": "unsupported", "id": number(id)}));
    }
    Ok(match Request::decode(frame)? {
        Request::Hello { name, key } => {
            json!({"kind": "hello", "version": VERSION, "name": name, "key": hex(key)})
        }
        Request::Ping => json!({"kind": "ping"}),
        Request::Push(id, push) => push_json(id, &push),
        Request::Broadcast(id, broadcast) => json!({
            "kind": "broadcast",
            "id": number(id),
            "product": broadcast.product,
            "tag": broadcast.tag,
            "class": class_name(broadcast.class),
            "time_to_live": broadcast.ttl,
            "users_per_second": broadcast.users_per_second,
            "bits_per_second": number(broadcast.bits_per_second),
            "key": hex(broadcast.key),
            "body": hex(broadcast.body),
        }),
        Request::Job(id, action, job) => {
            json!({"kind": action_name(action), "id": number(id), "job": number(job)})
        }
        Request::Online(id, online) => json!({
            "kind": "online",
            "id": number(id),
            "product": online.product,
            "users": online.users.iter().collect::<Vec<_>>(),
        }),
        Request::Kick { id, product, user, reason } => json!({
            "kind": "kick", "id": number(id), "product": product, "user": user, "reason": reason,
        }),
        Request::Counters(id) => json!({"kind": "counters", "id": number(id)}),
        Request::Mailbox { id, product, user, action } => json!({
            "kind": "mailbox", "id": number(id), "product": product, "user": user,
            "action": action.name(),
        }),
        Request::Skipped => json!({"kind": "skipped"}),
    })
}

fn push_json(id: u64, push: &Push<'_>) -> Value {
    let mut before: Option<&[u8]> = None;
    let targets = push.targets.iter().map(|target| {
        let same = before.is_some_and(|body| std::ptr::eq(body, target.body));
        before = Some(target.body);
        json!({
            "user": target.user,
            "class": class_name(target.class),
            "time_to_live": target.ttl,
            "key": hex(target.key),
            "receipt": target.receipt,
            "same_body": same,
            "body": hex(target.body),
        })
    });
    let targets = targets.collect::<Vec<_>>();
    assert_eq!(targets.len(), push.targets.len());
    json!({"kind": "push", "id": number(id), "product": push.product, "targets": targets})
}

const ACTIONS: [(JobAction, &str); 4] = [
    (JobAction::Status, "status"),
    (JobAction::Pause, "pause"),
    (JobAction::Resume, "resume"),
    (JobAction::Cancel, "cancel"),
];

fn action_name(action: JobAction) -> &'static str {
    ACTIONS.iter().find(|(known, _)| *known == action).expect("an action").1
}

/// A frame from a backend as bytes; `None` for what has no encoder.
pub(crate) fn encode_request(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let kind = get_str(value, "kind");
    match kind {
        "hello" => {
            assert_eq!(get::<u8>(value, "version"), VERSION);
            request::put_hello(get_str(value, "name"), &get_bytes(value, "key"), &mut out);
        }
        "ping" => request::put_ping(&mut out),
        "push" => put_push(value, &mut out),
        "broadcast" => put_broadcast(value, &mut out),
        "online" => request::put_online(
            get(value, "id"),
            get_str(value, "product"),
            &get_strs(value, "users"),
            &mut out,
        ),
        "kick" => {
            let (user, reason) = (get_str(value, "user"), get_str(value, "reason"));
            request::put_kick(get(value, "id"), get_str(value, "product"), user, reason, &mut out);
        }
        "counters" => request::put_counters(get(value, "id"), &mut out),
        "mailbox" => {
            let action = get_str(value, "action");
            let action = MailboxAction::ALL.into_iter().find(|known| known.name() == action);
            let (product, user) = (get_str(value, "product"), get_str(value, "user"));
            let action = action.expect("an action");
            request::put_mailbox(get(value, "id"), action, product, user, &mut out);
        }
        "skipped" | "unsupported" => return None,
        action => {
            let action = ACTIONS.iter().find(|(_, name)| *name == action).expect("a frame").0;
            request::put_job(get(value, "id"), action, get(value, "job"), &mut out);
        }
    }
    Some(out)
}

fn put_push(value: &Value, out: &mut Vec<u8>) {
    let targets = get_list(value, "targets");
    let bodies: Vec<_> = targets.iter().map(|target| get_bytes(target, "body")).collect();
    let keys: Vec<_> = targets.iter().map(|target| get_bytes(target, "key")).collect();
    let mut body: &[u8] = &[];
    let decoded = targets.iter().enumerate().map(|(index, target)| {
        if !get_bool(target, "same_body") {
            body = &bodies[index];
        }
        Target {
            user: get_str(target, "user"),
            class: get_class(target),
            ttl: get(target, "time_to_live"),
            key: &keys[index],
            receipt: get_bool(target, "receipt"),
            body,
        }
    });
    let decoded: Vec<_> = decoded.collect();
    request::put_push(get(value, "id"), get_str(value, "product"), &decoded, out);
}

fn put_broadcast(value: &Value, out: &mut Vec<u8>) {
    let broadcast = Broadcast {
        product: get_str(value, "product"),
        tag: get_str(value, "tag"),
        class: get_class(value),
        ttl: get(value, "time_to_live"),
        users_per_second: get(value, "users_per_second"),
        bits_per_second: get(value, "bits_per_second"),
        key: &get_bytes(value, "key"),
        body: &get_bytes(value, "body"),
    };
    request::put_broadcast(get(value, "id"), &broadcast, out);
}

/// A frame to a backend as JSON.
pub(crate) fn decode_answer(frame: Frame<'_>) -> Result<Value, Violation> {
    Ok(match Answer::decode(frame)? {
        Answer::Welcome(welcome) => json!({
            "kind": "welcome",
            "version": VERSION,
            "window": welcome.window,
            "body_max": welcome.body_max,
            "host": welcome.host,
            "incarnation": welcome.incarnation,
        }),
        Answer::Pong => json!({"kind": "pong"}),
        Answer::Drain { delay } => json!({"kind": "drain", "delay": delay}),
        Answer::Close { code, reason } => json!({"kind": "close", "code": code, "reason": reason}),
        Answer::Error { id, code, retry_after, text } => json!({
            "kind": "error", "id": number(id), "code": code, "retry_after": retry_after,
            "text": text,
        }),
        Answer::Push(id, outcomes) => {
            let outcomes: Vec<_> = outcomes.iter().map(outcome_json).collect();
            json!({"kind": "push_outcomes", "id": number(id), "outcomes": outcomes})
        }
        Answer::Job(id, job) => json!({
            "kind": "job",
            "id": number(id),
            "job": number(job.id),
            "state": job.state.name(),
            "sequence": number(job.sequence),
            "total": number(job.total),
            "delivered": number(job.delivered),
            "dropped": number(job.dropped),
        }),
        Answer::Online(id, counts) => json!({
            "kind": "online_counts",
            "id": number(id),
            "counts": counts.iter().collect::<Vec<_>>(),
        }),
        Answer::Kick(id, sessions) => {
            json!({"kind": "kick_count", "id": number(id), "sessions": sessions})
        }
        Answer::Counters(id, counters) => {
            let counters = counters.iter();
            let counters: Vec<_> = counters
                .map(|(name, value)| json!({"name": name, "value": number(value)}))
                .collect();
            json!({"kind": "counters", "id": number(id), "counters": counters})
        }
        Answer::Mailbox(id, mailbox) => mailbox_json(id, &mailbox),
        Answer::Receipt(receipt) => json!({
            "kind": "receipt",
            "product": receipt.product,
            "user": receipt.user,
            "sequence": number(receipt.sequence),
            "result": outcome_json(receipt.outcome),
        }),
        Answer::Skipped => json!({"kind": "skipped"}),
    })
}

fn mailbox_json(id: u64, mailbox: &Mailbox) -> Value {
    json!({
        "kind": "mailbox",
        "id": number(id),
        "messages": mailbox.messages,
        "bytes": number(mailbox.bytes),
        "first": number(mailbox.first),
        "last": number(mailbox.last),
        "acked": number(mailbox.acked),
        "deliveries": mailbox.deliveries,
        "quarantined": mailbox.quarantined,
        "online": mailbox.online,
        "sessions": mailbox.sessions,
    })
}

fn get_mailbox(value: &Value) -> Mailbox {
    Mailbox {
        messages: get(value, "messages"),
        bytes: get(value, "bytes"),
        first: get(value, "first"),
        last: get(value, "last"),
        acked: get(value, "acked"),
        deliveries: get(value, "deliveries"),
        quarantined: get_bool(value, "quarantined"),
        online: get_bool(value, "online"),
        sessions: get(value, "sessions"),
    }
}

fn outcome_json(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Delivered(sequence) | Outcome::Stored(sequence) | Outcome::Acked(sequence) => {
            json!({"outcome": outcome.name(), "sequence": number(sequence)})
        }
        Outcome::Offline | Outcome::Expired => json!({"outcome": outcome.name()}),
        Outcome::Rejected(why) => json!({"outcome": "rejected", "reason": why.name()}),
        Outcome::Busy(after) => json!({"outcome": "busy", "milliseconds": after}),
        Outcome::Dropped(why) => json!({"outcome": "dropped", "reason": why.name()}),
    }
}

/// A frame to a backend as bytes; `None` for what has no encoder.
pub(crate) fn encode_answer(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match get_str(value, "kind") {
        "welcome" => answer::put_welcome(
            &Welcome {
                window: get(value, "window"),
                body_max: get(value, "body_max"),
                host: get(value, "host"),
                incarnation: get(value, "incarnation"),
            },
            &mut out,
        ),
        "pong" => answer::put_pong(&mut out),
        "drain" => answer::put_drain(get(value, "delay"), &mut out),
        "close" => answer::put_close(get(value, "code"), get_str(value, "reason"), &mut out),
        "error" => {
            let code = ErrorCode::from_number(get(value, "code"))?;
            let (after, text) = (get(value, "retry_after"), get_str(value, "text"));
            answer::put_error(get(value, "id"), code, after, text, &mut out);
        }
        "push_outcomes" => {
            let outcomes: Vec<_> = get_list(value, "outcomes").iter().map(get_outcome).collect();
            answer::put_outcomes(get(value, "id"), &outcomes, &mut out);
        }
        "job" => answer::put_job(get(value, "id"), &get_job(value), &mut out),
        "online_counts" => {
            let counts: Vec<u32> = serde_json::from_value(value["counts"].clone()).expect("counts");
            answer::put_online(get(value, "id"), &counts, &mut out);
        }
        "kick_count" => answer::put_kick(get(value, "id"), get(value, "sessions"), &mut out),
        "counters" => {
            let counters = get_list(value, "counters").iter();
            let counters: Vec<_> =
                counters.map(|counter| (get_str(counter, "name"), get(counter, "value"))).collect();
            answer::put_counters(get(value, "id"), &counters, &mut out);
        }
        "mailbox" => answer::put_mailbox(get(value, "id"), &get_mailbox(value), &mut out),
        "receipt" => {
            let receipt = Receipt {
                product: get_str(value, "product"),
                user: get_str(value, "user"),
                sequence: get(value, "sequence"),
                outcome: get_outcome(&value["result"]),
            };
            answer::put_receipt(&receipt, &mut out);
        }
        "skipped" => return None,
        other => panic!("no frame {other}"),
    }
    Some(out)
}

fn get_job(value: &Value) -> Job {
    let state = get_str(value, "state");
    Job {
        id: get(value, "job"),
        state: *JobState::ALL.iter().find(|known| known.name() == state).expect("a state"),
        sequence: get(value, "sequence"),
        total: get(value, "total"),
        delivered: get(value, "delivered"),
        dropped: get(value, "dropped"),
    }
}

fn get_outcome(value: &Value) -> Outcome {
    let reason = value["reason"].as_str();
    match get_str(value, "outcome") {
        "delivered" => Outcome::Delivered(get(value, "sequence")),
        "offline" => Outcome::Offline,
        "stored" => Outcome::Stored(get(value, "sequence")),
        "acked" => Outcome::Acked(get(value, "sequence")),
        "expired" => Outcome::Expired,
        "rejected" => Outcome::Rejected(
            *Rejection::ALL.iter().find(|known| Some(known.name()) == reason).expect("a reason"),
        ),
        "busy" => Outcome::Busy(get(value, "milliseconds")),
        "dropped" => Outcome::Dropped(
            *DropReason::ALL.iter().find(|known| Some(known.name()) == reason).expect("a reason"),
        ),
        other => panic!("no outcome {other}"),
    }
}

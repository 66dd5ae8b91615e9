//! Frames of the client protocol as the JSON of the vector files, both ways.

use crate::value::{get, get_bool, get_bytes, get_str, get_strs, hex, number};
use holdfast_protocol::client::from_client::{self, Identity};
use holdfast_protocol::client::from_server;
use holdfast_protocol::client::{Class, FromClient, FromServer, Notice, Push, Resume, Welcome};
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::Frame;
use holdfast_protocol::limits::VERSION;
use serde_json::{Value, json};

/// The JSON of a class.
pub(crate) fn class_name(class: Class) -> &'static str {
    match class {
        Class::Online => "online",
        Class::Durable => "durable",
    }
}

/// The class under `class`.
pub(crate) fn get_class(value: &Value) -> Class {
    match get_str(value, "class") {
        "online" => Class::Online,
        "durable" => Class::Durable,
        other => panic!("no class {other}"),
    }
}

/// A frame from a client as JSON.
pub(crate) fn decode_from_client(frame: Frame<'_>) -> Result<Value, Violation> {
    Ok(match FromClient::decode(frame)? {
        FromClient::Hello(hello) => json!({
            "kind": "hello",
            "version": hello.version,
            "heartbeat": hello.heartbeat,
            "product": hello.product,
            "user": hello.user,
            "device": hello.device,
            "token": hex(hello.token),
            "resume": hello.resume.map(|resume| json!({
                "session": hex(&resume.session),
                "sequence": resume.sequence,
                "broadcast": resume.broadcast,
            })),
            "tags": hello.tags.iter().collect::<Vec<_>>(),
        }),
        FromClient::Ping => json!({"kind": "ping"}),
        FromClient::Ack { sequence } => json!({"kind": "ack", "sequence": sequence}),
        FromClient::Bye => json!({"kind": "bye"}),
        FromClient::Skipped => json!({"kind": "skipped"}),
    })
}

/// A frame from a client as bytes; `None` for what has no encoder.
pub(crate) fn encode_from_client(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match get_str(value, "kind") {
        "hello" => put_hello(value, &mut out),
        "ping" => from_client::put_ping(&mut out),
        "ack" => from_client::put_ack(get(value, "sequence"), &mut out),
        "bye" => from_client::put_bye(&mut out),
        "skipped" => return None,
        other => panic!("no frame {other}"),
    }
    Some(out)
}

fn put_hello(value: &Value, out: &mut Vec<u8>) {
    assert_eq!(get::<u8>(value, "version"), VERSION);
    let resume = value["resume"].as_object().map(|_| {
        let resume = &value["resume"];
        let session = get_bytes(resume, "session").try_into().expect("16 bytes");
        Resume { session, sequence: get(resume, "sequence"), broadcast: get(resume, "broadcast") }
    });
    let identity = Identity {
        heartbeat: get(value, "heartbeat"),
        product: get_str(value, "product"),
        user: get_str(value, "user"),
        device: get_str(value, "device"),
        token: &get_bytes(value, "token"),
        resume,
        tags: &get_strs(value, "tags"),
    };
    from_client::put_hello(&identity, out);
}

/// A frame to a client as JSON.
pub(crate) fn decode_from_server(frame: Frame<'_>) -> Result<Value, Violation> {
    Ok(match FromServer::decode(frame)? {
        FromServer::Welcome(welcome) => json!({
            "kind": "welcome",
            "session": hex(&welcome.session),
            "heartbeat": welcome.heartbeat,
            "server_time": number(welcome.server_time),
            "next_sequence": welcome.next_sequence,
            "resumed": welcome.resumed,
            "body_max": welcome.body_max,
        }),
        FromServer::Pong => json!({"kind": "pong"}),
        FromServer::Push(push) => json!({
            "kind": "push",
            "class": class_name(push.class),
            "broadcast": push.broadcast,
            "redelivered": push.redelivered,
            "sequence": push.sequence,
            "body": hex(push.body),
        }),
        FromServer::Notice(notice) => notice_json(&notice),
        FromServer::Close { code, reason } => {
            json!({"kind": "close", "code": code, "reason": reason})
        }
        FromServer::Skipped => json!({"kind": "skipped"}),
    })
}

fn notice_json(notice: &Notice<'_>) -> Value {
    match notice {
        Notice::Kick { code, reason } => {
            json!({"kind": "notice", "notice": "kick", "code": code, "reason": reason})
        }
        Notice::Redirect { delay, addresses } => json!({
            "kind": "notice",
            "notice": "redirect",
            "delay": delay,
            "addresses": addresses.iter().collect::<Vec<_>>(),
        }),
        Notice::Drain { delay } => json!({"kind": "notice", "notice": "drain", "delay": delay}),
    }
}

/// A frame to a client as bytes; `None` for what has no encoder.
pub(crate) fn encode_from_server(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match get_str(value, "kind") {
        "welcome" => from_server::put_welcome(
            &Welcome {
                session: get_bytes(value, "session").try_into().expect("16 bytes"),
                heartbeat: get(value, "heartbeat"),
                server_time: get(value, "server_time"),
                next_sequence: get(value, "next_sequence"),
                resumed: get_bool(value, "resumed"),
                body_max: get(value, "body_max"),
            },
            &mut out,
        ),
        "pong" => from_server::put_pong(&mut out),
        "push" => from_server::put_push(
            &Push {
                class: get_class(value),
                broadcast: get_bool(value, "broadcast"),
                redelivered: get_bool(value, "redelivered"),
                sequence: get(value, "sequence"),
                body: &get_bytes(value, "body"),
            },
            &mut out,
        ),
        "notice" => put_notice(value, &mut out),
        "close" => from_server::put_close(get(value, "code"), get_str(value, "reason"), &mut out),
        "skipped" => return None,
        other => panic!("no frame {other}"),
    }
    Some(out)
}

fn put_notice(value: &Value, out: &mut Vec<u8>) {
    match get_str(value, "notice") {
        "kick" => from_server::put_kick(get(value, "code"), get_str(value, "reason"), out),
        "redirect" => {
            from_server::put_redirect(get(value, "delay"), &get_strs(value, "addresses"), out);
        }
        "drain" => from_server::put_drain(get(value, "delay"), out),
        other => panic!("no notice {other}"),
    }
}

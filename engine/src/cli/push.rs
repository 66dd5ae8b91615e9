//! `push`: one message to one user.

use crate::cli::args::{Class as Typed, PushArgs};
use crate::cli::connection::{answer, connect, limit};
use crate::cli::exit::{Exit, Failure, NO_STORE};
use crate::cli::screen::Screen;
use crate::cli::value;
use holdfast_client::{Backend, Class, Outcome, Rejection, Target, target};
use serde_json::{Value, json};
use std::io;

impl From<Typed> for Class {
    fn from(typed: Typed) -> Self {
        match typed {
            Typed::Online => Self::Online,
            Typed::Durable => Self::Durable,
        }
    }
}

pub(super) fn run(args: &PushArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let body = value::message(&args.text, &mut io::stdin()).map_err(Failure::usage)?;
    let class = args.class.into();
    let message = Target { class, ttl: args.ttl.unwrap_or(0), ..target(&args.user, &body) };
    let backend = connect(&args.api)?;
    let outcome = answer(backend.push_one(&args.product, message))?;
    if args.api.json {
        screen.say(&as_json(&args.user, outcome).to_string());
    } else {
        screen.say(&as_text(&args.user, outcome));
        if let Outcome::Rejected(why) = outcome
            && let Some(hint) = advice(why, &backend)
        {
            screen.advise(&hint);
        }
    }
    Ok(exit(outcome))
}

fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Delivered(_) | Outcome::Stored(_) | Outcome::Acked(_) => Exit::Done,
        Outcome::Rejected(_) => Exit::Declined,
        Outcome::Offline | Outcome::Expired | Outcome::Busy(_) | Outcome::Dropped(_) => {
            Exit::NotDelivered
        }
    }
}

fn advice(why: Rejection, backend: &Backend) -> Option<String> {
    match why {
        Rejection::NoStore => Some(NO_STORE.to_owned()),
        Rejection::BodyTooLong => limit(backend),
        Rejection::EmptyBody | Rejection::MailboxFull | Rejection::StoreFull => None,
    }
}

fn as_text(user: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::Delivered(sequence) => format!("delivered to {user} (sequence {sequence})"),
        Outcome::Stored(sequence) => format!("stored for {user} (sequence {sequence})"),
        Outcome::Acked(sequence) => format!("acknowledged by {user} (sequence {sequence})"),
        Outcome::Offline => format!("{user} is offline; nothing was delivered"),
        Outcome::Expired => format!("not delivered to {user}: its time to live ended first"),
        Outcome::Rejected(why) => format!("not delivered to {user}: {}", why.name()),
        Outcome::Busy(after) => {
            format!("not delivered to {user}: the gateway is busy; again after {after} ms")
        }
        Outcome::Dropped(why) => format!("not delivered to {user}: {}", why.name()),
    }
}

fn as_json(user: &str, outcome: Outcome) -> Value {
    let mut answer = json!({ "user": user });
    match outcome {
        Outcome::Delivered(sequence) | Outcome::Stored(sequence) | Outcome::Acked(sequence) => {
            answer["outcome"] = outcome.name().into();
            answer["sequence"] = sequence.into();
        }
        Outcome::Offline | Outcome::Expired => answer["outcome"] = outcome.name().into(),
        Outcome::Rejected(why) => {
            answer["outcome"] = "rejected".into();
            answer["reason"] = why.name().into();
        }
        Outcome::Dropped(why) => {
            answer["outcome"] = "dropped".into();
            answer["reason"] = why.name().into();
        }
        Outcome::Busy(after) => {
            answer["outcome"] = "busy".into();
            answer["retry_after_ms"] = after.into();
        }
    }
    answer
}

//! `push`: one message to one user, and what becomes of it.

use crate::cli::args::{Class as Typed, PushArgs};
use crate::cli::connection::{answer, limit, options};
use crate::cli::exit::{Exit, Failure, NO_STORE, STORE_FULL};
use crate::cli::screen::Screen;
use crate::cli::value;
use crate::cli::wait::{NOTICE, listen_for_ctrl_c};
use holdfast_client::{
    Attempt, Backend, Class, Event, Options, Outcome, Receipt, Rejection, Target, target,
};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    let message = Target {
        class: args.care.class().into(),
        ttl: args.care.ttl_seconds(),
        key: args.care.key(),
        receipt: args.receipt.is_some(),
        ..target(&args.user, &body)
    };
    let (options, news) = listening(options(&args.api)?);
    let backend = Backend::connect(options)?;
    let outcome = answer(backend.push_one(&args.product, message))?;
    say(args, outcome, &backend, screen);
    match (outcome, args.receipt) {
        (Outcome::Stored(sequence), Some(patience)) => {
            await_receipt(args, sequence, (patience, &news), screen)
        }
        _ => Ok(exit(outcome)),
    }
}

/// What may end the waiting for a receipt.
#[derive(Debug)]
enum News {
    Receipt(Receipt),
    Lost(Attempt),
}

/// The same options, with everything that may end the waiting, in the order in which it came.
fn listening(options: Options) -> (Options, flume::Receiver<News>) {
    let (told, news) = flume::unbounded();
    let lost = told.clone();
    // Who does not wait any more needs no news.
    let mut options = options.on_receipt(move |one| drop(told.send(News::Receipt(one))));
    options.on_event = Some(Arc::new(move |event| {
        if let Event::Lost { attempt, .. } = event {
            drop(lost.send(News::Lost(attempt.clone())));
        }
    }));
    (options, news)
}

fn say(args: &PushArgs, outcome: Outcome, backend: &Backend, screen: &mut Screen<'_>) {
    if args.api.json {
        screen.say(&as_json(&args.user, outcome).to_string());
        return;
    }
    screen.say(&as_text(&args.user, outcome));
    if let Outcome::Rejected(why) = outcome
        && let Some(hint) = advice(why, args, backend)
    {
        screen.advise(&hint);
    }
}

/// Waits for what becomes of a stored message. The answer is no if it is given up, or if no receipt
/// comes: then it waits, or it is a repeat of one whose receipt came before. A gateway that went
/// away may have told it to nobody: that ends the waiting.
fn await_receipt(
    args: &PushArgs,
    sequence: u64,
    (patience, news): (Duration, &flume::Receiver<News>),
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    listen_for_ctrl_c(screen)?;
    let end = Instant::now() + patience;
    // Another backend of the same name may get its receipts here.
    let is_ours = |receipt: &Receipt| {
        (receipt.product.as_str(), receipt.user.as_str(), receipt.sequence)
            == (args.product.as_str(), args.user.as_str(), sequence)
    };
    loop {
        match news.recv_timeout(NOTICE) {
            Ok(News::Receipt(receipt)) if is_ours(&receipt) => {
                say_receipt(args, Some(receipt.outcome), sequence, screen);
                let acked = matches!(receipt.outcome, Outcome::Acked(_));
                return Ok(if acked { Exit::Done } else { Exit::NotDelivered });
            }
            Ok(News::Lost(attempt)) => return Err(gone(args, &attempt, sequence, screen)),
            _ => {}
        }
        let interrupted = screen.is_interrupted();
        if interrupted || Instant::now() >= end {
            say_receipt(args, None, sequence, screen);
            return Ok(if interrupted { Exit::Interrupted } else { Exit::NotDelivered });
        }
    }
}

fn gone(args: &PushArgs, attempt: &Attempt, sequence: u64, screen: &mut Screen<'_>) -> Failure {
    let PushArgs { user, product, .. } = args;
    if args.api.json {
        say_receipt(args, None, sequence, screen);
    }
    let text = format!(
        "the gateway went away before it told what became of the message, which is stored for \
         {user} (sequence {sequence}): {attempt}"
    );
    Failure::new(Exit::NoReceipt, text).with_hint(format!(
        "`holdfast mailbox show {product} {user}` when it is back: whether it waits; the same push \
         with the same --idempotency-key makes no second message"
    ))
}

fn say_receipt(args: &PushArgs, end: Option<Outcome>, sequence: u64, screen: &mut Screen<'_>) {
    let PushArgs { user, product, .. } = args;
    if args.api.json {
        let mut line = end.map_or_else(|| json!({ "user": user }), |end| as_json(user, end));
        if end.is_none() {
            line["outcome"] = "no_receipt".into();
        }
        line["sequence"] = sequence.into();
        screen.say(&line.to_string());
        return;
    }
    match end {
        Some(Outcome::Expired) => {
            screen.say(&format!("not acknowledged by {user}: its time to live ended first"));
        }
        Some(Outcome::Dropped(why)) => {
            screen.say(&format!("not acknowledged by {user}: given up ({})", why.name()));
        }
        Some(other) => screen.say(&as_text(user, other)),
        None => {
            let patience = args.receipt.filter(|_| !screen.is_interrupted());
            let within = patience.map_or_else(String::new, |time| format!(" within {time:?}"));
            screen.say(&format!("no receipt for {user}{within}"));
            screen.advise(&format!("`holdfast mailbox show {product} {user}`: whether it waits"));
        }
    }
}

fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Delivered(_) | Outcome::Stored(_) | Outcome::Acked(_) => Exit::Done,
        Outcome::Rejected(_) | Outcome::Busy(_) => Exit::Declined,
        Outcome::Offline | Outcome::Expired | Outcome::Dropped(_) => Exit::NotDelivered,
    }
}

fn advice(why: Rejection, args: &PushArgs, backend: &Backend) -> Option<String> {
    let PushArgs { product, user, .. } = args;
    match why {
        Rejection::NoStore => Some(NO_STORE.to_owned()),
        Rejection::BodyTooLong => limit(backend),
        Rejection::StoreFull => Some(STORE_FULL.to_owned()),
        Rejection::MailboxFull => Some(format!(
            "`holdfast mailbox show {product} {user}`: there is room when {user} acknowledges, or \
             after `mailbox purge`; [mailbox] in the gateway's configuration sets the limits"
        )),
        Rejection::EmptyBody => None,
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

//! `mailbox`: the messages that are stored for a user.
//!
//! A gateway answers with the mailbox as it stands afterwards, so what a purge gave up is what was
//! there just before; what comes between the two questions is not told apart.

use crate::cli::args::{MailboxAction as Typed, MailboxArgs, OneMailbox};
use crate::cli::connection::connect;
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::Screen;
use crate::cli::value::{bytes, counted};
use holdfast_client::{Backend, ErrorCode, Mailbox, MailboxAction, Pending};
use serde_json::{Value, json};

/// What to try where there are no mailboxes.
const NO_MAILBOXES: &str = "`store.kind` in the gateway's configuration: it stores nothing now";

pub(super) fn run(args: &MailboxArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let (Typed::Show(one) | Typed::Purge(one) | Typed::Release(one)) = &args.action;
    let backend = connect(&one.api)?;
    let before = ask(&backend, MailboxAction::Show, one)?;
    match args.action {
        Typed::Show(_) => {
            tell(one, &before, json!({}), &standing(&one.user, &before), screen);
            Ok(Exit::Done)
        }
        Typed::Purge(_) => purge(&backend, one, &before, screen),
        Typed::Release(_) => release(&backend, one, &before, screen),
    }
}

fn ask(backend: &Backend, action: MailboxAction, one: &OneMailbox) -> Result<Mailbox, Failure> {
    match backend.mailbox(action, &one.product, &one.user).and_then(Pending::wait) {
        Err(error) if error.declined() == Some(ErrorCode::NoStore) => {
            Err(Failure::from(error).with_hint(NO_MAILBOXES))
        }
        asked => Ok(asked?),
    }
}

/// Gives up what waits; the answer is no if nothing did.
fn purge(
    backend: &Backend,
    one: &OneMailbox,
    before: &Mailbox,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let after = ask(backend, MailboxAction::Purge, one)?;
    let messages = before.messages.saturating_sub(after.messages);
    let size = before.bytes.saturating_sub(after.bytes);
    let text = if messages == 0 {
        format!("nothing waited for {}; there was nothing to give up", one.user)
    } else {
        let messages = counted(messages.into(), "message");
        format!("{messages} for {} given up ({})", one.user, bytes(size))
    };
    tell(one, &after, json!({ "purged": messages, "purged_bytes": size }), &text, screen);
    Ok(if messages == 0 { Exit::NotDelivered } else { Exit::Done })
}

/// Ends the quarantine; the answer is no if there was none.
fn release(
    backend: &Backend,
    one: &OneMailbox,
    before: &Mailbox,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let after = ask(backend, MailboxAction::Release, one)?;
    let released = before.quarantined && !after.quarantined;
    let standing = standing(&one.user, &after);
    let text = if released {
        format!("released; {standing}")
    } else {
        format!("{} was not in quarantine; {standing}", one.user)
    };
    tell(one, &after, json!({ "released": released }), &text, screen);
    Ok(if released { Exit::Done } else { Exit::NotDelivered })
}

/// Says the text, or the mailbox and what was done to it as JSON.
fn tell(one: &OneMailbox, mailbox: &Mailbox, mut done: Value, text: &str, screen: &mut Screen<'_>) {
    if !one.api.json {
        screen.say(text);
        return;
    }
    for (name, value) in [
        ("user", json!(one.user)),
        ("messages", json!(mailbox.messages)),
        ("bytes", json!(mailbox.bytes)),
        ("first", json!(mailbox.first)),
        ("last", json!(mailbox.last)),
        ("deliveries", json!(mailbox.deliveries)),
        ("quarantined", json!(mailbox.quarantined)),
        ("online", json!(mailbox.online)),
        ("sessions", json!(mailbox.sessions)),
    ] {
        done[name] = value;
    }
    // 0 is "not known" on the wire, and would read as "nothing".
    if mailbox.acked > 0 {
        done["acked"] = json!(mailbox.acked);
    }
    screen.say(&done.to_string());
}

/// How it stands, in words.
fn standing(user: &str, mailbox: &Mailbox) -> String {
    let presence = match (mailbox.online, mailbox.sessions) {
        (true, sessions) => format!("online with {}", counted(sessions.into(), "session")),
        (false, 0) => "offline".to_owned(),
        (false, _) => "just gone".to_owned(),
    };
    if mailbox.messages == 0 {
        return format!("nothing waits for {user}; {presence}");
    }
    let messages = counted(mailbox.messages.into(), "message");
    let (size, first, last) = (bytes(mailbox.bytes), mailbox.first, mailbox.last);
    let verb = if mailbox.messages == 1 { "waits" } else { "wait" };
    let last = if last > first { format!(" to {last}") } else { String::new() };
    let quarantine = if mailbox.quarantined {
        let times = counted(mailbox.deliveries.into(), "time");
        format!(
            "; in quarantine: sent again {times} and never acknowledged, so nothing is sent until \
             {user} acknowledges or `holdfast mailbox release`"
        )
    } else {
        String::new()
    };
    format!("{messages} {verb} for {user} ({size}, sequence {first}{last}); {presence}{quarantine}")
}

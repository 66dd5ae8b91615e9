//! `online` and `kick`: the sessions of users.

use crate::cli::args::{KickArgs, OnlineArgs};
use crate::cli::connection::{answer, connect};
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::Screen;
use crate::cli::value::counted;
use holdfast_protocol::limits::ONLINE_USERS;
use serde_json::json;

/// Says how many sessions each user has; the answer is no if somebody has none.
pub(super) fn online(args: &OnlineArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let backend = connect(&args.api)?;
    let users: Vec<&str> = args.users.iter().map(String::as_str).collect();
    let width = users.iter().map(|user| user.chars().count()).max().unwrap_or(0);
    let mut exit = Exit::Done;
    for some in users.chunks(ONLINE_USERS) {
        let counts = answer(backend.online(&args.product, some))?;
        for (user, sessions) in some.iter().zip(counts) {
            if sessions == 0 {
                exit = Exit::NotDelivered;
            }
            if args.api.json {
                screen.say(&json!({ "user": user, "sessions": sessions }).to_string());
            } else if sessions == 0 {
                screen.say(&format!("{user:width$}  offline"));
            } else {
                screen.say(&format!("{user:width$}  {}", counted(sessions.into(), "session")));
            }
        }
    }
    Ok(exit)
}

/// Ends a user's sessions; the answer is no if there were none.
pub(super) fn kick(args: &KickArgs, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let backend = connect(&args.api)?;
    let ended = answer(backend.kick(&args.product, &args.user, &args.reason))?;
    if args.api.json {
        screen.say(&json!({ "user": args.user, "sessions_ended": ended }).to_string());
    } else if ended == 0 {
        screen.say(&format!("{} is offline; there was nothing to end", args.user));
    } else {
        screen.say(&format!("{} of {} ended", counted(ended.into(), "session"), args.user));
    }
    Ok(if ended == 0 { Exit::NotDelivered } else { Exit::Done })
}

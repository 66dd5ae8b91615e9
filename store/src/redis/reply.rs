//! What servers answer, as what it means.

use redis::{ServerError, Value};
use std::time::Duration;

/// A number, however it is written.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}

/// A text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::SimpleString(text) => Some(text.clone()),
        other => String::from_utf8(bytes(other)?.to_vec()).ok(),
    }
}

/// Bytes.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}

/// The elements of a list; nothing of anything else.
pub(super) fn list(value: &Value) -> &[Value] {
    if let Value::Array(list) = value { list } else { &[] }
}

/// For a log line.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::Array(list) => list.iter().map(show).collect::<Vec<_>>().join(" "),
        Value::ServerError(why) => why.to_string(),
        other => format!("{other:?}"),
    }
}

/// As servers take times; at least 1, since 0 is "without end" to them.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// What went wrong with one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server has no room.
    Full(String),
    /// It fails or cannot be reached.
    Down(String),
    /// The server that has this key, one of several, fails or cannot be reached.
    Away(String),
    /// It was not carried out, and never will be: somebody else gave a greater sequence, or this
    /// number, or keeps something else under this name. The server is well.
    Refused(String),
}

/// What an error of one command asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// It ends here.
    Fail(Fault),
    /// The slot lives elsewhere; the map is old.
    Moved,
    /// This command alone belongs there (`host:port`, the host perhaps empty), after `ASKING`.
    Ask(String),
    /// Again, in a moment.
    Again,
    /// Again, on a connection that loads the scripts.
    Reload,
}

/// What to do about an error.
pub(super) fn remedy(error: &ServerError) -> Remedy {
    let whole = || error.to_string();
    let detail = error.details().unwrap_or_default();
    match error.code() {
        "MOVED" => Remedy::Moved,
        "ASK" => Remedy::Ask(detail.split_ascii_whitespace().nth(1).unwrap_or("").to_owned()),
        "TRYAGAIN" => Remedy::Again,
        "NOSCRIPT" => Remedy::Reload,
        "OOM" => Remedy::Fail(Fault::Full(whole())),
        "MISCONF" if detail.contains("No space left") => Remedy::Fail(Fault::Full(whole())),
        crate::redis::script::OVERTAKEN | "WRONGTYPE" => Remedy::Fail(Fault::Refused(whole())),
        _ => Remedy::Fail(Fault::Away(whole())),
    }
}

//! What became of a command: its exit code, and what a person is told when it failed.
//!
//! Each failure says what happened, to which address, and what to try.

use holdfast_client::{Attempt, Cause, Close, Error, ErrorCode};
use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The gateway did as asked, and the answer is no: not delivered, somebody offline, cancelled.
    NotDelivered = 1,
    /// The command is wrong; nothing was sent.
    Usage = 2,
    /// No gateway was reached; nothing was done.
    Unreachable = 3,
    /// The gateway wants nothing to do with us: the key, the name, or the version.
    Refused = 4,
    /// It was sent, and no answer came: it may or may not have been done.
    NoAnswer = 5,
    /// The gateway declined this request: unknown product or job, no store, a limit, or it is busy.
    Declined = 6,
    /// The store has a torn end, which the next start cuts off.
    Torn = 7,
    /// The store is damaged, and no gateway starts with it.
    Damaged = 8,
    /// The store cannot be read or written, or a process has it open.
    Unusable = 9,
    /// The message is stored, and the gateway went away before it told what became of it.
    NoReceipt = 10,
    /// Interrupted with Ctrl-C while it waited.
    Interrupted = 130,
}

/// The table of exit codes for the help.
pub(super) const HELP: &str = "\
Exit codes:
  0    done
  1    the answer is no: not delivered, a user offline, a broadcast cancelled;
       from `serve`: it could not start
  2    the command is wrong; nothing was sent
  3    no gateway was reached; nothing was done
  4    the gateway refused the key, the name or the version
  5    sent, but no answer came: it may or may not have been done
  6    the gateway declined the request (unknown product or job, no store, a limit, or it is busy:
       its answer says when to come again)
  7    from `store check`: a torn end, which the next start cuts off; a power cut leaves only what
       was never promised there, but who has cut a file short may have cut off more
  8    from `store check`: damaged; no gateway starts with it
  9    from `store`: it cannot be read or written, or a process has it open
  10   from `push --receipt`: stored, and the gateway went away before it told what became of it
  70   from `serve`: a part of the gateway failed, or a second signal ended it
  130  interrupted with Ctrl-C";

#[cfg(test)]
impl Exit {
    pub(super) const ALL: [Self; 12] = [
        Self::Done,
        Self::NotDelivered,
        Self::Usage,
        Self::Unreachable,
        Self::Refused,
        Self::NoAnswer,
        Self::Declined,
        Self::Torn,
        Self::Damaged,
        Self::Unusable,
        Self::NoReceipt,
        Self::Interrupted,
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    text: String,
    hint: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), hint: None }
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// The same failure, with other advice.
    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(out, "\n  try: {hint}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, hint) = match &error {
            Error::Invalid(_) | Error::OverWindow { .. } => (Exit::Usage, None),
            Error::Unreachable(attempts) => (Exit::Unreachable, attempts.last().map(unreachable)),
            Error::NotConnected { last } => (Exit::Unreachable, last.as_ref().map(unreachable)),
            Error::System(_) => (Exit::Unreachable, None),
            Error::Refused { close, .. } => (Exit::Refused, refused(close)),
            Error::Declined { .. } => (Exit::Declined, error.declined().and_then(declined)),
            Error::TimedOut(_) => (Exit::NoAnswer, Some(NO_ANSWER)),
            Error::ConnectionLost(_) => (Exit::NoAnswer, Some(UNKNOWN_FATE)),
            Error::WindowFull { .. } => (Exit::Declined, Some("again in a moment")),
            _ => (Exit::NoAnswer, None),
        };
        Self { exit, text: error.to_string(), hint: hint.map(str::to_owned) }
    }
}

/// What to try where nothing is stored.
pub(super) const NO_STORE: &str = "--class online: this gateway stores nothing";
/// What to try while the store takes nothing.
pub(super) const STORE_FULL: &str =
    "again when the gateway's disk has room: /readyz of the admin port says when";
const NO_ANSWER: &str = "`holdfast status` shows whether the gateway answers at all; it may have \
                         been done, so look before you repeat it; --timeout waits longer";
const PORTS: &str =
    "is that the backend API? Its port is 7600 by default; clients use 7500, admin 7700";
const UNKNOWN_FATE: &str = "it may have been done, so look before you repeat it";

fn unreachable(attempt: &Attempt) -> &'static str {
    match &attempt.cause {
        Cause::Io { kind: io::ErrorKind::ConnectionRefused, .. } => {
            "is the gateway running there? `holdfast serve` starts one; --api names another address"
        }
        Cause::Name(_) => "check the name after --api (or in HOLDFAST_API)",
        Cause::Protocol(_) | Cause::EndOfStream | Cause::NoWelcome(_) => PORTS,
        Cause::Closed(_) => "the gateway is there and takes nobody now; again in a moment",
        _ => "check the address after --api (or in HOLDFAST_API), the network and its firewalls",
    }
}

fn refused(close: &Close) -> Option<&'static str> {
    use holdfast_protocol::close::Code;
    match close.known()? {
        Code::BadToken | Code::ExpiredToken => Some(
            "give the key with HOLDFAST_API_KEY or --key-file, and with --name the name that the \
             gateway's auth.backend_keys has for it",
        ),
        // A port of another protocol cannot read our hello.
        Code::Malformed | Code::FrameTooLarge | Code::WrongState => Some(PORTS),
        Code::UnsupportedVersion => Some("use the `holdfast` program of the gateway's version"),
        _ => None,
    }
}

fn declined(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::UnknownProduct => Some("`products` in the gateway's configuration names them"),
        ErrorCode::UnknownJob => Some(
            "check the number, and with --api ask the gateway that took the broadcast: no other \
             one knows its job, also where they share a store; jobs that are long over are \
             forgotten",
        ),
        ErrorCode::NoStore => Some(NO_STORE),
        ErrorCode::StoreFull => Some(STORE_FULL),
        ErrorCode::StoreBusy => {
            Some("again in a moment; /readyz of the admin port says whether the store works")
        }
        ErrorCode::TooManyJobs => Some("again when a job is over, or cancel one"),
        ErrorCode::ShuttingDown => Some("another gateway, with --api"),
        _ => None,
    }
}

//! Which values of a shared list can occur in which family. The others are not counted there and
//! not shown: they would cost every scrape a line for each shard, and an operator a question.
//!
//! A value that is counted and not listed is a mistake in here, and ends a debug build.

use holdfast_protocol::close::Code;
use holdfast_protocol::error::Violation;

/// Why a client may not log in.
pub(super) const LOGIN_REFUSALS: &[Code] =
    &[Code::BadToken, Code::ExpiredToken, Code::UnknownProduct];

/// Why the connection of a client ends. One that is refused unread is counted elsewhere.
pub(super) const CLOSES: &[Code] = &[
    Code::GoingAway,
    Code::HeartbeatTimeout,
    Code::SlowReader,
    Code::HelloTimeout,
    Code::FrameTimeout,
    Code::Bye,
    Code::Malformed,
    Code::UnsupportedVersion,
    Code::BadToken,
    Code::ExpiredToken,
    Code::FrameTooLarge,
    Code::WrongState,
    Code::TooManyFrames,
    Code::AckFromTheFuture,
    Code::Replaced,
    Code::Kicked,
    Code::UnknownProduct,
];

/// Why the connection of a backend ends: it has no session, and no bye.
pub(super) const BACKEND_CLOSES: &[Code] = &[
    Code::GoingAway,
    Code::HeartbeatTimeout,
    Code::SlowReader,
    Code::HelloTimeout,
    Code::FrameTimeout,
    Code::Malformed,
    Code::UnsupportedVersion,
    Code::BadToken,
    Code::FrameTooLarge,
    Code::WrongState,
];

/// What a backend can do wrong: it acknowledges nothing, and its frames are bounded by its window.
pub(super) const BACKEND_VIOLATIONS: &[Violation] = &[
    Violation::FrameTooLarge,
    Violation::BadInteger,
    Violation::FieldPastEnd,
    Violation::TrailingBytes,
    Violation::NotUtf8,
    Violation::OutOfBounds,
    Violation::UnknownValue,
    Violation::UnknownKind,
    Violation::WrongState,
    Violation::UnsupportedVersion,
];

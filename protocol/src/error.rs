//! What a peer did wrong, and which close code it earns.

use crate::close::Code;
use core::fmt;

/// A peer broke the protocol. The connection ends with [`Violation::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A frame is longer than its direction allows; seen from the header alone.
    FrameTooLarge,
    /// An integer is longer than needed or too large.
    BadInteger,
    /// A field runs past the end of its frame.
    FieldPastEnd,
    /// Bytes stand behind the last field.
    TrailingBytes,
    /// A text is not UTF-8.
    NotUtf8,
    /// A field is longer, shorter, or greater than its bounds.
    OutOfBounds,
    /// A flag or an enumeration has a value that this version does not know.
    UnknownValue,
    /// A frame kind below [`crate::frame::SKIPPABLE`] that this direction does not have.
    UnknownKind,
    /// The frame may not come in this state.
    WrongState,
    /// The peer speaks a version that this side does not.
    UnsupportedVersion,
    /// An acknowledgement is greater than anything that was sent.
    AckFromTheFuture,
    /// More frames in a second than allowed.
    TooManyFrames,
}

impl Violation {
    /// Every violation, for counters and tables.
    pub const ALL: [Self; 12] = [
        Self::FrameTooLarge,
        Self::BadInteger,
        Self::FieldPastEnd,
        Self::TrailingBytes,
        Self::NotUtf8,
        Self::OutOfBounds,
        Self::UnknownValue,
        Self::UnknownKind,
        Self::WrongState,
        Self::UnsupportedVersion,
        Self::AckFromTheFuture,
        Self::TooManyFrames,
    ];

    /// The code with which the connection is closed.
    pub const fn close_code(self) -> Code {
        match self {
            Self::FrameTooLarge => Code::FrameTooLarge,
            Self::WrongState => Code::WrongState,
            Self::UnsupportedVersion => Code::UnsupportedVersion,
            Self::AckFromTheFuture => Code::AckFromTheFuture,
            Self::TooManyFrames => Code::TooManyFrames,
            Self::BadInteger
            | Self::FieldPastEnd
            | Self::TrailingBytes
            | Self::NotUtf8
            | Self::OutOfBounds
            | Self::UnknownValue
            | Self::UnknownKind => Code::Malformed,
        }
    }

    /// A word for logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrameTooLarge => "frame_too_large",
            Self::BadInteger => "bad_integer",
            Self::FieldPastEnd => "field_past_end",
            Self::TrailingBytes => "trailing_bytes",
            Self::NotUtf8 => "not_utf8",
            Self::OutOfBounds => "out_of_bounds",
            Self::UnknownValue => "unknown_value",
            Self::UnknownKind => "unknown_kind",
            Self::WrongState => "wrong_state",
            Self::UnsupportedVersion => "unsupported_version",
            Self::AckFromTheFuture => "ack_from_the_future",
            Self::TooManyFrames => "too_many_frames",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl core::error::Error for Violation {}

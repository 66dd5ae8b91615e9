//! Close codes: why a connection ended and whether to come back.
//!
//! 3000–3499: reconnect, after a backoff. 3500–3999: do not reconnect with the same identity and
//! the same program. The ranges are the ones that Centrifugo made known.

use core::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $word:literal;)*) => {
        /// Why a connection was closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Code { $($(#[$doc])* $name = $code,)* }

        impl Code {
            /// Every code, for counters and tables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code behind a number; `None` for one that this version does not know.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($code => Some(Self::$name),)* _ => None }
            }

            /// A word for logs and counters.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

codes! {
    /// The gateway shuts down.
    GoingAway = 3000, "going_away";
    /// Nothing was heard for one and a half heartbeats; from a backend, for at least two.
    HeartbeatTimeout = 3001, "heartbeat_timeout";
    /// The peer does not read what is sent to it.
    SlowReader = 3002, "slow_reader";
    /// The gateway is at a limit.
    Overloaded = 3003, "overloaded";
    /// No complete hello in time.
    HelloTimeout = 3004, "hello_timeout";
    /// A frame was begun and not finished in time.
    FrameTimeout = 3005, "frame_timeout";
    /// The gateway failed.
    Internal = 3006, "internal";
    /// The peer said bye; the code is counted, not sent.
    Bye = 3007, "bye";
    /// Bytes that are no valid frame.
    Malformed = 3500, "malformed";
    /// A version that the gateway does not speak.
    UnsupportedVersion = 3501, "unsupported_version";
    /// The token or API key is not valid for this identity.
    BadToken = 3502, "bad_token";
    /// The token was valid once; get a new one.
    ExpiredToken = 3503, "expired_token";
    /// A frame over its limit.
    FrameTooLarge = 3504, "frame_too_large";
    /// A frame that may not come in this state.
    WrongState = 3505, "wrong_state";
    /// More frames in a second than allowed.
    TooManyFrames = 3506, "too_many_frames";
    /// An acknowledgement of what was never sent.
    AckFromTheFuture = 3507, "ack_from_the_future";
    /// The same user logged in again.
    Replaced = 3508, "replaced";
    /// A backend or an operator ended the session.
    Kicked = 3509, "kicked";
    /// The gateway does not serve this product.
    UnknownProduct = 3510, "unknown_product";
}

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Whether a client should come back by itself.
    pub const fn reconnect(self) -> bool {
        self.number() < 3500
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.number(), self.name())
    }
}

//! Why a login is refused, for the log of the operator. The peer is told no more than [`Denied`],
//! for it may be guessing.

use super::Denied;
use jsonwebtoken::errors::ErrorKind;
use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What is wrong with a token: the first thing that is found, in the order of the checks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// A word for the log.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

// In the order of the checks: where several keys are tried, the one that came farthest speaks.
reasons! {
    /// The hello has no token, and the gateway has keys.
    NoToken = "no_token";
    /// It is longer than a token, or its header longer than a header, may be.
    TooLong = "too_long";
    /// It is no token of three parts, or its JSON is not as the standard has it.
    Malformed = "malformed";
    /// Its header demands an extension (`crit`), and none is known.
    UnknownExtension = "unknown_extension";
    /// Its header names a key that the gateway does not have.
    UnknownKid = "unknown_kid";
    /// Its algorithm is not that of the key.
    Algorithm = "algorithm";
    /// Its signature is of no key, or of another than the one that it names.
    Signature = "signature";
    /// Its claims are signed, and not as the standard has them.
    BadClaims = "bad_claims";
    /// It has no `sub`, or not as a text.
    MissingSubject = "missing_sub";
    /// It has no `aud`, or not as texts.
    MissingAudience = "missing_aud";
    /// It is another user's.
    Subject = "subject";
    /// It is for another product.
    Audience = "audience";
    /// It has no `exp`.
    MissingExpiry = "missing_exp";
    /// Its `nbf` is still to come.
    NotYetValid = "not_yet_valid";
    /// Its `exp` is past.
    Expired = "expired";
}

impl Reason {
    /// What the one who is refused is told.
    pub const fn denied(self) -> Denied {
        match self {
            Self::Expired => Denied::Expired,
            _ => Denied::BadToken,
        }
    }

    /// The reason behind an error of the library that takes tokens apart.
    pub(super) fn of(error: &ErrorKind) -> Self {
        match error {
            ErrorKind::InvalidAlgorithm
            | ErrorKind::InvalidAlgorithmName
            | ErrorKind::UnsupportedAlgorithm => Self::Algorithm,
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::MissingRequiredClaim(claim) if claim == "sub" => Self::MissingSubject,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Self::MissingAudience,
            ErrorKind::InvalidSubject => Self::Subject,
            ErrorKind::InvalidAudience => Self::Audience,
            // The header was read before, so this is of the claims.
            ErrorKind::Json(_) | ErrorKind::Utf8(_) => Self::BadClaims,
            _ => Self::Malformed,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl std::error::Error for Reason {}

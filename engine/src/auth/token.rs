//! Takes a JSON Web Token apart: the compact form of RFC 7515 with the claims of RFC 7519.
//!
//! Texts are borrowed from the decoded bytes, but for those with escapes. A claim that stands twice
//! is an error, since two readers might choose differently; claims with other names are passed over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_protocol::limits::TOKEN_BYTES;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Room for any part of a token after decoding.
pub(super) type Room = [u8; TOKEN_BYTES / 4 * 3];

/// The three parts of a token, still encoded.
pub(super) struct Parts<'a> {
    pub(super) header: &'a [u8],
    pub(super) claims: &'a [u8],
    pub(super) signature: &'a [u8],
    /// What the signature is of: header, dot and claims as they were sent.
    pub(super) signed: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits a token of at most [`TOKEN_BYTES`] bytes at its two dots.
    pub(super) fn split(token: &'a [u8]) -> Option<Self> {
        if token.len() > TOKEN_BYTES {
            return None;
        }
        let is_dot = |byte: &u8| *byte == b'.';
        let end_of_claims = token.iter().rposition(is_dot)?;
        let (signed, signature) = (&token[..end_of_claims], &token[end_of_claims + 1..]);
        let mut parts = signed.split(is_dot);
        let (header, claims) = (parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Self { header, claims, signature, signed })
    }
}

/// Decodes base64url without padding, as RFC 7515 has it.
pub(super) fn decode<'a>(part: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(part, room).ok()?;
    room.get(..length)
}

/// Reads a JSON object. A list is refused, though it could stand for the fields in their order.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

/// A text, borrowed where it has no escapes.
#[derive(Deserialize, PartialEq)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What a token says about its signature.
#[derive(Deserialize)]
pub(super) struct Header<'a> {
    #[serde(borrow)]
    pub(super) alg: Text<'a>,
    #[serde(borrow, default)]
    pub(super) kid: Option<Text<'a>>,
    /// Extensions that must be understood. None is, so a token that has them is refused.
    #[serde(default)]
    pub(super) crit: Option<IgnoredAny>,
}

/// What a token says about its bearer.
#[derive(Deserialize)]
pub(super) struct Claims<'a> {
    #[serde(borrow)]
    pub(super) sub: Text<'a>,
    #[serde(borrow)]
    pub(super) aud: Audience<'a>,
    pub(super) exp: Date,
    #[serde(default)]
    pub(super) nbf: Option<Date>,
}

/// Whom a token is for: one text, or a list of them.
pub(super) enum Audience<'a> {
    One(Text<'a>),
    Many(Vec<Text<'a>>),
}

impl Audience<'_> {
    pub(super) fn contains(&self, product: &str) -> bool {
        match self {
            Self::One(one) => one.0 == product,
            Self::Many(many) => many.iter().any(|each| each.0 == product),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Audience<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Audience<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text or a list of texts")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Audience::One(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Audience::One(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut many = Vec::new();
                while let Some(item) = items.next_element()? {
                    many.push(item);
                }
                Ok(Audience::Many(many))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

/// Seconds since 1970 UTC, cut to whole ones; before 1970 is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date(pub(super) u64);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = Date;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number of seconds")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Date, E> {
                Ok(Date(seconds))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Date, E> {
                Ok(Date(u64::try_from(seconds).unwrap_or(0)))
            }

            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the cast saturates at both ends, which is what is meant"
            )]
            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Date, E> {
                Ok(Date(seconds as u64))
            }
        }

        deserializer.deserialize_any(Seconds)
    }
}

//! Login tokens of clients.

use super::key::{Dates, Key, KeyError};
use super::{Denied, Reason};
use crate::config::Auth;
use holdfast_protocol::limits::TOKEN_BYTES;
use std::fmt;

/// Longest header of a token, in bytes of base64url. It is read before the signature is checked
/// and kept whole, field by field; the bound keeps what a forger can make that cost below the check
/// of an Ed25519 signature, which he can ask for anyway.
const HEADER_BYTES: usize = 512;

/// The keys that check tokens, prepared. Cheap to clone for each shard.
#[derive(Clone)]
pub struct ClientAuth {
    keys: Vec<Key>,
    /// In seconds.
    leeway: f64,
}

impl ClientAuth {
    /// Prepares the keys of a configuration. Without a key, every login is accepted.
    ///
    /// # Errors
    /// A key is none.
    pub fn new(auth: &Auth) -> Result<Self, KeyError> {
        let keys = auth.client_keys.iter().map(Key::new).collect::<Result<_, _>>()?;
        Ok(Self { keys, leeway: seconds(auth.leeway.as_secs()) })
    }

    /// Whether every login is accepted, since there is no key.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks that `token` lets `user` of `product` in at `now`, in seconds since 1970 UTC.
    ///
    /// The claims: `sub` is the user, `aud` is or contains the product, `exp` is to come, and
    /// `nbf`, where there is one, is past. The header's `kid` names the key; without it every key
    /// is tried.
    /// A header of more than 512 bytes in base64url, or with `crit`, is refused.
    ///
    /// # Errors
    /// [`Denied::Expired`] for a token that was good in all else, otherwise [`Denied::BadToken`].
    pub fn check(&self, product: &str, user: &str, token: &[u8], now: u64) -> Result<(), Denied> {
        self.examine(product, user, token, now).map_err(Reason::denied)
    }

    /// As [`ClientAuth::check`], with what is wrong for the operator alone.
    ///
    /// # Errors
    /// What is wrong with the token; of several keys that were tried, what the one that came
    /// farthest found.
    pub fn examine(&self, product: &str, user: &str, token: &[u8], now: u64) -> Result<(), Reason> {
        if self.is_open() {
            return Ok(());
        }
        let header_ends = token.iter().take(HEADER_BYTES + 1).any(|byte| *byte == b'.');
        if token.is_empty() {
            return Err(Reason::NoToken);
        }
        if token.len() > TOKEN_BYTES || (token.len() > HEADER_BYTES && !header_ends) {
            return Err(Reason::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Reason::Malformed)?;
        // Extensions that must be understood: none is.
        if header.crit.is_some() {
            return Err(Reason::UnknownExtension);
        }
        let mut farthest = Reason::UnknownKid;
        let named = |key: &&Key| header.kid.as_ref().is_none_or(|kid| *kid == key.id);
        for key in self.keys.iter().filter(named) {
            match key.dates(token, product, user) {
                Ok(dates) => return self.holds(&dates, seconds(now)),
                Err(reason) => farthest = farthest.max(reason),
            }
        }
        Err(farthest)
    }

    /// Whether a token with these dates holds at `now`.
    fn holds(&self, dates: &Dates, now: f64) -> Result<(), Reason> {
        let exp = dates.exp.ok_or(Reason::MissingExpiry)?;
        if dates.nbf.is_some_and(|nbf| now + self.leeway < nbf) {
            return Err(Reason::NotYetValid);
        }
        if now >= exp + self.leeway { Err(Reason::Expired) } else { Ok(()) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for the next 285 million years")]
const fn seconds(whole: u64) -> f64 {
    whole as f64
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

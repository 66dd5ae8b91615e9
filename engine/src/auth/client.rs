//! Login tokens of clients.

use super::Denied;
use super::key::{Key, KeyError};
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
        if self.is_open() {
            return Ok(());
        }
        let header_ends = token.iter().take(HEADER_BYTES + 1).any(|byte| *byte == b'.');
        if token.len() > TOKEN_BYTES || !header_ends {
            return Err(Denied::BadToken);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Denied::BadToken)?;
        // Extensions that must be understood: none is.
        if header.crit.is_some() {
            return Err(Denied::BadToken);
        }
        let named = |key: &&Key| header.kid.as_ref().is_none_or(|kid| *kid == key.id);
        let mut tried = self.keys.iter().filter(named);
        let dates =
            tried.find_map(|key| key.dates(token, product, user)).ok_or(Denied::BadToken)?;
        let now = seconds(now);
        if dates.nbf.is_some_and(|nbf| now + self.leeway < nbf) {
            return Err(Denied::BadToken);
        }
        if now >= dates.exp + self.leeway { Err(Denied::Expired) } else { Ok(()) }
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

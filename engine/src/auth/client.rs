//! Login tokens of clients.

use super::Denied;
use super::key::{Key, KeyError};
use super::token::{self, Claims, Header, Parts, Room};
use crate::config::Auth;
use holdfast_protocol::limits::TOKEN_BYTES;
use std::fmt;

/// The keys that check tokens, prepared. Cheap to clone for each shard.
#[derive(Clone)]
pub struct ClientAuth {
    keys: Vec<Key>,
    leeway: u64,
}

impl ClientAuth {
    /// Prepares the keys of a configuration. Without a key, every login is accepted.
    ///
    /// # Errors
    /// A key is none.
    pub fn new(auth: &Auth) -> Result<Self, KeyError> {
        let keys = auth.client_keys.iter().map(Key::new).collect::<Result<_, _>>()?;
        Ok(Self { keys, leeway: auth.leeway.as_secs() })
    }

    /// Whether every login is accepted, since there is no key.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks that `token` lets `user` of `product` in at `now`, in seconds since 1970 UTC.
    ///
    /// The claims: `sub` is the user, `aud` is or contains the product, `exp` is to come, and `nbf`,
    /// where there is one, is past. The header's `kid` names the key; without it every key is tried.
    ///
    /// # Errors
    /// [`Denied::Expired`] for a token that was good in all else, otherwise [`Denied::BadToken`].
    pub fn check(&self, product: &str, user: &str, token: &[u8], now: u64) -> Result<(), Denied> {
        if self.is_open() {
            return Ok(());
        }
        let parts = Parts::split(token).ok_or(Denied::BadToken)?;
        let mut room: Room = [0; TOKEN_BYTES / 4 * 3];
        if !self.is_signed(&parts, &mut room) {
            return Err(Denied::BadToken);
        }
        let claims = token::decode(parts.claims, &mut room).ok_or(Denied::BadToken)?;
        let claims: Claims<'_> = token::read(claims).ok_or(Denied::BadToken)?;
        let too_early = claims.nbf.is_some_and(|nbf| now.saturating_add(self.leeway) < nbf.0);
        if claims.sub.0 != user || !claims.aud.contains(product) || too_early {
            return Err(Denied::BadToken);
        }
        if now >= claims.exp.0.saturating_add(self.leeway) { Err(Denied::Expired) } else { Ok(()) }
    }

    /// Whether one of the keys that the header admits made the signature.
    fn is_signed(&self, parts: &Parts<'_>, room: &mut Room) -> bool {
        // An Ed25519 signature has 64 bytes, which is the longest; the rest is slack for base64.
        let mut signature = [0; 72];
        let Some(signature) = token::decode(parts.signature, &mut signature) else { return false };
        let Some(header) = token::decode(parts.header, room) else { return false };
        let Some(header) = token::read::<Header<'_>>(header) else { return false };
        let named = |key: &&Key| header.kid.as_ref().is_none_or(|kid| kid.0 == key.id);
        let agrees = |key: &&Key| header.alg.0 == key.algorithm().name();
        let mut keys = self.keys.iter().filter(named).filter(agrees);
        header.crit.is_none() && keys.any(|key| key.signed(parts.signed, signature))
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

//! API keys of backends.

use super::Denied;
use crate::config::Auth;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// A secret of which the hash alone is kept.
#[derive(Clone)]
pub(crate) struct HashedSecret([u8; 32]);

impl HashedSecret {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether `given` is this secret. The time it takes tells nothing about it, nor its length.
    pub(crate) fn is(&self, given: &[u8]) -> Choice {
        self.is_same(&Self::new(given))
    }

    fn is_same(&self, other: &Self) -> Choice {
        self.0[..].ct_eq(&other.0[..])
    }
}

/// The keys of every backend, ready to check.
///
/// Hashes are kept and compared, so that neither the time of a check nor the memory of the process
/// tells a key or its length.
#[derive(Clone)]
pub struct BackendAuth {
    keys: Vec<(String, HashedSecret)>,
}

impl BackendAuth {
    /// Prepares the keys of a configuration. Without a key, every backend is let in.
    pub fn new(auth: &Auth) -> Self {
        let hashed = |key: &crate::config::BackendKey| {
            (key.name.clone(), HashedSecret::new(key.material.secret.expose()))
        };
        Self { keys: auth.backend_keys.iter().map(hashed).collect() }
    }

    /// Whether everybody is let in, since there is no key.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks that `key` is one of the keys of `name`. It takes as long for any key and any name.
    ///
    /// # Errors
    /// [`Denied::BadToken`].
    pub fn check(&self, name: &str, key: &[u8]) -> Result<(), Denied> {
        if self.is_open() {
            return Ok(());
        }
        let given = HashedSecret::new(key);
        let fits = |(owner, known): &(String, HashedSecret)| {
            Choice::from(u8::from(owner == name)) & known.is_same(&given)
        };
        let found = self.keys.iter().fold(Choice::from(0), |found, each| found | fits(each));
        if found.into() { Ok(()) } else { Err(Denied::BadToken) }
    }
}

impl fmt::Debug for BackendAuth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.keys.iter().map(|(name, _)| name)).finish()
    }
}

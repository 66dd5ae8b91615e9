//! API keys of backends.

use super::Denied;
use crate::config::Auth;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The keys of every backend, ready to check.
///
/// Hashes are kept and compared, so that neither the time of a check nor the memory of the process
/// tells a key or its length.
#[derive(Clone)]
pub struct BackendAuth {
    keys: Vec<(String, [u8; 32])>,
}

impl BackendAuth {
    /// Prepares the keys of a configuration. Without a key, every backend is let in.
    pub fn new(auth: &Auth) -> Self {
        let hashed = |key: &crate::config::BackendKey| {
            (key.name.clone(), Sha256::digest(key.material.secret.expose()).into())
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
        let hash: [u8; 32] = Sha256::digest(key).into();
        let fits = |(owner, known): &(String, [u8; 32])| {
            Choice::from(u8::from(owner == name)) & known[..].ct_eq(&hash[..])
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

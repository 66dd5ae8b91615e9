//! Keys that check tokens, each with the rules that its tokens must keep.

use super::{Reason, provider};
use crate::config::{self, ClientKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use std::fmt;

/// A key of the configuration is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError {
    /// The id of the key.
    pub id: String,
    /// What it should be.
    pub wanted: &'static str,
}

impl fmt::Display for KeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the key \"{}\" is not {}", self.id, self.wanted)
    }
}

impl std::error::Error for KeyError {}

/// When a token holds, in seconds since 1970 UTC. Numbers only, whole or not, as RFC 7519 has them.
#[derive(Deserialize)]
pub(super) struct Dates {
    pub(super) exp: Option<f64>,
    pub(super) nbf: Option<f64>,
}

/// A key with its id.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    checks: DecodingKey,
    rules: Validation,
}

impl Key {
    pub(super) fn new(key: &ClientKey) -> Result<Self, KeyError> {
        provider::install();
        let bytes = key.material.secret.expose();
        let (algorithm, checks) = match key.algorithm {
            config::Algorithm::Hs256 => (Algorithm::HS256, DecodingKey::from_secret(bytes)),
            config::Algorithm::EdDsa => {
                let wanted = "an Ed25519 public key, as PEM or as base64url of its 32 bytes";
                let public = public_key(bytes).ok_or(KeyError { id: key.id.clone(), wanted })?;
                (Algorithm::EdDSA, DecodingKey::from_ed_der(public.as_bytes()))
            }
        };
        Ok(Self { id: key.id.clone(), checks, rules: rules(algorithm) })
    }

    /// The dates of a token that this key signed, with its own algorithm, for this user of this
    /// product. Whether it holds now is not asked.
    pub(super) fn dates(&self, token: &[u8], product: &str, user: &str) -> Result<Dates, Reason> {
        let mut rules = self.rules.clone();
        rules.set_audience(&[product]);
        rules.sub = Some(user.to_owned());
        let read = jsonwebtoken::decode(token, &self.checks, &rules);
        read.map(|token| token.claims).map_err(|error| Reason::of(error.kind()))
    }
}

/// What every token of a key must keep. The key decides the algorithm, never the token.
fn rules(algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.set_required_spec_claims(&["sub", "aud"]);
    // The crate would read the clock; here the time is an argument, and `exp` is demanded with it.
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules
}

fn public_key(bytes: &[u8]) -> Option<VerifyingKey> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let key = if text.starts_with("-----BEGIN") {
        VerifyingKey::from_public_key_pem(text).ok()?
    } else {
        let mut raw = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut raw).ok()?;
        (length == raw.len()).then(|| VerifyingKey::from_bytes(&raw).ok())??
    };
    (!key.is_weak()).then_some(key)
}

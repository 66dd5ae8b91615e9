//! Keys that check signatures, prepared so that a check does no set-up.

use crate::config::{Algorithm, ClientKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
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

/// A key with its id.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    verifier: Verifier,
}

#[derive(Clone)]
enum Verifier {
    /// The state of the hash after the key's own blocks: a check clones it.
    Hmac(Hmac<Sha256>),
    Ed25519(Box<VerifyingKey>),
}

impl Key {
    pub(super) fn new(key: &ClientKey) -> Result<Self, KeyError> {
        let wanted = |wanted| KeyError { id: key.id.clone(), wanted };
        let bytes = key.material.secret.expose();
        let verifier = match key.algorithm {
            Algorithm::Hs256 => {
                let hmac = Hmac::new_from_slice(bytes);
                Verifier::Hmac(hmac.map_err(|_| wanted("a secret"))?)
            }
            Algorithm::EdDsa => {
                let public = public_key(bytes).ok_or_else(|| {
                    wanted("an Ed25519 public key, as PEM or as base64url of its 32 bytes")
                })?;
                Verifier::Ed25519(Box::new(public))
            }
        };
        Ok(Self { id: key.id.clone(), verifier })
    }

    /// What it signs with: a property of the key, never of the token.
    pub(super) const fn algorithm(&self) -> Algorithm {
        match self.verifier {
            Verifier::Hmac(_) => Algorithm::Hs256,
            Verifier::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether `signature` is this key's for `signed`.
    pub(super) fn signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Hmac(ready) => {
                let mut hmac = ready.clone();
                hmac.update(signed);
                // Compares the whole tag in constant time.
                hmac.verify_slice(signature).is_ok()
            }
            // Strict: a key of small order, or a signature with a second spelling, is refused.
            Verifier::Ed25519(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok()),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Material, Secret};

    #[track_caller]
    fn signed(algorithm: Algorithm, secret: Vec<u8>, signed: &str, signature: &str) -> bool {
        let material = Material { file: None, secret: Secret::new(secret) };
        let key = Key::new(&ClientKey { id: "k".to_owned(), algorithm, material }).unwrap();
        key.signed(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
    }

    #[test]
    fn the_signature_of_rfc_7515_appendix_a_1_holds() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
            .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(signed(Algorithm::Hs256, key.clone(), text, signature));
        assert!(!signed(Algorithm::Hs256, key, &text[1..], signature));
    }

    #[test]
    fn the_signature_of_rfc_8037_appendix_a_4_holds() {
        let key = b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_vec();
        let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt\
            9g7sVvpAr_MuM0KAg";
        assert!(signed(Algorithm::EdDsa, key.clone(), text, signature));
        assert!(!signed(Algorithm::EdDsa, key, &text[1..], signature));
    }
}

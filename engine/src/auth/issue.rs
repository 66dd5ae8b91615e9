//! Makes login tokens: for tests, for `holdfast token`, and as a pattern for those who write their
//! own.

use super::key::KeyError;
use crate::config::{Algorithm, ClientKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

/// What a token says.
#[derive(Debug, Clone, Serialize)]
pub struct Claims<'a> {
    /// The user.
    #[serde(rename = "sub")]
    pub user: &'a str,
    /// The products that the token is for.
    #[serde(rename = "aud")]
    pub products: &'a [&'a str],
    /// From when it is good, in seconds since 1970 UTC.
    #[serde(rename = "nbf", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    /// Until when it is good, in seconds since 1970 UTC.
    #[serde(rename = "exp")]
    pub expires: u64,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

/// A key that makes tokens.
pub struct Signer {
    id: String,
    kind: Kind,
}

enum Kind {
    Hmac(Hmac<Sha256>),
    Ed25519(Box<SigningKey>),
}

impl Signer {
    /// The signer for an HS256 key of the configuration.
    ///
    /// # Errors
    /// It is an Ed25519 key: the configuration has its public half alone.
    pub fn from_key(key: &ClientKey) -> Result<Self, KeyError> {
        match key.algorithm {
            Algorithm::Hs256 => Self::hmac(&key.id, key.material.secret.expose()),
            Algorithm::EdDsa => {
                Err(KeyError { id: key.id.clone(), wanted: "one that can sign; it is public" })
            }
        }
    }

    /// A signer with an HS256 secret.
    ///
    /// # Errors
    /// The secret is none.
    pub fn hmac(id: &str, secret: &[u8]) -> Result<Self, KeyError> {
        let hmac = Hmac::new_from_slice(secret);
        let hmac = hmac.map_err(|_| KeyError { id: id.to_owned(), wanted: "a secret" })?;
        Ok(Self { id: id.to_owned(), kind: Kind::Hmac(hmac) })
    }

    /// A signer with an Ed25519 private key in PEM (PKCS #8, as `openssl genpkey -algorithm ed25519`
    /// writes it).
    ///
    /// # Errors
    /// It is no such key.
    pub fn ed25519(id: &str, pem: &str) -> Result<Self, KeyError> {
        let wanted = "an Ed25519 private key in PEM";
        let key = SigningKey::from_pkcs8_pem(pem);
        let key = key.map_err(|_| KeyError { id: id.to_owned(), wanted })?;
        Ok(Self { id: id.to_owned(), kind: Kind::Ed25519(Box::new(key)) })
    }

    /// A token that says `claims`, naming this key in its header.
    pub fn issue(&self, claims: &Claims<'_>) -> String {
        let alg = match self.kind {
            Kind::Hmac(_) => Algorithm::Hs256,
            Kind::Ed25519(_) => Algorithm::EdDsa,
        };
        let header = Header { alg: alg.name(), typ: "JWT", kid: &self.id };
        let mut token = format!("{}.{}", part(&header), part(claims));
        let signature = match &self.kind {
            Kind::Hmac(ready) => {
                let hmac = ready.clone().chain_update(&token);
                URL_SAFE_NO_PAD.encode(hmac.finalize().into_bytes())
            }
            Kind::Ed25519(key) => URL_SAFE_NO_PAD.encode(key.sign(token.as_bytes()).to_bytes()),
        };
        token.push('.');
        token.push_str(&signature);
        token
    }
}

/// A part of a token: JSON in base64url.
fn part(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("texts and numbers alone always become JSON");
    URL_SAFE_NO_PAD.encode(json)
}

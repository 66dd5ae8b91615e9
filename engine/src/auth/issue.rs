//! Makes login tokens: for tests, for `holdfast token`, and as a pattern for those who write their
//! own.

use super::key::KeyError;
use super::provider;
use crate::config::{self, ClientKey};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

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

/// A key that makes tokens.
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

impl Signer {
    /// The signer for an HS256 key of the configuration.
    ///
    /// # Errors
    /// It is an Ed25519 key: the configuration has its public half alone.
    pub fn from_key(key: &ClientKey) -> Result<Self, KeyError> {
        match key.algorithm {
            config::Algorithm::Hs256 => Self::hmac(&key.id, key.material.secret.expose()),
            config::Algorithm::EdDsa => {
                Err(KeyError { id: key.id.clone(), wanted: "one that can sign; it is public" })
            }
        }
    }

    /// A signer with an HS256 secret.
    ///
    /// # Errors
    /// The secret is empty.
    pub fn hmac(id: &str, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.is_empty() {
            return Err(KeyError { id: id.to_owned(), wanted: "a secret" });
        }
        Ok(Self::new(id, Algorithm::HS256, EncodingKey::from_secret(secret)))
    }

    /// A signer with an Ed25519 private key in PEM (PKCS #8, as
    /// `openssl genpkey -algorithm ed25519` writes it).
    ///
    /// # Errors
    /// It is no such key.
    pub fn ed25519(id: &str, pem: &str) -> Result<Self, KeyError> {
        let wanted = "an Ed25519 private key in PEM";
        let der = SigningKey::from_pkcs8_pem(pem).and_then(|key| key.to_pkcs8_der());
        let der = der.map_err(|_| KeyError { id: id.to_owned(), wanted })?;
        Ok(Self::new(id, Algorithm::EdDSA, EncodingKey::from_ed_der(der.as_bytes())))
    }

    fn new(id: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        provider::install();
        Self { header: Header { kid: Some(id.to_owned()), ..Header::new(algorithm) }, key }
    }

    /// A token that says `claims`, naming this key in its header.
    pub fn issue(&self, claims: &Claims<'_>) -> String {
        jsonwebtoken::encode(&self.header, claims, &self.key)
            .expect("the key is of the header's algorithm, and texts and numbers become JSON")
    }
}

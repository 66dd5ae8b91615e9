//! Login tokens: a JWT signed with HMAC-SHA256, made for one user.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long a token is good for: longer than any run.
const GOOD_FOR_SECONDS: u64 = 24 * 3600;

/// Signs tokens with one key.
#[derive(Clone)]
pub(crate) struct Signer {
    keyed: Hmac<Sha256>,
    header: String,
    expires: u64,
}

impl Signer {
    /// A signer with `secret`; `key_id` names the key to a gateway that has several. `now` is in
    /// seconds since 1970.
    ///
    /// # Errors
    /// The secret cannot be a key.
    pub(crate) fn new(secret: &[u8], key_id: Option<&str>, now: u64) -> Result<Self, String> {
        let keyed = Hmac::new_from_slice(secret).map_err(|error| error.to_string())?;
        let mut header = serde_json::json!({ "alg": "HS256", "typ": "JWT" });
        if let Some(id) = key_id {
            header["kid"] = id.into();
        }
        let header = BASE64.encode(header.to_string());
        Ok(Self { keyed, header, expires: now + GOOD_FOR_SECONDS })
    }

    /// A token for `user` of `product`.
    pub(crate) fn sign(&self, product: &str, user: &str) -> String {
        let claims = serde_json::json!({ "sub": user, "aud": product, "exp": self.expires });
        let mut token = format!("{}.{}", self.header, BASE64.encode(claims.to_string()));
        let mut mac = self.keyed.clone();
        mac.update(token.as_bytes());
        let signature = BASE64.encode(mac.finalize().into_bytes());
        token.push('.');
        token.push_str(&signature);
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_user_and_bears_its_signature() {
        let signer = Signer::new(b"secret", Some("k1"), 1_000).unwrap();
        let token = signer.sign("demo", "user-1");
        let parts: Vec<&str> = token.split('.').collect();
        let header = String::from_utf8(BASE64.decode(parts[0]).unwrap()).unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&BASE64.decode(parts[1]).unwrap()).unwrap();
        assert!(header.contains(r#""alg":"HS256""#) && header.contains(r#""kid":"k1""#));
        assert_eq!((&claims["sub"], &claims["aud"]), (&"user-1".into(), &"demo".into()));
        assert_eq!(claims["exp"], 1_000 + GOOD_FOR_SECONDS);
        let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
        mac.update(format!("{}.{}", parts[0], parts[1]).as_bytes());
        assert!(mac.verify_slice(&BASE64.decode(parts[2]).unwrap()).is_ok());
    }
}

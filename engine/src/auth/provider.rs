//! The primitives below `jsonwebtoken`: HMAC-SHA256 and Ed25519 of `RustCrypto` and dalek.
//!
//! The crate takes tokens apart and judges their claims; the arithmetic it asks of a provider, and
//! those that come with it bring RSA and curves that no token here may use. What cannot happen: a
//! key that serves an algorithm of another family, or an algorithm that is neither HS256 nor
//! `EdDSA`. What this does not do: JSON Web Keys. The crate's functions for them would panic;
//! nothing calls them.

use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use sha2::Sha256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the provider of the process. Whoever makes a key calls it, so no key is without it.
pub(super) fn install() {
    // An error says that it was done before, which is as good.
    let _ = PROVIDER.install_default();
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the crate asks for this signature")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(key.as_bytes())?)),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            let key = SigningKey::from_pkcs8_der(key.as_bytes());
            Ok(Box::new(Ed25519Signer(key.map_err(|_| ErrorKind::InvalidEddsaKey)?)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the crate asks for this signature")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let bytes = key.try_get_as_bytes()?;
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(bytes)?)),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            let key = VerifyingKey::try_from(bytes);
            Ok(Box::new(Ed25519Verifier(key.map_err(|_| ErrorKind::InvalidEddsaKey)?)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(secret: &[u8]) -> Result<Self> {
        let hmac = Hmac::new_from_slice(secret);
        Ok(Self(hmac.map_err(|_| ErrorKind::InvalidKeyFormat)?))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        // Compares the whole tag in constant time.
        let hmac = self.0.clone().chain_update(message);
        hmac.verify_slice(signature).map_err(|_| Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct Ed25519Signer(SigningKey);

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).to_vec())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Ed25519Verifier(VerifyingKey);

impl Verifier<Vec<u8>> for Ed25519Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let signature = Signature::from_slice(signature).map_err(|_| Error::new())?;
        // Strict: a key of small order, or a signature with a second spelling, is refused.
        self.0.verify_strict(message, &signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Ed25519Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::crypto::verify;

    #[track_caller]
    fn holds(key: &DecodingKey, algorithm: Algorithm, signed: &str, signature: &str) -> bool {
        install();
        verify(signature, signed.as_bytes(), key, algorithm).unwrap()
    }

    #[test]
    fn the_signature_of_rfc_7515_appendix_a_1_holds() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUu\
            TwjAzZr1Z9CAow";
        let key = DecodingKey::from_secret(&URL_SAFE_NO_PAD.decode(key).unwrap());
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
            .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290\
            Ijp0cnVlfQ";
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(holds(&key, Algorithm::HS256, text, signature));
        assert!(!holds(&key, Algorithm::HS256, &text[1..], signature));
    }

    #[test]
    fn the_signature_of_rfc_8037_appendix_a_4_holds() {
        let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = DecodingKey::from_ed_components(key).unwrap();
        let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt\
            9g7sVvpAr_MuM0KAg";
        assert!(holds(&key, Algorithm::EdDSA, text, signature));
        assert!(!holds(&key, Algorithm::EdDSA, &text[1..], signature));
    }

    #[test]
    fn a_key_serves_its_own_family_and_no_further_algorithm() {
        install();
        let secret = DecodingKey::from_secret(&[7; 32]);
        let public = DecodingKey::from_ed_components("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let public = public.unwrap();
        for algorithm in [Algorithm::EdDSA, Algorithm::HS384, Algorithm::HS512, Algorithm::RS256] {
            assert!(verify("AA", b"x", &secret, algorithm).is_err(), "{algorithm:?}");
        }
        for algorithm in [Algorithm::HS256, Algorithm::HS512, Algorithm::ES256, Algorithm::PS256] {
            assert!(verify("AA", b"x", &public, algorithm).is_err(), "{algorithm:?}");
        }
    }
}

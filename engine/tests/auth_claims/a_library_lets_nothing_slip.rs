//! What readers of tokens are known to let slip is refused: another algorithm, a key that the token
//! brings along, a claim that stands twice or is of another kind, and the clock of the host.

use super::*;

const SOON: u64 = NOW + 1;

fn body() -> String {
    format!("{{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":{SOON}}}")
}

/// Keys of both kinds, as while one takes over from the other.
fn both() -> ClientAuth {
    clients(&(hmac_key("k", SECRET) + &ed_key("e", PUBLIC)))
}

#[track_caller]
fn refused(auth: &ClientAuth, token: &str, why: &str) {
    assert_eq!(check(auth, token), Err(Denied::BadToken), "{why}");
}

#[test]
fn a_public_key_is_no_secret_though_secrets_are_admitted() {
    let pem = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    for header in [
        "{\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"kid\":\"e\"}",
        "{\"alg\":\"HS256\",\"kid\":\"k\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"e\"}",
    ] {
        for secret in [PUBLIC, pem, pem.trim()] {
            refused(&both(), &raw(header, &body(), secret), header);
        }
    }
    // The kid of a public key does not open the way for a secret, nor the other way round.
    refused(&both(), &raw("{\"alg\":\"HS256\",\"kid\":\"e\"}", &body(), SECRET), "the secret");
    let signer = Signer::ed25519("k", PRIVATE_PEM).unwrap();
    refused(&both(), &signer.issue(&claims()), "the private key");
}

#[test]
fn a_longer_hash_of_the_right_secret_is_refused() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let header = URL_SAFE_NO_PAD.encode("{\"alg\":\"HS512\"}");
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body()));
    let hmac = Hmac::<sha2::Sha512>::new_from_slice(SECRET.as_bytes()).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(hmac.chain_update(&signed).finalize().into_bytes());
    refused(&both(), &format!("{signed}.{signature}"), "HS512");
}

#[test]
fn none_is_no_algorithm_in_any_spelling() {
    for alg in ["\"none\"", "\"NONE\"", "\"\"", "null", "{\"none\":null}", "[\"none\"]", "0"] {
        let header = format!("{{\"alg\":{alg}}}");
        let signed = raw(&header, &body(), SECRET);
        let unsigned = signed.rsplit_once('.').unwrap().0.to_owned();
        for token in [signed, unsigned.clone() + ".", unsigned] {
            refused(&both(), &token, &header);
        }
    }
    refused(&both(), &raw("{\"typ\":\"JWT\"}", &body(), SECRET), "no algorithm");
    let empty = raw("{\"alg\":\"HS256\"}", &body(), "");
    refused(&both(), &empty, "a signature with the empty secret");
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let key = URL_SAFE_NO_PAD.encode(OTHER);
    for header in [
        format!("{{\"alg\":\"HS256\",\"jwk\":{{\"kty\":\"oct\",\"k\":\"{key}\"}}}}"),
        format!("{{\"alg\":\"HS256\",\"kid\":\"k\",\"jwk\":{{\"kty\":\"oct\",\"k\":\"{key}\"}}}}"),
        "{\"alg\":\"HS256\",\"jku\":\"https://example.com/keys\"}".to_owned(),
    ] {
        refused(&both(), &raw(&header, &body(), OTHER), &header);
    }
}

#[test]
fn what_stands_twice_is_refused_though_both_agree() {
    let header = "{\"alg\":\"HS256\"}";
    for twice in [
        "\"sub\":\"ann\"",
        "\"s\\u0075b\":\"ann\"",
        "\"aud\":\"demo\"",
        "\"aud\":[\"demo\"]",
        "\"exp\":1800000001",
        "\"\\u0065xp\":1800000001",
        "\"nbf\":1,\"nbf\":1",
        "\"nbf\":null,\"nbf\":1800009999",
        "\"nbf\":1800009999,\"nbf\":null",
    ] {
        let open = body().replace('}', ",");
        refused(&both(), &raw(header, &format!("{open}{twice}}}"), SECRET), twice);
    }
    for header in [
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"kid\":\"k\",\"kid\":\"k\"}",
        "{\"alg\":\"HS256\",\"crit\":null,\"crit\":[\"b64\"]}",
        "{\"alg\":\"HS256\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"crit\":\"b64\"}",
        "{\"alg\":\"HS256\",\"kid\":1}",
        "{\"alg\":\"HS256\",\"kid\":\"\"}",
    ] {
        refused(&both(), &raw(header, &body(), SECRET), header);
    }
}

#[test]
fn a_claim_of_another_kind_is_never_taken_for_an_absent_one() {
    let header = "{\"alg\":\"HS256\"}";
    let odd = ["true", "[]", "{}", "[1]", "{\"exp\":1}", "\"1800000001\"", "[\"ann\"]", "1e999"];
    for value in odd {
        let nbf = body().replace('}', &format!(",\"nbf\":{value}}}"));
        let exp = format!("{{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":{value}}}");
        let sub = format!("{{\"sub\":{value},\"aud\":\"demo\",\"exp\":{SOON}}}");
        let aud = format!("{{\"sub\":\"ann\",\"aud\":{value},\"exp\":{SOON}}}");
        for claims in [nbf, exp, sub, aud] {
            refused(&both(), &raw(header, &claims, SECRET), &claims);
        }
    }
    for claims in [
        format!("{{\"sub\":null,\"aud\":\"demo\",\"exp\":{SOON}}}"),
        format!("{{\"sub\":\"ann\",\"aud\":null,\"exp\":{SOON}}}"),
        format!("{{\"sub\":\"ann\",\"aud\":[[\"demo\"]],\"exp\":{SOON}}}"),
        format!("[{SOON},null]"),
        format!("[{SOON},null,\"ann\",null,\"demo\"]"),
        format!("{{\"claims\":{}}}", body()),
    ] {
        refused(&both(), &raw(header, &claims, SECRET), &claims);
    }
}

#[test]
fn depth_is_bounded_where_it_is_read_and_skipped_where_it_is_not() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(150), close.repeat(150));
    let header = "{\"alg\":\"HS256\"}";
    for nested in [deep("[", "]"), deep("{\"a\":", "}")] {
        let deep_header = header.replace('}', &format!(",\"x\":{nested}}}"));
        refused(&both(), &raw(&deep_header, &body(), SECRET), "the header");
        let with = |name| body().replace('}', &format!(",\"{name}\":{nested}}}"));
        refused(&both(), &raw(header, &with("iss"), SECRET), "a claim with a meaning");
        assert_eq!(check(&both(), &raw(header, &with("x"), SECRET)), Ok(()));
    }
}

#[test]
fn a_header_has_a_length_of_its_own() {
    // 384 bytes are 512 in base64url.
    let of = |length: usize| {
        let empty = "{\"alg\":\"HS256\",\"x\":\"\"}";
        let padding = "x".repeat(length - empty.len());
        raw(&empty.replace("\"x\":\"", &format!("\"x\":\"{padding}")), &body(), SECRET)
    };
    assert_eq!(of(384).find('.'), Some(512));
    assert_eq!(check(&both(), &of(384)), Ok(()));
    refused(&both(), &of(385), "a byte too long");
}

#[test]
fn the_time_is_the_one_passed_in_and_the_leeway_the_configured_one() {
    let signer = Signer::hmac("k", SECRET.as_bytes()).unwrap();
    // Long past, now, and in a far century: the clock of the host agrees with one at most.
    for now in [1_000, NOW, 9_000_000_000] {
        let claims = Claims { not_before: Some(now), expires: now + 60, ..claims() };
        let token = signer.issue(&claims);
        let at = |now| both().check("demo", "ann", token.as_bytes(), now);
        assert_eq!(at(now), Ok(()));
        assert_eq!(at(now - 5), Ok(()));
        assert_eq!(at(now - 6), Err(Denied::BadToken));
        assert_eq!(at(now + 64), Ok(()));
        assert_eq!(at(now + 65), Err(Denied::Expired));
    }
}

#[test]
fn parts_of_seconds_count() {
    let body = "{\"sub\":\"ann\",\"aud\":\"demo\",\"nbf\":1799999999.5,\"exp\":1800000001.5}";
    let token = raw("{\"alg\":\"HS256\"}", body, SECRET);
    let at = |now| both().check("demo", "ann", token.as_bytes(), now);
    assert_eq!(at(NOW - 6), Err(Denied::BadToken));
    assert_eq!(at(NOW - 5), Ok(()));
    assert_eq!(at(NOW + 6), Ok(()));
    assert_eq!(at(NOW + 7), Err(Denied::Expired));
}

#[test]
fn an_empty_secret_signs_nothing() {
    assert!(Signer::hmac("k", b"").is_err());
}

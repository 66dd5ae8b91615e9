//! A token lets in whom it names, for what it names, while it holds, and nobody else; whatever the
//! token says about itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast::auth::{BackendAuth, Claims, ClientAuth, Denied, Signer};
use holdfast::config::{Auth, Config};
use std::path::Path;

#[path = "auth_claims/a_library_lets_nothing_slip.rs"]
mod a_library_lets_nothing_slip;
#[path = "auth_claims/the_reason_is_told_to_the_operator.rs"]
mod the_reason_is_told_to_the_operator;

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
const OTHER: &str = "another-secret-of-thirty-two-bytes-or-more";
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
/// The public half of the key above, which is that of RFC 8037, appendix A.
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const NOW: u64 = 1_800_000_000;

fn auth(keys: &str) -> Auth {
    let text = format!("[auth]\nclient_keys = [{keys}]\nleeway = 5\n");
    Config::parse("test", &text, &[], Path::new("")).expect("a good configuration").auth
}

fn hmac_key(id: &str, secret: &str) -> String {
    format!("{{ id = '{id}', algorithm = 'HS256', secret = '{secret}' }},")
}

fn ed_key(id: &str, public: &str) -> String {
    format!("{{ id = '{id}', algorithm = 'EdDSA', public_key = '''{public}''' }},")
}

fn clients(keys: &str) -> ClientAuth {
    ClientAuth::new(&auth(keys)).expect("good keys")
}

fn claims<'a>() -> Claims<'a> {
    Claims { user: "ann", products: &["demo"], not_before: None, expires: NOW + 60 }
}

fn token(secret: &str) -> String {
    Signer::hmac("k", secret.as_bytes()).expect("a secret").issue(&claims())
}

/// A token with these parts as JSON, signed with `secret` whatever they say.
fn raw(header: &str, claims: &str, secret: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let hmac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    let signature = hmac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn check(auth: &ClientAuth, token: &str) -> Result<(), Denied> {
    auth.check("demo", "ann", token.as_bytes(), NOW)
}

#[test]
fn a_token_lets_in_its_user_to_its_products_alone() {
    let auth = clients(&hmac_key("k", SECRET));
    let signer = Signer::hmac("k", SECRET.as_bytes()).unwrap();
    let token = signer.issue(&Claims { products: &["demo", "chat"], ..claims() });
    let ask = |product, user| auth.check(product, user, token.as_bytes(), NOW);
    assert_eq!(ask("demo", "ann"), Ok(()));
    assert_eq!(ask("chat", "ann"), Ok(()));
    assert_eq!(ask("demo", "bob"), Err(Denied::BadToken));
    assert_eq!(ask("demo", "an"), Err(Denied::BadToken));
    assert_eq!(ask("other", "ann"), Err(Denied::BadToken));
    assert_eq!(ask("", ""), Err(Denied::BadToken));
}

#[test]
fn a_token_made_elsewhere_checks() {
    // Made with Python's hmac, json and base64 modules from the same secret.
    let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.\
        eyJzdWIiOiAiYW5uIiwgImF1ZCI6IFsiZGVtbyJdLCAiaWF0IjogMTc5OTk5OTAwMCwg\
        ImV4cCI6IDE4MDAwMDAwNjB9.\
        f4qb-7vGmiNPtMQP8UQxpG9-QcuFCJxfDdKAFm9DB-U";
    assert_eq!(check(&clients(&hmac_key("k", SECRET)), token), Ok(()));
}

#[test]
fn ed25519_checks_with_pem_and_with_raw_keys() {
    let signer = Signer::ed25519("e", PRIVATE_PEM).unwrap();
    let token = signer.issue(&claims());
    let pem = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    for public in [PUBLIC, pem] {
        let auth = clients(&ed_key("e", public));
        assert_eq!(check(&auth, &token), Ok(()));
        let mut forged = token.clone().into_bytes();
        let last = forged.len() - 10;
        forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
        assert_eq!(auth.check("demo", "ann", &forged, NOW), Err(Denied::BadToken));
    }
}

#[test]
fn a_bad_public_key_is_refused_at_start() {
    for public in ["short", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "-----BEGIN nonsense"] {
        let text = format!("auth.client_keys = [{}]", ed_key("e", public));
        let words = Config::parse("test", &text, &[], Path::new("")).unwrap_err().to_string();
        assert!(words.contains("the key \"e\" is not an Ed25519 public key"), "{words}");
    }
}

#[test]
fn time_is_kept_with_a_leeway() {
    let auth = clients(&hmac_key("k", SECRET));
    let signer = Signer::hmac("k", SECRET.as_bytes()).unwrap();
    let token = signer.issue(&Claims { not_before: Some(NOW - 60), ..claims() });
    let at = |now| auth.check("demo", "ann", token.as_bytes(), now);
    assert_eq!(at(NOW), Ok(()));
    assert_eq!(at(NOW + 64), Ok(()), "four seconds late");
    assert_eq!(at(NOW + 65), Err(Denied::Expired));
    assert_eq!(at(u64::MAX), Err(Denied::Expired));
    assert_eq!(at(NOW - 65), Ok(()), "five seconds early");
    assert_eq!(at(NOW - 66), Err(Denied::BadToken), "not yet good");
    assert_eq!(at(0), Err(Denied::BadToken));
}

#[test]
fn an_expired_token_of_another_is_bad_and_not_expired() {
    let auth = clients(&hmac_key("k", SECRET));
    let late = |token: &str, user| auth.check("demo", user, token.as_bytes(), NOW + 1_000);
    assert_eq!(late(&token(SECRET), "ann"), Err(Denied::Expired));
    assert_eq!(late(&token(SECRET), "bob"), Err(Denied::BadToken));
    assert_eq!(late(&token(OTHER), "ann"), Err(Denied::BadToken), "its signature is not ours");
}

#[test]
fn keys_rotate_by_kid_and_without_one_all_are_tried() {
    let auth =
        clients(&(hmac_key("old", OTHER) + &hmac_key("new", SECRET) + &ed_key("ed", PUBLIC)));
    let named = |id, secret: &str| Signer::hmac(id, secret.as_bytes()).unwrap().issue(&claims());
    assert_eq!(check(&auth, &named("old", OTHER)), Ok(()));
    assert_eq!(check(&auth, &named("new", SECRET)), Ok(()));
    assert_eq!(check(&auth, &named("new", OTHER)), Err(Denied::BadToken), "the kid decides");
    assert_eq!(check(&auth, &named("gone", SECRET)), Err(Denied::BadToken));
    assert_eq!(check(&auth, &Signer::ed25519("ed", PRIVATE_PEM).unwrap().issue(&claims())), Ok(()));

    let body = format!("{{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":{}}}", NOW + 1);
    for secret in [OTHER, SECRET] {
        assert_eq!(check(&auth, &raw("{\"alg\":\"HS256\"}", &body, secret)), Ok(()));
    }
    assert_eq!(check(&auth, &raw("{\"alg\":\"HS256\",\"kid\":null}", &body, SECRET)), Ok(()));
}

#[test]
fn the_key_decides_the_algorithm() {
    let body = format!("{{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":{}}}", NOW + 1);
    // The public key taken for a secret: the classic confusion.
    let auth = clients(&ed_key("e", PUBLIC));
    for secret in [PUBLIC, std::str::from_utf8(&[0; 32]).unwrap()] {
        for alg in ["HS256", "EdDSA"] {
            let token = raw(&format!("{{\"alg\":\"{alg}\"}}"), &body, secret);
            assert_eq!(check(&auth, &token), Err(Denied::BadToken), "{alg}");
        }
    }
    let auth = clients(&hmac_key("k", SECRET));
    for alg in ["none", "None", "HS512", "hs256", "EdDSA", "RS256", ""] {
        let token = raw(&format!("{{\"alg\":\"{alg}\"}}"), &body, SECRET);
        assert_eq!(check(&auth, &token), Err(Denied::BadToken), "{alg}");
        let unsigned = token.rsplit_once('.').unwrap().0.to_owned() + ".";
        assert_eq!(check(&auth, &unsigned), Err(Denied::BadToken), "{alg}");
    }
}

#[test]
fn claims_are_read_as_the_standard_has_them() {
    let auth = clients(&hmac_key("k", SECRET));
    let header = "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"x\":[1,{}]}";
    for good in [
        "{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":1800000001}",
        "{\"sub\":\"ann\",\"aud\":[\"x\",\"demo\"],\"exp\":1800000001.5,\"iss\":{\"a\":[1]}}",
        "{\"sub\":\"\\u0061nn\",\"aud\":[\"de\\u006do\"],\"exp\":1.9e9,\"nbf\":null}",
        " {\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":18446744073709551615,\"nbf\":-5} ",
    ] {
        assert_eq!(check(&auth, &raw(header, good, SECRET)), Ok(()), "{good}");
    }
    for bad in [
        "{\"sub\":\"ann\",\"aud\":\"demo\"}",
        "{\"aud\":\"demo\",\"exp\":1800000001}",
        "{\"sub\":\"ann\",\"exp\":1800000001}",
        "{\"sub\":\"ann\",\"aud\":[],\"exp\":1800000001}",
        "{\"sub\":\"ann\",\"aud\":[\"demo\",1],\"exp\":1800000001}",
        "{\"sub\":\"ann\",\"aud\":{\"demo\":1},\"exp\":1800000001}",
        "{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":\"1800000001\"}",
        "{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":null}",
        "{\"sub\":[\"ann\"],\"aud\":\"demo\",\"exp\":1800000001}",
        "{\"sub\":\"bob\",\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":1800000001}",
        "{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":1800000001} x",
        "[\"ann\",\"demo\",1800000001,null]",
        "null",
        "",
    ] {
        assert_eq!(check(&auth, &raw(header, bad, SECRET)), Err(Denied::BadToken), "{bad}");
    }
    let past = "{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":-1}";
    assert_eq!(check(&auth, &raw(header, past, SECRET)), Err(Denied::Expired));
}

#[test]
fn a_header_that_demands_more_is_refused() {
    let auth = clients(&hmac_key("k", SECRET));
    let body = format!("{{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":{}}}", NOW + 1);
    for bad in [
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"HS256\",\"alg\":\"none\"}",
        "{\"alg\":1}",
        "{}",
        "[\"HS256\",null,null]",
        "",
    ] {
        assert_eq!(check(&auth, &raw(bad, &body, SECRET)), Err(Denied::BadToken), "{bad}");
    }
}

#[test]
fn any_changed_cut_or_longer_token_is_refused() {
    for (auth, good) in [
        (clients(&hmac_key("k", SECRET)), token(SECRET)),
        (
            clients(&ed_key("e", PUBLIC)),
            Signer::ed25519("e", PRIVATE_PEM).unwrap().issue(&claims()),
        ),
    ] {
        assert_eq!(check(&auth, &good), Ok(()));
        for cut in 0..good.len() {
            assert_eq!(check(&auth, &good[..cut]), Err(Denied::BadToken), "cut at {cut}");
        }
        for index in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            for change in [0x01, 0x20, 0x80] {
                bytes[index] ^= change;
                let denied = auth.check("demo", "ann", &bytes, NOW);
                assert_eq!(denied, Err(Denied::BadToken), "byte {index} ^ {change}");
                bytes[index] ^= change;
            }
        }
        for tail in ["A", "=", ".", ".x", "\n", " "] {
            assert_eq!(check(&auth, &(good.clone() + tail)), Err(Denied::BadToken), "{tail:?}");
            assert_eq!(check(&auth, &(tail.to_owned() + &good)), Err(Denied::BadToken), "{tail:?}");
        }
    }
}

#[test]
fn a_token_over_its_length_is_refused_and_one_at_it_is_read() {
    let auth = clients(&hmac_key("k", SECRET));
    let body = |padding: usize| {
        let padding = "x".repeat(padding);
        format!("{{\"sub\":\"ann\",\"aud\":\"demo\",\"exp\":{},\"x\":\"{padding}\"}}", NOW + 1)
    };
    let of = |padding| raw("{\"alg\":\"HS256\"}", &body(padding), SECRET);
    let longest = (0..2048).rev().find(|padding| of(*padding).len() <= 2048).unwrap();
    assert!(of(longest).len() > 2045, "{}", of(longest).len());
    assert_eq!(check(&auth, &of(longest)), Ok(()));
    assert_eq!(check(&auth, &of(longest + 2)), Err(Denied::BadToken));
    assert_eq!(check(&auth, &"A".repeat(1 << 20)), Err(Denied::BadToken));
    assert_eq!(check(&auth, &".".repeat(2048)), Err(Denied::BadToken));
}

#[test]
fn without_keys_anybody_is_let_in() {
    let open = clients("");
    assert!(open.is_open());
    assert_eq!(open.check("demo", "ann", b"", NOW), Ok(()));
    let backends = BackendAuth::new(&auth(""));
    assert!(backends.is_open());
    assert_eq!(backends.check("anybody", b""), Ok(()));
}

#[test]
fn a_backend_needs_a_key_of_its_own_name() {
    let keys = "name = 'billing', key = 'an-old-key-of-billing'\n\
        [[auth.backend_keys]]\nname = 'billing', key = 'a-new-key-of-billing'\n"
        .replace(", key", "\nkey");
    let text = format!(
        "[[auth.backend_keys]]\n{keys}\
         [[auth.backend_keys]]\nname = 'chat'\nkey = 'the-key-of-chat-itself'"
    );
    let config = Config::parse("test", &text, &[], Path::new("")).unwrap();
    let auth = BackendAuth::new(&config.auth);
    assert_eq!(auth.check("billing", b"an-old-key-of-billing"), Ok(()));
    assert_eq!(auth.check("billing", b"a-new-key-of-billing"), Ok(()));
    assert_eq!(auth.check("chat", b"the-key-of-chat-itself"), Ok(()));
    for (name, key) in [
        ("chat", &b"an-old-key-of-billing"[..]),
        ("billing", b"the-key-of-chat-itself"),
        ("nobody", b"an-old-key-of-billing"),
        ("", b"an-old-key-of-billing"),
        ("billing", b""),
        ("billing", b"an-old-key-of-billin"),
        ("billing", b"an-old-key-of-billing "),
    ] {
        assert_eq!(auth.check(name, key), Err(Denied::BadToken), "{name}");
    }
}

#[test]
fn what_is_printed_of_keys_is_their_names() {
    let auth = clients(&(hmac_key("old", OTHER) + &hmac_key("new", SECRET)));
    assert_eq!(format!("{auth:?}"), "[\"old\", \"new\"]");
}

#[test]
fn a_public_key_cannot_sign() {
    let auth = auth(&(hmac_key("k", SECRET) + &ed_key("e", PUBLIC)));
    assert!(Signer::from_key(&auth.client_keys[1]).is_err());
    let signer = Signer::from_key(&auth.client_keys[0]).unwrap();
    assert_eq!(check(&ClientAuth::new(&auth).unwrap(), &signer.issue(&claims())), Ok(()));
}

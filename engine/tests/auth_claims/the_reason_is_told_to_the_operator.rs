//! What was wrong with a token is found out to the word, and the peer is told no more than a code.

use super::*;
use holdfast::auth::Reason;

fn why(auth: &ClientAuth, token: &str, now: u64) -> Reason {
    let reason = auth.examine("demo", "ann", token.as_bytes(), now).expect_err(token);
    let told = auth.check("demo", "ann", token.as_bytes(), now);
    assert_eq!(told, Err(reason.denied()), "{reason}");
    assert_eq!(reason.denied() == Denied::Expired, reason == Reason::Expired, "{reason}");
    reason
}

#[test]
fn each_fault_has_its_word() {
    let auth = clients(&hmac_key("k", SECRET));
    let header = "{\"alg\":\"HS256\"}";
    let with = |claims: &str| raw(header, claims, SECRET);
    let of = |sub: &str, aud: &str, rest: &str| {
        with(&format!("{{\"sub\":\"{sub}\",\"aud\":\"{aud}\"{rest}}}"))
    };
    let exp = ",\"exp\":1800000060";
    let good = of("ann", "demo", exp);
    assert_eq!(auth.examine("demo", "ann", good.as_bytes(), NOW), Ok(()));
    let cases = [
        (String::new(), Reason::NoToken),
        ("A".repeat(3000), Reason::TooLong),
        (format!("{}.a.b", "A".repeat(600)), Reason::TooLong),
        ("not a token".to_owned(), Reason::Malformed),
        (raw("{\"alg\":\"none\"}", "{}", SECRET), Reason::Malformed),
        (raw("{\"alg\":\"HS256\",\"crit\":[\"x\"]}", "{}", SECRET), Reason::UnknownExtension),
        (raw("{\"alg\":\"HS256\",\"kid\":\"x\"}", "{}", SECRET), Reason::UnknownKid),
        (raw("{\"alg\":\"HS512\"}", "{}", SECRET), Reason::Algorithm),
        (raw(header, "{}", OTHER), Reason::Signature),
        (with("[]"), Reason::BadClaims),
        (with("{\"aud\":\"demo\",\"exp\":1800000060}"), Reason::MissingSubject),
        (with("{\"sub\":\"ann\",\"exp\":1800000060}"), Reason::MissingAudience),
        (of("bob", "demo", exp), Reason::Subject),
        (of("ann", "else", exp), Reason::Audience),
        (of("ann", "demo", ""), Reason::MissingExpiry),
        (of("ann", "demo", ",\"exp\":1800000060,\"nbf\":1800000030"), Reason::NotYetValid),
        (of("ann", "demo", ",\"exp\":1799999000"), Reason::Expired),
    ];
    for (token, reason) in &cases {
        assert_eq!(why(&auth, token, NOW), *reason, "{token}");
    }
    for reason in Reason::ALL {
        assert!(cases.iter().any(|(_, each)| each == reason), "no case for {reason}");
    }
}

#[test]
fn of_several_keys_the_one_that_signed_speaks() {
    let auth = clients(&(hmac_key("old", OTHER) + &hmac_key("k", SECRET) + &ed_key("e", PUBLIC)));
    let body = "{\"sub\":\"ann\",\"aud\":\"else\",\"exp\":1800000060}";
    for secret in [OTHER, SECRET] {
        assert_eq!(why(&auth, &raw("{\"alg\":\"HS256\"}", body, secret), NOW), Reason::Audience);
    }
    let stranger = raw("{\"alg\":\"HS256\"}", body, "a-secret-that-nobody-here-knows-of");
    assert_eq!(why(&auth, &stranger, NOW), Reason::Signature);
}

#[test]
fn a_person_reads_each_reason_once() {
    let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
}

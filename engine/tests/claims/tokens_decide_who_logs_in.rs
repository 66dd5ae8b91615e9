//! With keys configured, a client comes in with a token that is its own, good, and not expired,
//! signed with any of the keys; a backend comes in with its key. Everybody else is told why not.

use crate::support::peer::Heard;
use crate::support::{Backend, Client, Gateway, Hello, Peer, Told, Which};
use holdfast::auth::{Claims, Signer};
use holdfast_protocol::backend::request;
use holdfast_protocol::close::Code;

on_both! {
    a_good_token_of_any_key_lets_in,
    any_other_token_does_not,
    a_backend_needs_its_key,
}

const OLD: &str = "the-old-secret-of-at-least-32-bytes!";
const NEW: &str = "the-new-secret-of-at-least-32-bytes!";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn gateway(io: Which) -> Gateway {
    let keys = format!(
        "auth.client_keys=[{{ id = 'old', algorithm = 'HS256', secret = '{OLD}' }}, \
         {{ id = 'new', algorithm = 'HS256', secret = '{NEW}' }}, \
         {{ id = 'pub', algorithm = 'EdDSA', public_key = '{PUBLIC}' }}]"
    );
    let backends = "auth.backend_keys=[{ name = 'test', key = 'a-key-of-sixteen-bytes' }]";
    Gateway::start(io, &[&keys, backends, "auth.leeway=0s"])
}

/// A token of `user` for `product` that ends so many seconds from now.
fn token(signer: &Signer, user: &str, product: &str, seconds: i64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let expires = now.saturating_add_signed(seconds);
    signer.issue(&Claims { user, products: &[product], not_before: None, expires })
}

fn hello(user: &str, token: &str) -> Vec<u8> {
    Hello { token: token.as_bytes(), ..Hello::default() }.bytes(user)
}

fn a_good_token_of_any_key_lets_in(io: Which) {
    let gateway = gateway(io);
    let signers = [
        Signer::hmac("old", OLD.as_bytes()),
        Signer::hmac("new", NEW.as_bytes()),
        Signer::ed25519("pub", PEM),
    ];
    for signer in signers {
        let token = token(&signer.unwrap(), "ann", "demo", 60);
        let mut client = Client::log_in(gateway.stranger(), &hello("ann", &token));
        client.hears_nothing_else();
        client.peer.finish();
    }
    assert_eq!(gateway.count("logins"), 3);
}

fn any_other_token_does_not(io: Which) {
    let gateway = gateway(io);
    let good = Signer::hmac("new", NEW.as_bytes()).unwrap();
    let other = Signer::hmac("new", OLD.as_bytes()).unwrap();
    let unknown = Signer::hmac("gone", NEW.as_bytes()).unwrap();
    let mut broken = token(&good, "ann", "demo", 60);
    broken.pop();
    let cases = [
        (String::new(), Code::BadToken),
        ("x".repeat(2048), Code::BadToken),
        (broken, Code::BadToken),
        (token(&other, "ann", "demo", 60), Code::BadToken),
        (token(&unknown, "ann", "demo", 60), Code::BadToken),
        (token(&good, "bob", "demo", 60), Code::BadToken),
        (token(&good, "ann", "else", 60), Code::BadToken),
        (token(&good, "ann", "demo", -60), Code::ExpiredToken),
        (token(&good, "bob", "demo", -60), Code::BadToken),
    ];
    let count = cases.len() as u64;
    for (token, code) in cases {
        let mut peer = gateway.stranger();
        peer.send(&hello("ann", &token));
        peer.expect_close(code);
    }
    assert_eq!(gateway.count("refused_logins.bad_token"), count - 1);
    assert_eq!(gateway.count("refused_logins.expired_token"), 1);
    assert_eq!((gateway.count("logins"), gateway.count("users")), (0, 0));
}

fn a_backend_needs_its_key(io: Which) {
    let gateway = gateway(io);
    let wrong =
        [("test", "another-key-of-16-bytes"), ("test", ""), ("else", "a-key-of-sixteen-bytes")];
    for (name, key) in wrong {
        let mut peer = Peer::connect(gateway.backends);
        let mut hello = Vec::new();
        request::put_hello(name, key.as_bytes(), &mut hello);
        // Nothing that comes with a bad hello is carried out or answered.
        request::put_counters(1, &mut hello);
        peer.send(&hello);
        assert_eq!(peer.told(), Told::Close { code: Code::BadToken.number() });
        assert_eq!(peer.hear(), Heard::End);
    }
    assert_eq!(gateway.count("backend_closes.bad_token"), 3);
    let mut backend = Backend::at(gateway.backends, b"a-key-of-sixteen-bytes");
    assert_eq!(backend.counters()["backend_logins"], 1);
}

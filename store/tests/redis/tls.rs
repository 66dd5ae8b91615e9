//! TLS: both ends prove who they are.

use crate::server::{Server, cli, free_port};
use crate::shard::{OneShard, Shard, append, options};
use holdfast_store::redis::{Options, Tls, start};
use std::fs;
use std::path::Path;

/// A certificate for 127.0.0.1 and the one that signed it, as files.
fn certificates(folder: &Path) -> Tls {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    // The same name as what it signs would make both look self-signed.
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "signer");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signed = parameters.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, key);
    let own_key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&own_key, &issuer).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let pair = (file("own.crt", &own.pem()), file("own.key", &own_key.serialize_pem()));
    Tls { ca: Some(file("ca.crt", &signed.pem())), own: Some(pair) }
}

#[test]
fn tls_proves_both_ends() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (tls, stranger) = (certificates(folder.path()), certificates(other.path()));
    let port = free_port();
    let text = port.to_string();
    let mut arguments = vec!["--tls-port", &text];
    arguments.extend(["--tls-cert-file", "own.crt", "--tls-key-file", "own.key"]);
    arguments.extend(["--tls-ca-cert-file", "ca.crt"]);
    let server = Server::start_in(folder.path(), port, &arguments);

    let address = format!("rediss://{}", server.address());
    let with = |tls: Tls| Options { tls: Some(tls), ..options(std::slice::from_ref(&address)) };
    let mut shard = Shard::start(&with(tls.clone()));
    shard.send(vec![append("u", 1, "secret")]).unwrap();
    let opened = shard.open("u");
    assert_eq!(shard.load("u", &opened.messages), ["secret"]);

    let refused = |options: &Options| start(options, OneShard::new(), Vec::new()).is_err();
    assert!(refused(&with(stranger.clone())), "signed by somebody else");
    assert!(refused(&with(Tls { own: None, ..tls.clone() })), "the server wants a certificate");
    assert!(refused(&with(Tls { own: stranger.own, ..tls })), "of one that it trusts");
    let why =
        |options: &Options| start(options, OneShard::new(), Vec::new()).unwrap_err().to_string();
    let plain = why(&options(&[server.address()]));
    assert!(plain.contains("rediss://"), "{plain}");
    let other = Server::start(&[]);
    let address = [format!("rediss://{}", other.address())];
    let secure = why(&Options { tls: Some(certificates(folder.path())), ..options(&address) });
    assert!(secure.contains("redis://"), "{secure}");
    assert!(cli(port, &["ping"]).contains("Error"), "the server speaks TLS alone");
}

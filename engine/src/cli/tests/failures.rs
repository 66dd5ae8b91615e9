//! Each failure's exit code, and that it says what happened, where, and what to try.

use super::{Ran, run};
use crate::cli::Exit;
use holdfast_client::ErrorCode;
use holdfast_client::testing::Gateway;
use holdfast_protocol::backend::answer::put_error;
use holdfast_protocol::backend::request::Request;
use std::net::TcpListener;
use std::thread;

/// The failure ends so, and says each of these words, on standard error alone.
fn fails(ran: &Ran, exit: Exit, words: &[&str]) {
    assert_eq!((ran.exit, ran.out.as_str()), (exit, ""), "{}", ran.err);
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{word} is not in: {}", ran.err);
    }
}

#[test]
fn nobody_listens() {
    // On an address that no other test uses, so that nobody takes the port meanwhile.
    let address = TcpListener::bind("127.9.8.7:0").unwrap().local_addr().unwrap().to_string();
    let ran = run(&address, &["status"]);
    fails(&ran, Exit::Unreachable, &[&address, "refused", "holdfast serve", "--api"]);
}

#[test]
fn a_name_that_is_none() {
    let ran = run("no such host.invalid:7600", &["status"]);
    fails(&ran, Exit::Unreachable, &["no such host.invalid:7600", "resolved", "--api"]);
}

#[test]
fn a_port_of_something_else() {
    let gateway = Gateway::bind();
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = gateway.accept();
            peer.receive().unwrap();
            peer.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            while peer.receive().is_some() {}
        });
        run(&gateway.address(), &["status"])
    });
    fails(&ran, Exit::Unreachable, &["does not speak", "7600", "7700"]);
}

#[test]
fn the_port_of_the_clients() {
    let gateway = Gateway::bind();
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = gateway.accept();
            peer.receive().unwrap();
            peer.close(3500, "out_of_bounds");
        });
        run(&gateway.address(), &["status"])
    });
    fails(&ran, Exit::Refused, &["3500 malformed: out_of_bounds", "7600"]);
}

#[test]
fn a_wrong_key() {
    let gateway = Gateway::bind();
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = gateway.accept();
            peer.receive().unwrap();
            peer.close(3502, "unknown key");
        });
        run(&gateway.address(), &["push", "chat", "alice", "hi", "--key", "0123456789abcdef"])
    });
    fails(&ran, Exit::Refused, &[&gateway.address(), "unknown key", "--key-file", "--name"]);
    assert!(!ran.err.contains("0123456789abcdef"), "the key is not shown: {}", ran.err);
}

#[test]
fn a_key_file_that_is_not_there() {
    let ran = run("127.0.0.1:1", &["status", "--key-file", "/nowhere/key"]);
    fails(&ran, Exit::Usage, &["/nowhere/key", "No such file"]);
}

#[test]
fn an_answer_that_does_not_come() {
    let gateway = Gateway::bind().run_with(8, |_, _| {});
    let ran = run(gateway.address(), &["kick", "chat", "alice", "--timeout", "300ms"]);
    fails(&ran, Exit::NoAnswer, &["300ms", "may have been done", "--timeout"]);
}

#[test]
fn a_connection_that_is_lost_on_the_way() {
    let gateway = Gateway::bind();
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = gateway.accept();
            peer.welcome(8);
            peer.receive().unwrap();
            peer.close(3000, "restart");
        });
        run(&gateway.address(), &["push", "chat", "alice", "hi"])
    });
    fails(&ran, Exit::NoAnswer, &["lost", "restart", "may have been done"]);
}

#[test]
fn a_request_that_is_declined() {
    let gateway = Gateway::bind().run_with(8, |request, out| match request {
        Request::Push(id, _) => put_error(*id, ErrorCode::UnknownProduct, 0, "no chat", out),
        Request::Job(id, ..) => put_error(*id, ErrorCode::UnknownJob, 0, "", out),
        _ => {}
    });
    let ran = run(gateway.address(), &["push", "chat", "alice", "hi"]);
    fails(&ran, Exit::Declined, &["unknown_product", "no chat", "`products`"]);
    let ran = run(gateway.address(), &["job", "watch", "9"]);
    fails(
        &ran,
        Exit::Declined,
        &["unknown_job", "check the number", "the gateway that took the broadcast"],
    );
}

#[test]
fn what_no_gateway_would_take() {
    let gateway = Gateway::bind().run(8);
    let ran = run(gateway.address(), &["kick", "chat", &"u".repeat(65)]);
    fails(&ran, Exit::Usage, &["the user is 65 bytes long", "1 to 64"]);
}

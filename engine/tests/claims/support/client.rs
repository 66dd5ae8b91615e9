//! A client that speaks by a script.

use super::Peer;
use super::peer::Heard;
use holdfast_protocol::client::from_client::Resume;
use holdfast_protocol::client::from_client::{self, Identity};
use holdfast_protocol::client::{Class, FromServer, Notice, Welcome};
use holdfast_protocol::close::Code;
use holdfast_protocol::frame::Frame;
use std::net::SocketAddr;

/// What the gateway said to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Welcome(Welcome),
    Pong,
    Push {
        durable: bool,
        broadcast: bool,
        /// Whether it may have come before.
        again: bool,
        sequence: u64,
        body: Vec<u8>,
    },
    Kick {
        code: u16,
        reason: String,
    },
    /// With so many milliseconds.
    Drain(u32),
    Close {
        code: u16,
        reason: String,
    },
    Other,
    End,
    Reset,
}

/// What a client says first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hello<'a> {
    pub(crate) product: Option<&'a str>,
    pub(crate) token: &'a [u8],
    pub(crate) heartbeat: u16,
    pub(crate) tags: &'a [&'a str],
    pub(crate) resume: Option<Resume>,
}

impl Hello<'_> {
    /// The frame.
    pub(crate) fn bytes(&self, user: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let product = self.product.unwrap_or("demo");
        let Self { token, heartbeat, tags, resume, .. } = *self;
        let device = "test";
        let identity = Identity { heartbeat, product, user, device, token, resume, tags };
        from_client::put_hello(&identity, &mut out);
        out
    }
}

/// A hello of `user` with nothing special.
pub(crate) fn hello(user: &str) -> Vec<u8> {
    Hello::default().bytes(user)
}

/// A client of the gateway.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) peer: Peer,
    pub(crate) welcome: Welcome,
}

impl Client {
    /// Logs in over `peer`.
    #[track_caller]
    pub(crate) fn log_in(mut peer: Peer, hello: &[u8]) -> Self {
        peer.send(hello);
        Self::welcomed(peer)
    }

    /// The client that has said hello over `peer`.
    #[track_caller]
    pub(crate) fn welcomed(mut peer: Peer) -> Self {
        match peer.said() {
            Said::Welcome(welcome) => Self { peer, welcome },
            other => panic!("not welcomed: {other:?}"),
        }
    }

    /// A logged-in client at an address.
    #[track_caller]
    pub(crate) fn at(address: SocketAddr, user: &str) -> Self {
        Self::log_in(Peer::connect(address), &hello(user))
    }

    #[track_caller]
    pub(crate) fn hear(&mut self) -> Said {
        self.peer.said()
    }

    /// The next push: its sequence and its body.
    #[track_caller]
    pub(crate) fn push(&mut self) -> (u64, Vec<u8>) {
        match self.hear() {
            Said::Push { broadcast: false, sequence, body, .. } => (sequence, body),
            other => panic!("not a push: {other:?}"),
        }
    }

    /// The next push, which must be durable: its sequence and its body.
    #[track_caller]
    pub(crate) fn durable(&mut self) -> (u64, Vec<u8>) {
        match self.hear() {
            Said::Push { durable: true, broadcast: false, sequence, body, .. } => (sequence, body),
            other => panic!("not a durable push: {other:?}"),
        }
    }

    /// The next push, which must be durable and come for the first time.
    #[track_caller]
    pub(crate) fn fresh(&mut self) -> (u64, Vec<u8>) {
        match self.hear() {
            Said::Push { durable: true, broadcast: false, again: false, sequence, body } => {
                (sequence, body)
            }
            other => panic!("not a fresh durable push: {other:?}"),
        }
    }

    /// The next push, which must be durable and may have come before.
    #[track_caller]
    pub(crate) fn durable_again(&mut self) -> (u64, Vec<u8>) {
        match self.hear() {
            Said::Push { durable: true, broadcast: false, again: true, sequence, body } => {
                (sequence, body)
            }
            other => panic!("not a durable push that came before: {other:?}"),
        }
    }

    /// The next frame, which must be a durable broadcast that has not come before: its number and
    /// its body.
    #[track_caller]
    pub(crate) fn notice(&mut self) -> (u64, Vec<u8>) {
        match self.hear() {
            Said::Push { durable: true, broadcast: true, again: false, sequence, body } => {
                (sequence, body)
            }
            other => panic!("not a fresh durable broadcast: {other:?}"),
        }
    }

    /// Acknowledges everything up to `sequence`.
    #[track_caller]
    pub(crate) fn ack(&mut self, sequence: u64) {
        let mut ack = Vec::new();
        from_client::put_ack(sequence, &mut ack);
        self.peer.send(&ack);
    }

    /// The next broadcast: its sequence and its body.
    #[track_caller]
    pub(crate) fn broadcast(&mut self) -> (u64, Vec<u8>) {
        match self.hear() {
            Said::Push { broadcast: true, sequence, body, .. } => (sequence, body),
            other => panic!("not a broadcast: {other:?}"),
        }
    }

    /// Everything pushed that was on its way when this was called, by sequence.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<(u64, Vec<u8>)> {
        self.peer.send(&from_client::PING);
        let mut pushed = Vec::new();
        loop {
            match self.hear() {
                Said::Push { sequence, body, .. } => pushed.push((sequence, body)),
                Said::Pong => return pushed,
                other => panic!("neither a push nor the pong: {other:?}"),
            }
        }
    }

    /// Shows that nothing is on its way but the answer to a ping, and that the session serves.
    #[track_caller]
    pub(crate) fn hears_nothing_else(&mut self) {
        self.peer.send(&from_client::PING);
        assert_eq!(self.hear(), Said::Pong);
    }
}

impl Peer {
    /// The next frame, as a client understands it.
    #[track_caller]
    pub(crate) fn said(&mut self) -> Said {
        let (kind, payload) = match self.hear() {
            Heard::Frame(kind, payload) => (kind, payload),
            Heard::End => return Said::End,
            Heard::Reset => return Said::Reset,
        };
        let payload = payload.as_slice();
        match FromServer::decode(Frame { kind, payload }).expect("the gateway speaks well") {
            FromServer::Welcome(welcome) => Said::Welcome(welcome),
            FromServer::Pong => Said::Pong,
            FromServer::Push(push) => Said::Push {
                durable: push.class == Class::Durable,
                again: push.redelivered,
                broadcast: push.broadcast,
                sequence: push.sequence,
                body: push.body.to_vec(),
            },
            FromServer::Notice(Notice::Kick { code, reason }) => {
                Said::Kick { code, reason: reason.to_owned() }
            }
            FromServer::Close { code, reason } => Said::Close { code, reason: reason.to_owned() },
            FromServer::Notice(Notice::Drain { delay }) => Said::Drain(delay),
            FromServer::Notice(_) | FromServer::Skipped => Said::Other,
        }
    }

    /// Expects a close of this code, then the end, and nothing before.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: Code) {
        match self.said() {
            Said::Close { code: told, .. } => assert_eq!(told, code.number(), "not {code}"),
            other => panic!("not a close with {code}: {other:?}"),
        }
        assert_eq!(self.said(), Said::End);
    }

    /// Expects to be told that the gateway leaves, with the notice and the close.
    #[track_caller]
    pub(crate) fn expect_leaving(&mut self) {
        assert_eq!(self.said(), Said::Drain(0));
        self.expect_close(Code::GoingAway);
    }

    /// Passes over everything up to the close, and gives its code; the end must follow. `None`
    /// where it ends without one.
    #[track_caller]
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.said() {
                Said::Close { code, .. } => {
                    assert_eq!(self.said(), Said::End);
                    return Some(code);
                }
                Said::End | Said::Reset => return None,
                _ => {}
            }
        }
    }
}

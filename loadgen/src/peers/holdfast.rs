//! Holdfast: the client protocol for those who listen, the backend API for the one who publishes.
//!
//! Single messages that fall due together go in one request, which is what a backend does. A client
//! acknowledges each durable message by itself, as MQTT's clients do at QoS 1.

use std::fmt::Debug;

use holdfast_protocol::backend::answer::{Answer as Said, Outcome};
use holdfast_protocol::backend::machine::Machine;
use holdfast_protocol::backend::request::{Broadcast, Target};
use holdfast_protocol::client::from_client::{self, Identity};
use holdfast_protocol::client::{Class, FromServer};
use holdfast_protocol::frame;
use holdfast_protocol::limits::{HEARTBEAT_SECONDS_MAX, PUSH_PAYLOAD};

use super::peer::{Answer, Heard, Message, Peer, To, What};
use crate::floor::{PRODUCT, user};

/// Most users of one request.
const USERS_MAX: usize = 64;
/// Seconds to live of what is durable: no longer than a measurement.
const TTL: u32 = 600;

/// Clients of one product, and a backend that publishes everything in one class.
#[derive(Debug)]
pub(super) struct Holdfast {
    class: Class,
    backend: Machine,
}

fn wrong(what: &str, error: impl Debug) -> String {
    format!("{what}: {error:?}")
}

impl Holdfast {
    /// Everything is of this class.
    pub(super) fn new(class: Class) -> Self {
        Self { class, backend: Machine::new("peers", &[]) }
    }

    const fn ttl(&self) -> u32 {
        match self.class {
            Class::Online => 0,
            Class::Durable => TTL,
        }
    }

    fn broadcast(&mut self, body: &[u8]) -> Result<(), String> {
        let broadcast = Broadcast {
            product: PRODUCT,
            tag: "",
            class: self.class,
            ttl: self.ttl(),
            users_per_second: 0,
            bits_per_second: 0,
            key: &[],
            body,
        };
        self.backend.broadcast(&broadcast).map(drop).map_err(|error| wrong("broadcast", error))
    }

    /// Pushes to single users, in as few requests as may be.
    fn push(&mut self, messages: &[(String, &[u8])]) -> Result<(), String> {
        let (class, ttl) = (self.class, self.ttl());
        for some in messages.chunks(USERS_MAX) {
            let targets: Vec<Target<'_>> = some
                .iter()
                .map(|(user, body)| Target { user, class, ttl, key: &[], receipt: false, body })
                .collect();
            self.backend.push(PRODUCT, &targets).map_err(|error| wrong("push", error))?;
        }
        Ok(())
    }

    fn take_output(&mut self, out: &mut Vec<u8>) {
        out.append(self.backend.output());
    }
}

/// Whether a message is on its way: anything else is a refusal.
const fn good(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Delivered(_) | Outcome::Stored(_) | Outcome::Acked(_))
}

impl Peer for Holdfast {
    fn greet(&self, number: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let user = user(number);
        // The longest heartbeat: nothing but what is asked for shall happen.
        let heartbeat = HEARTBEAT_SECONDS_MAX;
        let identity = Identity { heartbeat, product: PRODUCT, user: &user, ..Identity::default() };
        from_client::put_hello(&identity, out);
        Ok(())
    }

    fn hear<'a>(
        &self,
        _ready: bool,
        bytes: &'a [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<Heard<'a>>, String> {
        let split = frame::split(bytes, PUSH_PAYLOAD).map_err(|error| error.to_string())?;
        let Some((frame, length)) = split else { return Ok(None) };
        let what = match FromServer::decode(frame).map_err(|error| error.to_string())? {
            FromServer::Welcome(_) => What::Ready,
            FromServer::Push(push) => {
                if push.wants_ack() {
                    from_client::put_ack(push.sequence, reply);
                }
                What::Message(push.body)
            }
            FromServer::Close { code, reason } => return Err(format!("closed: {code} {reason}")),
            _ => What::Other,
        };
        Ok(Some(Heard { length, what }))
    }

    fn greet_as_publisher(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        self.take_output(out);
        Ok(false)
    }

    fn publish(&mut self, messages: &[Message<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        let mut singles = Vec::with_capacity(messages.len());
        for message in messages {
            match message.to {
                To::All => self.broadcast(message.body)?,
                To::One(number) => singles.push((user(number), message.body)),
            }
        }
        self.push(&singles)?;
        self.take_output(out);
        Ok(())
    }

    fn hear_as_publisher(
        &mut self,
        bytes: &[u8],
        _reply: &mut Vec<u8>,
    ) -> Result<Option<Answer>, String> {
        let received = self.backend.receive(bytes).map_err(|error| error.to_string())?;
        let Some((said, length)) = received else { return Ok(None) };
        let mut answer = Answer::good(length);
        match said {
            Said::Welcome(_) => answer.ready = true,
            Said::Push(_, outcomes) => {
                answer.refused = outcomes.iter().filter(|outcome| !good(*outcome)).count() as u64;
            }
            Said::Error { code, text, .. } => return Err(format!("refused: {code} {text}")),
            Said::Close { code, reason } => return Err(format!("closed: {code} {reason}")),
            _ => {}
        }
        Ok(Some(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_protocol::backend::Request;
    use holdfast_protocol::backend::answer;
    use holdfast_protocol::client::FromClient;
    use holdfast_protocol::client::from_server::{self, Push, Welcome};
    use holdfast_protocol::limits::{BACKEND_PAYLOAD, CLIENT_PAYLOAD, SESSION_ID_BYTES};

    fn push(class: Class) -> Vec<u8> {
        let mut bytes = Vec::new();
        let push = Push { class, broadcast: false, redelivered: false, sequence: 5, body: b"hi" };
        from_server::put_push(&push, &mut bytes);
        bytes
    }

    #[test]
    fn a_greeting_is_a_hello_of_the_wire() {
        let mut out = Vec::new();
        Holdfast::new(Class::Online).greet(7, &mut out).unwrap();
        let (frame, length) = frame::split(&out, CLIENT_PAYLOAD).unwrap().unwrap();
        let FromClient::Hello(hello) = FromClient::decode(frame).unwrap() else {
            panic!("{out:?}")
        };
        assert_eq!((hello.product, hello.user, length), (PRODUCT, "user-00000000007", out.len()));
    }

    #[test]
    fn a_durable_message_is_acknowledged_and_an_online_one_is_not() {
        for (class, wanted) in [(Class::Online, None), (Class::Durable, Some(5))] {
            let (bytes, mut reply) = (push(class), Vec::new());
            let heard = Holdfast::new(class).hear(true, &bytes, &mut reply).unwrap();
            assert_eq!(heard, Some(Heard { length: bytes.len(), what: What::Message(b"hi") }));
            let mut ack = Vec::new();
            if let Some(sequence) = wanted {
                from_client::put_ack(sequence, &mut ack);
            }
            assert_eq!(reply, ack);
        }
    }

    #[test]
    fn a_welcome_makes_a_client_ready() {
        let mut bytes = Vec::new();
        let welcome = Welcome {
            session: [1; SESSION_ID_BYTES],
            heartbeat: 60,
            server_time: 0,
            next_sequence: 1,
            resumed: false,
            body_max: 1 << 16,
        };
        from_server::put_welcome(&welcome, &mut bytes);
        let heard = Holdfast::new(Class::Online).hear(false, &bytes, &mut Vec::new()).unwrap();
        assert_eq!(heard.map(|heard| heard.what), Some(What::Ready));
    }

    #[test]
    fn single_messages_share_a_request_and_a_refused_one_is_counted() {
        let mut peer = Holdfast::new(Class::Durable);
        let mut out = Vec::new();
        assert!(!peer.greet_as_publisher(&mut out).unwrap());
        let mut bytes = Vec::new();
        let welcome = answer::Welcome { window: 9, body_max: 256, host: 0, incarnation: 1 };
        answer::put_welcome(&welcome, &mut bytes);
        assert!(peer.hear_as_publisher(&bytes, &mut Vec::new()).unwrap().unwrap().ready);
        out.clear();
        let messages = [1, 2].map(|number| Message { to: To::One(number), body: b"hi" });
        peer.publish(&messages, &mut out).unwrap();
        let (frame, length) = frame::split(&out, BACKEND_PAYLOAD).unwrap().unwrap();
        assert_eq!(length, out.len());
        let Request::Push(id, push) = Request::decode(frame).unwrap() else { panic!("{out:?}") };
        assert_eq!(push.targets.iter().count(), 2);
        bytes.clear();
        answer::put_outcomes(id, &[Outcome::Stored(1), Outcome::Offline], &mut bytes);
        let answer = peer.hear_as_publisher(&bytes, &mut Vec::new()).unwrap().unwrap();
        assert_eq!(answer.refused, 1);
    }
}

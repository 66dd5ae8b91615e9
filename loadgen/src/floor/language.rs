//! What a driver's clients say: nothing at all to a bare server, the client protocol to a gateway.

use holdfast_protocol::client::from_client::{self, Identity, PING};
use holdfast_protocol::client::from_server::kind;
use holdfast_protocol::client::{FromServer, Push};
use holdfast_protocol::frame;
use holdfast_protocol::limits::PUSH_PAYLOAD;

use super::control::MESSAGE;
use super::driver::Durable;

/// Bytes of a bare echo.
const ECHO: usize = 64;
/// The product that every driven client logs in to.
pub(crate) const PRODUCT: &str = "bench";

/// The language of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    /// Bytes without meaning, for the bare server.
    Bare,
    /// The client protocol and the backend API.
    Holdfast,
}

/// What a phase waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The answer to [`Language::greeting`].
    Greeting,
    /// The answer to [`Language::knock`].
    Echo,
    /// A pushed message.
    Message,
}

/// The id of the user with this number: 16 bytes.
pub(crate) fn user(number: u32) -> String {
    format!("user-{number:011}")
}

impl Language {
    /// The first bytes of a client.
    pub(super) fn greeting(self, number: u32, token: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Bare => out.extend_from_slice(&[0xa5; ECHO]),
            Self::Holdfast => {
                let user = user(number);
                // The longest heartbeat: nothing but what is asked for shall happen.
                let heartbeat = holdfast_protocol::limits::HEARTBEAT_SECONDS_MAX;
                let product = PRODUCT;
                let user = user.as_str();
                let identity = Identity { heartbeat, product, user, token, ..Identity::default() };
                from_client::put_hello(&identity, out);
            }
        }
    }

    /// Bytes that are answered at once.
    pub(super) const fn knock(self) -> &'static [u8] {
        match self {
            Self::Bare => &[0xa5; ECHO],
            Self::Holdfast => &PING,
        }
    }

    /// Takes the first answer off `bytes`: how long it is, and what it is where it is `wanted`.
    ///
    /// # Errors
    /// What came breaks the protocol or ends the connection.
    pub(super) fn split(self, bytes: &[u8], wanted: Wanted) -> Result<Option<Taken<'_>>, String> {
        match self {
            Self::Bare => {
                let length = if wanted == Wanted::Message { MESSAGE } else { ECHO };
                let body = bytes.get(..length);
                Ok(body.map(|body| Taken { length, wanted: true, durable: None, body }))
            }
            Self::Holdfast => split_frame(bytes, wanted),
        }
    }
}

/// The first answer in what was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken<'a> {
    /// Its bytes.
    pub(super) length: usize,
    /// Whether it is what the phase waits for.
    pub(super) wanted: bool,
    /// What there is to acknowledge.
    pub(super) durable: Option<Durable>,
    /// The message, where it is one.
    pub(super) body: &'a [u8],
}

fn split_frame(bytes: &[u8], wanted: Wanted) -> Result<Option<Taken<'_>>, String> {
    let split = frame::split(bytes, PUSH_PAYLOAD).map_err(|violation| violation.to_string())?;
    let Some((frame, length)) = split else { return Ok(None) };
    let expected = match wanted {
        Wanted::Greeting => kind::WELCOME,
        Wanted::Echo => kind::PONG,
        Wanted::Message => kind::PUSH,
    };
    let wanted = frame.kind == expected;
    match FromServer::decode(frame).map_err(|violation| violation.to_string())? {
        FromServer::Close { code, reason } => Err(format!("closed: {code} {reason}")),
        FromServer::Push(push) => {
            let Push { sequence, redelivered: again, body, .. } = push;
            let durable = push.wants_ack().then_some(Durable { sequence, again });
            Ok(Some(Taken { length, wanted, durable, body }))
        }
        _ => Ok(Some(Taken { length, wanted, durable: None, body: &[] })),
    }
}

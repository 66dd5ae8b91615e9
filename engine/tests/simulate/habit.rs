//! How a scripted client behaves: what it says first, and how it may end.

use holdfast::auth::{Claims, Signer};
use holdfast::io::sim::Chance;
use holdfast_protocol::client::from_client::{self, Identity as Hello, Resume};
use holdfast_protocol::client::machine::Machine;
use holdfast_protocol::close::Code;
use holdfast_protocol::frame;

use crate::ledger::Identity;
use crate::plan::{PRODUCTS, Plan, SECRET, TAGS, UNKNOWN_PRODUCT};
use crate::scene::Scene;
use crate::seat::unix_seconds;

/// What a client does with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Keeps all rules, until it leaves in one of several ways.
    Good,
    /// Sends random bytes.
    Garbage,
    /// Says nothing.
    NoHello,
    /// Stops in the middle of its hello.
    HalfHello,
    /// Says hello twice.
    TwoHellos,
    /// Acknowledges what was never sent.
    FutureAck,
    /// Claims a frame that is too large.
    TooLarge,
    /// Wants a product that there is not.
    UnknownProduct,
    /// Speaks another version.
    WrongVersion,
    /// Has a name that is too long.
    LongUser,
    /// Has a token of another key.
    BadToken,
    /// Has a token of yesterday.
    OldToken,
    /// Never says anything after its hello.
    Mute,
    /// Does not read for a long time.
    Sleeper,
    /// Sends more frames than it may.
    Flood,
}

const RUDE: [Habit; 14] = [
    Habit::Garbage,
    Habit::NoHello,
    Habit::HalfHello,
    Habit::TwoHellos,
    Habit::FutureAck,
    Habit::TooLarge,
    Habit::UnknownProduct,
    Habit::WrongVersion,
    Habit::LongUser,
    Habit::BadToken,
    Habit::OldToken,
    Habit::Mute,
    Habit::Sleeper,
    Habit::Flood,
];

impl Habit {
    pub(crate) fn draw(plan: &Plan, chance: &mut Chance) -> Self {
        let rude = chance.happens(plan.rude_permille);
        let habit = if rude { *chance.pick(&RUDE) } else { Self::Good };
        match habit {
            // Without a key, any token is good.
            Self::BadToken | Self::OldToken if !plan.keys => Self::Good,
            habit => habit,
        }
    }

    /// Whether it can be logged in.
    pub(crate) fn logs_in(self) -> bool {
        match self {
            Self::Good
            | Self::TwoHellos
            | Self::FutureAck
            | Self::Mute
            | Self::Sleeper
            | Self::Flood => true,
            Self::Garbage
            | Self::NoHello
            | Self::HalfHello
            | Self::TooLarge
            | Self::UnknownProduct
            | Self::WrongVersion
            | Self::LongUser
            | Self::BadToken
            | Self::OldToken => false,
        }
    }

    /// Whether a close with this code is what it deserves. Every session may be replaced, kicked or
    /// sent away.
    pub(crate) fn deserves(self, code: Code) -> bool {
        let own: &[Code] = match self {
            Self::Good => &[],
            Self::Garbage => &[
                Code::Malformed,
                Code::FrameTooLarge,
                Code::WrongState,
                Code::UnsupportedVersion,
                Code::HelloTimeout,
                Code::FrameTimeout,
            ],
            Self::NoHello => &[Code::HelloTimeout],
            Self::HalfHello => &[Code::HelloTimeout, Code::FrameTimeout],
            Self::TwoHellos => &[Code::WrongState],
            Self::FutureAck => &[Code::AckFromTheFuture],
            Self::TooLarge => &[Code::FrameTooLarge],
            Self::UnknownProduct => &[Code::UnknownProduct],
            Self::WrongVersion => &[Code::UnsupportedVersion],
            Self::LongUser => &[Code::Malformed],
            Self::BadToken => &[Code::BadToken],
            Self::OldToken => &[Code::ExpiredToken],
            Self::Mute => &[Code::HeartbeatTimeout],
            Self::Sleeper => &[Code::SlowReader, Code::HeartbeatTimeout],
            Self::Flood => &[Code::TooManyFrames],
        };
        let session = self.logs_in() && matches!(code, Code::Replaced | Code::Kicked);
        let anybody = matches!(code, Code::GoingAway | Code::Overloaded);
        session || anybody || own.contains(&code)
    }

    /// The bytes that it opens with, where they are not the hello of its machine.
    pub(crate) fn opening(self, hello: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
        match self {
            Self::Garbage => {
                let length = 1 + chance.index(300);
                // No kind of a client's frame starts with this bit pattern.
                (0..length).map(|_| 0x10 | (chance.below(0x70) as u8 & 0x6f)).collect()
            }
            Self::NoHello => Vec::new(),
            Self::HalfHello => hello[..=chance.index(hello.len() - 1)].to_vec(),
            Self::TwoHellos => [hello.as_slice(), hello.as_slice()].concat(),
            Self::TooLarge => {
                let mut out = vec![0; 5];
                let length = frame::write_header(from_client::kind::HELLO, 100_000, &mut out);
                out.truncate(length);
                out
            }
            Self::WrongVersion => {
                let mut out = hello;
                // The version stands behind the kind and a length of one byte or two.
                let at = if out[1] < 0x80 { 2 } else { 3 };
                out[at] = 9;
                out
            }
            _ => hello,
        }
    }
}

/// Who the client is, this time.
pub(crate) fn identity(plan: &Plan, chance: &mut Chance) -> Identity {
    let tags = TAGS.iter().copied().filter(|_| chance.happens(400)).collect();
    let product = chance.index(PRODUCTS.len());
    Identity { product, user: user(plan, chance), tags }
}

/// The name of somebody who may be online, or away.
pub(crate) fn user(plan: &Plan, chance: &mut Chance) -> String {
    format!("user-{}", chance.index(plan.users))
}

/// What a client says of an earlier session, where it remembers none.
fn mistaken(scene: &Scene) -> Option<Resume> {
    // Half of them think that they were here before, and are wrong about what came. Where messages
    // are kept, that would take away what nobody has seen.
    let sequence = if scene.plan.keeping.is_some() { 0 } else { scene.now };
    let before = Resume { session: [7; 16], sequence, broadcast: 0 };
    scene.now.is_multiple_of(2).then_some(before)
}

/// The machine of a client with this habit, its hello in the output.
pub(crate) fn machine(
    habit: Habit,
    identity: &Identity,
    before: Option<Resume>,
    scene: &Scene,
) -> Machine {
    let long = "x".repeat(65);
    let product =
        if habit == Habit::UnknownProduct { UNKNOWN_PRODUCT } else { PRODUCTS[identity.product] };
    let user = if habit == Habit::LongUser { &long } else { &identity.user };
    let token = if scene.plan.keys { token(habit, identity, scene.now) } else { String::new() };
    let hello = Hello {
        heartbeat: scene.plan.heartbeat,
        product,
        user,
        device: "sim",
        token: token.as_bytes(),
        resume: before.or_else(|| mistaken(scene)),
        tags: &identity.tags,
    };
    Machine::new(&hello, scene.seconds())
}

fn token(habit: Habit, identity: &Identity, now: u64) -> String {
    let secret = if habit == Habit::BadToken { SECRET.replace('a', "b") } else { SECRET.into() };
    let signer = Signer::hmac("k", secret.as_bytes()).expect("the secret is long enough");
    let today = unix_seconds(now);
    let expires = if habit == Habit::OldToken { today - 86_400 } else { today + 86_400 };
    let products = [PRODUCTS[identity.product]];
    let claims = Claims { user: &identity.user, products: &products, not_before: None, expires };
    signer.issue(&claims)
}

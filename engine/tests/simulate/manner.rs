//! When a client acknowledges what it got: at once, late, twice, or never.

use holdfast::io::sim::Chance;
use holdfast_protocol::client::FromClient;
use holdfast_protocol::frame;
use holdfast_protocol::limits::CLIENT_PAYLOAD;

use crate::plan::{Plan, SECOND};
use crate::scene::Scene;

/// How a client acknowledges durable messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All that one read brought, at once.
    Prompt,
    /// After a while, all that came until then.
    Late,
    /// At once, and again.
    Twice,
    /// Not before it comes back.
    Never,
}

impl Manner {
    pub(crate) fn draw(plan: &Plan, chance: &mut Chance) -> Self {
        if plan.keeping.is_none() {
            return Self::Prompt;
        }
        *chance.pick(&[
            Self::Prompt,
            Self::Prompt,
            Self::Late,
            Self::Late,
            Self::Twice,
            Self::Never,
        ])
    }
}

/// How far a client has come with the durable messages of its user.
#[derive(Debug)]
pub(crate) struct Acking {
    pub(crate) manner: Manner,
    /// The greatest sequence that it has dealt with.
    pub(crate) dealt: u64,
    /// The greatest that it has said to have dealt with.
    said: u64,
    /// It pings behind each acknowledgement: the pong says that the gateway has it.
    pub(crate) asks: bool,
    /// Something came that it has not acknowledged.
    owes: bool,
    /// When it acknowledges.
    pub(crate) due: u64,
}

impl Acking {
    pub(crate) fn new(manner: Manner, dealt: u64, chance: &mut Chance) -> Self {
        let asks = chance.happens(500);
        Self { manner, dealt, said: dealt, asks, owes: false, due: u64::MAX }
    }

    /// It sends these frames; gives what was acknowledged before each ping among them.
    pub(crate) fn says(&mut self, frames: &[u8]) -> Vec<u64> {
        let (mut at, mut pings) = (0, Vec::new());
        while let Ok(Some((frame, taken))) = frame::split(&frames[at..], CLIENT_PAYLOAD) {
            at += taken;
            match FromClient::decode(frame) {
                Ok(FromClient::Ack { sequence }) => self.said = self.said.max(sequence),
                Ok(FromClient::Ping) => pings.push(self.said),
                _ => {}
            }
        }
        pings
    }

    /// A message came.
    pub(crate) fn took(&mut self, sequence: u64) {
        self.dealt = self.dealt.max(sequence);
        self.owes = true;
    }

    /// Whether to acknowledge now.
    pub(crate) fn is_time(&mut self, chance: &mut Chance, scene: &Scene) -> bool {
        let waits = match self.manner {
            Manner::Prompt | Manner::Twice => false,
            _ if scene.calm => false,
            Manner::Late if self.due == u64::MAX => {
                self.due = if self.owes { scene.now + chance.below(3 * SECOND) } else { u64::MAX };
                true
            }
            Manner::Late => scene.now < self.due,
            Manner::Never => true,
        };
        if waits || !self.owes {
            return false;
        }
        (self.owes, self.due) = (false, u64::MAX);
        true
    }
}

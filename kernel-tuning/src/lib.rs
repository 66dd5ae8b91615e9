//! What a host's kernel must allow for so many connections, and what it allows now.
//!
//! A [`Goal`] says what the host shall carry. Each [`Knob`] turns goal and [`Facts`] into settings
//! with the values wanted; [`plan::look`] holds them against what is there. [`change::apply`]
//! writes down what was there before it changes anything, so [`undo::undo`] can put exactly that
//! back.
//!
//! Everything is read and written below the root of a [`Host`], so a test, or an image that is
//! being built, is a host like any other.

mod card;
pub mod change;
pub mod elsewhere;
pub mod facts;
pub mod goal;
pub mod host;
pub mod knobs;
pub mod overruled;
pub mod persist;
pub mod plan;
pub mod record;
pub mod room;
pub mod undo;
pub mod want;

pub use facts::Facts;
pub use goal::Goal;
pub use host::Host;
pub use knobs::Knob;

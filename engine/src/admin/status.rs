//! What the process is about: starting, ready, or going away.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Where the life of the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Not every shard serves yet.
    Starting = 0,
    /// Every shard serves.
    Ready = 1,
    /// No connection is accepted any more.
    Draining = 2,
}

impl State {
    /// A word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// The state of the process, for any thread to read.
#[derive(Debug)]
pub struct Status {
    state: AtomicU8,
    incarnation: u32,
}

impl Status {
    /// The version of this program.
    pub const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// The commit that it was built from, `-dirty` behind it where files were not as committed.
    pub const COMMIT: &'static str = env!("HOLDFAST_COMMIT");

    /// A process that starts, in its incarnation.
    pub const fn new(incarnation: u32) -> Self {
        Self { state: AtomicU8::new(State::Starting as u8), incarnation }
    }

    /// Where the process stands.
    pub fn state(&self) -> State {
        match self.state.load(Relaxed) {
            0 => State::Starting,
            1 => State::Ready,
            _ => State::Draining,
        }
    }

    /// Moves on. A process that drains does not become ready again.
    pub fn set(&self, state: State) {
        self.state.fetch_max(state as u8, Relaxed);
    }

    /// Grows each time the process starts on this host.
    pub const fn incarnation(&self) -> u32 {
        self.incarnation
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Status};

    #[test]
    fn a_process_moves_on_and_never_back() {
        let status = Status::new(7);
        for state in [State::Starting, State::Ready, State::Draining] {
            status.set(state);
            assert_eq!(status.state(), state);
        }
        status.set(State::Ready);
        assert_eq!(status.state(), State::Draining);
        assert_eq!(status.incarnation(), 7);
    }
}

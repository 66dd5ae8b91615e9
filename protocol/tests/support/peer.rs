//! A scripted peer: what it says reaches a machine through a pipe of a chosen width, what the
//! machine says is read frame by frame.

use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::{self, Frame};

/// The other end of a machine's connection.
pub(crate) struct Peer {
    /// How many bytes reach the machine at a time.
    width: usize,
    /// Said and not delivered yet.
    said: Vec<u8>,
    /// Heard and not read yet.
    heard: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, said: Vec::new(), heard: Vec::new() }
    }

    /// Says what `put` appends; it travels with the next delivery.
    pub(crate) fn say(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        put(&mut self.said);
        self
    }

    /// Delivers all that was said. `receive` takes one frame off the front of what has arrived and
    /// tells its length, `None` while it is incomplete. Gives the number of frames.
    pub(crate) fn deliver(
        &mut self,
        mut receive: impl FnMut(&[u8]) -> Result<Option<usize>, Violation>,
    ) -> Result<usize, Violation> {
        let (mut arrived, mut frames) = (Vec::new(), 0);
        let said = std::mem::take(&mut self.said);
        for piece in said.chunks(self.width) {
            arrived.extend_from_slice(piece);
            while let Some(taken) = receive(&arrived)? {
                arrived.drain(..taken);
                frames += 1;
            }
        }
        assert!(arrived.is_empty(), "{} bytes were said and not taken", arrived.len());
        Ok(frames)
    }

    /// Hears what the machine has to send.
    pub(crate) fn hear(&mut self, output: &mut Vec<u8>) -> &mut Self {
        self.heard.append(output);
        self
    }

    /// Reads the next frame that was heard.
    pub(crate) fn expect<T>(&mut self, read: impl FnOnce(Frame<'_>) -> T) -> T {
        let (frame, taken) =
            frame::split(&self.heard, 1 << 27).expect("a valid frame").expect("a whole frame");
        let meaning = read(frame);
        self.heard.drain(..taken);
        meaning
    }

    /// Nothing more was heard.
    pub(crate) fn expect_silence(&self) {
        assert!(self.heard.is_empty(), "{} bytes were not expected", self.heard.len());
    }
}

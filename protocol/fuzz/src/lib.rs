//! What every fuzz target does with its bytes: cut them into frames in one go and byte by byte,
//! with the same result, and write each understood frame again, with the same bytes.

pub mod again;

use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::{self, Frame};

/// What a stream comes to: where each frame ends, and the violation that stopped it.
type Cut = (Vec<usize>, Option<Violation>);

fn cut_at_once(bytes: &[u8], payload_max: usize) -> Cut {
    let (mut ends, mut at) = (Vec::new(), 0);
    loop {
        match frame::split(&bytes[at..], payload_max) {
            Ok(Some((frame, taken))) => {
                assert!(taken >= 2 + frame.payload.len() && frame.payload.len() <= payload_max);
                at += taken;
                ends.push(at);
            }
            Ok(None) => return (ends, None),
            Err(violation) => return (ends, Some(violation)),
        }
    }
}

fn cut_byte_by_byte(bytes: &[u8], payload_max: usize) -> Cut {
    let (mut ends, mut at) = (Vec::new(), 0);
    for end in 1..=bytes.len() {
        match frame::split(&bytes[at..end], payload_max) {
            Ok(Some((_, taken))) => {
                assert_eq!(at + taken, end, "a frame is whole with its last byte and not before");
                at = end;
                ends.push(at);
            }
            Ok(None) => {}
            Err(violation) => return (ends, Some(violation)),
        }
    }
    (ends, None)
}

/// Cuts `bytes` into frames and hands each to `understand`, which writes it again if it can.
pub fn stream(
    bytes: &[u8],
    payload_max: usize,
    understand: impl Fn(Frame<'_>) -> Result<Option<Vec<u8>>, Violation>,
) {
    let cut = cut_at_once(bytes, payload_max);
    assert_eq!(cut, cut_byte_by_byte(bytes, payload_max));
    let mut at = 0;
    for end in cut.0 {
        let (frame, taken) = frame::split(&bytes[at..], payload_max).unwrap().unwrap();
        if let Ok(Some(again)) = understand(frame) {
            assert_eq!(again, bytes[at..at + taken], "an encoding is the only one");
        }
        at = end;
    }
}

//! What a gateway may send to a backend: the frames, and the backend's half that takes them.
#![no_main]

use holdfast_protocol::backend::Answer;
use holdfast_protocol::backend::machine::{Machine, State};
use holdfast_protocol::limits::BACKEND_PAYLOAD;
use holdfast_protocol_fuzz::{again, stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    stream(bytes, BACKEND_PAYLOAD, |frame| Answer::decode(frame).map(|it| again::answer(&it)));
    let mut backend = Machine::new("fuzz", b"");
    let mut at = 0;
    // What comes behind a close changes nothing.
    let mut closed = false;
    while let Ok(Some((answer, taken))) = backend.receive(&bytes[at..]) {
        at += taken;
        let answered = answer.request().filter(|_| !closed);
        closed = matches!(backend.state(), State::Closed);
        assert!(answered.is_none_or(|id| backend.unanswered().all(|left| left != id)));
        let sent = (0..4).filter(|_| backend.counters().is_ok()).count();
        assert!(sent == 0 || matches!(backend.state(), State::Open(_)));
        if let State::Open(welcome) = backend.state() {
            assert!(backend.unanswered().count() <= welcome.window as usize);
        }
        backend.output().clear();
    }
});

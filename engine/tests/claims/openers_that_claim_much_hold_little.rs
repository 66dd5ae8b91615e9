//! Memory follows what was received, never what was announced: neither thousands of openers that
//! claim the largest length nor backends that claim megabytes move it.

use crate::support::process::Process;
use crate::support::{Peer, Which, alone, until};
use holdfast_protocol::frame::write_header;
use holdfast_protocol::limits::{BACKEND_PAYLOAD, CLIENT_PAYLOAD};

on_both! {
    memory_does_not_move,
}

const OPENERS: u64 = 10_000;
const BACKENDS: u64 = 40;

/// The beginning of a frame that claims to be this long.
fn claim(kind: u8, payload: usize) -> Vec<u8> {
    let mut header = [0; 5];
    let length = write_header(kind, payload, &mut header);
    [&header[..length], &[1]].concat()
}

fn memory_does_not_move(io: Which) {
    // With one back end's openers beside the other's, this process has too few descriptors.
    let name =
        format!("openers_that_claim_much_hold_little::on_{}::memory_does_not_move", io.name());
    if !alone(&name) {
        return;
    }
    let limits =
        ["client.connections_max=12000", "client.hello_timeout=600s", "client.frame_timeout=600s"];
    let process = Process::serve(io, &limits);
    let mut backend = process.backend();
    // The tables grow once; what is measured is what the claims add.
    let mut peers: Vec<_> = (0..OPENERS).map(|_| Peer::connect(process.clients)).collect();
    let mut backends: Vec<_> = (0..BACKENDS).map(|_| process.backend()).collect();
    let mut counters = backend.counters();
    until("all are accepted", || {
        counters = backend.counters();
        counters["connections.opening"] == OPENERS
    });
    let (resident, private) = (process.memory("RssAnon:"), process.memory("VmData:"));
    let mut expected = counters["client_received"];
    let opener = claim(0x01, CLIENT_PAYLOAD);
    for peer in &mut peers {
        peer.send(&opener);
        expected += opener.len() as u64;
    }
    for backend in &mut backends {
        backend.peer.send(&claim(0x10, BACKEND_PAYLOAD));
    }
    until("all were read", || backend.counters()["client_received"] == expected);
    backend.counters();
    let claimed = OPENERS * CLIENT_PAYLOAD as u64 + BACKENDS * BACKEND_PAYLOAD as u64;
    // The beginning of a frame, and the note that there is one, take under 512 bytes.
    let bound = (OPENERS + BACKENDS) * 512;
    assert!(bound * 10 < claimed);
    let more = process.memory("RssAnon:").saturating_sub(resident);
    assert!(more < bound, "{more} bytes for {OPENERS} openers");
    let more = process.memory("VmData:").saturating_sub(private);
    assert!(more < bound, "{more} bytes reserved for {OPENERS} openers");
}

//! Sends: many sockets in one call, and every buffer free when it returns.
//!
//! `MSG_DONTWAIT` has the kernel finish each send inside the call that submits it. `MSG_WAITALL`
//! makes a short send count as failed, so that of successes, which skip their completion, only
//! whole ones are silent: what left no completion was sent to the last byte. A short one's
//! completion says how many bytes were taken, and nothing tries again behind our back.
//! `tests/kernel_contract.rs` shows this on the kernel at hand.

#![allow(unsafe_code, reason = "the entries name the caller's buffers")]

use io_uring::{opcode, squeue, types};
use rustix::io::Errno;

use super::ring::{Completion, Ring};
use crate::io::socket::{Socket, failed_send};
use crate::io::token::{Operation, Token};
use crate::io::{Outgoing, Sent};

/// How many sends one call takes: 64 to 128 pay the call off, and more would keep the shard inside
/// the kernel for too long (512 take 4 ms).
const SENDS_PER_ENTER: usize = 128;

/// What one send takes at most, below the kernel's own limit, above which no send is ever whole.
const LONGEST: u32 = 1 << 30;

const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;

pub(super) fn send(ring: &mut Ring, batch: &[Outgoing<'_, Socket>], outcomes: &mut Vec<Sent>) {
    for batch in batch.chunks(SENDS_PER_ENTER) {
        let (first, kept) = (outcomes.len(), ring.kept());
        for (index, outgoing) in batch.iter().enumerate() {
            let entry = entry(index, outgoing);
            // SAFETY: the batch is borrowed until `send` returns, and `settle` does not return
            // before the kernel has finished every send or the ring has failed and is entered no
            // more.
            unsafe { ring.push(&entry) };
            outcomes.push(silent(outgoing));
        }
        settle(ring, kept, &mut outcomes[first..]);
    }
}

fn entry(index: usize, outgoing: &Outgoing<'_, Socket>) -> squeue::Entry {
    debug_assert!(!outgoing.bytes.is_empty(), "a send of nothing");
    let length = u32::try_from(outgoing.bytes.len()).unwrap_or(LONGEST).min(LONGEST);
    opcode::Send::new(types::Fd(outgoing.socket.raw()), outgoing.bytes.as_ptr(), length)
        .flags(FLAGS)
        .build()
        .flags(squeue::Flags::SKIP_SUCCESS)
        .user_data(Token::at(Operation::Send, index).encode())
}

/// The outcome of a send that leaves no completion.
fn silent(outgoing: &Outgoing<'_, Socket>) -> Sent {
    let longest = LONGEST as usize;
    if outgoing.bytes.len() <= longest { Sent::All } else { Sent::Part(longest) }
}

/// Submits the batch and writes down which sends were not whole. `kept` is how many completions
/// were kept before the batch: a ring short of room or memory may have put some of ours after
/// those.
fn settle(ring: &mut Ring, kept: usize, outcomes: &mut [Sent]) {
    loop {
        if ring.submit().is_err() {
            // It may have taken some, but nobody will learn which; the shard is about to end.
            outcomes.fill(Sent::Broken);
            return;
        }
        if ring.kept() > kept {
            for completion in ring.take_kept_after(kept) {
                note(ring, completion, outcomes);
            }
        }
        while let Some(completion) = ring.next_unkept() {
            note(ring, completion, outcomes);
        }
        // A completion that did not fit the queue may be one of ours.
        if !ring.has_overflowed() {
            return;
        }
    }
}

/// Writes down the outcome of a send; completions of others are kept for the next wait.
fn note(ring: &mut Ring, completion: Completion, outcomes: &mut [Sent]) {
    match Token::decode(completion.name) {
        Some(token) if token.operation == Operation::Send => {
            if let Some(outcome) = outcomes.get_mut(token.index()) {
                *outcome = judge(completion.result);
            }
        }
        _ => ring.keep(completion),
    }
}

fn judge(result: i32) -> Sent {
    match usize::try_from(result) {
        Ok(count) => Sent::Part(count),
        Err(_) => failed_send(Errno::from_raw_os_error(-result)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_of_memory_is_a_send_to_be_tried_again() {
        for errno in [libc::ENOBUFS, libc::ENOMEM, libc::EAGAIN] {
            assert_eq!(judge(-errno), Sent::Part(0), "{errno}");
        }
        assert_eq!(judge(-libc::ECONNRESET), Sent::Broken);
        assert_eq!(judge(7), Sent::Part(7));
    }
}

//! What happens when nothing does: silence, dribble, peers that do not read.

use crate::connection::{Connection, Ending, Role};
use crate::io::{Io, Key};
use crate::shard::Shard;
use crate::shard::settings::Settings;
use holdfast_protocol::close::Code;
use holdfast_protocol::session::State;

/// How long a peer has to read its close and to close in turn, in seconds.
const LINGER: u32 = 2;

/// What a connection's silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Close with this code.
    Close(Code),
    /// It had its time to say goodbye.
    Kill,
}

impl<I: Io> Shard<I> {
    /// The timer of a slot ran out: it is due, or it is set anew.
    pub(crate) fn timer(&mut self, slot: u32) {
        let now = self.now.seconds();
        let Some((key, connection)) = self.connections.at(slot) else { return };
        let Some((due, verdict)) = deadline(connection, &self.settings) else { return };
        if due > now {
            self.wheel.set(slot, due);
            return;
        }
        if let Verdict::Close(code) = verdict {
            self.note_close(key, code, code.name());
        }
        match verdict {
            // Who reads nothing would not read the close either.
            Verdict::Close(Code::SlowReader) => self.give_up(key, Code::SlowReader),
            Verdict::Close(code) => self.close(key, code, code.name()),
            Verdict::Kill => self.kill(key),
        }
    }

    /// Sets the timer of a connection whose deadline may have come nearer.
    pub(crate) fn hasten(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some((due, _)) = deadline(connection, &self.settings) {
            self.wheel.set(key.slot, due);
        }
    }
}

/// The second in which the connection's patience has ended, and what happens then.
fn deadline<S>(connection: &Connection<S>, settings: &Settings) -> Option<(u32, Verdict)> {
    // What is left over of the seconds is not known: one more, so that nobody is judged early.
    patience(connection, settings).map(|(end, verdict)| (end.saturating_add(1), verdict))
}

fn patience<S>(connection: &Connection<S>, settings: &Settings) -> Option<(u32, Verdict)> {
    let heard = connection.heard;
    match connection.ending {
        Ending::Open => {}
        // What it takes of what is queued counts as hearing of it, but not for ever.
        Ending::Flushing => {
            let linger = heard + LINGER;
            return Some((
                stuck(connection, settings).map_or(linger, |end| end.min(linger)),
                Verdict::Kill,
            ));
        }
        Ending::Lingering => return Some((heard + LINGER, Verdict::Kill)),
        Ending::Dead => return None,
    }
    let silence = match &connection.role {
        Role::Client(client) if client.state == State::Online => {
            // One and a half heartbeats, rounded up.
            let patience = u32::from(client.heartbeat) * 3;
            Some((heard + patience.div_ceil(2), Code::HeartbeatTimeout))
        }
        // It is not read, so it cannot be heard.
        Role::Backend(backend) if backend.held => None,
        Role::Backend(backend) if backend.open => {
            Some((heard + settings.backend_idle, Code::HeartbeatTimeout))
        }
        Role::Client(_) | Role::Backend(_) => {
            Some((heard + settings.hello_timeout, Code::HelloTimeout))
        }
    };
    let busy = connection.busy.as_deref();
    let partial = busy
        .filter(|busy| !busy.partial.is_empty() && !is_held(connection))
        .map(|busy| (busy.begun + settings.frame_timeout, Code::FrameTimeout));
    let slow = stuck(connection, settings).map(|end| (end, Code::SlowReader));
    let all = [silence, partial, slow].into_iter().flatten();
    all.min().map(|(due, code)| (due, Verdict::Close(code)))
}

/// However little a peer reads: what waits for it longest bounds its time.
fn stuck<S>(connection: &Connection<S>, settings: &Settings) -> Option<u32> {
    let front = connection.busy.as_deref()?.parked.front()?;
    Some(front.since + settings.slow_reader_timeout)
}

/// A backend that is held could not finish its frame.
fn is_held<S>(connection: &Connection<S>) -> bool {
    matches!(&connection.role, Role::Backend(backend) if backend.held)
}

//! Lines of the log about one connection: who came, who left and why.
//!
//! They are on the level `debug`, since a peer can cause them at will; where that is off they cost
//! a comparison. What peers say of themselves is quoted and escaped by the log and bounded by the
//! wire. What this does not do: the lines on refusals, which are gated and stand where the refusal
//! does.

use crate::connection::{Ending, Role};
use crate::io::{Io, Key};
use crate::shard::Shard;
use holdfast_protocol::client::from_client::Hello;
use holdfast_protocol::close::Code;
use tracing::Level;
use tracing::field::{DisplayValue, display};

impl<I: Io> Shard<I> {
    /// The other end's address for a line of the log. It costs a system call: only for a line that
    /// is really written.
    pub(crate) fn peer(&self, key: Key) -> Option<DisplayValue<std::net::SocketAddr>> {
        let connection = self.connections.get(key)?;
        self.io.peer(&connection.socket).map(display)
    }

    /// A client proved who it is.
    pub(crate) fn note_login(&self, key: Key, hello: &Hello<'_>) {
        if tracing::enabled!(Level::DEBUG) {
            let (shard, slot, peer) = (self.number, key.slot, self.peer(key));
            let Hello { product, user, device, .. } = *hello;
            tracing::debug!(shard, slot, peer, product, user, device, "client logs in");
        }
    }

    /// A backend proved who it is.
    pub(crate) fn note_backend(&self, key: Key, name: &str) {
        if tracing::enabled!(Level::DEBUG) {
            let (shard, slot, peer) = (self.number, key.slot, self.peer(key));
            tracing::debug!(shard, slot, peer, name, "backend connected");
        }
    }

    /// A connection is closed in order, with a code.
    pub(crate) fn note_close(&self, key: Key, code: Code, reason: &str) {
        if tracing::enabled!(Level::DEBUG) {
            self.note_end(key, Some(code), reason);
        }
    }

    /// A connection ended without a code.
    pub(crate) fn note_lost(&self, key: Key, reason: &str) {
        if tracing::enabled!(Level::DEBUG) {
            self.note_end(key, None, reason);
        }
    }

    fn note_end(&self, key: Key, code: Option<Code>, reason: &str) {
        let Some(connection) = self.connections.get(key) else { return };
        // The end of one that is closing already is no news.
        if connection.ending != Ending::Open {
            return;
        }
        let (shard, slot, peer) = (self.number, key.slot, self.peer(key));
        let code = code.map(display);
        match &connection.role {
            Role::Client(_) => {
                tracing::debug!(shard, slot, peer, code, reason, "client leaves");
            }
            Role::Backend(backend) => {
                let name = backend.name.as_str();
                tracing::debug!(shard, slot, peer, name, code, reason, "backend leaves");
            }
        }
    }
}

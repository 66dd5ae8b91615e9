//! Whom a message is for: the user's home gives it its place in the user's order and sends it on.

use crate::broadcast::owner::Send;
use crate::connection::id::ConnectionId;
use crate::directory::homes::UserKey;
use crate::io::Io;
use crate::mesh::letter::{About, BroadcastOrder, Origin, Parcel, Register};
use crate::mesh::{ToHome, ToOrigin, ToSession};
use crate::metrics::Counter;
use crate::shard::Shard;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::close::Code;
use std::sync::Arc;

impl<I: Io> Shard<I> {
    /// A letter for a home of this shard, or for this shard as the owner of a broadcast.
    pub(crate) fn at_home(&mut self, letter: ToHome) {
        match letter {
            ToHome::Register(register) => self.register(&register),
            ToHome::Unregister(home, connection) => {
                self.homes.unregister(home, connection);
            }
            ToHome::Push { origin, product, hash, parcel } => {
                self.route(origin, product, hash, parcel);
            }
            ToHome::Online(about) => self.count_sessions(&about),
            ToHome::Kick(about, reason) => self.kick(&about, reason),
            ToHome::Broadcast(order) => self.start_broadcast(&order),
            ToHome::Job(origin, action, job) => {
                let mut send = Vec::new();
                self.owner.act(origin, action, job, &mut send);
                self.carry_out(send);
            }
        }
    }

    fn register(&mut self, register: &Register) {
        let Register { connection, product, hash, ref user } = *register;
        let key = UserKey { product, user, hash };
        let registered = self.homes.register(key, connection);
        let letter = ToSession::Registered {
            connection,
            home: registered.home,
            shard: self.number,
            next_sequence: registered.next_sequence,
        };
        self.ends.session_out.send(connection.shard, letter);
        if let Some(old) = registered.replaced {
            self.end_session(old, Code::Replaced, None);
        }
    }

    fn end_session(&mut self, connection: ConnectionId, code: Code, reason: Option<Arc<str>>) {
        let letter = ToSession::End { connection, code, reason };
        self.ends.session_out.send(connection.shard, letter);
    }

    fn route(&mut self, origin: Origin, product: u16, hash: u64, parcel: Parcel) {
        let key = UserKey { product, user: parcel.user(), hash };
        match self.homes.address(key) {
            Some((connection, sequence)) => {
                let letter = ToSession::Push { connection, origin, sequence, parcel };
                self.ends.session_out.send(connection.shard, letter);
            }
            None => self.report(origin, Outcome::Offline),
        }
    }

    /// Tells a backend what became of one target.
    pub(crate) fn report(&mut self, origin: Origin, outcome: Outcome) {
        let letter = ToOrigin::Outcome(origin, outcome);
        self.ends.origin_out.send(origin.connection.shard, letter);
    }

    fn count_sessions(&mut self, about: &About) {
        let key = UserKey { product: about.product, user: &about.user, hash: about.hash };
        let count = u32::from(self.homes.session(key).is_some());
        let letter = ToOrigin::Count(about.origin, count);
        self.ends.origin_out.send(about.origin.connection.shard, letter);
    }

    fn kick(&mut self, about: &About, reason: Arc<str>) {
        let key = UserKey { product: about.product, user: &about.user, hash: about.hash };
        // From now on the user is offline, however long the connection takes to end.
        let session = self.homes.remove(key);
        if let Some(session) = session {
            self.end_session(session, Code::Kicked, Some(reason));
        }
        let letter = ToOrigin::Count(about.origin, u32::from(session.is_some()));
        self.ends.origin_out.send(about.origin.connection.shard, letter);
    }

    fn start_broadcast(&mut self, order: &BroadcastOrder) {
        match self.owner.start(order, self.now.seconds()) {
            Ok(start) => {
                self.metrics.count(Counter::BroadcastsStarted);
                let (start, shards) = (Arc::new(start), self.settings.shards);
                let letter = || ToSession::Part(Arc::clone(&start));
                Self::everywhere(&mut self.ends.session_out, shards, letter);
            }
            Err(refusal) => self.carry_out(vec![refusal]),
        }
    }

    /// Sends what the owner of broadcasts has to say.
    pub(crate) fn carry_out(&mut self, send: Vec<Send>) {
        for send in send {
            match send {
                Send::Answer(origin, job) => {
                    let letter = ToOrigin::Job(origin, job);
                    self.ends.origin_out.send(origin.connection.shard, letter);
                }
                Send::Order(shard, job, order) => {
                    self.ends.session_out.send(shard, ToSession::Order(job, order));
                }
            }
        }
    }
}

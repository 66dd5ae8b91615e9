//! Whom a message is for: the user's home gives it its place in the user's order and sends it on.

use crate::broadcast::owner::Send;
use crate::connection::id::ConnectionId;
use crate::directory::homes::{HomeId, Registered, UserKey};
use crate::io::Io;
use crate::mesh::letter::{About, Origin, Parcel, Register};
use crate::mesh::{ToHome, ToOrigin, ToSession};
use crate::shard::Shard;
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::close::Code;
use std::sync::Arc;

impl<I: Io> Shard<I> {
    /// A letter for a home of this shard, or for this shard as the owner of a broadcast.
    pub(crate) fn at_home(&mut self, letter: ToHome) {
        match letter {
            ToHome::Register(_) | ToHome::Keep(_) | ToHome::Mailbox(..) => {
                self.with_mailbox(letter);
            }
            ToHome::Unregister { home, connection, lingers, writes } => {
                self.part_from(home, connection, writes);
                self.unregister(home, connection, lingers);
            }
            ToHome::Gone(connection) => drop(self.parting.remove(&connection)),
            ToHome::Push { origin, product, hash, parcel } => {
                self.route(origin, product, hash, &parcel);
            }
            ToHome::Ack(home, sequence) => self.acknowledge(home, sequence),
            ToHome::Stuck(home, connection, sequence) => self.stuck(home, connection, sequence),
            ToHome::Room(home, connection) => self.feed_on(home, connection),
            ToHome::Seen(home, connection, number) => self.saw(home, connection, number),
            ToHome::Online(about) => self.count_sessions(&about),
            ToHome::Kick(about, reason) => self.kick(&about, &reason),
            ToHome::Broadcast(order) => self.start_broadcast(&order),
            ToHome::Job(origin, action, job) => self.steer_job(origin, action, job),
        }
    }

    pub(crate) fn register(&mut self, register: &Register) {
        let Register { connection, product, hash, resume, .. } = *register;
        let key = register.user_key();
        let most = self.settings.products[usize::from(product)].sessions;
        let earlier = resume.and_then(|resume| resume.session);
        let Registered { home, next_sequence, replaced, resumed } =
            self.homes.register(key, connection, most, earlier);
        // What was never given out was given by another store, and says nothing of this one.
        if let Some(resume) = resume.filter(|resume| resume.sequence < next_sequence) {
            self.acknowledge(home, resume.sequence);
        }
        let pending = self.mailbox(home).map_or(0, |mailbox| mailbox.last());
        let said = resume.map_or(0, |resume| resume.broadcast);
        let had = self.had((product, hash), said, home);
        let shard = self.number;
        let letter =
            ToSession::Registered { connection, home, shard, next_sequence, resumed, pending, had };
        self.ends.session_out.send(connection.shard, letter);
        self.begin_feed(home, connection);
        if let Some(old) = replaced {
            self.end_feed(home, old);
            self.part_from(home, old, true);
            self.end_session(old, Code::Replaced, None);
        }
    }

    fn unregister(&mut self, home: HomeId, connection: ConnectionId, lingers: bool) {
        self.end_feed(home, connection);
        let lingers = lingers && self.settings.linger > 0;
        if self.homes.unregister(home, connection, lingers) && lingers {
            self.let_linger(home, connection);
        }
        self.let_go_if_idle(home);
    }

    fn end_session(&mut self, connection: ConnectionId, code: Code, reason: Option<Arc<str>>) {
        let letter = ToSession::End { connection, code, reason };
        self.ends.session_out.send(connection.shard, letter);
    }

    fn route(&mut self, origin: Origin, product: u16, hash: u64, parcel: &Parcel) {
        let key = UserKey { product, user: parcel.user(), hash };
        let home = self.homes.find(key);
        let online = home.filter(|&home| self.homes.get(home).is_some_and(|it| !it.is_offline()));
        let Some(home) = online else {
            self.report(origin, Outcome::Offline);
            return;
        };
        let sequence = self.homes.number(home);
        self.reserve();
        let Some(owner) = self.homes.get(home) else { return };
        let copies = u8::try_from(owner.sessions.live().count()).unwrap_or(u8::MAX);
        for connection in owner.sessions.live() {
            let (origin, parcel) = (Origin { copies, ..origin }, parcel.clone());
            let letter = ToSession::Push { connection, origin, sequence, parcel };
            self.ends.session_out.send(connection.shard, letter);
        }
    }

    /// Tells a backend what became of one target.
    pub(crate) fn report(&mut self, origin: Origin, outcome: Outcome) {
        let letter = ToOrigin::Outcome(origin, outcome);
        self.ends.origin_out.send(origin.connection.shard, letter);
    }

    fn count_sessions(&mut self, about: &About) {
        let key = about.user_key();
        let count = u32::try_from(self.homes.sessions(key).count()).unwrap_or(u32::MAX);
        let letter = ToOrigin::Count(about.origin, count);
        self.ends.origin_out.send(about.origin.connection.shard, letter);
    }

    fn kick(&mut self, about: &About, reason: &Arc<str>) {
        let key = about.user_key();
        // From now on the user is offline, however long the connection takes to end.
        let home = self.homes.find(key);
        for session in self.homes.sessions(key).collect::<Vec<_>>() {
            if let Some(home) = home {
                self.end_feed(home, session);
                self.part_from(home, session, true);
            }
        }
        let sessions = self.homes.remove(key);
        for &session in &sessions {
            self.end_session(session, Code::Kicked, Some(Arc::clone(reason)));
        }
        if let Some(home) = home {
            self.let_go_if_idle(home);
        }
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
        let letter = ToOrigin::Count(about.origin, count);
        self.ends.origin_out.send(about.origin.connection.shard, letter);
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

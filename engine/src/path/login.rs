//! A client says who it is: its token is checked here, its session is made at the user's home.

use crate::broadcast::notices::Had;
use crate::connection::id::{Address, ConnectionId};
use crate::connection::outbox::{Frame, Queued};
use crate::connection::{Ending, Tag};
use crate::directory::homes::HomeId;
use crate::directory::place::shard_of;
use crate::io::{Io, Key};
use crate::mesh::ToHome;
use crate::mesh::letter::{Register, Resumption};
use crate::metrics::{ConnectionState, Counter};
use crate::shard::{Shard, key as key_of};
use compact_str::CompactString;
use holdfast_protocol::client::from_client::Hello;
use holdfast_protocol::client::{Welcome, from_server};
use holdfast_protocol::close::Code;
use holdfast_protocol::session::State;

/// What a home answered to a login.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) connection: ConnectionId,
    pub(crate) home: HomeId,
    pub(crate) shard: u16,
    pub(crate) next_sequence: u64,
    /// Whether the session that the client named goes on.
    pub(crate) resumed: bool,
    /// The greatest sequence that waits for the user; 0 for none.
    pub(crate) pending: u64,
    /// Which durable broadcasts the user has had, where there are any.
    pub(crate) had: Option<Box<Had>>,
}

impl<I: Io> Shard<I> {
    pub(crate) fn log_in(&mut self, key: Key, hello: &Hello<'_>) {
        let Some(product) = self.settings.product(hello.product) else {
            self.refuse_login(key, hello, Code::UnknownProduct, Code::UnknownProduct.name());
            return;
        };
        let seconds = self.now.unix_millis / 1000;
        let auth = &self.settings.client_auth;
        if let Err(why) = auth.examine(hello.product, hello.user, hello.token, seconds) {
            self.refuse_login(key, hello, why.denied().close_code(), why.name());
            return;
        }
        self.note_login(key, hello);
        let heartbeat = self.settings.grant(hello.heartbeat);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !hello.tags.is_empty() {
            let mut tags: Vec<_> = hello.tags.iter().map(CompactString::new).collect();
            // A tag that stands twice would be served twice.
            tags.sort_unstable();
            tags.dedup();
            connection.busy().wanted_tags = tags;
        }
        let Some(client) = connection.client() else { return };
        client.state = State::Greeting;
        self.metrics.moved(Some(ConnectionState::Opening), Some(ConnectionState::LoggingIn));
        client.product = product;
        client.heartbeat = heartbeat;
        let hash = self.settings.products[usize::from(product)].placer.hash(hello.user);
        let user = CompactString::new(hello.user);
        let resume = hello.resume.map(|resume| {
            let (ours, sequence) = (self.address(key), resume.sequence);
            let session = Address::of_session(resume.session).filter(|it| it.is_of(&ours));
            let session = session.map(|it| it.connection);
            Resumption { session, sequence, broadcast: resume.broadcast }
        });
        let register = Register { connection: self.id(key), product, hash, user, resume };
        let home = shard_of(hash, self.settings.shards);
        self.ends.home_out.send(home, ToHome::Register(Box::new(register)));
    }

    /// The peer is told the code alone; `why` is for the operator.
    fn refuse_login(&mut self, key: Key, hello: &Hello<'_>, code: Code, why: &str) {
        self.metrics.login_refused(code);
        if let Some(held) = self.may_log(|gates| &mut gates.login) {
            let (shard, slot, peer) = (self.number, key.slot, self.peer(key));
            let Hello { product, user, device, .. } = *hello;
            tracing::info!(shard, slot, peer, product, user, device, why, held, "login refused");
        }
        self.note_close(key, code, why);
        self.close(key, code, code.name());
    }

    /// The home knows the session: the client is welcome, unless it has gone meanwhile.
    pub(crate) fn registered(&mut self, login: &Login) {
        let key = key_of(login.connection);
        let connection = self.connections.get_mut(key);
        let waits = connection.is_some_and(|connection| {
            let open = connection.ending == Ending::Open;
            open && connection.client().is_some_and(|client| client.state == State::Greeting)
        });
        if !waits {
            let Login { home, connection, shard, .. } = *login;
            let gone = ToHome::Unregister { home, connection, lingers: false, writes: false };
            self.ends.home_out.send(shard, gone);
            return;
        }
        self.metrics.count(Counter::Logins);
        self.metrics.moved(Some(ConnectionState::LoggingIn), Some(ConnectionState::Online));
        self.enter(key, login);
        self.welcome(key, login);
        self.catch_up(key, login);
        self.tell_late(key.slot);
    }

    /// Makes the session one of its product's members, and of those with each of its tags.
    fn enter(&mut self, key: Key, login: &Login) {
        let now = self.now.seconds();
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.heard = now;
        let wanted = match connection.busy.as_mut() {
            Some(busy) => std::mem::take(&mut busy.wanted_tags),
            None => Vec::new(),
        };
        connection.settle();
        let Some(client) = connection.client() else { return };
        client.state = State::Online;
        client.frames = 0;
        client.sent = login.next_sequence - 1;
        client.durable = login.pending;
        client.acked = 0;
        client.home = login.home;
        client.home_shard = login.shard;
        let product = client.product;
        client.member = self.roster.join(self.members[usize::from(product)], key.slot);
        if !wanted.is_empty() {
            client.tags = Some(
                wanted
                    .into_iter()
                    .map(|tag| {
                        let roster = &mut self.roster;
                        let name = (product, tag);
                        let list = *self.tagged.entry(name.clone()).or_insert_with(|| {
                            let list = roster.open();
                            self.tag_of.insert(list, name);
                            list
                        });
                        Tag { list, member: roster.join(list, key.slot) }
                    })
                    .collect(),
            );
        }
        self.wheel.cancel(key.slot);
        self.hasten(key);
    }

    fn welcome(&mut self, key: Key, login: &Login) {
        let session = self.address(key).session_id();
        let connection = self.connections.get_mut(key);
        let Some(client) = connection.and_then(|connection| connection.client()) else { return };
        let welcome = Welcome {
            session,
            heartbeat: client.heartbeat,
            server_time: self.now.unix_millis,
            next_sequence: login.next_sequence,
            resumed: login.resumed,
            body_max: u32::try_from(self.settings.body_max).unwrap_or(u32::MAX),
        };
        let mut bytes = Vec::with_capacity(48);
        from_server::put_welcome(&welcome, &mut bytes);
        self.queue(key, Queued::control(Frame::Owned(bytes.into())));
    }

    pub(crate) fn pong(&mut self, key: Key) {
        self.pongs += 1;
        self.pongs_this_second += 1;
        self.queue(key, Queued::control(Frame::Fixed(&from_server::PONG)));
    }
}

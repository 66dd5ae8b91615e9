//! A backend asks: its requests are admitted under its window and cut into parts that travel by
//! themselves.

use crate::backend::requests::{Kind, Refused, retry_after};
use crate::broadcast::owner_of;
use crate::connection::outbox::{Frame, Queued};
use crate::directory::place::shard_of;
use crate::io::{Io, Key};
use crate::mesh::ToHome;
use crate::mesh::letter::{About, BroadcastOrder, Keep, Origin, Parcel};
use crate::metrics::{Counter, Histogram, flat};
use crate::shard::{Shard, key as key_of};
use compact_str::CompactString;
use holdfast_protocol::backend::answer::{self, ErrorCode, Rejection};
use holdfast_protocol::backend::request::{
    Broadcast, JobAction, MailboxAction, Online, Push, Target, unsupported,
};
use holdfast_protocol::backend::{JobId, Outcome, Request, RequestId, Welcome};
use holdfast_protocol::client::Class;
use holdfast_protocol::close::Code;
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame;
use holdfast_store::Span;
use std::sync::Arc;

impl<I: Io> Shard<I> {
    /// A frame from a backend.
    pub(crate) fn requested(&mut self, key: Key, frame: frame::Frame<'_>) -> Result<(), Violation> {
        let connection = self.connections.get_mut(key);
        let Some(backend) = connection.and_then(|connection| connection.backend()) else {
            return Ok(());
        };
        let open = backend.open;
        if let Some(id) = unsupported(frame)? {
            if !open {
                return Err(Violation::WrongState);
            }
            self.refuse_request(key, id, ErrorCode::Unsupported);
            self.hold_if_needed(key);
            return Ok(());
        }
        let request = Request::decode(frame)?;
        match (open, &request) {
            (_, Request::Skipped) => return Ok(()),
            (false, Request::Hello { name, key: secret }) => self.greet(key, name, secret),
            (false, _) | (true, Request::Hello { .. }) => return Err(Violation::WrongState),
            (true, Request::Ping) => self.answer(key, answer::put_pong),
            (true, _) => {
                if let Err((id, code)) = self.carry(key, &request, frame.payload) {
                    self.refuse_request(key, id, code);
                }
            }
        }
        self.hold_if_needed(key);
        Ok(())
    }

    fn greet(&mut self, key: Key, name: &str, secret: &[u8]) {
        if self.settings.backend_auth.check(name, secret).is_err() {
            if let Some(held) = self.may_log(|gates| &mut gates.backend) {
                let (shard, peer) = (self.number, self.peer(key));
                tracing::warn!(shard, peer, name, held, "backend refused: wrong API key");
            }
            self.note_close(key, Code::BadToken, "the API key is not valid");
            self.close(key, Code::BadToken, "the API key is not valid");
            return;
        }
        let connection = self.connections.get_mut(key);
        let Some(backend) = connection.and_then(|connection| connection.backend()) else { return };
        backend.open = true;
        self.metrics.count(Counter::BackendLogins);
        backend.name = CompactString::new(name);
        self.note_backend(key, name);
        let welcome = Welcome {
            window: self.settings.window,
            body_max: u32::try_from(self.settings.body_max).unwrap_or(u32::MAX),
            host: self.settings.host,
            incarnation: self.settings.incarnation,
        };
        self.answer(key, |out| answer::put_welcome(&welcome, out));
        self.wheel.cancel(key.slot);
        self.hasten(key);
    }

    /// Carries a request out, which borrows from `payload`, or says with which error it is answered
    /// instead.
    fn carry(
        &mut self,
        key: Key,
        request: &Request<'_>,
        payload: &[u8],
    ) -> Result<(), (RequestId, ErrorCode)> {
        if !self.takes_requests() {
            return Err((id_of(request), ErrorCode::ShuttingDown));
        }
        let (id, done) = match *request {
            Request::Push(id, ref push) => (id, self.push(key, id, push, payload)),
            Request::Broadcast(id, ref broadcast) => (id, self.broadcast(key, id, broadcast)),
            Request::Job(id, action, job) => (id, self.job(key, id, action, job)),
            Request::Online(id, ref online) => (id, self.online(key, id, online)),
            Request::Kick { id, product, user, reason } => {
                (id, self.order_kick(key, id, (product, user), reason))
            }
            Request::Counters(id) => (id, self.list_counters(key, id)),
            Request::Mailbox { id, product, user, action } => {
                (id, self.order_mailbox(key, id, (product, user), action))
            }
            Request::Hello { .. } | Request::Ping | Request::Skipped => (0, Ok(())),
        };
        done.map_err(|code| (id, code))
    }

    fn refuse_request(&mut self, key: Key, id: RequestId, code: ErrorCode) {
        self.metrics.request_error(code);
        self.answer(key, |out| answer::put_error(id, code, retry_after(code), code.name(), out));
    }

    /// Queues an answer that `put` appends.
    pub(crate) fn answer(&mut self, key: Key, put: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        put(&mut bytes);
        self.queue_bytes(key, bytes);
    }

    pub(crate) fn queue_bytes(&mut self, key: Key, bytes: Vec<u8>) {
        self.queue(key, Queued::control(Frame::Owned(bytes.into())));
    }

    /// A backend whose letters or answers wait for room is not read until there is some.
    fn hold_if_needed(&mut self, key: Key) {
        let blocked = self.blocked();
        let limit = self.settings.backend_outbox_bytes;
        let Some(connection) = self.connections.get_mut(key) else { return };
        // What is queued in this turn counts too: one read may hold thousands of small requests.
        let queued = self.staging.owned_bytes();
        if blocked || connection.parked_bytes() > limit || queued > limit {
            self.hold(key);
        }
    }

    /// Reads no more from a backend in this turn.
    fn hold(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(backend) = connection.backend().filter(|backend| !backend.held) {
            backend.held = true;
            self.held.push(key);
            self.metrics.count(Counter::MeshFull);
        }
    }

    fn admit(&mut self, key: Key, id: RequestId, kind: Kind) -> Result<Origin, ErrorCode> {
        let (connection, window, now) = (self.id(key), self.settings.window, self.now.micros);
        let backend = self.connections.get_mut(key).and_then(|connection| connection.backend());
        let backend = backend.ok_or(ErrorCode::ShuttingDown)?;
        let used = backend.requests.used();
        let request =
            backend.requests.admit(id, kind, window, now).map_err(|refused| match refused {
                Refused::WindowOverrun => ErrorCode::WindowOverrun,
                Refused::DuplicateId => ErrorCode::DuplicateId,
            })?;
        self.in_flight += u64::from(backend.requests.used() - used);
        Ok(Origin { connection, request, part: 0, copies: 1 })
    }

    fn push(
        &mut self,
        key: Key,
        id: RequestId,
        push: &Push<'_>,
        payload: &[u8],
    ) -> Result<(), ErrorCode> {
        let product = self.settings.product(push.product).ok_or(ErrorCode::UnknownProduct)?;
        let origin = self.admit(key, id, Kind::Push(push.targets.len()))?;
        let request: Arc<[u8]> = payload.into();
        for (part, target) in (0..).zip(push.targets.iter()) {
            let origin = Origin { part, ..origin };
            match self.refusal_of(&target) {
                Some(why) => self.report(origin, Outcome::Rejected(why)),
                None => self.send_home(origin, product, &target, (&request, payload)),
            }
        }
        Ok(())
    }

    fn refusal_of(&self, target: &Target<'_>) -> Option<Rejection> {
        if target.body.is_empty() {
            Some(Rejection::EmptyBody)
        } else if target.body.len() > self.settings.body_max {
            Some(Rejection::BodyTooLong)
        } else if target.class == Class::Durable && self.mailroom.is_none() {
            Some(Rejection::NoStore)
        } else {
            None
        }
    }

    /// Sends a target to its user's home, as a window on the `shared` copy of the `payload` it lies
    /// in.
    fn send_home(
        &mut self,
        origin: Origin,
        product: u16,
        target: &Target<'_>,
        (shared, payload): (&Arc<[u8]>, &[u8]),
    ) {
        self.metrics.observe(Histogram::PushBody, target.body.len() as u64);
        let hash = self.settings.products[usize::from(product)].placer.hash(target.user);
        let durable = target.class == Class::Durable;
        let usual = if durable { self.settings.rules.ttl } else { self.settings.ttl };
        let ttl = if target.ttl == 0 { usual } else { target.ttl };
        let parcel = Parcel {
            request: Arc::clone(shared),
            user_at: offset(payload, target.user.as_bytes()),
            body_at: offset(payload, target.body),
            body_length: narrow(target.body.len()),
            expires: self.now.seconds().saturating_add(ttl),
            user_length: u8::try_from(target.user.len()).unwrap_or(u8::MAX),
        };
        let home = shard_of(hash, self.settings.shards);
        if !durable {
            self.ends.home_out.send(home, ToHome::Push { origin, product, hash, parcel });
            return;
        }
        let key = Span { at: offset(payload, target.key), length: narrow(target.key.len()) };
        let receipt = target.receipt.then(|| self.backend_name(key_of(origin.connection)));
        let keep = Keep { origin, product, hash, ttl, parcel, key, receipt };
        self.ends.home_out.send(home, ToHome::Keep(Box::new(keep)));
    }

    fn broadcast(
        &mut self,
        key: Key,
        id: RequestId,
        broadcast: &Broadcast<'_>,
    ) -> Result<(), ErrorCode> {
        let product = self.settings.product(broadcast.product).ok_or(ErrorCode::UnknownProduct)?;
        if broadcast.body.is_empty() {
            return Err(ErrorCode::EmptyBody);
        }
        if broadcast.body.len() > self.settings.body_max {
            return Err(ErrorCode::BodyTooLong);
        }
        let durable = broadcast.class == Class::Durable;
        if durable && self.mailroom.is_none() {
            return Err(ErrorCode::NoStore);
        }
        let origin = self.admit(key, id, Kind::Job)?;
        let asked = broadcast.users_per_second;
        let usual = if durable { self.settings.rules.ttl } else { self.settings.broadcast_ttl };
        let order = BroadcastOrder {
            origin,
            product,
            tag: CompactString::new(broadcast.tag),
            users_per_second: if asked == 0 { self.settings.broadcast_pace } else { asked },
            bits_per_second: broadcast.bits_per_second,
            ttl: if broadcast.ttl == 0 { usual } else { broadcast.ttl },
            durable,
            key: broadcast.key.into(),
            body: broadcast.body.into(),
        };
        let placer = self.settings.products[usize::from(product)].placer;
        let owner = shard_of(placer.product(), self.settings.shards);
        self.ends.home_out.send(owner, ToHome::Broadcast(Box::new(order)));
        Ok(())
    }

    fn job(
        &mut self,
        key: Key,
        id: RequestId,
        action: JobAction,
        job: JobId,
    ) -> Result<(), ErrorCode> {
        let (host, shards) = (self.settings.host, self.settings.shards);
        let owner = owner_of(job, host, shards).ok_or(ErrorCode::UnknownJob)?;
        let origin = self.admit(key, id, Kind::Job)?;
        self.ends.home_out.send(owner, ToHome::Job(origin, action, job));
        Ok(())
    }

    fn online(&mut self, key: Key, id: RequestId, online: &Online<'_>) -> Result<(), ErrorCode> {
        let product = self.settings.product(online.product).ok_or(ErrorCode::UnknownProduct)?;
        let origin = self.admit(key, id, Kind::Online(online.users.len()))?;
        for (part, user) in (0..).zip(online.users.iter()) {
            let about = self.about(Origin { part, ..origin }, product, user);
            let home = shard_of(about.hash, self.settings.shards);
            self.ends.home_out.send(home, ToHome::Online(Box::new(about)));
        }
        Ok(())
    }

    fn order_kick(
        &mut self,
        key: Key,
        id: RequestId,
        (product, user): (&str, &str),
        reason: &str,
    ) -> Result<(), ErrorCode> {
        let product = self.settings.product(product).ok_or(ErrorCode::UnknownProduct)?;
        let origin = self.admit(key, id, Kind::Kick)?;
        let about = self.about(origin, product, user);
        let home = shard_of(about.hash, self.settings.shards);
        self.ends.home_out.send(home, ToHome::Kick(Box::new(about), reason.into()));
        Ok(())
    }

    fn backend_name(&mut self, key: Key) -> CompactString {
        let connection = self.connections.get_mut(key);
        let backend = connection.and_then(|connection| connection.backend());
        backend.map(|backend| backend.name.clone()).unwrap_or_default()
    }

    fn order_mailbox(
        &mut self,
        key: Key,
        id: RequestId,
        (product, user): (&str, &str),
        action: MailboxAction,
    ) -> Result<(), ErrorCode> {
        let product = self.settings.product(product).ok_or(ErrorCode::UnknownProduct)?;
        if self.mailroom.is_none() {
            return Err(ErrorCode::NoStore);
        }
        let origin = self.admit(key, id, Kind::Mailbox)?;
        let about = self.about(origin, product, user);
        let home = shard_of(about.hash, self.settings.shards);
        self.ends.home_out.send(home, ToHome::Mailbox(Box::new(about), action));
        Ok(())
    }

    fn about(&self, origin: Origin, product: u16, user: &str) -> About {
        let hash = self.settings.products[usize::from(product)].placer.hash(user);
        About { origin, product, hash, user: CompactString::new(user) }
    }

    fn list_counters(&mut self, key: Key, id: RequestId) -> Result<(), ErrorCode> {
        let origin = self.admit(key, id, Kind::Counters)?;
        let counters = flat(&self.metrics.all);
        let listed: Vec<_> = counters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.answer(key, |out| answer::put_counters(id, &listed, out));
        if let Some(backend) = self.connections.get_mut(key).and_then(|it| it.backend()) {
            let used = backend.requests.used();
            backend.requests.finish(origin.request);
            self.in_flight -= u64::from(used - backend.requests.used());
        }
        // Adding up every shard's counters is work that one read must not ask for thousands of
        // times.
        self.hold(key);
        Ok(())
    }
}

/// The id of a request; 0 for what has none.
fn id_of(request: &Request<'_>) -> RequestId {
    match *request {
        Request::Push(id, _)
        | Request::Broadcast(id, _)
        | Request::Job(id, ..)
        | Request::Online(id, _)
        | Request::Kick { id, .. }
        | Request::Counters(id)
        | Request::Mailbox { id, .. } => id,
        Request::Hello { .. } | Request::Ping | Request::Skipped => 0,
    }
}

/// Where `part`, a subslice of `whole`, starts in it.
fn offset(whole: &[u8], part: &[u8]) -> u32 {
    narrow((part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize))
}

/// A frame is at most 4 MiB.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

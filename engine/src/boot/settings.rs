//! From the configuration to what shards and sockets need to know of it: the one place where
//! settings become a shard's, for tests too.

use super::BootError;
use crate::auth::{BackendAuth, ClientAuth};
use crate::config::Config;
use crate::config::sections::StoreKind;
use crate::io::socket::SocketOptions;
use crate::limits::Limits;
use crate::mailbox::room::{MailboxPolicy, Rules};
use crate::mailbox::{Bounds, Redelivery};
use crate::shard::settings::{Product, Settings};
use std::time::Duration;

/// The longest silence of a backend, in seconds: its client library pings far more often.
const BACKEND_IDLE_SECONDS: u32 = 300;
/// The time to live of a message that asks for none, in seconds.
const TTL_SECONDS: u32 = 60;
/// The time to live of a broadcast that asks for none, in seconds: a paced one may take hours.
const BROADCAST_TTL_SECONDS: u32 = 24 * 3600;

/// What shards need to know of `config`, whose sizes `limits` are, in the life of this number.
///
/// # Errors
/// A key cannot be used.
pub fn settings(config: &Config, limits: &Limits, incarnation: u32) -> Result<Settings, BootError> {
    let client_auth =
        ClientAuth::new(&config.auth).map_err(|error| BootError::Key(error.to_string()))?;
    let (client, backend, broadcast) = (&config.client, &config.backend, &config.broadcast);
    Ok(Settings {
        host: config.host,
        incarnation,
        shards: limits.shards,
        products: products(config),
        client_auth,
        backend_auth: BackendAuth::new(&config.auth),
        clients_max: limits.connections,
        clients_total: u64::try_from(client.connections_max).ok().filter(|&most| most > 0),
        backends_max: limits.backends,
        hello_timeout: seconds(client.hello_timeout),
        frame_timeout: seconds(client.frame_timeout),
        heartbeat: client.heartbeat_default,
        heartbeat_min: client.heartbeat_min,
        heartbeat_max: client.heartbeat_max,
        drain_rate: config.drain.clients_per_second.div_ceil(u32::from(limits.shards)),
        pong_delay: client.pong_delay,
        frames_per_second: u16::try_from(client.frames_per_second).unwrap_or(u16::MAX),
        outbox_bytes: client.outbox_bytes,
        slow_reader_timeout: seconds(client.slow_reader_timeout),
        body_max: config.body_max,
        window: backend.window,
        backend_outbox_bytes: backend.outbox_bytes,
        backend_idle: BACKEND_IDLE_SECONDS,
        jobs_max: broadcast.jobs_max,
        kept_max: broadcast.kept_max,
        slice: u32::try_from(broadcast.slice).unwrap_or(u32::MAX),
        broadcast_pace: broadcast.users_per_second,
        linger: u32::try_from(client.linger.as_secs()).unwrap_or(u32::MAX),
        rules: rules(config),
        ttl: TTL_SECONDS,
        broadcast_ttl: BROADCAST_TTL_SECONDS,
    })
}

/// How durable messages are treated.
fn rules(config: &Config) -> Rules {
    let (store, mailbox) = (&config.store, &config.mailbox);
    Rules {
        redelivery: Redelivery {
            after: seconds(mailbox.redelivery_after),
            at_most: seconds(mailbox.redelivery_at_most),
            rounds: mailbox.redelivery_rounds,
        },
        key_window: seconds(store.idempotency_window),
        keys_max: store.idempotency_keys_max,
        queue_bytes: store.queue_bytes,
        ttl: seconds(mailbox.ttl),
        shared_store: store.kind == StoreKind::Redis,
    }
}

/// The products, by number, each with what is different for it.
pub(super) fn products(config: &Config) -> Vec<Product> {
    let mailbox = &config.mailbox;
    let product = |name: &String| {
        let own = mailbox.products.iter().find(|rules| rules.product == *name);
        let own = own.cloned().unwrap_or_default();
        let bounds = Bounds {
            messages: own.messages_max.unwrap_or(mailbox.messages_max),
            bytes: own.bytes_max.unwrap_or(mailbox.bytes_max) as u64,
        };
        let when_full = own.when_full.unwrap_or(mailbox.when_full);
        let sessions = own.sessions_max.unwrap_or(config.client.sessions_max);
        Product::new(name, sessions, MailboxPolicy { bounds, when_full })
    };
    config.products.iter().map(product).collect()
}

/// Where a body that is let in can never be stored, a line each: it is longer than a whole mailbox.
pub(super) fn small_mailboxes(config: &Config) -> Vec<String> {
    let own = config.mailbox.products.iter();
    let own = own.filter_map(|one| Some((format!(" of {}", one.product), one.bytes_max?)));
    let all = [(String::new(), config.mailbox.bytes_max)].into_iter().chain(own);
    let small =
        all.filter(|(_, bytes)| config.store.kind != StoreKind::None && *bytes < config.body_max);
    let line = |(of, bytes): (String, usize)| {
        format!(
            "mailbox.bytes_max{of} = {bytes} is less than body_max = {}: a durable message that is \
             longer than a whole mailbox is always answered with mailbox_full. Raise the one or \
             lower the other",
            config.body_max
        )
    };
    small.map(line).collect()
}

/// Whole seconds, at least one.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1)
}

pub(super) fn socket_options(config: &Config) -> SocketOptions {
    let socket = &config.socket;
    let set = |bytes: usize| (bytes > 0).then_some(bytes);
    SocketOptions {
        no_delay: true,
        user_timeout: (!socket.user_timeout.is_zero()).then_some(socket.user_timeout),
        not_sent_low_water: set(socket.notsent_lowat).and_then(|bytes| u32::try_from(bytes).ok()),
        send_buffer: set(socket.send_buffer),
        receive_buffer: set(socket.receive_buffer),
        backlog: socket.backlog,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn said(mailbox: &str, set: &str) -> Vec<String> {
        let text = format!("products = [\"chat\", \"shop\", \"mail\"]\n[mailbox]\n{mailbox}");
        small_mailboxes(&Config::parse("", &text, &[set.to_owned()], Path::new("")).unwrap())
    }

    #[test]
    fn a_mailbox_that_a_body_never_fits_into_is_told() {
        let own = "products = [{ product = \"chat\", bytes_max = \"2 KiB\" }, \
                   { product = \"shop\" }, { product = \"mail\", bytes_max = \"4 KiB\" }]";
        let one = said(own, "body_max=4 KiB");
        assert!(
            one.len() == 1 && one[0].starts_with("mailbox.bytes_max of chat = 2048"),
            "{one:?}"
        );
        let all = format!("bytes_max = \"1 KiB\"\n{own}");
        assert_eq!(said(&all, "body_max=4 KiB").len(), 2);
        assert_eq!(said(&all, "store.kind=none"), Vec::<String>::new());
        assert_eq!(said("", "body_max=4 KiB"), Vec::<String>::new());
    }
}

//! The store of a gateway, and what it had kept.

use super::BootError;
use crate::config::Config;
use crate::config::sections::{Redis, RedisDurability, RedisMode, StoreKind};
use crate::directory::place::shard_of;
use crate::io::Wake;
use crate::io::sleep::Doorbell;
use crate::mesh::Ends;
use crate::metrics::ShardMetrics;
use crate::shard::settings::{Product, Settings};
use holdfast_store::embedded::{self, Figures};
use holdfast_store::redis::{self, Credentials, Durability, Mode, Tls};
use holdfast_store::{Bell, Homes, Port, Recovered};
use std::sync::Arc;

/// Rings a shard as its neighbours do.
struct ShardBell<W>(Doorbell<W>);

impl<W: Wake + Send + Sync> Bell for ShardBell<W> {
    fn ring(&self) {
        self.0.ring();
    }
}

/// Who is at home where, for a store that hands out what it had kept.
#[derive(Debug)]
struct Placing {
    names: Vec<String>,
    products: Vec<Product>,
    shards: u16,
}

impl Homes for Placing {
    fn products(&self) -> &[String] {
        &self.names
    }

    fn hash(&self, product: u16, user: &str) -> u64 {
        self.products.get(usize::from(product)).map_or(0, |product| product.placer.hash(user))
    }

    fn shard(&self, hash: u64) -> u16 {
        shard_of(hash, self.shards)
    }

    fn shards(&self) -> u16 {
        self.shards
    }
}

/// A store that runs.
#[derive(Debug)]
pub(super) enum Handle {
    /// In this process.
    Embedded(embedded::Handle),
    /// Elsewhere.
    Redis(redis::Handle),
}

impl Handle {
    /// Ends it, with everything written that shards gave it.
    pub(super) fn stop(self) {
        match self {
            Self::Embedded(handle) => handle.stop(),
            Self::Redis(handle) => handle.stop(),
        }
    }

    /// Has a shard show its numbers.
    pub(super) fn show(&self, shard: &ShardMetrics) {
        match self {
            Self::Embedded(handle) => shard.show_store(handle.stats()),
            Self::Redis(handle) => shard.show_redis(handle.counters()),
        }
    }

    /// Its numbers, where it is in this process.
    pub(super) fn figures(&self) -> Option<Figures> {
        match self {
            Self::Embedded(handle) => Some(handle.figures()),
            Self::Redis(_) => None,
        }
    }
}

/// A store's end of each shard, with what it had kept for it, and its threads.
pub(super) type Opened = (Vec<Option<(Port, Recovered)>>, Option<Handle>);

/// Opens the store that the configuration wants, for the shards with these ends.
///
/// # Errors
/// The store is damaged, in use, or cannot be read, written or reached.
pub(super) fn open<W: Wake + Clone + Send + Sync + 'static>(
    config: &Config,
    settings: &Settings,
    ends: &[Ends<W>],
) -> Result<Opened, BootError> {
    let homes: Arc<dyn Homes> = Arc::new(Placing {
        names: config.products.clone(),
        products: super::settings::products(config),
        shards: settings.shards,
    });
    let bells = ends.iter().enumerate().map(|(shard, ends)| {
        let bell: Arc<dyn Bell> = Arc::new(ShardBell(ends.doorbells[shard].clone()));
        bell
    });
    let bells = bells.collect();
    let segment_bytes = u32::try_from(config.store.segment_bytes).unwrap_or(u32::MAX);
    let window = settings.rules.key_window;
    let started = match config.store.kind {
        StoreKind::None => return Ok((ends.iter().map(|_| None).collect(), None)),
        StoreKind::Memory => embedded::memory(segment_bytes, window, &homes, bells),
        StoreKind::Embedded => {
            let directory = config.store.directory.clone();
            let options =
                embedded::Options { directory, segment_bytes, idempotency_window: window };
            embedded::start(&options, &homes, bells)
        }
        StoreKind::Redis => return open_redis(config, homes, bells),
    };
    let started = started.map_err(|error| BootError::Store(error.to_string()))?;
    let ports = started.ports.into_iter().zip(started.recovered).map(Some).collect();
    Ok((ports, Some(Handle::Embedded(started.handle))))
}

fn open_redis(
    config: &Config,
    homes: Arc<dyn Homes>,
    bells: Vec<Arc<dyn Bell>>,
) -> Result<Opened, BootError> {
    let failed = |error: String| BootError::Store(error);
    let settings = &config.redis;
    let password = match &settings.password_file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| failed(format!("{}: {error}", file.display())))?;
            Some(text.trim_end_matches(['\n', '\r']).to_owned())
        }
        None => None,
    };
    let user = (!settings.user.is_empty()).then(|| settings.user.clone());
    let (replicas, timeout) = (settings.replicas, settings.wait);
    let with_tls = settings.addresses.iter().any(|address| address.starts_with("rediss://"));
    let own = settings.certificate_file.clone().zip(settings.key_file.clone());
    let options = redis::Options {
        addresses: settings.addresses.clone(),
        mode: match settings.mode {
            RedisMode::Single => Mode::Single,
            RedisMode::Sentinel => Mode::Sentinel(settings.master.clone()),
            RedisMode::Cluster => Mode::Cluster,
        },
        // A user may need no password; that is still another one than the default.
        credentials: (password.is_some() || user.is_some())
            .then(|| Credentials { user, password: password.unwrap_or_default() }),
        tls: with_tls.then(|| Tls { ca: settings.ca_file.clone(), own }),
        prefix: settings.prefix.clone(),
        host: config.host,
        durability: match settings.durability {
            RedisDurability::Async => Durability::Async,
            RedisDurability::Replicas => Durability::Replicas { replicas, timeout },
            RedisDurability::Synced => Durability::Synced { replicas, timeout },
        },
        command_timeout: settings.timeout,
        idempotency_window: config.store.idempotency_window,
        ..redis::Options::default()
    };
    let started =
        redis::start(&options, homes, bells).map_err(|error| failed(error.to_string()))?;
    tell(settings);
    let ports = started.ports.into_iter().zip(started.recovered).map(Some).collect();
    Ok((ports, Some(Handle::Redis(started.handle))))
}

/// Says that a store in Redis is open, as the embedded one does. (An address with a password in it
/// was refused.)
fn tell(settings: &Redis) {
    let addresses = settings.addresses.join(",");
    let (kind, mode, durability) = ("redis", settings.mode, settings.durability);
    tracing::info!(kind, addresses, ?mode, ?durability, "the store is open");
}

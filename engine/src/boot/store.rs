//! The store of a gateway, and what it had kept.

use super::BootError;
use crate::config::Config;
use crate::config::sections::StoreKind;
use crate::directory::place::shard_of;
use crate::io::Wake;
use crate::io::sleep::Doorbell;
use crate::mesh::Ends;
use crate::shard::settings::{Product, Settings};
use holdfast_store::embedded::{self, Handle, Options};
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

/// A store's end of each shard, with what it had kept for it, and its threads.
pub(super) type Opened = (Vec<Option<(Port, Recovered)>>, Option<Handle>);

/// Opens the store that the configuration wants, for the shards with these ends.
///
/// # Errors
/// The store is damaged, in use, or cannot be read or written.
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
            let options = Options { directory, segment_bytes, idempotency_window: window };
            embedded::start(&options, &homes, bells)
        }
        StoreKind::Redis => {
            return Err(BootError::Store("store.kind = \"redis\" is not there yet".to_owned()));
        }
    };
    let started = started.map_err(|error| BootError::Store(error.to_string()))?;
    let ports = started.ports.into_iter().zip(started.recovered).map(Some).collect();
    Ok((ports, Some(started.handle)))
}

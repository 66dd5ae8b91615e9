//! The control thread: starts, serves every shard, stops.

use crate::port::{Bell, Port, Server, connect};
use crate::redis::caller::{Atlas, Caller};
use crate::redis::counters::{Counters, Numbers};
use crate::redis::deadlines::remind;
use crate::redis::desk::{Desk, watch};
use crate::redis::follow::follow;
use crate::redis::health::Health;
use crate::redis::link::Dialer;
use crate::redis::names::Names;
use crate::redis::options::{OpenError, Options};
use crate::redis::place::Guide;
use crate::redis::porter::Porters;
use crate::redis::reader::read;
use crate::redis::recovery;
use crate::redis::write::write;
use crate::{Homes, Recovered};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::task::LocalSet;

/// How many groups of questions are asked at a time.
const READERS: usize = 2;

/// A store that runs.
#[derive(Debug)]
pub struct Started {
    /// One for each shard.
    pub ports: Vec<Port>,
    /// One for each shard: no mailboxes and no keys (shards ask when they need a user), the live
    /// broadcasts, and behind which sequence this process begins: 2^30 from there are its alone.
    pub recovered: Vec<Recovered>,
    /// Stops it, and counts.
    pub handle: Handle,
}

/// The running store, seen from outside. Dropped, it stops.
#[derive(Debug)]
pub struct Handle {
    stop: flume::Sender<()>,
    thread: Option<JoinHandle<()>>,
    porters: Porters,
    counters: Arc<Counters>,
}

impl Handle {
    /// Its numbers as they change.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// What it has done.
    pub fn numbers(&self) -> Numbers {
        self.counters.read()
    }

    /// Carries out the batches that were sent, and ends. Questions are not answered any more.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.porters.end();
        if let Some(thread) = self.thread.take() {
            // The thread may have ended by itself; there is nothing to tell it then.
            let _ = self.stop.send(());
            if thread.join().is_err() {
                tracing::error!("the thread of the store in Redis panicked");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Connects, and serves the shards whose bells these are.
///
/// Fails where the options make no sense, where no primary can be reached within the options'
/// times, and where a server cannot give the durability that is wanted.
pub fn start(
    options: &Options,
    homes: Arc<dyn Homes>,
    bells: Vec<Arc<dyn Bell>>,
) -> Result<Started, OpenError> {
    options.check()?;
    // The client library takes the process's provider; where another part has set one, it stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (dialer, guide) = (Dialer::new(options)?, Guide::new(options)?);
    let (ports, server) = connect(bells);
    let (server, porters) = Porters::before(server).map_err(OpenError::Thread)?;
    let counters = Arc::new(Counters::default());
    let (stop, stopped) = flume::bounded(1);
    let (tell, told) = flume::bounded(1);
    let names = Names {
        prefix: options.prefix.clone(),
        host: options.host,
        window: options.idempotency_window,
        remember: options.remember,
    };
    let life = Life { dialer, guide, names, homes, server, counters: Arc::clone(&counters) };
    let thread = std::thread::Builder::new().name("store-redis".to_owned());
    let thread = thread.spawn(move || live(life, &tell, &stopped)).map_err(OpenError::Thread)?;
    let handle = Handle { stop, thread: Some(thread), porters, counters };
    let ended = || Err("its thread ended".to_owned());
    let recovered = told.recv().unwrap_or_else(|_| ended()).map_err(OpenError::Unreachable)?;
    Ok(Started { ports, recovered, handle })
}

/// What the thread begins with.
struct Life {
    dialer: Dialer,
    guide: Guide,
    names: Names,
    homes: Arc<dyn Homes>,
    server: Server,
    counters: Arc<Counters>,
}

type Begun = Result<Vec<Recovered>, String>;

/// The thread's life.
fn live(life: Life, tell: &flume::Sender<Begun>, stopped: &flume::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            let _ = tell.send(Err(why.to_string()));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async {
        let atlas = Rc::new(Atlas::new(life.dialer, life.guide, Arc::clone(&life.counters)));
        let desk = Rc::new(Desk {
            names: life.names,
            homes: life.homes,
            atlas: Rc::clone(&atlas),
            health: Health::new(life.server.ears.clone(), life.counters),
            process: RandomState::new().build_hasher().finish() >> 16 | 1,
            reserved: Cell::new(0),
            floor: Cell::new(0),
            known: RefCell::default(),
            asks: life.server.asks.clone(),
            due: Cell::new(0),
        });
        let begun = recovery::begin(&desk, &mut Caller::insisting(atlas)).await;
        let well = begun.is_ok();
        // Nobody listens any more only if `start` was given up, which it never is.
        let _ = tell.send(begun);
        if well {
            serve(&desk, &life.server, stopped).await;
        }
    });
}

/// Serves until told to stop, or until every shard has ended.
async fn serve(desk: &Rc<Desk>, server: &Server, stopped: &flume::Receiver<()>) {
    tokio::task::spawn_local(watch(Rc::clone(desk)));
    tokio::task::spawn_local(follow(Rc::clone(desk)));
    tokio::task::spawn_local(remind(Rc::clone(desk)));
    for _ in 0..READERS {
        tokio::task::spawn_local(read(Rc::clone(desk), server.asks.clone()));
    }
    let mut writers = Vec::new();
    let mut lanes = Vec::new();
    for _ in &server.ears {
        let (lane, batches) = flume::unbounded();
        lanes.push(lane);
        writers.push(tokio::task::spawn_local(write(Rc::clone(desk), batches)));
    }
    let pass = |batch: crate::letter::Batch| {
        if let Some(lane) = lanes.get(usize::from(batch.shard)) {
            // A writer ends only after its lane.
            let _ = lane.send(batch);
        }
    };
    loop {
        tokio::select! {
            batch = server.batches.recv_async() => match batch {
                Ok(batch) => pass(batch),
                Err(_) => break,
            },
            _ = stopped.recv_async() => break,
        }
    }
    server.batches.try_iter().for_each(pass);
    drop(lanes);
    for writer in writers {
        // A writer that panicked has said so.
        let _ = writer.await;
    }
    desk.last_try().await;
}

//! The life of the gateway's process: start, admin port, signals, leaving in order.

mod ebb;
mod supervisor;

use self::ebb::Ebb;
use self::supervisor::Supervisor;
use crate::admin::{self, State, Status};
use crate::boot::{self, BootError, Gateway};
use crate::config::Config;
use crate::config::sections::StoreKind;
use crate::io::memory;
use crate::io::socket::Listener;
use crate::metrics::{Gauge, ShardMetrics};
use crate::shard::drain::Left;
use holdfast_protocol::backend::answer::DropReason;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A part of the gateway failed while it served.
pub const EXIT_FAILED: u8 = 70;
/// The gateway could not start.
pub const EXIT_NOT_STARTED: u8 = 1;

/// How often, and how far apart, an address is asked for that somebody holds: for two seconds.
const CLAIMS: u32 = 40;
const CLAIM_PAUSE: Duration = Duration::from_millis(50);
/// How often the process looks after its shards.
const WATCH: Duration = Duration::from_millis(200);
/// What joining the shards may take over the drain's own time.
const GRACE: Duration = Duration::from_secs(2);

/// Serves with this configuration until it is told to stop (SIGTERM, SIGINT) or a part of it fails.
///
/// A first signal leaves in order within `drain.timeout`; a second one ends the process at once.
pub fn serve(config: &Config) -> ExitCode {
    end_on_panic();
    match begin(config) {
        Ok(serving) => serving.until_told(config),
        Err(error) => {
            tracing::error!("cannot start: {error}");
            ExitCode::from(EXIT_NOT_STARTED)
        }
    }
}

/// Why serving did not begin.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error(transparent)]
    Admin(#[from] admin::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

struct Serving {
    gateway: Gateway,
    admin: admin::Handle,
    status: Arc<Status>,
    signals: Signals,
    supervisor: Supervisor,
}

fn begin(config: &Config) -> Result<Serving, BeginError> {
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(BeginError::Signals)?;
    let mut addresses = config.client.listen.iter().chain(&config.backend.listen);
    addresses.try_for_each(|&address| claim(address))?;
    warn_of_store(config.store.kind);
    let gateway = boot::start(config)?;
    let clock = gateway.clock;
    let status = Arc::new(Status::new(gateway.incarnation));
    let options = admin::Options::new(&config.admin, Box::new(move || clock.now().micros));
    let admin = admin::spawn(options, Arc::clone(&gateway.metrics), Arc::clone(&status))?;
    status.set(State::Ready);
    tracing::info!(
        clients = ?gateway.client_addresses, backends = ?gateway.backend_addresses,
        admin = %admin.address(), shards = gateway.shards(), io = %gateway.backing, "ready"
    );
    let supervisor = Supervisor::ready(&format!(
        "serving with {} shards over {}",
        gateway.shards(),
        gateway.backing
    ));
    Ok(Serving { gateway, admin, status, signals, supervisor })
}

/// Says what is lost with this store. Where an embedded one is, and what it had, it says itself.
fn warn_of_store(kind: StoreKind) {
    match kind {
        StoreKind::Memory => tracing::warn!(
            "store.kind = \"memory\": durable messages are lost when this process ends"
        ),
        StoreKind::None => {
            tracing::info!("store.kind = \"none\": durable messages are refused");
        }
        StoreKind::Embedded | StoreKind::Redis => {}
    }
}

/// Makes sure that nobody listens on the address. A gateway that was killed a moment ago may still
/// hold it: the kernel takes its ring apart after the process has gone.
fn claim(address: SocketAddr) -> Result<(), BootError> {
    for left in (0..CLAIMS).rev() {
        match Listener::claim(address) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AddrInUse && left > 0 => {
                if left == CLAIMS - 1 {
                    tracing::warn!(%address, "somebody listens there; waits for it to go");
                }
                std::thread::sleep(CLAIM_PAUSE);
            }
            Err(error) => return Err(BootError::Listen(address, error)),
        }
    }
    Ok(())
}

impl Serving {
    fn until_told(mut self, config: &Config) -> ExitCode {
        let mut ebb = Ebb::default();
        let stall_timeout = config.admin.stall_timeout;
        loop {
            if let Some(signal) = told_to_end(&mut self.signals) {
                return self.leave(signal, config);
            }
            if self.gateway.has_lost_a_shard() {
                tracing::error!(
                    "a shard ended by itself; the process ends, so that it is started anew"
                );
                return ExitCode::from(EXIT_FAILED);
            }
            if ebb.has_come(self.gateway.metrics.iter().map(ShardMetrics::memory).sum()) {
                memory::give_back();
            }
            let now = self.gateway.clock.now().micros;
            self.supervisor.look(&self.gateway.metrics, now, stall_timeout);
            std::thread::sleep(WATCH);
        }
    }

    /// The signal that ends the process, if one came.
    fn leave(mut self, signal: i32, config: &Config) -> ExitCode {
        let timeout = config.drain.timeout;
        let seconds = timeout.as_secs();
        tracing::info!(signal, "leaving within {seconds} s; a second signal ends at once");
        self.status.set(State::Draining);
        Supervisor::leaving(timeout + 2 * GRACE);
        let (done, is_done) = flume::bounded(1);
        let metrics = Arc::clone(&self.gateway.metrics);
        let broadcasts = metrics.iter().map(|shard| shard.gauge(Gauge::Broadcasts)).sum::<u64>();
        let gateway = self.gateway;
        std::thread::spawn(move || done.send(gateway.drain(timeout)));
        // The steps are counted, so that no clock is needed.
        let steps = (timeout + GRACE).as_millis() / WATCH.as_millis();
        for _ in 0..=steps {
            if told_to_end(&mut self.signals).is_some() {
                tracing::warn!("a second signal: ends at once");
                return ExitCode::from(EXIT_FAILED);
            }
            match is_done.recv_timeout(WATCH) {
                Ok(left) => {
                    self.admin.stop();
                    report(left, &metrics, broadcasts);
                    report_mailboxes(config.store.kind, &metrics);
                    return ExitCode::SUCCESS;
                }
                Err(flume::RecvTimeoutError::Timeout) => self.supervisor.still_leaving(),
                Err(flume::RecvTimeoutError::Disconnected) => break,
            }
        }
        tracing::error!("a shard did not end in time");
        ExitCode::from(EXIT_FAILED)
    }
}

/// The signal that ends the process, if one came.
fn told_to_end(signals: &mut Signals) -> Option<i32> {
    signals.pending().find(|&signal| {
        if signal == SIGHUP {
            tracing::warn!("SIGHUP is ignored: settings and keys are read at the start alone");
        }
        signal != SIGHUP
    })
}

/// Says what became of everything that was there when the leaving began.
fn report(Left { closed, cut }: Left, metrics: &[ShardMetrics], broadcasts_cut_short: u64) {
    let lost = |shard: &ShardMetrics| shard.drops(DropReason::Shutdown);
    let messages_given_up: u64 = metrics.iter().map(lost).sum();
    tracing::info!(
        connections_closed = closed,
        connections_cut_off = cut,
        messages_given_up,
        broadcasts_cut_short,
        "left"
    );
}

/// Says what waits in the store for the next start.
fn report_mailboxes(kind: StoreKind, metrics: &[ShardMetrics]) {
    let sum = |gauge| metrics.iter().map(|shard| shard.gauge(gauge)).sum::<u64>();
    let (mailboxes, messages_waiting) = (sum(Gauge::Mailboxes), sum(Gauge::MailboxMessages));
    match kind {
        StoreKind::None => {}
        StoreKind::Memory if messages_waiting > 0 => {
            tracing::warn!(mailboxes, messages_waiting, "lost: they were in memory");
        }
        _ => tracing::info!(mailboxes, messages_waiting, "the store is closed"),
    }
}

/// A panic anywhere ends the process with a clear message: a gateway that lost a shard would hold
/// connections that nobody serves.
fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        tracing::error!("the thread {name} panicked and the process ends: {panic}");
        std::process::exit(i32::from(EXIT_FAILED));
    }));
}

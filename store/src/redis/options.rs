//! How a Redis store is reached and what "safe" means on it.

use std::path::PathBuf;
use std::time::Duration;

/// What [`crate::redis::start`] needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port`, `redis://host:port` or `rediss://host:port` (the port is 6379 where it is
    /// missing). One for [`Mode::Single`]; any of the Sentinels or of the Cluster's nodes else.
    pub addresses: Vec<String>,
    /// What the addresses are.
    pub mode: Mode,
    /// Who logs in to the servers; `None` where they ask for nothing.
    pub credentials: Option<Credentials>,
    /// Who logs in to the Sentinels; `None` where they ask for nothing.
    pub sentinel_credentials: Option<Credentials>,
    /// TLS to servers and Sentinels; `None` for plain TCP.
    pub tls: Option<Tls>,
    /// What every key begins with: letters, digits, `_`, `-`, `.` and `:`.
    pub prefix: String,
    /// The number of the host that this process is, the same after a restart and another one for
    /// each host that shares the store.
    pub host: u16,
    /// When a write is safe.
    pub durability: Durability,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a batch may take on a node, without the time that replicas may take.
    pub command_timeout: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_window: Duration,
    /// How long after its last message a user's greatest sequence is remembered (and at least until
    /// that message expires). It must be longer than any client remembers the sequence that it
    /// acknowledged last: a client takes what is not above that for something it has had.
    pub remember: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addresses: vec!["127.0.0.1:6379".to_owned()],
            mode: Mode::Single,
            credentials: None,
            sentinel_credentials: None,
            tls: None,
            prefix: "holdfast".to_owned(),
            host: 1,
            durability: Durability::Async,
            connect_timeout: Duration::from_secs(2),
            command_timeout: Duration::from_secs(2),
            idempotency_window: Duration::from_mins(10),
            remember: Duration::from_hours(30 * 24),
        }
    }
}

/// Who a server is talked to as.
#[derive(Clone)]
pub struct Credentials {
    /// The user; `None` for the default one, where a server has only a password.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whom to trust, and with what to prove who this is. Files are PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates of those who sign servers' certificates; `None` for the system's.
    pub ca: Option<PathBuf>,
    /// This side's certificate and key, where servers ask for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// What the addresses are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// One server.
    Single,
    /// Sentinels that watch a primary of this name.
    Sentinel(String),
    /// Nodes of a Cluster.
    Cluster,
}

/// When a write is called safe, and what it then survives. No level survives the loss of every
/// copy, and none makes Redis a consensus system: a failover may lose what the promoted replica did
/// not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the primary answered. Survives the end of every Holdfast process. Does not survive the
    /// loss of the primary: a failover may lose the last moments, and a restart of it loses what
    /// its own settings (`appendfsync everysec`: about a second; no AOF: all since the last
    /// snapshot) let it lose.
    Async,
    /// When so many replicas have it in memory too (`WAIT`). Survives the loss of the primary, if
    /// the replica that is promoted is one of these: sure where it is as many as the primary has,
    /// likely else, since the one with the most data is preferred. Also keeps a primary that is cut
    /// off from its replicas from accepting. Does not survive that all copies lose power at once,
    /// nor a primary that has no AOF and is restarted, empty, before a replica took over: the
    /// replicas then empty themselves too.
    Replicas {
        /// How many, at least 1.
        replicas: u8,
        /// How long they may take.
        timeout: Duration,
    },
    /// When the primary, and so many of its replicas, have it on disk: `WAITAOF`, from Redis 7.2.
    /// Survives a power loss of those machines. Servers without `WAITAOF` are accepted if they have
    /// `appendonly yes` and `appendfsync always` (looked at when connecting), which syncs before
    /// each answer; their replicas are then waited for with `WAIT`, which says nothing of *their*
    /// disks.
    Synced {
        /// How many replicas, 0 for the primary alone.
        replicas: u8,
        /// How long it may take.
        timeout: Duration,
    },
}

impl Durability {
    /// How long an answer may take beyond the command itself.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::Async => Duration::ZERO,
            Self::Replicas { timeout, .. } | Self::Synced { timeout, .. } => timeout,
        }
    }
}

/// Why a Redis store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Settings that make no sense.
    #[error("redis: {0}")]
    Settings(String),
    /// A file of [`Tls`] cannot be read.
    #[error("redis: {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// No answer, or not the right one.
    #[error("redis: {0}")]
    Unreachable(String),
    /// The thread could not be started.
    #[error("redis: {0}")]
    Thread(std::io::Error),
}

impl Options {
    /// What of this makes no sense.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        let wrong = |why: &str| Err(OpenError::Settings(why.to_owned()));
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.:".contains(letter);
        if self.prefix.is_empty() || !self.prefix.chars().all(plain) {
            return wrong("prefix: letters, digits, `_`, `-`, `.` and `:`");
        }
        if self.addresses.is_empty() {
            return wrong("no address");
        }
        if self.mode == Mode::Single && self.addresses.len() > 1 {
            return wrong("several addresses, but mode single: it takes one");
        }
        if matches!(self.durability, Durability::Replicas { replicas: 0, .. }) {
            return wrong("durability: 0 replicas is `async`");
        }
        if !matches!(self.durability, Durability::Async) && self.durability.patience().is_zero() {
            // A server would wait without end.
            return wrong("durability: a timeout of 0");
        }
        Ok(())
    }
}

//! Every setting with its meaning, unit, default, bounds and price.
//!
//! The comments on the fields are also what `holdfast config` and the example file print, so they
//! speak to an operator. Bounds stand in the kind behind each default.

use super::keys::{BackendKey, BackendKeys, ClientKey, ClientKeys, File, Hidden, Secret};
use super::kind::{
    Address, Addresses, Choice, Count, Directory, Names, OneOf, PowerOfTwo, Seconds, Size, Text,
    Time,
};
use super::products::{ProductRules, ProductRulesKind};
use super::schema::settings;
use crate::mailbox::room::WhenFull;
use holdfast_protocol::limits;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Whether each shard is bound to one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// Bound where there are no more shards than cores.
    Auto,
    /// Bound.
    On,
    /// Left to the scheduler.
    Off,
}

impl Choice for Pin {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("on", Self::On), ("off", Self::Off)];
}

/// How shards talk to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoChoice {
    /// `io_uring` where the kernel allows it, otherwise epoll.
    Auto,
    /// `io_uring`, or no start.
    Uring,
    /// epoll.
    Epoll,
}

impl Choice for IoChoice {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("uring", Self::Uring), ("epoll", Self::Epoll)];
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Choice for LogFormat {
    const NAMES: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

/// Where durable messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// Nowhere: durable pushes are refused.
    None,
    /// In memory, and gone with the process.
    Memory,
    /// In files of one directory.
    Embedded,
    /// In a Redis or Valkey that several hosts may share.
    Redis,
}

impl Choice for StoreKind {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("memory", Self::Memory),
        ("embedded", Self::Embedded),
        ("redis", Self::Redis),
    ];
}

settings! {
    /// The settings of a gateway: a section each, and what belongs to no section.
    TOP: Config, "", [] {
        /// Threads that serve connections, each with its own ring and memory; 0 is one per core.
        /// More than there are cores costs context switches, fewer leaves cores to other programs.
        shards: usize = 0, Count(0, 1024);
        /// Whether each shard is bound to one core; "auto" is where there are no more shards than
        /// cores. Bound shards keep their caches, and suffer from other load there.
        pin: Pin = Pin::Auto, OneOf;
        /// How shards talk to the kernel; "auto" is "uring" where the kernel allows it, else
        /// "epoll", and "uring" does not start without it.
        io: IoChoice = IoChoice::Auto, OneOf;
        /// Products (tenants, apps) that are served; a hello or a push for another is refused.
        products: Vec<String> = vec!["demo".to_owned()], Names(limits::PRODUCT_BYTES);
        /// Longest body of a push. The outbox of a connection is never smaller than one such push,
        /// so a larger value lets a slow client hold more memory.
        body_max: usize = limits::BODY_BYTES_DEFAULT, Size(1, limits::BODY_BYTES_CEILING);
        /// This host's number; it must differ between hosts that share a store.
        host: u16 = 0, Count(0, u64::from(u16::MAX));
    }
    sections {
        /// Connections of clients.
        client: Client,
        /// Connections of backends.
        backend: Backend,
        /// The admin port.
        admin: Admin,
        /// Who may connect.
        auth: Auth,
        /// Where durable messages are kept.
        store: Store,
        /// A Redis or Valkey 7 as the store.
        redis: Redis,
        /// Messages that wait for their user.
        mailbox: Mailbox,
        /// Broadcast jobs.
        broadcast: Broadcast,
        /// The rings between shards.
        mesh: Mesh,
        /// The end of the process.
        drain: Drain,
        /// Options of client and backend sockets.
        socket: Socket,
        /// The log.
        log: Log,
    }
}

settings! {
    /// Connections of clients.
    CLIENT: Client, "client.", [client] {
        /// Where clients connect. Anything but loopback needs a key in `auth.client_keys`.
        listen: Vec<SocketAddr> = vec![loopback(7500)], Addresses;
        /// Most connections over all shards; 0 is as many as there are descriptors. Each idle one
        /// costs about 4 KiB of kernel memory.
        connections_max: usize = 0, Count(0, 1 << 30);
        /// A connection without a complete hello after this long is closed. Shorter frees the slots
        /// of silent openers sooner, and shuts out clients on slow networks.
        hello_timeout: Duration = Duration::from_secs(10), Time(1, 600);
        /// A frame that is begun must be complete after this long.
        frame_timeout: Duration = Duration::from_secs(10), Time(1, 600);
        /// Heartbeat that is granted to a client that asks for none, in whole seconds. A connection
        /// that is silent for one and a half of it is closed. Shorter finds dead clients sooner,
        /// and costs each client radio time and the gateway a read.
        heartbeat_default: u16 = 300,
            Seconds(limits::HEARTBEAT_SECONDS_MIN, limits::HEARTBEAT_SECONDS_MAX);
        /// Shortest heartbeat that is granted, in whole seconds.
        heartbeat_min: u16 = limits::HEARTBEAT_SECONDS_MIN,
            Seconds(limits::HEARTBEAT_SECONDS_MIN, limits::HEARTBEAT_SECONDS_MAX);
        /// Longest heartbeat that is granted, in whole seconds.
        heartbeat_max: u16 = limits::HEARTBEAT_SECONDS_MAX,
            Seconds(limits::HEARTBEAT_SECONDS_MIN, limits::HEARTBEAT_SECONDS_MAX);
        /// How long pongs may wait for one another on a shard that has nothing else to do; 0 is not
        /// at all. A wake-up costs more than a pong, so a shard lets about sixteen of them gather
        /// where that takes no longer. No push, login or request ever waits for it.
        pong_delay: Duration = Duration::from_millis(200), Time(0, 1);
        /// Frames that one client may send in a second; more close it.
        frames_per_second: u32 = 1000, Count(1, 60_000);
        /// Sessions that one user may have at once. One more ends the oldest, which is told so.
        sessions_max: usize = 1, Count(1, 64);
        /// How long a session whose connection dropped without a bye may be come back to, in whole
        /// seconds; 0 is not at all.
        linger: Duration = Duration::from_secs(15), Time(0, 3600);
        /// Bytes that may wait for one connection that does not read. Raised to one push of
        /// `body_max` where it is smaller. Times the number of slow readers, this is memory.
        outbox_bytes: usize = limits::BODY_BYTES_DEFAULT + limits::PUSH_OVERHEAD, Size(1, GIB);
        /// A connection for which a message waits this long is closed.
        slow_reader_timeout: Duration = Duration::from_secs(30), Time(1, 3600);
    }
}

settings! {
    /// Connections of backends.
    BACKEND: Backend, "backend.", [backend] {
        /// Where backends connect. Anything but loopback needs a key in `auth.backend_keys`.
        listen: Vec<SocketAddr> = vec![loopback(7600)], Addresses;
        /// Most connections over all shards.
        connections_max: usize = 256, Count(1, 1 << 20);
        /// Targets that one backend may have unanswered (a request without targets counts one).
        /// Larger hides longer round trips, and costs memory for each target in flight.
        window: u32 = 65_536, Count(1, 1 << 24);
        /// Bytes of answers that may wait for one backend that does not read; above it, no more of
        /// its requests are read.
        outbox_bytes: usize = MIB, Size(256 * KIB, GIB);
    }
}

settings! {
    /// The admin port: health, readiness and metrics over HTTP.
    ADMIN: Admin, "admin.", [admin] {
        /// Where it listens. Anything but loopback needs `admin.token`.
        listen: SocketAddr = loopback(7700), Address;
        /// Demanded of every request as `Authorization: Bearer …`; not set, every request is
        /// served.
        token: Option<Secret> = None, Hidden;
        /// A file that holds the token.
        token_file: Option<PathBuf> = None, File;
        /// Requests that are served at once; more wait in the kernel.
        connections_max: usize = 32, Count(1, 1024);
        /// A request must be complete, and its answer taken, after this long.
        request_timeout: Duration = Duration::from_secs(10), Time(1, 60);
        /// /healthz fails when a shard has not finished a turn for this long.
        stall_timeout: Duration = Duration::from_secs(10), Time(2, 600);
    }
}

settings! {
    /// Who may connect.
    AUTH: Auth, "auth.", [auth] {
        /// Keys that check the tokens of clients. With several, the `kid` of a token chooses, and
        /// a token without one may fit any. Without a key every login is accepted.
        client_keys: Vec<ClientKey> = Vec::new(), ClientKeys;
        /// Keys of backends; a name may have several. Without a key every backend is accepted.
        backend_keys: Vec<BackendKey> = Vec::new(), BackendKeys;
        /// How far the clocks of those who sign tokens may be off.
        leeway: Duration = Duration::from_secs(5), Time(0, 300);
    }
}

settings! {
    /// Where durable messages are kept.
    STORE: Store, "store.", [store] {
        /// Where: "embedded" is files on this host, "redis" is shared by several, "memory" is gone
        /// with the process, and with "none" durable pushes are refused.
        kind: StoreKind = StoreKind::Embedded, OneOf;
        /// The directory of the embedded store; made if it is not there. A relative one begins
        /// where the process was started. One gateway at a time may use it.
        directory: PathBuf = PathBuf::from("holdfast-store"), Directory;
        /// Size of one file of the embedded store. Space is given back a file at a time, and a
        /// quarter of one is kept free, so a disk has to have more than that.
        segment_bytes: usize = 64 * MIB, Size(MIB, 128 * MIB);
        /// Bytes of messages of one shard that may wait for the store. More are answered "busy".
        queue_bytes: usize = 16 * MIB, Size(64 * KIB, GIB);
        /// How long an idempotency key counts: the same key of the same product and user is the
        /// same message. Each key takes about 50 bytes of memory for that long.
        idempotency_window: Duration = Duration::from_mins(10), Time(1, 86_400);
        /// Keys that one shard remembers at most; more are answered "busy".
        idempotency_keys_max: usize = 4 << 20, Count(1, 1 << 30);
    }
}

/// What the addresses of a Redis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisMode {
    /// One server.
    Single,
    /// Sentinels.
    Sentinel,
    /// Nodes of a Cluster.
    Cluster,
}

impl Choice for RedisMode {
    const NAMES: &'static [(&'static str, Self)] =
        &[("single", Self::Single), ("sentinel", Self::Sentinel), ("cluster", Self::Cluster)];
}

/// When a message in Redis counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisDurability {
    /// When the primary has it in memory.
    Async,
    /// When replicas have it in memory too.
    Replicas,
    /// When it is on disk.
    Synced,
}

impl Choice for RedisDurability {
    const NAMES: &'static [(&'static str, Self)] =
        &[("async", Self::Async), ("replicas", Self::Replicas), ("synced", Self::Synced)];
}

settings! {
    /// A Redis or Valkey 7 as the store.
    REDIS: Redis, "redis.", [redis] {
        /// Where: `host:port`, `redis://` or, with TLS, `rediss://`, without user, password or
        /// number of a database. The server, or any of the Sentinels or of the nodes of the
        /// Cluster.
        addresses: Vec<String> = vec!["127.0.0.1:6379".to_owned()], Names(255);
        /// What these are.
        mode: RedisMode = RedisMode::Single, OneOf;
        /// The name under which Sentinels watch the primary.
        master: String = "mymaster".to_owned(), Text { good: is_word, allowed: "a word" };
        /// The ACL user, with or without a password; empty for the default one.
        user: String = String::new(), Text { good: is_word_or_nothing, allowed: "a word" };
        /// The password of that user; empty for none.
        password_file: Option<PathBuf> = None, File;
        /// Certificates (PEM) of those who sign the servers' ones; empty for the system's.
        ca_file: Option<PathBuf> = None, File;
        /// This side's certificate (PEM), where servers ask for one.
        certificate_file: Option<PathBuf> = None, File;
        /// The key of that certificate (PEM).
        key_file: Option<PathBuf> = None, File;
        /// What every key in Redis begins with.
        prefix: String = "holdfast".to_owned(), Text { good: is_word, allowed: "a word" };
        /// When a message counts as stored. "async": the primary has it in memory; a failover may
        /// lose the last moments. "replicas": `redis.replicas` have it in memory too (`WAIT`); lost
        /// only if all of them lose power at once. "synced": it is on the primary's disk, and on
        /// that of `redis.replicas` (`WAITAOF`, or `appendfsync always` before Redis 7.2).
        durability: RedisDurability = RedisDurability::Async, OneOf;
        /// Replicas that must have it.
        replicas: u8 = 1, Count(0, 16);
        /// How long replicas and disks may take.
        wait: Duration = Duration::from_secs(1), Time(0, 60);
        /// How long a batch may take on a server, without that.
        timeout: Duration = Duration::from_secs(2), Time(1, 60);
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && is_word_or_nothing(text)
}

fn is_word_or_nothing(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.:".contains(letter))
}

settings! {
    /// Messages that wait for their user.
    MAILBOX: Mailbox, "mailbox.", [mailbox] {
        /// Messages that one mailbox holds at most.
        messages_max: usize = 1000, Count(1, 1 << 30);
        /// Bytes of bodies that one mailbox holds at most.
        bytes_max: usize = 4 * MIB, Size(KIB, GIB);
        /// What happens when a mailbox is full: `reject` refuses the new message, `drop_oldest`
        /// gives up the oldest for it.
        when_full: WhenFull = WhenFull::Reject, OneOf;
        /// Time to live of a durable message that asks for none.
        ttl: Duration = Duration::from_hours(7 * 24),
            Time(1, 30 * 86_400);
        /// How long a connected client has to acknowledge before it is sent again; doubled each
        /// time.
        redelivery_after: Duration = Duration::from_secs(30), Time(1, 3600);
        /// The longest such time.
        redelivery_at_most: Duration = Duration::from_mins(10), Time(1, 86_400);
        /// How often what was sent is sent again without any acknowledgement, connections made anew
        /// included; then the mailbox is quarantined until there is one.
        redelivery_rounds: u16 = 10, Count(1, 1000);
        /// What is different for one product: `{ product, sessions_max, messages_max, bytes_max,
        /// when_full }`, of which only `product` is needed.
        products: Vec<ProductRules> = Vec::new(), ProductRulesKind;
    }
}

settings! {
    /// Broadcast jobs.
    BROADCAST: Broadcast, "broadcast.", [broadcast] {
        /// Jobs that one product's owner (a shard) may run at once; each holds its body.
        jobs_max: usize = 64, Count(1, 65_536);
        /// Durable broadcasts of one product that are kept at once, each until its time to live
        /// ends. Of each it is known who has had it: about 10 bytes of memory for each such user.
        kept_max: usize = 64, Count(1, 65_536);
        /// Pace of a job that names none, in users per second over all shards; 0 is no limit.
        users_per_second: u32 = 0, Count(0, u64::from(u32::MAX));
        /// Recipients that one shard serves of its jobs in one turn. A larger slice broadcasts
        /// faster, and lets a single push wait longer behind a broadcast.
        slice: usize = 32, Count(1, 65_536);
    }
}

settings! {
    /// The rings between shards.
    MESH: Mesh, "mesh.", [mesh] {
        /// Letters that one ring holds, a power of two. There is a ring for each ordered pair of
        /// shards. A full one makes its source wait.
        capacity: usize = 256, PowerOfTwo(64, 1 << 20);
    }
}

settings! {
    /// The end of the process.
    DRAIN: Drain, "drain.", [drain] {
        /// How long a stopping gateway tells its clients, flushes and closes before it ends anyway.
        timeout: Duration = Duration::from_secs(10), Time(0, 3600);
        /// Clients closed in a second by a stopping gateway, over all shards; 0 is all at once.
        /// They come back at this rate, so it is what the gateways left must bear. Faster where
        /// `drain.timeout` leaves less time.
        clients_per_second: u32 = 10_000, Count(0, 1 << 30);
    }
}

settings! {
    /// Options of client and backend sockets.
    SOCKET: Socket, "socket.", [socket] {
        /// Send buffer (`SO_SNDBUF`); 0 leaves the kernel's own tuning.
        send_buffer: usize = 0, Size(0, GIB);
        /// Receive buffer (`SO_RCVBUF`); 0 leaves the kernel's own tuning.
        receive_buffer: usize = 0, Size(0, GIB);
        /// How long sent bytes may stay unacknowledged before the connection is broken
        /// (`TCP_USER_TIMEOUT`); 0 leaves it to the kernel, about 15 minutes.
        user_timeout: Duration = Duration::from_secs(30), Time(0, 3600);
        /// Bytes that may wait in the kernel and are not on the wire yet (`TCP_NOTSENT_LOWAT`); 0
        /// leaves the kernel's own. Larger puts what a slow reader holds into the kernel, where no
        /// policy reaches it.
        notsent_lowat: usize = 16 * KIB, Size(0, GIB);
        /// Connections that wait to be accepted, for each listener; cut to `net.core.somaxconn`.
        backlog: u32 = 4096, Count(1, 65_535);
    }
}

settings! {
    /// The log, on standard error.
    LOG: Log, "log.", [log] {
        /// What is logged, of everything or by module.
        level: String = "info".to_owned(),
            Text { good: crate::logs::filter_is_valid, allowed: LEVELS };
        /// How: "text" for people, "json" for programs.
        format: LogFormat = LogFormat::Text, OneOf;
    }
}

const LEVELS: &str = "\"error\", \"warn\", \"info\", \"debug\", \"trace\", \"off\", \
                      or by module, such as \"info,holdfast::path=debug\"";

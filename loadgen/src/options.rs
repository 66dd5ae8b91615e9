//! The command line of `run`, as typed. What it means together is [`crate::scenario`]'s business.

use crate::scenario::people;
use crate::scenario::phase::Phase;
use crate::scenario::share::Share;
use crate::schedule::Order;
use crate::schedule::size::Sizes;
use crate::slo::Slo;
use crate::units::{typed_count, typed_seconds};
use crate::weak::Weak;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use holdfast_protocol::client::Class;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How long a run waits for what is in flight, unless it is told otherwise, seconds.
pub(crate) const DRAIN: u32 = 10;

/// How clients wait for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Io {
    /// `io_uring` where the kernel allows it, else epoll.
    Auto,
    /// `io_uring` or nothing.
    Uring,
    /// epoll.
    Epoll,
}

/// The delivery class, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum ClassName {
    /// To sessions that are online now.
    Online,
    /// Stored until acknowledged.
    Durable,
}

impl From<ClassName> for Class {
    fn from(name: ClassName) -> Self {
        match name {
            ClassName::Online => Self::Online,
            ClassName::Durable => Self::Durable,
        }
    }
}

/// A delivery class on its way to another host.
pub(crate) mod class_by_name {
    use super::{Class, ClassName};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(class: &Class, out: S) -> Result<S::Ok, S::Error> {
        let durable = *class == Class::Durable;
        let name = if durable { ClassName::Durable } else { ClassName::Online };
        name.serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Class, D::Error> {
        ClassName::deserialize(from).map(Class::from)
    }
}

/// Everything that `run` can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) choice: Choice,
    #[command(flatten)]
    pub(crate) agents: Agents,
    #[command(flatten)]
    pub(crate) clients: Clients,
    #[command(flatten)]
    pub(crate) push: Pushes,
    #[command(flatten)]
    pub(crate) broadcast: Broadcasts,
    #[command(flatten)]
    pub(crate) output: Output,
    /// What no option can say, from a scenario file.
    #[arg(skip)]
    pub(crate) asked: Asked,
    /// Which part of the run is done here.
    #[arg(skip)]
    pub(crate) share: Share,
    /// Secrets that were read already; `None` where the options say where they are.
    #[arg(skip)]
    pub(crate) secrets: Option<Secrets>,
}

/// What others must not read.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    /// What login tokens are signed with.
    pub(crate) login: Option<Vec<u8>>,
    /// The key of the backend API.
    pub(crate) api: Vec<u8>,
}

impl fmt::Debug for Secrets {
    /// Nothing of them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secrets")
    }
}

/// What a scenario file asks for beside the options; empty without one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The file, or the name.
    pub(crate) scenario: Option<String>,
    /// In order.
    pub(crate) phases: Vec<Phase>,
    pub(crate) populations: Vec<people::Asked>,
    /// What the way to the gateway is like for some clients.
    pub(crate) weak: Option<Weak>,
}

impl Options {
    /// The share of pushes that is durable.
    pub(crate) fn durable(&self) -> f64 {
        let all = f64::from(u8::from(self.push.class == ClassName::Durable));
        self.push.durable.unwrap_or(all)
    }

    /// The highest rate that is asked for, in pushes a second: of the busiest phase, where there
    /// are phases.
    pub(crate) fn busiest(&self) -> u32 {
        if self.asked.phases.is_empty() {
            return self.push.rate;
        }
        let pushes = self.asked.phases.iter().filter_map(|phase| phase.pushes.as_ref());
        pushes.map(|pushes| pushes.rate).max().unwrap_or_default()
    }

    /// The share of clients that drops each second: as asked, or what keeps the share away that is.
    pub(crate) fn churn(&self) -> f64 {
        let clients = &self.clients;
        if clients.offline == 0.0 {
            return clients.churn;
        }
        let pause = Duration::from_millis(clients.churn_pause.max(1)).as_secs_f64();
        clients.offline / pause
    }
}

/// Which options were typed, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Typed(Vec<String>);

impl Typed {
    /// Those of a command that was matched.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let typed =
            |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        Self(matches.ids().filter(typed).map(ToString::to_string).collect())
    }

    /// Whether this one was.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|typed| typed == id)
    }

    /// Puts a file's value, if it has one, into `place` unless the option was typed.
    pub(crate) fn under<T>(&self, id: &str, place: &mut T, value: Option<T>) {
        if let Some(value) = value.filter(|_| !self.has(id)) {
            *place = value;
        }
    }

    /// Puts the option's value into `place` if it was typed.
    pub(crate) fn over<T: Clone>(&self, id: &str, place: &mut T, value: &T) {
        if self.has(id) {
            place.clone_from(value);
        }
    }
}

/// Which scenario.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scenario")]
pub(crate) struct Choice {
    /// Run the phases of this file, or of a scenario that comes with the program (`scenarios` lists
    /// them); options that are typed count before the file's values
    #[arg(long, value_name = "FILE|NAME", group = "rhythm")]
    pub(crate) scenario: Option<String>,
    /// Offer the rhythm again that `record` wrote to this file
    #[arg(long, value_name = "PROFILE", group = "rhythm")]
    pub(crate) replay: Option<PathBuf>,
    /// Multiply the rates of the scenario or replay (connects, pushes, paces of broadcasts)
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", requires = "rhythm")]
    #[arg(value_parser = factor)]
    pub(crate) rate_scale: f64,
    /// Multiply the times of the scenario or replay (durations and pauses of its phases)
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", requires = "rhythm")]
    #[arg(value_parser = factor)]
    pub(crate) time_scale: f64,
}

/// A factor, such as 0.01.
fn factor(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    let fits = factor.filter(|factor| (1e-6..=1e6).contains(factor));
    fits.ok_or_else(|| "a factor is a number from 0.000001 to 1000000, such as 0.1".to_owned())
}

/// A heartbeat, as far as the protocol can say it.
fn heartbeat(text: &str) -> Result<u16, String> {
    let fits = typed_seconds(text)?.try_into();
    fits.map_err(|_| format!("a heartbeat is up to {} s", u16::MAX))
}

/// Which hosts run it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Hosts")]
pub(crate) struct Agents {
    /// Run it on these hosts, each with an equal part of the clients and rates, where
    /// `holdfast-loadgen agent` waits; the first that lives makes the broadcasts
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', requires = "key_file")]
    pub(crate) agents: Vec<String>,
    /// A file with the key that the agents have too; others may not read it
    #[arg(long, value_name = "FILE", requires = "agents")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Who connects, from where, to where.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Clients")]
pub(crate) struct Clients {
    /// How many clients
    #[arg(short = 'n', long, default_value_t = 10_000, value_name = "N")]
    #[arg(value_parser = typed_count)]
    pub(crate) connections: u32,
    /// The gateway's client address; repeat it to spread clients over several
    #[arg(long, default_value = "127.0.0.1:7500", value_name = "ADDRESS")]
    pub(crate) gateway: Vec<SocketAddr>,
    /// New connections a second
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    #[arg(value_parser = typed_count)]
    pub(crate) connect_rate: u32,
    /// Local addresses to connect from; on loopback they are chosen by themselves
    #[arg(long, value_name = "IP")]
    #[serde(skip)]
    pub(crate) source: Vec<IpAddr>,
    /// The product
    #[arg(long, default_value = "demo")]
    pub(crate) product: String,
    /// What every user id begins with
    #[arg(long, default_value = "user-", value_name = "TEXT")]
    pub(crate) user_prefix: String,
    /// Length of a user id in bytes, zeros between the prefix and the number
    #[arg(long, default_value_t = 16, value_name = "BYTES")]
    pub(crate) user_bytes: usize,
    /// Sign a login token (JWT, HS256) for each client with this secret; others can see it in the
    /// list of processes, so prefer --secret-file
    #[arg(long)]
    #[serde(skip)]
    pub(crate) secret: Option<String>,
    /// A file with nothing but that secret; one line end at its end is not part of it
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    #[serde(skip)]
    pub(crate) secret_file: Option<PathBuf>,
    /// The key's id in the token's header, where the gateway has several keys
    #[arg(long, value_name = "ID")]
    pub(crate) key_id: Option<String>,
    /// The heartbeat to ask for in seconds; 0 leaves it to the gateway
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = heartbeat)]
    pub(crate) heartbeat: u16,
    /// Pings a second over all clients in turn, besides heartbeats, while the phases last: the
    /// smallest exchange there is. Whoever is away when its turn comes does not ping
    #[arg(long, default_value_t = 0, value_name = "N")]
    #[arg(value_parser = typed_count)]
    pub(crate) pings: u32,
    /// A tag that every session carries
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Acknowledge the online class too, where no message is durable
    #[arg(long)]
    pub(crate) ack: bool,
    /// Acknowledge after so many messages, or when what came with one read is understood
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) ack_every: u32,
    /// Acknowledge fewer messages after so long, in milliseconds; looked at every 5 to 50 ms
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(crate) ack_after: u64,
    /// The share of clients that drop and return each second while pushing, such as 0.01
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) churn: f64,
    /// How long a dropped client stays away, in milliseconds
    #[arg(long, default_value_t = 200, value_name = "MS")]
    pub(crate) churn_pause: u64,
    /// The share of clients that are away at any time while pushing: so many drop that, with
    /// --churn-pause, it comes out. What is durable waits for them
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", conflicts_with = "churn")]
    pub(crate) offline: f64,
    /// Threads, each with its own descriptor table; by default as few as the descriptors allow
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<u32>,
    /// Measure the arrival in the client's kernel too, which a busy generator does not delay; costs
    /// a little CPU for every packet on the machine
    #[arg(long)]
    pub(crate) arrival: bool,
    /// How clients wait for the kernel
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub(crate) io: Io,
    /// How long after the last connect every client must be logged in, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    #[arg(value_parser = |text: &str| typed_seconds(text).map(u64::from))]
    pub(crate) login_timeout: u64,
}

/// What is pushed and when.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Pushes")]
pub(crate) struct Pushes {
    /// The gateway's backend API
    #[arg(long, default_value = "127.0.0.1:7600", value_name = "ADDRESS")]
    pub(crate) api: SocketAddr,
    /// The name to log in to the API with; a gateway with keys knows each by its name
    #[arg(long, default_value = "loadgen", value_name = "NAME")]
    pub(crate) api_name: String,
    /// The API key, where the gateway wants one; others can see it in the list of processes, so
    /// prefer --api-key-file
    #[arg(long, default_value = "", value_name = "KEY", hide_default_value = true)]
    #[serde(skip)]
    pub(crate) api_key: String,
    /// A file with nothing but the API key; one line end at its end is not part of it
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    #[serde(skip)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Messages offered a second, whatever the gateway does; 0 for none
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    #[arg(value_parser = typed_count)]
    pub(crate) rate: u32,
    /// How long to push, in seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    #[arg(value_parser = typed_seconds)]
    pub(crate) duration: u32,
    /// How long to hold still between the last login and the first push, in seconds
    #[arg(long, default_value_t = 1, value_name = "SECONDS")]
    #[arg(value_parser = typed_seconds)]
    pub(crate) settle: u32,
    /// How long to wait at most for what is still in flight, in seconds
    #[arg(long, default_value_t = DRAIN, value_name = "SECONDS")]
    #[arg(value_parser = typed_seconds)]
    pub(crate) drain: u32,
    /// Body sizes in bytes: 256-1024 (uniform), 512 (fixed) or 64,256,4096 (each as likely)
    #[arg(long, default_value = "256-1024")]
    pub(crate) size: Sizes,
    /// Which users
    #[arg(long, value_enum, default_value_t = Order::Random)]
    pub(crate) targets: Order,
    /// So many messages fall due at one moment, to one user
    #[arg(long, default_value_t = 1, value_name = "K")]
    pub(crate) burst: u32,
    /// Give each message of a burst its own user: the control for --burst
    #[arg(long)]
    pub(crate) scatter: bool,
    /// Most targets in one request
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) batch: usize,
    /// The delivery class
    #[arg(long, value_enum, default_value_t = ClassName::Online)]
    pub(crate) class: ClassName,
    /// The share of pushes that are durable, the others being online; broadcasts are of --class
    #[arg(long, value_name = "SHARE", conflicts_with = "class")]
    pub(crate) durable: Option<f64>,
    /// Ask for a receipt of every durable push, and count them against what was stored
    #[arg(long)]
    pub(crate) receipts: bool,
    /// Time to live in seconds; 0 leaves it to the gateway
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    #[arg(value_parser = typed_seconds)]
    pub(crate) ttl: u32,
    /// What chooses targets, sizes and who churns
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
}

/// Broadcasts while pushing.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[command(next_help_heading = "Broadcasts")]
pub(crate) struct Broadcasts {
    /// How many broadcasts to all of the product, spread evenly over the push phase
    #[arg(id = "broadcasts", long = "broadcasts", default_value_t = 1, value_name = "N")]
    #[arg(value_parser = typed_count)]
    pub(crate) count: u32,
    /// Body size in bytes
    #[arg(
        id = "broadcast-size",
        long = "broadcast-size",
        default_value_t = 256,
        value_name = "BYTES"
    )]
    pub(crate) size: usize,
    /// Pace in users a second; 0 for as fast as it goes
    #[arg(id = "broadcast-users", long = "broadcast-users", default_value_t = 0, value_name = "N")]
    #[arg(value_parser = typed_count)]
    pub(crate) users: u32,
    /// Pace in bits of body a second; 0 for as fast as it goes
    #[arg(id = "broadcast-bits", long = "broadcast-bits", default_value_t = 0, value_name = "N")]
    pub(crate) bits: u64,
}

/// What is measured and shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// The gateway's process, for its CPU time and memory; found by its port if it runs here
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Write the report as JSON; - for standard output. The file is opened before the run
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as one HTML page, with its charts. The file is opened before the run
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// What must hold for exit code 0, such as "p99 < 20ms, lost = 0, cpu < 80%"; the metrics are
    /// listed below
    #[arg(long, value_name = "LIST")]
    pub(crate) slo: Option<Slo>,
    /// The gateway's admin address, for the load of each shard; asked at 127.0.0.1:7700 by itself
    /// where the gateway listens there
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// A file with the admin token, where the gateway wants one
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Show nothing but errors and the verdict
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Show progress in lines, also on a terminal
    #[arg(long)]
    pub(crate) plain: bool,
    /// Seconds between two progress lines
    #[arg(long, default_value_t = 1, value_name = "SECONDS")]
    #[arg(value_parser = typed_seconds)]
    pub(crate) every: u32,
    /// Let the gateway end connections unasked without failing the run
    #[arg(long)]
    pub(crate) allow_disconnects: bool,
}

//! What a run does: the options, with their scenario, checked against each other and against this
//! machine.

mod alike;
pub(crate) mod command;
mod file;
mod library;
pub(crate) mod overlay;
pub(crate) mod people;
pub(crate) mod phase;
pub(crate) mod plan;
pub(crate) mod share;

use crate::fleet::socket;
use crate::options::{Io, Options};
use crate::schedule::{Schedule, size};
use crate::secret;
use crate::sources::{self, Sources};
use crate::token::Signer;
use crate::weak::Weak;
use holdfast_protocol::limits::{PRODUCT_BYTES, PUSH_TARGETS, TAG_BYTES, USER_BYTES};
use people::People;
use plan::{BROADCASTS_MAX, Plan};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use share::{Runs, Share};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

/// Descriptors of a thread that are no clients: the ring, its event, the standard streams, and
/// those that the process had open when the thread got its own table.
pub(crate) const DESCRIPTORS_SPARE: u64 = 100;
/// So many clients of a weak network are one thread's at most: each connects from a port of one
/// address.
const PROXY_CLIENTS: u64 = 10_000;
/// With so many clients a thread is worth a core of its own.
const CLIENTS_PER_CORE: u32 = 20_000;

/// A run, ready to be started.
pub(crate) struct Scenario {
    /// How many clients.
    pub(crate) clients: u32,
    /// Who they are.
    pub(crate) people: People,
    /// Where they connect to, in turn.
    pub(crate) gateways: Vec<SocketAddr>,
    /// Where they connect from.
    pub(crate) sources: Sources,
    /// New connections a second.
    pub(crate) connect_rate: u32,
    /// Threads that the clients are spread over.
    pub(crate) threads: u32,
    /// How they wait.
    pub(crate) io: Io,
    /// What they ask for, in seconds; 0 for the gateway's choice.
    pub(crate) heartbeat: u16,
    /// Pings a second besides heartbeats, over all clients.
    pub(crate) pings: u32,
    /// Signs their tokens.
    pub(crate) signer: Option<Signer>,
    /// Whether they acknowledge the online class too.
    pub(crate) ack: bool,
    /// Messages after which they acknowledge at once.
    pub(crate) ack_every: u32,
    /// How long fewer may wait for it, nanoseconds.
    pub(crate) ack_after: u64,
    /// Whether the kernel stamps what they receive.
    pub(crate) arrival: bool,
    /// The phases.
    pub(crate) plan: Plan,
    /// What is pushed to whom and when.
    pub(crate) schedule: Schedule,
    /// Whether durable pushes ask for receipts.
    pub(crate) receipts: bool,
    /// What the way to the gateway is like for some clients.
    pub(crate) weak: Option<Weak>,
    /// Threads that carry their bytes.
    pub(crate) proxies: u32,
    /// Which run this is, in every body.
    pub(crate) runs: Runs,
    /// Which part of it is done here.
    pub(crate) share: Share,
}

impl Scenario {
    /// The part of the run that the options give to this process.
    ///
    /// # Errors
    /// What is wrong and what would be right, in words.
    pub(crate) fn new(options: &Options) -> Result<Self, String> {
        let clients = &options.clients;
        let count = options.share.part(clients.connections);
        let ports = sources::local_ports();
        let sources = Sources::plan(count, &clients.gateway, &clients.source, ports);
        let mut scenario = Self::elsewhere(options)?;
        scenario.sources = sources?;
        scenario.threads = threads(count, clients.threads, raise_descriptors())?;
        scenario.proxies = proxies(count, scenario.weak.as_ref())?;
        Ok(scenario)
    }

    /// The same without what only the host has to have that runs it.
    ///
    /// # Errors
    /// What is wrong and what would be right, in words.
    pub(crate) fn elsewhere(options: &Options) -> Result<Self, String> {
        let clients = &options.clients;
        check(options)?;
        let share = options.share;
        let count = share.part(clients.connections);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let key_id = clients.key_id.as_deref();
        let sign = |secret: Vec<u8>| Signer::new(&secret, key_id, now.as_secs());
        let people = people(options);
        let plan = Plan::new(options, &people)?;
        let schedule = plan.schedule(count, share.seed(options.push.seed));
        if options.push.receipts && !schedule.has_durable() {
            return Err(RECEIPTS.to_owned());
        }
        Ok(Self {
            clients: count,
            people,
            sources: Sources::Kernel,
            gateways: clients.gateway.clone(),
            connect_rate: share.part(clients.connect_rate).max(1),
            threads: 0,
            io: clients.io,
            heartbeat: clients.heartbeat,
            pings: share.part(clients.pings),
            signer: login_secret(options)?.map(sign).transpose()?,
            ack: clients.ack && !schedule.has_durable(),
            ack_every: clients.ack_every,
            ack_after: clients.ack_after.saturating_mul(crate::clock::MILLISECOND),
            arrival: clients.arrival,
            plan,
            schedule,
            receipts: options.push.receipts,
            runs: share.runs(std::process::id() ^ now.subsec_nanos()),
            share,
            proxies: 0,
            weak: options.asked.weak.clone(),
        })
    }

    /// Begins to connect a client to its gateway, from its own address.
    pub(crate) fn dial(&self, client: u32, stamped: bool) -> io::Result<OwnedFd> {
        let gateways = u32::try_from(self.gateways.len()).unwrap_or(u32::MAX);
        let gateway = self.gateways[(client % gateways) as usize];
        socket::dial(gateway, self.sources.of(client / gateways), stamped)
    }
}

/// Why receipts are refused.
const RECEIPTS: &str = "--receipts is of use only with --class durable or --durable: what is not \
                        stored is not acknowledged";

/// Who the options say the clients are.
fn people(options: &Options) -> People {
    let clients = &options.clients;
    let one = || people::Asked {
        product: clients.product.clone(),
        prefix: clients.user_prefix.clone(),
        share: 1.0,
        tag: clients.tag.clone(),
    };
    let populations = &options.asked.populations;
    let asked = if populations.is_empty() { vec![one()] } else { populations.clone() };
    People::new(&asked, clients.connections, clients.user_bytes).part(options.share)
}

/// What login tokens are signed with; `None` where there shall be none.
pub(crate) fn login_secret(options: &Options) -> Result<Option<Vec<u8>>, String> {
    if let Some(secrets) = &options.secrets {
        return Ok(secrets.login.clone());
    }
    let (typed, file) = (&options.clients.secret, options.clients.secret_file.as_deref());
    let wanted = typed.is_some() || file.is_some();
    wanted.then(|| secret::read(typed.as_deref().unwrap_or_default(), file)).transpose()
}

fn check(options: &Options) -> Result<(), String> {
    let (clients, push, broadcast) = (&options.clients, &options.push, &options.broadcast);
    let digits = clients.connections.saturating_sub(1).to_string().len();
    let prefixes = options.asked.populations.iter().map(|population| population.prefix.len());
    let prefix = prefixes.max().unwrap_or(clients.user_prefix.len());
    let user_bytes = clients.user_bytes.max(prefix + digits);
    let tag_bytes = clients.tag.as_ref().map_or(1, String::len);
    let rules = [
        (clients.connections > 0, "--connections must be at least 1".to_owned()),
        (clients.connect_rate > 0, "--connect-rate must be at least 1".to_owned()),
        ((0.0..=1.0).contains(&clients.churn), "--churn is a share from 0 to 1".to_owned()),
        ((0.0..1.0).contains(&clients.offline), "--offline is a share from 0 to 1".to_owned()),
        (clients.ack_every > 0, "--ack-every must be at least 1".to_owned()),
        (
            push.durable.is_none_or(|share| (0.0..=1.0).contains(&share)),
            "--durable is a share from 0 to 1".to_owned(),
        ),
        (
            (1..=PRODUCT_BYTES).contains(&clients.product.len()),
            format!("--product must have 1 to {PRODUCT_BYTES} bytes"),
        ),
        (
            user_bytes <= USER_BYTES,
            format!("user ids would have {user_bytes} bytes; the limit is {USER_BYTES}"),
        ),
        ((1..=TAG_BYTES).contains(&tag_bytes), format!("--tag must have 1 to {TAG_BYTES} bytes")),
        (push.burst > 0, "--burst must be at least 1".to_owned()),
        ((1..=PUSH_TARGETS).contains(&push.batch), format!("--batch must be 1 to {PUSH_TARGETS}")),
        (
            broadcast.count as usize <= BROADCASTS_MAX,
            format!("--broadcasts must be at most {BROADCASTS_MAX}"),
        ),
        (options.output.every > 0, "--every must be at least 1".to_owned()),
    ];
    if let Some((_, wrong)) = rules.into_iter().find(|(right, _)| !right) {
        return Err(wrong);
    }
    size::one(&broadcast.size.to_string())
        .map(|_| ())
        .map_err(|wrong| format!("--broadcast-size: {wrong}"))
}

/// How many threads: as asked, or as few as the descriptors of one table allow but one for each so
/// many clients where there are cores to spare.
///
/// # Errors
/// With so many `descriptors` in a table they do not fit; the text says what to do.
pub(crate) fn threads(clients: u32, asked: Option<u32>, descriptors: u64) -> Result<u32, String> {
    let per_thread = descriptors.saturating_sub(DESCRIPTORS_SPARE).min(u64::from(u32::MAX));
    let per_thread = u32::try_from(per_thread).unwrap_or(u32::MAX);
    if per_thread == 0 {
        return Err(format!(
            "a thread may have only {descriptors} descriptors; raise the limit with \
             `ulimit -n 20000` \
             (or LimitNOFILE= of the service)"
        ));
    }
    let least = clients.div_ceil(per_thread).max(1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let half = u32::try_from(cores / 2).unwrap_or(1).max(1);
    let threads = asked.unwrap_or_else(|| least.max(half.min(clients.div_ceil(CLIENTS_PER_CORE))));
    if threads < least {
        return Err(format!(
            "{threads} threads hold at most {} clients with {descriptors} descriptors each: use \
             --threads {least}, or raise the limit with `ulimit -n {}`",
            u64::from(threads) * u64::from(per_thread),
            u64::from(clients.div_ceil(threads.max(1))) + DESCRIPTORS_SPARE
        ));
    }
    Ok(threads)
}

/// How many threads the weak network needs: each of its connections has two descriptors, and chance
/// gives one thread some more of them than another.
fn proxies(clients: u32, weak: Option<&Weak>) -> Result<u32, String> {
    let Some(weak) = weak else { return Ok(0) };
    let per_thread = raise_descriptors().saturating_sub(DESCRIPTORS_SPARE) / 2;
    let per_thread = u32::try_from(per_thread.min(PROXY_CLIENTS)).unwrap_or(u32::MAX);
    let behind = f64::from(clients) * weak.share * 1.2;
    let threads = (1..=1_000).find(|threads| f64::from(threads * per_thread) >= behind);
    threads.ok_or_else(|| {
        "the weak network needs two descriptors for each of its clients; raise the limit with \
         `ulimit -n 20000`, or make [network.weak] share smaller"
            .to_owned()
    })
}

/// Raises the soft limit of descriptors to the hard one; gives what holds.
fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // If it is refused, what holds is simply what was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

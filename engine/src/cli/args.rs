//! What may be typed: every command, argument and option, with the words of its help. What a push
//! and a broadcast have in common is in `care`.

mod care;

pub use care::{Care, Class};

use crate::cli::value::{count, timespan};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// How the gateway is to run: the arguments of `serve` and `config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ServeArgs {
    /// The configuration file (TOML); without it everything has its default
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change one setting, after the file; may be given several times
    #[arg(long = "set", short, value_name = "KEY=VALUE", value_parser = setting)]
    pub set: Vec<String>,
    /// How to talk to the kernel; without it uring where that is allowed, otherwise epoll
    #[arg(long, value_enum)]
    pub io: Option<IoBackend>,
    /// How many shards (serving threads) to run; without it one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,
}

/// How shards talk to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IoBackend {
    /// The kernel's rings, or no start
    Uring,
    /// For containers and kernels that forbid rings
    Epoll,
}

impl ServeArgs {
    /// Every `key=value` in order: those that were set, then `--io` and `--shards`.
    pub fn sets(&self) -> Vec<String> {
        let io = self.io.map(|io| match io {
            IoBackend::Uring => "io=uring".to_owned(),
            IoBackend::Epoll => "io=epoll".to_owned(),
        });
        let shards = self.shards.map(|shards| format!("shards={shards}"));
        self.set.iter().cloned().chain(io).chain(shards).collect()
    }
}

fn setting(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("it must be KEY=VALUE, such as client.listen=127.0.0.1:7500".to_owned()),
    }
}

/// A command that talks to a running gateway.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ClientCommand {
    /// Push a text to one user
    Push(PushArgs),
    /// Push a text to all of a product, or to those with a tag, and watch it go
    Broadcast(BroadcastArgs),
    /// See and steer a broadcast that runs
    Job(JobArgs),
    /// Ask how many sessions users have
    Online(OnlineArgs),
    /// End all sessions of a user
    Kick(KickArgs),
    /// See, empty or release the messages that are stored for a user
    Mailbox(MailboxArgs),
    /// Show the gateway's counters
    Status(StatusArgs),
}

impl ClientCommand {
    /// What is typed for it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Push(_) => "push",
            Self::Broadcast(_) => "broadcast",
            Self::Job(_) => "job",
            Self::Online(_) => "online",
            Self::Kick(_) => "kick",
            Self::Mailbox(_) => "mailbox",
            Self::Status(_) => "status",
        }
    }

    /// What no single argument can tell: an error in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let (text, care, receipt) = match self {
            Self::Push(args) => (&args.text, &args.care, args.receipt.is_some()),
            Self::Broadcast(args) => (&args.text, &args.care, false),
            _ => return Ok(()),
        };
        if text.is_empty() {
            return Err("the text is empty; a gateway refuses that".to_owned());
        }
        care.check()?;
        if receipt && care.class() == Class::Online {
            return Err("--receipt is of use only with --durable: \
                        what is not stored is not acknowledged"
                .to_owned());
        }
        Ok(())
    }
}

/// Which gateway, as whom, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Connection")]
pub struct Api {
    /// The gateway's backend API; several with commas between, any of which will do
    #[arg(long, value_name = "ADDR", env = "HOLDFAST_API", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:7600")]
    pub api: Vec<String>,
    /// The name by which the gateway knows the key
    #[arg(long, env = "HOLDFAST_API_NAME", default_value = "cli")]
    pub name: String,
    /// The API key; others can see it in the list of processes, so prefer the variable or
    /// --key-file
    #[arg(long, env = "HOLDFAST_API_KEY", hide_env_values = true, default_value = "")]
    #[arg(hide_default_value = true)]
    pub key: String,
    /// A file with nothing but the API key; stronger than --key
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// How long to wait for the connection, and for each answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = timespan)]
    pub timeout: Duration,
    /// Answer in JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `push`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PushArgs {
    /// The product (tenant, app)
    pub product: String,
    /// The user
    pub user: String,
    /// The message; - reads it from standard input, byte for byte: a newline at its end is sent too
    pub text: String,
    /// How carefully.
    #[command(flatten)]
    pub care: Care,
    /// Wait so long, such as 10s, until the user has acknowledged it, or it is given up
    #[arg(long, value_name = "TIME", value_parser = timespan)]
    pub receipt: Option<Duration>,
    /// The connection.
    #[command(flatten)]
    pub api: Api,
}

/// The arguments of `broadcast`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BroadcastArgs {
    /// The product (tenant, app)
    pub product: String,
    /// The message; - reads it from standard input, byte for byte: a newline at its end is sent too
    pub text: String,
    /// Only to sessions with this tag
    #[arg(long, default_value = "", hide_default_value = true)]
    pub tag: String,
    /// How carefully.
    #[command(flatten)]
    pub care: Care,
    /// At most so many users a second, such as 50k; without it as fast as it goes
    #[arg(long, value_name = "N", default_value = "0", value_parser = users_per_second)]
    #[arg(hide_default_value = true)]
    pub users_per_second: u32,
    /// At most so many bits of message a second, such as 200M; without it as fast as it goes
    #[arg(long, value_name = "N", default_value = "0", value_parser = count)]
    #[arg(hide_default_value = true)]
    pub bits_per_second: u64,
    /// Print the job's number and leave it running
    #[arg(long)]
    pub no_wait: bool,
    /// The connection.
    #[command(flatten)]
    pub api: Api,
}

fn users_per_second(text: &str) -> Result<u32, String> {
    u32::try_from(count(text)?).map_err(|_| format!("at most {} are allowed", u32::MAX))
}

/// The arguments of `job`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct JobArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: JobAction,
}

/// What to do with a job.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum JobAction {
    /// Show how it stands
    Status(OneJob),
    /// Show how it goes until it is over
    Watch(OneJob),
    /// Stop it until it is resumed
    Pause(OneJob),
    /// Let it go on
    Resume(OneJob),
    /// Stop it for good
    Cancel(OneJob),
}

/// Which job.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OneJob {
    /// The job's number, as `broadcast` printed it
    pub job: u64,
    /// The connection.
    #[command(flatten)]
    pub api: Api,
}

/// The arguments of `online`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OnlineArgs {
    /// The product (tenant, app)
    pub product: String,
    /// The users
    #[arg(required = true, value_name = "USER")]
    pub users: Vec<String>,
    /// The connection.
    #[command(flatten)]
    pub api: Api,
}

/// The arguments of `kick`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct KickArgs {
    /// The product (tenant, app)
    pub product: String,
    /// The user
    pub user: String,
    /// Why, for the user to read
    #[arg(long, default_value = "", hide_default_value = true)]
    pub reason: String,
    /// The connection.
    #[command(flatten)]
    pub api: Api,
}

/// The arguments of `mailbox`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct MailboxArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: MailboxAction,
}

/// What to do with a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum MailboxAction {
    /// Show what waits for the user, and whether it is in quarantine
    Show(OneMailbox),
    /// Give up everything that waits for the user; backends that wanted receipts are told
    Purge(OneMailbox),
    /// End the quarantine of a user whose client took messages and acknowledged none
    Release(OneMailbox),
}

/// Whose mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OneMailbox {
    /// The product (tenant, app)
    pub product: String,
    /// The user
    pub user: String,
    /// The connection.
    #[command(flatten)]
    pub api: Api,
}

/// The arguments of `store`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: StoreAction,
}

/// What to do with the directory of an embedded store that no gateway has open.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum StoreAction {
    /// Read all of it and say whether a gateway would start with it; changes nothing
    Check {
        /// The store's directory, `store.directory` of the configuration
        directory: PathBuf,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy what can be read of a damaged one into a new one, and say what is lost
    ///
    /// What was acknowledged in a part that is lost is delivered again. It succeeds (0) whatever
    /// is lost: the output says what, also with --json.
    Salvage {
        /// The damaged store's directory
        from: PathBuf,
        /// A directory for the new one; made if it is not there
        to: PathBuf,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// The arguments of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct StatusArgs {
    /// Show counters that are zero, too
    #[arg(long)]
    pub all: bool,
    /// The connection.
    #[command(flatten)]
    pub api: Api,
}

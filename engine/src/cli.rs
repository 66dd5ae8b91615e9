//! The command line of `holdfast`: what may be typed, and the operator commands.
//!
//! [`parse`] understands the arguments. `serve` and `config` are carried out by `main`; `store`
//! looks at files and is carried out by [`run_store`]; man pages and completions are drawn by
//! [`run_drawn`]; everything else talks to a running gateway
//! through its backend API, as any backend would, and is carried out by [`run_client`]. Answers go
//! to standard output, everything else to standard error, so that `--json` can be piped; what
//! became of a command is in its exit code, see [`Exit`].
//!
//! Map: [`args`] declares the arguments, `value` reads and writes numbers and times, `connection`
//! reaches the gateway, [`exit`] explains failures, `wait` waits until Ctrl-C; `push`, `broadcast`,
//! `users`, `mailbox`, `status` and `store` are the commands.

pub mod args;
mod broadcast;
mod connection;
pub mod exit;
mod mailbox;
mod push;
mod screen;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod users;
mod value;
mod wait;

pub use args::{ClientCommand, IoBackend, ServeArgs, StoreArgs};
pub use exit::Exit;

use crate::config::manual;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::Failure;
use holdfast_packaging::Drawn;
use screen::Screen;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

/// Holdfast: a push gateway that holds millions of connections.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, args_conflicts_with_subcommands = true)]
#[command(long_version = concat!(env!("CARGO_PKG_VERSION"), ", commit ", env!("HOLDFAST_COMMIT")))]
#[command(after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Typed>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Typed {
    /// Run the gateway; this is also what happens without any command
    Serve(ServeArgs),
    /// Print the configuration that `serve` would run with
    Config(ServeArgs),
    /// Check or salvage the files of an embedded store
    Store(StoreArgs),
    #[command(flatten)]
    Client(ClientCommand),
    #[command(flatten)]
    Drawn(Drawn),
}

/// What was asked for.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Run the gateway.
    Serve(ServeArgs),
    /// Print the effective configuration.
    Config(ServeArgs),
    /// Look at the files of a store: for [`run_store`].
    Store(StoreArgs),
    /// Talk to a running gateway: for [`run_client`].
    Client(ClientCommand),
    /// Draw this command line: for [`run_drawn`].
    Drawn(Drawn),
}

/// Understands the arguments of this process. Help and version are printed and end it with 0, a
/// mistake is explained and ends it with [`Exit::Usage`].
pub fn parse() -> Command {
    parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// Understands `arguments`, of which the first is the program's name.
///
/// # Errors
/// A mistake, or a request for help, as it is to be shown.
pub fn parse_from(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Command, clap::Error> {
    let cli = Cli::from_arg_matches(&Cli::command().try_get_matches_from(arguments)?)?;
    Ok(match cli.command {
        None => Command::Serve(cli.serve),
        Some(Typed::Serve(serve)) => Command::Serve(serve),
        Some(Typed::Config(serve)) => Command::Config(serve),
        Some(Typed::Store(store)) => Command::Store(store),
        Some(Typed::Client(command)) => {
            command.check().map_err(|text| mistake(command.name(), &text))?;
            Command::Client(command)
        }
        Some(Typed::Drawn(drawn)) => Command::Drawn(drawn),
    })
}

/// A mistake in the arguments of a command, with the usage of that command.
fn mistake(name: &str, text: &str) -> clap::Error {
    let mut cli = Cli::command();
    // It gives the commands their whole names.
    cli.build();
    let command = cli.find_subcommand_mut(name);
    match command {
        Some(command) => command.error(ErrorKind::ValueValidation, text),
        None => Cli::command().error(ErrorKind::ValueValidation, text),
    }
}

/// Prints completions, or writes the man pages: those of the commands and of the configuration.
pub fn run_drawn(drawn: &Drawn) -> ExitCode {
    drawn.run(Cli::command(), &[manual::page])
}

/// Carries out an operator command against a running gateway, and says what became of it.
pub fn run_client(command: &ClientCommand) -> ExitCode {
    let live = io::stderr().is_terminal();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    run_on(command, &mut Screen::new(&mut out, &mut err, live)).into()
}

/// As [`run_client`], on any screen.
fn run_on(command: &ClientCommand, screen: &mut Screen<'_>) -> Exit {
    let result = match command {
        ClientCommand::Push(args) => push::run(args, screen),
        ClientCommand::Broadcast(args) => broadcast::start(args, screen),
        ClientCommand::Job(args) => broadcast::steer(args, screen),
        ClientCommand::Online(args) => users::online(args, screen),
        ClientCommand::Kick(args) => users::kick(args, screen),
        ClientCommand::Mailbox(args) => mailbox::run(args, screen),
        ClientCommand::Status(args) => status::run(args, screen),
    };
    told(result, screen)
}

/// Looks at the files of a store, or salvages them, and says what came of it.
pub fn run_store(args: &StoreArgs) -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    store_on(args, &mut Screen::new(&mut out, &mut err, false)).into()
}

/// As [`run_store`], on any screen.
fn store_on(args: &StoreArgs, screen: &mut Screen<'_>) -> Exit {
    told(store::run(args, screen), screen)
}

/// The exit of a command; what went wrong is said.
fn told(result: Result<Exit, Failure>, screen: &mut Screen<'_>) -> Exit {
    result.unwrap_or_else(|failure| {
        screen.complain(&failure.to_string());
        failure.exit
    })
}

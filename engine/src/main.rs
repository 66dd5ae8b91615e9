//! `holdfast`: arguments → configuration → serve, print, look at a store, or talk to a
//! running gateway.

use holdfast::cli::{self, Command, Exit, ServeArgs};
use holdfast::config::Config;
use holdfast::{logs, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse() {
        Command::Serve(args) => match load(&args) {
            Ok(config) => run(&config),
            Err(exit) => exit,
        },
        Command::Config(args) => match load(&args) {
            Ok(config) => {
                print!("{}", config.print());
                ExitCode::SUCCESS
            }
            Err(exit) => exit,
        },
        Command::Store(args) => cli::run_store(&args),
        Command::Client(command) => cli::run_client(&command),
    }
}

fn load(args: &ServeArgs) -> Result<Config, ExitCode> {
    Config::load(args.config.as_deref(), &args.sets()).map_err(|refused| {
        for problem in refused.0 {
            eprintln!("error: {problem}");
        }
        Exit::Usage.into()
    })
}

fn run(config: &Config) -> ExitCode {
    if let Err(error) = logs::install(&config.log) {
        eprintln!("error: cannot log: {error}");
    }
    serve::serve(config)
}

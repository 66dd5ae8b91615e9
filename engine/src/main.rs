//! `holdfast`: arguments → configuration → serve, print, look at a store, or talk to a
//! running gateway.

use holdfast::cli::{self, Command, Exit, ServeArgs};
use holdfast::config::Config;
use holdfast::{logs, serve};
use signal_hook::consts::SIGXFSZ;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    // With a handler, a write behind the file size limit is an error, which its writer can tell of;
    // without one it ends the process. Nobody looks at the flag.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::default()) {
        eprintln!("warning: a file size limit would end this process: {error}");
    }
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
        Command::Drawn(drawn) => cli::run_drawn(&drawn),
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

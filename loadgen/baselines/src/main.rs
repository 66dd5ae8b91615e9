//! A small push server in the idiom of two runtimes, to check that the gateway's raw loop stays
//! worth its trouble.
//!
//! It does what a gateway must do at the least: hello and welcome without a token, ping and pong,
//! and one backend API that pushes and broadcasts. It has no homes, no limits, no policy for slow
//! readers, no timers: what the gateway does besides, it must do in less than what the runtime
//! costs.
//!
//! The protocol's side ([`office`], [`desk`]) is the same for both; the runtimes differ in
//! [`with_monoio`] and [`with_glommio`].

use std::io;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

mod desk;
mod office;
mod with_glommio;
mod with_monoio;

#[derive(Debug, Parser)]
#[command(version, about = "A small push server in the idiom of a runtime")]
struct Args {
    /// The runtime
    #[arg(long, value_enum)]
    runtime: Runtime,
    /// The core of its one thread
    #[arg(long, default_value_t = 0)]
    core: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Runtime {
    Monoio,
    Glommio,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match args.runtime {
        Runtime::Monoio => with_monoio::serve(),
        Runtime::Glommio => with_glommio::serve(args.core),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast-baselines: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says the ports of clients and backends on one line, once both are listened on.
fn say_ports(
    clients: io::Result<std::net::SocketAddr>,
    backends: io::Result<std::net::SocketAddr>,
) {
    match (clients, backends) {
        (Ok(clients), Ok(backends)) => println!("{} {}", clients.port(), backends.port()),
        (Err(error), _) | (_, Err(error)) => eprintln!("holdfast-baselines: {error}"),
    }
}

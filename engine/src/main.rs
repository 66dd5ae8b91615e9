//! The gateway.
use holdfast::{boot, config::Config, logs};
use std::process::ExitCode;

fn main() -> ExitCode {
    let sets: Vec<String> = std::env::args().skip(1).collect();
    let config = match Config::load(None, &sets) {
        Ok(config) => config,
        Err(refused) => {
            eprintln!("{refused}");
            return ExitCode::from(2);
        }
    };
    let _ = logs::install(&config.log);
    match boot::start(&config) {
        Ok(gateway) => {
            tracing::info!(clients = ?gateway.client_addresses, backends = ?gateway.backend_addresses, backing = ?gateway.backing, "ready");
            let mut signals = signal_hook::iterator::Signals::new([15, 2]).expect("signals");
            signals.forever().next();
            let cut = gateway.drain(config.drain.timeout);
            tracing::info!(cut, "ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

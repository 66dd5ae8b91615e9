//! Pushes one text to some users: `push 127.0.0.1:7600 chat "hello" alice bob carol`.
//!
//! The API key is taken from `HOLDFAST_API_KEY`, if the gateway asks for one.

use holdfast_client::{Advice, Backend, Options, Outcome, target};
use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, product, text, users @ ..] = &arguments[..] else {
        eprintln!("usage: push GATEWAY PRODUCT TEXT USER...");
        return ExitCode::from(2);
    };
    match push(address, product, text, users) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.advice() {
                Advice::Change => eprintln!("{error}"),
                Advice::Retry(after) => eprintln!("{error}; try again after {after:?}"),
                Advice::RetryIfIdempotent => eprintln!("{error}; it may have been delivered"),
            }
            ExitCode::FAILURE
        }
    }
}

fn push(
    address: &str,
    product: &str,
    text: &str,
    users: &[String],
) -> Result<(), holdfast_client::Error> {
    let key = env::var("HOLDFAST_API_KEY").unwrap_or_default().into_bytes();
    let name = "push-example".to_owned();
    let backend = Backend::connect(Options { name, key, ..Options::new([address]) })?;

    // One request for all of them; the body travels once, since every target holds the same slice.
    let targets: Vec<_> = users.iter().map(|user| target(user, text.as_bytes())).collect();
    let outcomes = backend.push(product, &targets)?.wait()?;

    for (user, outcome) in users.iter().zip(outcomes) {
        match outcome {
            Outcome::Delivered(sequence) => println!("{user}: delivered as {sequence}"),
            Outcome::Busy(after) => println!("{user}: busy, again after {after} ms"),
            other => println!("{user}: {}", other.name()),
        }
    }
    Ok(())
}

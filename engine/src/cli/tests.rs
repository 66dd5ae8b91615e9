//! What may be typed, and what a person and a script see of each command, against a scripted
//! gateway.

mod answers;
mod durable;
mod failures;
mod typed;

use super::{ClientCommand, Command, Exit, parse_from, run_on};
use crate::cli::screen::Screen;

/// What a command left behind.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

/// The command behind these words.
fn command(words: &[&str]) -> ClientCommand {
    let typed = parse_from(std::iter::once("holdfast").chain(words.iter().copied()));
    match typed {
        Ok(Command::Client(command)) => command,
        other => panic!("{words:?} is {other:?}"),
    }
}

/// Runs these words against the gateway at `api`.
fn run(api: &str, words: &[&str]) -> Ran {
    run_with(&[words, &["--api", api]].concat(), false, |_| {})
}

fn run_with(words: &[&str], live: bool, prepare: impl FnOnce(&mut Screen<'_>)) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::new(&mut out, &mut err, live);
    prepare(&mut screen);
    let exit = run_on(&command(words), &mut screen);
    let text = |bytes| String::from_utf8(bytes).expect("what is written is text");
    Ran { exit, out: text(out), err: text(err) }
}

//! Words and calls that may not stand in the repository, or only in certain places.

use crate::source::Source;
use crate::{finds, nothing_found};

/// This file names what it forbids.
const THIS: &str = "engine/tests/tidy/words.rs";

/// What marks unfinished work.
const UNFINISHED: [&str; 5] = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"];

/// What speaks of how the repository is made rather than of what it is. In lower case.
const WORKSHOP: [&str; 9] = [
    "/work/",
    "/root/",
    concat!("/", "farm/"),
    "subagent",
    "chatgpt",
    "claude",
    "language model",
    "the prompt",
    "helper",
];

/// Files in which unsafe code may stand besides `engine/src/io`.
const UNSAFE: [&str; 3] =
    ["kernel-tuning/src/card.rs", "loadgen/src/floor/driver/hurry.rs", "loadgen/src/floor/ring.rs"];

/// Calls that may stand only in the places named with them: the call, the places, what to do
/// instead.
const CALLS: [(&[&str], &[&str], &str); 8] = [
    (&["dbg", "!"], &[], "take it out"),
    (&["println", "!"], PRINTING, "log, or answer the caller"),
    (&["eprintln", "!"], PRINTING, "log, or answer the caller"),
    (&["Instant", ":", ":", "now"], CLOCKS, "use the shard's clock"),
    (&["SystemTime", ":", ":", "now"], CLOCKS, "use the shard's clock"),
    (&["thread", ":", ":", "sleep"], SLEEPING, "a shard waits in Io::wait alone"),
    (&["process", ":", ":", "exit"], EXITING, "return an exit code"),
    (&["mem", ":", ":", "forget"], &[], "let it be dropped"),
];

/// Programs that speak to a person.
const PRINTING: &[&str] = &[
    "engine/src/cli",
    "engine/src/main.rs",
    "xtask/",
    "loadgen/",
    "clients/rust/examples/",
    "store/examples/",
    // A build script speaks to cargo so.
    "packaging/commit.rs",
];
/// The one clock of the engine, what runs beside the shards, and other programs.
const CLOCKS: &[&str] = &[
    "engine/src/clock.rs",
    "engine/src/cli",
    "clients/rust/",
    "store/src/clock.rs",
    "store/examples/",
    "xtask/",
    "loadgen/",
];
/// Programs without a shard.
const SLEEPING: &[&str] = &[
    "engine/src/boot/incarnation.rs",
    "engine/src/cli",
    "engine/src/serve.rs",
    "clients/rust/",
    "xtask/",
    "loadgen/",
];
/// Where a process may end at once.
const EXITING: &[&str] = &["engine/src/serve.rs", "loadgen/src/floor/server.rs"];

fn unfinished(source: &Source) -> Vec<String> {
    if source.path == THIS {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate();
    let named = lines.filter_map(|(index, line)| {
        let word = UNFINISHED.iter().find(|word| has_word(line, word))?;
        Some(format!("{}:{}: {word}", source.path, index + 1))
    });
    named.collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let joined = |letter: Option<char>| letter.is_some_and(|l| l.is_alphanumeric() || l == '_');
        !joined(before) && !joined(after)
    })
}

fn workshop(source: &Source) -> Vec<String> {
    if source.path == THIS {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate();
    let named = lines.filter_map(|(index, line)| {
        let line = line.to_lowercase();
        let word = WORKSHOP.iter().find(|word| line.contains(*word))?;
        Some(format!("{}:{}: {word}", source.path, index + 1))
    });
    named.collect()
}

fn unsafe_code(source: &Source) -> Vec<String> {
    let allowed =
        source.path.starts_with("engine/src/io/") || UNSAFE.contains(&source.path.as_str());
    if allowed {
        return Vec::new();
    }
    // Tests are not excused: they have no need either.
    let found = source.tokens.iter().filter(|(token, _)| token == "unsafe");
    found.map(|(_, line)| format!("{}:{line}: unsafe", source.path)).collect()
}

fn calls(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (call, places, instead) in CALLS {
        if places.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        let name = call.concat();
        let lines = source.places(call).into_iter();
        found.extend(lines.map(|line| format!("{}:{line}: {name}; {instead}", source.path)));
    }
    found
}

#[test]
fn nothing_is_left_unfinished() {
    nothing_found(unfinished);
    finds(
        unfinished,
        &[("a.md", "- TODO: more"), ("a/src/b.rs", "fn f() { todo!() }")],
        &[("a.md", "TODOS are not marks"), ("a/src/b.rs", "fn todo() {}")],
    );
}

#[test]
fn the_repository_speaks_of_itself_alone() {
    nothing_found(workshop);
    finds(
        workshop,
        &[("a.md", "see /work/notes"), ("a/src/b.rs", "// As Claude says.")],
        &[("a.md", "how it works, and what it roots in")],
    );
}

#[test]
fn unsafe_code_stands_where_the_kernel_is() {
    nothing_found(unsafe_code);
    let text = "fn f() { unsafe { g() } }";
    finds(
        unsafe_code,
        &[("engine/src/path.rs", text), ("engine/tests/a.rs", text)],
        &[("engine/src/io/ring.rs", text), ("engine/src/a.rs", "// unsafe\nfn not_unsafe() {}")],
    );
}

#[test]
fn calls_stand_where_they_may() {
    nothing_found(calls);
    let clock = "fn f() { let now = std::time::Instant::now(); }";
    let in_tests = format!("#[cfg(test)]\nmod tests {{ {clock} }}");
    finds(
        calls,
        &[
            ("engine/src/shard.rs", clock),
            ("engine/src/shard.rs", "fn f() { println!(\"x\") }"),
            ("xtask/src/a.rs", "fn f() { dbg!(1); }"),
            ("engine/src/shard.rs", "fn f() { assert!(thread::sleep(x)) }"),
        ],
        &[("engine/src/clock.rs", clock), ("engine/src/shard.rs", &in_tests)],
    );
}

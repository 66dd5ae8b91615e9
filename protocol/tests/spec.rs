//! SPEC.md tells what the code does: every limit, code and word of its tables, and its example in
//! hex.

#[path = "support/files.rs"]
mod files;
#[path = "support/markdown.rs"]
mod markdown;

use files::text;
use holdfast_protocol::backend::answer::{self, Answer, DropReason, ErrorCode, Rejection};
use holdfast_protocol::backend::request::{self, Request};
use holdfast_protocol::client::{FromClient, FromServer, from_client, from_server};
use holdfast_protocol::close::Code;
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame::{Frame, split};
use holdfast_protocol::limits;
use markdown::table;

#[test]
fn the_table_of_limits_is_the_module_of_limits() {
    let spec = text("SPEC.md");
    let rows = table(&spec, "## Limits", "| constant | value | what it bounds |");
    let told: Vec<(String, String)> =
        rows.iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
    let source = text("src/limits.rs");
    let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'));
    let names: Vec<_> = names.map(|(name, _)| name).collect();
    let mut values = Vec::new();
    macro_rules! value {
        ($($name:ident)*) => {
            $(values.push((stringify!($name).to_owned(), limits::$name.to_string()));)*
        };
    }
    value! {
        VERSION USER_BYTES PRODUCT_BYTES DEVICE_BYTES TOKEN_BYTES TAGS TAG_BYTES SESSION_ID_BYTES
        REASON_BYTES REDIRECT_ADDRESSES ADDRESS_BYTES CLIENT_PAYLOAD BODY_BYTES_CEILING
        BODY_BYTES_DEFAULT PUSH_PAYLOAD PUSH_OVERHEAD SEQUENCE_MAX BACKEND_NAME_BYTES API_KEY_BYTES
        BACKEND_HELLO_PAYLOAD BACKEND_HEARTBEAT_SECONDS
        BACKEND_PAYLOAD PUSH_TARGETS ONLINE_USERS IDEMPOTENCY_KEY_BYTES TTL_SECONDS_MAX COUNTERS
        COUNTER_NAME_BYTES HEARTBEAT_SECONDS_MIN HEARTBEAT_SECONDS_MAX LENGTH_BYTES
        HEADER_BYTES
    }
    let listed: Vec<_> = values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(listed, names, "this test lists the constants in the order of limits.rs");
    values.sort();
    let mut told = told;
    told.sort();
    assert_eq!(told, values);
}

#[test]
fn the_table_of_violations_is_the_enumeration() {
    let spec = text("SPEC.md");
    let rows = table(&spec, "## Framing", "| violation | what it is | close code |");
    let told: Vec<_> = rows.iter().map(|row| (row[0], row[2].parse().expect("a code"))).collect();
    let known = Violation::ALL.map(|known| (known.name(), known.close_code().number()));
    assert_eq!(told, known);
}

/// The numbers and names of a table whose first two columns they are.
fn words<'a>(spec: &'a str, heading: &str, header: &str) -> Vec<(u16, &'a str)> {
    let rows = table(spec, heading, header);
    rows.iter().map(|row| (row[0].parse().expect("a number"), row[1])).collect()
}

#[test]
fn the_tables_of_codes_are_the_enumerations() {
    let spec = text("SPEC.md");
    let codes = words(&spec, "## Close codes", "| code | name | meaning | what to do |");
    let known: Vec<_> = Code::ALL.iter().map(|code| (code.number(), code.name())).collect();
    assert_eq!(codes, known);

    let errors = words(&spec, "### Error codes", "| code | name | meaning | what to do |");
    let known = ErrorCode::ALL.iter().map(|code| (u16::from(code.number()), code.name()));
    assert_eq!(errors, known.collect::<Vec<_>>());

    let rejections = words(&spec, "### Frames to the backend", "| rejected | name | meaning |");
    let known = Rejection::ALL.iter().map(|why| (u16::from(why.number()), why.name()));
    assert_eq!(rejections, known.collect::<Vec<_>>());

    let drops = words(&spec, "### Frames to the backend", "| dropped | name | meaning |");
    let known = DropReason::ALL.iter().map(|why| (u16::from(why.number()), why.name()));
    assert_eq!(drops, known.collect::<Vec<_>>());
}

/// The kinds of a table, as it lists them.
fn kinds(spec: &str, heading: &str, header: &str) -> Vec<u8> {
    let rows = table(spec, heading, header);
    let rows = rows.iter().filter_map(|row| row[0].strip_prefix("0x"));
    rows.filter_map(|kind| u8::from_str_radix(kind, 16).ok()).collect()
}

#[test]
fn the_tables_of_kinds_are_what_the_decoders_know() {
    let spec = text("SPEC.md");
    let known = |decode: fn(Frame<'_>) -> bool| {
        let unknown_is_told = move |&kind: &u8| decode(Frame { kind, payload: &[] });
        (0..0x80_u8).filter(unknown_is_told).collect::<Vec<_>>()
    };
    let header = "| kind | name | meaning |";
    assert_eq!(
        kinds(&spec, "### Frames from the client", header),
        known(|frame| FromClient::decode(frame) != Err(Violation::UnknownKind))
    );
    assert_eq!(
        kinds(&spec, "### Frames to the client", header),
        known(|frame| FromServer::decode(frame) != Err(Violation::UnknownKind))
    );
    assert_eq!(
        kinds(&spec, "### Frames from the backend", "| kind | name | its answer |"),
        known(|frame| Request::decode(frame) != Err(Violation::UnknownKind))
    );
    assert_eq!(
        kinds(&spec, "### Frames to the backend", header),
        known(|frame| Answer::decode(frame) != Err(Violation::UnknownKind))
    );
}

#[test]
fn the_kinds_of_each_direction_stay_on_their_side() {
    let clients = [from_client::kind::HELLO, from_client::kind::LEAVE];
    let requests = [request::kind::HELLO, *request::kind::RESERVED.end()];
    let servers = [from_server::kind::WELCOME, from_server::kind::CLOSE];
    let answers = [answer::kind::WELCOME, answer::kind::RECEIPT];
    assert!(clients.iter().chain(&requests).all(|kind| (0x01..0x40).contains(kind)));
    assert!(servers.iter().chain(&answers).all(|kind| (0x40..0x80).contains(kind)));
}

#[test]
fn the_example_in_hex_decodes() {
    let spec = text("SPEC.md");
    let conversations: Vec<_> = spec.split("```hex\n").skip(1).collect();
    assert_eq!(conversations.len(), 2, "one for each protocol");
    for (protocol, conversation) in conversations.iter().enumerate() {
        let (lines, _) = conversation.split_once("```").expect("a closed block");
        assert!(lines.lines().count() >= 6);
        for line in lines.lines() {
            let (to, bytes) = line.split_once(' ').expect("a direction");
            let bytes: Vec<u8> =
                bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect();
            let (frame, taken) = split(&bytes, 4096).expect(line).expect(line);
            assert_eq!(taken, bytes.len(), "{line}");
            match (protocol, to) {
                (0, ">") => drop(FromClient::decode(frame).expect(line)),
                (0, "<") => drop(FromServer::decode(frame).expect(line)),
                (_, ">") => drop(Request::decode(frame).expect(line)),
                (_, _) => drop(Answer::decode(frame).expect(line)),
            }
        }
    }
}

#[test]
fn the_crate_has_no_std_and_no_unsafe() {
    let root = text("src/lib.rs");
    assert!(root.contains("\n#![no_std]\n") && root.contains("\n#![forbid(unsafe_code)]\n"));
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("a file");
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                assert!(!line.contains("std::"), "{}: {line}", path.display());
                assert!(!line.contains("extern crate std"), "{}: {line}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 10, "only {read} files were read");
    let manifest = text("Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]\n").expect("a table");
    let (dependencies, _) = dependencies.split_once("[dev-dependencies]").expect("a table");
    assert!(dependencies.trim().is_empty(), "the wire depends on nothing: {dependencies}");
}

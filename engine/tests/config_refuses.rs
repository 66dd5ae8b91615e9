//! A configuration is refused with the key, the value and what is allowed, and what is printed
//! reads back as the same configuration.

use holdfast::config::{Config, IoChoice, LogFormat, Pin, Problem};
use std::path::Path;
use std::time::Duration;

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
const API_KEY: &str = "an-api-key-of-16-bytes-or-more";

fn parse(text: &str, sets: &[&str]) -> Result<Config, Vec<Problem>> {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    Config::parse("test.toml", text, &sets, Path::new("")).map_err(|refused| refused.0)
}

/// The words of the only reason why this is refused.
#[track_caller]
fn refusal(text: &str, sets: &[&str]) -> String {
    let problems = parse(text, sets).expect_err("this must be refused");
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

#[test]
fn nothing_at_all_is_the_default() {
    assert_eq!(parse("", &[]).unwrap(), Config::default());
    assert_eq!(Config::load(None, &[]).unwrap(), Config::default());
}

#[test]
fn the_printed_default_reads_back() {
    let printed = Config::default().print();
    assert_eq!(parse(&printed, &[]).unwrap(), Config::default(), "{printed}");
}

#[test]
fn the_example_file_is_the_printed_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.example.toml");
    let file = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = file.split_once("\n\n").unwrap();
    assert!(head.lines().all(|line| line.starts_with('#')), "a head of comments");
    assert_eq!(rest, Config::default().print(), "write what `holdfast config` prints to {path:?}");
}

#[test]
fn a_printed_change_of_every_kind_reads_back() {
    let config = parse(
        r#"
        shards = 4
        pin = false
        io = "epoll"
        products = ["chat", "with \"quotes\" and, comma"]
        body_max = "1 MiB"
        [client]
        listen = ["127.0.0.1:1", "[::1]:1"]
        hello_timeout = "1500 ms"
        heartbeat_default = "10 min"
        outbox_bytes = "3 MiB"
        [admin]
        listen = "[::1]:7"
        [socket]
        user_timeout = 0
        notsent_lowat = 0
        [log]
        level = "info,holdfast::path=debug"
        format = "json"
        [[auth.client_keys]]
        id = "phones"
        algorithm = "EdDSA"
        public_key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        [[auth.client_keys]]
        id = "the same in PEM"
        algorithm = "EdDSA"
        public_key = """
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""
        "#,
        &["mesh.capacity=1024", "broadcast.users_per_second=50_000"],
    )
    .unwrap();
    assert_eq!(
        (config.pin, config.io, config.log.format),
        (Pin::Off, IoChoice::Epoll, LogFormat::Json)
    );
    assert_eq!(config.client.hello_timeout, Duration::from_millis(1_500));
    assert_eq!((config.client.heartbeat_default, config.mesh.capacity), (600, 1_024));
    let printed = config.print();
    assert_eq!(parse(&printed, &[]).unwrap(), config, "{printed}");
}

#[test]
fn a_set_wins_over_the_file_and_the_last_over_the_first() {
    let config =
        parse("shards = 1", &["shards=2", "shards=3", "client.listen=127.0.0.1:1,[::1]:2"]);
    let config = config.unwrap();
    assert_eq!(config.shards, 3);
    assert_eq!(config.client.listen.len(), 2);
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    assert!(refusal("", &["client.hello_timout=5"]).contains("did you mean client.hello_timeout?"));
    assert!(refusal("hello_timeout = 5", &[]).contains("did you mean client.hello_timeout?"));
    assert!(refusal("[client]\nheartbeat = 5", &[]).contains("did you mean client.heartbeat_"));
    assert!(refusal("zzz = 5", &[]).contains("no such setting; `holdfast config` prints them all"));
    assert!(refusal("[client.listen]\nx = 1", &[]).contains(": client.listen = "), "no section");
    assert!(refusal("[nonsense]\nx = 1", &[]).contains("nonsense: no such setting"));
    assert!(refusal("client = 5", &[]).contains("client: no such setting"));
}

#[test]
fn a_wrong_value_is_refused_with_what_is_allowed() {
    for (set, allowed) in [
        ("shards=-1", "a whole number from 0 to 1024"),
        ("shards=many", "a whole number from 0 to 1024"),
        ("pin=maybe", "\"auto\", \"on\", \"off\""),
        ("io=kqueue", "\"auto\", \"uring\", \"epoll\""),
        ("products=[]", "a list of different names, each of 1 to 32 bytes"),
        ("body_max=2 MiB", "a size from 1 B to 1 MiB"),
        ("body_max=0", "a size from 1 B to 1 MiB"),
        ("client.listen=localhost:1", "a list, each item an IP address with a port"),
        ("admin.listen=localhost:1", "an IP address with a port"),
        ("client.listen=[]", "a list, each item an IP address with a port"),
        ("client.hello_timeout=0", "a time from 1 s to 600 s"),
        ("mailbox.ttl=31 d", "a time from 1 s to 30 d, such as \"7 d\" (ms, s, min, h or d)"),
        ("store.segment_bytes=100 MB", "a size from 1 MiB to 128 MiB, such as \"64 MiB\""),
        ("client.heartbeat_min=4", "whole seconds from 5 s to 3600 s"),
        ("mesh.capacity=100", "a power of two from 64 to 1048576"),
        ("log.level=loud", "\"error\", \"warn\", \"info\""),
        ("log.format=xml", "\"text\", \"json\""),
    ] {
        let words = refusal("", &[set]);
        let (key, value) = set.split_once('=').unwrap();
        assert!(words.starts_with(&format!("--set: {key} = ")), "{words}");
        assert!(words.contains(value), "{words}");
        assert!(words.contains(&format!("allowed: {allowed}")), "{words}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let problems =
        parse("shards = -1\nnonsense = 1", &["io=kqueue", "no-equals-sign"]).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let words = refusal("shards = = 1", &[]);
    assert!(words.starts_with("test.toml: not TOML") && words.contains("line 1"), "{words}");
    assert!(refusal("shards = 1\nshards = 2", &[]).contains("duplicate key"));
}

#[test]
fn what_is_refused_is_told_with_its_file_and_line() {
    for (text, place) in [
        ("shard = 1", "test.toml:1: shard: no such setting"),
        ("# one\n\nshards = -1", "test.toml:3: shards = -1 "),
        ("shards = 1\n[client]\nlisten = [\n]", "test.toml:3: client.listen = "),
        ("[client]\n\n  hello_timout = 5", "test.toml:3: client.hello_timout: no such"),
        ("client.hello_timeout = 0", "test.toml:1: client.hello_timeout = 0 "),
        ("client = { hello_timeout = 0 }", "test.toml:1: client.hello_timeout = 0 "),
        ("shards = 1\n[nonsense]\nx = 1", "test.toml:2: nonsense: no such setting"),
        ("\"a.b\" = 1", "test.toml:1: a.b: no such setting"),
    ] {
        let words = refusal(text, &[]);
        assert!(words.starts_with(place), "{words}");
    }
    assert!(refusal("shards = 1", &["shard=2"]).starts_with("--set: shard: no such setting"));
}

#[test]
fn a_file_that_is_missing_is_refused_with_its_path() {
    let refused = Config::load(Some(Path::new("/nonexistent/gateway.toml")), &[]).unwrap_err();
    assert!(refused.to_string().starts_with("cannot read /nonexistent/gateway.toml"), "{refused}");
}

#[test]
fn without_keys_nothing_but_loopback_is_listened_on() {
    for (set, key) in [
        ("client.listen=0.0.0.0:1", "auth.client_keys"),
        ("client.listen=127.0.0.1:1,192.0.2.1:1", "auth.client_keys"),
        ("client.listen=[::]:1", "auth.client_keys"),
        ("client.listen=[::ffff:192.0.2.1]:1", "auth.client_keys"),
        ("backend.listen=0.0.0.0:1", "auth.backend_keys"),
        ("admin.listen=0.0.0.0:1", "admin.token"),
    ] {
        let words = refusal("", &[set]);
        assert!(words.contains("open to other hosts") && words.contains(key), "{words}");
    }
    let client = format!("auth.client_keys=[{{id='k',algorithm='HS256',secret='{SECRET}'}}]");
    let backend = format!("auth.backend_keys=[{{name='b',key='{API_KEY}'}}]");
    let token = format!("admin.token={API_KEY}");
    let open = ["client.listen=[::]:1", "backend.listen=[::]:2", "admin.listen=[::]:3"];
    parse("", &[&client[..], &backend, &token, open[0], open[1], open[2]]).unwrap();
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    assert!(
        refusal("", &["client.heartbeat_min=600"]).contains("client.heartbeat_default = 300 s")
    );
    let words = refusal("", &["backend.listen=127.0.0.1:7500"]);
    assert!(words.contains("client.listen and backend.listen both name"), "{words}");
    parse("", &["client.listen=127.0.0.1:0", "backend.listen=127.0.0.1:0"]).unwrap();
}

#[test]
fn a_first_redelivery_after_the_last_is_refused() {
    let both = ["mailbox.redelivery_after=20 s", "mailbox.redelivery_at_most=10 s"];
    let words = refusal("", &both);
    assert!(words.starts_with("mailbox.redelivery_after = 20s is longer than"), "{words}");
    assert!(words.contains("mailbox.redelivery_at_most = 10s"), "{words}");
    parse("", &["mailbox.redelivery_after=10 s", both[1]]).unwrap();
}

#[test]
fn a_store_in_a_file_is_refused_and_one_that_is_not_there_yet_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("afile"), "").unwrap();
    let set = format!("store.directory={}", path("afile"));
    let words = refusal("", &[&set]);
    assert!(words.ends_with("afile\" is there and is not a directory"), "{words}");
    parse("", &[&set, "store.kind=memory"]).unwrap();
    parse("", &[&format!("store.directory={}", path("later"))]).unwrap();
    parse("", &[&format!("store.directory={}", path(""))]).unwrap();
}

#[test]
fn the_outbox_holds_at_least_one_push() {
    let config = parse("", &["body_max=1 MiB", "client.outbox_bytes=1"]).unwrap();
    assert_eq!(config.client.outbox_bytes, (1 << 20) + 12);
}

#[test]
fn keys_are_refused_with_the_entry_and_never_shown() {
    let ed = "id = 'a', algorithm = 'EdDSA'";
    for (key, entry, fault) in [
        (
            "client",
            "id = 'a', algorithm = 'HS256', secret = 'too-short'".to_owned(),
            "32 to 4096 bytes",
        ),
        (
            "client",
            format!("id = 'a', algorithm = 'none', secret = '{SECRET}'"),
            "\"HS256\" or \"EdDSA\"",
        ),
        ("client", format!("algorithm = 'HS256', secret = '{SECRET}'"), "id must be a text"),
        ("client", format!("{ed}, secret = '{SECRET}'"), "secret is not a field of it"),
        (
            "client",
            format!("{ed}, public_key = 'a', public_key_file = 'b'"),
            "either public_key or",
        ),
        ("backend", "name = 'b', key = 'too-short'".to_owned(), "16 to 256 bytes"),
        ("backend", "name = 'b'".to_owned(), "either key or key_file must be set"),
    ] {
        let words = refusal(&format!("auth.{key}_keys = [{{ {entry} }}]"), &[]);
        assert!(words.contains("entry 1: ") && words.contains(fault), "{words}");
        assert!(!words.contains(SECRET) && !words.contains("too-short"), "{words}");
    }
    assert!(!refusal("", &["admin.token=too-short"]).contains("too-short"));
    let twice = format!("{{ id = 'a', algorithm = 'HS256', secret = '{SECRET}' }}");
    let words = refusal(&format!("auth.client_keys = [{twice}, {twice}]"), &[]);
    assert!(words.contains("the id \"a\" twice"), "{words}");
}

#[test]
fn secrets_are_named_and_never_printed() {
    let client = format!("auth.client_keys=[{{id='phones',algorithm='HS256',secret='{SECRET}'}}]");
    let backend = format!("auth.backend_keys=[{{name='billing',key='{API_KEY}'}}]");
    let token = format!("admin.token={API_KEY}");
    let config = parse("", &[&client, &backend, &token]).unwrap();
    let printed = config.print();
    for secret in [SECRET, API_KEY] {
        assert!(!printed.contains(secret) && !format!("{config:?}").contains(secret), "{printed}");
    }
    for named in ["phones", "billing", "# token = (set, not shown)"] {
        assert!(printed.contains(named), "{printed}");
    }
    parse(&printed, &[]).unwrap();
}

#[test]
fn keys_in_files_are_read_beside_the_configuration_and_print_as_their_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("phones.key"), format!("{SECRET}\n")).unwrap();
    std::fs::write(folder.path().join("billing.key"), format!("{API_KEY}\r\n")).unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(
        &file,
        "[auth]\nclient_keys = [{ id = 'a', algorithm = 'HS256', secret_file = 'phones.key' }]\n\
         backend_keys = [{ name = 'b', key_file = 'billing.key' }]\n[admin]\n\
         token_file = 'billing.key'\n",
    )
    .unwrap();
    let config = Config::load(Some(&file), &[]).unwrap();
    assert_eq!(config.auth.client_keys[0].material.secret.expose(), SECRET.as_bytes());
    assert_eq!(config.auth.backend_keys[0].material.secret.expose(), API_KEY.as_bytes());
    assert_eq!(config.admin.token.as_ref().unwrap().expose(), API_KEY.as_bytes());
    assert_eq!(parse(&config.print(), &[]).unwrap(), config);

    std::fs::remove_file(folder.path().join("phones.key")).unwrap();
    let words = Config::load(Some(&file), &[]).unwrap_err().to_string();
    assert!(
        words.contains("auth.client_keys: cannot read") && words.contains("phones.key"),
        "{words}"
    );
}

//! What is measured: a bare server, a gateway or a baseline, alone on core 0, on free ports of
//! loopback.

use std::path::{Path, PathBuf};

use super::Io;
use crate::process::{Running, await_ready, free_port};
use crate::shell::{Result, target};

/// The core of whatever is measured.
const CORE: usize = 0;
/// The secret that login tokens are signed with.
pub(super) const SECRET: &str = "a-secret-of-a-benchmark-and-of-no-gateway";
/// What one shard holds where descriptors are limited to 20,000 a table; the kernel spreads
/// connections over listeners by hash, so a table is never filled to the brim.
const PER_SHARD: u32 = 18_000;

/// A server under measurement.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) process: Running,
    pub(super) language: &'static str,
    pub(super) client_port: u16,
    pub(super) api_ports: Vec<u16>,
    /// Where a gateway says what it counts.
    pub(super) admin: Option<u16>,
    pub(super) signed: bool,
}

/// How many shards hold so many clients.
pub(super) const fn shards_for(clients: u32) -> u32 {
    // What fits in one table needs no room for an uneven spread.
    if clients <= 19_500 { 1 } else { clients.div_ceil(PER_SHARD) }
}

fn binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Subject {
    /// The product of all driven clients.
    pub(super) const PRODUCT: &str = "bench";

    /// The bare server: what the kernel costs.
    pub(super) fn floor(io: Io, clients: u32, watched: bool) -> Result<Self> {
        let (io, shards) = (io.name(), shards_for(clients));
        let mut line = format!("floor serve --io {io} --shards {shards} --core {CORE}");
        if !watched {
            line.push_str(" --unwatched");
        }
        let mut process = Running::start(&binary("holdfast-loadgen"), &words(&line), Some(CORE))?;
        let ports: Vec<u16> =
            process.line()?.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let (client, controls) = ports.split_first().ok_or("the bare server named no port")?;
        let (client_port, api_ports) = (*client, controls.to_vec());
        let language = "bare";
        Ok(Self { process, language, client_port, api_ports, admin: None, signed: false })
    }

    /// The gateway, with login tokens or without, and without a store.
    pub(super) fn gateway(io: Io, clients: u32, signed: bool) -> Result<Self> {
        Self::start(io, clients, signed, None)
    }

    /// The gateway with its store in a folder, which may hold what an earlier one left.
    pub(super) fn gateway_with_store(io: Io, clients: u32, folder: &Path) -> Result<Self> {
        Self::start(io, clients, false, Some(folder))
    }

    fn start(io: Io, clients: u32, signed: bool, store: Option<&Path>) -> Result<Self> {
        let (client_port, api, admin) = (free_port()?, free_port()?, free_port()?);
        let shards = shards_for(clients);
        let mut sets = vec![
            format!("io={}", io.name()),
            format!("shards={shards}"),
            format!("products=[\"{}\"]", Self::PRODUCT),
            format!("client.listen=127.0.0.1:{client_port}"),
            format!("backend.listen=127.0.0.1:{api}"),
            format!("admin.listen=127.0.0.1:{admin}"),
            "log.level=error".to_owned(),
        ];
        match store {
            Some(folder) => {
                sets.push("store.kind=embedded".to_owned());
                sets.push(format!("store.directory={}", folder.display()));
            }
            None => sets.push("store.kind=none".to_owned()),
        }
        if signed {
            let key = format!("id=\"bench\", algorithm=\"HS256\", secret=\"{SECRET}\"");
            sets.push(format!("auth.client_keys=[{{{key}}}]"));
        }
        if shards > 8 {
            // A ring for each pair: thousands of them need not be long.
            sets.push("mesh.capacity=256".to_owned());
        }
        let mut words = vec!["serve".to_owned()];
        words.extend(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]));
        let mut process = Running::start(&binary("holdfast"), &words, Some(CORE))?;
        await_ready(&mut process, admin)?;
        let (language, api_ports, admin) = ("holdfast", vec![api], Some(admin));
        Ok(Self { process, language, client_port, api_ports, admin, signed })
    }

    /// The same push server on a runtime; it says its ports as the bare server does.
    pub(super) fn baseline(runtime: &str) -> Result<Self> {
        let line = format!("--runtime {runtime} --core {CORE}");
        let mut process = Running::start(&binary("holdfast-baselines"), &words(&line), Some(CORE))?;
        let ports: Vec<u16> =
            process.line()?.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [client_port, api] = ports[..] else { return Err("the baseline named no port".into()) };
        let (language, api_ports) = ("holdfast", vec![api]);
        Ok(Self { process, language, client_port, api_ports, admin: None, signed: false })
    }

    /// The driver's program.
    pub(super) fn driver_binary() -> PathBuf {
        binary("holdfast-loadgen")
    }
}

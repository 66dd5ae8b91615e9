//! Reaches the gateway for one command.

use crate::cli::args::Api;
use crate::cli::exit::Failure;
use holdfast_client::{Backend, Options, Pending};

use std::fs;

/// Most bytes of a key file that are looked at; a key is far shorter, and a wrong path should not
/// fill the memory.
const KEY_FILE_BYTES: u64 = 64 << 10;

/// Connects with the options that were typed.
pub(super) fn connect(api: &Api) -> Result<Backend, Failure> {
    let mut options = Options::new(api.api.iter().map(|address| address.trim()));
    options.name.clone_from(&api.name);
    options.key = key(api)?;
    options.timeout = api.timeout;
    options.connect_timeout = api.timeout;
    Ok(Backend::connect(options)?)
}

/// Waits for an answer.
pub(super) fn answer<T>(pending: Result<Pending<T>, holdfast_client::Error>) -> Result<T, Failure> {
    Ok(pending?.wait()?)
}

fn key(api: &Api) -> Result<Vec<u8>, Failure> {
    let Some(path) = &api.key_file else { return Ok(api.key.clone().into_bytes()) };
    let unusable = |why: &str| Failure::usage(format!("the key file {}: {why}", path.display()));
    let length = fs::metadata(path).map_err(|error| unusable(&error.to_string()))?.len();
    if length > KEY_FILE_BYTES {
        return Err(unusable("it is far too long for a key"));
    }
    let mut key = fs::read(path).map_err(|error| unusable(&error.to_string()))?;
    // As the gateway reads its own key files, so that one file serves both.
    key.truncate(key.strip_suffix(b"\n").map_or(key.len(), <[u8]>::len));
    key.truncate(key.strip_suffix(b"\r").map_or(key.len(), <[u8]>::len));
    if key.is_empty() { Err(unusable("it is empty")) } else { Ok(key) }
}

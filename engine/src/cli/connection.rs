//! Reaches the gateway for one command.

use crate::cli::args::Api;
use crate::cli::exit::Failure;
use crate::cli::value::counted;
use holdfast_client::{Backend, Error, ErrorCode, Options, Pending};

use std::fs;

/// Most bytes of a key file that are looked at; a key is far shorter, and a wrong path should not
/// fill the memory.
const KEY_FILE_BYTES: u64 = 64 << 10;

/// Connects with the options that were typed.
pub(super) fn connect(api: &Api) -> Result<Backend, Failure> {
    Ok(Backend::connect(options(api)?)?)
}

/// The options that were typed.
pub(super) fn options(api: &Api) -> Result<Options, Failure> {
    let mut options = Options::new(api.api.iter().map(|address| address.trim()));
    options.name.clone_from(&api.name);
    options.key = key(api)?;
    options.timeout = api.timeout;
    options.connect_timeout = api.timeout;
    Ok(options)
}

/// Waits for an answer.
pub(super) fn answer<T>(pending: Result<Pending<T>, Error>) -> Result<T, Failure> {
    Ok(pending?.wait()?)
}

/// What went wrong with a message, with the limit where it is too long.
pub(super) fn refused(error: Error, backend: &Backend) -> Failure {
    let too_long = error.declined() == Some(ErrorCode::BodyTooLong);
    let failure = Failure::from(error);
    match limit(backend) {
        Some(hint) if too_long => failure.with_hint(hint),
        _ => failure,
    }
}

/// How long a body may be, as advice.
pub(super) fn limit(backend: &Backend) -> Option<String> {
    let longest = backend.welcome()?.body_max;
    Some(format!("at most {}: the gateway's `body_max`", counted(longest.into(), "byte")))
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

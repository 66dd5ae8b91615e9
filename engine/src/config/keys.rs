//! Keys in the configuration: where they come from, and that they are never printed.
//!
//! A key is written into the configuration or named as a file. Files are read once, when the
//! configuration is loaded; one line break at their end is not part of the key.

use super::kind::{Choice, Kind, quoted};
use super::refused::Problem;
use holdfast_protocol::limits::{API_KEY_BYTES, BACKEND_NAME_BYTES};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Bytes that are never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Keeps `bytes` from view.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for who needs them to check or to sign.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_empty() { "(not set)" } else { "(set, not shown)" })
    }
}

/// How the tokens of clients are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: one secret signs and checks.
    Hs256,
    /// Ed25519: the gateway knows the public key alone, and cannot make tokens.
    EdDsa,
}

impl Choice for Algorithm {
    const NAMES: &'static [(&'static str, Self)] =
        &[("HS256", Self::Hs256), ("EdDSA", Self::EdDsa)];
}

impl Algorithm {
    /// Its name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What a key consists of, and the file it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Material {
    /// The file; `None` where the key stands in the configuration itself.
    pub file: Option<PathBuf>,
    /// The key; empty until its file is read.
    pub secret: Secret,
}

/// A key that checks the tokens of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// The `kid` by which a token's header chooses it; 1 to 64 bytes.
    pub id: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// An HS256 secret of at least 32 bytes, or an Ed25519 public key (PEM, or base64url of its 32
    /// bytes).
    pub material: Material,
}

/// A key with which a backend proves its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendKey {
    /// The name in the backend's hello. A name may have several keys.
    pub name: String,
    /// The key, 16 to 256 bytes.
    pub material: Material,
}

/// Shortest HS256 secret, in bytes: as long as the hash, as RFC 7518 demands.
pub const HMAC_SECRET_BYTES: usize = 32;
/// Shortest API key or admin token, in bytes.
pub const API_KEY_BYTES_MIN: usize = 16;
/// Longest id of a client key, in bytes.
pub const KEY_ID_BYTES: usize = 64;

/// A list of [`ClientKey`].
pub(super) struct ClientKeys;

impl Kind<Vec<ClientKey>> for ClientKeys {
    fn read(&self, value: &Value) -> Option<Vec<ClientKey>> {
        entries(value, client_key).ok()
    }

    fn print(&self, keys: &Vec<ClientKey>) -> String {
        print_entries(keys.iter().map(|key| {
            let (algorithm, name) = match key.algorithm {
                Algorithm::Hs256 => ("HS256", "secret"),
                Algorithm::EdDsa => ("EdDSA", "public_key"),
            };
            let head = format!("id = {}, algorithm = \"{algorithm}\"", quoted(&key.id));
            let public = key.algorithm == Algorithm::EdDsa;
            print_entry(&head, name, &key.material, public)
        }))
    }

    fn allowed(&self) -> String {
        "a list of { id, algorithm = \"HS256\", secret or secret_file } and \
         { id, algorithm = \"EdDSA\", public_key or public_key_file }"
            .to_owned()
    }

    fn explain(&self, value: &Value) -> (String, String) {
        explain(entries(value, client_key).err(), <Self as Kind<Vec<ClientKey>>>::allowed(self))
    }
}

/// A list of [`BackendKey`].
pub(super) struct BackendKeys;

impl Kind<Vec<BackendKey>> for BackendKeys {
    fn read(&self, value: &Value) -> Option<Vec<BackendKey>> {
        entries(value, backend_key).ok()
    }

    fn print(&self, keys: &Vec<BackendKey>) -> String {
        print_entries(keys.iter().map(|key| {
            print_entry(&format!("name = {}", quoted(&key.name)), "key", &key.material, false)
        }))
    }

    fn allowed(&self) -> String {
        "a list of { name, key or key_file }".to_owned()
    }

    fn explain(&self, value: &Value) -> (String, String) {
        explain(entries(value, backend_key).err(), <Self as Kind<Vec<BackendKey>>>::allowed(self))
    }
}

/// A text that is never printed; empty means not set.
pub(super) struct Hidden;

impl Kind<Option<Secret>> for Hidden {
    fn read(&self, value: &Value) -> Option<Option<Secret>> {
        let text = value.as_str()?;
        let fits = (API_KEY_BYTES_MIN..=API_KEY_BYTES).contains(&text.len()) || text.is_empty();
        fits.then(|| (!text.is_empty()).then(|| Secret::new(text)))
    }

    fn print(&self, value: &Option<Secret>) -> String {
        if value.is_some() { "(set, not shown)" } else { "(not set)" }.to_owned()
    }

    fn allowed(&self) -> String {
        format!("a text of {API_KEY_BYTES_MIN} to {API_KEY_BYTES} bytes")
    }

    fn explain(&self, _: &Value) -> (String, String) {
        explain(None, self.allowed())
    }

    fn commented(&self) -> bool {
        true
    }
}

/// The path of a file; empty means none.
pub(super) struct File;

impl Kind<Option<PathBuf>> for File {
    fn read(&self, value: &Value) -> Option<Option<PathBuf>> {
        let text = value.as_str()?;
        Some((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn print(&self, value: &Option<PathBuf>) -> String {
        quoted(&value.as_deref().unwrap_or(Path::new("")).to_string_lossy())
    }

    fn allowed(&self) -> String {
        "the path of a file".to_owned()
    }
}

fn explain(fault: Option<String>, allowed: String) -> (String, String) {
    let allowed = match fault {
        Some(fault) => format!("{allowed}; {fault}"),
        None => allowed,
    };
    ("(not shown)".to_owned(), allowed)
}

fn print_entries(entries: impl Iterator<Item = String>) -> String {
    let lines: Vec<_> = entries.map(|entry| format!("  {entry}\n")).collect();
    if lines.is_empty() { "[]".to_owned() } else { format!("[\n{}]", lines.concat()) }
}

/// One key; as a comment where only its secret could bring it back.
fn print_entry(head: &str, name: &str, material: &Material, public: bool) -> String {
    match &material.file {
        Some(file) => {
            let path = quoted(&file.to_string_lossy());
            format!("{{ {head}, {name}_file = {path} }},")
        }
        None if public => {
            let text = quoted(&String::from_utf8_lossy(material.secret.expose()));
            format!("{{ {head}, {name} = {text} }},")
        }
        None => format!("# {{ {head}, {name} = (set, not shown) }},"),
    }
}

/// Reads each table of a list, and says which is wrong.
fn entries<T>(value: &Value, read: fn(&Table) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items = value.as_array().ok_or("it is not a list")?;
    let entry = |(index, item): (usize, &Value)| {
        let table = item.as_table().ok_or_else(|| "it is not a table".to_owned());
        table.and_then(read).map_err(|fault| format!("entry {}: {fault}", index + 1))
    };
    items.iter().enumerate().map(entry).collect()
}

fn client_key(table: &Table) -> Result<ClientKey, String> {
    let algorithm = table.get("algorithm").ok_or("algorithm is missing")?;
    let algorithm = <super::kind::OneOf as Kind<Algorithm>>::read(&super::kind::OneOf, algorithm)
        .ok_or("algorithm must be \"HS256\" or \"EdDSA\"")?;
    let (name, file, bounds) = match algorithm {
        Algorithm::Hs256 => ("secret", "secret_file", (HMAC_SECRET_BYTES, 4096)),
        Algorithm::EdDsa => ("public_key", "public_key_file", (1, 4096)),
    };
    only(table, &["id", "algorithm", name, file])?;
    let id = text(table, "id", KEY_ID_BYTES)?;
    Ok(ClientKey { id, algorithm, material: material(table, name, file, bounds)? })
}

fn backend_key(table: &Table) -> Result<BackendKey, String> {
    only(table, &["name", "key", "key_file"])?;
    let name = text(table, "name", BACKEND_NAME_BYTES)?;
    let material = material(table, "key", "key_file", (API_KEY_BYTES_MIN, API_KEY_BYTES))?;
    Ok(BackendKey { name, material })
}

fn only(table: &Table, allowed: &[&str]) -> Result<(), String> {
    let unknown = table.keys().find(|key| !allowed.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| {
        Err(format!("{key} is not a field of it; those are {}", allowed.join(", ")))
    })
}

fn text(table: &Table, name: &str, longest: usize) -> Result<String, String> {
    let text = table.get(name).and_then(Value::as_str);
    let text = text.filter(|text| (1..=longest).contains(&text.len()));
    text.map(str::to_owned).ok_or_else(|| format!("{name} must be a text of 1 to {longest} bytes"))
}

/// The key from the field `name` or from the file that `file` names; exactly one of them.
fn material(
    table: &Table,
    name: &str,
    file: &str,
    bounds: (usize, usize),
) -> Result<Material, String> {
    match (table.get(name), table.get(file)) {
        (Some(Value::String(text)), None) => {
            let secret = Secret::new(text.as_str());
            within(&secret, name, bounds)?;
            Ok(Material { file: None, secret })
        }
        (None, Some(Value::String(path))) if !path.is_empty() => {
            Ok(Material { file: Some(path.into()), secret: Secret::default() })
        }
        _ => Err(format!("either {name} or {file} must be set, to a text")),
    }
}

fn within(secret: &Secret, name: &str, (low, high): (usize, usize)) -> Result<(), String> {
    let length = secret.0.len();
    let fits = (low..=high).contains(&length);
    fits.then_some(())
        .ok_or_else(|| format!("{name} must have {low} to {high} bytes, not {length}"))
}

/// Reads the file of `material`, if it has one. A path that is not absolute starts at `folder`.
pub(super) fn load(
    material: &mut Material,
    key: &str,
    bounds: (usize, usize),
    folder: &Path,
) -> Result<(), Problem> {
    let Some(file) = &mut material.file else { return Ok(()) };
    *file = folder.join(&*file);
    let bytes = std::fs::read(&*file).map_err(|error| Problem::Unreadable {
        key: key.to_owned(),
        path: file.clone(),
        error: error.to_string(),
    })?;
    let trimmed = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    material.secret = Secret::new(trimmed.strip_suffix(b"\r").unwrap_or(trimmed));
    within(&material.secret, &file.display().to_string(), bounds)
        .map_err(|fault| Problem::Conflict(format!("{key}: {fault}")))
}

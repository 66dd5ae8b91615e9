//! The configuration: a TOML file, changed by `--set key=value`, becomes one checked [`Config`].
//!
//! Nothing is guessed: a key that does not exist, a value out of bounds and settings that do not
//! go together are refused, all at once, each with what is allowed. A [`Config`] from
//! [`Config::load`] holds every key that it names a file for; nothing is read later.
//!
//! Map: [`sections`] declares the settings, [`kind`] says what values are, [`keys`] holds secrets,
//! `check` knows which settings go together, [`manual`] is
//! the page of all of them, `source` finds the lines of settings, [`refused`]
//! speaks to the operator.

mod check;
pub mod keys;
pub(crate) mod kind;
pub mod manual;
mod products;
pub mod refused;
pub(crate) mod schema;
pub mod sections;
mod source;

pub use keys::{Algorithm, BackendKey, ClientKey, Material, Secret};
pub use refused::{Problem, Refused};
pub use sections::{
    Admin, Auth, Backend, Broadcast, Client, Config, Drain, IoChoice, Log, LogFormat, Mesh, Pin,
    Socket,
};

use schema::Setting;
use source::Source;
use std::fmt::Write as _;
use std::path::Path;
use toml::{Table, Value};

/// The sections in the order in which they are printed: name, what it is about, its settings.
const SECTIONS: &[(&str, &[Setting])] = &[
    ("", sections::TOP),
    ("client", sections::CLIENT),
    ("backend", sections::BACKEND),
    ("admin", sections::ADMIN),
    ("auth", sections::AUTH),
    ("store", sections::STORE),
    ("redis", sections::REDIS),
    ("mailbox", sections::MAILBOX),
    ("broadcast", sections::BROADCAST),
    ("mesh", sections::MESH),
    ("drain", sections::DRAIN),
    ("socket", sections::SOCKET),
    ("log", sections::LOG),
];

impl Config {
    /// Reads the file, if one is named, then each `key=value` in order, and checks the whole.
    ///
    /// # Errors
    /// Every reason why this configuration is refused.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Self, Refused> {
        let text = file.map(std::fs::read_to_string).transpose();
        let text = text.map_err(|error| {
            let path = file.unwrap_or(Path::new("")).to_owned();
            Refused(vec![Problem::Unreadable {
                key: String::new(),
                path,
                error: error.to_string(),
            }])
        })?;
        let place = file.map_or_else(String::new, |path| path.display().to_string());
        let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
        Self::parse(&place, text.as_deref().unwrap_or(""), sets, folder)
    }

    /// As [`Config::load`], of a text. `place` names the text in messages; files that the text
    /// names are looked for in `folder`.
    ///
    /// # Errors
    /// Every reason why this configuration is refused.
    pub fn parse(place: &str, text: &str, sets: &[String], folder: &Path) -> Result<Self, Refused> {
        let mut config = Self::default();
        let mut problems = Vec::new();
        match text.parse::<Table>() {
            Ok(table) => config.apply(&table, "", &Source::new(place, text), &mut problems),
            Err(error) => {
                let (place, error) = (place.to_owned(), format!("not TOML: {error}"));
                problems.push(Problem::Syntax { place, error });
            }
        }
        for set in sets {
            match split_set(set) {
                Some((key, value)) => {
                    problems.extend(config.assign(key, &value, || "--set".to_owned()));
                }
                None => problems.push(Problem::Syntax {
                    place: format!("--set {set}"),
                    error: "it must be key=value, such as client.listen=127.0.0.1:7500".to_owned(),
                }),
            }
        }
        config.load_keys(folder, &mut problems);
        if problems.is_empty() {
            config.check(&mut problems);
        }
        if problems.is_empty() { Ok(config) } else { Err(Refused(problems)) }
    }

    /// The configuration in force, as TOML with every setting, its meaning, unit and bounds, and
    /// its default where that is not in force. Reading it gives the same configuration, but for
    /// secrets, which are named and not shown.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for (name, settings) in SECTIONS {
            if !name.is_empty() {
                let _ = writeln!(out, "\n[{name}]");
            }
            for (index, setting) in settings.iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                self.print_setting(setting, &mut out);
            }
        }
        out
    }

    fn print_setting(&self, setting: &Setting, out: &mut String) {
        for line in setting.about {
            let _ = writeln!(out, "#{line}");
        }
        comment(&format!("Allowed: {}.", (setting.allowed)()), out);
        let (value, commented) = (setting.print)(self);
        let (default, _) = (setting.print)(&Self::default());
        if value != default {
            let _ = writeln!(out, "# Default: {default}");
        }
        let short = setting.key.rsplit('.').next().unwrap_or(setting.key);
        let _ = writeln!(out, "{}{short} = {value}", if commented { "# " } else { "" });
    }

    /// Applies every setting of a table whose keys start with `prefix`.
    fn apply(
        &mut self,
        table: &Table,
        prefix: &str,
        source: &Source<'_>,
        problems: &mut Vec<Problem>,
    ) {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            match value {
                Value::Table(inner) if is_section(&key) => {
                    self.apply(inner, &format!("{key}."), source, problems);
                }
                _ => problems.extend(self.assign(&key, value, || source.place_of(&key))),
            }
        }
    }

    /// Sets one setting; `place` says where it was written, should it be refused.
    fn assign(
        &mut self,
        key: &str,
        value: &Value,
        place: impl FnOnce() -> String,
    ) -> Option<Problem> {
        let Some(setting) = settings().find(|setting| setting.key == key) else {
            let near = near(key);
            return Some(Problem::UnknownKey { place: place(), key: key.to_owned(), near });
        };
        if (setting.set)(self, value) {
            return None;
        }
        let (value, allowed) = (setting.explain)(value);
        Some(Problem::WrongValue { place: place(), key: key.to_owned(), value, allowed })
    }
}

/// Writes a comment in lines of at most 100 letters.
fn comment(text: &str, out: &mut String) {
    let mut width = usize::MAX;
    for word in text.split(' ') {
        if width.saturating_add(word.len()) >= 100 {
            out.push_str(if width == usize::MAX { "#" } else { "\n#" });
            width = 1;
        }
        out.push(' ');
        out.push_str(word);
        width += 1 + word.len();
    }
    out.push('\n');
}

fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|(_, settings)| settings.iter())
}

fn is_section(key: &str) -> bool {
    !key.is_empty() && SECTIONS.iter().any(|(name, _)| *name == key)
}

/// Splits `key=value`. What is no TOML value is taken as a text, so that a shell needs no quotes.
fn split_set(set: &str) -> Option<(&str, Value)> {
    let (key, value) = set.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let parsed = format!("value = {value}").parse::<Table>().ok();
    let parsed = parsed.filter(|table| table.len() == 1).and_then(|mut t| t.remove("value"));
    (!key.is_empty()).then(|| (key, parsed.unwrap_or_else(|| Value::from(value))))
}

/// The setting that was probably meant: the same name in another section, or one like it.
fn near(key: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or("").to_owned();
    let elsewhere = settings().find(|setting| last(setting.key) == last(key));
    let like = || {
        let scored = settings().map(|setting| (strsim::jaro_winkler(setting.key, key), setting));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 > 0.85).then_some(best.1)
    };
    elsewhere.or_else(like).map(|setting| setting.key.to_owned())
}

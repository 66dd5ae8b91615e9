//! Where in a configuration file a setting stands, for who has to correct it.
//!
//! The file is read a second time for it, and only when something in it is refused.

use toml::de::{DeTable, DeValue};

/// The text of a configuration file with its name.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) const fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text }
    }

    /// The name of the file, with the line of `key` where it is found.
    pub(super) fn place_of(&self, key: &str) -> String {
        let (name, line) = (self.name, self.line_of(key));
        line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"))
    }

    fn line_of(&self, key: &str) -> Option<usize> {
        let parsed = DeTable::parse(self.text).ok()?;
        let mut table = parsed.get_ref();
        let mut rest = key;
        // A key in quotes may have a point in it, so the longest name that fits goes first.
        loop {
            let whole = table.iter().find(|(name, _)| name.get_ref() == rest);
            if let Some((name, _)) = whole {
                let before = self.text.get(..name.span().start)?;
                return Some(before.matches('\n').count() + 1);
            }
            let (section, inner) = rest.split_once('.')?;
            let (_, value) = table.iter().find(|(name, _)| name.get_ref() == section)?;
            let DeValue::Table(next) = value.get_ref() else { return None };
            (table, rest) = (next, inner);
        }
    }
}

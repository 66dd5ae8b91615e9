//! One table of a scenario file: its keys are asked for by name, and what is wrong with them goes
//! to the source with its place.

use super::kinds::Kind;
use super::source::Source;
use crate::scenario::alike::meant;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table.
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    /// What people call it.
    name: String,
    /// Where it begins.
    at: usize,
    entries: &'a DeTable<'a>,
}

/// The place of a table.
pub(super) struct Mark<'a> {
    source: &'a Source<'a>,
    at: usize,
}

impl Mark<'_> {
    /// Keeps what is wrong there.
    pub(super) fn wrong(&self, what: impl Into<String>) {
        self.source.problem(self.at, what);
    }
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn whole(source: &'a Source<'a>, entries: &'a DeTable<'a>) -> Self {
        Self { source, name: "a scenario file".to_owned(), at: 0, entries }
    }

    /// The same under another name, for people.
    pub(super) fn called(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Whether it has no key at all.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The value of a key; `None` where it is not there, or wrong, which is kept.
    pub(super) fn get<T>(&self, key: &str, kind: &Kind<T>) -> Option<T> {
        let (_, value) = self.entry(key)?;
        let read = kind.read(value.get_ref());
        if read.is_none() {
            self.refuse(key, value.span(), &kind.allowed);
        }
        read
    }

    /// The same for a key that must be there.
    pub(super) fn need<T>(&self, key: &str, kind: &Kind<T>) -> Option<T> {
        if !self.has(key) {
            let allowed = &kind.allowed;
            self.wrong(format!("{} needs {key}; allowed: {allowed}", self.name));
        }
        self.get(key, kind)
    }

    /// The table under a key.
    pub(super) fn table(&self, key: &str) -> Option<Self> {
        let (_, value) = self.entry(key)?;
        let table = self.inner(value, format!("[{key}]"));
        if table.is_none() {
            self.refuse(key, value.span(), &format!("a table: [{key}]"));
        }
        table
    }

    /// The tables of the list under a key.
    pub(super) fn tables(&self, key: &str) -> Vec<Self> {
        let Some((_, value)) = self.entry(key) else { return Vec::new() };
        let inner = |one| self.inner(one, format!("[[{key}]]"));
        let list = value.get_ref().as_array();
        let tables = list.and_then(|list| list.iter().map(inner).collect::<Option<Vec<_>>>());
        tables.unwrap_or_else(|| {
            self.refuse(key, value.span(), &format!("tables, each under [[{key}]]"));
            Vec::new()
        })
    }

    /// Refuses every key that is not one of `known`.
    pub(super) fn only(&self, known: &[&str]) {
        self.only_or(known, super::home);
    }

    /// The same, where `home` says of a key what has it instead.
    pub(super) fn only_or(&self, known: &[&str], home: impl Fn(&str) -> Option<String>) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !known.contains(&&**key.get_ref())) {
            let meant = meant(key.get_ref(), known.iter().copied());
            let meant = meant.map(|one| format!("; did you mean {one}?"));
            let home = || Some(format!("; it belongs in {};", home(key.get_ref())?));
            let meant = meant.or_else(home).unwrap_or_default();
            let (written, name, allowed) = (key.get_ref(), &self.name, known.join(", "));
            let end = if meant.is_empty() { ";" } else { "" };
            let what = format!("{written}: no such key in {name}{meant}{end} allowed: {allowed}");
            self.source.problem(key.span().start, what);
        }
    }

    /// Keeps what is wrong with a key, or with the table if it is not there.
    pub(super) fn wrong_at(&self, key: &str, what: impl Into<String>) {
        let at = self.entry(key).map_or(self.at, |(key, _)| key.span().start);
        self.source.problem(at, what);
    }

    /// Keeps what is wrong with the whole table.
    pub(super) fn wrong(&self, what: impl Into<String>) {
        self.source.problem(self.at, what);
    }

    /// The place of the table, for what is found out later.
    pub(super) const fn mark(&self) -> Mark<'a> {
        Mark { source: self.source, at: self.at }
    }

    fn refuse(&self, key: &str, span: Range<usize>, allowed: &str) {
        let at = span.start;
        let written = self.source.written(span);
        self.source.problem(at, format!("{key} = {written} is not allowed; allowed: {allowed}"));
    }

    fn inner(&self, value: &'a Spanned<DeValue<'a>>, name: String) -> Option<Self> {
        let entries = value.get_ref().as_table()?;
        Some(Self { source: self.source, name, at: value.span().start, entries })
    }

    fn entry(
        &self,
        key: &str,
    ) -> Option<(&'a Spanned<toml::de::DeString<'a>>, &'a Spanned<DeValue<'a>>)> {
        self.entries.iter().find(|(name, _)| name.get_ref() == key)
    }
}

//! A store that outlives the gateways of a claim.

use super::{Gateway, Which};
use tempfile::TempDir;

/// A store, which goes with this.
#[derive(Debug)]
pub(crate) enum Store {
    /// A directory.
    Embedded(TempDir),
}

impl Store {
    /// An empty directory.
    pub(crate) fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().expect("a directory for temporary files"))
    }

    /// The settings with which a gateway uses it.
    pub(crate) fn settings(&self) -> Vec<String> {
        match self {
            Self::Embedded(directory) => vec![
                "store.kind=embedded".to_owned(),
                format!("store.directory={}", directory.path().display()),
            ],
        }
    }

    /// A gateway in this process that uses it.
    #[track_caller]
    pub(crate) fn gateway(&self, io: Which, changes: &[&str]) -> Gateway {
        let own = self.settings();
        let all: Vec<&str> =
            own.iter().map(String::as_str).chain(changes.iter().copied()).collect();
        Gateway::start(io, &all)
    }
}

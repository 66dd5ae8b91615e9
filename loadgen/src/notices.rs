//! What a person is to be told at once while a run goes on: who notices something says it here, and
//! who shows the run takes it from here, to a line or to the view.

use std::sync::{Arc, Mutex, PoisonError};

/// Sentences of one line each, oldest first. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notices(Arc<Mutex<Vec<String>>>);

impl Notices {
    /// One more, to be shown as soon as somebody looks.
    pub(crate) fn say(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// Those that nobody took so far.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

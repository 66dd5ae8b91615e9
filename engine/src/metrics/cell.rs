//! Numbers with one writer and any number of readers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// `N` numbers that one thread changes.
#[derive(Debug)]
pub(super) struct Cells<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Cells<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Cells<N> {
    /// Adds `n`. Load and store are apart, since nobody else writes.
    pub(super) fn add(&self, index: usize, n: u64) {
        let cell = &self.0[index];
        cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes one away; at 0 it stays there, so that a reader never sees a huge number.
    pub(super) fn subtract_one(&self, index: usize) {
        let cell = &self.0[index];
        debug_assert!(cell.load(Relaxed) > 0, "cell {index} is at 0");
        cell.store(cell.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// Adds `n` to the cell that stands for `value` in the list `all`.
    pub(super) fn add_at<T: PartialEq>(&self, all: &[T], value: &T, n: u64) {
        debug_assert_eq!(all.len(), N, "a cell for each value");
        // The lists are short, and what they count is rare beside a frame.
        let index = all.iter().position(|each| each == value);
        debug_assert!(index.is_some(), "what is counted has a cell");
        if let Some(index) = index {
            self.add(index, n);
        }
    }

    pub(super) fn set(&self, index: usize, value: u64) {
        self.0[index].store(value, Relaxed);
    }

    pub(super) fn get(&self, index: usize) -> u64 {
        self.0[index].load(Relaxed)
    }

    /// Every number, in the order of the cells.
    pub(super) fn values(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|cell| cell.load(Relaxed))
    }
}

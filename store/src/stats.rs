//! Numbers of an embedded store, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The numbers at one moment. Those that only grow are counted from the store's start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Figures { $($(#[$doc])* pub $name: u64,)* }

        /// The numbers as the store's threads change them.
        #[derive(Debug, Default)]
        pub struct Stats { $($name: AtomicU64,)* }

        impl Stats {
            /// The numbers now.
            pub fn read(&self) -> Figures {
                Figures { $($name: self.$name.load(Relaxed),)* }
            }

            $(
                #[doc = concat!("Adds to `", stringify!($name), "`.")]
                #[allow(dead_code, reason = "not every number is both set and added to")]
                pub(crate) fn $name(&self, more: u64) {
                    self.$name.fetch_add(more, Relaxed);
                }
            )*
        }
    };
}

figures! {
    /// Bytes of all segments on disk, and of files that are kept for those to come.
    disk_bytes,
    /// Segments on disk.
    segments,
    /// Records that shards still need.
    live,
    /// The bytes that all that is still needed would take if it were written again.
    needed_bytes,
    /// The oldest segment's number.
    oldest,
    /// Messages and broadcasts written.
    appended,
    /// Bytes written.
    written_bytes,
    /// Groups synced.
    syncs,
    /// Microseconds that writing and syncing them took, all together.
    sync_micros,
    /// Of these the longest.
    sync_micros_most,
    /// Batches answered with failure.
    failed,
    /// Unanswered commands that wait for the store to be well.
    waiting,
    /// Unanswered commands given up because too many waited.
    dropped,
    /// Records copied so that their segment could go.
    moved,
    /// Records that were damaged or gone when they were needed.
    skipped,
    /// Messages whose time to live ended while the process was down, less those of which somebody
    /// wants a receipt: shards get those, and say that they have expired.
    expired,
    /// 0 while the store is well, 1 while it is full, 2 while it is down.
    trouble,
}

impl Stats {
    pub(crate) fn set_log(&self, figures: &Figures) {
        self.disk_bytes.store(figures.disk_bytes, Relaxed);
        self.segments.store(figures.segments, Relaxed);
        self.live.store(figures.live, Relaxed);
        self.needed_bytes.store(figures.needed_bytes, Relaxed);
        self.oldest.store(figures.oldest, Relaxed);
        self.waiting.store(figures.waiting, Relaxed);
        self.trouble.store(figures.trouble, Relaxed);
    }

    pub(crate) fn synced(&self, micros: u64) {
        self.syncs.fetch_add(1, Relaxed);
        self.sync_micros.fetch_add(micros, Relaxed);
        self.sync_micros_most.fetch_max(micros, Relaxed);
    }

    /// The oldest segment that is still there.
    pub(crate) fn oldest_segment(&self) -> u32 {
        u32::try_from(self.oldest.load(Relaxed)).unwrap_or(u32::MAX)
    }
}

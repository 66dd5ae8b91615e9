//! What the store counts, and how it is read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The numbers at one moment, counted from the store's start but for those that say "now".
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Numbers { $($(#[$doc])* pub $name: u64,)* }

        /// The numbers as the store's thread changes them; anybody may read them.
        #[derive(Debug, Default)]
        pub struct Counters { $(pub(super) $name: AtomicU64,)* }

        impl Counters {
            /// The numbers now. Each is whole; two may be of different moments.
            pub fn read(&self) -> Numbers {
                Numbers { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

numbers! {
    /// Commands with an answer that are safe.
    appended,
    /// Batches taken.
    batches,
    /// Batches answered with [`crate::Event::Failed`].
    failed,
    /// Mailboxes opened.
    opened,
    /// Bodies loaded.
    loaded,
    /// Questions that could not be answered.
    unanswered,
    /// Commands refused because another process had given a greater sequence.
    overtaken,
    /// Commands without an answer that wait to be tried again, now.
    owed,
    /// Such commands that were given up because too many waited.
    dropped,
    /// How often it began to fail as a whole.
    troubles,
    /// 0 while the store is well, 1 while it is full, 2 while it is down, now.
    trouble,
    /// Commands sent to servers.
    commands,
    /// Commands that servers answered with an error, or not at all.
    errors,
    /// Commands on their way, now.
    in_flight,
    /// Connections made.
    connections,
    /// Connections that failed, or could not be made.
    connections_lost,
    /// 1 while another process has this host's number too, now.
    namesake,
    /// Primaries that are known not to serve, now.
    away,
    /// How often a primary was found not to serve.
    aways,
    /// How often replicas or disks did not confirm a write in time.
    waits_failed,
    /// Batches of writes carried out, well or not.
    writes,
    /// Microseconds that they took, waiting for replicas included, all together.
    write_micros,
    /// Of these the longest.
    write_micros_most,
    /// Mailboxes that were looked at because a message had gone out of date.
    looks,
}

impl Counters {
    /// A batch of writes took so long.
    pub(super) fn wrote(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.writes.fetch_add(1, Relaxed);
        self.write_micros.fetch_add(micros, Relaxed);
        self.write_micros_most.fetch_max(micros, Relaxed);
    }
}

/// One more, or several.
pub(super) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Relaxed);
}

/// So many fewer.
pub(super) fn discount(counter: &AtomicU64, less: usize) {
    counter.fetch_sub(less as u64, Relaxed);
}

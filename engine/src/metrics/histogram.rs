//! Distributions with buckets at the powers of two: a value finds its bucket by its highest bit.
//!
//! A factor of two is coarse, and enough to see that a turn takes milliseconds instead of
//! microseconds. The load generator measures what must be known more finely.

use super::cell::Cells;

/// Buckets of every histogram: up to 2^0, 2^1, … 2^22, and above (4.2 s in microseconds).
pub(super) const BUCKETS: usize = 24;

/// What is distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histogram {
    /// Microseconds that a turn took, without its wait.
    Turn,
    /// Frames that left in one send.
    FramesPerSend,
    /// Microseconds from reading a request of a backend to queueing its answer.
    Request,
    /// Microseconds from sending a batch to the store to its answer.
    StoreCommit,
    /// Bytes of the body of a push to one user.
    PushBody,
}

impl Histogram {
    /// Every histogram, in the order of its numbers.
    pub const ALL: &'static [Self] =
        &[Self::Turn, Self::FramesPerSend, Self::Request, Self::StoreCommit, Self::PushBody];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn_duration",
            Self::FramesPerSend => "frames_per_send",
            Self::Request => "request_duration",
            Self::StoreCommit => "store_commit_duration",
            Self::PushBody => "push_body",
        }
    }

    pub(super) const fn help(self) -> &'static str {
        match self {
            Self::Turn => "How long a turn of the loop took, without its wait.",
            Self::FramesPerSend => "Frames that left in one send.",
            Self::Request => "From reading a request of a backend to queueing its answer.",
            Self::StoreCommit => "From sending a batch to the store to hearing that it is safe.",
            Self::PushBody => "Bytes of the body of a push to one user.",
        }
    }

    /// Whether values are bytes.
    pub(super) const fn is_size(self) -> bool {
        matches!(self, Self::PushBody)
    }

    /// Whether values are microseconds, which are shown as seconds.
    pub(super) const fn is_time(self) -> bool {
        matches!(self, Self::Turn | Self::Request | Self::StoreCommit)
    }
}

/// The numbers of one histogram.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    buckets: Cells<BUCKETS>,
    sum: Cells<1>,
}

impl Buckets {
    pub(super) fn observe(&self, value: u64) {
        self.buckets.add(bucket(value), 1);
        self.sum.add(0, value);
    }

    /// Upper bounds with how many values lie in each bucket, and the sum of all values.
    pub(super) fn read(&self) -> (Vec<(f64, u64)>, u64) {
        let bounds = (0..BUCKETS).map(|index| {
            if index + 1 == BUCKETS { f64::INFINITY } else { f64::from(1_u32 << index) }
        });
        (bounds.zip(self.buckets.values()).collect(), self.sum.get(0))
    }
}

/// The first bucket whose bound, 2^index, is not below `value`.
const fn bucket(value: u64) -> usize {
    let bits = if value <= 1 { 0 } else { u64::BITS - (value - 1).leading_zeros() };
    let index = bits as usize;
    if index < BUCKETS { index } else { BUCKETS - 1 }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bucket};

    #[test]
    fn a_value_is_at_most_the_bound_of_its_bucket_and_above_the_one_below() {
        for value in (0..5_000).chain([1 << 21, (1 << 21) + 1, 1 << 22]) {
            let index = bucket(value);
            assert!(value <= 1 << index, "{value} in {index}");
            assert!(index == 0 || value > 1 << (index - 1), "{value} in {index}");
        }
    }

    #[test]
    fn what_is_too_large_goes_into_the_last() {
        assert_eq!(bucket((1 << 22) + 1), BUCKETS - 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}

//! Latencies on their way to another host: the `HdrHistogram` V2 format, in base64.
//!
//! It keeps the count of every bucket, so a sum of what several hosts counted has the percentiles
//! of one histogram that got all the values. What comes from elsewhere is bounded before memory is
//! given for it.

use super::{DIGITS, Latency};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the format begins with.
const COOKIE: u32 = 0x1c84_9313;
/// Cookie, length, offset, digits, lowest, highest, ratio.
const HEAD_BYTES: usize = 40;
/// The highest value that a histogram of ours grows to hold, with room; microseconds.
const HIGHEST: u64 = 1 << 31;
/// Longest histogram in bytes: every bucket up to the highest value has a count of nine bytes.
const BYTES: usize = 512 << 10;
/// Most phases of a plan, each with a histogram.
const STEPS: usize = 256;

impl Latency {
    /// The histogram in the V2 format.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It fails only where its output does, and a vector does not.
        let _ = V2Serializer::new().serialize(&self.0, &mut bytes);
        bytes
    }

    /// Reads one of ours, of any host.
    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let fits = bytes.len() <= BYTES && Head::read(bytes)?.is_ours(bytes.len());
        let read = Deserializer::new();
        let counted: Histogram<u64> =
            fits.then_some(read).and_then(|mut read| read.deserialize(&mut &*bytes).ok())?;
        let mut latency = Self::new();
        latency.0.add(&counted).ok()?;
        Some(latency)
    }
}

/// What a histogram says of itself before its counts.
struct Head {
    cookie: u32,
    length: usize,
    digits: u32,
    low: u64,
    high: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let four = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let eight = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Self {
            cookie: four(0)?,
            length: usize::try_from(four(4)?).ok()?,
            digits: four(12)?,
            low: eight(16)?,
            high: eight(24)?,
        })
    }

    fn is_ours(&self, bytes: usize) -> bool {
        let whole = self.length.checked_add(HEAD_BYTES) == Some(bytes);
        let bounds = self.low == 1 && (2..=HIGHEST).contains(&self.high);
        self.cookie == COOKIE && whole && self.digits == u32::from(DIGITS) && bounds
    }
}

impl Serialize for Latency {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&BASE64.encode(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Latency;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a histogram of latencies")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Latency, E> {
                let bytes = BASE64.decode(text).ok();
                let latency = bytes.and_then(|bytes| Latency::of_bytes(&bytes));
                latency.ok_or_else(|| E::custom("not a histogram of latencies"))
            }
        }
        from.deserialize_str(Text)
    }
}

/// Reads the histograms of the steps of a plan.
pub(super) fn few<'de, D>(from: D) -> Result<Vec<Latency>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Latency>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(out, "at most {STEPS} histograms")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<Latency>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = from.next_element()? {
                if all.len() == STEPS {
                    return Err(A::Error::custom("too many histograms"));
                }
                all.push(one);
            }
            Ok(all)
        }
    }
    from.deserialize_seq(Few)
}

#[cfg(test)]
mod tests {
    use super::super::Tally;
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Latency {
        let mut latency = Latency::new();
        for us in values {
            latency.record(us * 1_000);
        }
        latency
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_sum_of_what_hosts_sent_is_one_histogram_that_got_all_values(
            hosts in prop::collection::vec(prop::collection::vec(0..700_000_000_u64, 0..80), 1..5)
        ) {
            let all: Vec<u64> = hosts.concat();
            let mut sum = Latency::new();
            for values in &hosts {
                sum.add(&Latency::of_bytes(&of(values).to_bytes()).unwrap());
            }
            let direct = of(&all);
            prop_assert_eq!(sum.summary(), direct.summary());
            prop_assert_eq!(sum.distribution(), direct.distribution());
            for share in 0..=100 {
                let share = f64::from(share) / 1e2;
                prop_assert_eq!(sum.quantile(share), direct.quantile(share));
            }
        }

        #[test]
        fn damaged_histograms_are_refused_or_read_and_nothing_else(
            values in prop::collection::vec(1..1_000_000_u64, 0..40),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = of(&values).to_bytes();
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let _ = Latency::of_bytes(&bytes);
            let _ = Latency::of_bytes(&bytes[..cut.index(bytes.len())]);
        }
    }

    #[test]
    fn a_histogram_that_would_take_much_memory_is_refused() {
        let good = of(&[1, 5_000]).to_bytes();
        assert!(Latency::of_bytes(&good).is_some());
        for (place, byte) in [(4, 0xff), (15, 5), (24, 0x7f), (23, 2), (0, 0)] {
            let mut bytes = good.clone();
            bytes[place] = byte;
            assert!(Latency::of_bytes(&bytes).is_none(), "byte {place}");
        }
    }

    #[test]
    fn a_tally_comes_back_as_it_was_and_adds_up() {
        let mut tally = Tally::new();
        tally.deliveries = 7;
        tally.push.record(5_000);
        tally.in_step(2).record(9_000);
        tally.reason("reset");
        let text = serde_json::to_string(&tally).unwrap();
        let mut back: Tally = serde_json::from_str(&text).unwrap();
        back.add(&tally);
        assert_eq!((back.deliveries, back.push.count(), back.steps.len()), (14, 2, 3));
        assert_eq!(back.reasons.get("reset"), Some(&2));
        let many = format!("\"steps\":[{}\"\"]", "\"\",".repeat(300));
        let text = text.replace(&text[text.find("\"steps\"").unwrap()..], &many) + "}";
        assert!(serde_json::from_str::<Tally>(&text).is_err());
    }
}

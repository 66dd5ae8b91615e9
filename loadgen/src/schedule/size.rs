//! How long bodies are.

use super::chance;
use crate::verify::body;
use holdfast_protocol::limits::BODY_BYTES_CEILING;
use std::fmt;
use std::str::FromStr;

/// A distribution of body sizes, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Sizes {
    /// At least one.
    parts: Vec<Part>,
}

/// Every size from the first to the last, each as likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    low: usize,
    high: usize,
    /// How often, against the other parts; not 0.
    weight: u32,
}

impl Sizes {
    /// Every size from `low` to `high`, each as likely.
    #[cfg(test)]
    pub(crate) fn uniform(low: usize, high: usize) -> Self {
        Self { parts: vec![Part { low, high, weight: 1 }] }
    }

    /// From the first size to the second as often, against the others, as the third says; what is
    /// never chosen, or no body could have, is left out or moved.
    pub(crate) fn of(parts: impl Iterator<Item = (u64, u64, u64)>) -> Self {
        let size = |bytes: u64| {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            bytes.clamp(body::HEADER_BYTES, BODY_BYTES_CEILING)
        };
        // All weights together must be a number that chance can draw from.
        let weight = |weight: u64| u32::try_from(weight).unwrap_or(u32::MAX >> 5);
        let chosen = parts.filter(|(.., weight)| *weight > 0);
        let part = |(low, high, of)| Part { low: size(low), high: size(high), weight: weight(of) };
        let parts: Vec<Part> = chosen.map(part).collect();
        let none = Part { low: body::HEADER_BYTES, high: body::HEADER_BYTES, weight: 1 };
        Self { parts: if parts.is_empty() { vec![none] } else { parts } }
    }

    /// The size that `hash` chooses.
    pub(crate) fn pick(&self, hash: u64) -> usize {
        let [part] = self.parts[..] else {
            let total = self.parts.iter().fold(0_u32, |sum, part| sum.saturating_add(part.weight));
            let mut drawn = chance::below(total, hash);
            let chosen = self.parts.iter().find(|part| {
                let here = drawn < part.weight;
                drawn = drawn.saturating_sub(part.weight);
                here
            });
            return chosen.map_or(0, |part| part.pick(chance::hash(hash, 0)));
        };
        part.pick(hash)
    }

    /// The longest.
    pub(crate) fn max(&self) -> usize {
        self.parts.iter().map(|part| part.high).max().unwrap_or_default()
    }
}

impl Part {
    fn pick(self, hash: u64) -> usize {
        let span = u32::try_from(self.high - self.low + 1).unwrap_or(u32::MAX);
        self.low + chance::below(span, hash) as usize
    }
}

impl fmt::Display for Sizes {
    /// As it is typed.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(out, "{comma}{}", part.low)?;
            if part.high > part.low {
                write!(out, "-{}", part.high)?;
            }
            if part.weight > 1 {
                write!(out, "x{}", part.weight)?;
            }
        }
        Ok(())
    }
}

impl From<Sizes> for String {
    fn from(sizes: Sizes) -> Self {
        sizes.to_string()
    }
}

impl TryFrom<String> for Sizes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::parse).collect::<Result<Vec<Part>, _>>()?;
        let weights = parts.iter().map(|part| u64::from(part.weight)).sum::<u64>();
        if u32::try_from(weights).is_err() {
            return Err(format!("the weights in `{text}` are too great together"));
        }
        Ok(Self { parts })
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (range, weight) = match text.split_once('x') {
            Some((range, weight)) => {
                let parsed = weight.trim().parse().ok().filter(|&weight: &u32| weight > 0);
                (range, parsed.ok_or_else(|| format!("`{weight}` is not a weight"))?)
            }
            None => (text, 1),
        };
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (one(low)?, one(high)?),
            None => (one(range)?, one(range)?),
        };
        if low > high {
            return Err(format!("{low} is more than {high}"));
        }
        Ok(Self { low, high, weight })
    }
}

/// One size, which must hold what the generator writes into a body.
pub(crate) fn one(text: &str) -> Result<usize, String> {
    let size: usize =
        text.trim().parse().map_err(|_| format!("`{text}` is not a size in bytes"))?;
    if (body::HEADER_BYTES..=BODY_BYTES_CEILING).contains(&size) {
        return Ok(size);
    }
    let least = body::HEADER_BYTES;
    Err(format!("{size} is not between {least} (what verifying takes) and {BODY_BYTES_CEILING}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(usize, usize, u32)> {
        let sizes: Sizes = text.parse().unwrap();
        sizes.parts.iter().map(|part| (part.low, part.high, part.weight)).collect()
    }

    #[test]
    fn sizes_are_read_in_all_forms_and_written_as_they_are_typed() {
        assert_eq!(parts("256-1024"), [(256, 1024, 1)]);
        assert_eq!(parts("512"), [(512, 512, 1)]);
        assert_eq!(parts("64, 256,4096"), [(64, 64, 1), (256, 256, 1), (4096, 4096, 1)]);
        assert_eq!(parts("64-256x9, 4096"), [(64, 256, 9), (4096, 4096, 1)]);
        for text in ["256-1024", "512", "64,256,4096", "64-256x9,4096"] {
            assert_eq!(text.parse::<Sizes>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for text in [
            "",
            "x",
            "9-",
            "1024-256",
            "3",
            "2000000",
            "64,,64",
            "64x",
            "64x0",
            "64x-1",
            "64x4294967295,64",
        ] {
            assert!(text.parse::<Sizes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_uniform_choice_reaches_both_ends_and_nothing_else() {
        let sizes = Sizes::uniform(30, 33);
        let mut seen: Vec<usize> = (0..1000).map(|n| sizes.pick(chance::hash(1, n))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [30, 31, 32, 33]);
    }

    #[test]
    fn parts_come_as_often_as_they_weigh() {
        let sizes: Sizes = "64-256x9,4096".parse().unwrap();
        let picked: Vec<usize> = (0..10_000).map(|n| sizes.pick(chance::hash(1, n))).collect();
        let large = picked.iter().filter(|size| **size == 4096).count();
        assert!((900..1_100).contains(&large), "{large}");
        assert!(picked.iter().all(|size| (64..=256).contains(size) || *size == 4096));
        assert!(picked.contains(&64) && picked.contains(&256), "both ends are reached");
    }
}

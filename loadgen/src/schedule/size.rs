//! How long bodies are.

use super::chance;
use crate::verify::body;
use holdfast_protocol::limits::BODY_BYTES_CEILING;
use std::fmt;
use std::str::FromStr;

/// A distribution of body sizes, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// Every size from the first to the second, each as likely.
    Uniform(usize, usize),
    /// One of these, each as likely; at least one.
    OneOf(Vec<usize>),
}

impl Sizes {
    /// The size that `hash` chooses.
    pub(crate) fn pick(&self, hash: u64) -> usize {
        match self {
            Self::Uniform(low, high) => {
                let span = u32::try_from(high - low + 1).unwrap_or(u32::MAX);
                low + chance::below(span, hash) as usize
            }
            Self::OneOf(sizes) => {
                let count = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
                sizes[chance::below(count, hash) as usize]
            }
        }
    }

    /// The longest.
    pub(crate) fn max(&self) -> usize {
        match self {
            Self::Uniform(_, high) => *high,
            Self::OneOf(sizes) => sizes.iter().copied().max().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Sizes {
    /// As it is typed.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform(low, high) => write!(out, "{low}-{high}"),
            Self::OneOf(sizes) => {
                let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
                out.write_str(&sizes.join(","))
            }
        }
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sizes = match text.split_once('-') {
            Some((low, high)) => Self::Uniform(one(low)?, one(high)?),
            None => Self::OneOf(text.split(',').map(one).collect::<Result<_, _>>()?),
        };
        match sizes {
            Self::Uniform(low, high) if low > high => Err(format!("{low} is more than {high}")),
            sizes => Ok(sizes),
        }
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

    #[test]
    fn sizes_are_read_in_all_three_forms() {
        assert_eq!("256-1024".parse(), Ok(Sizes::Uniform(256, 1024)));
        assert_eq!("512".parse(), Ok(Sizes::OneOf(vec![512])));
        assert_eq!("64, 256,4096".parse(), Ok(Sizes::OneOf(vec![64, 256, 4096])));
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for text in ["", "x", "9-", "1024-256", "3", "2000000", "64,,64"] {
            assert!(text.parse::<Sizes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_uniform_choice_reaches_both_ends_and_nothing_else() {
        let sizes = Sizes::Uniform(30, 33);
        let mut seen: Vec<usize> = (0..1000).map(|n| sizes.pick(chance::hash(1, n))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [30, 31, 32, 33]);
    }
}

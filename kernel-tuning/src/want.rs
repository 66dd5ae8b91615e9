//! What a setting's text must be, and what to write where it is not.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

/// More numbers than these are told by which there are.
const FEW: usize = 8;

/// What one number must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// So much or more.
    AtLeast(u64),
    /// So much or less.
    AtMost(u64),
    /// Whatever it is.
    Any,
}

impl Bound {
    fn holds(self, number: u64) -> bool {
        match self {
            Self::AtLeast(least) => number >= least,
            Self::AtMost(most) => number <= most,
            Self::Any => true,
        }
    }

    /// The number itself where it holds, else the bound.
    fn mend(self, number: u64) -> u64 {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) if !self.holds(number) => bound,
            _ => number,
        }
    }
}

/// What a setting's text must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// As many numbers, each within its bound.
    Numbers(Vec<Bound>),
    /// One of these words; the first is what is written.
    OneOf(&'static [&'static str]),
    /// A list of ranges (`80,7500-7600`) that has these numbers among others.
    Contains(Vec<u16>),
    /// A list of ranges that has exactly these numbers.
    List(Vec<u64>),
    /// A table of numbers that has each number below this, or as many as it has places, and no
    /// other.
    Spread(u64),
    /// A mask in hexadecimal (`0000000f,ffffffff`) of exactly these numbers.
    Mask(Vec<u64>),
}

impl Want {
    /// One number, at least so much.
    pub fn at_least(least: u64) -> Self {
        Self::Numbers(vec![Bound::AtLeast(least)])
    }

    /// One number, at most so much.
    pub fn at_most(most: u64) -> Self {
        Self::Numbers(vec![Bound::AtMost(most)])
    }

    /// Whether `have` is as it must be. A text that cannot be understood is not.
    pub fn is_met_by(&self, have: &str) -> bool {
        match self {
            Self::Numbers(bounds) => numbers(have).is_some_and(|numbers| {
                numbers.len() == bounds.len()
                    && numbers.iter().zip(bounds).all(|(number, bound)| bound.holds(*number))
            }),
            Self::OneOf(words) => words.contains(&have.trim()),
            Self::Contains(ports) => ranges(have)
                .is_some_and(|there| ports.iter().all(|port| there.contains(&u64::from(*port)))),
            Self::List(all) => ranges(have).is_some_and(|there| there.iter().eq(all)),
            Self::Spread(below) => numbers(have).is_some_and(|table| {
                let below = (*below).min(table.len() as u64);
                let there: BTreeSet<u64> = table.into_iter().collect();
                there.into_iter().eq(0..below)
            }),
            Self::Mask(all) => mask(have).is_some_and(|there| there.iter().eq(all)),
        }
    }

    /// What to write where `have` is not as it must be; what is good in it stays.
    pub fn mended(&self, have: &str) -> String {
        match self {
            Self::Numbers(bounds) => {
                let mut numbers = numbers(have).unwrap_or_default();
                numbers.resize(bounds.len(), 0);
                let mended = numbers.iter().zip(bounds).map(|(number, bound)| bound.mend(*number));
                mended.map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
            }
            Self::OneOf(words) => words.first().copied().unwrap_or_default().to_owned(),
            Self::Contains(ports) => {
                let mut all = ranges(have).unwrap_or_default();
                all.extend(ports.iter().map(|port| u64::from(*port)));
                in_ranges(&all)
            }
            Self::List(all) => in_ranges(&all.iter().copied().collect()),
            Self::Spread(below) => {
                let places = numbers(have).unwrap_or_default().len() as u64;
                let turn = |place: u64| (place % (*below).max(1)).to_string();
                (0..places).map(turn).collect::<Vec<_>>().join(" ")
            }
            Self::Mask(all) => in_hexadecimal(all),
        }
    }

    /// What to write where nothing that is there can stay.
    pub fn outright(&self) -> String {
        let Self::Numbers(bounds) = self else { return self.mended("") };
        let number = |bound: &Bound| match bound {
            Bound::AtLeast(number) | Bound::AtMost(number) => number.to_string(),
            Bound::Any => "0".to_owned(),
        };
        bounds.iter().map(number).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Want {
    /// As in a table: what must be, in few words.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(bounds) => {
                let word = |bound: &Bound| match bound {
                    Bound::AtLeast(least) => format!("≥ {least}"),
                    Bound::AtMost(most) => format!("≤ {most}"),
                    Bound::Any => "any".to_owned(),
                };
                out.write_str(&bounds.iter().map(word).collect::<Vec<_>>().join(", "))
            }
            Self::OneOf(words) => out.write_str(&words.join(" or ")),
            Self::Contains(_) => write!(out, "with {}", self.mended("")),
            Self::Spread(below) => write!(out, "each of 0-{}", below.saturating_sub(1)),
            Self::List(_) | Self::Mask(_) => out.write_str(&self.mended("")),
        }
    }
}

/// A setting's text as a person reads it in a line: of a long table the numbers that it has.
pub fn in_few_words(text: &str) -> String {
    match numbers(text) {
        Some(table) if table.len() > FEW => {
            let there = in_ranges(&table.iter().copied().collect());
            format!("{there} in {} places", table.len())
        }
        _ => on_one_line(text),
    }
}

/// A setting's text with one space where it has white space.
pub fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Numbers with white space between; `None` where something else is there.
fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// The numbers of a list such as `0-3,8`; `None` where it is no such list.
pub(crate) fn ranges(text: &str) -> Option<BTreeSet<u64>> {
    /// No list of cores or ports is longer; a kernel that says so is not understood.
    const MOST: u64 = 1 << 16;
    let mut all = BTreeSet::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high): (u64, u64) = (low.parse().ok()?, high.parse().ok()?);
        if high >= MOST {
            return None;
        }
        all.extend(low..=high);
    }
    Some(all)
}

fn in_ranges(all: &BTreeSet<u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in all {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let words = runs
        .iter()
        .map(|(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") });
    words.collect::<Vec<_>>().join(",")
}

/// The numbers of the bits that are set, most significant word first (`cpumask` in the kernel's
/// `bitmap_parse`).
fn mask(text: &str) -> Option<BTreeSet<u64>> {
    let mut all = BTreeSet::new();
    for (word, digits) in (0..).zip(text.trim().rsplit(',')) {
        let bits = u32::from_str_radix(digits, 16).ok()?;
        all.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| word * 32 + bit));
    }
    Some(all)
}

fn in_hexadecimal(all: &[u64]) -> String {
    let words = all.iter().max().map_or(0, |last| last / 32) + 1;
    let word = |index: u64| {
        let here = all.iter().filter(|&&number| number / 32 == index);
        here.fold(0_u32, |bits, number| bits | 1 << (number % 32))
    };
    let mut text = format!("{:x}", word(words - 1));
    for index in (0..words - 1).rev() {
        // Writing into a string cannot fail.
        let _ = write!(text, ",{:08x}", word(index));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enough_already_stays() {
        let want = Want::Numbers(vec![Bound::AtLeast(4096), Bound::Any, Bound::AtMost(1 << 20)]);
        assert!(want.is_met_by("4096\t16384\t1048576\n"));
        assert!(!want.is_met_by("4096 16384 4194304"));
        assert_eq!(want.mended("8192 16384 4194304"), "8192 16384 1048576");
        assert!(!want.is_met_by("4096 16384") && !want.is_met_by("much") && !want.is_met_by(""));
        assert_eq!(Want::at_least(5).mended("much"), "5");
        assert_eq!(want.outright(), "4096 0 1048576");
    }

    #[test]
    fn reserved_ports_are_added_to_those_that_are_there() {
        let want = Want::Contains(vec![7500, 7501, 7600]);
        assert!(want.is_met_by("22,7500-7600\n") && !want.is_met_by("7500-7599"));
        assert_eq!(want.mended("22,7502\n"), "22,7500-7502,7600");
        assert_eq!(want.mended("\n"), "7500-7501,7600");
    }

    #[test]
    fn masks_are_the_same_however_many_zeros_they_begin_with() {
        let want = Want::Mask(vec![0, 1, 33]);
        assert!(want.is_met_by("2,00000003") && want.is_met_by("00000000,00000002,00000003\n"));
        assert!(!want.is_met_by("3") && !want.is_met_by("x"));
        assert_eq!(want.mended(""), "2,00000003");
        assert_eq!(Want::Mask(Vec::new()).mended("f"), "0");
        assert!(Want::Mask(Vec::new()).is_met_by("00,00000000"));
    }

    #[test]
    fn a_table_has_each_queue_and_is_dealt_out_in_turn() {
        let want = Want::Spread(3);
        assert!(want.is_met_by("0 1 2 0 1 2") && want.is_met_by("2 1 0\n"));
        for wrong in ["0 1 0 1", "0 1 2 3", "0 x"] {
            assert!(!want.is_met_by(wrong), "{wrong}");
        }
        assert!(want.is_met_by("1 0"), "two places are of no third queue");
        assert_eq!(want.mended("0 1 0 1 0"), "0 1 2 0 1");
        assert_eq!((want.to_string(), want.outright()), ("each of 0-2".to_owned(), String::new()));
        assert_eq!(in_few_words("0 1\t0 3"), "0 1 0 3");
        assert_eq!(in_few_words(&want.mended(&"0 ".repeat(128))), "0-2 in 128 places");
    }

    #[test]
    fn lists_are_compared_as_sets() {
        let want = Want::List(vec![0, 1, 2]);
        assert!(want.is_met_by("0-2") && want.is_met_by("0,1,2\n") && !want.is_met_by("0-3"));
        assert_eq!(ranges("5-99999999"), None);
        assert_eq!(ranges("1-"), None);
    }

    #[test]
    fn the_first_word_is_what_is_written() {
        let want = Want::OneOf(&["madvise", "never"]);
        assert!(want.is_met_by("never\n") && !want.is_met_by("always"));
        assert_eq!(want.mended("always"), "madvise");
    }
}

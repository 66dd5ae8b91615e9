//! The kinds of values that a setting may have: how each is read, bounded, written and explained.
//!
//! A kind reads a TOML value or refuses it; what it would have taken is [`Kind::allowed`]. What a
//! kind prints, the same kind reads back as the same value. Numbers have a unit by their kind, so a
//! plain number and a text with a unit mean the same.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;

/// What a setting of type `T` takes.
pub(crate) trait Kind<T> {
    /// The value, or `None` where it is not allowed.
    fn read(&self, value: &Value) -> Option<T>;
    /// The value as TOML.
    fn print(&self, value: &T) -> String;
    /// What is allowed, as the end of the sentence "allowed: …".
    fn allowed(&self) -> String;
    /// A refused value as it may be shown, and what is allowed instead.
    fn explain(&self, value: &Value) -> (String, String) {
        (value.to_string(), self.allowed())
    }
    /// Whether the value is printed as a comment, since it must not be shown.
    fn commented(&self) -> bool {
        false
    }
}

/// A whole number within bounds, both included.
pub(crate) struct Count(pub(crate) u64, pub(crate) u64);

impl<T: Copy + TryFrom<u64> + TryInto<u64>> Kind<T> for Count {
    fn read(&self, value: &Value) -> Option<T> {
        let number = u64::try_from(value.as_integer()?).ok()?;
        (self.0..=self.1).contains(&number).then(|| T::try_from(number).ok())?
    }

    fn print(&self, value: &T) -> String {
        (*value).try_into().unwrap_or(self.1).to_string()
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }
}

/// A power of two within bounds, both included.
pub(crate) struct PowerOfTwo(pub(crate) u64, pub(crate) u64);

impl Kind<usize> for PowerOfTwo {
    fn read(&self, value: &Value) -> Option<usize> {
        Count(self.0, self.1).read(value).filter(|number: &usize| number.is_power_of_two())
    }

    fn print(&self, value: &usize) -> String {
        value.to_string()
    }

    fn allowed(&self) -> String {
        format!("a power of two from {} to {}", self.0, self.1)
    }
}

/// Units of sizes, the largest first.
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A size in bytes within bounds, both included.
pub(crate) struct Size(pub(crate) usize, pub(crate) usize);

impl Kind<usize> for Size {
    fn read(&self, value: &Value) -> Option<usize> {
        let bytes = match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok()?,
            Value::String(text) => with_unit(text, SIZES)?,
            _ => return None,
        };
        usize::try_from(bytes).ok().filter(|bytes| (self.0..=self.1).contains(bytes))
    }

    fn print(&self, value: &usize) -> String {
        format!("\"{}\"", in_unit(*value as u64, SIZES))
    }

    fn allowed(&self) -> String {
        let [low, high] = [self.0, self.1].map(|bytes| in_unit(bytes as u64, SIZES));
        let fits = |example: &&usize| (self.0..=self.1).contains(*example);
        let example = [64 << 10, 64 << 20].iter().find(fits).unwrap_or(&self.1);
        let such_as = in_unit(*example as u64, SIZES);
        format!("a size from {low} to {high}, such as \"{such_as}\", or a number of bytes")
    }
}

/// The path of a directory; not empty.
pub(crate) struct Directory;

impl Kind<PathBuf> for Directory {
    fn read(&self, value: &Value) -> Option<PathBuf> {
        value.as_str().filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    fn print(&self, value: &PathBuf) -> String {
        quoted(&value.to_string_lossy())
    }

    fn allowed(&self) -> String {
        "the path of a directory".to_owned()
    }
}

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// Units of times in milliseconds, the largest first.
const TIMES: &[(&str, u64)] =
    &[("d", DAY), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// A time within bounds of whole seconds, both included.
pub(crate) struct Time(pub(crate) u64, pub(crate) u64);

impl Time {
    fn millis(&self, value: &Value) -> Option<u64> {
        let millis = match value {
            Value::Integer(seconds) => u64::try_from(*seconds).ok()?.checked_mul(1_000)?,
            Value::String(text) => with_unit(text, TIMES)?,
            _ => return None,
        };
        (self.0 * 1_000..=self.1 * 1_000).contains(&millis).then_some(millis)
    }

    /// Seconds where they are whole: an operator compares settings more easily in one unit. Whole
    /// days are days, since nobody reads them in seconds.
    fn text(millis: u64) -> String {
        if millis > 0 && millis.is_multiple_of(DAY) {
            format!("{} d", millis / DAY)
        } else if millis.is_multiple_of(1_000) {
            format!("{} s", millis / 1_000)
        } else {
            format!("{millis} ms")
        }
    }
}

impl Kind<Duration> for Time {
    fn read(&self, value: &Value) -> Option<Duration> {
        self.millis(value).map(Duration::from_millis)
    }

    fn print(&self, value: &Duration) -> String {
        format!("\"{}\"", Self::text(u64::try_from(value.as_millis()).unwrap_or(u64::MAX)))
    }

    fn allowed(&self) -> String {
        let such_as = match self.1 {
            0..10 => "200 ms",
            10..=86_400 => "10 s",
            _ => "7 d",
        };
        let [low, high] = [self.0, self.1].map(|seconds| Self::text(seconds * 1_000));
        format!(
            "a time from {low} to {high}, such as \"{such_as}\" (ms, s, min, h or d), or a number \
             of seconds"
        )
    }
}

/// Whole seconds within bounds, both included.
pub(crate) struct Seconds(pub(crate) u16, pub(crate) u16);

impl Kind<u16> for Seconds {
    fn read(&self, value: &Value) -> Option<u16> {
        let millis = Time(self.0.into(), self.1.into()).millis(value)?;
        millis.is_multiple_of(1_000).then(|| u16::try_from(millis / 1_000).ok())?
    }

    fn print(&self, value: &u16) -> String {
        format!("\"{value} s\"")
    }

    fn allowed(&self) -> String {
        let (low, high) = (self.0, self.1);
        format!("whole seconds from {low} s to {high} s, such as \"300 s\" or \"5 min\"")
    }
}

/// Splits "64 KiB" into a whole number and a unit of the table; capitals do not matter.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The number in the largest unit that leaves it whole.
fn in_unit(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| number > 0 && number.is_multiple_of(*factor);
    let (name, factor) = units.iter().find(fits).unwrap_or(&("B", 1));
    format!("{} {name}", number / factor)
}

/// An enumeration whose values have names.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every value with its name.
    const NAMES: &'static [(&'static str, Self)];
}

/// One of the names of a [`Choice`]; `true` and `false` mean "on" and "off" where those are names.
pub(crate) struct OneOf;

impl<T: Choice> Kind<T> for OneOf {
    fn read(&self, value: &Value) -> Option<T> {
        let wanted = match value {
            Value::String(text) => text.as_str(),
            Value::Boolean(true) => "on",
            Value::Boolean(false) => "off",
            _ => return None,
        };
        T::NAMES.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
    }

    fn print(&self, value: &T) -> String {
        let named = T::NAMES.iter().find(|(_, each)| each == value);
        format!("\"{}\"", named.map_or("", |(name, _)| name))
    }

    fn allowed(&self) -> String {
        let names: Vec<_> = T::NAMES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        names.join(", ")
    }
}

/// An IP address with a port.
pub(crate) struct Address;

const ADDRESS_ALLOWED: &str =
    "an IP address with a port, such as \"127.0.0.1:7500\" or \"[::]:7500\"";

impl Kind<SocketAddr> for Address {
    fn read(&self, value: &Value) -> Option<SocketAddr> {
        value.as_str()?.trim().parse().ok()
    }

    fn print(&self, value: &SocketAddr) -> String {
        format!("\"{value}\"")
    }

    fn allowed(&self) -> String {
        ADDRESS_ALLOWED.to_owned()
    }
}

/// A list of at least one address; a text is split at its commas.
pub(crate) struct Addresses;

impl Kind<Vec<SocketAddr>> for Addresses {
    fn read(&self, value: &Value) -> Option<Vec<SocketAddr>> {
        list(value)?.iter().map(|item| item.parse().ok()).collect()
    }

    fn print(&self, value: &Vec<SocketAddr>) -> String {
        print_list(value)
    }

    fn allowed(&self) -> String {
        format!("a list, each item {ADDRESS_ALLOWED}")
    }
}

/// A list of at least one name of so many bytes at most, without repetition; a text is split at its
/// commas.
pub(crate) struct Names(pub(crate) usize);

impl Kind<Vec<String>> for Names {
    fn read(&self, value: &Value) -> Option<Vec<String>> {
        let names = list(value)?;
        let good = |name: &String| {
            (1..=self.0).contains(&name.len()) && !name.chars().any(char::is_control)
        };
        let repeats = (1..names.len()).any(|i| names[..i].contains(&names[i]));
        (names.iter().all(good) && !repeats).then_some(names)
    }

    fn print(&self, value: &Vec<String>) -> String {
        print_list(value)
    }

    fn allowed(&self) -> String {
        format!("a list of different names, each of 1 to {} bytes", self.0)
    }
}

/// The items of a list of texts, or of one text with commas; `None` for an empty list.
fn list(value: &Value) -> Option<Vec<String>> {
    let items: Vec<String> = match value {
        Value::String(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (!items.is_empty()).then_some(items)
}

fn print_list(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A text as TOML, in one line: what JSON escapes, TOML reads.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text that a function finds good.
pub(crate) struct Text {
    /// Whether it is good.
    pub(crate) good: fn(&str) -> bool,
    /// What is good, in words.
    pub(crate) allowed: &'static str,
}

impl Kind<String> for Text {
    fn read(&self, value: &Value) -> Option<String> {
        value.as_str().filter(|text| (self.good)(text)).map(str::to_owned)
    }

    fn print(&self, value: &String) -> String {
        quoted(value)
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }
}

#[cfg(test)]
mod tests;

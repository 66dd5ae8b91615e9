//! The kinds of values in a scenario file: how each is read and bounded, and what is allowed.

use crate::clock::MILLISECOND;
use crate::schedule::size::Sizes;
use crate::units;
use toml::de::DeValue;

/// Reads a value; `None` where it is not allowed.
type Read<T> = dyn Fn(&DeValue<'_>) -> Option<T>;

/// How a value is read.
pub(super) struct Kind<T> {
    read: Box<Read<T>>,
    /// What is allowed, as the end of the sentence "allowed: …".
    pub(super) allowed: String,
}

impl<T> Kind<T> {
    fn new(allowed: String, read: impl Fn(&DeValue<'_>) -> Option<T> + 'static) -> Self {
        Self { read: Box::new(read), allowed }
    }

    /// The value, or `None` where it is not allowed.
    pub(super) fn read(&self, value: &DeValue<'_>) -> Option<T> {
        (self.read)(value)
    }
}

/// A whole number within bounds, both included.
pub(super) fn number<T: TryFrom<u64>>(low: u64, high: u64) -> Kind<T> {
    Kind::new(format!("a whole number from {low} to {high}"), move |value| {
        let number = value.as_str().map_or_else(|| whole(value), units::number)?;
        (low..=high).contains(&number).then(|| T::try_from(number).ok())?
    })
}

/// A share, from 0 (if `zero`) to 1.
pub(super) fn share(zero: bool) -> Kind<f64> {
    let low = if zero { "from 0" } else { "above 0 and up" };
    Kind::new(format!("a share {low} to 1, such as 0.01"), move |value| {
        let share = real(value)?;
        let fits = share <= 1.0 && (share > 0.0 || zero && share == 0.0);
        fits.then_some(share)
    })
}

/// A share from 0 up to `high`.
pub(super) fn up_to(high: f64) -> Kind<f64> {
    Kind::new(format!("a share from 0 to {high}, such as 0.01"), move |value| {
        real(value).filter(|share| (0.0..=high).contains(share))
    })
}

/// How much something counts against others.
pub(super) fn weight() -> Kind<f64> {
    Kind::new("a number above 0 and up to 1000000".to_owned(), |value| {
        real(value).filter(|weight| *weight > 0.0 && *weight <= 1e6)
    })
}

/// The longest time, in milliseconds.
const LONGEST: u64 = 7 * 24 * 3_600_000;

/// A time of at least `low` milliseconds, in nanoseconds.
pub(super) fn time(low: u64) -> Kind<u64> {
    time_to(low, LONGEST)
}

/// A time of `low` to `high` milliseconds, in nanoseconds.
pub(super) fn time_to(low: u64, high: u64) -> Kind<u64> {
    let longest = match high {
        high if high.is_multiple_of(3_600_000) => format!("{} h", high / 3_600_000),
        high => format!("{} s", high / 1_000),
    };
    let allowed = format!(
        "a time from {low} ms to {longest}, such as \"500 ms\", \"30 s\", \"5 min\" or \"2 h\", or \
         a number of seconds"
    );
    Kind::new(allowed, move |value| {
        let millis = match value {
            DeValue::String(text) => units::time(text)?,
            DeValue::Float(seconds) => units::time(seconds.as_str())?,
            other => whole(other)?.checked_mul(1_000)?,
        };
        (low..=high).contains(&millis).then(|| millis * MILLISECOND)
    })
}

/// A text of so many bytes.
pub(super) fn text(low: usize, high: usize) -> Kind<String> {
    Kind::new(format!("a text of {low} to {high} bytes"), move |value| {
        let text = value.as_str()?;
        (low..=high).contains(&text.len()).then(|| text.to_owned())
    })
}

/// Yes or no.
pub(super) fn flag() -> Kind<bool> {
    Kind::new("true or false".to_owned(), |value| match value {
        DeValue::Boolean(flag) => Some(*flag),
        _ => None,
    })
}

/// One of these names.
pub(super) fn choice<T: Copy + 'static>(names: &'static [(&'static str, T)]) -> Kind<T> {
    let quoted: Vec<String> = names.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    Kind::new(quoted.join(", "), |value| {
        let text = value.as_str()?;
        names.iter().find(|(name, _)| *name == text).map(|(_, chosen)| *chosen)
    })
}

/// A distribution of body sizes.
pub(super) fn sizes() -> Kind<Sizes> {
    let allowed = "bytes of a body from 24 to 1048576: 512, \"256-1024\" (each as likely), \
                   \"64,256,4096\" (one of them), \"64-256x9,4096\" (the first 9 times as often)";
    Kind::new(allowed.to_owned(), |value| match value {
        DeValue::String(text) => text.parse().ok(),
        other => whole(other)?.to_string().parse().ok(),
    })
}

/// One body size, in bytes.
pub(super) fn size() -> Kind<usize> {
    let low = crate::verify::body::HEADER_BYTES as u64;
    number(low, holdfast_protocol::limits::BODY_BYTES_CEILING as u64)
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn real(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        other => other.as_integer()?.as_str().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(kind: &Kind<T>, text: &str) -> Option<T> {
        kind.read(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn times_are_read_with_their_units_and_within_bounds() {
        let kind = time(1);
        for (text, millis) in [
            ("\"1 ms\"", 1),
            ("\"250ms\"", 250),
            ("3", 3_000),
            ("\"3\"", 3_000),
            ("0.2", 200),
            ("\"1.5s\"", 1_500),
            ("\"5 min\"", 300_000),
        ] {
            assert_eq!(read(&kind, text), Some(millis * MILLISECOND), "{text}");
        }
        for text in
            ["0", "\"5 days\"", "\"-1 s\"", "0.0001", "-1.5", "nan", "\"200 h\"", "true", "\"s\""]
        {
            assert_eq!(read(&kind, text), None, "{text}");
        }
    }

    #[test]
    fn numbers_shares_and_weights_keep_their_bounds() {
        let kind = number::<u32>(1, 10);
        assert_eq!((read(&kind, "10"), read(&kind, "0x0a")), (Some(10), Some(10)));
        assert_eq!((read(&kind, "0"), read(&kind, "11"), read(&kind, "-1")), (None, None, None));
        assert_eq!(read(&number::<u32>(1, 2_000), "\"1k\""), Some(1_000));
        assert_eq!((read(&share(true), "0"), read(&share(false), "0")), (Some(0.0), None));
        assert_eq!((read(&share(false), "1"), read(&share(false), "1.01")), (Some(1.0), None));
        assert_eq!(read(&share(true), "nan"), None);
        assert_eq!((read(&weight(), "2.5"), read(&weight(), "inf")), (Some(2.5), None));
    }

    #[test]
    fn sizes_are_numbers_or_text() {
        assert_eq!(read(&sizes(), "512"), "512".parse().ok());
        assert_eq!(read(&sizes(), "\"256-1024\""), Some(Sizes::uniform(256, 1024)));
        assert_eq!(read(&sizes(), "\"1024-256\""), None);
        assert!(sizes().allowed.contains("24 to 1048576"));
        assert!(size().allowed.contains("24 to 1048576"), "{}", size().allowed);
    }
}

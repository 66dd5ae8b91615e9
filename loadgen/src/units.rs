//! Figures with their units, for people.

/// Microseconds in the unit that suits them.
pub(crate) fn duration(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// Bytes in the unit that suits them.
pub(crate) fn bytes(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    match bytes {
        bytes if bytes.abs() < 10.0 * KIB => format!("{bytes:.0} B"),
        bytes if bytes.abs() < KIB * KIB => format!("{:.1} KiB", bytes / KIB),
        bytes if bytes.abs() < KIB * KIB * KIB => format!("{:.1} MiB", bytes / KIB / KIB),
        bytes => format!("{:.1} GiB", bytes / KIB / KIB / KIB),
    }
}

/// A percentage with as many places as it needs.
pub(crate) fn percent(value: f64) -> String {
    let places = match value.abs() {
        _ if value == 0.0 => 0,
        ..0.1 => 4,
        ..10.0 => 2,
        _ => 1,
    };
    format!("{value:.places$} %")
}

/// A number of things, shortened where it is long.
pub(crate) fn count(value: f64) -> String {
    match value.abs() {
        ..10.0 if value.fract() != 0.0 => format!("{value:.1}"),
        ..10_000.0 => format!("{value:.0}"),
        ..1e6 => format!("{:.1} k", value / 1e3),
        ..1e9 => format!("{:.2} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// A number of things in full, with a thin space between its thousands.
pub(crate) fn full(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A count with its word, which gets its plural where it needs one.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let end = match count {
        1 => "",
        _ if ["sh", "ch", "s", "x"].iter().any(|end| what.ends_with(end)) => "es",
        _ => "s",
    };
    format!("{count} {what}{end}")
}

/// A text with `{one|several}` in it, made to agree with a count.
pub(crate) fn agreeing(count: u64, text: &str) -> String {
    let mut parts = text.split('{');
    let mut agreed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (forms, rest) = part.split_once('}').unwrap_or((part, ""));
        let (one, several) = forms.split_once('|').unwrap_or((forms, forms));
        agreed.push_str(if count == 1 { one } else { several });
        agreed.push_str(rest);
    }
    agreed
}

/// A number such as `10` or `1.5`, times `factor`; `None` where it is none, does not fit, or does
/// not come to a whole number.
fn times(number: &str, factor: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| {
        let all = !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| all)
    };
    let below = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part = digits(part)?.checked_mul(factor)?;
    let whole = digits(whole)?.checked_mul(factor)?;
    if part.is_multiple_of(below) { whole.checked_add(part / below) } else { None }
}

/// A number with its unit, such as `10 s`, times the factor that `units` has for it; `None` without
/// a unit, with another, or where it is no whole number then.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    times(number, *factor)
}

/// Units of times, in milliseconds.
const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("m", 60_000), ("h", 3_600_000)];

/// A time with its unit, such as `500 ms`, `1.5s`, `10m` or `2 h`, in milliseconds; a number alone
/// is seconds. `None` where it is none.
pub(crate) fn time(text: &str) -> Option<u64> {
    times(text, 1_000).or_else(|| with_unit(text, &TIMES))
}

/// A number of things as people type it: `50000`, `50_000`, `50k`, `1.5M`; `None` where it is none.
pub(crate) fn number(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 3] = [("k", 1_000), ("K", 1_000), ("M", 1_000_000)];
    let digits = text.replace('_', "");
    digits.parse().ok().or_else(|| with_unit(&digits, &UNITS))
}

/// The same on the command line.
///
/// # Errors
/// It is none, or more than `u32` holds; the text says what is allowed.
pub(crate) fn typed_count(text: &str) -> Result<u32, String> {
    let count = number(text).and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| format!("a whole number up to {}, such as 50000, 50k or 3M", u32::MAX))
}

/// The same, and at least one.
///
/// # Errors
/// As [`typed_count`]'s, and for 0.
pub(crate) fn typed_some(text: &str) -> Result<u32, String> {
    typed_count(text)
        .and_then(|count| if count > 0 { Ok(count) } else { Err("at least 1".to_owned()) })
}

/// Whole seconds as people type them: `90`, `90s`, `10m` or `2h`.
///
/// # Errors
/// It is no time, or no whole seconds, or more than `u32` holds; the text says what is allowed.
pub(crate) fn typed_seconds(text: &str) -> Result<u32, String> {
    let whole = time(text).filter(|millis| millis.is_multiple_of(1_000));
    let seconds = whole.and_then(|millis| u32::try_from(millis / 1_000).ok());
    seconds.ok_or_else(|| "whole seconds, such as 90, 90s, 10m or 2h".to_owned())
}

/// A moment, seconds since 1970 UTC, as a date and a time.
pub(crate) fn moment(utc: u64) -> String {
    let (days, rest) = (utc / 86_400, utc % 86_400);
    // Days are counted from 1 March of year 0, so that the leap day is a year's last.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    let (hour, minute) = (rest / 3_600, rest / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_suits_them() {
        assert_eq!(duration(999.0), "999 us");
        assert_eq!(duration(1_234.0), "1.23 ms");
        assert_eq!(duration(2e6), "2.00 s");
        assert_eq!(bytes(2048.0), "2048 B");
        assert_eq!(bytes(20.0 * 1024.0), "20.0 KiB");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.01), "0.0100 %");
        assert_eq!(percent(80.0), "80.0 %");
        assert_eq!(count(2.5), "2.5");
        assert_eq!(counted(1, "push"), "1 push");
        assert_eq!(counted(0, "push"), "0 pushes");
        assert_eq!(counted(2, "client"), "2 clients");
        let text = "{body is|bodies are} corrupt";
        assert_eq!(agreeing(1, text), "body is corrupt");
        assert_eq!(agreeing(2, text), "bodies are corrupt");
        assert_eq!(count(12_345.0), "12.3 k");
        assert_eq!(full(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn counts_and_times_are_read_as_people_type_them() {
        for (text, count) in [("0", 0), ("50_000", 50_000), ("50k", 50_000), ("3M", 3_000_000)] {
            assert_eq!(typed_count(text), Ok(count), "{text}");
        }
        assert_eq!(typed_count("1.5k"), Ok(1_500));
        for text in ["", "k", "-1", "1.5", ".5k", "1.k", "1.2345k", "1..5k", "5G", "5000M", "3m"] {
            assert!(typed_count(text).is_err(), "{text}");
        }
        assert!(typed_some("0").is_err() && typed_some("3M") == Ok(3_000_000));
        for (text, seconds) in [("90", 90), ("90s", 90), ("10m", 600), ("10min", 600)] {
            assert_eq!(typed_seconds(text), Ok(seconds), "{text}");
        }
        assert_eq!(
            (time("1.5s"), time("0.25"), time("1.5 min")),
            (Some(1_500), Some(250), Some(90_000))
        );
        for text in ["", "s", "1500ms", "-1", "1d", "1.5", "99999999999"] {
            assert!(typed_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_right_around_leap_days() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(moment(1_709_251_199), "2024-02-29 23:59 UTC");
        assert_eq!(moment(1_709_251_200), "2024-03-01 00:00 UTC");
    }
}

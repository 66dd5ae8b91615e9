//! Numbers, times and texts as people write and read them.

use holdfast_protocol::limits::TTL_SECONDS_MAX;
use std::io::Read;
use std::time::Duration;

/// Units of times in milliseconds. As in the configuration file, and days for what is kept long.
const TIMES: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("min", 60_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Decimal multiples of a count; rates of lines are given in them.
const MULTIPLES: &[(&str, u64)] =
    &[("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];

/// Splits "250 ms" into 250 and the factor of "ms".
fn split(text: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let named = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit.trim());
    let factor = if unit.is_empty() { plain } else { units.iter().find(named)?.1 };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A time that is not zero and at most a day; a plain number counts seconds.
pub(super) fn timespan(text: &str) -> Result<Duration, String> {
    let wrong = || "a time from 1 ms to 1 d is needed, such as 500ms, 5s or 2min".to_owned();
    let millis = split(text, TIMES, 1_000).ok_or_else(wrong)?;
    if (1..=86_400_000).contains(&millis) {
        Ok(Duration::from_millis(millis))
    } else {
        Err(wrong())
    }
}

/// A time to live in whole seconds.
pub(super) fn ttl(text: &str) -> Result<u32, String> {
    let days = TTL_SECONDS_MAX / 86_400;
    let wrong =
        || format!("whole seconds from 1 s to {days} d are needed, such as 90s, 10min or 7d");
    let millis = split(text, TIMES, 1_000).filter(|m| m.is_multiple_of(1_000)).ok_or_else(wrong)?;
    let seconds = u32::try_from(millis / 1_000).map_err(|_| wrong())?;
    if (1..=TTL_SECONDS_MAX).contains(&seconds) { Ok(seconds) } else { Err(wrong()) }
}

/// A whole number, with k, M, G or T behind it if it is long.
pub(super) fn count(text: &str) -> Result<u64, String> {
    split(text, MULTIPLES, 1)
        .ok_or_else(|| "a whole number is needed, such as 5000, 50k or 200M".to_owned())
}

/// The message: `text`, or all of `input` where it is "-".
pub(super) fn message(text: &str, input: &mut dyn Read) -> Result<Vec<u8>, String> {
    if text != "-" {
        return Ok(text.as_bytes().to_vec());
    }
    let mut body = Vec::new();
    input.read_to_end(&mut body).map_err(|error| format!("cannot read the message: {error}"))?;
    if body.is_empty() { Err("standard input is empty".to_owned()) } else { Ok(body) }
}

/// 1234567 as "1,234,567".
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 session", "2 sessions".
pub(super) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// Bytes in the unit in which they have at most four digits before the point.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 10_000 {
        return format!("{} B", grouped(number));
    }
    let mut tenths = u128::from(number) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 100_000 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let tenths = u64::try_from(tenths).unwrap_or(u64::MAX);
    format!("{}.{} {}", grouped(tenths / 10), tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        assert_eq!(timespan("5"), Ok(Duration::from_secs(5)));
        assert_eq!(timespan("500 ms"), Ok(Duration::from_millis(500)));
        assert_eq!(timespan("2min"), Ok(Duration::from_mins(2)));
        for wrong in ["", "0", "0s", "s", "-1", "1.5s", "5 weeks", "2d", "99999999999999999999s"] {
            assert!(timespan(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ttl("7d"), Ok(7 * 86_400));
        assert_eq!(ttl("90"), Ok(90));
        for wrong in ["0", "31d", "1500ms", "never"] {
            assert!(ttl(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_have_decimal_multiples() {
        assert_eq!(count("0"), Ok(0));
        assert_eq!(count("50k"), Ok(50_000));
        assert_eq!(count("200M"), Ok(200_000_000));
        for wrong in ["", "k", "1.5M", "-5", "5kk", "99999999999T"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_shown_in_groups_and_bytes_in_units() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "session"), "1 session");
        assert_eq!(counted(2_000, "session"), "2,000 sessions");
        assert_eq!(bytes(9_999), "9,999 B");
        assert_eq!(bytes(10_240), "10.0 KiB");
        assert_eq!(bytes(u64::MAX), "16,777,215.9 TiB");
    }

    #[test]
    fn a_message_comes_from_the_argument_or_from_the_input() {
        assert_eq!(message("hi", &mut &b"unread"[..]), Ok(b"hi".to_vec()));
        assert_eq!(message("-", &mut &b"read\n"[..]), Ok(b"read\n".to_vec()));
        assert!(message("-", &mut &b""[..]).is_err());
    }
}

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

/// A whole number with its unit, such as `10 s`, times the factor that `units` has for it; `None`
/// without a number, with another unit, or where it does not fit.
pub(crate) fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
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
        assert_eq!(count(12_345.0), "12.3 k");
        assert_eq!(full(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn moments_are_right_around_leap_days() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(moment(1_709_251_199), "2024-02-29 23:59 UTC");
        assert_eq!(moment(1_709_251_200), "2024-03-01 00:00 UTC");
    }
}

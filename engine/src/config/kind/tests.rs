//! What each kind reads and refuses, and that it reads back what it prints.

use super::*;

fn read<T>(kind: &impl Kind<T>, text: &str) -> Option<T> {
    let table: toml::Table = format!("v = {text}").parse().unwrap();
    kind.read(&table["v"])
}

#[test]
fn a_size_has_units_or_is_in_bytes() {
    let kind = Size(0, 1 << 30);
    assert_eq!(read(&kind, "4096"), Some(4096));
    assert_eq!(read(&kind, "\"64 KiB\""), Some(65_536));
    assert_eq!(read(&kind, "\"64kib\""), Some(65_536));
    assert_eq!(read(&kind, "\"1 GiB\""), Some(1 << 30));
    for wrong in ["-1", "\"64\"", "\"KiB\"", "\"1.5 KiB\"", "\"64 KB\"", "\"2 GiB\"", "1.0", "true"]
    {
        assert_eq!(read(&kind, wrong), None, "{wrong}");
    }
}

#[test]
fn a_time_has_units_or_is_in_seconds() {
    let kind = Time(1, 7_200);
    assert_eq!(read(&kind, "10"), Some(Duration::from_secs(10)));
    assert_eq!(read(&kind, "\"1500ms\""), Some(Duration::from_millis(1_500)));
    assert_eq!(read(&kind, "\"2 min\""), Some(Duration::from_mins(2)));
    assert_eq!(read(&kind, "\"2 h\""), Some(Duration::from_hours(2)));
    for wrong in ["0", "7201", "\"999 ms\"", "\"10 m\"", "\"10\"", "-5", "1.5", "\"\""] {
        let got: Option<Duration> = read(&kind, wrong);
        assert_eq!(got, None, "{wrong}");
    }
}

#[test]
fn a_long_time_may_be_in_days_and_whole_days_are_printed_so() {
    let kind = Time(1, 30 * 86_400);
    for week in ["\"7 d\"", "\"7D\"", "\"168 h\"", "604800"] {
        assert_eq!(read(&kind, week), Some(Duration::from_hours(7 * 24)), "{week}");
    }
    assert_eq!(read(&kind, "\"31 d\""), None);
    assert_eq!(kind.print(&Duration::from_hours(7 * 24)), "\"7 d\"");
    assert_eq!(kind.print(&Duration::from_hours(25)), "\"90000 s\"");
    assert!(kind.allowed().starts_with("a time from 1 s to 30 d, such as \"7 d\""));
}

#[test]
fn the_example_of_what_is_allowed_is_allowed() {
    let example = |allowed: String| allowed.split('"').nth(1).map(|text| format!("\"{text}\""));
    for (low, high) in [(0, 1 << 30), (1, 1 << 20), (1 << 20, 128 << 20), (1 << 27, 1 << 30)] {
        let text = example(Size(low, high).allowed()).unwrap();
        assert!(read(&Size(low, high), &text).is_some(), "{text} from {low} to {high}");
    }
    for (low, high) in [(0, 1), (0, 60), (1, 600), (1, 86_400), (1, 30 * 86_400)] {
        let text = example(Time(low, high).allowed()).unwrap();
        assert!(read(&Time(low, high), &text).is_some(), "{text} from {low} to {high}");
    }
}

#[test]
fn a_number_that_would_overflow_is_refused() {
    let huge = i64::MAX.to_string();
    assert_eq!(read::<Duration>(&Time(0, 10), &huge), None);
    assert_eq!(read(&Size(0, 10), &format!("\"{huge} GiB\"")), None);
    assert_eq!(read::<u16>(&Count(0, u64::MAX), "65536"), None);
    assert_eq!(read(&Seconds(0, u16::MAX), "\"65536 s\""), None);
}

#[test]
fn whole_seconds_are_whole() {
    assert_eq!(read(&Seconds(5, 3_600), "\"5 min\""), Some(300));
    assert_eq!(read(&Seconds(5, 3_600), "\"5500 ms\""), None);
}

#[test]
fn printed_values_read_back() {
    for bytes in [0, 1, 1_023, 1_024, 65_536, 65_548, 1 << 20, 1 << 30] {
        let text = Size(0, 1 << 30).print(&bytes);
        assert_eq!(read(&Size(0, 1 << 30), &text), Some(bytes), "{text}");
    }
    for millis in [0, 1, 999, 1_000, 1_001, 60_000, 3_600_000, 172_800_000] {
        let time = Duration::from_millis(millis);
        let text = Time(0, 172_800).print(&time);
        assert_eq!(read(&Time(0, 172_800), &text), Some(time), "{text}");
    }
    let names = vec!["a \"quoted\" one".to_owned(), "zwei, drei".to_owned()];
    assert_eq!(read(&Names(32), &Names(32).print(&names)), Some(names));
}

#[test]
fn lists_take_a_text_with_commas_and_refuse_repeats_and_nothing() {
    assert_eq!(read(&Names(4), "\"a, b\""), Some(vec!["a".to_owned(), "b".to_owned()]));
    for wrong in
        ["[]", "\"\"", "\"a,,b\"", "[\"a\", \"a\"]", "[\"abcde\"]", "[1]", "[\"a\\u0000\"]"]
    {
        assert_eq!(read(&Names(4), wrong), None, "{wrong}");
    }
}

#[test]
fn a_power_of_two_is_one() {
    assert_eq!(read(&PowerOfTwo(64, 1_024), "128"), Some(128));
    for wrong in ["0", "32", "100", "2048"] {
        assert_eq!(read(&PowerOfTwo(64, 1_024), wrong), None, "{wrong}");
    }
}

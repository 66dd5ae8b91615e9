//! Every command has a man page, and shells take the completions.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[test]
fn every_command_has_a_page_and_shells_take_the_completions() {
    let folder = tempfile::tempdir().unwrap();
    let pages = holdfast_packaging::testing::check(env!("CARGO_BIN_EXE_holdfast"), folder.path());
    assert!(pages.contains("holdfast.1") && pages.contains("holdfast-completions.1"), "{pages:?}");
}

#[test]
fn every_setting_is_in_the_page_of_the_configuration() {
    let page = holdfast::config::manual::page("2026-01-01").text();
    let example = include_str!("../gateway.example.toml");
    let plain = |text: &str| text.replace(['\\', '"'], "").replace("(aq", "'");
    let (page, mut settings) = (plain(&page), 0);
    for line in example.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once(" = ") {
            assert!(page.contains(&plain(&format!("fB{key}fR = {value}"))), "{line}");
            settings += 1;
        }
    }
    assert!(settings > 60, "{settings}");
}

//! Every command has a man page, and shells take the completions.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[test]
fn every_command_has_a_page_and_shells_take_the_completions() {
    let folder = tempfile::tempdir().unwrap();
    let pages =
        holdfast_packaging::testing::check(env!("CARGO_BIN_EXE_holdfast-loadgen"), folder.path());
    assert!(
        pages.contains("holdfast-loadgen.1") && pages.contains("holdfast-loadgen-completions.1"),
        "{pages:?}"
    );
}

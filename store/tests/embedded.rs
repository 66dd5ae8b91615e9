//! Claims about the embedded store. Each file is one claim; `support` plays the shards.
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[path = "embedded/a_damaged_byte_is_never_handed_out.rs"]
mod a_damaged_byte_is_never_handed_out;
#[path = "embedded/a_full_disk_is_cleaned.rs"]
mod a_full_disk_is_cleaned;
#[path = "embedded/crashes_lose_nothing_that_was_safe.rs"]
mod crashes_lose_nothing_that_was_safe;
#[path = "embedded/disk_is_given_back.rs"]
mod disk_is_given_back;
#[path = "embedded/failures_are_said_and_get_well.rs"]
mod failures_are_said_and_get_well;
#[path = "embedded/files_work_as_memory_does.rs"]
mod files_work_as_memory_does;
#[path = "embedded/support.rs"]
mod support;
#[path = "embedded/what_is_told_comes_back.rs"]
mod what_is_told_comes_back;

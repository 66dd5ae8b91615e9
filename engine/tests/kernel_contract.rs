//! Each belief of `io.rs` about the kernel, shown on the kernel at hand, for both back ends.
//!
//! A test here that fails on a new kernel names what the engine may no longer lean on.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(missing_docs, reason = "tests are named after what they show")]
#![allow(clippy::cast_possible_truncation, reason = "patterns of bytes wrap on purpose")]

#[path = "kernel_contract/accepting.rs"]
mod accepting;
#[path = "kernel_contract/harness.rs"]
mod harness;
#[path = "kernel_contract/queue_overflow.rs"]
mod queue_overflow;
#[path = "kernel_contract/resting.rs"]
mod resting;
#[path = "kernel_contract/sending.rs"]
mod sending;
#[path = "kernel_contract/shortage.rs"]
mod shortage;
#[path = "kernel_contract/tables.rs"]
mod tables;
#[path = "kernel_contract/waking.rs"]
mod waking;
#[path = "kernel_contract/watching.rs"]
mod watching;

/// Makes one test a back end of each generic function.
macro_rules! on_both {
    ($($group:ident :: $test:ident,)*) => {
        mod on_uring {
            $(#[test] fn $test() {
                if crate::harness::has_uring() {
                    crate::$group::$test::<holdfast::io::uring::Uring>();
                }
            })*
        }
        mod on_epoll {
            $(#[test] fn $test() { crate::$group::$test::<holdfast::io::epoll::Epoll>(); })*
        }
    };
}

on_both! {
    accepting::both_families_and_their_options,
    accepting::stopping_stops_and_starting_goes_on,
    accepting::stop_and_start_in_one_turn,
    accepting::no_descriptor_left_ends_accepting_until_asked_again,
    accepting::dropping_the_world_closes_what_it_accepted,
    accepting::a_storm_is_accepted_whole,
    watching::a_watch_is_reported_once,
    watching::bytes_before_the_watch_are_reported,
    watching::bytes_between_two_watches_are_reported,
    watching::an_end_behind_bytes_is_reported,
    watching::a_reset_is_reported,
    watching::shutting_both_down_ends_an_armed_watch,
    watching::shutting_down_between_watches_is_reported,
    watching::room_to_send_is_reported_where_asked,
    watching::an_armed_watch_can_be_widened,
    watching::widening_too_late_is_harmless,
    watching::what_comes_after_room_to_send_is_not_lost,
    watching::dropping_closes_whatever_the_kernel_still_watches,
    watching::a_late_event_carries_the_old_generation,
    watching::many_watches_each_come_once,
    sending::a_short_send_says_how_much_went,
    sending::the_stream_is_intact_across_short_sends,
    sending::a_batch_reaches_everybody_intact,
    sending::full_and_broken_ones_do_not_disturb_a_batch,
    sending::buffers_are_free_on_return,
    sending::a_broken_peer_is_broken,
    sending::sending_keeps_what_it_finds_of_others,
    sending::shutting_down_the_write_side_ends_the_stream_in_order,
    shortage::a_receive_without_memory_loses_neither_bytes_nor_watch,
    shortage::a_receive_without_memory_is_tried_again_under_every_watch,
    shortage::a_socket_with_room_is_ready_however_often_it_is_asked,
    waking::a_wake_up_before_the_wait_is_not_lost,
    waking::a_wake_up_ends_a_wait,
    waking::wake_ups_never_stop_coming,
    waking::a_wait_ends_after_its_timeout,
    resting::a_client_does_not_end_a_rest_and_is_heard_after_it,
    resting::a_wake_up_ends_a_rest,
    resting::who_connects_ends_a_rest,
    resting::a_hurried_socket_ends_a_rest,
    resting::what_is_not_dealt_with_does_not_end_every_rest,
    resting::a_closed_socket_ends_no_rest,
    tables::a_wake_up_crosses_tables,
}

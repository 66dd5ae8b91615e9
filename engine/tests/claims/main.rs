//! What the gateway promises on bad input and under faults, a claim or a small family a file, shown
//! against real gateways over real sockets.
//!
//! Each claim is a test for each back end; `HOLDFAST_IO=uring` or `epoll` leaves one. No claim
//! rests on how long something took: what does not come fails after [`support::PATIENCE`], and
//! nothing else is timed.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

/// Makes one test for each back end of each `fn claim(io: Which)` of the module.
macro_rules! on_both {
    ($($claim:ident,)*) => {
        mod on_uring {
            $(#[test] fn $claim() {
                if let Some(io) = crate::support::uring() { super::$claim(io); }
            })*
        }
        mod on_epoll {
            $(#[test] fn $claim() {
                if let Some(io) = crate::support::epoll() { super::$claim(io); }
            })*
        }
    };
}

/// Makes one test for each back end and store of each `fn claim(io: Which, store: Store)`.
macro_rules! on_every_store {
    ($($claim:ident,)*) => {
        mod embedded_on_uring {
            $(#[test] fn $claim() {
                let store = crate::support::Store::embedded();
                if let Some(io) = crate::support::uring() { super::$claim(io, &store); }
            })*
        }
        mod embedded_on_epoll {
            $(#[test] fn $claim() {
                let store = crate::support::Store::embedded();
                if let Some(io) = crate::support::epoll() { super::$claim(io, &store); }
            })*
        }
        mod redis_on_uring {
            $(#[test] fn $claim() {
                let store = crate::support::Store::redis();
                if let Some(io) = crate::support::uring() { super::$claim(io, &store); }
            })*
        }
        mod redis_on_epoll {
            $(#[test] fn $claim() {
                let store = crate::support::Store::redis();
                if let Some(io) = crate::support::epoll() { super::$claim(io, &store); }
            })*
        }
    };
}

mod support;

mod a_flood_of_frames_is_closed;
mod a_session_that_was_kicked_is_over;
mod backends_are_told_what_they_did_wrong;
mod broadcasts_reach_whom_they_are_for;
mod durable_broadcasts_reach_everybody_once;
mod durable_messages_reach_their_user;
mod frames_may_be_cut_anywhere;
mod heartbeats_of_an_idle_shard_gather;
mod hosts_share_a_store;
mod hosts_share_a_user;
mod idempotent_retries_make_one_message;
mod leaving_is_in_order;
mod logins_under_load_lose_nothing;
mod mailboxes_have_bounds;
mod malformed_input_is_refused_with_its_code;
mod more_at_once_than_a_queue_holds_is_served;
mod openers_that_claim_much_hold_little;
mod order_and_completeness_across_shards;
mod redelivery_ends_in_quarantine;
mod resets_at_each_stage_leave_nothing_behind;
mod running_out_of_descriptors_pauses_accepting;
mod second_login_replaces_the_first;
mod sessions_outlive_their_connection;
mod silent_peers_are_closed;
mod slow_reader_does_not_stall_others;
mod stale_address_reaches_nobody;
mod the_log_names_who_was_refused;
mod the_process_ends_clearly;
mod the_service_manager_is_told;
mod the_store_may_be_away;
mod the_wire_is_kept_small;
mod tokens_decide_who_logs_in;

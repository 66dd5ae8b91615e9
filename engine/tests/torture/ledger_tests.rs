//! The ledger finds each promise broken, and nothing where none is.

use crate::ledger::{Got, Kind, Ledger, Sums};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::DropReason;

const DURABLE: Kind = Kind { durable: true, keyed: true, receipt: true, short: false, size: 64 };

/// A message that is on its way to user 0.
fn sent(ledger: &mut Ledger, kind: Kind) -> u64 {
    let id = ledger.make(0, kind);
    ledger.tried(id);
    id
}

fn ledger() -> Ledger {
    Ledger::new(vec![None, None])
}

const fn got(sequence: u64, id: u64, again: bool) -> Got {
    Got { sequence, id, durable: true, again }
}

#[track_caller]
fn finds(ledger: &Ledger, words: &str) {
    let faults = ledger.faults();
    assert!(faults.len() == 1 && faults[0].contains(words), "{faults:?}");
}

/// Two messages, both stored; they are 0 and 1, under 5 and 7.
fn two() -> Ledger {
    let mut ledger = ledger();
    for sequence in [5, 7] {
        let id = sent(&mut ledger, DURABLE);
        ledger.answered(id, Outcome::Stored(sequence));
    }
    ledger.welcomed(0, None, 8);
    ledger
}

#[test]
fn what_is_received_in_order_and_acknowledged_is_right() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.got(0, got(7, 1, false));
    ledger.acked(0, 7);
    ledger.receipt(0, 5, Outcome::Acked(5));
    ledger.close();
    let sums = Sums { accepted: 2, acked: 2, receipts: 1, ..Sums::default() };
    assert_eq!(ledger.sums(), (sums, Vec::new()));
    assert!(ledger.faults().is_empty(), "{:?}", ledger.faults());
}

#[test]
fn a_message_that_never_came_is_missing() {
    let mut ledger = two();
    ledger.got(0, got(7, 1, false));
    ledger.acked(0, 7);
    let (sums, missing) = ledger.sums();
    assert_eq!((sums.acked, sums.missing, missing.len()), (1, 1, 1));
}

#[test]
fn what_was_received_and_not_acknowledged_is_missing() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.got(0, got(7, 1, false));
    ledger.acked(0, 5);
    assert_eq!(ledger.sums().0.missing, 1);
}

#[test]
fn what_comes_behind_a_later_one_is_out_of_order() {
    let mut ledger = two();
    ledger.got(0, got(7, 1, false));
    ledger.got(0, got(5, 0, true));
    finds(&ledger, "came behind 7");
}

#[test]
fn what_comes_again_must_say_so() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.got(0, got(5, 0, true));
    assert!(ledger.faults().is_empty());
    ledger.got(0, got(5, 0, false));
    finds(&ledger, "does not say so");
}

#[test]
fn a_number_has_one_message() {
    let mut ledger = two();
    ledger.got(0, got(5, 1, false));
    finds(&ledger, "a delivery says that 5 is 1; it was 0");
}

#[test]
fn a_message_has_two_numbers_only_if_it_was_sent_twice() {
    let mut ledger = ledger();
    let id = sent(&mut ledger, DURABLE);
    ledger.got(0, got(5, id, false));
    ledger.killed();
    ledger.tried(id);
    ledger.got(0, got(9, id, false));
    ledger.answered(id, Outcome::Stored(9));
    ledger.close();
    assert!(ledger.faults().is_empty(), "{:?}", ledger.faults());
    ledger.got(0, got(12, id, false));
    finds(&ledger, "under 3 numbers");
}

#[test]
fn a_key_makes_one_message_of_two_pushes() {
    let mut ledger = ledger();
    let id = sent(&mut ledger, DURABLE);
    ledger.killed();
    ledger.got(0, got(5, id, true));
    ledger.tried(id);
    ledger.answered(id, Outcome::Stored(9));
    finds(&ledger, "was stored under 5 and 9");
}

#[test]
fn one_that_was_answered_comes_under_no_other_number() {
    let mut ledger = ledger();
    let id = sent(&mut ledger, DURABLE);
    ledger.answered(id, Outcome::Stored(9));
    ledger.got(0, got(12, id, false));
    ledger.close();
    finds(&ledger, "under another number");
}

#[test]
fn an_acknowledgement_that_was_taken_lasts_until_a_kill() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.acked(0, 5);
    ledger.confirmed(0, 5);
    // What was on its way already.
    ledger.got(0, got(5, 0, true));
    ledger.killed();
    ledger.connects(0);
    ledger.got(0, got(5, 0, true));
    assert!(ledger.faults().is_empty());
    ledger.confirmed(0, 5);
    ledger.connects(0);
    ledger.got(0, got(5, 0, true));
    finds(&ledger, "5 was acknowledged for certain");
}

#[test]
fn one_that_was_kept_lasts_over_a_kill() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.acked(0, 5);
    ledger.confirmed(0, 5);
    ledger.ended();
    ledger.killed();
    ledger.connects(0);
    ledger.got(0, got(5, 0, true));
    finds(&ledger, "5 was acknowledged for certain");
}

#[test]
fn one_that_was_taken_while_the_store_was_away_lasts_too() {
    let mut ledger = two();
    ledger.store_away(true);
    ledger.connects(0);
    ledger.welcomed(0, None, 8);
    ledger.got(0, got(5, 0, false));
    ledger.acked(0, 5);
    ledger.confirmed(0, 5);
    ledger.store_away(false);
    assert!(ledger.faults().is_empty());
    ledger.connects(0);
    ledger.got(0, got(5, 0, true));
    finds(&ledger, "5 was acknowledged for certain");
}

#[test]
fn what_a_client_resumed_with_while_the_store_was_away_does_not_come() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.store_away(true);
    ledger.connects(0);
    ledger.welcomed(0, Some(5), 8);
    ledger.store_away(false);
    ledger.got(0, got(5, 0, true));
    finds(&ledger, "5 was acknowledged for certain");
}

#[test]
fn an_end_in_order_without_its_store_keeps_nothing() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.acked(0, 5);
    ledger.confirmed(0, 5);
    ledger.store_away(true);
    ledger.ended();
    ledger.store_away(false);
    ledger.connects(0);
    ledger.got(0, got(5, 0, true));
    assert!(ledger.faults().is_empty(), "{:?}", ledger.faults());
}

#[test]
fn what_a_client_resumed_with_does_not_come() {
    let mut ledger = two();
    ledger.got(0, got(5, 0, false));
    ledger.welcomed(0, Some(5), 8);
    ledger.got(0, got(5, 0, true));
    finds(&ledger, "5 was acknowledged for certain");
}

#[test]
fn a_sequence_never_falls_back() {
    let mut ledger = two();
    ledger.got(0, got(7, 1, false));
    ledger.connects(0);
    ledger.welcomed(0, None, 7);
    finds(&ledger, "the next sequence is 7");
}

#[test]
fn what_nobody_sent_and_what_others_got_is_wrong() {
    let mut ledger = two();
    ledger.got(0, got(9, 17, false));
    finds(&ledger, "which nobody sent");
    let mut ledger = two();
    ledger.got(1, got(5, 0, false));
    finds(&ledger, "which is of 0");
}

#[test]
fn nothing_is_acked_that_no_client_acknowledged() {
    let mut ledger = two();
    ledger.receipt(0, 5, Outcome::Acked(5));
    finds(&ledger, "the client said 0");
    let mut ledger = two();
    let id = sent(&mut ledger, DURABLE);
    ledger.answered(id, Outcome::Acked(9));
    finds(&ledger, "the client said 0");
}

#[test]
fn only_a_full_mailbox_makes_room() {
    let mut ledger = Ledger::new(vec![Some(1), None]);
    for sequence in [5, 7] {
        let id = sent(&mut ledger, DURABLE);
        ledger.answered(id, Outcome::Stored(sequence));
    }
    ledger.got(0, got(7, 1, false));
    ledger.acked(0, 7);
    ledger.receipt(0, 5, Outcome::Dropped(DropReason::MadeRoom));
    assert_eq!((ledger.sums().0.dropped, ledger.faults().len()), (1, 0));
    let mut other = two();
    other.receipt(0, 5, Outcome::Dropped(DropReason::MadeRoom));
    finds(&other, "has the receipt");
}

#[test]
fn what_made_room_comes_back_after_a_kill_alone() {
    let mut ledger = Ledger::new(vec![Some(1)]);
    for sequence in [5, 7] {
        let id = sent(&mut ledger, DURABLE);
        ledger.answered(id, Outcome::Stored(sequence));
    }
    ledger.got(0, got(7, 1, false));
    ledger.killed();
    ledger.got(0, got(5, 0, true));
    assert!(ledger.faults().is_empty(), "{:?}", ledger.faults());
    let mut other = Ledger::new(vec![Some(1)]);
    for _ in 0..2 {
        sent(&mut other, DURABLE);
    }
    other.got(0, got(7, 1, false));
    other.got(0, got(5, 0, true));
    finds(&other, "came behind 7");
}

#[test]
fn what_is_short_lived_may_expire_and_nothing_else() {
    let mut ledger = ledger();
    let id = sent(&mut ledger, Kind { short: true, ..DURABLE });
    ledger.answered(id, Outcome::Stored(5));
    ledger.receipt(0, 5, Outcome::Expired);
    assert_eq!((ledger.sums().0.expired, ledger.faults().len()), (1, 0));
    let mut other = two();
    other.receipt(0, 5, Outcome::Expired);
    finds(&other, "has the receipt");
}

#[test]
fn what_was_refused_does_not_come() {
    let mut ledger = ledger();
    let id = sent(&mut ledger, Kind { durable: false, ..DURABLE });
    ledger.answered(id, Outcome::Offline);
    ledger.got(0, Got { sequence: 5, id, durable: false, again: false });
    ledger.close();
    finds(&ledger, "was refused and came");
}

#[test]
fn an_answer_comes_once() {
    let mut ledger = two();
    ledger.answered(0, Outcome::Stored(5));
    finds(&ledger, "answered twice");
}

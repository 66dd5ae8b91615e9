//! Every class of the verdict, and that the sums close.

use super::super::away::{Away, Why};
use super::*;
use crate::schedule::{Order, Piece, rhythm::Rhythm, size::Sizes};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::backend::answer::DropReason;

const START: u64 = 5_000 * crate::clock::MILLISECOND;

fn schedule(count: u64, durable: f64) -> Schedule {
    let piece = Piece {
        step: 0,
        from: 0,
        count,
        rate: 1_000,
        rhythm: Rhythm::Even,
        burst: 1,
        scatter: false,
        order: Order::Sequential,
        sizes: Sizes::uniform(64, 64),
        durable,
    };
    Schedule::new(vec![piece], 100, 1)
}

fn judged(ledger: &Ledger, sent: u64, away: Vec<Away>) -> Pushes {
    judged_as(ledger, (sent, 0.0, false), away)
}

fn judged_as(ledger: &Ledger, (sent, share, expires): (u64, f64, bool), away: Vec<Away>) -> Pushes {
    let schedule = schedule(10, share);
    let absences = Absences::new(away);
    let evidence = Evidence {
        schedule: &schedule,
        ledger,
        offered: 10,
        sent,
        start: START,
        absences: &absences,
        expires,
    };
    let sum = pushes(&evidence);
    assert!(sum.closes(), "{sum:?}");
    sum
}

fn reasons(pairs: &[(&str, u64)]) -> Reasons {
    pairs.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[test]
fn every_message_falls_into_its_class() {
    let ledger = Ledger::new(10);
    let delivered = Code::of(Outcome::Delivered(1));
    ledger.answered(0, delivered, 5_001);
    ledger.arrived(0);
    ledger.answered(1, delivered, 5_002);
    ledger.answered(2, Code::of(Outcome::Offline), 5_003);
    ledger.answered(3, Code::of(Outcome::Dropped(DropReason::OutboxFull)), 5_004);
    ledger.answered(4, Code::NO_ANSWER, 5_004);
    ledger.arrived(5);
    ledger.answered(6, Code::of(Outcome::Offline), 5_007);
    ledger.arrived(6);
    ledger.answered(7, delivered, 5_010);
    ledger.answered(8, Code::CUT_OFF, 5_010);
    let away = vec![Away { user: 7, from: 5_009, until: 5_300, why: Why::Churned }];
    let sum = judged(&ledger, 9, away);
    assert_eq!((sum.offered, sum.delivered, sum.contradicted, sum.accepted), (10, 3, 1, 3));
    assert_eq!(sum.refused, reasons(&[("offline", 1), ("outbox_full", 1), ("never_sent", 1)]));
    assert_eq!(sum.gone, reasons(&[("client_dropped", 1)]));
    assert_eq!(sum.lost, reasons(&[("answered_delivered", 1)]));
    assert_eq!(sum.unanswered, reasons(&[("no_answer", 1), ("connection_ended", 1)]));
}

#[test]
fn a_drop_long_before_or_after_excuses_nothing() {
    let ledger = Ledger::new(10);
    for number in 0..10 {
        ledger.answered(number, Code::of(Outcome::Delivered(1)), 5_020);
    }
    let away = vec![
        Away { user: 3, from: 1_000, until: 1_200, why: Why::Churned },
        Away { user: 4, from: 5_021, until: 6_000, why: Why::Ended },
    ];
    let sum = judged(&ledger, 10, away);
    assert_eq!(sum.lost_total(), 10);
}

#[test]
fn being_away_excuses_nothing_that_is_durable() {
    let ledger = Ledger::new(10);
    for number in 0..10 {
        ledger.answered(number, Code::of(Outcome::Stored(1)), 5_020);
    }
    ledger.arrived(0);
    let away = |user| Away { user, from: 5_000, until: u32::MAX, why: Why::Churned };
    let sum = judged_as(&ledger, (10, 1.0, false), (0..10).map(away).collect());
    assert_eq!((sum.delivered, sum.stored, sum.lost_total()), (1, 10, 9));
    let sum = judged_as(&ledger, (10, 1.0, true), (0..10).map(away).collect());
    assert_eq!((sum.lost_total(), sum.gone), (0, reasons(&[("time_to_live", 9)])));
}

#[test]
fn broadcast_pairs_fall_into_their_classes() {
    let refused = Some("too_many_jobs".to_owned());
    let sent = [
        Sent { at: 100, dropped: 1, ..Sent::default() },
        Sent { number: 1, at: 200, refused, ..Sent::default() },
        Sent { number: 2, at: 200, dropped: 1, cancelled: 2, ..Sent::default() },
        Sent { number: 3, at: 200, unanswered: Some("no_answer".to_owned()), ..Sent::default() },
    ];
    let heard = [
        Heard { product: 0, broadcasts: 0b01, since: 10 },
        Heard { product: 0, broadcasts: 0, since: 10 },
        Heard { product: 0, broadcasts: 0, since: 20 },
        Heard { product: 0, broadcasts: 0, since: 150 },
        Heard { product: 0, broadcasts: 0, since: u32::MAX },
        Heard { product: 1, broadcasts: 0, since: 10 },
    ];
    let sum = broadcasts(&sent, &copies(&sent, &heard));
    assert!(sum.closes(), "{sum:?}");
    assert_eq!((sum.started, sum.offered, sum.delivered, sum.lost), (4, 20, 1, 2));
    assert_eq!(sum.unanswered, reasons(&[("no_answer", 4)]));
    assert_eq!(sum.refused, reasons(&[("dropped", 2), ("cancelled", 2), ("too_many_jobs", 4)]));
    assert_eq!(sum.gone, 5);
}

#[test]
fn a_broadcast_is_owed_to_the_users_of_its_product_alone() {
    let sent = [Sent { product: 1, at: 100, ..Sent::default() }];
    let heard = [
        Heard { product: 0, broadcasts: 0, since: 10 },
        Heard { product: 1, broadcasts: 1, since: 10 },
        Heard { product: 1, broadcasts: 0, since: 10 },
    ];
    let sum = broadcasts(&sent, &copies(&sent, &heard));
    assert_eq!((sum.offered, sum.delivered, sum.lost), (2, 1, 1));
}

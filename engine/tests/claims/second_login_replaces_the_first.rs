//! A user has one session: who logs in again ends the one before, which is told so, and what is
//! pushed afterwards reaches the new one alone.

use crate::support::{Gateway, Said, Which};
use holdfast_protocol::backend::Outcome;
use holdfast_protocol::close::Code;

on_both! {
    the_old_one_is_told_why,
    pushes_reach_the_new_one_alone,
    the_sequence_goes_on,
}

fn expect_replaced(said: [Said; 3]) {
    let [kick, close, end] = said;
    assert!(matches!(kick, Said::Kick { code: 3508, .. }), "{kick:?}");
    assert!(matches!(close, Said::Close { code: 3508, .. }), "{close:?}");
    assert_eq!(end, Said::End);
}

fn the_old_one_is_told_why(io: Which) {
    let gateway = Gateway::start(io, &[]);
    // Several in a row, so that both shards are the old one's and the new one's.
    let mut old = gateway.client("ann");
    for _ in 0..8 {
        let mut new = gateway.client("ann");
        expect_replaced([old.hear(), old.hear(), old.hear()]);
        new.hears_nothing_else();
        old = new;
    }
    assert_eq!(gateway.count(&format!("closes.{}", Code::Replaced.name())), 8);
}

fn pushes_reach_the_new_one_alone(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut backend = gateway.backend();
    let mut old = gateway.client("ann");
    let mut new = gateway.client("ann");
    assert!(matches!(backend.push_one("ann", b"x"), Outcome::Delivered(_)));
    assert_eq!(new.push().1, b"x");
    expect_replaced([old.hear(), old.hear(), old.hear()]);
    assert_eq!(backend.online(&["ann"]), [1]);
}

fn the_sequence_goes_on(io: Which) {
    let gateway = Gateway::start(io, &[]);
    let mut backend = gateway.backend();
    let old = gateway.client("ann");
    assert_eq!(old.welcome.next_sequence, 1);
    assert_eq!(backend.push_one("ann", b"x"), Outcome::Delivered(1));
    let mut new = gateway.client("ann");
    assert_eq!(new.welcome.next_sequence, 2);
    assert_eq!(backend.push_one("ann", b"y"), Outcome::Delivered(2));
    assert_eq!(new.push(), (2, b"y".to_vec()));
}

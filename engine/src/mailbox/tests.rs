//! What a mailbox keeps, lets go of, and sends again.

use super::merge::{Answer, Merged};
use super::*;

const BOUNDS: Bounds = Bounds { messages: 3, bytes: 100 };
const REDELIVERY: Redelivery = Redelivery { after: 30, at_most: 600, rounds: 2 };
const HOME: HomeId = HomeId { slot: 0, generation: 0 };

fn session(slot: u32) -> ConnectionId {
    ConnectionId { shard: 0, slot, generation: 0 }
}

fn filled(sequences: &[u64]) -> Mailbox {
    let mut mailbox = Mailbox::new(HOME);
    for (ticket, &sequence) in (0..).zip(sequences) {
        mailbox.push(sequence, 10, 1000, ticket);
    }
    mailbox
}

fn held(mailbox: &Mailbox) -> Vec<u64> {
    mailbox.entries().map(|entry| entry.sequence).collect()
}

#[test]
fn it_takes_what_its_bounds_allow() {
    let mut mailbox = filled(&[1, 2]);
    assert!(mailbox.has_room(80, BOUNDS) && !mailbox.has_room(81, BOUNDS));
    mailbox.push(5, 80, 1000, 2);
    assert!(!mailbox.has_room(0, BOUNDS), "three messages are enough");
    assert_eq!((mailbox.first(), mailbox.last(), mailbox.bytes()), (1, 5, 100));
}

#[test]
fn an_acknowledgement_covers_no_more_than_was_sent() {
    let mut mailbox = filled(&[1, 2, 5]);
    assert_eq!(mailbox.covered(9), None, "nothing was sent");
    mailbox.hand_over(2, 0, REDELIVERY);
    assert_eq!(mailbox.covered(9), Some(2));
    assert_eq!(mailbox.covered(1), Some(1));
    assert_eq!(mailbox.covered(0), None);
    mailbox.pop();
    mailbox.pop();
    assert_eq!(mailbox.covered(9), None, "what is left was not sent");
}

#[test]
fn what_was_recovered_may_have_been_sent() {
    let kept = Kept {
        sequence: 7,
        place: Place { segment: 1, offset: 2 },
        length: 10,
        expires: 1000,
        receipt: Some("billing".into()),
    };
    let mut mailbox = Mailbox::recovered(HOME, vec![kept]);
    assert_eq!(mailbox.covered(9), Some(7));
    assert!(mailbox.hand_over(7, 0, REDELIVERY), "it may come a second time");
    let gone = mailbox.pop().unwrap();
    assert_eq!(gone.subscriber.unwrap().name, "billing");
    assert_eq!(gone.entry.place(), Some(Place { segment: 1, offset: 2 }));
}

#[test]
fn redelivery_backs_off_and_ends_in_quarantine() {
    let mut mailbox = filled(&[1]);
    assert!(!mailbox.is_due(u32::MAX - 1), "what was not sent is not sent again");
    assert!(!mailbox.hand_over(1, 100, REDELIVERY));
    assert!(!mailbox.is_due(129) && mailbox.is_due(130));
    assert!(mailbox.again(130, REDELIVERY));
    assert!(!mailbox.is_due(189) && mailbox.is_due(190));
    assert!(mailbox.again(190, REDELIVERY));
    assert!(!mailbox.again(310, REDELIVERY));
    assert!(mailbox.is_quarantined() && !mailbox.is_due(u32::MAX));
    assert!(mailbox.progressed(400, REDELIVERY), "it was let out");
    assert!(!mailbox.is_due(429) && mailbox.is_due(430));
}

#[test]
fn a_client_that_acknowledges_has_its_full_time_for_the_next() {
    let mut mailbox = filled(&[1]);
    mailbox.hand_over(1, 100, REDELIVERY);
    mailbox.progressed(110, REDELIVERY);
    mailbox.pop();
    mailbox.push(2, 10, 1000, 1);
    mailbox.hand_over(2, 139, REDELIVERY);
    assert!(!mailbox.is_due(168) && mailbox.is_due(169));
}

#[test]
fn a_slice_is_stored_or_not_and_bounded() {
    let mut mailbox = filled(&[1, 2, 3, 4, 5]);
    (1..=4).for_each(|sequence| {
        let stored = mailbox.stored(sequence, Place { segment: 1, offset: 0 });
        assert!(stored);
    });
    let slice = |mailbox: &Mailbox, cursor, unix| {
        let slice = mailbox.next_slice(cursor, unix, BOUNDS);
        slice.iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(slice(&mailbox, 0, 1000), [1, 2, 3], "three messages at most");
    assert_eq!(slice(&mailbox, 3, 1000), [4], "five is not stored");
    assert_eq!(slice(&mailbox, 4, 1000), [5]);
    assert_eq!(slice(&mailbox, 0, 1001), [0; 0], "all is out of date");
    mailbox.take(2);
    assert_eq!(slice(&mailbox, 0, 1000), [1, 3, 4]);
    assert!(!mailbox.stored(2, Place::default()), "it is not wanted any more");
}

#[test]
fn feeds_are_of_sessions_that_are_behind() {
    let mut mailbox = filled(&[1]);
    mailbox.set_feed(session(1), 0, Waits::Room);
    mailbox.set_feed(session(1), 1, Waits::Store(3));
    assert_eq!(mailbox.feeds(), 1);
    assert!(mailbox.is_behind(session(1)) && !mailbox.is_behind(session(2)));
    assert_eq!(mailbox.feed(session(1)).unwrap().waits, Waits::Store(3));
    mailbox.end_feed(session(1));
    assert_eq!((mailbox.feeds(), mailbox.feed(session(1))), (0, None));
}

#[test]
fn who_refuses_several_is_fed_each_once() {
    let mut mailbox = filled(&[4, 5, 6, 9]);
    assert!(mailbox.stuck(session(1), 5));
    let fed =
        |mailbox: &mut Mailbox| mailbox.feed(session(1)).map(|feed| (feed.cursor, feed.waits));
    assert_eq!(fed(&mut mailbox), Some((4, Waits::Room)));
    mailbox.set_feed(session(1), 4, Waits::Store(7));
    assert!(!mailbox.stuck(session(1), 6) && !mailbox.stuck(session(1), 5));
    assert_eq!(fed(&mut mailbox), Some((4, Waits::Store(7))), "they come with what it waits for");
    mailbox.set_feed(session(1), 6, Waits::Room);
    assert!(mailbox.stuck(session(1), 5), "what it was handed comes once more");
    assert_eq!(fed(&mut mailbox), Some((4, Waits::Room)));
}

#[test]
fn expired_messages_are_found_wherever_they_stand() {
    let mut mailbox = filled(&[1]);
    mailbox.push(2, 10, 500, 1);
    mailbox.push(3, 10, 2000, 2);
    assert_eq!(mailbox.expired(500), [0; 0]);
    assert_eq!(mailbox.expired(1001), [1, 2]);
    assert_eq!(mailbox.take(2).unwrap().entry.sequence, 2);
    assert_eq!(held(&mailbox), [1, 3]);
}

fn kept(sequence: u64) -> Kept {
    Kept { sequence, place: Place::default(), length: 10, expires: 1000, receipt: None }
}

/// Takes in what a store says that was asked when so much was known as is.
fn merge(mailbox: &mut Mailbox, sequences: &[u64], last: u64) -> Merged {
    let kept = sequences.iter().copied().map(kept).collect();
    mailbox.merge(Answer { kept, last, asked: mailbox.known() }, 1000)
}

fn new_from(first: u64) -> Merged {
    Merged { first: Some(first), lost: Vec::new() }
}

/// What a shared store has, with these on their way.
fn shared(stored: &[u64], on_their_way: &[u64]) -> Mailbox {
    let last = stored.last().copied().unwrap_or(0);
    let kept = stored.iter().copied().map(kept).collect();
    let mut mailbox = Mailbox::recovered(HOME, kept).shared(last);
    for (ticket, &sequence) in (0..).zip(on_their_way) {
        mailbox.push(sequence, 10, 1000, ticket);
    }
    mailbox
}

#[test]
fn what_another_host_put_there_is_taken_in_its_order() {
    let mut mailbox = shared(&[2, 5], &[]);
    assert_eq!(merge(&mut mailbox, &[2, 5], 5), Merged::default(), "that is here");
    assert_eq!(merge(&mut mailbox, &[2, 5, 6, 8], 9), new_from(6));
    assert_eq!((held(&mailbox), mailbox.bytes()), (vec![2, 5, 6, 8], 40));
    assert_eq!((mailbox.sent(), mailbox.behind()), (8, (9, false)), "it may have been sent there");
    let answer = Answer { kept: vec![kept(10)], last: 10, asked: 9 };
    assert_eq!(mailbox.merge(answer, 1001), Merged::default(), "it is out of date");
}

#[test]
fn each_message_goes_behind_the_one_before_it() {
    let mut mailbox = shared(&[3], &[]);
    assert_eq!(mailbox.behind(), (3, false));
    mailbox.push(7, 10, 1000, 0);
    assert_eq!(mailbox.behind(), (7, true));
    mailbox.push(8, 10, 1000, 1);
    mailbox.stored(7, Place::default());
    assert_eq!((mailbox.known(), mailbox.behind()), (7, (8, true)));
    mailbox.stored(8, Place::default());
    // Whether the store has what failed is not known: it is asked for with the next.
    mailbox.push(9, 10, 1000, 2);
    mailbox.take(9);
    mailbox.unsettled(9);
    assert_eq!(mailbox.behind(), (8, false));
    mailbox.unsettled(8);
    assert_eq!((mailbox.known(), mailbox.forgets(8)), (7, 7), "nor is it acknowledged unread");
}

#[test]
fn what_may_be_refused_stays_and_holds_up_what_is_behind_it() {
    let mut mailbox = shared(&[2], &[7]);
    // The store had 7 when it answered, but has not said yet that it is safe.
    assert_eq!(merge(&mut mailbox, &[2, 7, 9], 9), Merged::default(), "9 waits for 7");
    assert_eq!(held(&mailbox), [2, 7, 9]);
    let slice = |mailbox: &Mailbox| {
        let slice = mailbox.next_slice(0, 0, BOUNDS);
        slice.iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(slice(&mailbox), [2]);
    assert_eq!(mailbox.expired(1001), [2, 9]);
    assert_eq!(mailbox.forgets(20), 9);
    assert_eq!(mailbox.waited_for(2), None);
    assert_eq!(mailbox.waited_for(7), None, "it is not stored yet");
    assert_eq!(mailbox.pop().map(|gone| gone.entry.sequence), Some(2));
    assert_eq!(mailbox.pop(), None);
    mailbox.stored(7, Place::default());
    assert_eq!(mailbox.waited_for(7), Some(9));
    assert_eq!(slice(&mailbox), [7, 9]);
}

#[test]
fn a_message_of_another_host_under_the_same_number_is_not_taken_for_the_own_one() {
    let mut mailbox = shared(&[2], &[3]);
    // The other host stored 3 and 4 while this one's was on its way, which is then refused.
    assert_eq!(merge(&mut mailbox, &[2, 3, 4], 4), Merged::default());
    mailbox.unsettled(3);
    mailbox.take(3);
    assert!(mailbox.has_a_gap());
    assert_eq!(mailbox.waited_for(3), None, "4 does not come before the other 3");
    assert!(mailbox.next_slice(2, 0, BOUNDS).is_empty());
    assert_eq!(merge(&mut mailbox, &[2, 3, 4], 4), new_from(3));
    assert!(!mailbox.has_a_gap());
}

#[test]
fn what_had_to_wait_for_what_has_gone_is_sent_when_that_is_known() {
    let mut mailbox = shared(&[2], &[3]);
    merge(&mut mailbox, &[2, 3, 4], 4);
    mailbox.unsettled(3);
    mailbox.take(3);
    assert_eq!(merge(&mut mailbox, &[2, 4], 4), new_from(4));
}

#[test]
fn what_left_does_not_come_back() {
    let mut mailbox = shared(&[2, 5], &[]);
    mailbox.pop();
    assert_eq!(mailbox.forgets(2), 2);
    assert_eq!(merge(&mut mailbox, &[2, 5, 7], 7), new_from(7));
    assert_eq!(held(&mailbox), [5, 7]);
}

#[test]
fn what_came_elsewhere_ends_no_quarantine() {
    let mut mailbox = shared(&[2], &[]);
    mailbox.hand_over(2, 0, REDELIVERY);
    for _ in 0..3 {
        mailbox.again(0, REDELIVERY);
    }
    assert!(mailbox.is_quarantined());
    assert_eq!(merge(&mut mailbox, &[2, 7], 7), new_from(7));
    assert_eq!(mailbox.covered(7), Some(2), "it was sent to nobody here");
}

#[test]
fn what_left_at_another_host_leaves_here_too() {
    let mut mailbox = shared(&[], &[2, 5, 9]);
    for sequence in [2, 5, 9] {
        assert!(mailbox.stored(sequence, Place::default()));
    }
    mailbox.push(10, 10, 1000, 3);
    let name = "billing".into();
    mailbox.subscribe(2, Subscriber { connection: None, name });
    let answer = Answer { kept: vec![kept(5)], last: 5, asked: 5 };
    assert_eq!(mailbox.merge(answer, 1000), Merged::default());
    assert_eq!(held(&mailbox), [5, 9, 10], "10 is on its way, and 9 came after the answer");
    assert_eq!((mailbox.bytes(), mailbox.known()), (30, 9));
    assert!(mailbox.attention.unwrap().subscribers.is_empty());
}

#[test]
fn what_a_store_has_lost_is_known() {
    let mut mailbox = shared(&[2, 5, 9], &[]);
    mailbox.pop();
    let merged = merge(&mut mailbox, &[2, 4], 4);
    assert_eq!((merged.first, merged.lost), (Some(2), vec![5, 9]));
    assert_eq!((mailbox.known(), mailbox.behind()), (4, (4, false)));
}

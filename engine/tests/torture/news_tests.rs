//! Each promise of broadcasts, broken, is found, and nothing where none is.

use crate::news::News;
use crate::plan::{USERS, Who, is_tagged};
use holdfast_client::{Job, JobState};

const FIRST: Who = Who { user: 0, device: 0 };
/// Of the product whose users have several devices.
const SHARED: usize = 2;

fn job(number: u64) -> Job {
    let state = JobState::Running;
    Job { id: number + 100, state, sequence: number, total: 0, delivered: 0, dropped: 0 }
}

/// A broadcast that was answered with this number.
fn began(news: &mut News, number: u64) -> u64 {
    let id = news.make(0, false, 40);
    news.tried(id);
    news.began(id, &job(number));
    id
}

/// One broadcast, of number 5, that the first user had.
fn had() -> (News, u64) {
    let mut news = News::new(USERS);
    let id = began(&mut news, 5);
    news.connects(FIRST, 3);
    news.got(FIRST, 5, id, false);
    news.confirmed(FIRST, news.moment(), news.moment());
    assert!(news.faults.is_empty(), "{:?}", news.faults);
    (news, id)
}

#[track_caller]
fn finds(news: &News, words: &str) {
    assert!(news.faults.len() == 1 && news.faults[0].contains(words), "{:?}", news.faults);
}

#[test]
fn who_never_had_it_is_missing() {
    let (mut news, id) = had();
    let before = news.missing().len();
    assert!(before > 0 && !news.is_everywhere(id));
    let who = Who { user: 3, device: 0 };
    news.connects(who, 0);
    news.got(who, 5, id, false);
    assert_eq!((news.missing().len(), news.sums().came), (before - 1, 2));
    news.unwanted(id);
    assert!(news.missing().is_empty(), "nobody needs what was cancelled");
}

#[test]
fn it_comes_once_in_a_life() {
    let (mut news, id) = had();
    news.connects(FIRST, 0);
    news.got(FIRST, 5, id, false);
    finds(&news, "it had it");
}

#[test]
fn it_comes_again_where_the_client_does_not_know_of_it() {
    let (mut news, id) = had();
    news.connects(FIRST, 4);
    news.got(FIRST, 5, id, true);
    assert!(news.faults.is_empty(), "{:?}", news.faults);
    news.connects(FIRST, 0);
    news.got(FIRST, 5, id, true);
    finds(&news, "it resumed with 0");
}

#[test]
fn who_is_let_in_while_the_store_is_away_does_not_have_it_again() {
    let (mut news, id) = had();
    news.store_away(true);
    news.connects(FIRST, 0);
    news.store_away(false);
    news.got(FIRST, 5, id, false);
    finds(&news, "it had it");
}

#[test]
fn a_kill_may_repeat_it_and_an_end_in_order_may_not() {
    let (mut news, id) = had();
    news.over(false);
    news.connects(FIRST, 6);
    news.got(FIRST, 5, id, false);
    assert!(news.faults.is_empty(), "{:?}", news.faults);
    news.leaves();
    news.over(true);
    news.connects(FIRST, 6);
    news.got(FIRST, 5, id, false);
    finds(&news, "it had it");
}

#[test]
fn what_a_client_resumed_with_does_not_come() {
    let (mut news, id) = had();
    news.over(false);
    news.connects(FIRST, 5);
    news.got(FIRST, 5, id, false);
    finds(&news, "it resumed with that");
}

#[test]
fn what_was_there_before_comes_in_order() {
    let (mut news, first) = had();
    let second = began(&mut news, 6);
    let who = Who { user: 3, device: 0 };
    news.connects(who, 0);
    news.got(who, 6, second, false);
    news.got(who, 5, first, false);
    finds(&news, "it came behind 6");
}

/// Who has not had the broadcast of [`had`].
const LATER: Who = Who { user: 3, device: 0 };

#[test]
fn what_was_stopped_reaches_nobody_who_comes() {
    for for_good in [true, false] {
        let (mut news, id) = had();
        news.stopped(id, for_good);
        news.connects(LATER, 0);
        news.got(LATER, 5, id, false);
        finds(&news, "it was stopped before");
    }
}

#[test]
fn what_was_on_its_way_as_it_was_stopped_comes_until_the_gateway_answers() {
    for for_good in [true, false] {
        let (mut news, id) = had();
        news.connects(LATER, 0);
        let before = news.moment();
        news.stopped(id, for_good);
        // That was asked before.
        news.confirmed(LATER, before, news.moment());
        news.got(LATER, 5, id, false);
        assert!(news.faults.is_empty(), "it was on its way: {:?}", news.faults);
        let other = Who { user: 6, device: 0 };
        let (mut news, id) = had();
        news.connects(other, 0);
        news.stopped(id, for_good);
        news.confirmed(other, news.moment(), news.moment());
        news.got(other, 5, id, false);
        finds(&news, "it was stopped before");
    }
}

#[test]
fn a_kill_forgets_nothing_that_was_stopped() {
    for (for_good, in_order) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut news, id) = had();
        news.stopped(id, for_good);
        news.over(in_order);
        news.connects(LATER, 0);
        news.got(LATER, 5, id, false);
        finds(&news, "it was stopped before");
    }
}

#[test]
fn what_is_resumed_comes_to_everybody_once() {
    let (mut news, id) = had();
    news.stopped(id, false);
    news.over(true);
    news.connects(FIRST, 5);
    news.connects(LATER, 0);
    assert!(news.missing().iter().any(|it| it.starts_with("3 never had")), "it is still owed");
    news.resumes(id);
    news.got(LATER, 5, id, false);
    assert!(!news.missing().iter().any(|it| it.starts_with("3 never had")));
    assert!(news.faults.is_empty(), "{:?}", news.faults);
    assert_eq!((news.sums().resumed, news.sums().slept), (1, 1));
    news.confirmed(LATER, news.moment(), news.moment());
    news.connects(LATER, 0);
    news.got(LATER, 5, id, false);
    finds(&news, "it had it");
}

#[test]
fn what_was_cancelled_is_not_resumed() {
    let (mut news, id) = had();
    news.stopped(id, true);
    news.resumes(id);
    news.connects(LATER, 0);
    news.got(LATER, 5, id, false);
    finds(&news, "it was stopped before");
}

#[test]
fn one_in_doubt_may_come_under_the_number_that_nobody_steered() {
    let mut news = News::new(USERS);
    let id = news.make(0, false, 40);
    news.tried(id);
    news.doubted(id);
    news.tried(id);
    news.began(id, &job(6));
    news.stopped(id, true);
    news.connects(LATER, 0);
    news.got(LATER, 5, id, false);
    assert!(news.faults.is_empty(), "{:?}", news.faults);
    news.got(LATER, 6, id, false);
    finds(&news, "it was stopped before");
}

#[test]
fn a_number_is_one_broadcast_and_a_broadcast_has_one_number() {
    let (mut news, _) = had();
    let other = began(&mut news, 5);
    finds(&news, "number 5 of product 0 is");
    news.faults.clear();
    let who = Who { user: 3, device: 0 };
    news.connects(who, 0);
    news.got(who, 7, other, false);
    finds(&news, "the backend was told");
}

#[test]
fn one_in_doubt_may_have_two_numbers() {
    let mut news = News::new(USERS);
    let id = news.make(0, false, 40);
    news.store_away(true);
    news.tried(id);
    news.store_away(false);
    news.tried(id);
    news.began(id, &job(6));
    news.connects(FIRST, 3);
    news.got(FIRST, 5, id, false);
    news.got(FIRST, 6, id, false);
    assert!(news.faults.is_empty(), "{:?}", news.faults);
}

#[test]
fn it_reaches_whom_it_is_for_alone() {
    let mut news = News::new(USERS);
    let id = news.make(0, true, 40);
    news.tried(id);
    let other = (0..USERS).find(|user| user % 3 == 0 && !is_tagged(*user)).unwrap();
    for user in [other, 1] {
        news.faults.clear();
        news.got(Who { user, device: 0 }, 5, id, false);
        finds(&news, "which is not for it");
    }
    news.faults.clear();
    news.got(FIRST, 5, id + 1, false);
    finds(&news, "which nobody sent");
}

#[test]
fn one_device_is_enough() {
    let mut news = News::new(USERS);
    let id = news.make(SHARED, false, 40);
    news.tried(id);
    news.began(id, &job(5));
    let before = news.missing().len();
    // This user has two devices.
    let who = Who { user: 5, device: 1 };
    news.connects(who, 0);
    news.got(who, 5, id, false);
    assert_eq!(news.missing().len(), before - 1);
}

//! The search keeps its promises, with verdicts that are right, that waver, and that are anything.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PLAN: Plan =
    Plan { start: 1_000, most: 10_000_000, resolution: 0.05, confirmations: 3, tries: 200 };

/// Everything that was tried, and how it ended.
struct Course {
    tried: Vec<(u64, Verdict)>,
    end: End,
    bound: Option<(u64, Verdict)>,
}

/// Searches with what `verdict` says of the so manieth try of a load.
fn search(plan: Plan, mut verdict: impl FnMut(u64, usize) -> Verdict) -> Course {
    let mut search = Search::new(plan);
    let mut tried: Vec<(u64, Verdict)> = Vec::new();
    loop {
        match search.next() {
            Next::Try(load) => {
                let before = tried.iter().filter(|(other, _)| *other == load).count();
                let said = verdict(load, before);
                search.tell(load, said);
                tried.push((load, said));
            }
            Next::Over(end) => return Course { tried, end, bound: search.bound() },
        }
        assert!(search.tries() <= plan.tries);
    }
}

fn holds_up_to(knee: u64) -> impl FnMut(u64, usize) -> Verdict {
    move |load, _| if load <= knee { Verdict::Met } else { Verdict::Missed }
}

#[test]
fn it_grows_halves_and_confirms() {
    let course = search(PLAN, holds_up_to(5_500));
    let loads: Vec<u64> = course.tried.iter().map(|(load, _)| *load).collect();
    assert_eq!(loads[..4], [1_000, 2_000, 4_000, 8_000]);
    let End::Found(found) = course.end else { panic!("{:?}", course.end) };
    assert!((5_238..=5_500).contains(&found), "{found}");
    assert_eq!(loads[loads.len() - 2..], [found, found]);
}

#[test]
fn it_goes_down_where_even_the_first_load_fails_and_gives_up_in_the_end() {
    let course = search(PLAN, holds_up_to(130));
    assert!(matches!(course.end, End::Found(124..=130)), "{:?}", course.end);
    assert_eq!(search(PLAN, holds_up_to(0)).end, End::Nothing);
    let one = Plan { start: 1, ..PLAN };
    assert_eq!(search(one, holds_up_to(0)).tried.len(), 1);
    assert_eq!(search(one, holds_up_to(1)).end, End::Found(1));
}

#[test]
fn it_stops_at_the_most_and_says_that_nothing_failed() {
    let course = search(Plan { most: 3_000, ..PLAN }, holds_up_to(u64::MAX));
    assert_eq!((course.end, course.bound), (End::Found(3_000), None));
    assert!(course.tried.iter().all(|(load, _)| *load <= 3_000));
}

#[test]
fn a_confirmation_that_fails_sends_it_down() {
    let course = search(PLAN, |load, before| match load {
        0..=3_000 => Verdict::Met,
        // Once they hold, and not again.
        3_001..=5_000 if before == 0 => Verdict::Met,
        _ => Verdict::Missed,
    });
    assert!(matches!(course.end, End::Found(2_858..=3_000)), "{:?}", course.end);
}

#[test]
fn whose_the_bound_is_is_known() {
    let generators = |load, _| if load <= 4_000 { Verdict::Met } else { Verdict::Limited };
    assert!(matches!(search(PLAN, generators).bound, Some((_, Verdict::Limited))));
    // Far above its knee a gateway may bring the generator down: the nearest failure counts.
    let both = |load, _| match load {
        0..=4_000 => Verdict::Met,
        4_001..=6_000 => Verdict::Missed,
        _ => Verdict::Limited,
    };
    assert!(matches!(search(PLAN, both).bound, Some((4_001..=4_200, Verdict::Missed))));
}

#[test]
fn too_many_tries_end_it_unconfirmed() {
    let course = search(Plan { tries: 3, ..PLAN }, holds_up_to(u64::MAX));
    assert_eq!((course.end, course.tried.len()), (End::Unconfirmed(4_000), 3));
}

#[test]
fn what_is_confirmed_at_once_is_not_found_while_more_could_be_tried() {
    let once = Plan { confirmations: 1, ..PLAN };
    let nothing_failed = search(Plan { tries: 1, ..once }, holds_up_to(u64::MAX));
    assert_eq!(nothing_failed.end, End::Unconfirmed(1_000));
    let far_below = search(Plan { tries: 2, ..once }, holds_up_to(700));
    assert_eq!((far_below.end, far_below.tried.len()), (End::Unconfirmed(500), 2));
}

fn plans() -> impl Strategy<Value = Plan> {
    (1_u64..100_000, 1_u64..10_000, 1_u32..50, 1_u32..5, 1_u32..60).prop_map(
        |(start, more, percent, confirmations, tries)| Plan {
            start,
            most: start * more,
            resolution: f64::from(percent) / 100.0,
            confirmations,
            tries,
        },
    )
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Met), Just(Verdict::Missed), Just(Verdict::Limited)]
}

proptest! {
    #[test]
    fn whatever_it_is_told_it_ends_and_below_all_that_failed(
        plan in plans(),
        said in proptest::collection::vec(verdicts(), 60),
    ) {
        let mut said = said.into_iter();
        let course = search(plan, |_, _| said.next().unwrap_or(Verdict::Missed));
        prop_assert!(course.tried.len() <= plan.tries as usize);
        prop_assert!(course.tried.iter().all(|(load, _)| (1..=plan.most).contains(load)));
        let failed = course.tried.iter().filter(|(_, said)| *said != Verdict::Met);
        let least = failed.map(|(load, _)| *load).min();
        prop_assert_eq!(course.bound.map(|(load, _)| load), least);
        if let End::Found(found) | End::Unconfirmed(found) = course.end {
            prop_assert!(least.is_none_or(|failed| found < failed));
        }
        if let End::Found(found) = course.end {
            let last = course.tried.iter().rev().take(plan.confirmations as usize);
            prop_assert_eq!(last.clone().count(), plan.confirmations as usize);
            for try_ in last {
                prop_assert_eq!(*try_, (found, Verdict::Met));
            }
        }
    }

    #[test]
    fn a_knee_that_does_not_waver_is_found_within_the_resolution_and_soon(
        plan in plans(),
        place in 0.0_f64..1.0,
    ) {
        let plan = Plan { tries: u32::MAX, ..plan };
        // Anywhere from what it goes down to, to above the most, each factor as likely.
        let least = crate::report::float((plan.start / DEPTH).max(1));
        let most = crate::report::float(plan.most) * 2.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a draw")]
        let knee = (least * (most / least).powf(place)) as u64;
        let course = search(plan, holds_up_to(knee));
        let End::Found(found) = course.end else { panic!("{:?}", course.end) };
        prop_assert!(found <= knee);
        if let Some((failed, _)) = course.bound {
            let far = crate::report::float(failed - found);
            prop_assert!(far <= (crate::report::float(found) * plan.resolution).max(1.0));
        } else {
            prop_assert_eq!(found, plan.most);
        }
        // To grow over all, or to go down; to halve a factor of two; to confirm.
        let growing = (most / crate::report::float(plan.start)).log2().max(10.0) + 2.0;
        let halving = (2.0_f64.ln() / (1.0 + plan.resolution).ln()).log2().max(0.0) + 2.0;
        let bound = growing + halving + f64::from(plan.confirmations);
        let tries = f64::from(u32::try_from(course.tried.len()).unwrap());
        prop_assert!(tries <= bound, "{tries} tries, at most {bound} were expected");
    }

    #[test]
    fn a_knee_that_wavers_is_found_within_what_it_wavers(
        knee in 100_u64..1_000_000,
        seed in proptest::collection::vec(proptest::bool::weighted(0.6), 400),
    ) {
        // Ten percent to either side anything may happen.
        let (low, high) = (knee * 9 / 10, knee * 11 / 10);
        let mut seed = seed.into_iter();
        let plan = Plan { tries: 400, ..PLAN };
        let mut loads: BTreeMap<u64, u32> = BTreeMap::new();
        let course = search(plan, |load, _| {
            *loads.entry(load).or_default() += 1;
            match load {
                load if load <= low => Verdict::Met,
                load if load > high => Verdict::Missed,
                _ if seed.next().unwrap_or(false) => Verdict::Met,
                _ => Verdict::Missed,
            }
        });
        let End::Found(found) = course.end else { panic!("{:?}", course.end) };
        prop_assert!(found <= high);
        prop_assert!(found * 106 / 100 + 1 >= low, "{found} of {low}");
        // No load is tried over and over.
        prop_assert!(loads.values().all(|tries| *tries <= 2 * PLAN.confirmations));
    }
}

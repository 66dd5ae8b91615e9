//! Differences that were put in are found, those that were not are not, and little is said of
//! little.

use super::*;
use crate::report::{Agent, Died, sample};

const RULES: Rules = Rules { tolerance: 0.05, risk: 0.05 };

/// A side whose runs have these p99s, microseconds.
fn side(p99s: &[u64]) -> Side {
    let run = |p99: &u64| {
        let mut run = sample::report();
        run.latencies.get_mut("push").unwrap().p99_us = *p99;
        run
    };
    let files = (1..=p99s.len()).map(|number| format!("run{number}.json")).collect();
    Side { files, runs: p99s.iter().map(run).collect() }
}

fn p99(base: &[u64], new: &[u64]) -> Finding {
    about("p99", &side(base), &side(new))
}

fn about(name: &str, base: &Side, new: &Side) -> Finding {
    let measure = chosen(&[name.to_owned()]).unwrap()[0];
    decide::find(measure, (base, new), RULES).unwrap()
}

#[test]
fn runs_that_do_not_mix_are_told_apart() {
    let slow = p99(&[1_000, 1_010, 990], &[1_200, 1_190, 1_250]);
    assert_eq!(slow.verdict, Verdict::Worse);
    assert!((slow.confidence_percent.unwrap() - 95.0).abs() < 1e-6);
    assert!((slow.change_percent.unwrap() - 20.0).abs() < 1e-6);
    assert_eq!(p99(&[1_200, 1_190, 1_250], &[1_000, 1_010, 990]).verdict, Verdict::Better);
    assert_eq!(p99(&[1_000, 1_010, 990], &[1_001, 1_009, 995]).verdict, Verdict::Same);
}

#[test]
fn what_varies_more_than_it_differs_cannot_be_told() {
    let finding = p99(&[1_000, 1_500, 700], &[1_100, 1_600, 800]);
    assert_eq!((finding.verdict, finding.confidence_percent), (Verdict::CannotTell, None));
}

#[test]
fn one_run_does_not_count_twice() {
    let mut runs = side(&[1_000, 1_001, 1_000]).runs;
    assert_eq!(same_run(&runs), Some((0, 2)));
    runs[2].began += 60;
    assert_eq!(same_run(&runs), None);
}

#[test]
fn a_comparison_says_which_gateways_it_is_of() {
    let (mut base, mut new) = (side(&[1, 2]), side(&[1]));
    base.runs[0].gateway = Some("0.0.9, commit f00".to_owned());
    new.runs[0].gateway = None;
    let compared = one(&base, &new, (&chosen(&[]).unwrap(), RULES), false).unwrap();
    let shown = show::table(&compared);
    let of = "gateway 0.0.9, commit f00 | 0.1.0, commit 0123456789ab; generator of commit unknown";
    assert!(shown.contains(&format!("base  run1.json run2.json\n      {of}\n")), "{shown}");
    assert!(shown.contains("new   run1.json\n      gateway of unknown version; "), "{shown}");
}

#[test]
fn too_few_runs_say_how_many_would_do() {
    let finding = p99(&[1_000, 1_001], &[2_000, 2_001]);
    assert_eq!(finding.verdict, Verdict::CannotTell);
    assert!(finding.because.contains("take 3 of each"), "{}", finding.because);
}

#[test]
fn more_deliveries_are_better_and_fewer_are_worse() {
    let with = |delivered: u64| {
        let mut side = side(&[1, 1, 1]);
        side.runs.iter_mut().for_each(|run| run.pushes.delivered = delivered);
        side
    };
    assert_eq!(about("delivered", &with(60_000), &with(80_000)).verdict, Verdict::Better);
    assert_eq!(about("delivered", &with(60_000), &with(40_000)).verdict, Verdict::Worse);
}

#[test]
fn one_run_a_side_is_judged_by_its_seconds() {
    let (base, mut new) = (side(&[1]), side(&[1]));
    assert_eq!(about("p50", &base, &new).verdict, Verdict::Same);
    for us in new.runs[0].timeline.p50_us.iter_mut().flatten() {
        *us = *us * 3 / 2;
    }
    let finding = about("p50", &base, &new);
    assert_eq!(finding.verdict, Verdict::Worse);
    assert!(finding.because.contains("30 and 30 seconds"), "{}", finding.because);
    new.runs[0].timeline.p50_us[15..].fill(None);
    assert_eq!(about("p50", &base, &new).verdict, Verdict::CannotTell);
    assert_eq!(about("cpu_per_login", &base, &new).verdict, Verdict::CannotTell);
}

#[test]
fn a_fault_where_there_was_none_is_worse_and_none_proves_little() {
    let (clean, mut faulty) = (side(&[1]), side(&[1]));
    faulty.runs[0].counts.insert("duplicates".to_owned(), 1);
    assert_eq!(about("duplicated", &clean, &clean).verdict, Verdict::Same);
    assert_eq!(about("duplicated", &clean, &faulty).verdict, Verdict::Worse);
    assert_eq!(about("duplicated", &faulty, &clean).verdict, Verdict::CannotTell);
}

#[test]
fn other_plans_are_refused_unless_wanted() {
    let (base, mut new) = (side(&[1]), side(&[1]));
    new.runs[0].plan = "something else".to_owned();
    let all = chosen(&[]).unwrap();
    let refused = one(&base, &new, (&all, RULES), false).unwrap_err();
    assert!(refused.contains("something else") && refused.contains("--anyway"), "{refused}");
    let compared = one(&base, &new, (&all, RULES), true).unwrap();
    assert!(compared.doubts.iter().any(|doubt| doubt.contains("plan differs")));
    let shown = show::table(&compared);
    assert!(shown.contains("cannot tell"));
    assert!(shown.trim_end().lines().last().unwrap().starts_with("to tell more"), "{shown}");
}

/// The same side, with an agent that died in each of these runs.
fn without_an_agent(mut side: Side, runs: &[usize]) -> Side {
    for run in runs {
        let died = Some(Died { at: 12.34, why: "gone".to_owned() });
        side.runs[*run].agents =
            vec![Agent { name: "h2:7800".to_owned(), died, ..Agent::default() }];
    }
    side
}

#[test]
fn of_a_run_that_lost_an_agent_nothing_is_told() {
    let all = chosen(&[]).unwrap();
    let (fine, broken) = (side(&[1]), without_an_agent(side(&[900]), &[0]));
    for (base, new) in [(&fine, &broken), (&broken, &fine)] {
        let compared = one(base, new, (&all, RULES), false).unwrap();
        assert_eq!(compared.verdict, Verdict::CannotTell);
        assert!(compared.metrics.iter().all(|one| one.verdict == Verdict::CannotTell));
        let shown = show::table(&compared);
        assert!(shown.contains("note  run1.json lost an agent (h2:7800 at 12.3 s)"), "{shown}");
        assert!(shown.contains("CANNOT TELL: an agent died"), "{shown}");
        assert!(shown.contains("loses no agent") && !shown.contains("longer runs"), "{shown}");
        assert!(!shown.contains("nothing is worse") && !shown.contains("% sure, "), "{shown}");
    }
    let counts = chosen(&["lost".to_owned()]).unwrap();
    let refused = one(&fine, &broken, (&counts, RULES), false).unwrap_err();
    assert!(refused.contains("lost an agent"), "{refused}");
}

#[test]
fn a_run_that_lost_an_agent_is_left_out_among_several() {
    let measure = chosen(&["p99".to_owned()]).unwrap();
    let base = side(&[1_000, 1_010, 990]);
    let new = |dead: &[usize]| without_an_agent(side(&[1_000, 9_000, 1_005, 995]), dead);
    let compared = one(&base, &new(&[1]), (&measure, RULES), false).unwrap();
    assert_eq!((compared.verdict, compared.lost_agents.len()), (Verdict::Same, 1));
    assert!(show::table(&compared).contains("note  run2.json lost an agent"));
    assert_ne!(one(&base, &new(&[]), (&measure, RULES), false).unwrap().verdict, Verdict::Same);
}

/// The same side, with a generator that was the bottleneck in each of these runs.
fn generator_bound(mut side: Side, runs: &[usize]) -> Side {
    for run in runs {
        side.runs[*run].generator.bottleneck = vec!["its clients read late".to_owned()];
    }
    side
}

#[test]
fn of_a_run_whose_generator_was_the_bottleneck_nothing_is_told() {
    let all = chosen(&[]).unwrap();
    let (fine, bound) = (side(&[1, 1, 1]), generator_bound(side(&[900, 901, 902]), &[0, 1, 2]));
    for (base, new) in [(&fine, &bound), (&bound, &fine)] {
        let compared = one(base, new, (&all, RULES), false).unwrap();
        assert_eq!((compared.verdict, compared.blind), (Verdict::CannotTell, true));
        assert!(compared.metrics.iter().all(|one| one.verdict == Verdict::CannotTell));
        let shown = show::table(&compared);
        assert!(shown.contains("note  run3.json: the GENERATOR was the bottleneck"), "{shown}");
        assert!(shown.contains("CANNOT TELL: the generator was the bottleneck in"), "{shown}");
        assert!(shown.contains("whose generator keeps up"), "{shown}");
        assert!(!shown.contains("agent died") && !shown.contains("% sure, "), "{shown}");
    }
    let mixed = without_an_agent(generator_bound(side(&[1, 2]), &[0]), &[1]);
    let shown = show::table(&one(&fine, &mixed, (&all, RULES), false).unwrap());
    assert!(shown.contains("CANNOT TELL: every run of a side lost an agent or was"), "{shown}");
}

#[test]
fn a_run_whose_generator_was_the_bottleneck_is_left_out_among_several() {
    let measure = chosen(&["p99".to_owned()]).unwrap();
    let base = side(&[1_000, 1_010, 990]);
    let new = |bound: &[usize]| generator_bound(side(&[1_000, 9_000, 1_005, 995]), bound);
    let compared = one(&base, &new(&[1]), (&measure, RULES), false).unwrap();
    assert_eq!((compared.verdict, compared.generator_bound.len()), (Verdict::Same, 1));
    let because = &compared.metrics[0].because;
    assert!(!compared.blind && because.contains('3'), "{because}");
    assert_ne!(one(&base, &new(&[]), (&measure, RULES), false).unwrap().verdict, Verdict::Same);
}

#[test]
fn an_unknown_metric_is_refused_with_those_that_are_known() {
    let wrong = chosen(&["p98".to_owned()]).err().unwrap();
    assert!(wrong.contains("p98") && wrong.contains("cpu_per_delivery"), "{wrong}");
}

//! The page is whole: every plot is drawn, inside its frame, with its words and its figures.

use super::*;
use crate::report::sample::{self, SAMPLES};
use roxmltree::{Document, Node};

fn page(report: &Report) -> String {
    render(report).unwrap()
}

/// The drawings of a page, each as a document.
fn drawings(page: &str) -> Vec<&str> {
    let parts = page.split("<svg").skip(1).map(|part| part.split("</svg>").next().unwrap());
    let at = |part: &str| part.as_ptr() as usize - page.as_ptr() as usize;
    let whole = parts.map(|part| &page[at(part) - 4..at(part) + part.len() + 6]);
    whole.filter(|drawing| !drawing.contains("class=\"swatch\"")).collect()
}

/// The points of a line.
fn points(line: Node<'_, '_>) -> Vec<(f64, f64)> {
    let text = line.attribute("points").unwrap();
    let pair = |point: &str| {
        let (x, y) = point.split_once(',').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    text.split(' ').map(pair).collect()
}

fn lines<'a>(drawing: &'a Document<'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    drawing.descendants().filter(|node| node.has_tag_name("polyline") || is(*node, "polyline"))
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.tag_name().name() == name
}

#[test]
fn every_plot_is_drawn_inside_its_frame_in_two_sizes() {
    let page = page(&sample::report());
    let drawings = drawings(&page);
    // The percentiles, six lines of time, two of shards.
    assert_eq!(drawings.len(), 2 * 9);
    for drawing in drawings {
        let drawing = Document::parse(drawing).unwrap();
        let root = drawing.root_element();
        let view = root.attribute("viewBox").unwrap();
        let view: Vec<f64> = view.split(' ').map(|part| part.parse().unwrap()).collect();
        let all: Vec<(f64, f64)> = lines(&drawing).flat_map(points).collect();
        assert!(
            all.len() > 30,
            "{} points in {}",
            all.len(),
            root.attribute("aria-labelledby").unwrap()
        );
        for (x, y) in all {
            assert!((0.0..=view[2]).contains(&x) && (0.0..=view[3]).contains(&y), "{x},{y}");
        }
        let texts = drawing.descendants().filter(|node| is(*node, "text")).count();
        assert!(texts >= 6, "{texts} words at the axes");
    }
}

#[test]
fn a_line_has_a_point_for_each_second_and_gaps_where_nothing_is_known() {
    let page = page(&sample::report());
    let drawing = drawings(&page).into_iter().find(|one| one.contains("rate-roomy-title")).unwrap();
    let drawing = Document::parse(drawing).unwrap();
    let lines: Vec<_> = lines(&drawing).map(points).collect();
    assert!(lines.iter().all(|line| line.len() == SAMPLES as usize));
    let mut gappy = sample::report();
    gappy.timeline.p99_us[20] = None;
    let page = render(&gappy).unwrap();
    let drawing = drawings_of(&page, "latency-roomy-title");
    let drawing = Document::parse(drawing).unwrap();
    // Two pieces of the 99th percentile, one of each other.
    assert_eq!(self::lines(&drawing).count(), 4);
}

fn drawings_of<'a>(page: &'a str, id: &str) -> &'a str {
    drawings(page).into_iter().find(|one| one.contains(id)).unwrap()
}

#[test]
fn higher_values_are_drawn_higher() {
    let mut report = sample::report();
    report.timeline.offered[3] = 9_000.0;
    let page = page(&report);
    let drawing = Document::parse(drawings_of(&page, "rate-roomy-title")).unwrap();
    let first = points(lines(&drawing).next().unwrap());
    let top = first.iter().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    assert!((first[3].1 - top).abs() < 0.05 && top < first[10].1 - 50.0);
}

#[test]
fn every_drawing_has_its_words_for_who_cannot_see_it() {
    let page = page(&sample::report());
    for drawing in drawings(&page) {
        let drawing = Document::parse(drawing).unwrap();
        let root = drawing.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        for id in root.attribute("aria-labelledby").unwrap().split(' ') {
            let words = drawing.descendants().find(|node| node.attribute("id") == Some(id));
            assert!(
                words.is_some_and(|node| node.text().is_some_and(|text| text.len() > 2)),
                "{id}"
            );
        }
    }
    assert_eq!(page.matches("<details>").count(), 9, "a table behind each plot");
    let ids: Vec<&str> =
        page.split(" id=\"").skip(1).filter_map(|id| id.split('"').next()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}

#[test]
fn the_page_holds_the_report_and_needs_nothing_else() {
    let mut report = sample::report();
    report.command.push("</script><b>&".to_owned());
    let page = page(&report);
    let json = page.split("id=\"report\">").nth(1).unwrap().split("</script>").next().unwrap();
    let read: Report = serde_json::from_str(json).unwrap();
    assert_eq!(read.command, report.command);
    assert_eq!(read.timeline, report.timeline);
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("some &lt;processor&gt;") && !page.contains("<b>"));
    let rest = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!rest.contains(outside), "{outside}");
    }
}

#[test]
fn the_page_of_a_day_is_no_larger_than_a_few_megabytes() {
    let mut report = sample::report();
    let line = &mut report.timeline;
    let long =
        |values: &mut Vec<f64>| *values = values.iter().copied().cycle().take(86_400).collect();
    let known = |values: &mut Vec<Option<f64>>| {
        *values = values.iter().copied().cycle().take(86_400).collect();
    };
    line.at = (1..=86_400).map(f64::from).collect();
    for values in [&mut line.offered, &mut line.accepted, &mut line.delivered] {
        long(values);
    }
    line.shards = vec![line.shards[0].clone(); 24];
    for shard in &mut line.shards {
        for values in [&mut shard.messages, &mut shard.busy, &mut shard.connections] {
            known(values);
        }
    }
    let page = page(&report);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert!(page.contains("Thinned: of each ") && page.contains("rate-roomy-title"));
}

#[test]
fn the_outcome_is_said_in_words() {
    let mut report = sample::report();
    assert!(page(&report).contains("passed"));
    report.interrupted = true;
    assert_eq!(Outcome::of(&report), Outcome::Interrupted);
    report.slo = "p99 < 1us".parse::<crate::slo::Slo>().unwrap().judge(&report);
    let missed = page(&report);
    assert!(missed.contains("SLO missed") && missed.contains("p99 &lt; 1us"));
    report.verdict.push("40 pushed messages are lost".to_owned());
    let failed = page(&report);
    assert_eq!(Outcome::of(&report), Outcome::Failed);
    assert!(failed.contains("<li>40 pushed messages are lost</li>"));
}

#[test]
fn a_run_without_a_timeline_is_still_a_page() {
    let mut report = sample::report();
    report.timeline = crate::report::timeline::Timeline::default();
    report.distributions.clear();
    let page = page(&report);
    assert!(drawings(&page).is_empty() && page.contains("Environment"));
    assert!(page.contains("<dt>gateway</dt><dd>0.1.0, commit 0123456789ab</dd>"));
    assert!(page.contains("too short for a timeline"));
}

#[test]
fn words_and_sums_agree_with_what_they_are_of() {
    let mut report = sample::report();
    let push = report.latencies["push"];
    report.latencies.insert("weak_network_push".to_owned(), push);
    report.memory.slab_per_connection = -1.0;
    let page = page(&report);
    for said in [
        "500 on 1 thread, from 1 address<",
        "copies of 1 broadcast<",
        "weak network push: its clients alone",
        "Softirq, ksoftirqd and kernel memory are of the whole machine",
        "unknown: others on the machine gave up more",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

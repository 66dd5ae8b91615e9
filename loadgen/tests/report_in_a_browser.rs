//! The pages are looked at as a person would: in a browser, at a desk and on a phone, in light, in
//! dark and on paper. Every line of every plot is there, in a colour that can be seen, as far as
//! its figures go; words stand apart; nothing is wider than the screen; nothing is loaded.
//!
//! Shown with pictures that the browser takes. They lie in the folder that a failure names.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/pages.rs"]
mod pages;
#[path = "support/picture.rs"]
mod picture;

use browser::{Browser, Shape};
use picture::{Area, Picture, colour, contrast};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// At a desk, on a phone, and on A4 between its margins.
const SHAPES: [Shape; 5] = [
    Shape { width: 1280, dark: false, paper: false },
    Shape { width: 1280, dark: true, paper: false },
    Shape { width: 390, dark: false, paper: false },
    Shape { width: 390, dark: true, paper: false },
    Shape { width: 688, dark: false, paper: true },
];
const LOOK: &str = include_str!("support/look.js");
/// A line is seen in at least so much of the width that its figures have.
const SEEN: f64 = 0.9;
/// On paper lines are broken, each in its own way.
const BROKEN: f64 = 0.4;
/// Between a line and its ground, at least: WCAG 2 asks for it of graphics.
const CONTRAST: f64 = 3.0;

/// A plot that a page must have.
#[derive(Debug, Clone)]
struct Plot {
    id: &'static str,
    lines: Vec<&'static str>,
    /// Over how much of the width there are figures, at least.
    share: f64,
}

fn plot(id: &'static str, lines: &[&'static str], share: f64) -> Plot {
    Plot { id, lines: lines.to_vec(), share }
}

/// The plots of a run with something of everything, whose seconds take this share of the width.
fn run(share: f64) -> Vec<Plot> {
    let rates = ["offered", "accepted", "delivered", "broadcasts delivered"];
    let cpu = ["gateway", "its busiest thread", "generator", "ksoftirqd"];
    let slab = "kernel slab since the start, whole machine";
    vec![
        // Of fewer logins than pushes there are fewer nines.
        plot("percentiles", &["push", "broadcast", "connect and login"], 0.7),
        plot("rate", &rates, share),
        plot("latency", &["p50", "p99", "max"], share),
        plot("clients", &["connected", "logged in", "logins a second"], share),
        plot("errors", &["connections failed or ended unasked", "pushes refused"], share),
        plot("cpu", &cpu, share),
        plot("memory", &["gateway, resident", "generator, resident", slab], share),
    ]
}

/// The pages, what each is drawn from, and its plots.
fn subjects() -> Vec<(&'static str, Value, Vec<Plot>)> {
    let shards = |lines: &[&'static str]| {
        let plots = [plot("shard-rate", lines, 0.95), plot("shard-busy", lines, 0.95)];
        [run(0.95), plots.to_vec()].concat()
    };
    // Of four seconds three lie between the first sample and the last.
    let mut brief = run(0.7);
    for plot in &mut brief {
        plot.lines.retain(|line| !line.starts_with("gateway") && *line != "its busiest thread");
    }
    let busy = ["gateway's busiest thread", "generator's, waiting included"];
    let knee = vec![plot("knee", &["p99"], 0.8), plot("busy", &busy, 0.8)];
    vec![
        ("plain", pages::plain(), shards(&["shard 0", "shard 1"])),
        ("failed", pages::failed(), shards(&["most", "median", "least"])),
        ("limited", pages::limited(), brief),
        ("knee", pages::knee(), knee),
    ]
}

/// Draws a page with the program, and gives where it is.
fn drawn(name: &str, report: &Value) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-in-a-browser");
    fs::create_dir_all(&folder).unwrap();
    let (from, page) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.html")));
    fs::write(&from, report.to_string()).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_holdfast-loadgen"));
    let output = program.arg("report").arg(&from).arg("--html").arg(&page).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    page
}

fn area(place: &Value) -> Area {
    serde_json::from_value(place.clone()).unwrap()
}

/// An area less its edges, or with more around it where `by` is below zero.
const fn inside([x, y, width, height]: Area, by: f64) -> Area {
    [x + by, y + by, width - 2.0 * by, height - 2.0 * by]
}

fn overlap(one: Area, other: Area) -> bool {
    let along =
        |at: usize| one[at] < other[at] + other[at + 2] && other[at] < one[at] + one[at + 2];
    along(0) && along(1)
}

/// Looks at the page that is open, in one shape; gives what is wrong with it.
fn wrong(browser: &mut Browser, page: &Path, shape: Shape, plots: &[Plot]) -> Vec<String> {
    browser.shape(shape);
    let seen = browser.evaluate(LOOK);
    assert_eq!(
        (seen["width"].as_u64(), &seen["dark"], &seen["paper"]),
        (Some(shape.width.into()), &shape.dark.into(), &shape.paper.into()),
        "the page is shown as it should be"
    );
    let mut wrong = Vec::new();
    if seen["needs"].as_u64() > Some(shape.width.into()) {
        wrong.push(format!("it is {} wide", seen["needs"]));
    }
    if seen["cut"].as_array().is_none_or(|cut| !cut.is_empty()) {
        wrong.push(format!("one sees a part of these tables alone: {}", seen["cut"]));
    }
    let all = seen["plots"].as_array().unwrap();
    let there: Vec<&str> = all.iter().map(|plot| plot["id"].as_str().unwrap()).collect();
    let wanted: Vec<&str> = plots.iter().map(|plot| plot.id).collect();
    if there != wanted {
        wrong.push(format!("its plots are {there:?}, not {wanted:?}"));
        return wrong;
    }
    let around = all.iter().map(|plot| area(&plot["figure"])).reduce(both).unwrap();
    let png = browser.picture(around);
    let name =
        format!("{}-{}-{}", shape.width, if shape.dark { "dark" } else { "light" }, shape.paper);
    fs::write(page.with_extension(format!("{name}.png")), &png).unwrap();
    let picture = Picture::read(&png, around);
    for (seen, plot) in all.iter().zip(plots) {
        let found = wrong_with_plot(seen, plot, &picture, shape);
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", plot.id)));
    }
    wrong
}

/// The least area that has both.
fn both(one: Area, other: Area) -> Area {
    let from = |at: usize| one[at].min(other[at]);
    let length = |at: usize| (one[at] + one[at + 2]).max(other[at] + other[at + 2]) - from(at);
    [from(0).floor(), from(1).floor(), length(0).ceil() + 1.0, length(1).ceil() + 1.0]
}

fn wrong_with_plot(seen: &Value, plot: &Plot, picture: &Picture, shape: Shape) -> Vec<String> {
    let series = seen["series"].as_array().unwrap();
    let names: Vec<&str> = series.iter().map(|line| line["name"].as_str().unwrap()).collect();
    if names != plot.lines || seen["drawings"] != 1 {
        return vec![format!(
            "{} drawings of {names:?}, not of {:?}",
            seen["drawings"], plot.lines
        )];
    }
    let ground = colour(seen["ground"].as_str().unwrap());
    let ink = |line: &Value| colour(line["colour"].as_str().unwrap());
    let inks: Vec<_> = series.iter().map(ink).collect();
    // Without the axes, which have nearly the colour of a line; with the top, where a line may be.
    let [x, y, width, height] = area(&seen["frame"]);
    let frame = [x + 2.0, y - 2.0, width - 2.0, height];
    let mut wrong = Vec::new();
    for (which, name) in names.iter().enumerate() {
        let contrast = contrast(inks[which], ground);
        if contrast < CONTRAST {
            wrong.push(format!("{name} has a contrast of {contrast:.1}"));
        }
        let least = plot.share * if shape.paper { BROKEN } else { SEEN };
        let extent = picture.extent(frame, ground, &inks, which);
        if extent < least {
            wrong.push(format!("{name} is seen in {extent:.2} of the width, not {least:.2}"));
        }
    }
    for level in seen["levels"].as_array().unwrap() {
        let band = inside(area(&level["place"]), -1.5);
        let extent = picture.extent(band, ground, &[ink(level)], 0);
        if extent < BROKEN {
            wrong.push(format!("a level is seen in {extent:.2} of the width"));
        }
    }
    wrong.extend(wrong_words(seen, picture));
    wrong
}

/// Words that are not drawn, stand out of the figure, or upon each other.
fn wrong_words(seen: &Value, picture: &Picture) -> Vec<String> {
    let ground = colour(seen["ground"].as_str().unwrap());
    let figure = area(&seen["figure"]);
    let words = seen["words"].as_array().unwrap();
    let mut wrong = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let (text, place) = (&word["text"], area(&word["place"]));
        if picture.filled(place, ground) < 0.05 {
            wrong.push(format!("{text} is not drawn"));
        }
        if both(figure, place)[2] > figure[2] + 2.0 {
            wrong.push(format!("{text} stands out"));
        }
        let upon = |other: &&Value| overlap(inside(place, 1.0), inside(area(&other["place"]), 1.0));
        let upon = words[..at].iter().filter(upon);
        wrong.extend(upon.map(|other| format!("{text} stands upon {}", other["text"])));
    }
    wrong
}

#[test]
fn every_plot_is_drawn_at_every_width_in_light_in_dark_and_on_paper() {
    let Some(mut browser) = Browser::start() else { return };
    let mut all = Vec::new();
    for (name, report, plots) in subjects() {
        let page = drawn(name, &report);
        let (loaded, complaints) = browser.open(&page);
        assert_eq!(loaded, [format!("\"file://{}\"", page.display())], "nothing else is loaded");
        assert_eq!(complaints, [""; 0], "{name}");
        for shape in SHAPES {
            let found = wrong(&mut browser, &page, shape, &plots);
            all.extend(found.into_iter().map(|what| format!("{name}, {shape:?}: {what}")));
        }
        let pdf = browser.print();
        fs::write(page.with_extension("pdf"), &pdf).unwrap();
        assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 20_000, "{name}: {} bytes", pdf.len());
    }
    let folder = env!("CARGO_TARGET_TMPDIR");
    assert!(all.is_empty(), "{} wrong (pictures in {folder}):\n{}", all.len(), all.join("\n"));
}

#[test]
fn what_is_not_drawn_is_found() {
    let Some(mut browser) = Browser::start() else { return };
    let (name, report, plots) = subjects().remove(0);
    let page = drawn(name, &report);
    let whole = fs::read_to_string(&page).unwrap();
    let spoiled = page.with_file_name("spoiled.html");
    let mut finds = |page: &str, says: &str| {
        assert_ne!(page, whole);
        fs::write(&spoiled, page).unwrap();
        browser.open(&spoiled);
        let found = wrong(&mut browser, &spoiled, SHAPES[2], &plots);
        assert!(found.iter().any(|what| what.contains(says)), "{says} is not among {found:#?}");
    };
    let narrow = whole.find("id=\"memory-narrow-title\"").unwrap();
    let (before, after) = whole.split_at(narrow);
    let without_a_line =
        after.replacen("class=\"line way1\" points=\"", "class=\"line\" points=\"", 1);
    finds(&(before.to_owned() + &without_a_line), "memory: generator, resident is seen in 0.00");
    finds(&whole.replace("--way2: #0f8a5f", "--way2: #fefefe"), "latency: p50 has a contrast of 1");
    finds(
        &whole.replace("svg text { fill: var(--faint)", "svg text { fill: var(--paper)"),
        "is not drawn",
    );
    finds(&whole.replace("width: 100%; height: auto", "width: 800px; height: auto"), "it is 8");
    finds(&whole.replace("svg.roomy { display: none; }", "svg.roomy { }"), "2 drawings");
    finds(
        &whole.replace("font-size: 12px; font-family", "font-size: 24px; font-family"),
        "stands upon",
    );
    let outside = "<img src=\"http://127.0.0.1:9/a.png\"></body>";
    fs::write(&spoiled, whole.replace("</body>", outside)).unwrap();
    let (loaded, complaints) = browser.open(&spoiled);
    assert!(loaded.len() > 1 || !complaints.is_empty(), "{loaded:?} {complaints:?}");
}

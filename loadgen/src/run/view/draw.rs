//! Draws a snapshot: where the run stands, what happened to it, charts of its last minutes, the
//! accounts so far.
//!
//! Everything follows from the snapshot and the size of the terminal. What does not fit is left
//! out: first the charts from the bottom upwards, then the plan and the bar, then the accounts from
//! the bottom. Where the run stands stays.

use super::{Second, Snapshot, Totals};
use crate::report::float;
use crate::units::{bytes, count, duration, full};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph, Wrap};

/// Two charts stand beside each other where there are so many columns.
const WIDE: u16 = 100;
/// Lines of the plan, the stage and its bar; where there is no room for them, the stage's alone.
const HEAD: u16 = 3;
/// Where there are so many columns, what is cut off has a sign.
const SIGNED: usize = 8;
/// A chart is drawn in so many lines or not at all.
const LINES: u16 = 6;
/// So many lines at most say what happened that nobody expects; the last of it is seen.
const NOTICES: u16 = 4;

/// One line of a chart: its name, its colour, its values.
type Series = (&'static str, Color, fn(&Second) -> Option<f64>);

/// A chart.
struct Plot {
    name: &'static str,
    series: [Series; 2],
    label: fn(f64) -> String,
}

const PLOTS: [Plot; 5] = [
    Plot {
        name: "a second",
        series: [
            ("offered", Color::Blue, |second| Some(second.offered)),
            ("delivered", Color::Green, |second| Some(second.delivered)),
        ],
        label: count,
    },
    Plot {
        name: "latency",
        series: [
            ("p99", Color::Yellow, |second| second.p99),
            ("p50", Color::Green, |second| second.p50),
        ],
        label: duration,
    },
    Plot {
        name: "CPU",
        series: [
            ("gateway", Color::Blue, |second| second.server_cpu),
            ("generator", Color::Magenta, |second| second.client_cpu),
        ],
        label: cores,
    },
    Plot {
        name: "memory",
        series: [
            ("gateway", Color::Blue, |second| second.server_rss),
            ("generator", Color::Magenta, |second| second.client_rss),
        ],
        label: bytes,
    },
    Plot {
        name: "errors",
        series: [
            ("a second", Color::Red, |second| Some(second.errors)),
            ("", Color::Red, |_| None),
        ],
        label: count,
    },
];

fn cores(cores: f64) -> String {
    format!("{:.0} %", cores * 100.0)
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, shot: &Snapshot) {
    let accounts = accounts(&shot.totals, frame.area().width);
    let below = u16::try_from(accounts.len()).unwrap_or(1) + 1;
    let above = if frame.area().height < HEAD + below { 1 } else { HEAD };
    let [head, rest] =
        Layout::vertical([Constraint::Length(above), Constraint::Fill(1)]).areas(frame.area());
    let (told, lines) = notices(&shot.notices, rest.width);
    let parts = [Constraint::Max(lines), Constraint::Fill(1), Constraint::Max(below)];
    let [between, middle, foot] = Layout::vertical(parts).areas(rest);
    draw_head(frame, head, shot);
    frame.render_widget(told, between);
    draw_plots(frame, middle, shot);
    let keys = Line::from("q or Ctrl-C: end the run with its report").dim();
    frame.render_widget(Paragraph::new([accounts, vec![keys]].concat()), foot);
}

/// The last of what happened, as many of them as have room, and how many lines they take.
fn notices(all: &[String], width: u16) -> (Paragraph<'_>, u16) {
    let width = usize::from(width.max(1));
    let (mut shown, mut lines) = (Vec::new(), 0_u16);
    for notice in all.iter().rev() {
        // Lines end with words, so some are shorter than they could be.
        let full = notice.chars().count() / width;
        let needs = u16::try_from(if full == 0 { 1 } else { full + 2 }).unwrap_or(NOTICES);
        if lines > 0 && lines.saturating_add(needs) > NOTICES {
            break;
        }
        lines = lines.saturating_add(needs);
        shown.insert(0, Line::from(notice.as_str()).fg(Color::Red).bold());
    }
    (Paragraph::new(shown).wrap(Wrap { trim: true }), lines.min(NOTICES))
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, shot: &Snapshot) {
    let left = shot.stage.left.map_or(String::new(), |left| format!(", {} left", clock(left)));
    let text = format!("{}  {} passed{left}", shot.stage.name, clock(shot.stage.passed));
    let text = Paragraph::new(cut(text, area.width)).bold();
    if area.height < HEAD {
        frame.render_widget(text, area);
        return;
    }
    let [plan, stage, bar] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    frame.render_widget(Paragraph::new(cut(shot.plan.clone(), area.width)).dim(), plan);
    frame.render_widget(text, stage);
    let done = if shot.stage.done.is_finite() { shot.stage.done.clamp(0.0, 1.0) } else { 0.0 };
    let gauge = Gauge::default().ratio(done).gauge_style(Style::new().fg(Color::Blue));
    frame.render_widget(gauge, bar);
}

/// As much of a line as there is room for, with a sign where that is not all; in a few columns
/// every letter counts more.
fn cut(mut line: String, width: u16) -> String {
    let width = usize::from(width);
    if let Some((last, _)) = line.char_indices().nth(width.saturating_sub(1))
        && width >= SIGNED
        && line.chars().count() > width
    {
        line.truncate(last);
        line.push('…');
    }
    line
}

/// Hours, minutes and seconds, as far as there are some.
fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

fn draw_plots(frame: &mut Frame<'_>, area: Rect, shot: &Snapshot) {
    let columns: u16 = if area.width >= WIDE { 2 } else { 1 };
    let rows = (area.height / LINES).min(5_u16.div_ceil(columns));
    if rows == 0 {
        return;
    }
    let bands = Layout::vertical(vec![Constraint::Fill(1); usize::from(rows)]).split(area);
    let mut plots = PLOTS.iter();
    for band in bands.iter() {
        let places = usize::from(columns).min(plots.len());
        let places = Layout::horizontal(vec![Constraint::Fill(1); places.max(1)]).split(*band);
        for (place, plot) in places.iter().zip(plots.by_ref()) {
            draw_plot(frame, *place, plot, shot);
        }
    }
}

fn draw_plot(frame: &mut Frame<'_>, area: Rect, plot: &Plot, shot: &Snapshot) {
    let points: Vec<Vec<(f64, f64)>> = plot
        .series
        .iter()
        .map(|(_, _, value)| {
            shot.seconds.iter().filter_map(|second| Some((second.at, value(second)?))).collect()
        })
        .collect();
    let most = points.iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
    let most = if most > 0.0 { most * 1.05 } else { 1.0 };
    let to = shot.seconds.back().map_or(1.0, |second| second.at);
    let from = shot.seconds.front().map_or(0.0, |second| second.at).min(to - 1.0);
    let sets = plot.series.iter().zip(&points).map(|((_, colour, _), points)| {
        let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line);
        line.style(Style::new().fg(*colour)).data(points)
    });
    let y = Axis::default().bounds([0.0, most]).labels(["0".to_owned(), (plot.label)(most)]);
    let chart = Chart::new(sets.collect())
        .block(Block::bordered().title(title(plot, shot)))
        .x_axis(Axis::default().bounds([from, to]))
        .y_axis(y.style(Style::new().dim()))
        .legend_position(None);
    frame.render_widget(chart, area);
}

/// The name of a chart, and the last value of each of its lines in the line's colour.
fn title(plot: &Plot, shot: &Snapshot) -> Line<'static> {
    let last = |value: fn(&Second) -> Option<f64>| value(shot.seconds.back()?);
    let mut words = vec![Span::raw(format!("{} ", plot.name))];
    for (name, colour, value) in plot.series.iter().filter(|(name, ..)| !name.is_empty()) {
        let shown = last(*value).map_or_else(|| "-".to_owned(), plot.label);
        words.push(Span::raw(format!("{name} {shown} ")).fg(*colour));
    }
    Line::from(words)
}

/// Where everything went so far.
fn accounts(totals: &Totals, width: u16) -> Vec<Line<'static>> {
    let on_the_way = totals.accepted.saturating_sub(totals.delivered);
    let lines = [
        format!("clients {} of {} online", full(totals.online), full(totals.clients)),
        format!(
            "offered {} = accepted {} + refused {} + unanswered {}",
            full(totals.offered),
            full(totals.accepted),
            full(totals.refused),
            full(totals.offered.saturating_sub(totals.accepted + totals.refused))
        ),
        format!("delivered {}, on the way {}", full(totals.delivered), full(on_the_way)),
        format!(
            "broadcasts delivered {}, connection errors {}",
            full(totals.broadcasts),
            full(totals.errors)
        ),
    ];
    let errors = float(totals.errors) > 0.0;
    let line = |(place, text)| {
        let line = Line::from(cut(text, width));
        if place == 3 && errors { line.fg(Color::Red) } else { line }
    };
    lines.into_iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shot() -> Snapshot {
        let mut shot = Snapshot { plan: "scenario storm".to_owned(), ..Snapshot::default() };
        shot.stage.name = "rush hour".to_owned();
        (shot.stage.done, shot.stage.passed, shot.stage.left) = (0.5, 3_725.0, Some(65.0));
        for at in 1..=400_u32 {
            shot.second(Second {
                at: f64::from(at),
                offered: f64::from(1_600 + at),
                delivered: f64::from(1_500 + at),
                errors: 0.0,
                p50: Some(800.0),
                p99: (at > 10).then_some(12_500.0),
                server_cpu: Some(0.42),
                client_cpu: Some(0.17),
                server_rss: Some(64.0 * 1024.0 * 1024.0),
                client_rss: None,
            });
        }
        shot.totals = Totals {
            clients: 1_000,
            online: 998,
            offered: 70_000,
            accepted: 69_000,
            refused: 900,
            delivered: 68_500,
            broadcasts: 3_000,
            errors: 2,
        };
        shot
    }

    /// The screen as text, a line each.
    fn drawn(shot: &Snapshot, (width, height): (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, shot)).unwrap();
        let cells = terminal.backend().buffer().content();
        let line = |cells: &[ratatui::buffer::Cell]| {
            cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
        };
        // Thousands are apart by a narrow space.
        let text = cells.chunks(usize::from(width)).map(line).collect::<Vec<_>>().join("\n");
        text.replace(['\u{a0}', '\u{2009}', '\u{202f}'], ",")
    }

    #[test]
    fn the_values_that_are_drawn_are_those_of_the_snapshot() {
        let text = drawn(&shot(), (120, 40));
        for words in [
            "scenario storm",
            "rush hour  1:02:05 passed, 1:05 left",
            "offered 2000 delivered 1900",
            "p99 12.50 ms p50 800 us",
            "gateway 42 % generator 17 %",
            "gateway 64.0 MiB generator -",
            "clients 998 of 1,000 online",
            "offered 70,000 = accepted 69,000 + refused 900 + unanswered 100",
            "delivered 68,500, on the way 500",
            "broadcasts delivered 3,000, connection errors 2",
            "q or Ctrl-C",
            "50%",
        ] {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
        let braille = text.chars().filter(|one| ('\u{2801}'..='\u{28ff}').contains(one)).count();
        assert!(braille > 100, "lines are drawn: {braille} cells\n{text}");
    }

    #[test]
    fn a_narrow_or_tiny_terminal_does_not_break_it() {
        let text = drawn(&shot(), (40, 24));
        assert!(
            text.contains("rush hour") && text.contains("clients 998 of 1,000 online"),
            "{text}"
        );
        assert!(text.contains("offered 2000"), "{text}");
        for size in [(40, 12), (10, 10), (3, 40), (1, 1), (300, 80), (1_000, 4)] {
            drawn(&shot(), size);
        }
        let lines = |height| drawn(&shot(), (28, height));
        assert_eq!(lines(1), "rush hour  1:02:05 passed, …");
        let five: Vec<_> = lines(5).lines().map(str::to_owned).collect();
        assert!(five[0].starts_with("rush hour") && five[1].starts_with("clients 998"), "{five:?}");
        assert!(five[4].starts_with("broadcasts delivered"), "{five:?}");
        assert!(lines(8).starts_with("scenario storm") && lines(8).contains("q or Ctrl-C"));
        assert!(drawn(&Snapshot::default(), (80, 30)).contains("offered 0 = accepted 0"));
    }

    #[test]
    fn what_happened_is_seen_at_every_size_and_the_last_of_it_first() {
        let mut shot = shot();
        for agent in 0..9 {
            shot.notices.push(format!("LOST at 3.5 s: the agent h{agent}:7800 died"));
        }
        let text = drawn(&shot, (120, 40));
        assert!(text.contains("the agent h8:7800 died") && text.contains("h5:7800 died"), "{text}");
        assert!(!text.contains("h4:7800") && text.contains("p99 12.50 ms"), "{text}");
        for size in [(38, 24), (20, 30), (1, 1), (10, 10)] {
            let text = drawn(&shot, size);
            assert!(size.0 < 20 || text.contains("h8:7800"), "{size:?}\n{text}");
        }
    }

    #[test]
    fn only_the_last_minutes_are_kept() {
        let shot = shot();
        assert_eq!(shot.seconds.len(), super::super::SECONDS);
        assert_eq!(shot.seconds.back().map(|second| second.at.to_bits()), Some(400_f64.to_bits()));
    }
}

//! One chart: an SVG drawing in two sizes, its legend, and the figures behind it as a table.
//!
//! A style sheet shows the size that suits the screen; colours come from it too, so that one
//! drawing is right in light, in dark and on paper. Nothing needs a script.

use super::scale::Scale;
use maud::{Markup, PreEscaped, html};
use std::borrow::Cow;
use std::fmt::Write;

/// Rows of the table behind a chart; of longer series every so manieth is in it.
const ROWS: usize = 120;
/// Points of a series that are drawn; what lies between two is folded.
const POINTS: usize = 600;
/// Each point of a line of so few is marked.
const FEW: usize = 24;
/// Lines are drawn in so many ways.
pub(super) const WAYS: usize = 6;

/// A chart.
pub(super) struct Chart {
    /// A word that no other chart of the page has.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What is to be seen, in a sentence, for who cannot see it.
    pub(super) about: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    /// Where something begins, with its name.
    pub(super) marks: Vec<(f64, String)>,
    /// Values that something is held to, each with its words.
    pub(super) levels: Vec<(f64, String)>,
    /// Whether it takes the whole width of the page.
    pub(super) wide: bool,
}

/// An axis.
pub(super) struct Axis {
    pub(super) name: Cow<'static, str>,
    pub(super) scale: Scale,
    /// A value of it, as short as an axis wants it.
    pub(super) label: fn(f64) -> String,
}

/// One line.
pub(super) struct Series {
    pub(super) name: String,
    /// In which of the [`WAYS`] it is drawn.
    pub(super) way: usize,
    /// From left to right; without a second value there is a gap.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// The size of a drawing, in units of its own.
struct Size {
    class: &'static str,
    width: f64,
    height: f64,
    ticks: u32,
}

/// Between the edge of the drawing and the plot.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 36.0;
/// Between two words, at least.
const APART: f64 = 9.0;
/// Under the top of the plot there is no room for words above a line.
const CEILING: f64 = TOP + 12.0;
/// Height of a line of small words.
const SMALL: f64 = 13.0;

impl Chart {
    /// The chart as a figure of the page.
    pub(super) fn render(&self) -> Markup {
        let large = if self.wide { 1_140.0 } else { 560.0 };
        let height = if self.wide { 340.0 } else { 240.0 };
        let roomy = Size { class: "roomy", width: large, height, ticks: self.ticks() };
        let narrow = Size { class: "narrow", width: 350.0, height: 230.0, ticks: 4 };
        html! {
            figure class=(if self.wide { "chart wide" } else { "chart" }) {
                figcaption {
                    h3 { (self.title) }
                    ul.legend {
                        @for series in &self.series {
                            li { (swatch(series.way)) (series.name) }
                        }
                    }
                }
                (self.draw(&roomy))
                (self.draw(&narrow))
                (self.table())
            }
        }
    }

    const fn ticks(&self) -> u32 {
        if self.wide { 9 } else { 6 }
    }

    fn draw(&self, size: &Size) -> Markup {
        let id = format!("{}-{}", self.id, size.class);
        let names = format!("{id}-title {id}-desc");
        let view = format!("0 0 {:.0} {:.0}", size.width, size.height);
        html! {
            svg class=(size.class) viewBox=(view) role="img" aria-labelledby=(names)
                xmlns="http://www.w3.org/2000/svg" {
                title id={ (id) "-title" } { (self.title) }
                desc id={ (id) "-desc" } { (self.about) }
                (self.grid(size))
                (self.stages(size))
                @for series in &self.series {
                    @for line in self.lines(series, size) {
                        polyline class={ "line way" (series.way) } points=(line) {}
                    }
                    @if series.points.len() <= FEW { (self.dots(series, size)) }
                }
                (self.held(size))
                @if size.class == "roomy" { (self.hints(size)) }
            }
        }
    }

    fn x(&self, size: &Size, value: f64) -> f64 {
        LEFT + self.x.scale.place(value) * (size.width - LEFT - RIGHT)
    }

    fn y(&self, size: &Size, value: f64) -> f64 {
        size.height - BOTTOM - self.y.scale.place(value) * (size.height - TOP - BOTTOM)
    }

    /// The axes, with a line and a word at each tick.
    fn grid(&self, size: &Size) -> Markup {
        let (left, right) = (n(LEFT), n(size.width - RIGHT));
        let (top, bottom) = (n(TOP), n(size.height - BOTTOM));
        let across = self.y.scale.ticks(4);
        let along = self.along(size);
        html! {
            g.grid {
                @for tick in &across {
                    @let y = self.y(size, *tick);
                    line x1=(left) x2=(right) y1=(n(y)) y2=(n(y)) {}
                    text.end x=(n(LEFT - 7.0)) y=(n(y + 4.0)) { ((self.y.label)(*tick)) }
                }
                @for tick in &along {
                    @let x = self.x(size, *tick);
                    line x1=(n(x)) x2=(n(x)) y1=(bottom) y2=(n(size.height - BOTTOM + 4.0)) {}
                    text.middle x=(n(x)) y=(n(size.height - 18.0)) { ((self.x.label)(*tick)) }
                }
                text.name x=(left) y=(n(TOP - 8.0)) { (self.y.name) }
                text class="name end" x=(right) y=(n(size.height - 3.0)) { (self.x.name) }
                line.axis x1=(left) x2=(right) y1=(bottom) y2=(bottom) {}
                line.axis x1=(left) x2=(left) y1=(top) y2=(bottom) {}
            }
        }
    }

    /// The ticks of the lower axis, without those that stand too close to the one before.
    fn along(&self, size: &Size) -> Vec<f64> {
        let mut free = f64::NEG_INFINITY;
        let mut ticks = self.x.scale.ticks(size.ticks);
        ticks.retain(|tick| {
            let (x, half) = (self.x(size, *tick), width(&(self.x.label)(*tick), 12.0) / 2.0);
            let fits = x - half >= free && x + half <= size.width + RIGHT / 2.0;
            if fits {
                free = x + half + APART;
            }
            fits
        });
        ticks
    }

    /// A line where each stage begins; its name where there is room for it. A name left of its line
    /// could be taken for that of the stage before, so only one that is alone may stand there.
    fn stages(&self, size: &Size) -> Markup {
        let mut free = LEFT + 60.0;
        let mut named = Vec::new();
        for (at, name) in &self.marks {
            let (x, room) = (self.x(size, *at), width(name, 11.0) + APART);
            let places: &[_] = if self.marks.len() == 1 { &[4.0, 4.0 - room] } else { &[4.0] };
            let fits = |left: &&f64| x + **left >= free && x + **left + room < size.width;
            let left = places.iter().find(fits).map(|left| x + left);
            free = left.map_or(free, |left| left + room);
            named.push((x, left, name));
        }
        html! {
            g.stages {
                @for (x, left, name) in &named {
                    line x1=(n(*x)) x2=(n(*x)) y1=(n(TOP)) y2=(n(size.height - BOTTOM)) {}
                    @if let Some(left) = left {
                        text x=(n(*left)) y=(n(TOP - 8.0)) { (name) }
                    }
                }
            }
        }
    }

    /// A line across at each level, with its words at the right: above it where there is room, and
    /// left of words that are there already.
    fn held(&self, size: &Size) -> Markup {
        let right = size.width - RIGHT;
        let mut taken: Vec<(f64, f64)> = Vec::new();
        html! {
            @for (level, words) in &self.levels {
                @let line = self.y(size, *level);
                @let y = if line < CEILING { line + SMALL } else { line - 4.0 };
                @let near = taken.iter().filter(|(_, other)| (other - y).abs() < SMALL);
                @let end = near.fold(right - 2.0, |end, (left, _)| end.min(left - APART));
                g.slo {
                    line x1=(n(LEFT)) x2=(n(right)) y1=(n(line)) y2=(n(line)) {}
                    text.end x=(n(end)) y=(n(y)) { (words) }
                }
                @let () = taken.push((end - width(words, 11.0), y));
            }
        }
    }

    /// The unbroken pieces of a line, as the coordinates of their points.
    fn lines(&self, series: &Series, size: &Size) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line: Vec<(f64, f64)> = Vec::new();
        for (x, y) in fold(&series.points).into_iter().chain([(0.0, None)]) {
            if let Some(y) = y {
                line.push((self.x(size, x), self.y(size, y)));
                continue;
            }
            // One point alone is a line to itself.
            if let [only] = line.as_slice() {
                line.push(*only);
            }
            let mut text = String::new();
            for (x, y) in line.drain(..) {
                // Writing into a string cannot fail.
                let _ = write!(text, "{x:.1},{y:.1} ");
            }
            if !text.is_empty() {
                lines.push(text.trim_end().to_owned());
            }
        }
        lines
    }

    /// A mark at each point of a line.
    fn dots(&self, series: &Series, size: &Size) -> Markup {
        let known = series.points.iter().filter_map(|(x, y)| Some((*x, (*y)?)));
        html! {
            @for (x, y) in known {
                circle class={ "dot way" (series.way) } r="2.6" cx=(n(self.x(size, x)))
                    cy=(n(self.y(size, y))) {}
            }
        }
    }

    /// What a pointer that rests on the plot is told.
    fn hints(&self, size: &Size) -> Markup {
        let Some(first) = self.series.first() else { return html! {} };
        let columns = peaks(&first.points);
        let places: Vec<f64> = columns.iter().map(|(x, _)| self.x(size, *x)).collect();
        let folded: Vec<_> = self.series.iter().map(|series| peaks(&series.points)).collect();
        let edge = |place: usize| match (places.get(place.wrapping_sub(1)), places.get(place)) {
            (Some(before), Some(here)) => f64::midpoint(*before, *here),
            (None, Some(here)) => *here,
            (Some(before), None) => *before,
            (None, None) => LEFT,
        };
        html! {
            g.hints {
                @for (place, (x, _)) in columns.iter().enumerate() {
                    @let (from, to) = (edge(place), edge(place + 1));
                    rect x=(n(from)) width=(n((to - from).max(0.5))) y=(n(TOP))
                        height=(n(size.height - TOP - BOTTOM)) {
                        title {
                            ((self.x.label)(*x))
                            @for (series, points) in self.series.iter().zip(&folded) {
                                @if let Some((_, Some(y))) = points.get(place) {
                                    "\n" (series.name) ": " ((self.y.label)(*y))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The figures, for who cannot see the drawing or wants them exactly.
    fn table(&self) -> Markup {
        let Some(longest) = self.series.iter().max_by_key(|series| series.points.len()) else {
            return html! {};
        };
        let step = longest.points.len().div_ceil(ROWS).max(1);
        let alike = self.series.iter().all(|series| series.points.len() == longest.points.len());
        html! {
            details {
                summary { "Figures" @if step > 1 { " (every " (step) "th)" } }
                div.scroll tabindex="0" role="region" aria-label={ (self.title) ", figures" } {
                    @if alike {
                        (self.columns(longest, step))
                    } @else {
                        @for series in &self.series { (self.column(series, step)) }
                    }
                }
            }
        }
    }

    /// One table, where all series have their points at the same places.
    fn columns(&self, longest: &Series, step: usize) -> Markup {
        html! {
            table {
                thead { tr {
                    th scope="col" { (self.x.name) }
                    @for series in &self.series { th scope="col" { (series.name) } }
                } }
                tbody {
                    @for place in (0..longest.points.len()).step_by(step) {
                        tr {
                            th scope="row" { ((self.x.label)(longest.points[place].0)) }
                            @for series in &self.series {
                                td { (self.shown(series.points[place].1)) }
                            }
                        }
                    }
                }
            }
        }
    }

    /// A table of one series.
    fn column(&self, series: &Series, step: usize) -> Markup {
        html! {
            table {
                caption { (series.name) }
                thead { tr {
                    th scope="col" { (self.x.name) }
                    th scope="col" { (self.y.name) }
                } }
                tbody {
                    @for (x, y) in series.points.iter().step_by(step) {
                        tr {
                            th scope="row" { ((self.x.label)(*x)) }
                            td { (self.shown(*y)) }
                        }
                    }
                }
            }
        }
    }

    fn shown(&self, value: Option<f64>) -> String {
        value.map_or_else(|| "\u{2013}".to_owned(), self.y.label)
    }
}

/// How a line is drawn, beside its name.
pub(super) fn swatch(way: usize) -> Markup {
    html! {
        svg.swatch viewBox="0 0 24 8" aria-hidden="true" {
            polyline class={ "line way" (way) } points="1,4 23,4" {}
        }
        (PreEscaped(" "))
    }
}

/// How wide words of this size are, about; rather too wide.
fn width(words: &str, size: f64) -> f64 {
    words.chars().map(|_| size * 0.62).sum()
}

/// A coordinate, to a tenth.
fn n(value: f64) -> String {
    format!("{value:.1}")
}

/// At most [`POINTS`] of the points: of some that stand together, the lowest and the highest in
/// their order, so that neither a peak nor a hole is lost.
fn fold(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let step = points.len().div_ceil(POINTS / 2);
    let ends = |some: &[(f64, Option<f64>)]| {
        let known = || some.iter().filter(|(_, y)| y.is_some());
        let rank = |one: &&(f64, Option<f64>), other: &&(f64, Option<f64>)| {
            one.1.partial_cmp(&other.1).unwrap_or(std::cmp::Ordering::Equal)
        };
        match (known().min_by(rank), known().max_by(rank)) {
            (Some(low), Some(high)) if low.0 <= high.0 => [*low, *high],
            (Some(low), Some(high)) => [*high, *low],
            _ => [some[0], some[some.len() - 1]],
        }
    };
    points.chunks(step).flat_map(ends).collect()
}

/// At most [`POINTS`] of the points: each stands for some, with the highest of their values.
fn peaks(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    let step = points.len().div_ceil(POINTS).max(1);
    let highest = |some: &[(f64, Option<f64>)]| {
        let values = some.iter().filter_map(|(_, y)| *y);
        values.fold(None, |most: Option<f64>, y| Some(most.map_or(y, |most| most.max(y))))
    };
    points.chunks(step).map(|some| (some[some.len() - 1].0, highest(some))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_keeps_every_peak_and_every_hole_in_their_places() {
        let count = |at: usize| f64::from(u32::try_from(at).unwrap());
        let mut points: Vec<_> = (0..6_000).map(|at| (count(at), Some(10.0))).collect();
        (points[3_333].1, points[4_444].1) = (Some(50.0), Some(1.0));
        points[100..160].iter_mut().for_each(|point| point.1 = None);
        let folded = fold(&points);
        assert_eq!(folded.len(), POINTS);
        assert!(folded.contains(&(3_333.0, Some(50.0))) && folded.contains(&(4_444.0, Some(1.0))));
        assert!(folded.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert_eq!(folded.iter().filter(|(_, y)| y.is_none()).count(), 6);
        assert_eq!(fold(&points[..600]), points[..600]);
    }

    #[test]
    fn what_a_pointer_is_told_keeps_every_peak_and_both_gaps_and_ends() {
        let count = |at: usize| f64::from(u32::try_from(at).unwrap());
        let mut points: Vec<_> = (0..6_000).map(|at| (count(at), Some(1.0))).collect();
        points[3_333].1 = Some(50.0);
        points[10..30].iter_mut().for_each(|point| point.1 = None);
        let folded = peaks(&points);
        assert_eq!(folded.len(), POINTS);
        assert_eq!(folded.last(), Some(&(5_999.0, Some(1.0))));
        assert_eq!(folded.iter().filter(|(_, y)| *y == Some(50.0)).count(), 1);
        assert_eq!(folded.iter().filter(|(_, y)| y.is_none()).count(), 2);
        assert_eq!(peaks(&points[..5]), points[..5]);
    }
}

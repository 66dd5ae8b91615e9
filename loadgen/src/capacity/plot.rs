//! A small plot in plain text: points over a grid, a line across, a line upwards.

use std::fmt::Write;

/// What is drawn. Values lie at or above zero.
pub(super) struct Plot<'a> {
    /// Each with its sign; of several in one place the last is seen.
    pub(super) points: &'a [(f64, f64, char)],
    /// A line across at this height.
    pub(super) limit: Option<f64>,
    /// A line upwards at this place.
    pub(super) knee: Option<f64>,
    /// What stands at the ends of the axes.
    pub(super) labels: Labels<'a>,
}

/// How values are written at the axes.
pub(super) struct Labels<'a> {
    pub(super) across: &'a dyn Fn(f64) -> String,
    pub(super) upwards: &'a dyn Fn(f64) -> String,
}

const WIDTH: usize = 60;
const HEIGHT: usize = 12;
/// Room for what stands at the left axis.
const MARGIN: usize = 10;

impl Plot<'_> {
    /// The drawing, some lines; empty where there are no points. Both axes are logarithmic, since
    /// loads were doubled and latencies explode.
    pub(super) fn draw(&self) -> String {
        let loads = || self.points.iter().map(|(x, ..)| *x);
        let values = || self.points.iter().map(|(_, y, _)| *y).chain(self.limit);
        if self.points.is_empty() {
            return String::new();
        }
        let across = Axis::over(loads(), WIDTH);
        let upwards = Axis::over(values(), HEIGHT);
        let mut grid = vec![vec![' '; WIDTH]; HEIGHT];
        if let Some(limit) = self.limit {
            grid[upwards.cell(limit)].fill('-');
        }
        if let Some(knee) = self.knee {
            let column = across.cell(knee);
            for row in &mut grid {
                row[column] = '|';
            }
        }
        for (x, y, sign) in self.points {
            grid[upwards.cell(*y)][across.cell(*x)] = *sign;
        }
        self.framed(&grid, &across, &upwards)
    }

    fn framed(&self, grid: &[Vec<char>], across: &Axis, upwards: &Axis) -> String {
        let mut text = String::new();
        let limit = self.limit.map(|limit| (upwards.cell(limit), limit));
        for (row, cells) in grid.iter().enumerate().rev() {
            let value = match row {
                _ if limit.is_some_and(|(at, _)| at == row) => limit.map(|(_, limit)| limit),
                0 => Some(upwards.from),
                row if row + 1 == HEIGHT => Some(upwards.to),
                _ => None,
            };
            let label = value.map_or_else(String::new, self.labels.upwards);
            let cells: String = cells.iter().collect();
            let line = format!("{label:>MARGIN$} |{cells}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let (from, to) = ((self.labels.across)(across.from), (self.labels.across)(across.to));
        let room = WIDTH.saturating_sub(from.len());
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{:MARGIN$} +{}", "", "-".repeat(WIDTH));
        let _ = writeln!(text, "{:MARGIN$}  {from}{to:>room$}", "");
        text
    }
}

/// From one value to another, each factor as long, in so many cells.
struct Axis {
    from: f64,
    to: f64,
    cells: usize,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, cells: usize) -> Self {
        let (mut from, mut to) = (f64::INFINITY, 0.0_f64);
        for value in values.map(|value| value.max(1.0)) {
            from = from.min(value);
            to = to.max(value);
        }
        Self { from, to, cells }
    }

    fn cell(&self, value: f64) -> usize {
        let span = (self.to / self.from).ln();
        if span <= 0.0 {
            return 0;
        }
        let place = (value.clamp(self.from, self.to) / self.from).ln() / span;
        let last = self.cells - 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a place from 0 to some tens"
        )]
        let cell = (place * last as f64).round() as usize;
        cell.min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: &[(f64, f64, char)], limit: Option<f64>, knee: Option<f64>) -> Vec<String> {
        let plain = |value: f64| format!("{value:.0}");
        let labels = Labels { across: &plain, upwards: &plain };
        Plot { points, limit, knee, labels }.draw().lines().map(str::to_owned).collect()
    }

    #[test]
    fn points_stand_where_they_belong_and_lines_cross() {
        let points = [(100.0, 10.0, 'o'), (1_000.0, 100.0, 'o'), (10_000.0, 1_000.0, 'x')];
        let lines = drawn(&points, Some(300.0), Some(1_000.0));
        assert_eq!(lines.len(), HEIGHT + 2);
        assert!(lines[0].starts_with("      1000 |") && lines[0].ends_with('x'), "{lines:#?}");
        assert!(lines[HEIGHT - 1].starts_with("        10 |o"), "{lines:#?}");
        let limit = lines.iter().find(|line| line.starts_with("       300 |")).unwrap();
        assert!(limit.matches('-').count() == WIDTH - 1 && limit.contains('|'), "{lines:#?}");
        assert_eq!(lines.last().unwrap().trim(), format!("100{:>57}", "10000"));
    }

    #[test]
    fn one_point_and_none_are_drawn_too() {
        assert!(drawn(&[], Some(1.0), None).is_empty());
        let lines = drawn(&[(5.0, 5.0, 'o')], None, Some(5.0));
        assert!(lines[HEIGHT - 1].ends_with("|o"), "{lines:#?}");
        assert_eq!(drawn(&[(0.0, 0.0, 'x')], None, None).len(), HEIGHT + 2);
    }
}

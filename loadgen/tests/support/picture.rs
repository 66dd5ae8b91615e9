//! A picture of a page, and where in it something of a colour is drawn.

/// Red, green and blue, each up to 255.
pub(crate) type Colour = [f64; 3];

/// A place on the page: left, top, width, height.
pub(crate) type Area = [f64; 4];

/// At least so much of a line's colour is in a pixel that is its; the rest is the ground's.
const COVERS: f64 = 0.5;
/// So far from such a mixture a pixel's colour may lie.
const APART: f64 = 30.0;

/// Pixels, of which the first is at this place of the page.
pub(crate) struct Picture {
    left: f64,
    top: f64,
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

/// `rgb(1, 2, 3)`, as a browser says a colour.
pub(crate) fn colour(said: &str) -> Colour {
    let figures = said.trim_start_matches("rgb(").trim_end_matches(')');
    let parts: Vec<f64> = figures.split(',').map(|part| part.trim().parse().unwrap()).collect();
    parts.try_into().unwrap()
}

fn zip(one: Colour, other: Colour, by: fn(f64, f64) -> f64) -> Colour {
    [by(one[0], other[0]), by(one[1], other[1]), by(one[2], other[2])]
}

fn length(colour: Colour) -> f64 {
    colour.iter().map(|part| part * part).sum::<f64>().sqrt()
}

/// How easily two colours are told apart, 1 to 21: the measure of WCAG 2.
pub(crate) fn contrast(one: Colour, other: Colour) -> f64 {
    let light = |colour: Colour| {
        let parts = colour.map(|part| match part / 255.0 {
            low if low <= 0.040_45 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05
    };
    let (one, other) = (light(one), light(other));
    one.max(other) / one.min(other)
}

/// How far `pixel` is from the nearest mixture of `ground` and at least half of `ink`.
fn distance(pixel: Colour, ground: Colour, ink: Colour) -> f64 {
    let (way, gone) = (zip(ink, ground, |a, b| a - b), zip(pixel, ground, |a, b| a - b));
    let along = zip(way, gone, |a, b| a * b).iter().sum::<f64>() / length(way).powi(2).max(1.0);
    let share = along.clamp(COVERS, 1.0);
    length([0, 1, 2].map(|part: usize| gone[part] - share * way[part]))
}

impl Picture {
    /// Of a PNG of what is at this place.
    pub(crate) fn read(png: &[u8], [left, top, ..]: Area) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let samples = info.color_type.samples();
        assert!(samples >= 3, "a picture in colours");
        let bytes = bytes[..info.buffer_size()].chunks_exact(samples);
        let pixels = bytes.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        let (width, height) = (info.width as usize, info.height as usize);
        Self { left, top, width, height, pixels }
    }

    /// The pixels of an area, column by column.
    fn columns(&self, [x, y, width, height]: Area) -> Vec<Vec<Colour>> {
        let places = |from: f64, length: f64, most: usize| {
            (0..most).filter(move |place| {
                let middle = f64::from(u32::try_from(*place).unwrap()) + 0.5;
                (from..from + length).contains(&middle)
            })
        };
        let at = |column: usize, row: usize| self.pixels[row * self.width + column].map(f64::from);
        let rows: Vec<usize> = places(y - self.top, height, self.height).collect();
        let column = |column| rows.iter().map(|row| at(column, *row)).collect();
        places(x - self.left, width, self.width).map(column).collect()
    }

    /// The share of an area's columns in which something is drawn in `inks[which]`, and not rather
    /// in another of these colours.
    pub(crate) fn extent(&self, area: Area, ground: Colour, inks: &[Colour], which: usize) -> f64 {
        let is = |pixel: &Colour| {
            let own = distance(*pixel, ground, inks[which]);
            own <= APART && inks.iter().all(|ink| own <= distance(*pixel, ground, *ink))
        };
        let columns = self.columns(area);
        share(columns.iter().filter(|column| column.iter().any(is)).count(), columns.len())
    }

    /// The share of an area's pixels that are not of the ground.
    pub(crate) fn filled(&self, area: Area, ground: Colour) -> f64 {
        let columns = self.columns(area);
        let inked = |pixel: &&Colour| length(zip(**pixel, ground, |a, b| a - b)) > APART;
        let inked = columns.iter().flatten().filter(inked).count();
        share(inked, columns.iter().map(Vec::len).sum())
    }
}

fn share(part: usize, whole: usize) -> f64 {
    let count = |count: usize| f64::from(u32::try_from(count).unwrap());
    if whole == 0 { 0.0 } else { count(part) / count(whole) }
}

//! Reads the tables of SPEC.md, so that the text and the code cannot part.

/// The rows of the first table below `heading`, header and ruler left out, cells trimmed.
pub(crate) fn table<'a>(document: &'a str, heading: &str, header: &str) -> Vec<Vec<&'a str>> {
    let (_, below) = document
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("SPEC.md has no heading {heading}"));
    let mut lines = below.lines().skip_while(|line| *line != header);
    lines.next().unwrap_or_else(|| panic!("no table {header} below {heading}"));
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
    })
    .collect()
}

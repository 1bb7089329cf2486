//! Tables for people: columns as wide as their widest cell in a terminal.

use clap::ValueEnum;
use unicode_width::UnicodeWidthStr;

use crate::printable::excerpt;

/// How a result is printed that people read as a table.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// A table for people
    Text,
    /// One JSON object
    Json,
}

/// Spaces between two columns.
const COLUMN_GAP: usize = 3;

/// Lines of cells, the heading among them, each cell in one line.
pub(super) fn aligned(lines: &[Vec<String>]) -> String {
    let lines: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(|cell| excerpt(cell)).collect()).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.width()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            shown += cell;
            shown += &" ".repeat(width.saturating_sub(cell.width()) + COLUMN_GAP);
        }
        text += shown.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_and_hostile_ones_keep_the_columns() {
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text =
            aligned(&[line(["A", "B"]), line(["计算", "x"]), line(["a\nb\u{1b}[2J", "y"]), line(["c", ""])]);
        assert_eq!(text, "A      B\n计算   x\na b    y\nc\n");
    }
}

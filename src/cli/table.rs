//! Lists that a command prints: as a table, as JSON or as YAML.

use super::input::print_data;
use clap::ValueEnum;
use serde::Serialize;
use std::io::Write;

/// What stands between two columns.
const GAP: &str = "   ";

/// The form of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A line for each.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// Prints data in this form; `table` makes lines of it, the first of which has the titles.
    ///
    /// # Errors
    /// Nothing can be written to `out`.
    pub(super) fn print<T: Serialize>(
        self,
        data: &T,
        table: impl FnOnce(&T) -> Vec<Vec<String>>,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        match self {
            Self::Table => write!(out, "{}", aligned(&table(data)))?,
            Self::Json | Self::Yaml => print_data(data, self == Self::Json, out)?,
        }
        Ok(())
    }
}

/// Lines whose cells stand below each other; an empty cell is a dash.
pub(super) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let length = |line: &Vec<String>, column: usize| line.get(column).map_or(1, |cell| cell.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|column| lines.iter().map(|line| length(line, column)).max().unwrap_or_default()).collect();
    let mut text = String::new();
    for line in lines {
        let cell = |(cell, width): (&String, &usize)| {
            format!("{:<width$}", if cell.is_empty() { "-" } else { cell.as_str() }, width = *width)
        };
        let cells: Vec<String> = line.iter().zip(&widths).map(cell).collect();
        text.push_str(cells.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

/// A line of a table.
pub(super) fn line<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cells_of_a_column_stand_below_each_other() {
        let lines = [line(["TAG", "REVISION"]), line(["production", ""]), line(["a", "canary"])];
        assert_eq!(aligned(&lines), "TAG          REVISION\nproduction   -\na            canary\n");
        assert_eq!(aligned(&[]), "");
    }
}

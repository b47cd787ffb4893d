//! Tables.

/// What stands between two columns.
const GAP: &str = "   ";

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

/// The first of many, and how many more.
pub(super) fn first(all: &[String], most: usize) -> String {
    let first = all.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(most) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
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

    #[test]
    fn of_many_the_first_are_told_and_how_many_more() {
        let all = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([0, 2, 3].map(|count| first(&all[..count], 2)), ["", "a, b", "a, b and 1 more"]);
    }
}

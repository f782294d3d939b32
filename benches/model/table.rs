//! Tables of results.

/// A table that is printed line by line.
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints the head. The first column is for names, the others are for numbers.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let width = |(index, name): (usize, &&str)| match index {
            0 => NAME_WIDTH,
            _ => name.len().max(NUMBER_WIDTH),
        };
        let widths: Vec<usize> = columns.iter().enumerate().map(width).collect();
        let table = Self { widths };
        table.row(columns.iter().map(|&name| name.to_owned()));
        table
    }

    /// Prints a line.
    pub(crate) fn row(&self, cells: impl IntoIterator<Item = String>) {
        let mut line = String::new();
        for (index, (cell, &width)) in cells.into_iter().zip(&self.widths).enumerate() {
            if index == 0 {
                line += &format!("{cell:<width$}");
            } else {
                line += &format!("  {cell:>width$}");
            }
        }
        println!("{line}");
    }
}

/// A number without digits behind the point.
pub(crate) fn whole(number: f64) -> String {
    format!("{number:.0}")
}

/// Bytes as MiB.
pub(crate) fn mebibytes(size: u64) -> String {
    format!("{:.1}", size as f64 / f64::from(1 << 20))
}

/// By how many MiB memory has grown; `-` if the system does not tell.
pub(crate) fn growth(before: Option<u64>, after: Option<u64>) -> String {
    let grown = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    grown.map_or("-".to_owned(), mebibytes)
}

const NAME_WIDTH: usize = 40;

const NUMBER_WIDTH: usize = 9;

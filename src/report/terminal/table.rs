//! A table that fits the width: columns that matter less give way, then the longest text is cut.

use super::page::{self, Page, Paint};

/// A column.
#[derive(Clone, Copy)]
pub struct Head {
    /// Title.
    pub title: &'static str,
    /// Text is left-aligned and may be cut, numbers are not.
    pub text: bool,
    /// Which columns give way first where there is no room: the highest; 0 never does.
    pub yields: u8,
}

/// A column of text.
pub const fn text(title: &'static str) -> Head {
    Head { title, text: true, yields: 0 }
}

/// A column of numbers.
pub const fn number(title: &'static str, yields: u8) -> Head {
    Head { title, text: false, yields }
}

/// Columns and rows. Cells must be escaped already.
pub struct Table {
    heads: Vec<Head>,
    rows: Vec<Vec<(Paint, String)>>,
}

/// Least columns of a text that is cut.
const SHORTEST: usize = 8;

impl Table {
    /// A table without rows.
    pub fn new(heads: &[Head]) -> Table {
        Table { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; all in one paint.
    pub fn row(&mut self, paint: Paint, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| (paint, cell)).collect());
    }

    /// Adds a row of differently painted cells.
    pub fn painted(&mut self, cells: impl IntoIterator<Item = (Paint, String)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether everything fits without dropping or cutting anything.
    pub fn fits(&self, width: usize) -> bool {
        self.sizes().iter().map(|size| size + 2).sum::<usize>() <= width
    }

    /// Writes it, indented by two; columns in which all cells are empty are left out.
    pub fn write(mut self, page: &mut Page) {
        let mut at = 0;
        while at < self.heads.len() {
            let empty = self.rows.iter().all(|row| row.get(at).is_none_or(|(_, cell)| cell.is_empty()));
            if empty { self.drop_column(at) } else { at += 1 }
        }
        while self.sizes().iter().map(|size| size + 2).sum::<usize>() > page.width {
            let least = self.heads.iter().enumerate().filter(|(_, h)| h.yields > 0).max_by_key(|(_, h)| h.yields);
            let Some((at, _)) = least else { break };
            self.drop_column(at);
        }
        let sizes = self.fitted(page.width);
        let titles: Vec<_> = self.heads.iter().map(|h| (Paint::Dim, h.title.to_owned())).collect();
        self.line(page, &sizes, &titles);
        self.rows.iter().for_each(|row| self.line(page, &sizes, row));
    }

    fn drop_column(&mut self, at: usize) {
        self.heads.remove(at);
        for row in self.rows.iter_mut().filter(|row| at < row.len()) {
            row.remove(at);
        }
    }

    fn sizes(&self) -> Vec<usize> {
        let size = |(at, head): (usize, &Head)| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|(_, cell)| page::width(cell));
            cells.max().unwrap_or(0).max(page::width(head.title))
        };
        self.heads.iter().enumerate().map(size).collect()
    }

    /// Sizes that fit: the widest texts give way first.
    fn fitted(&self, width: usize) -> Vec<usize> {
        let mut sizes = self.sizes();
        let mut over = sizes.iter().map(|size| size + 2).sum::<usize>().saturating_sub(width);
        while over > 0 {
            let texts = sizes.iter_mut().zip(&self.heads).filter(|(size, head)| head.text && **size > SHORTEST);
            let Some((widest, _)) = texts.max_by_key(|(size, _)| **size) else { break };
            *widest -= 1;
            over -= 1;
        }
        sizes
    }

    fn line(&self, page: &mut Page, sizes: &[usize], cells: &[(Paint, String)]) {
        let mut pieces = Vec::new();
        for ((head, size), (paint, cell)) in self.heads.iter().zip(sizes).zip(cells) {
            let cell = page::cut_to(cell, *size);
            let gap = " ".repeat(size.saturating_sub(page::width(&cell)));
            let (before, behind) = if head.text { (String::new(), gap) } else { (gap, String::new()) };
            pieces.push((Paint::Plain, format!("  {before}")));
            pieces.push((*paint, cell));
            pieces.push((Paint::Plain, behind));
        }
        let pieces: Vec<_> = pieces.iter().map(|(paint, text)| (*paint, text.as_str())).collect();
        page.pieces(&pieces);
    }
}

#[cfg(test)]
mod tests {
    use super::super::TerminalStyle;
    use super::*;

    fn written(width: usize) -> String {
        let heads = [text("what"), number("n", 0), number("p90", 2), number("p99", 1), number("none", 3)];
        let mut table = Table::new(&heads);
        let cells = ["a name that is rather long for a terminal", "12", "345", "6789", ""];
        table.row(Paint::Plain, cells.map(str::to_owned));
        let mut page = Page::new(&TerminalStyle { width, ..TerminalStyle::default() });
        table.write(&mut page);
        page.finish()
    }

    #[test]
    fn empty_columns_are_left_out_then_the_least_important_then_text_is_cut() {
        assert!(written(80).contains("p90") && !written(80).contains("none"));
        let narrower = written(57);
        assert!(narrower.contains("p99") && !narrower.contains("p90"), "{narrower}");
        let narrow = written(40);
        assert!(!narrow.contains("p99") && narrow.contains("12"), "{narrow}");
        assert!(narrow.lines().all(|l| page::width(l) <= 40), "{narrow}");
    }
}

//! Braille dots: two columns and four rows a cell, one colour a cell.

use super::layout::{DOT_COLUMNS, DOT_ROWS};
use crate::chart::Rgb;

/// Bits of the dots of a cell, row by row, left to right (Unicode block U+2800).
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Dots of a rectangle of cells.
pub(super) struct Dots {
    columns: u32,
    rows: u32,
    /// Dots of each cell, and the colour of the last one set.
    cells: Vec<(u8, Rgb)>,
}

impl Dots {
    /// No dots, in `columns` x `rows` cells.
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let (columns, rows) = (u32::from(columns), u32::from(rows));
        Self { columns, rows, cells: vec![(0, (0, 0, 0)); (columns * rows) as usize] }
    }

    /// Sets one dot. Places outside are ignored.
    pub(super) fn set(&mut self, x: i64, y: i64, color: Rgb) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if x >= self.columns * DOT_COLUMNS || y >= self.rows * DOT_ROWS {
            return;
        }
        let cell = &mut self.cells[((y / DOT_ROWS) * self.columns + x / DOT_COLUMNS) as usize];
        cell.0 |= BITS[(y % DOT_ROWS) as usize][(x % DOT_COLUMNS) as usize];
        cell.1 = color;
    }

    /// Character and colour of a cell; `None` if it has no dots.
    pub(super) fn cell(&self, column: u16, row: u16) -> Option<(char, Rgb)> {
        let (bits, color) = *self.cells.get((u32::from(row) * self.columns + u32::from(column)) as usize)?;
        let code = 0x2800 + u32::from(bits);
        char::from_u32(code).filter(|_| bits > 0).map(|c| (c, color))
    }

    /// Draws a straight line between two places, in fractional dots. In each column that it crosses, it sets the dots
    /// from the height at which it enters to the height at which it leaves.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: Rgb) {
        let (from, to) = if from.0 <= to.0 { (from, to) } else { (to, from) };
        let width = f64::from(self.columns * DOT_COLUMNS);
        let (slope, last) = ((to.1 - from.1) / (to.0 - from.0), width - 1.0);
        let y_at = |x: f64| if slope.is_finite() { from.1 + (x - from.0) * slope } else { from.1 };
        let has_nan = [from.0, from.1, to.0, to.1].iter().any(|part| part.is_nan());
        if has_nan || to.0 < 0.0 || from.0 >= width {
            return;
        }
        // Both ends lie in one column.
        let vertical = from.0.floor() == to.0.floor();
        for column in from.0.max(0.0) as i64..=to.0.min(last) as i64 {
            let x = column as f64;
            let (a, b) = if vertical { (from.1, to.1) } else { (y_at(x.max(from.0)), y_at((x + 1.0).min(to.0))) };
            self.column(column, a, b, color);
        }
    }

    /// Sets the dots of one column between two heights.
    fn column(&mut self, x: i64, a: f64, b: f64, color: Rgb) {
        let bottom = f64::from(self.rows * DOT_ROWS);
        let (top, low) = (a.min(b), a.max(b));
        if low >= 0.0 && top < bottom {
            (top.max(0.0) as i64..=low.min(bottom - 1.0) as i64).for_each(|y| self.set(x, y, color));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOR: Rgb = (1, 2, 3);

    fn text(dots: &Dots) -> String {
        let row = |y: u32| {
            let cell = |x: u32| dots.cell(x as u16, y as u16).map_or(' ', |(c, _)| c);
            (0..dots.columns).map(cell).collect::<String>()
        };
        (0..dots.rows).map(row).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn lines_are_drawn_dot_by_dot() {
        let drawn = |from, to| {
            let mut dots = Dots::new(2, 1);
            dots.line(from, to, COLOR);
            text(&dots)
        };
        assert_eq!(drawn((0.5, 0.5), (3.5, 0.5)), "⠉⠉");
        assert_eq!(drawn((0.5, 3.5), (3.5, 3.5)), "⣀⣀");
        assert_eq!(drawn((1.5, 0.5), (1.5, 3.5)), "⢸ ");
        assert_eq!(drawn((3.5, 0.5), (0.5, 3.5)), drawn((0.5, 3.5), (3.5, 0.5)));
        assert_eq!(drawn((-90.0, 1.5), (90.0, 1.5)), "⠒⠒", "what lies outside is cut off");
        assert_eq!(drawn((1.5, -1e9), (1.5, 1e9)), "⢸ ");
        assert_eq!(drawn((5.0, 0.0), (9.0, 3.0)), "  ");
        assert_eq!(drawn((f64::NAN, 0.0), (1.0, f64::NAN)), "  ");
    }

    #[test]
    fn a_cell_has_the_color_of_its_last_dot() {
        let mut dots = Dots::new(1, 1);
        dots.set(0, 0, COLOR);
        dots.set(1, 3, (9, 9, 9));
        dots.set(2, 0, COLOR);
        dots.set(-1, 0, COLOR);
        assert_eq!(dots.cell(0, 0), Some(('⢁', (9, 9, 9))));
    }
}

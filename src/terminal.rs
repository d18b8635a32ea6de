//! The terminal view: input out, cells in. The only module that knows ratatui and crossterm.
//!
//! It draws a [`Frame`], plain data in the chart's own space. Lines are made of braille dots, two columns and four rows
//! a cell, so that a terminal of 100 x 30 has a chart of some 150 x 100 dots; each cell has one colour. Where the
//! terminal shows no colours, shapes and weights stand in for them.

mod axes;
mod canvas;
mod chart;
mod color;
mod dots;
mod frame;
mod header_footer;
mod input;
mod layout;
mod popups;
mod screen;

pub use canvas::lines_of;
pub use color::{Colors, Rgb};
pub use frame::{
    Bars, Candle, Chart, Crosshair, Frame, Gap, Line, Look, Mark, Message, Notice, Outlier, Reading, Ruler, Search,
    Tag, Watched, Word,
};
pub use layout::{COLUMNS_MIN, CellLayout, DOT_COLUMNS, DOT_ROWS, ROWS_MIN};
pub use screen::{Screen, TerminalError, give_back};

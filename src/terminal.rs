//! Terminal view: renders a [`Scene`](crate::chart::Scene) to cells and reads keys and mouse. Only this module uses
//! ratatui and crossterm.
//!
//! Lines are made of braille dots, two columns and four rows a cell, so a terminal of 100 x 30 cells has a chart of
//! about 150 x 100 dots. A cell has a single colour. Without colours, shapes and text weights stand in for them.

mod axes;
mod braille;
mod canvas;
mod color;
mod header_footer;
mod input;
mod layout;
mod plot;
mod popups;
mod render;
mod tty;

pub use color::ColorDepth;
pub use layout::{COLUMNS_MIN, CellLayout, DOT_COLUMNS, DOT_ROWS, ROWS_MIN};
pub use render::text_lines;
pub use tty::{Screen, TerminalError, restore};

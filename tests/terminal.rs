//! The terminal view in a real terminal (tmux): contents of the cells, keys and mouse, and restoration of the terminal.

mod content;
mod fixture;
mod golden;
mod input;
mod selection;
mod shutdown;

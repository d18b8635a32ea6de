//! The terminal view in a real terminal (tmux): what its cells say, what keys and mouse do, and that the terminal is
//! given back as it was.

mod content;
mod fixture;
mod golden;
mod input;
mod selection;
mod shutdown;

//! The terminal view in a real terminal (tmux): what its cells say, what keys and mouse do, and that the terminal is
//! given back as it was.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub mod process;
    pub mod server;
    pub mod tmux;
    pub mod wait;
}

mod terminal_view {
    use super::support;

    mod choice;
    mod ends;
    mod golden;
    mod hands;
    pub mod scope;
    mod shows;
}

//! Out again: what a store holds as files that pandas and polars read, and files and stores played again.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub mod postgres;
    pub mod process;
    pub mod readers;
    pub mod redis_server;
    pub mod server;
    pub mod wait;
}

mod taken {
    use super::support;

    pub mod bench;
    mod exported;
    mod refused;
    mod replayed;
    mod round;
}

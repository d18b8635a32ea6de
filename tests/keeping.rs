//! Stores on real databases: every tick once, whatever dies; a file of SQLite and a server of PostgreSQL side by side.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub mod postgres;
    pub mod server;
    pub mod wait;
}

mod kept {
    use super::support;

    pub mod cleaning;
    pub mod files;
    pub mod full;
    pub mod killed;
    pub mod lost_answers;
    pub mod once;
    pub mod queue;
    pub mod reading;
    pub mod stores;
    pub mod timescale;
    pub mod tls;
}

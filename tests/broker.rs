//! The embedded broker is a Redis to whoever speaks to it: the same tests run over a real redis-server and over it, and
//! others try what only a broker within a program has to stand.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub mod process;
    pub mod server;
    pub mod wait;
}

mod serving {
    use super::support;

    pub mod clients;
    pub mod detached;
    pub mod limits;
    pub mod local;
    pub mod stream_random;
    pub mod stream_transcripts;
    pub mod tools;
    pub mod transcripts;
    pub mod waiting;
}

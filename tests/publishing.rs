//! Durable publishing: streams, the spool, and a real cluster, through crashes of either side.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support {
    pub mod cluster;
    pub mod process;
    pub mod redis_server;
    pub mod server;
    pub mod wait;
}

mod durable {
    mod cluster;
    pub mod oracle;
    mod spool;
    mod streams;
}

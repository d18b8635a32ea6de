//! Streams as the consumer reads them: alone, as a member of a group, over servers that die, freeze and forget.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub mod cluster;
    pub mod process;
    pub mod server;
    pub mod wait;
}

mod streaming {
    pub mod bench;
    mod clusters;
    mod groups;
    mod keeping;
    mod reading;
    mod sentinels;
}

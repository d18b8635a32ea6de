//! The consumer as its users meet it: the real program over a real redis-server and over the embedded broker, with
//! good feeds, bad feeds, lost connections and wrong command lines.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "prices travel as decimal text and must come back to the bit")]

mod support {
    pub mod process;
    pub mod readers;
    pub mod server;
    pub mod wait;
}

mod consuming {
    mod alerts;
    pub mod bench;
    mod cut_off;
    mod day;
    mod export;
    mod hostile;
    mod interop;
    mod life;
    mod local;
    mod loss;
    mod options;
    mod outliers;
    mod refused;
    mod tls;
}

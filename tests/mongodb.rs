//! The store in MongoDB. Needs `--features mongodb`.
//!
//! No MongoDB server can be had from the packages of Debian, Python or npm. So the same bodies run twice over a small
//! server inside the test (tests/support/mongo.rs says what that can prove and what not), as one that stands alone and
//! as a replica set; and over a real one when `MONGODB_URL` names it, such as `mongodb://127.0.0.1/?replicaSet=r`.
//! Without that variable the last test says on the terminal that no real server was asked.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub mod mongo;
    pub mod wait;
}

mod mongo {
    use super::support;

    pub mod bodies;
    pub mod faults;
    pub mod killed;
    pub mod places;
    pub mod real;
}

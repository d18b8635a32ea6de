//! The store in MongoDB. Needs `--features mongodb`.
//!
//! No MongoDB server can be had from the packages of Debian, Python or npm. So the same bodies run twice over a small
//! server inside the test (tests/mongo/server.rs says what that can prove and what not), as one that stands alone and
//! as a replica set; and over a real one when `MONGODB_URL` names it, such as `mongodb://127.0.0.1/?replicaSet=r`.
//! Without that variable the last test says on the terminal that no real server was asked.

#![allow(dead_code, unreachable_pub, reason = "every program includes all shared support and uses a part of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod mongo {
    pub mod bodies;
    pub mod crashes;
    pub mod faults;
    pub mod fixture;
    pub mod real;
    pub mod server;
}

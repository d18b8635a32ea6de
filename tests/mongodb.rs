//! The store in MongoDB. Requires `--features mongodb`.
//!
//! The package registries of Debian, Python and npm contain no MongoDB server. The same tests therefore run twice over
//! a small server inside the test, as a standalone server and as a replica set; tests/mongo/server.rs states its
//! limits. If `MONGODB_URL` is set, such as to `mongodb://127.0.0.1/?replicaSet=r`, they also run over that server.
//! Otherwise the last test prints that no real server was tested.

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

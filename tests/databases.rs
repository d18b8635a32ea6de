//! Storage in SQLite and PostgreSQL, with export and replay.

#![allow(dead_code, unreachable_pub, reason = "every program includes all shared support and uses a part of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod replay;
mod storage;
mod support;

//! Both programs and the library against redis-server and the embedded broker.

#![allow(dead_code, unreachable_pub, reason = "every program includes all shared support and uses a part of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod broker;
mod producer;
mod publish;
mod streams;
mod subscribe;
mod support;

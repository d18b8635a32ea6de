//! Tests that need no server and no window: `scripts/test fast` runs them.

#![allow(dead_code, unreachable_pub, reason = "every program includes all shared support and uses a part of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;
mod plot;
mod readme;
mod settings;
mod signals;
mod simulation;
mod support;
mod tidy;

//! The window under X11 and Wayland, the terminal view, and the shared support that drives them.

#![allow(dead_code, unreachable_pub, reason = "every program includes all shared support and uses a part of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod gestures;
mod support;
mod support_tools;
mod terminal;
mod wayland;
mod window;

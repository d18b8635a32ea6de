//! An oscilloscope for live market ticks over Redis.
//!
//! `producer` publishes ticks, `consumer` draws them; the two meet only at Redis, and either can be swapped for any
//! program that speaks the wire contract of [`model`]. ARCHITECTURE.md tells how a tick travels through the modules
//! and which of them may know which.

pub mod analysis;
pub mod bus;
pub mod cli;
pub mod consumer;
pub mod market;
pub mod model;
pub mod plot;
pub mod producer;
pub mod series;
pub mod store;
pub mod terminal;
pub mod view;
pub mod window;

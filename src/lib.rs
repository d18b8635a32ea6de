//! Live chart of market ticks that flow through Redis.
//!
//! `producer` publishes ticks, `consumer` draws them. The two programs meet only at Redis, and any program that speaks
//! the wire format of [`model`] can replace either. ARCHITECTURE.md describes the modules and their order.

pub mod analysis;
pub mod broker;
pub mod chart;
pub mod cli;
pub mod client;
pub mod consumer;
pub mod model;
pub mod plot;
pub mod producer;
pub mod resp;
pub mod series;
pub mod sources;
pub mod spool;
pub mod storage;
pub mod terminal;
mod tls;
pub mod window;

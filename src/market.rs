//! Where ticks come from: random markets, recordings, and the moments at which each tick is due.
//!
//! Everything here is pure. Time comes in as a value, bytes come in through a reader that the caller opened.

mod random;
mod schedule;

pub use random::{Generator, Model};
pub use schedule::{Playback, Rate, RateError, Schedule, Speed, SpeedError};

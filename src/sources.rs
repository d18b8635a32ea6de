//! Where ticks come from: random markets, recordings, and the moments at which each tick is due.
//!
//! Everything here is pure. Time comes in as a value, bytes come in through a reader that the caller opened.

mod columns;
mod lines;
mod pacing;
mod random;
mod replay;

pub use columns::ColumnMap;
pub use pacing::{Playback, Rate, RateError, Schedule, Speed, SpeedError};
pub use random::{Generator, Model};
pub use replay::{Format, Rejections, Replay, ReplayError, TickFilter};

//! Sources of ticks other than Redis: random markets and replays, and the pacing of ticks.
//!
//! The module is pure: time is an argument, and bytes come from a reader that the caller opened.

mod columns;
mod lines;
mod pacing;
mod random;
mod replay;

pub use columns::ColumnMap;
pub use pacing::{Playback, Rate, RateError, Schedule, Speed, SpeedError};
pub use random::{Generator, Model};
pub use replay::{Format, Rejections, Replay, ReplayError, TickFilter};

//! Where ticks come from: random markets, recordings, and the moments at which each tick is due.
//!
//! Everything here is pure. Time comes in as a value, bytes come in through a reader that the caller opened.

mod columns;
mod lines;
mod random;
mod recording;
mod schedule;

pub use columns::{Places, is_future};
pub use random::{Generator, Model};
pub use recording::{Format, Recording, RecordingError, Rejections, Selection};
pub use schedule::{Playback, Rate, RateError, Schedule, Speed, SpeedError};

//! What is told from ticks as they come, at a constant cost a tick: rules, and when they fire; prices that are a slip.
//!
//! Pure: event time comes with the ticks, and the clock that tells of silence enters as a value.

mod alerts;
mod outliers;
mod price_move;
mod rule;

pub use alerts::{Alerts, WATCHED_SYMBOLS_MAX};
pub use outliers::{FILTERED_SYMBOLS_MAX, OutlierFilter, OutlierLimit, OutlierLimitError};
pub use price_move::{CLOCK_RESET_TICKS, EXTREMES_MAX};
pub use rule::{Condition, MoveSize, Relation, Rule, RuleError, Scope};

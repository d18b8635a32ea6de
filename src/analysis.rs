//! What is told from ticks as they come, at a constant cost a tick: rules, and when they fire; prices that are a slip.
//!
//! Pure: event time comes with the ticks, and the clock that tells of silence enters as a value.

mod alerts;
mod outliers;
mod price_move;
mod rule;

pub use alerts::{Alerts, WATCHED_MAX};
pub use outliers::{FILTERED_MAX, OutlierLimit, OutlierLimitError, Outliers};
pub use price_move::{EXTREMES_MAX, JUMP_TICKS};
pub use rule::{Condition, Relation, Rule, RuleError, Scope, Size};

//! Analysis of ticks as they arrive, at a constant cost per tick: alert rules and the filter of outliers.
//!
//! The module is pure: event time comes with the ticks, and the reader's clock is an argument.

mod alerts;
mod outliers;
mod price_move;
mod rule;

pub use alerts::{Alerts, WATCHED_SYMBOLS_MAX};
pub use outliers::{FILTERED_SYMBOLS_MAX, OutlierFilter, OutlierLimit, OutlierLimitError};
pub use price_move::{CLOCK_RESET_TICKS, EXTREMES_MAX};
pub use rule::{Condition, MoveSize, Relation, Rule, RuleError, Scope};

//! What is shown, as plain data: scene, layout, viewport, axis ticks. Pure: time is a parameter.

mod bar_interval;
pub(crate) mod format;
mod history_snapshot;
mod input;
mod layout;
mod log_ticks;
mod navigator;
mod pane_grid;
mod scene;
mod theme;
mod time_ticks;
mod value_span;
mod value_ticks;
mod viewport;
#[cfg(test)]
mod viewport_tests;

pub use bar_interval::{BarInterval, BarIntervalError};
pub(crate) use history_snapshot::{
    BackfillRequest, BackfillState, HistorySnapshot, MissingHistory, OversizedView, complete_memory,
};
pub use input::{Button, Input, Key, Modifiers};
pub use layout::{Arrangement, HitAreas, Layout, SIDE_PX_MAX, Scale};
pub use navigator::{LEAD_SHARE, Navigator};
pub use scene::*;
pub use theme::*;
pub use time_ticks::time_ticks;
pub(crate) use time_ticks::{date_text, instant_text};
pub use value_span::PAD_SHARE;
pub use value_ticks::value_ticks;
pub(crate) use value_ticks::{decimals_at, percent_text, value_text};
pub use viewport::{PIXEL_ABS_MAX, Rect, Transform, ValueSpan, Viewport};

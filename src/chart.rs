//! Everything that is shown, as plain data, from the state of the view to the scene.
//!
//! [`Interaction`] holds the view state and changes it by input. [`FrameQuery`] reads what a frame shows from the
//! series. [`SceneBuilder`] turns that into a [`Scene`], which the window, the terminal and the image files render. The
//! module is pure: it has no clock, file, socket, thread or lock, and time is a parameter.

mod axis_steps;
mod bar_interval;
pub(crate) mod format;
mod history_snapshot;
mod input;
mod interaction;
mod layout;
mod log_ticks;
mod navigator;
mod pane_grid;
mod query;
mod scale;
mod scene;
mod scene_builder;
mod theme;
mod time_ticks;
mod value_span;
mod value_ticks;
mod viewport;

pub(crate) use axis_steps::percent_text;
pub use bar_interval::{BarInterval, BarIntervalError};
pub(crate) use history_snapshot::{
    BackfillRequest, BackfillState, HistorySnapshot, MissingHistory, OversizedView, complete_memory,
};
pub use input::{Button, Input, Key, Modifiers};
pub use interaction::{
    AxisMode, ChartKind, Cursor, HitTest, Interaction, PaneLayout, PausePoint, Plot, PlotId, Request, ResolvedView,
    ViewSettings, VisibleTicks,
};
pub use layout::{Arrangement, HitAreas, Layout, SIDE_PX_MAX};
pub use navigator::{LEAD_SHARE, Navigator};
pub(crate) use query::{CLOCK_SKEW_MAX_NS, live_edge_ns};
pub use query::{
    CrosshairPosition, FrameData, FrameQuery, MissingSpan, QueryState, Surface, SymbolFrame, TradingSession,
    new_symbols,
};
pub use scale::Scale;
pub use scene::*;
pub use scene_builder::{
    ConnectionState, FiredAlert, FrameStatus, SceneBuilder, SourceLabels, StorageState, StorageStatus,
};
pub use theme::*;
pub use time_ticks::time_ticks;
pub(crate) use time_ticks::{date_text, instant_text};
pub use value_span::PAD_SHARE;
pub use value_ticks::value_ticks;
pub(crate) use value_ticks::{decimals_at, value_text};
pub use viewport::{PIXEL_ABS_MAX, Rect, Transform, ValueSpan, Viewport};

//! Interface of the event loop to a window, a terminal, or neither.

use std::time::{Duration, Instant};

use crate::chart::{HitAreas, Input, Layout, Scene, Surface};
use crate::consumer::ConsumerError;

/// Result of [`Frontend::present`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented {
    /// End of the rendering, before the pixels or cells were sent.
    pub(super) rendered: Instant,
    /// True if the arrangement changed with this frame, so that another one is needed.
    pub(super) is_outdated: bool,
}

/// Place where the chart is presented and input comes from.
pub(super) trait Frontend {
    /// Shortest time between two frames; `None` if nothing is presented.
    fn frame_interval(&self) -> Option<Duration>;

    /// Surface of the next frame.
    ///
    /// # Errors
    /// The frontend is gone.
    fn surface(&mut self) -> Result<Surface, ConsumerError> {
        Ok(self.image_surface())
    }

    /// Surface of images.
    fn image_surface(&self) -> Surface;

    /// Reads pending input if that is due. Never waits.
    fn poll(&mut self, _now: Instant, _inputs: &mut Vec<Input>) {}

    /// Waits for at most `until_frame`. `None` means that nothing has changed since the last frame: the frontend
    /// chooses how long to wait, and new data may end the wait. The data has not changed for `unchanged_for`.
    ///
    /// # Errors
    /// The frontend is gone.
    fn rest(
        &mut self,
        until_frame: Option<Duration>,
        unchanged_for: Duration,
        inputs: &mut Vec<Input>,
    ) -> Result<(), ConsumerError>;

    /// Returns true if the frontend itself has something new to show.
    fn has_news(&self, _now: Instant) -> bool {
        false
    }

    /// Converts an input to the coordinates of the last frame. Returns `None` for inputs that concern the frontend
    /// alone.
    fn convert(&mut self, input: Input) -> Option<Input> {
        Some(input)
    }

    /// Presents a frame whose construction started at `begun`. May read input meanwhile.
    ///
    /// # Errors
    /// The frame cannot be rendered, or the frontend is gone.
    fn present(
        &mut self,
        scene: Scene,
        layout: &Layout,
        begun: Instant,
        inputs: &mut Vec<Input>,
    ) -> Result<Presented, ConsumerError>;

    /// Layout of the last frame for hit tests: `layout` with the parts that only the frontend knows.
    fn hit_layout(&self, layout: Layout) -> Layout {
        layout
    }

    /// Areas of the last frame that react to the mouse.
    fn hit_areas(&self) -> HitAreas;

    /// Pixels of the last frame; `None` if the frontend has none.
    fn pixels(&self) -> Option<&[u32]> {
        None
    }
}

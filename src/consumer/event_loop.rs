//! Event loop of the main thread, the same for all frontends: input, interaction, frame, rest.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::debug;

use crate::chart::{Badge, HitTest, Input, Request, Surface, Tone};
use crate::consumer::ConsumerError;
use crate::consumer::args::SnapshotFormat;
use crate::consumer::export::{ExportJob, file_name};
use crate::consumer::frame::{LiveChart, SECONDS_INTERVAL, TOAST_TIME, View};
use crate::consumer::frontend::{Frontend, Presented};
use crate::consumer::snapshot::{self, SnapshotError};
use crate::model::Timestamp;
use crate::plot::Painter;

/// Interval at which an unchanged frame is built again: figures in the footer change with time, and the window system
/// may have lost the pixels. Longer than a second, so that a feed of one tick a second is drawn once a second.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(1_250);

/// State of the loop.
pub(super) struct EventLoop<'a> {
    frontend: Box<dyn Frontend>,
    chart: &'a mut LiveChart,
    exports: ExportJob,
    /// Least time between two frames according to `--interval`.
    interval: Duration,
    /// Last frame, as input needs it.
    hit_test: HitTest,
    /// State of the last frame: no tick had arrived for an unusually long time.
    is_stale: bool,
    /// State of the last frame: it shows a time in seconds.
    shows_seconds: bool,
    /// Revision and start of the last frame.
    last_frame: Option<(u64, Instant)>,
    /// Start of the last frame with new data.
    last_change: Instant,
    /// True if something other than the data changed since the last frame, such as by input.
    is_dirty: bool,
}

impl<'a> EventLoop<'a> {
    pub(super) fn new(frontend: Box<dyn Frontend>, chart: &'a mut LiveChart, interval: Duration) -> Self {
        Self {
            frontend,
            chart,
            exports: ExportJob::default(),
            interval,
            hit_test: HitTest::empty(Timestamp::now().as_nanos()),
            is_stale: false,
            shows_seconds: false,
            last_frame: None,
            last_change: Instant::now(),
            is_dirty: true,
        }
    }

    /// Runs until the user or `stop` ends it. Returns the surface for images. Closes the frontend.
    ///
    /// # Errors
    /// The chart cannot be rendered, or the frontend is gone.
    pub(super) fn run(mut self, stop: &watch::Receiver<bool>, started: Instant) -> Result<Surface, ConsumerError> {
        let mut inputs = Vec::new();
        while !*stop.borrow() {
            let now = Instant::now();
            self.frontend.poll(now, &mut inputs);
            if self.handle_all(&mut inputs, now) {
                break;
            }
            if let Some(badge) = self.exports.finished() {
                self.show(badge, now);
            }
            match self.frontend.frame_interval() {
                Some(frame_interval) if self.is_due(frame_interval, now) => {
                    let is_first = self.last_frame.is_none();
                    self.frame(&mut inputs)?;
                    if is_first {
                        debug!("first frame after {} ms", started.elapsed().as_millis());
                    }
                    if self.handle_all(&mut inputs, now) {
                        break;
                    }
                }
                Some(_) => {}
                None => self.chart.update_rates(now),
            }
            self.rest(&mut inputs)?;
        }
        Ok(self.frontend.image_surface())
    }

    /// Returns true if a frame is due: something changed, and the last frame is old enough.
    fn is_due(&self, frame_interval: Duration, now: Instant) -> bool {
        let Some((revision, begun)) = self.last_frame else { return true };
        let age = now.duration_since(begun);
        if age < frame_interval {
            return false;
        }
        let heartbeat = if self.shows_seconds { SECONDS_INTERVAL } else { HEARTBEAT };
        let is_stale = self.chart.handles.feed.arrivals().stale_for(now).is_some();
        if self.is_dirty || age >= heartbeat || is_stale != self.is_stale || self.frontend.has_news(now) {
            return true;
        }
        // The live edge advances with the clock, but a frame that differs by a few pixels of it alone is not worth
        // drawing. It advances with the data and with the heartbeat.
        self.chart.handles.redraw.revision() != revision && age >= self.interval
    }

    fn rest(&mut self, inputs: &mut Vec<Input>) -> Result<(), ConsumerError> {
        let now = Instant::now();
        let frame_interval = self.frontend.frame_interval().unwrap_or_default();
        let until_frame = match self.last_frame {
            Some((_, begun)) if self.is_dirty => Some(begun + frame_interval),
            Some((revision, begun)) if self.chart.handles.redraw.revision() != revision => {
                Some(begun + frame_interval.max(self.interval))
            }
            _ => None,
        };
        let until_frame = until_frame.map(|due| due.saturating_duration_since(now));
        self.frontend.rest(until_frame, now.duration_since(self.last_change), inputs)
    }

    fn frame(&mut self, inputs: &mut Vec<Input>) -> Result<(), ConsumerError> {
        let begun = Instant::now();
        let revision = self.chart.handles.redraw.revision();
        if self.last_frame.is_some_and(|(last, _)| last != revision) {
            self.last_change = begun;
        }
        let samples_ns = self.chart.handles.feed.arrivals().take_samples();
        let surface = self.frontend.surface()?;
        let View { scene, hit_test, is_stale, shows_seconds } = self.chart.view(surface, begun);
        let Presented { rendered, is_outdated } = self.frontend.present(scene, &hit_test.layout, begun, inputs)?;
        let (layout, areas) = (self.frontend.hit_layout(hit_test.layout), self.frontend.hit_areas());
        self.hit_test = HitTest { layout, areas, ..hit_test };
        (self.is_stale, self.shows_seconds) = (is_stale, shows_seconds);
        let (spent, presented) = (rendered.duration_since(begun), Instant::now());
        self.chart.meters.record_frame(spent, presented, Timestamp::now().as_nanos(), &samples_ns);
        self.last_frame = Some((revision, begun));
        self.is_dirty = is_outdated;
        Ok(())
    }

    /// Handles and clears `inputs`. Returns true if the user wants to quit.
    fn handle_all(&mut self, inputs: &mut Vec<Input>, now: Instant) -> bool {
        inputs.drain(..).any(|input| self.handle(input, now))
    }

    fn handle(&mut self, input: Input, now: Instant) -> bool {
        self.is_dirty = true;
        let Some(input) = self.frontend.convert(input) else { return false };
        let interaction = &mut self.chart.interaction;
        let request = interaction.apply(input, &self.hit_test);
        // Several inputs may arrive between two frames. Each continues from the span that the previous one left.
        self.hit_test.span = interaction.span();
        match request {
            None => {}
            Some(Request::Quit) => return true,
            Some(Request::Export) => {
                let redraw = Arc::clone(&self.chart.handles.redraw);
                let badge = self.exports.start(self.chart.export_source(), redraw, self.hit_test.visible.clone());
                self.show(badge, now);
            }
            Some(Request::Screenshot) => {
                let name = file_name("png");
                let badge = match self.save_screenshot(Path::new(&name)) {
                    Ok(()) => Badge { tone: Tone::Good, text: format!("saved {name}") },
                    Err(error) => Badge { tone: Tone::Bad, text: error.to_string() },
                };
                self.show(badge, now);
            }
        }
        false
    }

    /// Displays a message above the footer.
    fn show(&mut self, badge: Badge, now: Instant) {
        self.chart.toast = Some((badge, now + TOAST_TIME));
        self.is_dirty = true;
    }

    /// Saves the pixels on the screen. A frontend without pixels gets an image of the chart as a window displays it.
    fn save_screenshot(&mut self, path: &Path) -> Result<(), SnapshotError> {
        if let Some(pixels) = self.frontend.pixels() {
            return snapshot::write_png(path, pixels, self.hit_test.layout.size);
        }
        let mouse = self.chart.interaction.mouse.take();
        let view = self.chart.view(self.frontend.image_surface(), Instant::now());
        self.chart.interaction.mouse = mouse;
        snapshot::write(&mut Painter::new()?, &view.scene, &view.hit_test.layout, path, SnapshotFormat::Png)
    }
}

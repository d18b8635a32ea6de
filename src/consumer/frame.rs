//! Frames: reads the feed under the lock of the series, then builds the scene without it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::chart::{
    Badge, ConnectionState, FrameData, FrameQuery, FrameStatus, HitTest, Interaction, MissingHistory, QueryState,
    Scene, SceneBuilder, SourceLabels, StorageState, StorageStatus, Surface, Tone, TradingSession, new_symbols,
};
use crate::client::{Channel, LinkState, Target};
use crate::consumer::args::{CHANNEL, Config, LOCAL_PORT, StreamArgs};
use crate::consumer::backfill::Backfill;
use crate::consumer::export::ExportSource;
use crate::consumer::handles::Handles;
use crate::consumer::meters::Meters;
use crate::consumer::settings::initial_view;
use crate::model::{Timestamp, display_safe};
use crate::storage::db::{DbState, DbStatus};

/// Redraw interval of a frame that shows a time in seconds.
pub(super) const SECONDS_INTERVAL: Duration = Duration::from_secs(1);

/// Time for which a message above the footer is shown.
pub(super) const TOAST_TIME: Duration = Duration::from_secs(4);

/// Time for which an alert is shown above the footer.
const ALERT_TOAST_TIME: Duration = Duration::from_secs(6);

/// A frame to draw.
pub(super) struct View {
    pub(super) scene: Scene,
    pub(super) hit_test: HitTest,
    /// No tick has arrived for an unusually long time.
    pub(super) is_stale: bool,
    /// The frame shows a time in seconds and must be redrawn every second.
    pub(super) shows_seconds: bool,
}

/// The chart: its controls, and what its frames are built with and from.
pub(super) struct LiveChart {
    pub(super) interaction: Interaction,
    pub(super) handles: Handles,
    pub(super) backfill: Option<Arc<Backfill>>,
    builder: SceneBuilder,
    session: TradingSession,
    state: QueryState,
    pub(super) meters: Meters,
    /// Message above the footer, and the end of its time.
    pub(super) toast: Option<(Badge, Instant)>,
    /// Time of the alert that was announced last.
    announced: Option<Instant>,
    /// The last frame lacks ticks that the store has.
    is_loading: bool,
}

impl LiveChart {
    pub(super) fn new(config: &Config, target: &Target, handles: Handles, backfill: Option<Arc<Backfill>>) -> Self {
        let channels: Vec<String> = config.channels.iter().map(ToString::to_string).collect();
        let labels = SourceLabels {
            channel: stream_label(&config.args.stream).unwrap_or_else(|| channels.join(" ")),
            server: target.to_string(),
            producer_command: producer_command(config),
        };
        Self {
            interaction: Interaction::new(initial_view(config)),
            handles,
            backfill,
            builder: SceneBuilder::new(labels, config.zone.clone()),
            session: TradingSession { zone: config.zone.clone(), open: config.args.session_start },
            state: QueryState::default(),
            meters: Meters::new(),
            toast: None,
            announced: None,
            is_loading: false,
        }
    }

    /// Builds a frame of the current state of the feed.
    pub(super) fn view(&mut self, surface: Surface, now: Instant) -> View {
        let (mut status, data) = self.read(surface, now);
        if let Some(backfill) = &self.backfill {
            backfill.request(data.missing_history.clone());
        }
        self.is_loading = matches!(data.missing_history, MissingHistory::Request(_));
        self.interaction.adopt(&data.view);
        self.add_alerts(&data, &mut status, now);
        self.meters.update(now, self.handles.feed.without_restored(data.counters.received));
        status.ticks_per_s = self.meters.ticks_per_s;
        (status.latency_ms, status.frames) = (self.meters.latency_ms(), self.meters.frames());
        status.toast = self.toast.as_ref().filter(|(_, until)| now < *until).map(|(badge, _)| badge.clone());
        let scene = self.builder.build(&data, &self.interaction, &status);
        self.interaction.settle_measurements(&data.hit);
        let is_stale = status.stale_for.is_some();
        let shows_seconds = is_stale || matches!(status.connection, ConnectionState::Down { .. });
        View { scene, hit_test: data.hit, is_stale, shows_seconds }
    }

    /// Builds the view of the final snapshot, without crosshair and messages. Waits at most `read_wait` for history
    /// that the view needs from the database.
    pub(super) fn final_view(&mut self, surface: Surface, read_wait: Duration) -> View {
        const POLL: Duration = Duration::from_millis(20);
        self.toast = None;
        self.interaction.end_input();
        let begun = Instant::now();
        let mut view = self.view(surface, begun);
        while self.is_loading && begun.elapsed() < read_wait {
            std::thread::sleep(POLL);
            view = self.view(surface, Instant::now());
        }
        if self.is_loading && !read_wait.is_zero() {
            warn!(
                "older ticks in view could not be read from the store within {} s: the snapshot marks them as not \
                 read, and the export lacks them",
                read_wait.as_secs()
            );
        }
        // An alert that was not displayed before is no part of the snapshot.
        view.scene.toast = None;
        view
    }

    /// Updates the rates without a frame.
    pub(super) fn update_rates(&mut self, now: Instant) {
        let received = self.handles.series.lock().counters().received;
        self.meters.update(now, self.handles.feed.without_restored(received));
    }

    /// Source of the ticks in view.
    pub(super) fn export_source(&self) -> ExportSource {
        ExportSource { series: self.handles.series.clone(), backfill: self.backfill.clone() }
    }

    /// Reads the data and the status of a frame.
    fn read(&mut self, surface: Surface, now: Instant) -> (FrameStatus, FrameData) {
        let Self { interaction, handles, .. } = self;
        let history = self.backfill.as_ref().map(|backfill| backfill.snapshot());
        let mut status = independent_status(handles, now);
        // The connection's lock comes before that of the series. Held together, they make a lost connection and the
        // outage that it opens appear in the same frame.
        let connection = handles.feed.connection();
        let series = handles.series.lock();
        status.connection = match &connection.state {
            LinkState::Connecting => ConnectionState::Connecting,
            LinkState::Live => ConnectionState::Live,
            LinkState::Down(cause) => {
                let down_for = now.saturating_duration_since(connection.since);
                ConnectionState::Down { cause: cause.clone(), down_for }
            }
        };
        (status.reconnects, status.slow_consumer_disconnects) = (connection.reconnects, connection.cut_off);
        drop(connection);
        for symbol in new_symbols(&series, interaction.symbols_len()) {
            interaction.add_symbol(symbol);
        }
        let query = FrameQuery::new(&series, interaction, &self.session, surface, Timestamp::now());
        let data = query.with_history(history.as_deref()).run(&mut self.state);
        (status, data)
    }

    /// Copies the alerts that fired in view, and announces the newest alert above the footer.
    fn add_alerts(&mut self, data: &FrameData, status: &mut FrameStatus, now: Instant) {
        let log = self.handles.alerting.log();
        status.alerts_dropped = log.dropped();
        let marks = log.iter().map(|alert| &alert.mark);
        status.alerts = marks.filter(|mark| data.shows(mark.time_ns)).cloned().collect();
        let newest = log.iter().next_back().filter(|newest| Some(newest.at) != self.announced).cloned();
        drop(log);
        let Some(newest) = newest else { return };
        self.announced = Some(newest.at);
        if now.saturating_duration_since(newest.at) < ALERT_TOAST_TIME {
            let text = format!("{}  {}", newest.mark.rule, newest.subject());
            self.toast = Some((Badge { tone: Tone::Warn, text }, newest.at + ALERT_TOAST_TIME));
        }
    }
}

/// Copies the part of the status that is independent of the series.
fn independent_status(Handles { feed, storage, .. }: &Handles, now: Instant) -> FrameStatus {
    let counters = &feed.counters;
    FrameStatus {
        stale_for: feed.arrivals().stale_for(now),
        rejected: feed.rejects().total(),
        other: counters.other.load(Ordering::Relaxed),
        trimmed: counters.trimmed.load(Ordering::Relaxed),
        dead_letters: counters.dead_letters.load(Ordering::Relaxed),
        storage: storage.as_ref().map(|storage| storage_status(storage.status())),
        ..FrameStatus::default()
    }
}

fn storage_status(DbStatus { state, waiting, written, dropped, .. }: DbStatus) -> StorageStatus {
    let state = match state {
        DbState::Connecting => StorageState::Opening,
        DbState::Writing => StorageState::Writing,
        DbState::Behind => StorageState::Behind,
        DbState::Failing(cause) => StorageState::Failing(cause),
    };
    StorageStatus { state, waiting, written, dropped }
}

/// The label of a stream in the header; `None` for channels.
fn stream_label(args: &StreamArgs) -> Option<String> {
    let name = display_safe(args.stream.as_ref()?);
    Some(match &args.group {
        Some(group) => format!("stream {name} \u{b7} group {}", display_safe(group)),
        None => format!("stream {name}"),
    })
}

/// The command that starts a producer for this consumer, in backticks.
fn producer_command(config: &Config) -> String {
    let channel = match (&config.args.stream.stream, &config.channels[..]) {
        (Some(stream), _) => format!(" --stream {}", display_safe(stream)),
        (None, [channel @ Channel::Exact(name)]) if name != CHANNEL => format!(" --channel {channel}"),
        (None, _) => String::new(),
    };
    let server = match &config.target {
        Target::Server(endpoint) => format!(" --redis {endpoint}"),
        Target::Cluster(_) => format!(" --redis {} --cluster", config.target.endpoint()),
        Target::Sentinel(sentinel) => format!(" --redis {sentinel}"),
        Target::Local { port: LOCAL_PORT, .. } => String::new(),
        Target::Local { port, .. } => format!(" --local-port {port}"),
    };
    let separator = if channel.is_empty() && server.is_empty() { "" } else { " --" };
    format!("`cargo run --release --bin producer{separator}{channel}{server}`")
}

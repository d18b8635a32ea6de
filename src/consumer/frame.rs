//! Frames: reads the feed under the lock of the series, then builds the scene without it.

use std::time::{Duration, Instant};

use crate::chart::{
    Badge, ConnectionStatus, FeedStatus, FiredAlert, FrameData, FrameQuery, HistoryStatus, HitTest, Interaction,
    QueryState, Scene, SceneBuilder, SourceLabels, StorageState, StorageStatus, Surface, Tone, TradingSession,
    new_symbols,
};
use crate::client::{Channel, LinkState, Target};
use crate::consumer::alerting::Fired;
use crate::consumer::args::{CHANNEL, Config, LOCAL_PORT, StreamConfig};
use crate::consumer::backfill::{Need, State};
use crate::consumer::meters::Meters;
use crate::consumer::shared::Shared;
use crate::model::{Timestamp, display_safe};
use crate::storage::db::{DbState, DbStatus};

use std::sync::atomic::Ordering;

/// Redraw interval of a frame that shows a time in seconds.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Time for which a message above the footer is shown.
pub(super) const TOAST: Duration = Duration::from_secs(4);

/// Time for which an alert is shown above the footer.
const ALERT_TOAST: Duration = Duration::from_secs(6);

/// A frame to draw.
pub(super) struct View {
    pub(super) scene: Scene,
    pub(super) hit_test: HitTest,
    /// No tick has arrived for an unusually long time.
    pub(super) is_stale: bool,
    /// The frame shows a time in seconds and must be redrawn every second.
    pub(super) shows_seconds: bool,
}

/// Builds the frames of a view.
pub(super) struct FrameSource {
    builder: SceneBuilder,
    session: TradingSession,
    state: QueryState,
    pub(super) meters: Meters,
    /// Message above the footer, and the end of its time.
    pub(super) toast: Option<(Badge, Instant)>,
    /// Time of the alert that was announced last.
    announced: Option<Instant>,
    /// The last frame lacks ticks that the store has.
    pub(super) is_loading: bool,
}

impl FrameSource {
    pub(super) fn new(config: &Config, target: &Target) -> Self {
        let channels: Vec<String> = config.channels.iter().map(ToString::to_string).collect();
        let labels = SourceLabels {
            channel: config.stream.as_ref().map_or_else(|| channels.join(" "), stream_label),
            server: target.to_string(),
            producer_command: producer_command(config),
        };
        Self {
            builder: SceneBuilder::new(labels, config.zone.clone()),
            session: TradingSession { zone: config.zone.clone(), open: config.session_start },
            state: QueryState::default(),
            meters: Meters::new(),
            toast: None,
            announced: None,
            is_loading: false,
        }
    }

    /// Builds a frame of the current state of the feed.
    pub(super) fn view(
        &mut self,
        shared: &Shared,
        interaction: &mut Interaction,
        surface: Surface,
        now: Instant,
    ) -> View {
        let mut status = feed_status(shared, now);
        let data = self.query(shared, interaction, surface, &mut status.history);
        interaction.adopt(&data.view);
        self.add_alerts(shared, &data, &mut status, now);
        self.meters.update(now, shared.brought(data.counters.received));
        status.ticks_per_s = self.meters.ticks_per_s;
        (status.latency_ms, status.frames) = (self.meters.latency_ms(), self.meters.frames());
        status.toast = self.toast.as_ref().filter(|(_, until)| now < *until).map(|(badge, _)| badge.clone());
        let (scene, hit_test) = self.builder.build(&data, interaction, &status);
        interaction.settle_measurements(&hit_test);
        let is_stale = status.stale_for.is_some();
        let shows_seconds = is_stale || matches!(status.connection, ConnectionStatus::Down { .. });
        View { scene, hit_test, is_stale, shows_seconds }
    }

    /// Reads memory and loaded history, and requests the history that is missing.
    fn query(
        &mut self,
        shared: &Shared,
        interaction: &mut Interaction,
        surface: Surface,
        status: &mut HistoryStatus,
    ) -> FrameData {
        let history = shared.history();
        let loaded = history.map(|history| history.recalled());
        let series = shared.book();
        for symbol in new_symbols(&series, interaction.symbols_len()) {
            interaction.add_symbol(symbol);
        }
        let query = FrameQuery {
            series: &series,
            history: loaded.as_ref().map(|loaded| &loaded.past),
            interaction,
            session: &self.session,
            surface,
            now: Timestamp::now(),
        };
        let mut data = query.run(&mut self.state);
        let mut need = Need::NoMore;
        if let Some(loaded) = &loaded {
            data.oldest_ns = loaded.oldest_ns.into_iter().chain(data.oldest_ns).min();
            data.not_loaded = loaded.unknown(&series, &data.drawn, data.span);
            need = loaded.need(&series, &data.drawn, data.span, data.follows);
            *status = match &loaded.state {
                State::Reading => HistoryStatus::Loading,
                State::Behind => HistoryStatus::Behind,
                State::Full => HistoryStatus::Full,
                State::Failing(cause) => HistoryStatus::Failing(cause.clone()),
            };
        }
        drop(series);
        self.is_loading = matches!(need, Need::Read(_));
        if let Some(history) = history {
            history.wish(need);
        }
        data
    }

    /// Copies the alerts that fired in view, and announces the newest alert above the footer.
    fn add_alerts(&mut self, shared: &Shared, data: &FrameData, status: &mut FeedStatus, now: Instant) {
        let alerts = shared.alerts();
        status.alerts_dropped = alerts.dropped();
        let visible = alerts.iter().filter(|alert| data.shows(alert.time_ns));
        status.alerts = visible
            .map(|alert| FiredAlert {
                time_ns: alert.time_ns,
                price: alert.price,
                symbol: alert.slot,
                rule: alert.rule.clone(),
            })
            .collect();
        let newest = alerts.iter().next_back().filter(|newest| Some(newest.at) != self.announced).cloned();
        drop(alerts);
        let Some(Fired { at, rule, symbol, price, .. }) = newest else { return };
        self.announced = Some(at);
        if now.saturating_duration_since(at) < ALERT_TOAST {
            let text = match price {
                Some(price) => format!("{rule}  ({symbol} at {price})"),
                None => format!("{rule}  (nothing from {symbol})"),
            };
            self.toast = Some((Badge { tone: Tone::Warn, text }, at + ALERT_TOAST));
        }
    }
}

/// Copies the status of the feed.
fn feed_status(shared: &Shared, now: Instant) -> FeedStatus {
    let link = shared.link().clone();
    FeedStatus {
        connection: match link.state {
            LinkState::Connecting => ConnectionStatus::Connecting,
            LinkState::Live => ConnectionStatus::Live,
            LinkState::Down(cause) => {
                ConnectionStatus::Down { cause, down_for: now.saturating_duration_since(link.since) }
            }
        },
        stale_for: shared.arrivals().stale_for(now),
        rejected: shared.rejects().total(),
        trimmed: shared.trimmed().load(Ordering::Relaxed),
        dead_letters: shared.failed().load(Ordering::Relaxed),
        reconnects: link.reconnects,
        slow_consumer_disconnects: link.cut_off,
        storage: shared.keeping().map(|storage| storage_status(storage.status())),
        ..FeedStatus::default()
    }
}

fn storage_status(DbStatus { state, waiting, written, dropped, .. }: DbStatus) -> StorageStatus {
    let state = match state {
        DbState::Connecting => StorageState::Opening,
        DbState::Persistence => StorageState::Writing,
        DbState::Behind => StorageState::Behind,
        DbState::Failing(cause) => StorageState::Failing(cause),
    };
    StorageStatus { state, waiting, written, dropped }
}

/// The label of a stream in the header.
fn stream_label(stream: &StreamConfig) -> String {
    let name = display_safe(&stream.name);
    match &stream.group {
        Some(group) => format!("stream {name} \u{b7} group {}", display_safe(&group.name)),
        None => format!("stream {name}"),
    }
}

/// The command that starts a producer for this consumer, in backticks.
fn producer_command(config: &Config) -> String {
    let channel = match (&config.stream, &config.channels[..]) {
        (Some(stream), _) => format!(" --stream {}", display_safe(&stream.name)),
        (None, [channel @ Channel::Exact(name)]) if name != CHANNEL => format!(" --channel {channel}"),
        (None, _) => String::new(),
    };
    let server = match &config.target {
        Target::Given(endpoint) => format!(" --redis {endpoint}"),
        Target::Cluster(_) => format!(" --redis {} --cluster", config.target.endpoint()),
        Target::Sentinel(sentinel) => format!(" --redis {sentinel}"),
        Target::Local { port: LOCAL_PORT } => String::new(),
        Target::Local { port } => format!(" --local-port {port}"),
    };
    let separator = if channel.is_empty() && server.is_empty() { "" } else { " --" };
    format!("`cargo run --release --bin producer{separator}{channel}{server}`")
}

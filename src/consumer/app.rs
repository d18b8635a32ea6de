//! Composition: builds the parts of a run, connects them, and shuts them down in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::chart::Surface;
use crate::client::ClientError;
use crate::consumer::alerting::{AlertDispatcher, Alerting};
use crate::consumer::args::{Config, ViewChoice};
use crate::consumer::backfill::BackfillThread;
use crate::consumer::demo::{self, Demo};
use crate::consumer::event_loop::EventLoop;
use crate::consumer::feed_status::FeedStatus;
use crate::consumer::frame::{LiveChart, View};
use crate::consumer::frontend::Frontend;
use crate::consumer::handles::Handles;
use crate::consumer::headless::Headless;
use crate::consumer::persistence::Persistence;
use crate::consumer::redraw::Redraw;
use crate::consumer::report::Report;
use crate::consumer::series_handle::SeriesHandle;
use crate::consumer::snapshot::SnapshotError;
use crate::consumer::terminal_app::TerminalApp;
use crate::consumer::window_app::WindowApp;
use crate::consumer::{ConsumerError, export, feed, settings, snapshot};
use crate::model::display_safe;
use crate::plot::Painter;
use crate::series::{SeriesMap, SeriesMapConfig};
use crate::storage::db::DbStatus;
use crate::terminal::TerminalError;
use crate::window::WindowError;

/// Threads of the network side: one reads, one runs timers and signals. The demo's broker and producer share both.
const WORKERS: usize = 2;

/// Longest time that a run without a view reads older ticks for its snapshot or export. The most that fits into memory
/// takes a few seconds.
const READ_BACK_MAX: Duration = Duration::from_secs(20);

/// Longest wait for each part at the end. The documentation promises that the program ends within a second.
const END_TIMEOUT: Duration = Duration::from_millis(700);

/// Longest wait for the commit of ticks that came from channels: they exist nowhere else. Ticks of streams are read
/// again by the next run.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for tasks that remain on the runtime.
const RUNTIME_END_TIMEOUT: Duration = Duration::from_millis(100);

/// Runs a consumer until `shutdown` resolves, the time given by `--for` is over, or the user quits.
///
/// A run consists of the feed (network threads), which appends ticks to the series; the database writer, the backfill
/// thread and the alert dispatcher, if they are configured; and the event loop, which runs on the calling thread. That
/// must be the main thread of the process if a window is requested.
///
/// # Errors
/// [`ConsumerError`] if a part cannot be started or fails while running. Errors of the final snapshot and export are
/// fields of the [`Report`], because the statistics of a long run are of value without them.
pub fn run(
    config: &Config,
    rng: ChaCha8Rng,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Report, ConsumerError> {
    let started = Instant::now();
    let handles = open_handles(config)?;
    // A missing display is reported before anything is connected.
    let frontend = open_frontend(config, &handles.redraw)?;
    let has_view = frontend.is_some();
    let (app, mut chart) = App::start(config, handles, has_view, rng, shutdown)?;
    let before = settings::ui_state(chart.interaction.settings(), config.surface());
    let ended = app.run_event_loop(frontend, &mut chart, started).map(|surface| {
        let now = settings::ui_state(chart.interaction.settings(), surface);
        // The view is built before the connection closes, because it shows the connection's state.
        (now, chart.final_view(surface, if has_view { Duration::ZERO } else { READ_BACK_MAX }))
    });
    let (now, view) = app.shut_down().and(ended)?;
    if has_view {
        settings::save_ui_state(config, &before, now);
    }
    let mut report = Report::collect(&chart.handles, &chart.meters, started.elapsed().as_secs_f64());
    report.snapshot_error = write_snapshot(config, &view).err();
    report.export_error = export::write_requested(config, &chart.export_source(), &view.hit_test.visible).err();
    Ok(report)
}

/// Builds what all parts share, and opens the database.
fn open_handles(config: &Config) -> Result<Handles, ConsumerError> {
    let series = SeriesMap::new(SeriesMapConfig {
        symbols: config.symbols.clone(),
        symbols_max: config.args.max_symbols,
        history: config.history,
    });
    let series = if config.args.stream.group.is_some() { series.for_consumer_group() } else { series };
    Ok(Handles {
        series: SeriesHandle::new(series),
        feed: Arc::new(FeedStatus::new()),
        redraw: Arc::default(),
        alerting: Arc::new(Alerting::new(config.alerts.clone(), config.args.on_alert.is_some())),
        storage: config.store.as_ref().map(Persistence::open).transpose()?,
    })
}

/// Opens the requested frontend, or the first one available. Returns `None` for a run without a view.
fn open_frontend(config: &Config, redraw: &Redraw) -> Result<Option<Box<dyn Frontend>>, ConsumerError> {
    let window = || WindowApp::open(config, redraw).map(|window| Some(Box::new(window) as Box<dyn Frontend>));
    let terminal = || match &config.terminal {
        Some(terminal) => TerminalApp::open(config, terminal).map(|app| Some(Box::new(app) as Box<dyn Frontend>)),
        None => Err(ConsumerError::NoTerminal),
    };
    match config.args.view {
        ViewChoice::None => Ok(None),
        ViewChoice::Terminal => terminal(),
        ViewChoice::Window => window().map_err(|error| match error {
            ConsumerError::Window(error @ WindowError::NoDisplay { .. }) => ConsumerError::NoWindow(error),
            other => other,
        }),
        ViewChoice::Auto => {
            match window() {
                Err(ConsumerError::Window(WindowError::NoDisplay { cause })) => debug!("no window: {cause}"),
                opened => return opened,
            }
            match terminal() {
                Err(ConsumerError::NoTerminal) => {}
                Err(ConsumerError::Terminal(error @ TerminalError::Open(_))) => debug!("{error}"),
                opened => return opened,
            }
            info!("neither a display nor a terminal is available: running without a view");
            Ok(None)
        }
    }
}

/// Owner of the parts that work in the background. Parts hold handles to what they need, and none of them holds the
/// app.
struct App<'a> {
    config: &'a Config,
    handles: Handles,
    runtime: Runtime,
    /// Turns true to end the run.
    stop: Arc<watch::Sender<bool>>,
    demo: Option<Demo>,
    dispatcher: Option<AlertDispatcher>,
    backfill: Option<BackfillThread>,
    network: JoinHandle<Result<(), ClientError>>,
}

impl<'a> App<'a> {
    /// Starts all parts, and builds the chart.
    fn start(
        config: &'a Config,
        handles: Handles,
        has_view: bool,
        rng: ChaCha8Rng,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(Self, LiveChart), ConsumerError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(WORKERS).enable_all().build().map_err(ConsumerError::Runtime)?;
        let stop = Arc::new(watch::channel(false).0);
        runtime.spawn(stop_when(Arc::clone(&stop), shutdown, config.args.run_for));
        let demo = config.args.demo.then(|| runtime.block_on(demo::start(config, stop.subscribe())));
        let demo = demo.transpose().map_err(ConsumerError::Demo)?;
        let target = demo.as_ref().map_or_else(|| config.target.clone(), Demo::target);
        let Handles { series, redraw, alerting, storage, .. } = &handles;
        let dispatcher = AlertDispatcher::start(&runtime, alerting, series, redraw, config.args.on_alert.as_deref());
        let network = feed::run(config.clone(), target.clone(), handles.clone(), stop.subscribe(), rng);
        let stop_after = Arc::clone(&stop);
        let network = runtime.spawn(async move {
            let outcome = network.await;
            // Without a feed there is nothing left to display.
            stop_after.send_replace(true);
            outcome
        });
        // Without a view, only the snapshot and the export at the end need older ticks.
        let needs_history = has_view || config.snapshot.is_some() || config.export.is_some();
        let stores = config.store.as_ref().zip(storage.as_ref()).filter(|_| needs_history);
        let backfill = stores.and_then(|(store, storage)| BackfillThread::start(store.url.clone(), storage, &handles));
        let chart = LiveChart::new(config, &target, handles.clone(), backfill.as_ref().map(BackfillThread::backfill));
        Ok((Self { config, handles, runtime, stop, demo, dispatcher, backfill, network }, chart))
    }

    /// Runs the event loop until the run ends. Returns the surface for images.
    fn run_event_loop(
        &self,
        frontend: Option<Box<dyn Frontend>>,
        chart: &mut LiveChart,
        started: Instant,
    ) -> Result<Surface, ConsumerError> {
        let Self { config, handles, runtime, stop, .. } = self;
        let headless = || Headless::new(config, handles, runtime.handle(), stop.subscribe());
        let frontend = frontend.unwrap_or_else(|| Box::new(headless()));
        let event_loop = EventLoop::new(frontend, chart, config.args.interval.unwrap_or_default());
        event_loop.run(&stop.subscribe(), started)
    }

    /// Ends all parts in order: the feed before the database that it fills, the producer of the demo before its broker.
    /// Each part has a deadline, and those that miss it are named in the log.
    fn shut_down(self) -> Result<(), ConsumerError> {
        let Self { config, handles, runtime, stop, .. } = self;
        stop.send_replace(true);
        if let Some(backfill) = &self.backfill {
            backfill.stop();
        }
        let outcome = match runtime.block_on(async { tokio::time::timeout(END_TIMEOUT, self.network).await }) {
            Ok(Ok(ended)) => ended.map_err(ConsumerError::from),
            Ok(Err(_)) => Err(ConsumerError::NetworkEnded),
            Err(_) => {
                log_straggler("the feed");
                Ok(())
            }
        };
        if self.backfill.is_some_and(|backfill| !backfill.join()) {
            log_straggler("the thread that reads the store");
        }
        if let Some(storage) = &handles.storage {
            let is_stream = config.args.stream.stream.is_some();
            storage.close(if is_stream { END_TIMEOUT } else { COMMIT_TIMEOUT }, is_stream);
            log_stored(&storage.status(), storage.uncommitted());
        }
        if let Some(dispatcher) = self.dispatcher {
            let ended = async { tokio::time::timeout(END_TIMEOUT, dispatcher.shut_down()).await };
            if runtime.block_on(ended).is_err() {
                log_straggler("the alert dispatcher");
            }
        }
        if let Some(demo) = self.demo {
            runtime.block_on(demo.shut_down());
        }
        runtime.shutdown_timeout(RUNTIME_END_TIMEOUT);
        outcome
    }
}

/// Ends the run when `shutdown` resolves or the time is over.
async fn stop_when(stop: Arc<watch::Sender<bool>>, shutdown: impl Future<Output = ()>, run_for: Option<Duration>) {
    // Either outcome ends the run.
    let _ = tokio::time::timeout(run_for.unwrap_or(Duration::MAX), shutdown).await;
    stop.send_replace(true);
}

fn log_straggler(part: &str) {
    warn!("{part} did not end in time and is abandoned");
}

/// Logs what the end left unstored.
fn log_stored(status: &DbStatus, uncommitted: u64) {
    let DbStatus { written, duplicates, dropped, .. } = status;
    if uncommitted > 0 {
        info!("{uncommitted} ticks are not in the store yet; the next run continues there in the stream");
    }
    if *dropped > 0 {
        warn!("{dropped} ticks could not be stored and are lost to the store; {written} were stored");
    } else {
        debug!(written, duplicates, "store closed");
    }
}

fn write_snapshot(config: &Config, view: &View) -> Result<(), SnapshotError> {
    let Some((path, format)) = &config.snapshot else { return Ok(()) };
    snapshot::write(&mut Painter::new()?, &view.scene, &view.hit_test.layout, path, *format)?;
    info!("saved {}", display_safe(&path.display().to_string()));
    Ok(())
}

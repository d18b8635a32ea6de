//! The consumer put together: a subscription fills the book on the runtime's threads while the main thread draws.

mod alerting;
mod args;
mod backfill;
mod bars;
mod demo;
mod export;
mod ingest;
mod interaction;
mod meters;
mod persistence;
mod query;
mod report;
mod scene_builder;
mod settings;
mod shared;
mod snapshot;
mod sources;
mod terminal_app;
mod ui_state;
mod window_app;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::{debug, info};

pub use alerting::{AlertError, HooksReport};
pub use args::{
    Args, ArgsError, AxisChoice, CleaningArgs, Config, DurableArgs, DurableError, ExportFormat, ExportingArgs,
    ExportingError, GroupConfig, Kept, KindChoice, LayoutChoice, ScaleChoice, SnapshotFormat, StatsFormat,
    StoredExport, StreamConfig, TerminalConfig, ThemeChoice, ViewChoice,
};
pub use export::{StoredExportError, export_stored};
pub use meters::{FramesReport, LatencyReport};
pub use report::{Report, SymbolReport};
pub use settings::Start;
pub use snapshot::SnapshotError;
pub use ui_state::{RememberError, UiState};

/// Why there is no export.
pub use crate::storage::TickFileError as ExportError;

use crate::cli;
use crate::client::{ClientError, Target};
use crate::model::display_safe;
use crate::plot::{Painter, PlotError};
use crate::series::{HistoryLimits, SeriesMap, SeriesMapConfig};
use crate::storage::db::{DbError, DbStatus};
use crate::terminal::TerminalError;
use crate::window::WindowError;
use alerting::{AlertDispatcher, Alerting};
use backfill::BackfillThread;
use demo::DemoError;
use interaction::Interaction;
use meters::SETTLE_EVERY;
use persistence::Persistence;
use query::Surface;
use scene_builder::{SceneBuilder, View};
use shared::Shared;
use terminal_app::Console;
use window_app::Screen;

/// The visible span unless told otherwise; it grows with the data up to here.
const SPAN_DEFAULT: Duration = Duration::from_mins(5);

/// Threads for the network: one reads, one runs timers and signals, and the demo's broker and producer share both.
const WORKERS: usize = 2;

/// How long a run without a view may read from the store, at its end, what its picture or export wants: the most that
/// is held of the past takes a few seconds.
const READ_BACK_MAX: Duration = Duration::from_secs(20);

/// How long the network side may take to end. Users are promised a clean end within a second.
const END_TIMEOUT: Duration = Duration::from_millis(700);

/// How long the store may take at the end to commit what nobody else has: ticks of channels that wait for it. What
/// comes from streams is there for the next run.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a run failed.
#[derive(Debug, Error)]
pub enum ConsumerError {
    /// No window.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// No window where one was asked for, and what there is instead.
    #[error("{0}; or watch in a terminal: consumer --view terminal")]
    NoWindow(#[source] WindowError),
    /// No terminal where one was asked for.
    #[error(
        "standard output is no terminal that can be drawn on; run it in one, or draw without: consumer --headless \
         --for 30s --snapshot chart.png"
    )]
    NoTerminal,
    /// The terminal refuses, or went away.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// No subscription.
    #[error(transparent)]
    Subscribe(#[from] ClientError),
    /// No store.
    #[error(transparent)]
    Keep(#[from] DbError),
    /// No picture.
    #[error("the chart cannot be drawn")]
    Plot(#[from] PlotError),
    /// No demo.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// No threads.
    #[error("the network threads cannot be started")]
    Runtime(#[source] io::Error),
    /// A defect of ours: the network side ended by itself.
    #[error("the network side ended unexpectedly")]
    NetworkEnded,
}

impl ConsumerError {
    /// Exit status: 2 where the surroundings are at fault, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoWindow(_) | Self::NoTerminal | Self::Keep(_) | Self::Terminal(TerminalError::Open(_)) => {
                cli::EXIT_USAGE
            }
            _ => cli::EXIT_FAILURE,
        }
    }
}

/// Runs until `shutdown` resolves, the time is up or the user closes the window. Must be called on the process's main
/// thread when a window is wanted.
pub fn run(
    config: &Config,
    rng: ChaCha8Rng,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Report, ConsumerError> {
    let started = Instant::now();
    let shared = share(config)?;
    // A display that is missing must be said before anything is connected.
    let front = Frontend::open(config, &shared)?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKERS).enable_all().build().map_err(ConsumerError::Runtime)?;
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    runtime.spawn(stop_when(Arc::clone(&stop), shutdown, config.run_for));

    let demo = if config.demo { Some(runtime.block_on(demo::start(config, stopped.clone()))?) } else { None };
    let target = demo.as_ref().map_or_else(|| config.target.clone(), demo::Demo::target);
    let desk = AlertDispatcher::open(&runtime, &shared, config.on_alert.as_deref());
    let network = spawn_network(&runtime, config, &target, &shared, &stop, rng);

    let mut controls = new_controls(config);
    let before = controls.remembered();
    let mut picture = SceneBuilder::new(config, &target);
    let is_seen = !matches!(front, Frontend::Nowhere);
    // Without a view only what is written at the end can want something of the past.
    let has_past = is_seen || config.snapshot.is_some() || config.export.is_some();
    let store = config.store.as_ref().filter(|_| has_past);
    let historian = store.map(|store| BackfillThread::start(store.url.clone(), &shared));
    let surface = match front {
        Frontend::Window(screen) => screen.run(&mut controls, &mut picture, config.interval, &stopped, started),
        Frontend::Terminal(console) => {
            let ran = console.run(&mut controls, &mut picture, config.interval, &stopped, started);
            ran.map(|()| Surface::of(config))
        }
        Frontend::Nowhere => {
            runtime.block_on(wait_headless(stopped, &shared, &mut picture));
            Ok(Surface::of(config))
        }
    };
    // Collected while the connection still stands, so that the picture says how it was.
    let now = surface.as_ref().ok().map(|surface| UiState { size: surface.size_flag(), ..controls.remembered() });
    let patience = if is_seen { Duration::ZERO } else { READ_BACK_MAX };
    let view = surface.as_ref().ok().map(|surface| last_view(*surface, &shared, &mut controls, &mut picture, patience));
    // The receivers may be gone already: then everything has ended.
    let _ = stop.send(true);
    historian.iter().for_each(BackfillThread::end);
    let ended = runtime.block_on(async { tokio::time::timeout(END_TIMEOUT, network).await });
    drop(historian);
    if let Some(keeping) = shared.keeping() {
        let of_stream = config.stream.is_some();
        let status = keeping.close(if of_stream { END_TIMEOUT } else { COMMIT_TIMEOUT }, of_stream);
        tell_kept(&status, keeping.left());
    }
    if let Some(desk) = desk {
        runtime.block_on(desk.end());
    }
    if let Some(demo) = demo {
        runtime.block_on(demo.end());
    }
    runtime.shutdown_timeout(Duration::from_millis(100));
    match ended {
        Ok(Ok(outcome)) => outcome?,
        Ok(Err(_)) => return Err(ConsumerError::NetworkEnded),
        Err(_) => tracing::warn!("the network side did not end in time and was cut off"),
    }
    surface?;
    if let Some(now) = now.filter(|_| is_seen) {
        let before = UiState { size: Surface::of(config).size_flag(), ..before };
        settings::remember(config, &before, now);
    }
    let report = Report::collect(&shared, &picture.meters, started.elapsed().as_secs_f64());
    // The figures of a long run are worth having even where its picture cannot be kept.
    let snapshot_error = view.as_ref().and_then(|view| write_snapshot(config, view).err());
    let until = controls.until();
    let export_error = view.and_then(|view| export::write_asked(config, &shared, &view.scene, until).err());
    Ok(Report { snapshot_error, export_error, ..report })
}

/// The book, the rules, the store.
fn share(config: &Config) -> Result<Arc<Shared>, ConsumerError> {
    let book = SeriesMap::new(SeriesMapConfig {
        symbols: config.symbols.clone(),
        symbols_max: config.symbols_max,
        history: history(config.history),
    });
    let in_group = config.stream.as_ref().is_some_and(|stream| stream.group.is_some());
    let book = if in_group { book.for_consumer_group() } else { book };
    let shared = Shared::new(book).watching(Alerting::new(config.alerts.clone(), config.on_alert.is_some()));
    let shared = Arc::new(shared);
    if let Some(store) = &config.store {
        shared.keep_in(Persistence::open(store)?);
    }
    Ok(shared)
}

/// Where the chart is shown.
enum Frontend {
    Window(Box<Screen>),
    Terminal(Box<Console>),
    Nowhere,
}

impl Frontend {
    /// The one that was asked for, or else the first one that there is.
    fn open(config: &Config, shared: &Arc<Shared>) -> Result<Self, ConsumerError> {
        let window = || Screen::open(config, shared).map(|screen| Self::Window(Box::new(screen)));
        let in_terminal = || match &config.terminal {
            Some(terminal) => Console::open(config, terminal, shared).map(|console| Self::Terminal(Box::new(console))),
            None => Err(ConsumerError::NoTerminal),
        };
        match config.view {
            ViewChoice::None => Ok(Self::Nowhere),
            ViewChoice::Terminal => in_terminal(),
            ViewChoice::Window => match window() {
                Err(ConsumerError::Window(error @ WindowError::NoDisplay { .. })) => {
                    Err(ConsumerError::NoWindow(error))
                }
                opened => opened,
            },
            ViewChoice::Auto => match window() {
                Err(ConsumerError::Window(WindowError::NoDisplay { cause })) => {
                    debug!("there is no window: {cause}");
                    if config.terminal.is_some() {
                        match in_terminal() {
                            Err(ConsumerError::Terminal(error @ TerminalError::Open(_))) => debug!("{error}"),
                            opened => return opened,
                        }
                    }
                    info!("there is neither a display nor a terminal to draw on: running without a view");
                    Ok(Self::Nowhere)
                }
                opened => opened,
            },
        }
    }
}

fn history(kept: Kept) -> HistoryLimits {
    /// With a bound in time, this many ticks of a symbol are still the most: 350 MB at most as trades come.
    const TICKS_MAX: usize = 100_000_000;
    match kept {
        Kept::Ticks(ticks_max) => HistoryLimits { ticks_max, age_ns_max: None },
        Kept::AgeNs(age_ns) => HistoryLimits { ticks_max: TICKS_MAX, age_ns_max: Some(age_ns) },
    }
}

fn new_controls(config: &Config) -> Interaction {
    let (default, grows) = if config.demo { (demo::SPAN, true) } else { (SPAN_DEFAULT, true) };
    let span = config.window.unwrap_or(default);
    let span_ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    Interaction::new(span_ns, grows && config.window.is_none(), config)
}

async fn stop_when(stop: Arc<watch::Sender<bool>>, shutdown: impl Future<Output = ()>, run_for: Option<Duration>) {
    let time_up = async {
        match run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = time_up => {}
    }
    // Nobody listens any more only when the run has ended by itself.
    let _ = stop.send(true);
}

fn spawn_network(
    runtime: &Runtime,
    config: &Config,
    target: &Target,
    shared: &Arc<Shared>,
    stop: &Arc<watch::Sender<bool>>,
    rng: ChaCha8Rng,
) -> tokio::task::JoinHandle<Result<(), ClientError>> {
    let (config, target, shared, stop) = (config.clone(), target.clone(), Arc::clone(shared), Arc::clone(stop));
    runtime.spawn(async move {
        let outcome = sources::read(config, target, shared, stop.subscribe(), rng).await;
        // Without a subscription there is nothing left to show: the window closes and the error is said.
        let _ = stop.send(true);
        outcome
    })
}

/// Says what the end left unkept.
fn tell_kept(status: &DbStatus, left: u64) {
    let DbStatus { written, duplicates, dropped, .. } = status;
    if left > 0 {
        info!("{left} ticks are not in the store yet; the next run goes on there in the stream");
    }
    if *dropped > 0 {
        tracing::warn!("the store did not take {dropped} ticks; it has {written} new ones");
    } else {
        debug!(written, duplicates, "the store is closed");
    }
}

/// Waits for the end; says now and then how it goes, and every change to those who asked for detail.
async fn wait_headless(mut stopped: watch::Receiver<bool>, shared: &Shared, picture: &mut SceneBuilder) {
    const STATUS_EVERY: Duration = Duration::from_secs(10);
    const STATUS_EVERY_VERBOSE: Duration = Duration::from_secs(1);
    let is_verbose = tracing::enabled!(tracing::Level::DEBUG);
    let mut status = tokio::time::interval(if is_verbose { STATUS_EVERY_VERBOSE } else { STATUS_EVERY });
    status.tick().await;
    let mut settle = tokio::time::interval(SETTLE_EVERY);
    let mut told = (0, 0);
    loop {
        tokio::select! {
            // The sender lives as long as the run, so an error cannot come; it would be an end as well.
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = settle.tick() => {
                let received = shared.book().counters().received;
                picture.meters.settle(Instant::now(), shared.brought(received));
            }
            _ = status.tick() => {
                let counters = shared.book().counters();
                let rejected = shared.rejects().total();
                let received = shared.brought(counters.received);
                let figures = (received, rejected);
                if !is_verbose || figures != told {
                    let (kept, lost) = (counters.kept, counters.lost);
                    info!(received, kept, lost, rejected, "running");
                }
                told = figures;
            }
        }
    }
}

fn write_snapshot(config: &Config, view: &View) -> Result<(), SnapshotError> {
    let Some((path, format)) = &config.snapshot else { return Ok(()) };
    snapshot::write(&mut Painter::new()?, &view.scene, &view.frame, path, *format)?;
    info!("saved {}", display_safe(&path.display().to_string()));
    Ok(())
}

/// What a snapshot shows: the chart as it stands, without what belongs to a hand at the mouse. What it wants from the
/// store is waited for as long as `patience` says.
fn last_view(
    surface: Surface,
    shared: &Shared,
    controls: &mut Interaction,
    picture: &mut SceneBuilder,
    patience: Duration,
) -> View {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    picture.toast = None;
    controls.let_go();
    let begun = Instant::now();
    let mut view = picture.view(shared, controls, surface, begun);
    while picture.is_wanting && begun.elapsed() < patience {
        std::thread::sleep(LOOK_EVERY);
        view = picture.view(shared, controls, surface, Instant::now());
    }
    if picture.is_wanting && !patience.is_zero() {
        tracing::warn!(
            "the store has more of what is in view, and it could not be read within {} s: it is marked in the picture, \
             and no export of the view has it",
            patience.as_secs()
        );
    }
    // An alert that was never told is no part of the picture.
    view.scene.toast = None;
    view
}

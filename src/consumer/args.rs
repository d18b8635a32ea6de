//! The consumer's command line, and the checked configuration it turns into.

mod choices;
mod cleaning;
mod durable;
mod exporting;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::analysis::{OutlierLimit, Rule};
use crate::chart::{AxisMode, BarInterval, BarIntervalError, ChartKind, PaneLayout, Scale, Size, Surface, Theme};
use crate::cli::{ConfigArgs, DurationError, LogWriter, TlsArgs, parse_duration, parse_port};
use crate::client::{Channel, EndpointError, Target, TlsFiles};
use crate::consumer::alerting::{AlertError, parse_rules};
use crate::consumer::ui_state::UiState;
use crate::model::{FieldMap, FieldMapError, Symbol};
use crate::series::HistoryLimits;
use crate::storage::db::DbConfig;
use crate::terminal::ColorDepth;
use crate::window::X11Display;
pub use choices::{ScaleChoice, StatsFormat, ViewChoice};
use choices::{parse_export, parse_session, parse_snapshot, parse_zone};
pub use cleaning::CleaningArgs;
pub(super) use durable::STORE_FILE;
pub use durable::{DurableArgs, DurableError, GroupConfig, StreamConfig};
use exporting::check_apart;
pub use exporting::{ExportingArgs, ExportingError, StoredExport};

/// Ticks kept per symbol unless told otherwise: more than a busy stock's trading day, in some 3 MB.
pub(super) const HISTORY_TICKS: usize = 1_000_000;

/// Symbols kept unless told otherwise.
pub(super) const SYMBOLS_MAX: usize = 256;

/// Redis's own port.
pub(super) const LOCAL_PORT: u16 = 6379;

/// The channel of the wire contract.
pub(super) const CHANNEL: &str = "stock_prices";

/// Widest span that may be shown: a hundred years.
const WINDOW_MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// Largest side of a frame, in pixels; X11 itself ends at 32,767.
const SIDE_MAX: u32 = 16_384;

/// Smallest side of a frame, in pixels, at which a chart can still be read.
const SIDE_MIN: u32 = 120;

/// Draws live market ticks from Redis in a native window.
#[derive(Debug, Parser)]
#[command(
    name = "consumer",
    version,
    after_help = "Keys: Space pause, +/- or wheel zoom, arrows or drag pan, End back to live, A axis,\n\
                  1-9 symbols, S screenshot, ? help, Q quit.\n\
                  Every flag is also a key of tickscope.toml and a variable: TICKSCOPE_LOCAL_PORT=7000.\n\
                  Exit status: 0 done, 1 failed while running, 2 wrong usage or no display.\n\
                  Example: consumer --symbols AAPL,MSFT --window 15m --redis redis://127.0.0.1:6379"
)]
pub struct Args {
    /// Show a replay of real trades at once: broker, producer and window in one process
    #[arg(long, conflicts_with_all = ["channel", "fields"])]
    pub demo: bool,
    /// Symbols to show, in this order [default: all that arrive]
    #[arg(long, value_delimiter = ',', value_name = "A,B,..")]
    pub symbols: Vec<String>,
    /// Least time between two redraws, such as 100ms; a number alone is seconds [default: one frame]
    #[arg(long, value_parser = parse_duration, allow_negative_numbers = true, value_name = "TIME")]
    pub interval: Option<Duration>,
    /// Channel to subscribe to; repeatable; with * ? [ it is a pattern
    #[arg(long, value_name = "NAME", default_value = CHANNEL)]
    pub channel: Vec<String>,
    /// Redis server.
    #[arg(help = "Redis server, as redis://[user:password@]host[:port], rediss:// with TLS, unix:///path, \
                redis+cluster://host,host or redis+sentinel://host,host/name; a password is safer in REDIS_URL, where \
                no list of processes shows it [default: this machine's, or a built-in one]")]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Files for TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Streams, groups, clusters, stores.
    #[command(flatten)]
    pub durable: DurableArgs,
    /// OutlierFilter.
    #[command(flatten)]
    pub cleaning: CleaningArgs,
    /// Port on this machine that is used, and served if nothing listens there, when no server is named
    #[arg(long, value_name = "PORT", default_value_t = LOCAL_PORT, value_parser = parse_port)]
    #[arg(allow_negative_numbers = true)]
    pub local_port: u16,
    /// Visible time span, such as 5m [default: grows with the data up to 5m]
    #[arg(long, value_parser = parse_duration, allow_negative_numbers = true, value_name = "TIME")]
    pub window: Option<Duration>,
    /// How much is kept per symbol: a number of ticks, or a time such as 2h [default: 1000000]
    #[arg(long, value_name = "TICKS|TIME", allow_negative_numbers = true)]
    pub history: Option<String>,
    /// How many symbols are kept; ticks of further ones are counted
    #[arg(long, value_name = "N", default_value_t = SYMBOLS_MAX, value_parser = parse_symbols_max)]
    #[arg(allow_negative_numbers = true)]
    pub max_symbols: usize,
    /// Other names for the fields of a tick, such as symbol=s,price=p,timestamp=data.T
    #[arg(long, value_name = "MAP", default_value = "")]
    pub fields: String,
    /// Where the chart is shown
    #[arg(long, value_enum, default_value_t)]
    pub view: ViewChoice,
    /// How prices are drawn
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub chart: ChartKind,
    /// How symbols are arranged
    #[arg(long, value_enum, default_value_t)]
    pub layout: PaneLayout,
    /// Length of a bar: auto, a time such as 5m, or a number of ticks such as 100t
    #[arg(long, value_parser = parse_bars, value_name = "TIME|TICKS", default_value = "auto")]
    pub bars: BarsChoice,
    /// Value axis
    #[arg(long, value_enum, default_value_t)]
    pub axis: AxisMode,
    /// Zone of the time axis.
    #[arg(help = "Time zone of the time axis, such as America/New_York [default: this machine's]")]
    #[arg(long, value_name = "NAME", value_parser = parse_zone)]
    pub zone: Option<TimeZone>,
    /// When a session opens, in that zone: what `--axis session` measures from
    #[arg(long, value_name = "HH:MM", value_parser = parse_session, default_value = "00:00")]
    pub session_start: Time,
    /// Colours
    #[arg(long, value_enum, default_value_t)]
    pub theme: Theme,
    /// Size of the chart in pixels
    #[arg(long, value_parser = parse_size, value_name = "WxH", default_value = "1280x720")]
    pub size: Size,
    /// How much larger than its pixels everything is drawn
    #[arg(long, value_enum, default_value_t)]
    pub scale: ScaleChoice,
    /// Window title
    #[arg(long, value_name = "TEXT", default_value = "tickscope")]
    pub title: String,
    /// The same as --view none
    #[arg(long, conflicts_with = "view")]
    pub headless: bool,
    /// Exit after this time
    #[arg(long = "for", value_parser = parse_duration, allow_negative_numbers = true, value_name = "TIME")]
    pub run_for: Option<Duration>,
    /// Write the chart to this .png or .svg file at exit
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Write the ticks in view to this .csv or .parquet file at exit
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// An export out of a store.
    #[command(flatten)]
    pub exporting: ExportingArgs,
    /// Tell when this happens; repeatable: 'AAPL > 190', 'AAPL moves 2% in 1m', 'SPY stale 10s'
    #[arg(long, value_name = "RULE")]
    pub alert: Vec<String>,
    /// Run this command on an alert, with the tick as JSON on its standard input
    #[arg(long, value_name = "COMMAND")]
    pub on_alert: Option<String>,
    /// Print statistics at exit
    #[arg(long, value_enum, value_name = "FORM")]
    pub stats: Option<StatsFormat>,
    /// Keep nothing of how the chart looked for the next run, and use nothing of an earlier one
    #[arg(long)]
    pub no_remember: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: ConfigArgs,
    /// Only warnings and errors
    #[arg(short, long)]
    pub quiet: bool,
    /// More detail in the log; repeatable
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

/// Amount of history kept in memory for each symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryLimit {
    /// Number of ticks.
    Ticks(usize),
    /// Age against the newest tick, ns.
    AgeNs(i64),
}

impl HistoryLimit {
    pub(super) fn limits(self) -> HistoryLimits {
        /// Most ticks of a symbol under a limit of age: 350 MB as trades come.
        const TICKS_MAX: usize = 100_000_000;
        match self {
            Self::Ticks(ticks_max) => HistoryLimits { ticks_max, age_ns_max: None },
            Self::AgeNs(age_ns) => HistoryLimits { ticks_max: TICKS_MAX, age_ns_max: Some(age_ns) },
        }
    }
}

/// File format of a snapshot, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotFormat {
    /// Pixels.
    Png,
    /// Vectors.
    Svg,
}

/// File format of an export, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Text, one tick a line.
    Csv,
    /// Typed columns.
    Parquet,
}

/// Everything `consumer::run` needs; checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Replay the shipped trades from inside this process.
    pub demo: bool,
    /// Empty means all that arrive.
    pub symbols: Vec<Symbol>,
    /// Least time between redraws.
    pub interval: Duration,
    /// What to listen to; never empty.
    pub channels: Vec<Channel>,
    /// Which server.
    pub target: Target,
    /// What is read from a stream in place of the channels.
    pub stream: Option<StreamConfig>,
    /// In a cluster: shards of a channel or stream.
    pub shards: u16,
    /// Where ticks are kept.
    pub store: Option<DbConfig>,
    /// Ticks further off than this are set apart.
    pub outliers: Option<OutlierLimit>,
    /// Visible span; `None` grows with the data.
    pub window: Option<Duration>,
    /// Bound per symbol.
    pub history: HistoryLimit,
    /// Bound on symbols.
    pub symbols_max: usize,
    /// Keys of foreign feeds.
    pub fields: FieldMap,
    /// Where it is shown.
    pub view: ViewChoice,
    /// How prices are drawn.
    pub kind: ChartKind,
    /// How symbols are arranged.
    pub layout: PaneLayout,
    /// Length of a bar; `None` for what suits the view.
    pub bars: Option<BarInterval>,
    /// Value axis.
    pub axis: AxisMode,
    /// Zone of the time axis.
    pub zone: TimeZone,
    /// When a session opens, in `zone`.
    pub session_start: Time,
    /// Colours.
    pub theme: Theme,
    /// Frame size.
    pub size: Size,
    /// Pixels of the screen for each of the layout.
    pub scale: ScaleChoice,
    /// A Wayland compositor draws the window: it enlarges what it shows by itself.
    pub wayland: bool,
    /// X server whose resolution `--scale auto` follows.
    pub x11: X11Display,
    /// Window title.
    pub title: String,
    /// End by itself.
    pub run_for: Option<Duration>,
    /// Written at exit.
    pub snapshot: Option<(PathBuf, SnapshotFormat)>,
    /// Written at exit.
    pub export: Option<(PathBuf, ExportFormat)>,
    /// What to tell of.
    pub alerts: Vec<Rule>,
    /// Command line for the shell that runs on an alert.
    pub on_alert: Option<String>,
    /// What an earlier run remembered beyond flags.
    pub remembered: UiState,
    /// Where this run may leave what the user changed by hand.
    pub ui_state_file: Option<PathBuf>,
    /// The terminal that can be drawn on, if there is one.
    pub terminal: Option<TerminalConfig>,
}

/// A terminal that can be drawn on.
#[derive(Debug, Clone)]
pub struct TerminalConfig {
    /// How many colours it shows.
    pub colors: ColorDepth,
    /// What holds log lines back while the view has the terminal; `None` where they go elsewhere.
    pub console: Option<LogWriter>,
}

impl Config {
    /// How much larger than its pixels everything is drawn, on a display that wants so many pixels for one.
    pub(super) fn scale_on(&self, display_factor: impl FnOnce() -> f64) -> Scale {
        let chosen = || if self.wayland { Scale::One } else { Scale::nearest(display_factor()) };
        self.scale.fixed().unwrap_or_else(chosen)
    }

    /// The frame's size in pixels of the screen.
    pub(super) fn screen_size(&self, scale: Scale) -> Size {
        let screen_px = |layout_px: u32| (layout_px * scale.halves() / 2).min(SIDE_MAX);
        Size { width: screen_px(self.size.width), height: screen_px(self.size.height) }
    }

    /// The surface of a frame that is drawn without a window.
    pub(super) fn surface(&self) -> Surface {
        let scale = self.scale.fixed().unwrap_or_default();
        Surface::Screen { size: self.screen_size(scale), scale }
    }
}

/// Why a command line makes no sense.
#[derive(Debug, Error)]
pub enum ArgsError {
    /// The URL.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// `--fields`.
    #[error(transparent)]
    Fields(#[from] FieldMapError),
    /// `--symbols`.
    #[error("--symbols: {0:?} is no symbol; a symbol has 1 to 64 bytes")]
    Symbol(String),
    /// `--symbols` names one twice.
    #[error("--symbols: {0} stands there twice")]
    SymbolTwice(Symbol),
    /// `--max-symbols`.
    #[error("--max-symbols {max} is less than the {listed} that --symbols lists")]
    SymbolsMax {
        /// What was given.
        max: usize,
        /// How many are listed.
        listed: usize,
    },
    /// `--channel`.
    #[error("--channel needs a name")]
    Channel,
    /// `--history`.
    #[error("--history: {0:?} is neither a number of ticks (1 to 1000000000) nor a time such as 2h")]
    History(String),
    /// `--window`.
    #[error("--window must be longer than 0 and at most a hundred years")]
    Window,
    /// `--snapshot`.
    #[error("--snapshot: {0:?} must end in .png or .svg")]
    Snapshot(PathBuf),
    /// `--export`.
    #[error("--export: {0:?} must end in .csv or .parquet")]
    Export(PathBuf),
    /// `--export`, in a build without the feature.
    #[error(
        "--export: {0:?}: this program was built without Parquet; choose a name that ends in .csv, or build it with \
         `cargo build --release --features parquet`"
    )]
    NoParquet(PathBuf),
    /// `--alert`.
    #[error(transparent)]
    Alert(#[from] AlertError),
    /// Streams, groups, clusters, stores.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// An export out of a store.
    #[error(transparent)]
    Exporting(#[from] ExportingError),
}

/// A configuration for tests.
#[cfg(test)]
pub(super) fn config_of(words: &[&str]) -> Config {
    let args = Args::try_parse_from([&["consumer"], words].concat());
    args.expect("the words are flags").into_config().expect("the flags go together")
}

/// The word that stands for `choice` on the command line.
pub(super) fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Length of a bar as it was asked for; `None` is `auto`.
type BarsChoice = Option<BarInterval>;

fn parse_bars(text: &str) -> Result<BarsChoice, BarIntervalError> {
    if text.trim() == "auto" { Ok(None) } else { text.parse().map(Some) }
}

/// Reads `1280x720`.
pub(super) fn parse_size(text: &str) -> Result<Size, String> {
    let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((width, height)) if [width, height].iter().all(|side| (SIDE_MIN..=SIDE_MAX).contains(side)) => {
            Ok(Size { width, height })
        }
        _ => Err(format!("a size is WIDTHxHEIGHT in pixels, each {SIDE_MIN} to {SIDE_MAX}, such as 1280x720")),
    }
}

fn parse_symbols_max(text: &str) -> Result<usize, String> {
    const MAX: usize = 100_000;
    let number = text.trim().parse().ok().filter(|number| (1..=MAX).contains(number));
    number.ok_or_else(|| format!("a number of symbols is 1 to {MAX}"))
}

fn parse_history(text: &str) -> Result<HistoryLimit, ArgsError> {
    const TICKS_MAX: usize = 1_000_000_000;
    let refused = || ArgsError::History(text.to_owned());
    if let Ok(ticks) = text.replace('_', "").parse::<usize>() {
        return if (1..=TICKS_MAX).contains(&ticks) { Ok(HistoryLimit::Ticks(ticks)) } else { Err(refused()) };
    }
    let age = parse_duration(text).map_err(|_: DurationError| refused())?;
    let age_ns = i64::try_from(age.as_nanos()).map_err(|_| refused())?;
    if age_ns > 0 { Ok(HistoryLimit::AgeNs(age_ns)) } else { Err(refused()) }
}

fn parse_symbols(texts: &[String]) -> Result<Vec<Symbol>, ArgsError> {
    let mut symbols = Vec::with_capacity(texts.len());
    for text in texts {
        let symbol = Symbol::new(text.trim()).ok_or_else(|| ArgsError::Symbol(text.clone()))?;
        if symbols.contains(&symbol) {
            return Err(ArgsError::SymbolTwice(symbol));
        }
        symbols.push(symbol);
    }
    Ok(symbols)
}

impl Args {
    /// Checks what clap cannot.
    pub fn into_config(self) -> Result<Config, ArgsError> {
        self.into_config_in(None)
    }

    /// The same; `data_dir` is where this platform keeps a user's data.
    pub fn into_config_in(self, data_dir: Option<&Path>) -> Result<Config, ArgsError> {
        let symbols = parse_symbols(&self.symbols)?;
        if self.max_symbols < symbols.len() {
            return Err(ArgsError::SymbolsMax { max: self.max_symbols, listed: symbols.len() });
        }
        let alerts = parse_rules(&self.alert, &symbols)?;
        if self.channel.iter().any(String::is_empty) {
            return Err(ArgsError::Channel);
        }
        if self.window.is_some_and(|window| window.is_zero() || window > WINDOW_MAX) {
            return Err(ArgsError::Window);
        }
        let (stream, store) = (self.durable.stream()?, self.durable.store(data_dir)?);
        let target = self.target()?;
        let export = self.export.map(parse_export).transpose()?;
        if let (Some(store), Some((path, _))) = (&store, &export) {
            check_apart(&store.url, path)?;
        }
        Ok(Config {
            demo: self.demo,
            symbols,
            interval: self.interval.unwrap_or_default(),
            channels: self.channel.iter().map(|name| Channel::parse(name)).collect(),
            target,
            stream,
            shards: self.durable.shards,
            store,
            outliers: self.cleaning.outliers,
            window: self.window,
            history: self.history.as_deref().map_or(Ok(HistoryLimit::Ticks(HISTORY_TICKS)), parse_history)?,
            symbols_max: self.max_symbols,
            fields: FieldMap::parse(&self.fields)?,
            view: if self.headless { ViewChoice::None } else { self.view },
            kind: self.chart,
            layout: self.layout,
            bars: self.bars,
            axis: self.axis,
            zone: self.zone.unwrap_or_else(TimeZone::system),
            session_start: self.session_start,
            theme: self.theme,
            size: self.size,
            scale: self.scale,
            wayland: false,
            x11: X11Display::default(),
            title: self.title,
            run_for: self.run_for,
            snapshot: self.snapshot.map(parse_snapshot).transpose()?,
            export,
            alerts,
            on_alert: self.on_alert.filter(|command| !command.trim().is_empty()),
            remembered: UiState::default(),
            ui_state_file: None,
            terminal: None,
        })
    }

    fn target(&self) -> Result<Target, ArgsError> {
        // An empty REDIS_URL is how shells unset a variable.
        let Some(url) = self.redis.as_deref().filter(|url| !url.trim().is_empty() && !self.demo) else {
            let is_cluster = self.durable.cluster && !self.demo;
            let local = crate::producer::local_target(self.local_port);
            return if is_cluster { Err(DurableError::ClusterWithoutUrl.into()) } else { Ok(local) };
        };
        let [ca, cert, key] = self.tls.clone().files();
        let target = Target::parse_with(url, self.durable.cluster, &TlsFiles { ca, cert, key })?;
        let is_pattern = |name: &&String| matches!(Channel::parse(name), Channel::Pattern(_));
        match self.channel.iter().find(is_pattern).filter(|_| target.is_cluster() && self.durable.stream.is_none()) {
            Some(pattern) => Err(DurableError::ClusterPattern(pattern.clone()).into()),
            None => Ok(target),
        }
    }
}

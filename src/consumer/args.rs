//! The consumer's command line, and the checked configuration that it becomes.

mod error;
mod store;
mod stored_export;
mod stream;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::analysis::{OutlierLimit, Rule};
use crate::chart::{AxisMode, BarInterval, BarIntervalError, ChartKind, PaneLayout, Scale, Size, Surface, Theme};
use crate::cli::{ConfigArgs, DurationError, LogWriter, TlsArgs, parse_duration, parse_port};
use crate::client::{Channel, Since, Target};
use crate::consumer::alerting::parse_rules;
use crate::consumer::ui_state::UiState;
use crate::model::{FieldMap, Symbol};
use crate::producer::parse_target;
use crate::series::HistoryLimits;
use crate::storage::TickFormat;
use crate::storage::db::DbConfig;
use crate::terminal::ColorDepth;
use crate::window::X11Display;
pub use error::ArgsError;
pub(super) use store::STORE_FILE;
pub use store::StoreArgs;
use stored_export::check_apart;
pub use stored_export::{StoredExport, StoredExportArgs};
pub(super) use stream::SINCE_DEFAULT;
pub use stream::StreamArgs;
pub use values::{ScaleChoice, StatsFormat, ViewChoice};
use values::{parse_export, parse_session, parse_snapshot, parse_zone};

/// Default number of ticks kept per symbol: more than a busy stock's trading day, in 3 MB.
pub(super) const HISTORY_TICKS: usize = 1_000_000;

/// Default number of symbols kept.
pub(super) const SYMBOLS_MAX: usize = 256;

/// Redis's default port.
pub(super) const LOCAL_PORT: u16 = 6379;

/// Default channel.
pub(super) const CHANNEL: &str = "stock_prices";

/// Longest visible time span and age: a hundred years.
const WINDOW_MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// Longest side of a frame, in pixels. The limit of X11 is 32,767.
const SIDE_MAX: u32 = 16_384;

/// Shortest side of a frame, in pixels, at which a chart is legible.
const SIDE_MIN: u32 = 120;

/// Draws live market ticks from Redis in a native window
#[derive(Debug, Clone, Parser)]
#[command(
    name = "consumer",
    version,
    after_help = "Keys: Space pause, +/- or wheel zoom, arrows or drag pan, End back to live, A axis,\n\
                  1-9 symbols, S screenshot, ? help, Q quit.\n\
                  Every flag is also a key of tickscope.toml and a variable such as TICKSCOPE_LOCAL_PORT.\n\
                  Exit status: 0 done, 1 failed while running, 2 wrong usage or no display.\n\
                  Example: consumer --symbols AAPL,MSFT --window 15m --redis redis://127.0.0.1:6379"
)]
pub struct Args {
    /// Show a replay of real trades, with broker, producer and window in one process
    #[arg(long, conflicts_with_all = ["channel", "fields"])]
    pub demo: bool,
    /// Symbols to show, in this order [default: all]
    #[arg(long, value_delimiter = ',', value_name = "A,B,..")]
    pub symbols: Vec<String>,
    /// Least time between two redraws, such as 100ms; a plain number is in seconds [default: one frame]
    #[arg(long, value_parser = parse_duration, allow_negative_numbers = true, value_name = "TIME")]
    pub interval: Option<Duration>,
    /// Channel to subscribe to, or a pattern with * ? [; repeatable
    #[arg(long, value_name = "NAME", default_value = CHANNEL)]
    pub channel: Vec<String>,
    /// Redis server.
    #[arg(help = "Redis server, as redis://[user:password@]host[:port], rediss:// with TLS, unix:///path, \
                redis+cluster://host,host or redis+sentinel://host,host/name; set REDIS_URL instead to keep a password \
                out of process listings [default: the one on this machine, or a built-in one]")]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Files for TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Streams, groups and clusters.
    #[command(flatten)]
    pub stream: StreamArgs,
    /// Database.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Flag ticks whose price is further than this from the median of the 15 before, such as 5%; they are stored and
    /// marked, but excluded from lines, bars and alerts [default: no filter]
    #[arg(long, value_name = "PERCENT")]
    pub outliers: Option<OutlierLimit>,
    /// Port on this machine to use if no server is given; a built-in server listens there if nothing else does
    #[arg(long, value_name = "PORT", default_value_t = LOCAL_PORT, value_parser = parse_port)]
    #[arg(allow_negative_numbers = true)]
    pub local_port: u16,
    /// Visible time span, such as 5m [default: grows with the data up to 5m]
    #[arg(long, value_parser = parse_duration, allow_negative_numbers = true, value_name = "TIME")]
    pub window: Option<Duration>,
    /// History in memory per symbol: a number of ticks, or a time such as 2h [default: 1000000]
    #[arg(long, value_name = "TICKS|TIME", allow_negative_numbers = true)]
    pub history: Option<String>,
    /// Most symbols in memory; ticks of further symbols are only counted
    #[arg(long, value_name = "N", default_value_t = SYMBOLS_MAX, value_parser = parse_symbols_max)]
    #[arg(allow_negative_numbers = true)]
    pub max_symbols: usize,
    /// Places of the fields in a message, such as symbol=s,price=data[].p [default: recognised]
    #[arg(long, value_name = "MAP", default_value = "")]
    pub fields: String,
    /// View of the chart
    #[arg(long, value_enum, default_value_t)]
    pub view: ViewChoice,
    /// Style of the chart
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub chart: ChartKind,
    /// Arrangement of the symbols
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
    /// Opening time of the trading session, in that zone; `--axis session` measures from it
    #[arg(long, value_name = "HH:MM", value_parser = parse_session, default_value = "00:00")]
    pub session_start: Time,
    /// Colours
    #[arg(long, value_enum, default_value_t)]
    pub theme: Theme,
    /// Size of the chart in pixels
    #[arg(long, value_parser = parse_size, value_name = "WxH", default_value = "1280x720")]
    pub size: Size,
    /// Magnification of the chart on the screen
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
    /// Export of stored ticks.
    #[command(flatten)]
    pub stored_export: StoredExportArgs,
    /// Alert on this condition, such as 'AAPL > 190', 'AAPL moves 2% in 1m' or 'SPY stale 10s'; repeatable
    #[arg(long, value_name = "RULE")]
    pub alert: Vec<String>,
    /// Run this command on an alert, with the tick as JSON on its standard input
    #[arg(long, value_name = "COMMAND")]
    pub on_alert: Option<String>,
    /// Print statistics at exit
    #[arg(long, value_enum, value_name = "FORM")]
    pub stats: Option<StatsFormat>,
    /// Neither restore the state of the chart from an earlier run nor save it for the next one
    #[arg(long)]
    pub no_remember: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: ConfigArgs,
    /// Log only warnings and errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Log more details; repeatable
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

/// File format of a snapshot, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotFormat {
    /// Bitmap.
    Png,
    /// Vector graphics.
    Svg,
}

/// Checked configuration of [`run`](crate::consumer::run).
#[derive(Debug, Clone)]
pub struct Config {
    /// All flags. Those that have a checked form below are read only from there.
    pub args: Args,
    /// Symbols to show, in this order; empty for all.
    pub symbols: Vec<Symbol>,
    /// Channels to subscribe to; never empty.
    pub channels: Vec<Channel>,
    /// Redis server.
    pub target: Target,
    /// Start position in the stream, if one is given.
    pub since: Option<Since>,
    /// Database; `None` to store nothing.
    pub store: Option<DbConfig>,
    /// History in memory per symbol.
    pub history: HistoryLimits,
    /// Places of the fields in foreign messages.
    pub fields: FieldMap,
    /// Zone of the time axis.
    pub zone: TimeZone,
    /// True under a Wayland compositor, which scales windows by itself.
    pub wayland: bool,
    /// X server whose resolution `--scale auto` follows.
    pub x11: X11Display,
    /// Image to write at exit.
    pub snapshot: Option<(PathBuf, SnapshotFormat)>,
    /// File of visible ticks to write at exit.
    pub export: Option<(PathBuf, TickFormat)>,
    /// Alert rules.
    pub alerts: Vec<Rule>,
    /// UI state of an earlier run.
    pub ui_state: UiState,
    /// File in which to save the UI state; `None` to save nothing.
    pub ui_state_file: Option<PathBuf>,
    /// Terminal that can be drawn on.
    pub terminal: Option<TerminalConfig>,
}

/// Terminal that can be drawn on.
#[derive(Debug, Clone)]
pub struct TerminalConfig {
    /// Number of colours that the terminal supports.
    pub colors: ColorDepth,
    /// Log writer to hold back while the chart has the terminal; `None` if the log goes elsewhere.
    pub console: Option<LogWriter>,
}

impl Config {
    /// Returns the magnification on a display whose own scale factor is `display_factor`.
    pub(super) fn scale_on(&self, display_factor: impl FnOnce() -> f64) -> Scale {
        let chosen = || if self.wayland { Scale::One } else { Scale::nearest(display_factor()) };
        self.args.scale.fixed().unwrap_or_else(chosen)
    }

    /// Returns the size of the chart in screen pixels.
    pub(super) fn screen_size(&self, scale: Scale) -> Size {
        let screen_px = |layout_px: u32| (layout_px * scale.halves() / 2).min(SIDE_MAX);
        Size { width: screen_px(self.args.size.width), height: screen_px(self.args.size.height) }
    }

    /// The surface of a frame that is drawn without a window.
    pub(super) fn surface(&self) -> Surface {
        let scale = self.args.scale.fixed().unwrap_or_default();
        Surface::Screen { size: self.screen_size(scale), scale }
    }
}

/// Configuration for tests.
#[cfg(test)]
pub(super) fn config_of(words: &[&str]) -> Config {
    let args = Args::try_parse_from([&["consumer"], words].concat());
    args.expect("the words are flags").into_config(None).expect("the flags go together")
}

/// Word for `choice` on the command line.
pub(super) fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Requested length of a bar; `None` for `auto`.
type BarsChoice = Option<BarInterval>;

fn parse_bars(text: &str) -> Result<BarsChoice, BarIntervalError> {
    if text.trim() == "auto" { Ok(None) } else { text.parse().map(Some) }
}

/// Parses a size such as `1280x720`.
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

/// Parses a number of ticks or an age.
fn parse_history(text: &str) -> Result<HistoryLimits, ArgsError> {
    const TICKS_MAX: usize = 1_000_000_000;
    /// Most ticks of a symbol under a limit of age: 350 MB as trades come.
    const TICKS_OF_AGE_MAX: usize = 100_000_000;
    let refused = || ArgsError::History(text.to_owned());
    if let Ok(ticks_max) = text.replace('_', "").parse() {
        let limits = HistoryLimits { ticks_max, age_ns_max: None };
        return if (1..=TICKS_MAX).contains(&ticks_max) { Ok(limits) } else { Err(refused()) };
    }
    let age = parse_duration(text).map_err(|_: DurationError| refused())?;
    let age_ns_max = i64::try_from(age.as_nanos()).ok().filter(|age_ns| *age_ns > 0);
    age_ns_max.map(|_| HistoryLimits { ticks_max: TICKS_OF_AGE_MAX, age_ns_max }).ok_or_else(refused)
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
    /// Checks what clap cannot. `data_dir` is the platform's directory for user data.
    ///
    /// # Errors
    /// [`ArgsError`] if a flag is invalid.
    pub fn into_config(mut self, data_dir: Option<&Path>) -> Result<Config, ArgsError> {
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
        let (since, store) = (self.stream.check()?, self.store.config(data_dir)?);
        let target = self.target()?;
        let export = self.export.take().map(parse_export).transpose()?;
        if let (Some(store), Some((path, _))) = (&store, &export) {
            check_apart(&store.url, path)?;
        }
        if self.headless {
            self.view = ViewChoice::None;
        }
        self.on_alert.take_if(|command| command.trim().is_empty());
        let all_ticks = HistoryLimits { ticks_max: HISTORY_TICKS, age_ns_max: None };
        Ok(Config {
            symbols,
            channels: self.channel.iter().map(|name| Channel::parse(name)).collect(),
            target,
            since,
            store,
            history: self.history.as_deref().map_or(Ok(all_ticks), parse_history)?,
            fields: FieldMap::parse(&self.fields)?,
            zone: self.zone.take().unwrap_or_else(TimeZone::system),
            wayland: false,
            x11: X11Display::default(),
            snapshot: self.snapshot.take().map(parse_snapshot).transpose()?,
            export,
            alerts,
            ui_state: UiState::default(),
            ui_state_file: None,
            terminal: None,
            args: self,
        })
    }

    fn target(&self) -> Result<Target, ArgsError> {
        let (url, is_cluster) = (self.redis.as_deref().filter(|_| !self.demo), self.stream.cluster && !self.demo);
        let target = parse_target(url, is_cluster, &self.tls, self.local_port)?;
        let target = target.ok_or(ArgsError::ClusterWithoutUrl)?;
        let is_pattern = |name: &&String| matches!(Channel::parse(name), Channel::Pattern(_));
        match self.channel.iter().find(is_pattern).filter(|_| target.is_cluster() && self.stream.stream.is_none()) {
            Some(pattern) => Err(ArgsError::ClusterPattern(pattern.clone())),
            None => Ok(target),
        }
    }
}

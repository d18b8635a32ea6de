//! The consumer's settings from all places: command line, environment, configuration file and saved UI state.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::chart::{BarInterval, Surface, ViewSettings};
use crate::cli::{Environment, LocatedError, Settings};
use crate::consumer::alerting::FIRED_RULE;
use crate::consumer::args::{Args, Config, StoredExport, ViewChoice, parse_size, word};
use crate::consumer::demo;
use crate::consumer::ui_state::{UiState, UiStateError};
use crate::model::{Timestamp, display_safe};

/// File of the UI state below the platform's directory for state.
const UI_STATE_FILE: &str = "tickscope/view.toml";

/// Default time span of the view. A smaller amount of data fills the view until then.
const SPAN_DEFAULT: Duration = Duration::from_mins(5);

/// Settings of a run.
#[derive(Debug)]
pub struct Start {
    /// All flags, wherever they were set.
    pub args: Args,
    settings: Settings,
    ui_state: UiState,
    /// The platform's directory for user data.
    data_dir: Option<PathBuf>,
    /// File in which this run may save its UI state.
    ui_state_file: Option<PathBuf>,
    warnings: Vec<String>,
}

impl Start {
    /// Reads all settings.
    ///
    /// # Errors
    /// The exit code if the settings are invalid, or if only help or a listing of the settings was requested. The text
    /// has been printed then.
    pub fn read(environment: &Environment) -> Result<Self, ExitCode> {
        let mut settings = Settings::read::<Args>(environment)?;
        let args: Args = settings.args()?;
        let ui_state_file = ui_state_file(&args, environment);
        let mut warnings = Vec::new();
        let loaded = ui_state_file.as_deref().map_or(Ok(UiState::default()), UiState::load);
        let mut ui_state = loaded.unwrap_or_else(|error| {
            warnings.push(error.to_string());
            UiState::default()
        });
        if args.demo {
            // A demo shows other symbols over another time span.
            ui_state = UiState { window: None, focused: None, hidden: None, ..ui_state };
        }
        if let Some(path) = &ui_state_file {
            let complaints = settings.add_ui_state(&ui_state.flags(), &path.display().to_string());
            warnings.extend(complaints.into_iter().map(|complaint| format!("{complaint}; it is ignored")));
        }
        let mut args: Args = settings.finish()?;
        if environment.variable(FIRED_RULE).is_some() && args.on_alert.take().is_some() {
            warnings.push("--on-alert is ignored because this consumer was started by such a command".to_owned());
        }
        // A demo saves nothing.
        let ui_state_file = ui_state_file.filter(|_| !args.demo);
        let data_dir = environment.data_dir.clone();
        Ok(Self { args, settings, ui_state, data_dir, ui_state_file, warnings })
    }

    /// Logs settings that are ignored.
    pub fn tell(&self) {
        for warning in &self.warnings {
            tracing::warn!("{}", display_safe(warning));
        }
        self.settings.log_notes();
    }

    /// Export of stored ticks, if that is all that was requested.
    ///
    /// # Errors
    /// Invalid settings, with the place where they are set.
    pub fn stored_export(&self) -> Result<Option<StoredExport>, LocatedError> {
        let export = self.args.stored_export(self.data_dir.as_deref(), Timestamp::now());
        export.map_err(|error| self.settings.locate(error))
    }

    /// Checks what clap cannot.
    ///
    /// # Errors
    /// Invalid settings, with the place where they are set.
    pub fn into_config(self) -> Result<Config, LocatedError> {
        let config = self.args.into_config(self.data_dir.as_deref()).map_err(|error| self.settings.locate(error))?;
        Ok(Config { ui_state: self.ui_state, ui_state_file: self.ui_state_file, ..config })
    }
}

/// File in which a run with these flags saves its UI state. A run without a view is meant for scripts, which get the
/// same image whatever a user changed in a window before.
fn ui_state_file(args: &Args, environment: &Environment) -> Option<PathBuf> {
    // Windows and macOS always have a display.
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| environment.variable(name).is_some())
        || cfg!(any(windows, target_os = "macos"));
    let has_view = match args.view {
        _ if args.headless => false,
        ViewChoice::None => false,
        ViewChoice::Auto => has_display || environment.can_draw(),
        ViewChoice::Window | ViewChoice::Terminal => true,
    };
    let directory = environment.state_dir.as_ref().filter(|_| has_view && !args.no_remember)?;
    Some(directory.join(UI_STATE_FILE))
}

/// The view that a run starts with.
pub(super) fn initial_view(config: &Config) -> ViewSettings {
    let Config { args, ui_state, .. } = config;
    let span = args.window.unwrap_or(if args.demo { demo::SPAN } else { SPAN_DEFAULT });
    ViewSettings {
        span_ns: i64::try_from(span.as_nanos()).unwrap_or(i64::MAX),
        grows: args.window.is_none(),
        axis: args.axis,
        kind: args.chart,
        layout: args.layout,
        bar_interval: args.bars,
        theme: args.theme,
        focused: ui_state.focused.clone().filter(|name| !name.is_empty()),
        hidden: ui_state.hidden.clone().unwrap_or_default(),
    }
}

/// The view as it is saved, with each value as its flag takes it.
pub(super) fn ui_state(view: ViewSettings, surface: Surface) -> UiState {
    const DAY_S: u32 = 86_400;
    let bars = match view.bar_interval {
        Some(BarInterval::Seconds(seconds)) if seconds <= DAY_S => format!("{seconds}s"),
        Some(BarInterval::Ticks(ticks)) => format!("{ticks}t"),
        // The flag takes no bars longer than a day; the view chooses them for long spans.
        Some(BarInterval::Seconds(_)) | None => "auto".to_owned(),
    };
    // A span that grows with the data was not chosen. Its empty value clears that of an earlier run.
    let window = if view.grows { String::new() } else { (view.span_ns as f64 / 1e9).to_string() };
    UiState {
        size: size_flag(surface),
        scale: None,
        theme: Some(word(&view.theme)),
        axis: Some(word(&view.axis)),
        chart: Some(word(&view.kind)),
        layout: Some(word(&view.layout)),
        bars: Some(bars),
        window: Some(window),
        focused: Some(view.focused.unwrap_or_default()),
        hidden: Some(view.hidden),
    }
}

/// The size of a surface as `--size` takes it. `None` if it is smaller than that flag allows, as a window can be.
fn size_flag(surface: Surface) -> Option<String> {
    let Surface::Screen { size, scale } = surface else { return None };
    let layout_px = |screen_px: u32| (screen_px * 2).div_ceil(scale.halves());
    let flag = format!("{}x{}", layout_px(size.width), layout_px(size.height));
    Some(flag).filter(|flag| parse_size(flag).is_ok())
}

/// Saves what the user changed by hand between `before` and `now`.
pub(super) fn save_ui_state(config: &Config, before: &UiState, now: UiState) {
    let Some(path) = &config.ui_state_file else { return };
    match now.changed_since(before).save(path) {
        Ok(()) => {}
        Err(UiStateError::Newer { .. }) => tracing::debug!("the UI state of a newer version is left as it is"),
        Err(error) => tracing::warn!("{}", display_safe(&error.to_string())),
    }
}

//! The consumer's settings put together: the command line, the environment, the file, and what an earlier run left.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::chart::{BarInterval, Surface, ViewSettings};
use crate::cli::{Environment, Placed, Settings};
use crate::consumer::alerting::FIRED_RULE;
use crate::consumer::args::{Args, Config, StoredExport, ViewChoice, parse_size, word};
use crate::consumer::demo;
use crate::consumer::ui_state::{RememberError, UiState};
use crate::model::{Timestamp, display_safe};

/// Below the platform's own place for what programs remember.
const STATE: &str = "tickscope/view.toml";

/// Longest span of time shown at first, unless told otherwise.
const SPAN_DEFAULT: Duration = Duration::from_mins(5);

/// What a run begins with.
#[derive(Debug)]
pub struct Start {
    /// All flags, wherever they were set.
    pub args: Args,
    settings: Settings,
    remembered: UiState,
    /// Where this platform keeps a user's data.
    data_dir: Option<PathBuf>,
    /// Where this run may leave something for the next one.
    remember_at: Option<PathBuf>,
    warnings: Vec<String>,
}

impl Start {
    /// Reads all settings. When they cannot be used, or only help or a look at them was wanted, everything has been
    /// said already and the exit code is returned.
    pub fn read(surroundings: &Environment) -> Result<Self, ExitCode> {
        let mut settings = Settings::read::<Args>(surroundings)?;
        let args: Args = settings.args()?;
        let remember_at = remember_at(&args, surroundings);
        let mut warnings = Vec::new();
        let mut remembered = match remember_at.as_deref().map(UiState::load) {
            None => UiState::default(),
            Some(Ok(remembered)) => remembered,
            Some(Err(error)) => {
                warnings.push(error.to_string());
                UiState::default()
            }
        };
        if args.demo {
            // A demo shows other symbols over another time.
            remembered = UiState { window: None, focused: None, hidden: None, ..remembered };
        }
        if let Some(path) = &remember_at {
            let complaints = settings.add_remembered(&remembered.flags(), &path.display().to_string());
            warnings.extend(complaints.into_iter().map(|complaint| format!("{complaint}; it is ignored")));
        }
        let mut args: Args = settings.finish()?;
        if surroundings.variable(FIRED_RULE).is_some() && args.on_alert.take().is_some() {
            warnings.push("--on-alert is ignored in what such a command has started".to_owned());
        }
        // What a demo looks like is its own affair.
        let remember_at = remember_at.filter(|_| !args.demo);
        let data_dir = surroundings.data_dir.clone();
        Ok(Self { args, settings, remembered, data_dir, remember_at, warnings })
    }

    /// Logs what was set and is ignored.
    pub fn tell(&self) {
        for warning in &self.warnings {
            tracing::warn!("{}", display_safe(warning));
        }
        self.settings.tell();
    }

    /// The export out of a store that is all that was asked for, if it is. An error says where the setting stands that
    /// is wrong.
    pub fn stored_export(&self) -> Result<Option<StoredExport>, Placed> {
        let asked = self.args.stored_export(self.data_dir.as_deref(), Timestamp::now());
        asked.map_err(|error| self.settings.placed(error))
    }

    /// Checks what clap cannot. An error says where the setting stands that is wrong.
    pub fn into_config(self) -> Result<Config, Placed> {
        let config = self.args.into_config_in(self.data_dir.as_deref()).map_err(|error| self.settings.placed(error))?;
        Ok(Config { remembered: self.remembered, remember_at: self.remember_at, ..config })
    }
}

/// Where a run of these flags remembers, if it does. What is drawn without a surface is for scripts, which get the same
/// picture whatever somebody did in a window before.
fn remember_at(args: &Args, surroundings: &Environment) -> Option<PathBuf> {
    // Where a display is not said by a variable, there is one.
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| surroundings.variable(name).is_some());
    let has_display = display || cfg!(any(windows, target_os = "macos"));
    let has_surface = match args.view {
        _ if args.headless => false,
        ViewChoice::None => false,
        ViewChoice::Auto => has_display || surroundings.can_draw(),
        ViewChoice::Window | ViewChoice::Terminal => true,
    };
    let dir = surroundings.state_dir.as_ref().filter(|_| has_surface && !args.no_remember)?;
    Some(dir.join(STATE))
}

/// The view that a run starts with.
pub(super) fn initial_view(config: &Config) -> ViewSettings {
    let span = config.window.unwrap_or(if config.demo { demo::SPAN } else { SPAN_DEFAULT });
    let remembered = &config.remembered;
    ViewSettings {
        span_ns: i64::try_from(span.as_nanos()).unwrap_or(i64::MAX),
        grows: config.window.is_none(),
        axis: config.axis,
        kind: config.kind,
        layout: config.layout,
        bar_interval: config.bars,
        theme: config.theme,
        focused: remembered.focused.clone().filter(|name| !name.is_empty()),
        hidden: remembered.hidden.clone().unwrap_or_default(),
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

/// Keeps what the user changed by hand between `before` and `now`.
pub(super) fn remember(config: &Config, before: &UiState, now: UiState) {
    let Some(path) = &config.remember_at else { return };
    match now.changed_since(before).save(path) {
        Ok(()) => {}
        Err(RememberError::Newer { .. }) => tracing::debug!("a newer version's view is left as it is"),
        Err(error) => tracing::warn!("{}", display_safe(&error.to_string())),
    }
}

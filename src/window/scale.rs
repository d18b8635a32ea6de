//! Scale factor of the display.

#[cfg(all(unix, not(target_os = "macos")))]
mod x11;

use std::ffi::OsString;
use std::path::PathBuf;

/// X server that the process draws on, as its environment names it.
#[derive(Debug, Clone, Default)]
pub struct X11Display {
    /// Value of `DISPLAY`, such as `:0`. No X server is asked without it.
    pub name: Option<OsString>,
    /// File of access keys: `XAUTHORITY`, or `.Xauthority` in the home directory.
    pub authority: Option<PathBuf>,
}

impl X11Display {
    /// Takes `DISPLAY`, `XAUTHORITY` and the home directory of a process.
    pub fn new(name: Option<OsString>, authority: Option<OsString>, home: Option<PathBuf>) -> Self {
        let authority = authority.map(PathBuf::from).or_else(|| Some(home?.join(".Xauthority")));
        Self { name, authority }
    }
}

/// Returns how many pixels the display wants for each one: `Xft.dpi` of the X server's resources, which desktops set,
/// divided by 96. Returns 1 if it is not set, and on Wayland, macOS and Windows, which scale windows themselves.
#[cfg(all(unix, not(target_os = "macos")))]
pub fn display_factor(display: &X11Display) -> f64 {
    /// Resolution at which nothing is enlarged.
    const DPI_UNSCALED: f64 = 96.0;
    let dpi = x11::resources(display).and_then(|text| x11::dpi(&text));
    let factor = dpi.map_or(1.0, |dpi| dpi / DPI_UNSCALED);
    if factor.is_finite() && factor > 0.0 { factor } else { 1.0 }
}

/// Returns 1: macOS and Windows scale windows themselves.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub fn display_factor(_display: &X11Display) -> f64 {
    1.0
}

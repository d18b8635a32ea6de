//! How large the display wants things to be.

/// Pixels of an inch at which nothing is enlarged, on every desktop there is.
#[cfg(all(unix, not(target_os = "macos")))]
const DPI_PLAIN: f64 = 96.0;

/// How many pixels the display at hand wants for one, as its X server's resources say (`Xft.dpi`, which desktops set);
/// 1 where nobody says. Wayland and macOS enlarge windows themselves: there, it is always 1.
#[cfg(all(unix, not(target_os = "macos")))]
pub fn display_factor() -> f64 {
    let dpi = || {
        let (connection, _) = x11rb::connect(None).ok()?;
        let resources = x11rb::resource_manager::new_from_default(&connection).ok()?;
        resources.get_string("Xft.dpi", "").and_then(|text| text.trim().parse::<f64>().ok())
    };
    let factor = dpi().map_or(1.0, |dpi| dpi / DPI_PLAIN);
    if factor.is_finite() && factor > 0.0 { factor } else { 1.0 }
}

/// See above; here, nothing says it.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub fn display_factor() -> f64 {
    1.0
}

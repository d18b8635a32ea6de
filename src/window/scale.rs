//! Scale factor of the display.

/// Pixels per inch at a scale factor of 1.
#[cfg(all(unix, not(target_os = "macos")))]
const DPI_PLAIN: f64 = 96.0;

/// Returns the scale factor from the resource `Xft.dpi` of the X server, which desktops set; 1 if it is not set. Wayland
/// and macOS scale windows themselves, so it is 1 there.
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

/// Returns 1: the system scales windows itself.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub fn display_factor() -> f64 {
    1.0
}

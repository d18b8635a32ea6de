//! Theme: the colours of a chart, shared by window, terminal, PNG and SVG.

/// Colour scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
}

/// Meaning of a status; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Everything works.
    Good,
    /// The user's own choice, or something to know (paused, scrolled back).
    Info,
    /// Data may be missing or old.
    Warn,
    /// No data can arrive.
    Bad,
}

/// Red, green, blue.
pub type Rgb = (u8, u8, u8);

/// Palette of Okabe and Ito ("Color Universal Design", 2008), distinguishable with all common kinds of colour vision.
/// Shades are shifted where they would be too faint on a dark background; its black is a grey here.
const PALETTE_DARK: [Rgb; 8] = [
    (86, 180, 233),
    (230, 159, 0),
    (43, 199, 155),
    (229, 143, 192),
    (240, 228, 66),
    (235, 110, 45),
    (92, 132, 240),
    (176, 186, 196),
];

/// The same hues, darkened to a contrast of 3:1 with white (WCAG 2.2, 1.4.11).
const PALETTE_LIGHT: [Rgb; 8] = [
    (30, 136, 200),
    (196, 127, 0),
    (0, 146, 106),
    (198, 88, 148),
    (150, 138, 0),
    (213, 84, 0),
    (20, 84, 178),
    (92, 102, 112),
];

/// Number of colours in the palette.
pub const PALETTE_LEN: usize = PALETTE_DARK.len();

/// Palette colour of a symbol: sky blue, orange, bluish green, pink, yellow, vermillion, blue, grey. Indices beyond
/// the last colour start over.
pub fn palette_color(theme: Theme, palette_index: usize) -> Rgb {
    let colors = match theme {
        Theme::Dark => &PALETTE_DARK,
        Theme::Light => &PALETTE_LIGHT,
    };
    colors[palette_index % PALETTE_LEN]
}

/// Colours of a theme.
///
/// # Examples
///
/// ```
/// use tickscope::chart::{Theme, ThemeColors, Tone, palette_color};
///
/// let colors = ThemeColors::of(Theme::Dark);
/// assert_eq!(colors.tone(Tone::Good), colors.rising);
/// assert_eq!(colors.palette_color(8), palette_color(Theme::Dark, 0));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ThemeColors {
    /// Theme that these colours belong to.
    pub theme: Theme,
    /// Background of the chart.
    pub background: Rgb,
    /// Background of header and footer.
    pub strip: Rgb,
    /// Grid lines.
    pub grid: Rgb,
    /// Text.
    pub text: Rgb,
    /// Secondary text and axis labels.
    pub dim: Rgb,
    /// Background of panels over the chart.
    pub panel: Rgb,
    /// Outline of panels.
    pub panel_edge: Rgb,
    /// Crosshair and its axis tags.
    pub crosshair: Rgb,
    /// Rising prices, and [`Tone::Good`].
    pub rising: Rgb,
    /// Falling prices, and [`Tone::Bad`].
    pub falling: Rgb,
    /// [`Tone::Info`].
    pub info: Rgb,
    /// [`Tone::Warn`].
    pub warn: Rgb,
}

const DARK: ThemeColors = ThemeColors {
    theme: Theme::Dark,
    background: (14, 18, 23),
    strip: (20, 26, 33),
    grid: (28, 37, 46),
    text: (226, 232, 240),
    dim: (132, 147, 162),
    panel: (22, 28, 36),
    panel_edge: (48, 60, 73),
    crosshair: (124, 139, 154),
    rising: (43, 199, 155),
    falling: (240, 104, 64),
    info: (86, 180, 233),
    warn: (224, 174, 56),
};

const LIGHT: ThemeColors = ThemeColors {
    theme: Theme::Light,
    background: (255, 255, 255),
    strip: (244, 246, 248),
    grid: (232, 236, 240),
    text: (24, 32, 42),
    dim: (92, 106, 120),
    panel: (255, 255, 255),
    panel_edge: (205, 213, 221),
    crosshair: (104, 118, 132),
    rising: (8, 128, 94),
    falling: (196, 62, 20),
    info: (20, 104, 170),
    warn: (148, 98, 0),
};

impl ThemeColors {
    /// Colours of `theme`.
    pub fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }

    /// Colour of a status.
    pub fn tone(&self, tone: Tone) -> Rgb {
        match tone {
            Tone::Good => self.rising,
            Tone::Info => self.info,
            Tone::Warn => self.warn,
            Tone::Bad => self.falling,
        }
    }

    /// See [`palette_color`].
    pub fn palette_color(&self, palette_index: usize) -> Rgb {
        palette_color(self.theme, palette_index)
    }

    /// Colour of a change in percent. A change that rounds to 0.00 % is neutral.
    pub fn change(&self, percent: f64) -> Rgb {
        if percent.abs() < 0.005 {
            self.dim
        } else if percent > 0.0 {
            self.rising
        } else {
            self.falling
        }
    }
}

/// Black or white, whichever has the higher contrast with `background`.
pub fn text_color_on(background: Rgb) -> Rgb {
    let dark = (12, 16, 20);
    let light = (255, 255, 255);
    if contrast(background, dark) >= contrast(background, light) { dark } else { light }
}

/// Minimum contrast of text with its background (WCAG 2.2, 1.4.3).
const CONTRAST_MIN: f64 = 4.5;

/// Background and text colour of a tag of `color`. The dark theme's bright colours carry dark text. In the light theme
/// dark text on a strong colour looks heavy, so the text is white and the background darkened until it is legible.
pub fn tag_colors(theme: Theme, color: Rgb) -> (Rgb, Rgb) {
    const WHITE: Rgb = (255, 255, 255);
    let text = text_color_on(color);
    if theme == Theme::Dark {
        return (color, text);
    }
    let darker = |step: u32| {
        let dim = |channel: u8| (u32::from(channel) * (100 - step) / 100) as u8;
        (dim(color.0), dim(color.1), dim(color.2))
    };
    let background = (0..100).map(darker).find(|background| contrast(*background, WHITE) >= CONTRAST_MIN);
    background.map_or((color, text), |background| (background, WHITE))
}

/// Contrast ratio of WCAG 2.2, 1 to 21.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Relative luminance of WCAG 2.2.
fn luminance((r, g, b): Rgb) -> f64 {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palette_and_text_colors_have_enough_contrast() {
        for theme in [Theme::Dark, Theme::Light] {
            let colors = ThemeColors::of(theme);
            for index in 0..PALETTE_LEN {
                let color = palette_color(theme, index);
                let ratio = contrast(color, colors.background);
                assert!(ratio >= 3.0, "{theme:?} {index} {ratio}");
                let ratio = contrast(color, text_color_on(color));
                assert!(ratio >= 4.5, "{theme:?} {index} {ratio}");
            }
            for text in [colors.text, colors.dim, colors.rising, colors.falling, colors.info, colors.warn] {
                assert!(contrast(text, colors.strip) >= 4.5, "{theme:?} {text:?} {}", contrast(text, colors.strip));
            }
        }
    }

    #[test]
    fn tags_are_legible_in_every_color() {
        for theme in [Theme::Dark, Theme::Light] {
            let colors = ThemeColors::of(theme);
            let palette = (0..PALETTE_LEN).map(|index| palette_color(theme, index));
            let others = [colors.crosshair, colors.rising, colors.falling, colors.info, colors.warn];
            for color in palette.chain(others) {
                let (background, text) = tag_colors(theme, color);
                assert!(
                    contrast(background, text) >= CONTRAST_MIN,
                    "{theme:?} {color:?} {}",
                    contrast(background, text)
                );
                // A darkened tag still stands out from the chart.
                assert!(contrast(background, colors.background) >= 3.0, "{theme:?} {color:?}");
            }
        }
        assert_eq!(tag_colors(Theme::Light, palette_color(Theme::Light, 0)).1, (255, 255, 255));
    }

    #[test]
    fn palette_indices_start_over_after_the_last_color() {
        assert_eq!(palette_color(Theme::Dark, 0), palette_color(Theme::Dark, PALETTE_LEN));
        assert_ne!(palette_color(Theme::Dark, 0), palette_color(Theme::Dark, 1));
    }
}

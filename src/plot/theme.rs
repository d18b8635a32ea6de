//! Colours and type sizes.

use crate::chart::{Absence, Theme, Tone};

/// Red, green, blue.
pub(super) type Rgb = (u8, u8, u8);

/// Okabe and Ito's palette (2008, "Color Universal Design"), told apart by all common kinds of colour vision; shades
/// moved where one would sink into a dark ground. Its black is a grey here.
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

/// The same hues, darkened until each stands out from white by 3:1 (WCAG 2.2, 1.4.11).
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

/// Colour of a slot: sky blue, orange, bluish green, pink, yellow, vermillion, blue, grey; later slots start over.
pub fn palette(theme: Theme, slot: usize) -> (u8, u8, u8) {
    let colors = match theme {
        Theme::Dark => &PALETTE_DARK,
        Theme::Light => &PALETTE_LIGHT,
    };
    colors[slot % colors.len()]
}

/// How many colours there are.
pub(super) const fn palette_len() -> usize {
    PALETTE_DARK.len()
}

/// Colours that are not a symbol's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) theme: Theme,
    pub(super) ground: Rgb,
    pub(super) strip: Rgb,
    pub(super) grid: Rgb,
    pub(super) text: Rgb,
    pub(super) dim: Rgb,
    /// Panels over the chart and their hairline.
    pub(super) panel: Rgb,
    pub(super) panel_edge: Rgb,
    /// Crosshair and its tags.
    pub(super) cross: Rgb,
    pub(super) gain: Rgb,
    pub(super) loss: Rgb,
    pub(super) info: Rgb,
    pub(super) warn: Rgb,
}

const DARK: Look = Look {
    theme: Theme::Dark,
    ground: (14, 18, 23),
    strip: (20, 26, 33),
    grid: (28, 37, 46),
    text: (226, 232, 240),
    dim: (132, 147, 162),
    panel: (22, 28, 36),
    panel_edge: (48, 60, 73),
    cross: (124, 139, 154),
    gain: (43, 199, 155),
    loss: (240, 104, 64),
    info: (86, 180, 233),
    warn: (224, 174, 56),
};

const LIGHT: Look = Look {
    theme: Theme::Light,
    ground: (255, 255, 255),
    strip: (244, 246, 248),
    grid: (232, 236, 240),
    text: (24, 32, 42),
    dim: (92, 106, 120),
    panel: (255, 255, 255),
    panel_edge: (205, 213, 221),
    cross: (104, 118, 132),
    gain: (8, 128, 94),
    loss: (196, 62, 20),
    info: (20, 104, 170),
    warn: (148, 98, 0),
};

impl Look {
    pub(super) fn new(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }

    pub(super) fn absence(&self, absence: Absence) -> Rgb {
        match absence {
            Absence::Missing => self.warn,
            Absence::Unread => self.dim,
        }
    }

    pub(super) fn tone(&self, tone: Tone) -> Rgb {
        match tone {
            Tone::Good => self.gain,
            Tone::Info => self.info,
            Tone::Warn => self.warn,
            Tone::Bad => self.loss,
        }
    }

    pub(super) fn slot(&self, slot: usize) -> Rgb {
        palette(self.theme, slot)
    }

    /// Colour of a change; what rounds to nothing is neither gain nor loss.
    pub(super) fn change(&self, percent: f64) -> Rgb {
        if percent.abs() < 0.005 {
            self.dim
        } else if percent > 0.0 {
            self.gain
        } else {
            self.loss
        }
    }
}

/// Black or white, whichever is easier to read on `ground`.
pub(super) fn ink_on(ground: Rgb) -> Rgb {
    let dark = (12, 16, 20);
    let light = (255, 255, 255);
    if contrast(ground, dark) >= contrast(ground, light) { dark } else { light }
}

/// Least contrast of text to its ground (WCAG 2.2, 1.4.3).
const CONTRAST_MIN: f64 = 4.5;

/// Ground and ink of a tag of `color`. On a dark screen colours are bright and carry dark ink; on a light one dark ink
/// on a strong colour is heavy, so white is written there, on a ground that is darkened until it can be read.
pub(super) fn tag_colors(theme: Theme, color: Rgb) -> (Rgb, Rgb) {
    const WHITE: Rgb = (255, 255, 255);
    let ink = ink_on(color);
    if theme == Theme::Dark {
        return (color, ink);
    }
    let darker = |step: u32| {
        let dim = |channel: u8| (u32::from(channel) * (100 - step) / 100) as u8;
        (dim(color.0), dim(color.1), dim(color.2))
    };
    let ground = (0..100).map(darker).find(|ground| contrast(*ground, WHITE) >= CONTRAST_MIN);
    ground.map_or((color, ink), |ground| (ground, WHITE))
}

/// WCAG 2.2 contrast ratio, 1 to 21.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// WCAG 2.2 relative luminance.
fn luminance((r, g, b): Rgb) -> f64 {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

#[cfg(test)]
mod tests {
    use crate::plot::theme::*;

    #[test]
    fn every_slot_stands_out_from_its_ground_and_carries_readable_text() {
        for theme in [Theme::Dark, Theme::Light] {
            let look = Look::new(theme);
            for slot in 0..PALETTE_DARK.len() {
                let color = palette(theme, slot);
                assert!(contrast(color, look.ground) >= 3.0, "{theme:?} {slot} {}", contrast(color, look.ground));
                assert!(contrast(color, ink_on(color)) >= 4.5, "{theme:?} {slot} {}", contrast(color, ink_on(color)));
            }
            for text in [look.text, look.dim, look.gain, look.loss, look.info, look.warn] {
                assert!(contrast(text, look.strip) >= 4.5, "{theme:?} {text:?} {}", contrast(text, look.strip));
            }
        }
    }

    #[test]
    fn tags_can_be_read_in_every_colour() {
        for theme in [Theme::Dark, Theme::Light] {
            let look = Look::new(theme);
            let slots = (0..PALETTE_DARK.len()).map(|slot| palette(theme, slot));
            for color in slots.chain([look.cross, look.gain, look.loss, look.info, look.warn]) {
                let (ground, ink) = tag_colors(theme, color);
                assert!(contrast(ground, ink) >= CONTRAST_MIN, "{theme:?} {color:?} {}", contrast(ground, ink));
                // Whatever is done to it, it is still told from the screen.
                assert!(contrast(ground, look.ground) >= 3.0, "{theme:?} {color:?}");
            }
        }
        assert_eq!(tag_colors(Theme::Light, palette(Theme::Light, 0)).1, (255, 255, 255));
    }

    #[test]
    fn slots_start_over_after_the_last_colour() {
        assert_eq!(palette(Theme::Dark, 0), palette(Theme::Dark, PALETTE_DARK.len()));
        assert_ne!(palette(Theme::Dark, 0), palette(Theme::Dark, 1));
    }
}

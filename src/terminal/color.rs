//! From 16 million colours to what the terminal shows.

use ratatui::style::{Color, Modifier, Style};

/// Red, green, blue.
pub type Rgb = (u8, u8, u8);

/// How many colours a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colors {
    /// None, or the user wants none.
    Plain,
    /// The 256 of xterm's palette.
    #[default]
    Indexed,
    /// All.
    True,
}

impl Colors {
    /// What `rgb` is here.
    pub(super) fn color(self, rgb: Rgb) -> Color {
        match self {
            Self::Plain => Color::Reset,
            Self::Indexed => Color::Indexed(nearest(rgb)),
            Self::True => Color::Rgb(rgb.0, rgb.1, rgb.2),
        }
    }

    /// `ink` on `ground`.
    pub(super) fn style(self, ink: Rgb, ground: Rgb) -> Style {
        Style::new().fg(self.color(ink)).bg(self.color(ground))
    }

    /// Dark or light letters on a patch of `rgb`; reversed where there are no colours.
    pub(super) fn patch(self, rgb: Rgb) -> Style {
        if self == Self::Plain {
            return Style::new().add_modifier(Modifier::REVERSED);
        }
        // Weights of the three colours in what is perceived as brightness (ITU-R BT.601).
        let bright = 299 * u32::from(rgb.0) + 587 * u32::from(rgb.1) + 114 * u32::from(rgb.2) > 128_000;
        let ink = if bright { (14, 18, 23) } else { (255, 255, 255) };
        self.style(ink, rgb)
    }
}

/// `over` laid over `ground`, of which this much shows: 0 to 1.
pub(super) fn mixed(ground: Rgb, over: Rgb, share: f64) -> Rgb {
    let part = |a: u8, b: u8| (f64::from(a) * (1.0 - share) + f64::from(b) * share).round() as u8;
    (part(ground.0, over.0), part(ground.1, over.1), part(ground.2, over.2))
}

/// The index in xterm's palette that is nearest: 16 to 231 are a cube of six levels a colour, 232 to 255 are greys.
fn nearest(rgb: Rgb) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |part: u8| (0..6_u8).min_by_key(|i| LEVELS[usize::from(*i)].abs_diff(part)).unwrap_or(0);
    let (r, g, b) = (level(rgb.0), level(rgb.1), level(rgb.2));
    let off = |(x, y, z): Rgb| {
        let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        square(x, rgb.0) + square(y, rgb.1) + square(z, rgb.2)
    };
    let mean = (u16::from(rgb.0) + u16::from(rgb.1) + u16::from(rgb.2)) / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    let shade = 8 + 10 * grey;
    let cube = (LEVELS[usize::from(r)], LEVELS[usize::from(g)], LEVELS[usize::from(b)]);
    if off((shade, shade, shade)) < off(cube) { 232 + grey } else { 16 + 36 * r + 6 * g + b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_256_colours_is_taken() {
        assert_eq!([(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 95, 215)].map(nearest), [16, 231, 196, 26]);
        assert_eq!([(14, 18, 23), (128, 128, 128), (20, 26, 33)].map(nearest), [233, 244, 234]);
    }

    #[test]
    fn without_colours_there_are_none() {
        assert_eq!(Colors::Plain.style((1, 2, 3), (4, 5, 6)), Style::new().fg(Color::Reset).bg(Color::Reset));
        assert_eq!(Colors::True.color((1, 2, 3)), Color::Rgb(1, 2, 3));
    }
}

//! Colours reduced to those that the terminal supports.

use ratatui::style::{Color, Modifier, Style};

use crate::chart::{Rgb, text_color_on};

/// Number of colours that a terminal supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorDepth {
    /// No colours: the terminal has none, or the user wants none.
    Plain,
    /// The 256 of xterm's palette.
    #[default]
    Indexed,
    /// 24 bits.
    TrueColor,
}

impl ColorDepth {
    /// Nearest supported colour.
    pub(super) fn color(self, rgb: Rgb) -> Color {
        match self {
            Self::Plain => Color::Reset,
            Self::Indexed => Color::Indexed(nearest_indexed(rgb)),
            Self::TrueColor => Color::Rgb(rgb.0, rgb.1, rgb.2),
        }
    }

    /// Text of one colour on a background of another.
    pub(super) fn style(self, text: Rgb, background: Rgb) -> Style {
        Style::new().fg(self.color(text)).bg(self.color(background))
    }

    /// Dark or light text on a background of `rgb`; reversed video without colours.
    pub(super) fn patch(self, rgb: Rgb) -> Style {
        match self {
            Self::Plain => Style::new().add_modifier(Modifier::REVERSED),
            Self::Indexed | Self::TrueColor => self.style(text_color_on(rgb), rgb),
        }
    }
}

/// `background` with the given share (0 to 1) of `over` blended in.
pub(super) fn blend(background: Rgb, over: Rgb, share: f64) -> Rgb {
    let part = |a: u8, b: u8| (f64::from(a) * (1.0 - share) + f64::from(b) * share).round() as u8;
    (part(background.0, over.0), part(background.1, over.1), part(background.2, over.2))
}

/// Nearest index in xterm's palette: 16 to 231 are a cube of six levels a channel, 232 to 255 are greys.
fn nearest_indexed(rgb: Rgb) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |channel: u8| (0..6_u8).min_by_key(|i| LEVELS[usize::from(*i)].abs_diff(channel)).unwrap_or(0);
    let (r, g, b) = (level(rgb.0), level(rgb.1), level(rgb.2));
    let distance = |(x, y, z): Rgb| {
        let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        square(x, rgb.0) + square(y, rgb.1) + square(z, rgb.2)
    };
    let mean = (u16::from(rgb.0) + u16::from(rgb.1) + u16::from(rgb.2)) / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    let shade = 8 + 10 * grey;
    let cube = (LEVELS[usize::from(r)], LEVELS[usize::from(g)], LEVELS[usize::from(b)]);
    if distance((shade, shade, shade)) < distance(cube) { 232 + grey } else { 16 + 36 * r + 6 * g + b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_256_colors_is_taken() {
        assert_eq!([(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 95, 215)].map(nearest_indexed), [16, 231, 196, 26]);
        assert_eq!([(14, 18, 23), (128, 128, 128), (20, 26, 33)].map(nearest_indexed), [233, 244, 234]);
    }

    #[test]
    fn a_plain_terminal_gets_no_colors() {
        assert_eq!(ColorDepth::Plain.style((1, 2, 3), (4, 5, 6)), Style::new().fg(Color::Reset).bg(Color::Reset));
        assert_eq!(ColorDepth::TrueColor.color((1, 2, 3)), Color::Rgb(1, 2, 3));
    }
}

//! Drawing in pixels through plotters' elements, for framebuffer and SVG alike.

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, RGBAColor, ShapeStyle, TextStyle};
use plotters_backend::BackendCoord;

use super::axes::time_share;
use super::backend::Backend;
use super::font::{Face, Fonts, Type};
use super::units::{EM_TO_SIZE, FIGURES_FAMILY, UNITS_PER_PX, WORDS_FAMILY, units, units_per_screen_px};
use super::{DrawResult, PlotError};
use crate::chart::{Rect, Rgb, Scale, ThemeColors, ValueSpan};
use crate::model::TimeSpan;

/// Colour and opacity (0 to 1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) Rgb, pub(super) f64);

impl From<Rgb> for Paint {
    fn from(rgb: Rgb) -> Self {
        Self(rgb, 1.0)
    }
}

impl Paint {
    pub(super) fn color(self) -> RGBAColor {
        RGBAColor(self.0.0, self.0.1, self.0.2, self.1)
    }

    pub(super) fn stroke(self, width_px: f64) -> ShapeStyle {
        self.color().stroke_width(units(width_px).unsigned_abs())
    }
}

/// Rectangle in fractional pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl From<Rect> for Area {
    fn from(r: Rect) -> Self {
        Self { left: f64::from(r.left), top: f64::from(r.top), right: f64::from(r.right), bottom: f64::from(r.bottom) }
    }
}

impl Area {
    pub(super) fn sized(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self { left, top, right: left + width, bottom: top + height }
    }

    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn middle(&self) -> f64 {
        f64::midpoint(self.top, self.bottom)
    }

    /// Column of an instant when the area shows `span`.
    pub(super) fn x_of(&self, span: TimeSpan, time_ns: i64) -> f64 {
        self.left + time_share(span, time_ns) * self.width()
    }

    /// Row of a value when the area shows `span`.
    pub(super) fn y_of(&self, span: ValueSpan, value: f64) -> f64 {
        self.bottom - span.share(value) * self.height()
    }

    /// Returns `true` if the point lies inside, edges included.
    pub(super) fn holds(&self, (x, y): (f64, f64)) -> bool {
        x >= self.left && x <= self.right && y >= self.top && y <= self.bottom
    }

    /// Returns `true` if all of `other` lies inside, edges included.
    pub(super) fn encloses(&self, other: &Self) -> bool {
        self.holds((other.left, other.top)) && self.holds((other.right, other.bottom))
    }

    /// Smaller by `px` on each side.
    pub(super) fn inset(&self, px: f64) -> Self {
        Self { left: self.left + px, top: self.top + px, right: self.right - px, bottom: self.bottom - px }
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Smallest rectangle of whole pixels that covers it.
    pub(super) fn outward(&self) -> Rect {
        Rect {
            left: self.left.floor() as i32,
            top: self.top.floor() as i32,
            right: self.right.ceil() as i32,
            bottom: self.bottom.ceil() as i32,
        }
    }

    /// Moved into `bounds` by the shortest way; at their top left if it is too large.
    pub(super) fn moved_into(self, bounds: &Self) -> Self {
        let shift = |from: f64, to: f64, low: f64, high: f64| (high - to).min(0.0).max(low - from);
        let dx = shift(self.left, self.right, bounds.left, bounds.right);
        let dy = shift(self.top, self.bottom, bounds.top, bounds.bottom);
        Self { left: self.left + dx, top: self.top + dy, right: self.right + dx, bottom: self.bottom + dy }
    }
}

fn at(x: f64, y: f64) -> BackendCoord {
    (units(x), units(y))
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Draw(error.to_string())
    }
}

/// Drawing area with its fonts and colours.
pub(super) struct LayerPainter<'a> {
    pub(super) area: DrawingArea<Backend<'a>, Shift>,
    pub(super) fonts: &'a Fonts,
    pub(super) colors: &'static ThemeColors,
    pub(super) scale: Scale,
}

impl LayerPainter<'_> {
    pub(super) fn fill(&self, area: impl Into<Area>, paint: impl Into<Paint>) -> DrawResult {
        let area = area.into();
        if area.width() <= 0.0 || area.height() <= 0.0 {
            return Ok(());
        }
        let corners = [at(area.left, area.top), at(area.right, area.bottom)];
        Ok(self.area.draw(&Rectangle::new(corners, paint.into().color().filled()))?)
    }

    /// Fills a rectangle in pixels of the screen.
    pub(super) fn block(&self, screen: Rect, paint: impl Into<Paint>) -> DrawResult {
        if screen.is_empty() {
            return Ok(());
        }
        let unit = units_per_screen_px(self.scale);
        let corners = [(screen.left * unit, screen.top * unit), (screen.right * unit, screen.bottom * unit)];
        Ok(self.area.draw(&Rectangle::new(corners, paint.into().color().filled()))?)
    }

    /// Draws a hairline along a column or row of pixels, given its middle.
    pub(super) fn hairline(&self, from: (f64, f64), to: (f64, f64), paint: impl Into<Paint>) -> DrawResult {
        self.path([from, to], 1.0, paint)
    }

    /// Nearest edge between two pixels of the screen.
    pub(super) fn snapped(&self, px: f64) -> f64 {
        (px * self.scale.factor()).round() / self.scale.factor()
    }

    /// Fills a closed outline.
    pub(super) fn polygon(
        &self,
        vertices: impl IntoIterator<Item = (f64, f64)>,
        paint: impl Into<Paint>,
    ) -> DrawResult {
        let vertices: Vec<BackendCoord> = vertices.into_iter().map(|(x, y)| at(x, y)).collect();
        Ok(self.area.draw(&Polygon::new(vertices, paint.into().color()))?)
    }

    /// Draws a polyline.
    pub(super) fn path(
        &self,
        points: impl IntoIterator<Item = (f64, f64)>,
        width_px: f64,
        paint: impl Into<Paint>,
    ) -> DrawResult {
        let points: Vec<BackendCoord> = points.into_iter().map(|(x, y)| at(x, y)).collect();
        Ok(self.area.draw(&PathElement::new(points, paint.into().stroke(width_px)))?)
    }

    /// Fills a rectangle with rounded corners.
    pub(super) fn rounded(&self, area: Area, radius: f64, paint: impl Into<Paint>) -> DrawResult {
        if area.width() <= 0.0 || area.height() <= 0.0 {
            return Ok(());
        }
        self.polygon(outline(area, radius), paint)
    }

    /// Fills a rectangle with rounded corners and draws an edge of one pixel inside its border.
    pub(super) fn panel(&self, area: Area, radius: f64, inside: Paint, edge: Paint) -> DrawResult {
        self.rounded(area, radius, inside)?;
        self.outlined(area, radius, edge)
    }

    /// Draws an edge of one pixel inside the border of a rectangle with rounded corners.
    pub(super) fn outlined(&self, area: Area, radius: f64, edge: impl Into<Paint>) -> DrawResult {
        let mut path = outline(area.inset(0.5), radius - 0.5);
        path.extend(path.first().copied());
        self.path(path, 1.0, edge)
    }

    pub(super) fn disc(&self, (x, y): (f64, f64), radius: f64, paint: impl Into<Paint>) -> DrawResult {
        Ok(self.area.draw(&Circle::new(at(x, y), units(radius), paint.into().color().filled()))?)
    }

    /// Draws a circle, `width_px` wide.
    pub(super) fn ring(&self, (x, y): (f64, f64), radius: f64, width_px: f64, paint: impl Into<Paint>) -> DrawResult {
        Ok(self.area.draw(&Circle::new(at(x, y), units(radius), paint.into().stroke(width_px)))?)
    }

    /// Draws a straight dashed line, one pixel wide.
    pub(super) fn dashes(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        (dash, space): (f64, f64),
        paint: Paint,
    ) -> DrawResult {
        let points = [at(from.0, from.1), at(to.0, to.1)];
        let path = DashedPathElement::new(points, units(dash), units(space), paint.stroke(1.0));
        Ok(self.area.draw(&path)?)
    }

    /// Draws a dotted row of pixels, given its middle.
    pub(super) fn dots(&self, (left, right): (f64, f64), y: f64, paint: impl Into<Paint>) -> DrawResult {
        let unit = units_per_screen_px(self.scale);
        let side = (self.scale.factor() as i32).max(1) * unit;
        let (from, row, end) = (units(left), units(y) - unit / 2, units(right));
        let style = paint.into().color().filled();
        for dot in (from..end).step_by(4 * side.unsigned_abs() as usize) {
            self.area.draw(&Rectangle::new([(dot, row), (dot + side, row + side)], style))?;
        }
        Ok(())
    }

    /// Draws one line of text with its capitals centred on the row `y`.
    pub(super) fn text(
        &self,
        text: &str,
        ty: Type,
        (x, y): (f64, f64),
        anchor: HPos,
        paint: impl Into<Paint>,
    ) -> DrawResult {
        if text.is_empty() {
            return Ok(());
        }
        let family = FontFamily::Name(if ty.face == Face::Words { WORDS_FAMILY } else { FIGURES_FAMILY });
        let style = if ty.bold { FontStyle::Bold } else { FontStyle::Normal };
        let size = f64::from(ty.em) * f64::from(UNITS_PER_PX) * EM_TO_SIZE;
        let font = FontDesc::new(family, size, style);
        let color = paint.into().color();
        let style = TextStyle::from(font).color(&color).pos(Pos::new(anchor, VPos::Center));
        Ok(self.area.draw_text(text, &style, at(x, y))?)
    }

    pub(super) fn width(&self, text: &str, ty: Type) -> f64 {
        f64::from(self.fonts.width(text, ty))
    }

    pub(super) fn fit(&self, text: &str, ty: Type, width_px: f64) -> String {
        self.fonts.fit(text, ty, width_px as f32)
    }
}

/// Rectangle with quarter circles as corners, clockwise.
fn outline(area: Area, radius: f64) -> Vec<(f64, f64)> {
    /// Chords per corner; at these sizes indistinguishable from an arc.
    const CHORDS: usize = 4;
    let r = radius.min(area.width() / 2.0).min(area.height() / 2.0).max(0.0);
    let corners = [
        (area.right - r, area.top + r, -1.0),
        (area.right - r, area.bottom - r, 0.0),
        (area.left + r, area.bottom - r, 1.0),
        (area.left + r, area.top + r, 2.0),
    ];
    let arc = |(x, y, quarter): (f64, f64, f64)| {
        (0..=CHORDS).map(move |i| {
            let angle = (quarter + i as f64 / CHORDS as f64) * std::f64::consts::FRAC_PI_2;
            (x + r * angle.cos(), y + r * angle.sin())
        })
    };
    corners.into_iter().flat_map(arc).collect()
}

/// Area of whole pixels in the middle of `within`.
pub(super) fn centered(within: &Area, width: f64, height: f64) -> Area {
    let left = f64::midpoint(within.left, within.right) - width / 2.0;
    let top = f64::midpoint(within.top, within.bottom) - height / 2.0;
    Area::sized(left.round(), top.round(), width.ceil(), height.ceil())
}

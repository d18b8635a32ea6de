//! Header: connection state, channel, legend, visible span. A first pass places the parts by measured widths alone;
//! drawing follows it.

use plotters::style::text_anchor::HPos;

use super::DrawResult;
use super::font::{Fonts, Type};
use super::painter::{Area, LayerPainter, Paint};
use crate::chart::{Header, HitAreas, Layout, LegendEntry, Rect, Rgb, percent_text};

const BADGE: Type = Type::words(13.0).bold();
const CHANNEL: Type = Type::words(13.0);
const SYMBOL: Type = Type::words(13.5).bold();
const LAST: Type = Type::figures(12.5);
const CHANGE: Type = Type::figures(11.5);
const SPAN: Type = Type::words(13.0).bold();

const EDGE_PX: f64 = 16.0;
const DOT_PX: f64 = 5.0;
const SQUARE_PX: f64 = 14.0;
/// Space between two legend entries, and between the parts of the header.
const GAP_PX: f64 = 26.0;
/// Space inside an entry.
const INNER_PX: f64 = 8.0;
/// Maximum width of a symbol; symbols have up to 64 bytes.
const SYMBOL_PX_MAX: f64 = 140.0;
/// Minimum width of a truncated channel label.
const CHANNEL_PX_MIN: f64 = 48.0;
/// Room is reserved for a badge of this text.
const BADGE_RESERVED: &str = "STALE 59 s";
/// Word before the span, and the minimum width of a header with it.
const SPAN_WORD: &str = "window";
const SPAN_WORD_PX_MIN: f64 = 720.0;
/// Minimum height of a header with text.
const STRIP_PX_MIN: i32 = 16;

/// Level of detail of the legend entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Detail {
    Symbol,
    Last,
    Change,
}

/// Texts of the header with left and right edges; `None` for those that do not fit.
#[derive(Default)]
struct HeaderLayout<'a> {
    badge: Option<(String, f64, f64)>,
    view_badge: Option<(String, f64, f64)>,
    channel: Option<(String, f64, f64)>,
    entries: Vec<Entry<'a>>,
    more: Option<(String, f64, f64)>,
    /// Span text.
    span: Option<(String, f64, f64)>,
    span_word: Option<f64>,
}

/// Chooses what fits into `strip`. The channel is left out first, then changes, then last prices, then whole entries.
fn place_parts<'a>(header: &'a Header, strip: Rect, fonts: &Fonts) -> HeaderLayout<'a> {
    let mut parts = HeaderLayout::default();
    if strip.height() < STRIP_PX_MIN {
        return parts;
    }
    let width = |text: &str, ty: Type| f64::from(fonts.width(text, ty));
    let right_edge = f64::from(strip.right) - EDGE_PX;

    let mut x = f64::from(strip.left) + EDGE_PX;
    let text_left = x + 2.0 * DOT_PX + 6.0;
    let text = fonts.fit(&header.badge.text, BADGE, (right_edge - text_left) as f32);
    let end = text_left + width(&text, BADGE);
    if end <= right_edge {
        parts.badge = Some((text, x, end));
        x = end;
    }
    if let Some(badge) = &header.view_badge {
        let (left, padding) = (x + 12.0, 8.0);
        let end = left + width(&badge.text, BADGE) + 2.0 * padding;
        if end <= right_edge {
            parts.view_badge = Some((badge.text.clone(), left, end));
            x = end;
        }
    }

    let span_width = width(&header.span, SPAN);
    let word_width = width(SPAN_WORD, CHANNEL) + 10.0;
    let has_span_word = f64::from(strip.width()) >= SPAN_WORD_PX_MIN;
    let span_left = right_edge - span_width;
    let mut room_end = right_edge;
    if span_left - x >= GAP_PX {
        parts.span = Some((header.span.clone(), span_left, right_edge));
        parts.span_word = (has_span_word && span_left - word_width - x >= GAP_PX).then_some(span_left - word_width);
        room_end = parts.span_word.unwrap_or(span_left) - GAP_PX;
    }

    let start = x + GAP_PX;
    let entries: Vec<Entry<'_>> =
        header.legend.iter().enumerate().map(|(index, source)| Entry::new(index, source, fonts)).collect();
    let total = |detail| (entries.iter().map(|entry| entry.width(detail) + GAP_PX).sum::<f64>() - GAP_PX).max(0.0);
    // Before the first tick no columns for prices are reserved.
    let priced = header.legend.iter().any(|entry| entry.last.is_some());
    let details: &[Detail] = if priced { &[Detail::Change, Detail::Last, Detail::Symbol] } else { &[Detail::Symbol] };
    let fitting = details.iter().copied().find(|detail| total(*detail) <= room_end - start);
    // The legend has priority: the channel is shown only if no entry lacks anything.
    let whole = fitting.filter(|detail| *detail == Detail::Change || !priced);
    let spare = whole.map_or(0.0, |detail| room_end - start - total(detail));

    let mut x = start;
    let channel_left = x - GAP_PX + 12.0;
    // The channel gets at most the legend's spare room, and a gap before the legend.
    let channel_room = spare - if entries.is_empty() { 0.0 } else { 12.0 };
    let channel = fonts.fit(&header.channel, CHANNEL, channel_room.max(0.0) as f32);
    let channel_width = width(&channel, CHANNEL);
    if !channel.is_empty() && (channel == header.channel || channel_width >= CHANNEL_PX_MIN) {
        parts.channel = Some((channel, channel_left, channel_left + channel_width));
        x = channel_left + channel_width + GAP_PX;
        // If there is room, the legend starts where it would with a longer badge, so that click targets do not move
        // when the badge changes.
        let room = (channel_room - channel_width).max(0.0);
        let reserved = (width(BADGE_RESERVED, BADGE) - width(&header.badge.text, BADGE)).clamp(0.0, room);
        x += reserved + (room - reserved).min(14.0);
    }
    place_entries(&mut parts, entries, fitting, (x, room_end), fonts);
    parts
}

fn place_entries<'a>(
    parts: &mut HeaderLayout<'a>,
    mut entries: Vec<Entry<'a>>,
    fitting: Option<Detail>,
    (mut x, end): (f64, f64),
    fonts: &Fonts,
) {
    let more_text = |hidden: usize| format!("+{hidden} more");
    let detail = fitting.unwrap_or(Detail::Symbol);
    // If not all entries fit, the focused one comes first.
    if let Some(focus) = entries.iter().position(|entry| entry.source.focused).filter(|_| fitting.is_none()) {
        entries[..=focus].rotate_right(1);
    }
    let mut rest = entries.len();
    for entry in entries {
        rest -= 1;
        let reserved = match fitting {
            None if rest > 0 => GAP_PX + f64::from(fonts.width(&more_text(rest), CHANNEL)),
            _ => 0.0,
        };
        let right = x + entry.width(detail);
        // Tolerance for rounding errors of the sums.
        if right + reserved > end + 0.01 {
            let text = more_text(rest + 1);
            let right = x + f64::from(fonts.width(&text, CHANNEL));
            if right <= end {
                parts.more = Some((text, x, right));
            }
            return;
        }
        parts.entries.push(Entry { detail, left: x, right, ..entry });
        x = right + GAP_PX;
    }
}

/// A legend entry with the widths of its texts, and its place.
struct Entry<'a> {
    index: usize,
    source: &'a LegendEntry,
    symbol: String,
    symbol_px: f64,
    change: String,
    last_px: f64,
    change_px: f64,
    detail: Detail,
    left: f64,
    right: f64,
}

impl<'a> Entry<'a> {
    fn new(index: usize, source: &'a LegendEntry, fonts: &Fonts) -> Self {
        let width = |text: &str, ty: Type| f64::from(fonts.width(text, ty));
        let symbol = fonts.fit(&source.symbol, SYMBOL, SYMBOL_PX_MAX as f32);
        let change = source.change_percent.map_or_else(String::new, |percent| percent_text(percent, 2));
        Self {
            index,
            source,
            symbol_px: width(&symbol, SYMBOL),
            // Minimum widths keep the legend in place while figures change.
            last_px: source.last.as_ref().map_or(0.0, |last| width(last, LAST)).max(width("00.00", LAST)),
            change_px: width(&change, CHANGE).max(width("+0.00%", CHANGE)),
            symbol,
            change,
            detail: Detail::Symbol,
            left: 0.0,
            right: 0.0,
        }
    }

    fn width(&self, detail: Detail) -> f64 {
        let mut px = SQUARE_PX + INNER_PX + self.symbol_px;
        if detail >= Detail::Last {
            px += INNER_PX + self.last_px;
        }
        if detail >= Detail::Change {
            px += INNER_PX + self.change_px;
        }
        px
    }

    /// Last price, if it is shown.
    fn last(&self) -> Option<&str> {
        self.source.last.as_deref().filter(|_| self.detail >= Detail::Last)
    }

    /// Change, if it is shown.
    fn change(&self) -> Option<&str> {
        Some(self.change.as_str()).filter(|text| self.detail >= Detail::Change && !text.is_empty())
    }
}

/// Draws the header and records its clickable areas.
pub(super) fn draw(painter: &LayerPainter<'_>, header: &Header, layout: &Layout, hits: &mut HitAreas) -> DrawResult {
    let parts = place_parts(header, layout.header, painter.fonts);
    hits.legend.clear();
    (hits.badge, hits.view_badge) = (Rect::default(), Rect::default());
    let colors = painter.colors;
    let strip = Area::from(layout.header);
    let y = strip.middle();
    if let Some((text, left, right)) = &parts.badge {
        let tone = colors.tone(header.badge.tone);
        painter.disc((left + DOT_PX, y), DOT_PX, tone)?;
        painter.text(text, BADGE, (left + 2.0 * DOT_PX + 6.0, y), HPos::Left, tone)?;
        hits.badge = Area { left: left - 4.0, right: right + 4.0, ..strip }.outward();
    }
    if let (Some((text, left, right)), Some(badge)) = (&parts.view_badge, &header.view_badge) {
        let tone = colors.tone(badge.tone);
        let pill = Area { left: *left, right: *right, top: y - 10.0, bottom: y + 10.0 };
        painter.rounded(pill, 10.0, Paint(tone, 0.16))?;
        painter.text(text, BADGE, (left + 8.0, y), HPos::Left, tone)?;
        hits.view_badge = Area { left: left - 4.0, right: right + 4.0, ..strip }.outward();
    }
    for (text, left, _) in parts.channel.iter().chain(&parts.more) {
        painter.text(text, CHANNEL, (*left, y), HPos::Left, colors.dim)?;
    }
    if let Some(left) = parts.span_word {
        painter.text(SPAN_WORD, CHANNEL, (left, y), HPos::Left, colors.dim)?;
    }
    if let Some((text, left, _)) = &parts.span {
        painter.text(text, SPAN, (*left, y), HPos::Left, colors.text)?;
    }
    for entry in &parts.entries {
        if entry.source.focused {
            let line = Area { left: entry.left - 3.0, right: entry.right + 3.0, top: strip.bottom - 3.0, ..strip };
            let band = Area { left: line.left - 4.0, right: line.right + 4.0, top: y - 14.0, bottom: y + 14.0 };
            painter.rounded(band, 5.0, Paint(colors.text, 0.07))?;
            painter.fill(line, colors.palette_color(entry.source.palette_index))?;
        }
        draw_entry(painter, entry, y)?;
        let clickable = Area { left: entry.left - 6.0, right: entry.right + 6.0, ..strip };
        hits.legend.push((entry.index, clickable.outward()));
    }
    Ok(())
}

fn draw_entry(painter: &LayerPainter<'_>, entry: &Entry<'_>, y: f64) -> DrawResult {
    let (colors, source, left) = (painter.colors, entry.source, entry.left);
    let palette_color = colors.palette_color(source.palette_index);
    let square = Area::sized(left, y - SQUARE_PX / 2.0, SQUARE_PX, SQUARE_PX);
    if source.visible {
        painter.rounded(square, 3.0, palette_color)?;
    } else {
        painter.panel(square, 3.0, Paint(palette_color, 0.0), Paint(palette_color, 0.7))?;
    }
    let text = |text: &str, ty: Type, left: f64, color: Rgb| {
        let paint = if source.visible { Paint(color, 1.0) } else { Paint(colors.dim, 0.6) };
        painter.text(text, ty, (left, y), HPos::Left, paint)
    };
    text(&entry.symbol, SYMBOL, left + SQUARE_PX + INNER_PX, colors.text)?;
    let last_left = left + entry.width(Detail::Symbol) + INNER_PX;
    text(entry.last().unwrap_or_default(), LAST, last_left, colors.text)?;
    let change_left = left + entry.width(Detail::Last) + INNER_PX;
    let color = colors.change(source.change_percent.unwrap_or(0.0));
    text(entry.change().unwrap_or_default(), CHANGE, change_left, color)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Badge, Size, Tone};
    use proptest::prelude::*;

    fn entry(palette_index: usize, symbol: &str, priced: bool) -> LegendEntry {
        LegendEntry {
            symbol: symbol.to_owned(),
            palette_index,
            last: priced.then(|| "168.12".to_owned()),
            change_percent: priced.then_some(-0.07),
            visible: palette_index % 3 != 1,
            focused: false,
        }
    }

    fn header(legend: Vec<LegendEntry>) -> Header {
        Header {
            badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
            view_badge: None,
            channel: "stock_prices".to_owned(),
            legend,
            span: "45 min".to_owned(),
        }
    }

    fn laid_out(header: &Header, width: u32) -> HeaderLayout<'_> {
        place_parts(header, Layout::new(Size { width, height: 720 }).header, &Fonts::new().unwrap())
    }

    /// All parts as intervals from left to right.
    fn spans(parts: &HeaderLayout<'_>) -> Vec<(f64, f64)> {
        let texts = [&parts.badge, &parts.view_badge, &parts.channel];
        let mut spans: Vec<(f64, f64)> = texts.into_iter().flatten().map(|(_, left, right)| (*left, *right)).collect();
        spans.extend(parts.entries.iter().map(|entry| (entry.left, entry.right)));
        spans.extend([&parts.more, &parts.span].into_iter().flatten().map(|(_, left, right)| (*left, *right)));
        spans
    }

    proptest! {
        #[test]
        fn nothing_overlaps_and_every_symbol_is_shown_or_counted(
            width in 200_u32..3_000,
            symbols in prop::collection::vec("[A-Za-z0-9.é日-]{1,64}", 0..60),
            badge in "[A-Z 0-9]{0,30}",
            view in prop::option::of("[a-zA-Z0-9 ]{1,16}"),
            channel in "[a-z_.*, ]{0,80}",
            span in "[a-z0-9 ]{0,12}",
        ) {
            let entries = symbols.iter().enumerate();
            let legend = entries.map(|(index, symbol)| entry(index, symbol, index % 4 != 3)).collect();
            let header = Header {
                badge: Badge { tone: Tone::Warn, text: badge },
                view_badge: view.map(|text| Badge { tone: Tone::Info, text }),
                channel,
                span,
                ..header(legend)
            };
            let parts = laid_out(&header, width);
            let mut spans = spans(&parts);
            if let (Some(word), Some((_, left, _))) = (parts.span_word, &parts.span) {
                spans.insert(spans.len() - 1, (word, *left));
            }
            for (left, right) in &spans {
                prop_assert!(left <= right && *left >= 0.0 && *right <= f64::from(width), "{spans:?}");
            }
            for pair in spans.windows(2) {
                prop_assert!(pair[0].1 <= pair[1].0 + 0.01, "{spans:?}");
            }
            if let Some((text, ..)) = &parts.more {
                let hidden = header.legend.len() - parts.entries.len();
                prop_assert_eq!(text, &format!("+{hidden} more"));
            }
        }
    }

    #[test]
    fn the_channel_gives_way_first_then_changes_then_prices_then_symbols() {
        let header = header(["SPY", "IBM", "BAC", "AIG"].iter().enumerate().map(|(i, s)| entry(i, s, true)).collect());
        let rank = |width: u32| {
            let parts = laid_out(&header, width);
            let channel = parts.channel.as_ref().map_or(0, |(text, ..)| text.chars().count());
            let of = |pick: fn(&Entry<'_>) -> bool| parts.entries.iter().filter(|e| pick(e)).count();
            (parts.entries.len(), of(|e| e.last().is_some()), of(|e| e.change().is_some()), channel)
        };
        assert_eq!(rank(1_280), (4, 4, 4, 12));
        let mut last = rank(1_280);
        for width in (200..1_280).rev() {
            let now = rank(width);
            assert!(now.0 == 4 || (now.1, now.2, now.3) == (0, 0, 0), "{width}: {now:?}");
            assert!(now.1 == 4 || now.2 == 0, "{width}: {now:?}");
            assert!(now.2 == 4 || now.3 == 0, "{width}: {now:?}");
            assert!(now <= last, "{width}: {now:?} after {last:?}");
            last = now;
        }
        assert_eq!(laid_out(&header, 300).more.map(|(text, ..)| text), Some("+3 more".to_owned()));
    }
}

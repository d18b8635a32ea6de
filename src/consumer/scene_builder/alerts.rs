//! Alerts that fired: a mark where it was, and a word above the footer.

use std::time::{Duration, Instant};

use crate::chart::{Badge, Chart, Mark, Tone};
use crate::consumer::alerting::Fired;
use crate::consumer::interaction::Interaction;
use crate::consumer::query::FrameData;
use crate::consumer::scene_builder::SceneBuilder;
use crate::consumer::scene_builder::plots::axis_value;
use crate::consumer::shared::Shared;

/// How long an alert is told above the footer.
const TOLD: Duration = Duration::from_secs(6);

/// The palette's grey, for a symbol that has no place in the book.
const NOBODYS_SLOT: usize = 7;

impl SceneBuilder {
    /// Marks what fired within the view in the plots that it is about, and tells the newest.
    pub(super) fn alerts(
        &mut self,
        shared: &Shared,
        gathered: &FrameData,
        controls: &Interaction,
        charts: &mut [Chart],
        now: Instant,
    ) {
        let until_ns = controls.until().tick_ns;
        let (in_view, newest) = {
            // Whoever fires must not wait for the picture.
            let fires = shared.alerts();
            self.unmarked = fires.dropped();
            let is_shown = |fired: &&Fired| gathered.span.contains(fired.time_ns) && fired.time_ns <= until_ns;
            let in_view: Vec<Fired> = fires.iter().filter(is_shown).cloned().collect();
            (in_view, fires.iter().next_back().cloned())
        };
        for fired in in_view {
            // A symbol that is not drawn has no mark; one that never came marks the instant in the one chart.
            let place = fired.slot.map(|slot| gathered.drawn.binary_search(&slot));
            let pane = match (place, gathered.is_grid()) {
                (Some(Ok(at)), true) => at,
                (Some(Ok(_)) | None, false) => 0,
                _ => continue,
            };
            let Some((chart, shown)) = charts.get_mut(pane).map(|chart| {
                let shown = fired.slot.and_then(|slot| gathered.shown.get(slot));
                (chart, shown)
            }) else {
                continue;
            };
            let value = shown.zip(fired.price).and_then(|(shown, price)| axis_value(chart.axis, shown, price));
            let slot = fired.slot.unwrap_or(NOBODYS_SLOT);
            chart.marks.push(Mark { time_ns: fired.time_ns, value, palette_index: slot, text: fired.rule.to_string() });
        }
        let Some(newest) = newest.filter(|newest| Some(newest.at) != self.told) else { return };
        self.told = Some(newest.at);
        if now.saturating_duration_since(newest.at) >= TOLD {
            return;
        }
        let text = match newest.price {
            Some(price) => format!("{}  ({} at {price})", newest.rule, newest.symbol),
            None => format!("{}  (nothing from {})", newest.rule, newest.symbol),
        };
        self.toast = Some((Badge { tone: Tone::Warn, text }, newest.at + TOLD));
    }
}

//! Alerts that fired: a mark where it was, and a word above the footer.

use std::time::{Duration, Instant};

use crate::consumer::controls::{Controls, Plot, PlotId};
use crate::consumer::gather::Gathered;
use crate::consumer::picture::Picture;
use crate::consumer::picture::plots::{axis_value, members};
use crate::consumer::shared::Shared;
use crate::plot::{Badge, Chart, Mark, Tone};

/// How long an alert is told above the footer.
const TOLD: Duration = Duration::from_secs(6);

impl Picture {
    /// Marks what fired within the view in the plots that it is about, and tells the newest.
    pub(super) fn alerts(
        &mut self,
        shared: &Shared,
        gathered: &Gathered,
        plots: &[Plot],
        controls: &Controls,
        charts: &mut [Chart],
        now: Instant,
    ) {
        let fires = shared.alerts();
        self.unmarked = fires.dropped();
        let until_ns = controls.until().tick_ns;
        for fired in fires.iter().filter(|fired| gathered.span.contains(fired.time_ns) && fired.time_ns <= until_ns) {
            for (plot, chart) in plots.iter().zip(charts.iter_mut()) {
                let shown = members(gathered, plot.id).find(|shown| Some(shown.slot) == fired.slot);
                // A symbol that is not drawn has its mark in no pane; the one chart marks the instant all the same.
                if shown.is_none() && plot.id != PlotId::Whole {
                    continue;
                }
                let value = shown.zip(fired.price).and_then(|(shown, price)| axis_value(chart.axis, shown, price));
                let (time_ns, slot) = (fired.time_ns, fired.slot.unwrap_or_default());
                chart.marks.push(Mark { time_ns, value, slot, text: fired.rule.to_string() });
            }
        }
        let Some(newest) = fires.iter().next_back().filter(|newest| Some(newest.at) != self.told) else { return };
        self.told = Some(newest.at);
        let text = match newest.price {
            Some(price) => format!("{}  ({} at {price})", newest.rule, newest.symbol),
            None => format!("{}  (nothing from {})", newest.rule, newest.symbol),
        };
        self.toast = Some((Badge { tone: Tone::Warn, text }, now + TOLD));
    }
}

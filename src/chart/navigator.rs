//! Horizontal extent: following the live edge, or moved by the user.

use crate::model::TimeSpan;

/// Space to the right of the live edge, as a share of the span: room for the newest point and its tag.
pub const LEAD_SHARE: f64 = 0.03;

/// Visible time span that follows the live edge for as long as the live edge is in view. Zooming and panning keep
/// following; dragging the edge out of view stops it; dragging it back in, or [`Navigator::go_live`], resumes it.
///
/// The live edge is the newest instant to show, ns. It is a parameter of each call, `None` before the first tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Navigator {
    span: TimeSpan,
    /// Distance of the live edge from the right end, as a share of the span; `None` while it is not followed.
    lead_share: Option<f64>,
}

impl Navigator {
    /// Follows the live edge with a span of `len_ns`.
    pub fn new(len_ns: i64) -> Self {
        Self { span: TimeSpan::ending_at(len_ns, len_ns), lead_share: Some(LEAD_SHARE) }
    }

    /// Visible span.
    pub fn span(&self) -> TimeSpan {
        self.span
    }

    /// Returns `true` while it follows the live edge.
    pub fn is_following(&self) -> bool {
        self.lead_share.is_some()
    }

    /// Distance from the right edge of the view to the live edge, ns; 0 while following.
    pub fn behind_ns(&self, live_ns: i64) -> i64 {
        if self.is_following() { 0 } else { live_ns.saturating_sub(self.span.end).max(0) }
    }

    /// Moves with the live edge while following. To be called before each frame that is not paused.
    pub fn advance(&mut self, live_ns: Option<i64>) {
        if let (Some(lead_share), Some(live_ns)) = (self.lead_share, live_ns) {
            self.span = self.span.following(live_ns, lead_share);
        }
    }

    /// Returns to the live edge at its usual place; the length stays.
    pub fn go_live(&mut self, live_ns: Option<i64>) {
        self.lead_share = Some(LEAD_SHARE);
        self.advance(live_ns);
    }

    /// Shows a given span, and follows the live edge if it lies in it.
    pub fn show(&mut self, span: TimeSpan, live_ns: Option<i64>) {
        self.span = span.limited();
        self.settle(live_ns);
    }

    fn settle(&mut self, live_ns: Option<i64>) {
        // Before the first tick there is no edge that could be out of view.
        let Some(live_ns) = live_ns else { return };
        let lead_ns = i128::from(self.span.end) - i128::from(live_ns);
        self.lead_share = self.span.contains(live_ns).then(|| lead_ns as f64 / self.span.len_ns() as f64);
    }
}

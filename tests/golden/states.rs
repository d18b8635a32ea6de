//! Charts with nothing to show.

use tickscope::chart::ValueSpan;
use tickscope::chart::{AxisKind, Badge, Notice, Scene, Theme, Tone};

use super::compare::View;
use super::sample::{self, chart, scene, view};

fn noticed(theme: Theme, tone: Tone, badge: &str, title: &str, lines: &[&str]) -> Scene {
    let mut chart = chart(AxisKind::Price, ValueSpan { lo: 99.0, hi: 101.0 });
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    chart.notice = Some(Notice { tone, title: title.to_owned(), lines });
    let mut scene = scene(theme, chart, Vec::new());
    scene.header.badge = Badge { tone, text: badge.to_owned() };
    scene.footer.figures = vec![(Tone::Good, "0 ticks/s".to_owned()), (Tone::Good, "0 kept".to_owned())];
    scene
}

pub fn connecting_light() -> View {
    view(noticed(Theme::Light, Tone::Info, "CONNECTING", "Connecting to 127.0.0.1:6379", &[]))
}

fn waiting(theme: Theme) -> View {
    let lines = ["Start a producer in another terminal:", "`cargo run --release --bin producer`"];
    view(noticed(theme, Tone::Info, "LIVE", "Waiting for ticks on stock_prices", &lines))
}

pub fn waiting_dark() -> View {
    waiting(Theme::Dark)
}

pub fn waiting_light() -> View {
    waiting(Theme::Light)
}

fn disconnected(theme: Theme) -> View {
    let lines = ["Connection refused", "Trying again"];
    view(noticed(theme, Tone::Bad, "RECONNECTING", "No connection to 127.0.0.1:6379", &lines))
}

pub fn disconnected_dark() -> View {
    disconnected(Theme::Dark)
}

pub fn disconnected_light() -> View {
    disconnected(Theme::Light)
}

pub fn error_light() -> View {
    let lines = ["The server refuses the password.", "Give another one with `--redis redis://user:password@host`."];
    view(noticed(Theme::Light, Tone::Bad, "REFUSED", "Access to 10.0.0.5:6379 was refused", &lines))
}

/// There is data, but outside the view.
pub fn nothing_in_view_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Percent, &[0, 1]);
    scene.chart.lines.clear();
    scene.chart.tags.clear();
    let lines = ["`End` goes back to live", "`−` shows more time"].map(ToOwned::to_owned).to_vec();
    scene.chart.notice = Some(Notice { tone: Tone::Info, title: "No ticks in this span".to_owned(), lines });
    scene.header.view_badge = Some(Badge { tone: Tone::Info, text: "2 h 10 min back".to_owned() });
    view(scene)
}

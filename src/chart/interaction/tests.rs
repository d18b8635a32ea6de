//! Tests of the keymap and of simple mouse input. A rig stands in for the frames that the user sees.

mod gestures;

use crate::chart::interaction::*;
use crate::chart::{Button, HitAreas, Layout, Modifiers, Size, Transform, Viewport};

fn interaction(span_ns: i64, grows: bool) -> Interaction {
    let mut interaction = Interaction::new(ViewSettings { span_ns, grows, ..ViewSettings::default() });
    interaction.symbols = ["SPY", "IBM", "BAC", "AIG"].map(str::to_owned).to_vec();
    interaction
}

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
/// The live edge at the start of each test.
const EDGE: i64 = 1_000 * MINUTE;

struct Rig {
    interaction: Interaction,
    layout: Layout,
    areas: HitAreas,
    edge_ns: i64,
    oldest_ns: i64,
}

impl Rig {
    fn new(grows: bool) -> Self {
        let layout = Layout::new(Size { width: 1280, height: 720 });
        let legend = vec![
            (0, Rect { left: 200, top: 10, right: 300, bottom: 30 }),
            (3, Rect { left: 320, top: 10, right: 420, bottom: 30 }),
        ];
        let badge = Rect { left: 10, top: 10, right: 60, bottom: 30 };
        let help = Rect { left: 1_200, top: 700, right: 1_270, bottom: 718 };
        let areas = HitAreas { legend, badge, help, ..HitAreas::default() };
        let interaction = interaction(5 * MINUTE, grows);
        Self { interaction, layout, areas, edge_ns: EDGE, oldest_ns: EDGE - 60 * MINUTE }
    }

    fn span(&mut self) -> TimeSpan {
        self.resolve(self.edge_ns, self.oldest_ns)
    }

    fn resolve(&mut self, edge_ns: i64, oldest_ns: i64) -> TimeSpan {
        let resolved = self.interaction.resolve(edge_ns, oldest_ns);
        self.interaction.adopt(&resolved);
        self.interaction.span()
    }

    fn last_frame(&mut self) -> HitTest {
        HitTest {
            layout: self.layout,
            areas: self.areas.clone(),
            span: self.span(),
            edge_ns: Some(self.edge_ns),
            newest_ns: Some(self.edge_ns),
            oldest_ns: Some(self.oldest_ns),
            plots: vec![Plot { id: PlotId::Main, value: ValueSpan { lo: 100.0, hi: 200.0 } }],
            focus: self.interaction.focus(),
            ..HitTest::empty(0)
        }
    }

    fn apply(&mut self, input: Input) -> Option<Request> {
        let last = self.last_frame();
        self.interaction.apply(input, &last)
    }

    fn key(&mut self, key: Key) -> Option<Request> {
        self.apply(Input::Key { key, repeat: false, held: Modifiers::NONE })
    }

    fn middle(&self) -> (f64, f64) {
        let plot = self.layout.plot;
        (f64::from(plot.left + plot.width() / 2), f64::from(plot.top + plot.height() / 2))
    }

    fn time_at(&mut self, x: f64) -> i64 {
        let viewport = Viewport { time: self.span(), value: ValueSpan::EMPTY };
        Transform { viewport, rect: self.layout.plot }.time_at(x)
    }
}

#[test]
fn the_view_follows_the_live_edge_with_room_at_its_right() {
    let mut rig = Rig::new(false);
    let before = rig.span();
    assert_eq!(before.len_ns(), 5 * MINUTE);
    assert!(before.contains(EDGE) && before.end - EDGE < 30 * SECOND);
    rig.edge_ns += 7 * SECOND;
    assert_eq!(rig.span(), before.panned(7 * SECOND));
}

#[test]
fn a_growing_span_shows_all_data_up_to_its_length() {
    let mut rig = Rig::new(true);
    rig.oldest_ns = EDGE;
    assert_eq!(rig.span().len_ns(), GROWS_FROM_NS);
    rig.oldest_ns = EDGE - 100 * SECOND;
    let span = rig.span();
    assert!(span.contains(rig.oldest_ns) && span.contains(EDGE) && span.len_ns() < 110 * SECOND);
    rig.edge_ns += SECOND / 2;
    assert_eq!(rig.span().len_ns(), span.len_ns(), "it grows in steps");
    rig.edge_ns += 10 * SECOND;
    assert!(rig.span().len_ns() > span.len_ns());
    rig.oldest_ns = EDGE - 60 * MINUTE;
    assert_eq!(rig.span().len_ns(), 5 * MINUTE);
    rig.key(Key::Minus);
    assert!(rig.span().len_ns() > 5 * MINUTE, "a zoom by the user ends the growth");
}

#[test]
fn pause_freezes_the_view_and_a_second_press_resumes() {
    let mut rig = Rig::new(false);
    let frozen = rig.span();
    assert_eq!(rig.interaction.pause_point().tick_ns, i64::MAX);
    rig.key(Key::Space);
    rig.edge_ns += 10 * MINUTE;
    assert_eq!((rig.span(), rig.interaction.pause_point().tick_ns), (frozen, EDGE));
    assert!(rig.interaction.is_paused() && !rig.interaction.follows());
    rig.key(Key::Left);
    assert_eq!(rig.span(), frozen.panned(-30 * SECOND), "a paused view can still be moved");
    assert_eq!(rig.interaction.pause_point().tick_ns, EDGE + 10 * MINUTE, "and then shows what has arrived since");
    rig.edge_ns += MINUTE;
    assert_eq!(rig.span(), frozen.panned(-30 * SECOND));
    rig.key(Key::Space);
    assert!(rig.interaction.follows());
    assert!(rig.span().contains(rig.edge_ns));
    assert_eq!(rig.interaction.pause_point().tick_ns, i64::MAX);
}

#[test]
fn the_wheel_zooms_at_the_cursor() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    let (anchor, before) = (rig.time_at(x), rig.span().len_ns());
    rig.apply(Input::Wheel { x, y, up: 1.0, right: 0.0, held: Modifiers::NONE });
    let after = rig.span().len_ns();
    assert!((after as f64 / before as f64 - ZOOM_STEP).abs() < 1e-6);
    assert!((rig.time_at(x) - anchor).abs() <= after / 1_000, "the instant under the cursor stays");
    for _ in 0..500 {
        rig.apply(Input::Wheel { x, y, up: 1.0, right: 0.0, held: Modifiers::NONE });
    }
    assert!(rig.span().len_ns() > 0, "zooming in is limited");
    for _ in 0..1_000 {
        rig.apply(Input::Wheel { x, y, up: -1.0, right: 0.0, held: Modifiers::NONE });
    }
    assert!(rig.span().start < rig.span().end, "zooming out is limited");
}

#[test]
fn dragging_pans_and_a_view_scrolled_back_stays_put() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    let grabbed = rig.time_at(x);
    rig.apply(press(x, y));
    rig.apply(Input::Moved { x: x + 200.0, y });
    rig.apply(release(x + 200.0, y));
    assert!(
        (rig.time_at(x + 200.0) - grabbed).abs() <= 5 * MINUTE / 1_000,
        "the grabbed instant stays under the mouse"
    );
    let back = rig.span();
    rig.edge_ns += MINUTE;
    assert_eq!(rig.span(), back, "live ticks do not move a view that was scrolled back");
    assert!(!rig.interaction.follows() && !rig.interaction.is_paused());
    rig.key(Key::End);
    assert!(rig.interaction.follows() && rig.span().contains(rig.edge_ns));
    rig.key(Key::Home);
    assert!(rig.span().contains(rig.oldest_ns) && !rig.interaction.follows());
}

#[test]
fn symbols_are_toggled_by_digit_and_by_click() {
    let mut rig = Rig::new(false);
    rig.key(Key::Digit(1));
    rig.key(Key::Digit(9));
    assert_eq!(rig.interaction.view.hidden, HashSet::from([0]), "there is no ninth symbol");
    let (x, y) = (350.0, 20.0);
    rig.apply(press(x, y));
    rig.apply(release(x, y));
    assert_eq!(rig.interaction.view.hidden, HashSet::from([0, 3]));
    rig.key(Key::Digit(1));
    assert!(!rig.interaction.view.hidden.contains(&0));
    rig.key(Key::Digit(0));
    assert!(rig.interaction.view.hidden.is_empty());
    rig.apply(Input::Key { key: Key::Digit(1), repeat: true, held: Modifiers::NONE });
    assert!(rig.interaction.view.hidden.is_empty(), "a held key toggles once");
}

#[test]
fn keys_have_the_effect_that_the_help_describes() {
    let mut rig = Rig::new(false);
    assert_eq!(rig.key(Key::Letter('q')), Some(Request::Quit));
    assert_eq!(rig.apply(Input::Closed), Some(Request::Quit));
    assert_eq!(rig.key(Key::Letter('s')), Some(Request::Screenshot));
    rig.key(Key::Letter('a'));
    assert_eq!(rig.interaction.view.axis, AxisMode::Percent, "percent follows price");
    rig.key(Key::Letter('t'));
    assert_eq!(rig.interaction.theme, Theme::Light);
    rig.key(Key::Mark('?'));
    assert!(rig.interaction.help);
    rig.key(Key::Escape);
    assert!(!rig.interaction.help && rig.interaction.follows());
    let (x, y) = (1_210.0, 710.0);
    rig.apply(press(x, y));
    rig.apply(release(x, y));
    assert!(rig.interaction.help, "the help label is clickable");
}

#[test]
fn keys_are_harmless_before_the_first_tick() {
    let mut rig = Rig::new(true);
    let keys = [Key::Plus, Key::Minus, Key::Left, Key::Home, Key::End, Key::Space, Key::Space];
    for key in keys {
        let span = rig.resolve(EDGE, EDGE);
        let layout = Layout::new(Size { width: 1, height: 1 });
        let last = HitTest { layout, span, axis: AxisKind::Percent, ..HitTest::empty(EDGE) };
        rig.interaction.apply(Input::Key { key, repeat: false, held: Modifiers::NONE }, &last);
    }
    assert!(rig.interaction.follows());
}

fn press(x: f64, y: f64) -> Input {
    Input::Pressed { x, y, button: Button::Left, held: Modifiers::NONE, clicks: 1 }
}

fn release(x: f64, y: f64) -> Input {
    Input::Released { x, y, button: Button::Left }
}

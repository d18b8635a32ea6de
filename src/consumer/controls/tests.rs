use clap::Parser as _;

use super::*;
use crate::consumer::args::{Args, AxisChoice, KindChoice, LayoutChoice};
use crate::plot::Size;
use crate::view::{Button, Key, Modifiers, Rect, Transform, Viewport};

fn controls(span_ns: i64, grows: bool) -> Controls {
    let config = Args::try_parse_from(["consumer"]).unwrap().into_config().unwrap();
    let mut controls = Controls::new(span_ns, grows, &config);
    controls.symbols = ["SPY", "IBM", "BAC", "AIG"].map(str::to_owned).to_vec();
    controls
}

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
/// The live edge at the start of each test.
const EDGE: i64 = 1_000 * MINUTE;

struct Rig {
    controls: Controls,
    frame: Frame,
    hits: Hits,
    edge_ns: i64,
    oldest_ns: i64,
}

impl Rig {
    fn new(grows: bool) -> Self {
        let frame = Frame::new(Size { width: 1280, height: 720 });
        let legend = vec![
            (0, Rect { left: 200, top: 10, right: 300, bottom: 30 }),
            (3, Rect { left: 320, top: 10, right: 420, bottom: 30 }),
        ];
        let badge = Rect { left: 10, top: 10, right: 60, bottom: 30 };
        let help = Rect { left: 1_200, top: 700, right: 1_270, bottom: 718 };
        let hits = Hits { legend, badge, help, ..Hits::default() };
        let controls = controls(5 * MINUTE, grows);
        Self { controls, frame, hits, edge_ns: EDGE, oldest_ns: EDGE - 60 * MINUTE }
    }

    fn span(&mut self) -> TimeSpan {
        self.controls.advance(self.edge_ns, self.oldest_ns)
    }

    fn seeing(&mut self) -> Seeing {
        let span = self.span();
        let plots = vec![Plot { id: PlotId::Whole, value: ValueSpan { lo: 100.0, hi: 200.0 } }];
        let focus = self.controls.focus();
        Seeing {
            span,
            edge_ns: Some(self.edge_ns),
            newest_ns: Some(self.edge_ns),
            oldest_ns: Some(self.oldest_ns),
            plots,
            focus,
            ..Seeing::nothing(0)
        }
    }

    fn apply(&mut self, input: Input) -> Option<Request> {
        let seeing = self.seeing();
        self.controls.apply(input, &Seen { frame: &self.frame, hits: &self.hits, seeing: &seeing })
    }

    fn key(&mut self, key: Key) -> Option<Request> {
        self.apply(Input::Key { key, repeat: false, held: Modifiers::NONE })
    }

    fn middle(&self) -> (f64, f64) {
        let plot = self.frame.plot;
        (f64::from(plot.left + plot.width() / 2), f64::from(plot.top + plot.height() / 2))
    }

    fn time_at(&mut self, x: f64) -> i64 {
        let viewport = Viewport { time: self.span(), value: ValueSpan::EMPTY };
        Transform { viewport, rect: self.frame.plot }.time_at(x)
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
    assert_eq!(rig.span().len_ns(), span.len_ns(), "it grows by steps");
    rig.edge_ns += 10 * SECOND;
    assert!(rig.span().len_ns() > span.len_ns());
    rig.oldest_ns = EDGE - 60 * MINUTE;
    assert_eq!(rig.span().len_ns(), 5 * MINUTE);
    rig.key(Key::Minus);
    assert!(rig.span().len_ns() > 5 * MINUTE, "the user's zoom wins");
}

#[test]
fn pause_freezes_the_view_and_a_second_press_resumes() {
    let mut rig = Rig::new(false);
    let frozen = rig.span();
    assert_eq!(rig.controls.until().tick_ns, i64::MAX);
    rig.key(Key::Space);
    rig.edge_ns += 10 * MINUTE;
    assert_eq!((rig.span(), rig.controls.until().tick_ns), (frozen, EDGE));
    assert!(rig.controls.is_paused() && !rig.controls.follows());
    rig.key(Key::Left);
    assert_eq!(rig.span(), frozen.panned(-30 * SECOND), "a paused view can still be moved");
    assert_eq!(rig.controls.until().tick_ns, EDGE + 10 * MINUTE, "and shows what has come meanwhile");
    rig.edge_ns += MINUTE;
    assert_eq!(rig.span(), frozen.panned(-30 * SECOND));
    rig.key(Key::Space);
    assert!(rig.controls.follows());
    assert!(rig.span().contains(rig.edge_ns));
    assert_eq!(rig.controls.until().tick_ns, i64::MAX);
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
    assert!(rig.span().len_ns() > 0, "zooming in ends somewhere");
    for _ in 0..1_000 {
        rig.apply(Input::Wheel { x, y, up: -1.0, right: 0.0, held: Modifiers::NONE });
    }
    assert!(rig.span().start < rig.span().end, "zooming out ends somewhere");
}

#[test]
fn dragging_moves_through_time_and_scrolled_back_stays_put() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    let grabbed = rig.time_at(x);
    rig.apply(press(x, y));
    rig.apply(Input::Moved { x: x + 200.0, y });
    rig.apply(release(x + 200.0, y));
    assert!((rig.time_at(x + 200.0) - grabbed).abs() <= 5 * MINUTE / 1_000, "what was grabbed is under the mouse");
    let back = rig.span();
    rig.edge_ns += MINUTE;
    assert_eq!(rig.span(), back, "live ticks do not move a view that was scrolled back");
    assert!(!rig.controls.follows() && !rig.controls.is_paused());
    rig.key(Key::End);
    assert!(rig.controls.follows() && rig.span().contains(rig.edge_ns));
    rig.key(Key::Home);
    assert!(rig.span().contains(rig.oldest_ns) && !rig.controls.follows());
}

#[test]
fn symbols_are_toggled_by_digit_and_by_click() {
    let mut rig = Rig::new(false);
    rig.key(Key::Digit(1));
    rig.key(Key::Digit(9));
    assert_eq!(rig.controls.sight.hidden, HashSet::from([0, 8]));
    let (x, y) = (350.0, 20.0);
    rig.apply(press(x, y));
    rig.apply(release(x, y));
    assert_eq!(rig.controls.sight.hidden, HashSet::from([0, 8, 3]));
    rig.key(Key::Digit(1));
    assert!(!rig.controls.sight.hidden.contains(&0));
    rig.key(Key::Digit(0));
    assert!(rig.controls.sight.hidden.is_empty());
    rig.apply(Input::Key { key: Key::Digit(1), repeat: true, held: Modifiers::NONE });
    assert!(rig.controls.sight.hidden.is_empty(), "a held key does not flicker");
}

#[test]
fn the_other_keys_do_what_the_help_says() {
    let mut rig = Rig::new(false);
    assert_eq!(rig.key(Key::Letter('q')), Some(Request::Quit));
    assert_eq!(rig.apply(Input::Closed), Some(Request::Quit));
    assert_eq!(rig.key(Key::Letter('s')), Some(Request::Screenshot));
    rig.key(Key::Letter('a'));
    assert_eq!(rig.controls.sight.axis, AxisChoice::Percent, "price is shown, so percent comes");
    rig.key(Key::Letter('t'));
    assert_eq!(rig.controls.theme, Theme::Light);
    rig.key(Key::Mark('?'));
    assert!(rig.controls.help);
    rig.key(Key::Escape);
    assert!(!rig.controls.help && rig.controls.follows());
    let (x, y) = (1_210.0, 710.0);
    rig.apply(press(x, y));
    rig.apply(release(x, y));
    assert!(rig.controls.help, "the word help can be clicked");
}

#[test]
fn nothing_breaks_before_the_first_tick() {
    let mut rig = Rig::new(true);
    let keys = [Key::Plus, Key::Minus, Key::Left, Key::Home, Key::End, Key::Space, Key::Space];
    for key in keys {
        let span = rig.controls.advance(EDGE, EDGE);
        let (frame, hits) = (Frame::new(Size { width: 1, height: 1 }), Hits::default());
        let seeing = Seeing { span, axis: AxisKind::Percent, ..Seeing::nothing(EDGE) };
        let seen = Seen { frame: &frame, hits: &hits, seeing: &seeing };
        rig.controls.apply(Input::Key { key, repeat: false, held: Modifiers::NONE }, &seen);
    }
    assert!(rig.controls.follows());
}

fn press(x: f64, y: f64) -> Input {
    Input::Pressed { x, y, button: Button::Left, held: Modifiers::NONE, clicks: 1 }
}

fn release(x: f64, y: f64) -> Input {
    Input::Released { x, y, button: Button::Left }
}

/// With a modifier, or another button, or twice.
fn press_with(x: f64, y: f64, button: Button, held: Modifiers, clicks: u8) -> Input {
    Input::Pressed { x, y, button, held, clicks }
}

const SHIFT: Modifiers = Modifiers { shift: true, ctrl: false };
const CTRL: Modifiers = Modifiers { shift: false, ctrl: true };

impl Rig {
    fn key_with(&mut self, key: Key, held: Modifiers) {
        self.apply(Input::Key { key, repeat: false, held });
    }

    fn drag(&mut self, (from, to): ((f64, f64), (f64, f64)), button: Button, held: Modifiers) {
        self.apply(press_with(from.0, from.1, button, held, 1));
        self.apply(Input::Moved { x: to.0, y: to.1 });
        self.apply(Input::Released { x: to.0, y: to.1, button });
    }

    fn value(&self) -> Option<ValueSpan> {
        self.controls.value_of(PlotId::Whole)
    }

    fn double_click(&mut self, x: f64, y: f64) {
        for clicks in [1, 2] {
            self.apply(press_with(x, y, Button::Left, Modifiers::NONE, clicks));
            self.apply(release(x, y));
        }
    }
}

#[test]
fn shift_zooms_the_price_at_the_cursor_and_a_double_click_on_the_axis_fits_it_again() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    let span = rig.span();
    rig.apply(Input::Wheel { x, y, up: 1.0, right: 0.0, held: SHIFT });
    let value = rig.value().unwrap();
    assert!((value.hi - value.lo - 80.0).abs() < 1e-9 && (value.value_at(0.5) - 150.0).abs() < 1e-9, "{value:?}");
    assert_eq!(rig.span(), span, "time stays");
    let axis = rig.frame.value_axis;
    rig.double_click(f64::from(axis.left + 10), f64::from(axis.top + 100));
    assert_eq!(rig.value(), None);
    rig.key_with(Key::Up, SHIFT);
    assert!(rig.value().is_some());
    rig.key(Key::Letter('f'));
    assert_eq!(rig.value(), None);
    // A drag on the axis stretches it, whatever the mouse leaves.
    let at = (f64::from(axis.left + 10), f64::from(axis.top + 100));
    rig.drag((at, (at.0, at.1 + 200.0)), Button::Left, Modifiers::NONE);
    assert!(rig.value().is_some_and(|value| value.hi - value.lo > 150.0));
    rig.key(Key::Letter('a'));
    assert_eq!(rig.value(), None, "another measure has other values");
}

#[test]
fn a_box_shows_what_it_holds_and_undo_leads_back() {
    let mut rig = Rig::new(false);
    let (before, (x, y)) = (rig.span(), rig.middle());
    let (from_ns, to_ns) = (rig.time_at(x), rig.time_at(x + 100.0));
    rig.drag(((x, y), (x + 100.0, y + 100.0)), Button::Right, Modifiers::NONE);
    let boxed = rig.span();
    assert!((boxed.start - from_ns).abs() < SECOND / 10 && (boxed.end - to_ns).abs() < SECOND / 10);
    let value = rig.value().unwrap();
    assert!(value.hi < 151.0 && value.hi > 149.0 && value.lo < value.hi - 5.0, "{value:?}");
    rig.key(Key::Letter('z'));
    assert!(rig.controls.follows() && rig.value().is_none());
    assert_eq!(rig.span(), before);
    rig.key(Key::Letter('y'));
    assert_eq!((rig.span(), rig.value()), (boxed, Some(value)));
    rig.key(Key::Letter('z'));
    rig.drag(((x, y), (x + 100.0, y + 2.0)), Button::Left, CTRL);
    assert!(rig.value().is_none(), "a flat box is about time alone");
    assert_eq!(rig.span().len_ns(), boxed.len_ns());
}

#[test]
fn notches_in_a_row_are_one_step_back_and_strokes_of_keys_are_many() {
    let mut rig = Rig::new(false);
    let ((x, y), before) = (rig.middle(), rig.span().len_ns());
    for _ in 0..5 {
        rig.apply(Input::Wheel { x, y, up: 1.0, right: 0.0, held: Modifiers::NONE });
    }
    rig.key(Key::Letter('z'));
    assert_eq!(rig.span().len_ns(), before);
    rig.key(Key::Plus);
    let once = rig.span().len_ns();
    rig.key(Key::Plus);
    for _ in 0..7 {
        rig.apply(Input::Key { key: Key::Plus, repeat: true, held: Modifiers::NONE });
    }
    rig.key(Key::Backspace);
    assert_eq!(rig.span().len_ns(), once, "a held key is one step");
    rig.key(Key::Backspace);
    assert_eq!(rig.span().len_ns(), before);
    rig.key(Key::Backspace);
    assert_eq!(rig.span().len_ns(), before, "before the first step there is none");
    for _ in 0..1_000 {
        rig.key(Key::Letter('g'));
    }
    for _ in 0..1_000 {
        rig.key(Key::Letter('z'));
    }
    assert_eq!(rig.controls.sight.layout, LayoutChoice::Overlay, "the steps are bounded");
}

#[test]
fn the_ruler_measures_from_where_it_was_begun() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    let from_ns = rig.time_at(x);
    rig.drag(((x, y), (x + 100.0, y - 50.0)), Button::Left, SHIFT);
    let mut ruler = rig.controls.ruler.unwrap();
    assert!((ruler.from.time_ns - from_ns).abs() < SECOND / 10);
    let end = Cursor { pane: 0, time_ns: from_ns + SECOND, value: 160.0 };
    assert_eq!(ruler.end(Some(end)), Some(end), "it settles where the next picture has the crosshair");
    assert_eq!(ruler.end(None), Some(end));
    let span = rig.span();
    rig.apply(press(x, y));
    rig.apply(release(x, y));
    assert!(rig.controls.ruler.is_none(), "a click takes it away");
    assert_eq!(rig.span(), span, "a ruler moves nothing");
    // By keys: from the crosshair, and to it.
    rig.key(Key::Letter('m'));
    assert!(rig.controls.ruler.is_some());
    rig.key(Key::Escape);
    assert!(rig.controls.ruler.is_none() && rig.controls.follows());
}

#[test]
fn focus_solo_and_hide_work_from_the_legend_and_by_keys() {
    let mut rig = Rig::new(false);
    let shown = |rig: &Rig| (0..4).filter(|symbol| rig.controls.sight.shows(*symbol)).collect::<Vec<_>>();
    let (x, y) = (350.0, 20.0);
    assert_eq!((rig.controls.focus(), rig.controls.singled_out()), (Some(0), None));
    rig.apply(press_with(x, y, Button::Right, Modifiers::NONE, 1));
    rig.apply(Input::Released { x, y, button: Button::Right });
    assert_eq!(rig.controls.singled_out(), Some(3));
    rig.double_click(x, y);
    assert_eq!(shown(&rig), [3], "a double-click shows it alone");
    rig.double_click(x, y);
    assert_eq!(shown(&rig), [0, 1, 2, 3], "and another one all again");
    rig.key(Key::Letter('z'));
    assert_eq!(shown(&rig), [3], "each of them is one step");
    rig.key(Key::Tab);
    assert_eq!(shown(&rig), [0], "the next one alone");
    rig.key_with(Key::Tab, SHIFT);
    rig.key(Key::Letter('o'));
    assert_eq!(shown(&rig), [0, 1, 2, 3]);
    rig.key(Key::Letter('x'));
    assert_eq!(shown(&rig), [0, 1, 2], "the focused one is hidden");
    assert_eq!(rig.controls.focus(), Some(0), "and the first that is left takes over");
    rig.key(Key::Letter('o'));
    rig.key(Key::Digit(2));
    assert_eq!(shown(&rig), [0, 1], "one more beside the one that was alone");
    rig.key(Key::Digit(0));
    assert_eq!(shown(&rig), [0, 1, 2, 3]);
}

#[test]
fn a_search_focuses_what_it_finds_and_keeps_letters_from_being_keys() {
    let mut rig = Rig::new(false);
    rig.key(Key::Digit(4));
    rig.key(Key::Mark('/'));
    for c in ['/', 'a', 'i', 'g'] {
        if c.is_alphabetic() {
            assert_eq!(rig.key(Key::Letter(c)), None);
        }
        rig.apply(Input::Text(c));
    }
    assert_eq!(rig.key(Key::Letter('q')), None, "letters are text now");
    assert_eq!(rig.controls.search.as_ref().map(|query| query.text.as_str()), Some("aig"));
    rig.key(Key::Enter);
    assert!(rig.controls.search.is_none());
    assert_eq!(rig.controls.singled_out(), Some(3), "and what was hidden is shown");
    rig.key(Key::Mark('/'));
    rig.key(Key::Escape);
    assert!(rig.controls.search.is_none() && rig.controls.follows());
}

#[test]
fn the_badge_pauses_and_leads_back_and_the_kinds_go_round() {
    let mut rig = Rig::new(false);
    let click = |rig: &mut Rig, x: f64, y: f64| {
        rig.apply(press(x, y));
        rig.apply(release(x, y));
    };
    click(&mut rig, 30.0, 20.0);
    assert!(rig.controls.is_paused());
    click(&mut rig, 30.0, 20.0);
    assert!(rig.controls.follows());
    let kinds: Vec<KindChoice> = (0..3)
        .map(|_| {
            rig.key(Key::Letter('c'));
            rig.controls.sight.kind
        })
        .collect();
    assert_eq!(kinds, [KindChoice::Candles, KindChoice::Ohlc, KindChoice::Lines]);
    let axes: Vec<AxisChoice> = (0..4)
        .map(|_| {
            rig.key(Key::Letter('a'));
            rig.controls.sight.axis
        })
        .collect();
    assert_eq!(axes, [AxisChoice::Percent, AxisChoice::Session, AxisChoice::Log, AxisChoice::Price]);
    let axis = rig.frame.time_axis;
    rig.key(Key::Minus);
    rig.double_click(f64::from(axis.left + 100), f64::from(axis.top + 5));
    assert_eq!(rig.span().len_ns(), 5 * MINUTE, "a double-click on the time axis shows it as it began");
}

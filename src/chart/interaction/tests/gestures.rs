//! Gestures with modifiers, undo, focus, and what outlives them.

use crate::consumer::args::{AxisChoice, KindChoice, LayoutChoice};
use crate::consumer::interaction::tests::*;

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
        self.controls.value_of(PlotId::Whole, AxisKind::Price)
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

#[test]
fn what_is_out_of_view_is_brought_in_and_what_is_in_view_stays() {
    let mut rig = Rig::new(false);
    let span = rig.span();
    rig.controls.reveal(span.end - 1, Some(EDGE));
    assert!(rig.controls.follows() && rig.controls.span() == span);
    rig.controls.reveal(span.start - MINUTE, Some(EDGE));
    let back = rig.controls.span();
    assert!(back.contains(span.start - MINUTE) && back.len_ns() == span.len_ns() && back.end < span.end);
    rig.controls.reveal(i64::MAX, None);
    rig.controls.reveal(i64::MIN, None);
    assert_eq!(rig.controls.span().len_ns(), span.len_ns());
}

#[test]
fn a_value_axis_set_in_one_measure_is_not_used_in_another() {
    let mut rig = Rig::new(false);
    rig.key_with(Key::Up, SHIFT);
    let set = rig.value().unwrap();
    assert_eq!(rig.controls.value_of(PlotId::Whole, AxisKind::Percent), None);
    // Strokes that come between two pictures add up.
    rig.key_with(Key::Up, SHIFT);
    let twice = rig.value().unwrap();
    assert!((twice.hi - twice.lo) < (set.hi - set.lo) * 0.9, "{set:?} {twice:?}");
}

#[test]
fn with_bars_another_symbol_has_another_axis() {
    let mut rig = Rig::new(false);
    rig.key(Key::Letter('c'));
    for change in [Key::Tab, Key::Letter('x'), Key::Letter('o')] {
        rig.key(Key::Tab);
        rig.key_with(Key::Up, SHIFT);
        let focus = rig.controls.focus();
        rig.key(change);
        assert!(rig.value().is_none() || rig.controls.focus() == focus, "{change:?}");
    }
}

#[test]
fn tab_in_solo_leaves_the_hidden_ones_hidden() {
    let mut rig = Rig::new(false);
    rig.key(Key::Digit(2));
    rig.key(Key::Letter('o'));
    for _ in 0..5 {
        rig.key(Key::Tab);
    }
    rig.key(Key::Letter('o'));
    assert_eq!(rig.controls.sight.hidden, HashSet::from([1]));
}

#[test]
fn undo_of_a_look_that_followed_does_not_lead_back_in_time() {
    let mut rig = Rig::new(false);
    rig.span();
    rig.key(Key::Letter('a'));
    rig.edge_ns += 50 * MINUTE;
    rig.span();
    rig.key(Key::Space);
    rig.key(Key::Letter('z'));
    assert_ne!(rig.controls.sight.axis, AxisChoice::Percent);
    assert!(rig.span().contains(EDGE + 50 * MINUTE), "the paused view stays where it is");
}

#[test]
fn a_grid_turns_to_the_page_of_what_was_found() {
    let mut rig = Rig::new(false);
    rig.key(Key::Mark('/'));
    for c in "aig".chars() {
        rig.apply(Input::Text(c));
    }
    rig.key(Key::Enter);
    assert_eq!(rig.controls.page_of(&[0, 1, 2, 3], 2), 1);
    rig.key(Key::Letter('g'));
    rig.key_with(Key::PageUp, SHIFT);
    assert_eq!(rig.controls.page_of(&[0, 1, 2, 3], 2), 0, "and stays where it is turned to");
    assert_eq!(rig.controls.page_of(&[0, 1, 2, 3], 4), 0);
}

#[test]
fn a_ruler_is_gone_where_its_plot_is_or_the_measure_is_another() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    rig.drag(((x, y), (x + 100.0, y - 50.0)), Button::Left, SHIFT);
    let mut ruler = rig.controls.ruler.unwrap();
    let plots = |id| [Plot { id, value: ValueSpan { lo: 0.0, hi: 1.0 } }];
    assert!(ruler.is_at_home(&plots(PlotId::Whole), AxisKind::Price));
    assert!(!ruler.is_at_home(&plots(PlotId::Whole), AxisKind::Log));
    assert!(!ruler.is_at_home(&plots(PlotId::Symbol(0)), AxisKind::Price));
}

#[test]
fn what_an_earlier_run_remembered_gives_way_to_what_is_chosen_now() {
    let mut config = config_of(&[]);
    config.remembered.hidden = Some(vec!["OLD".to_owned(), "ODD".to_owned()]);
    config.remembered.focused = Some("LATE".to_owned());
    let mut rig = Rig::new(false);
    rig.controls = Interaction::new(5 * MINUTE, false, &config);
    for name in ["SPY", "OLD"] {
        rig.controls.add_symbol(name.to_owned());
    }
    assert_eq!((rig.controls.sight.hidden.len(), rig.controls.singled_out()), (1, None));
    let kept = rig.controls.remembered();
    assert_eq!((kept.hidden.unwrap(), kept.focused.unwrap()), (vec!["ODD".into(), "OLD".into()], "LATE".to_owned()));
    rig.key(Key::Tab);
    rig.key(Key::Digit(0));
    rig.controls.add_symbol("LATE".to_owned());
    rig.controls.add_symbol("ODD".to_owned());
    assert_eq!((rig.controls.singled_out(), rig.controls.sight.hidden.len()), (Some(0), 0));
    let kept = rig.controls.remembered();
    assert_eq!((kept.window.as_deref(), kept.bars.as_deref()), (Some("300"), Some("auto")));
}

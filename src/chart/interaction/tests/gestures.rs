//! Tests of gestures with modifiers, undo, focus, search, and saved settings.

use crate::chart::interaction::tests::*;

/// A press with modifiers, another button, or several clicks.
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
        self.interaction.value_of(PlotId::Main, AxisKind::Price)
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
    let axis = rig.layout.value_axis;
    rig.double_click(f64::from(axis.left + 10), f64::from(axis.top + 100));
    assert_eq!(rig.value(), None);
    rig.key_with(Key::Up, SHIFT);
    assert!(rig.value().is_some());
    rig.key(Key::Letter('f'));
    assert_eq!(rig.value(), None);
    // A drag on the axis stretches it, also beyond the axis.
    let at = (f64::from(axis.left + 10), f64::from(axis.top + 100));
    rig.drag((at, (at.0, at.1 + 200.0)), Button::Left, Modifiers::NONE);
    assert!(rig.value().is_some_and(|value| value.hi - value.lo > 150.0));
    rig.key(Key::Letter('a'));
    assert_eq!(rig.value(), None, "a value axis is in the unit that it was set in");
}

#[test]
fn a_zoom_box_shows_what_it_encloses_and_undo_restores_the_view() {
    let mut rig = Rig::new(false);
    let (before, (x, y)) = (rig.span(), rig.middle());
    let (from_ns, to_ns) = (rig.time_at(x), rig.time_at(x + 100.0));
    rig.drag(((x, y), (x + 100.0, y + 100.0)), Button::Right, Modifiers::NONE);
    let boxed = rig.span();
    assert!((boxed.start - from_ns).abs() < SECOND / 10 && (boxed.end - to_ns).abs() < SECOND / 10);
    let value = rig.value().unwrap();
    assert!(value.hi < 151.0 && value.hi > 149.0 && value.lo < value.hi - 5.0, "{value:?}");
    rig.key(Key::Letter('z'));
    assert!(rig.interaction.follows() && rig.value().is_none());
    assert_eq!(rig.span(), before);
    rig.key(Key::Letter('y'));
    assert_eq!((rig.span(), rig.value()), (boxed, Some(value)));
    rig.key(Key::Letter('z'));
    rig.drag(((x, y), (x + 100.0, y + 2.0)), Button::Left, CTRL);
    assert!(rig.value().is_none(), "a flat box zooms in time only");
    assert_eq!(rig.span().len_ns(), boxed.len_ns());
}

#[test]
fn consecutive_notches_are_one_undo_step_and_each_key_press_is_its_own() {
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
    assert_eq!(rig.span().len_ns(), before, "there is no step before the first");
    for _ in 0..1_000 {
        rig.key(Key::Letter('g'));
    }
    for _ in 0..1_000 {
        rig.key(Key::Letter('z'));
    }
    assert_eq!(rig.interaction.view.layout, PaneLayout::Overlay, "the number of steps is bounded");
}

#[test]
fn the_ruler_measures_from_its_start() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    let from_ns = rig.time_at(x);
    rig.drag(((x, y), (x + 100.0, y - 50.0)), Button::Left, SHIFT);
    let ruler = rig.interaction.ruler.unwrap();
    assert!((ruler.from.time_ns - from_ns).abs() < SECOND / 10);
    let end = Cursor { pane: 0, time_ns: from_ns + SECOND, value: 160.0 };
    let last = HitTest { cursor: Some(end), ..rig.last_frame() };
    rig.interaction.settle_measurements(&last);
    let ends = |rig: &Rig, cursor| rig.interaction.ruler.unwrap().ends(cursor);
    assert_eq!(ends(&rig, None), (ruler.from, end), "it ends where the next frame has the crosshair");
    rig.interaction.settle_measurements(&HitTest { cursor: None, ..last });
    assert_eq!(ends(&rig, Some(ruler.from)), (ruler.from, end));
    let span = rig.span();
    rig.apply(press(x, y));
    rig.apply(release(x, y));
    assert!(rig.interaction.ruler.is_none(), "a click removes it");
    assert_eq!(rig.span(), span, "a ruler does not move the view");
    // With keys, it measures from the crosshair to the crosshair.
    rig.key(Key::Letter('m'));
    assert!(rig.interaction.ruler.is_some());
    rig.key(Key::Escape);
    assert!(rig.interaction.ruler.is_none() && rig.interaction.follows());
}

#[test]
fn focus_solo_and_hide_work_from_the_legend_and_by_keys() {
    let mut rig = Rig::new(false);
    let shown = |rig: &Rig| (0..4).filter(|symbol| rig.interaction.view.shows(*symbol)).collect::<Vec<_>>();
    let (x, y) = (350.0, 20.0);
    assert_eq!((rig.interaction.focus(), rig.interaction.explicit_focus()), (Some(0), None));
    rig.apply(press_with(x, y, Button::Right, Modifiers::NONE, 1));
    rig.apply(Input::Released { x, y, button: Button::Right });
    assert_eq!(rig.interaction.explicit_focus(), Some(3));
    rig.double_click(x, y);
    assert_eq!(shown(&rig), [3], "a double-click shows it alone");
    rig.double_click(x, y);
    assert_eq!(shown(&rig), [0, 1, 2, 3], "a second one shows all again");
    rig.key(Key::Letter('z'));
    assert_eq!(shown(&rig), [3], "each double-click is one step");
    rig.key(Key::Tab);
    assert_eq!(shown(&rig), [0], "Tab shows the next one alone");
    rig.key_with(Key::Tab, SHIFT);
    rig.key(Key::Letter('o'));
    assert_eq!(shown(&rig), [0, 1, 2, 3]);
    rig.key(Key::Letter('x'));
    assert_eq!(shown(&rig), [0, 1, 2], "the focused one is hidden");
    assert_eq!(rig.interaction.focus(), Some(0), "the first one left gets the focus");
    rig.key(Key::Letter('o'));
    rig.key(Key::Digit(2));
    assert_eq!(shown(&rig), [0, 1], "it joins the one shown alone");
    rig.key(Key::Digit(0));
    assert_eq!(shown(&rig), [0, 1, 2, 3]);
}

#[test]
fn a_search_focuses_its_match_and_takes_letters_as_text() {
    let mut rig = Rig::new(false);
    rig.key(Key::Digit(4));
    rig.key(Key::Mark('/'));
    for c in ['/', 'a', 'i', 'g'] {
        if c.is_alphabetic() {
            assert_eq!(rig.key(Key::Letter(c)), None);
        }
        rig.apply(Input::Text(c));
    }
    assert_eq!(rig.key(Key::Letter('q')), None, "letters are text during a search");
    assert_eq!(rig.interaction.search.as_ref().map(|query| query.text.as_str()), Some("aig"));
    rig.key(Key::Enter);
    assert!(rig.interaction.search.is_none());
    assert_eq!(rig.interaction.explicit_focus(), Some(3), "a hidden match is shown");
    rig.key(Key::Mark('/'));
    rig.key(Key::Escape);
    assert!(rig.interaction.search.is_none() && rig.interaction.follows());
}

#[test]
fn the_badge_pauses_and_resumes_and_kinds_and_axes_cycle() {
    let mut rig = Rig::new(false);
    let click = |rig: &mut Rig, x: f64, y: f64| {
        rig.apply(press(x, y));
        rig.apply(release(x, y));
    };
    click(&mut rig, 30.0, 20.0);
    assert!(rig.interaction.is_paused());
    click(&mut rig, 30.0, 20.0);
    assert!(rig.interaction.follows());
    let kinds: Vec<ChartKind> = (0..3)
        .map(|_| {
            rig.key(Key::Letter('c'));
            rig.interaction.view.kind
        })
        .collect();
    assert_eq!(kinds, [ChartKind::Candles, ChartKind::Ohlc, ChartKind::Lines]);
    let axes: Vec<AxisMode> = (0..4)
        .map(|_| {
            rig.key(Key::Letter('a'));
            rig.interaction.view.axis
        })
        .collect();
    assert_eq!(axes, [AxisMode::Percent, AxisMode::Session, AxisMode::Log, AxisMode::Price]);
    let axis = rig.layout.time_axis;
    rig.key(Key::Minus);
    rig.double_click(f64::from(axis.left + 100), f64::from(axis.top + 5));
    assert_eq!(rig.span().len_ns(), 5 * MINUTE, "a double-click on the time axis restores the initial span");
}

#[test]
fn reveal_moves_only_to_instants_out_of_view() {
    let mut rig = Rig::new(false);
    let span = rig.span();
    let mut view = rig.interaction.resolve(EDGE, rig.oldest_ns);
    view.reveal(span.end - 1, Some(EDGE));
    assert!(rig.interaction.will_follow(&view) && view.span() == span);
    view.reveal(span.start - MINUTE, Some(EDGE));
    let back = view.span();
    assert!(back.contains(span.start - MINUTE) && back.len_ns() == span.len_ns() && back.end < span.end);
    view.reveal(i64::MAX, None);
    view.reveal(i64::MIN, None);
    assert_eq!(view.span().len_ns(), span.len_ns());
}

#[test]
fn a_value_axis_set_in_one_unit_is_not_used_in_another() {
    let mut rig = Rig::new(false);
    rig.key_with(Key::Up, SHIFT);
    let set = rig.value().unwrap();
    assert_eq!(rig.interaction.value_of(PlotId::Main, AxisKind::Percent), None);
    // Key presses between two frames add up.
    rig.key_with(Key::Up, SHIFT);
    let twice = rig.value().unwrap();
    assert!((twice.hi - twice.lo) < (set.hi - set.lo) * 0.9, "{set:?} {twice:?}");
}

#[test]
fn with_bars_a_change_of_symbol_resets_the_value_axis() {
    let mut rig = Rig::new(false);
    rig.key(Key::Letter('c'));
    for change in [Key::Tab, Key::Letter('x'), Key::Letter('o')] {
        rig.key(Key::Tab);
        rig.key_with(Key::Up, SHIFT);
        let focus = rig.interaction.focus();
        rig.key(change);
        assert!(rig.value().is_none() || rig.interaction.focus() == focus, "{change:?}");
    }
}

#[test]
fn tab_in_solo_mode_keeps_hidden_symbols_hidden() {
    let mut rig = Rig::new(false);
    rig.key(Key::Digit(2));
    rig.key(Key::Letter('o'));
    for _ in 0..5 {
        rig.key(Key::Tab);
    }
    rig.key(Key::Letter('o'));
    assert_eq!(rig.interaction.view.hidden, HashSet::from([1]));
}

#[test]
fn undo_of_a_view_that_followed_the_live_edge_stays_at_the_live_edge() {
    let mut rig = Rig::new(false);
    rig.span();
    rig.key(Key::Letter('a'));
    rig.edge_ns += 50 * MINUTE;
    rig.span();
    rig.key(Key::Space);
    rig.key(Key::Letter('z'));
    assert_ne!(rig.interaction.view.axis, AxisMode::Percent);
    assert!(rig.span().contains(EDGE + 50 * MINUTE), "the paused view stays where it is");
}

#[test]
fn a_grid_turns_to_the_page_of_the_symbol_found() {
    let mut rig = Rig::new(false);
    rig.key(Key::Mark('/'));
    for c in "aig".chars() {
        rig.apply(Input::Text(c));
    }
    rig.key(Key::Enter);
    let page = |rig: &mut Rig, page_len| {
        let mut view = rig.interaction.resolve(EDGE, EDGE);
        view.page = Some(rig.interaction.page_of(&[0, 1, 2, 3], page_len));
        rig.interaction.adopt(&view);
        view.page.map(|page| page.index)
    };
    assert_eq!(page(&mut rig, 2), Some(1));
    rig.key(Key::Letter('g'));
    rig.key_with(Key::PageUp, SHIFT);
    assert_eq!(page(&mut rig, 2), Some(0), "and stays at the page that the user turns to");
    assert_eq!(page(&mut rig, 4), Some(0));
}

#[test]
fn a_ruler_is_dropped_with_its_plot_or_its_unit() {
    let mut rig = Rig::new(false);
    let (x, y) = rig.middle();
    rig.drag(((x, y), (x + 100.0, y - 50.0)), Button::Left, SHIFT);
    let ruler = rig.interaction.ruler.unwrap();
    let plots = |id| [Plot { id, value: ValueSpan { lo: 0.0, hi: 1.0 } }];
    assert!(ruler.in_frame(&plots(PlotId::Main), AxisKind::Price, None).is_some());
    assert!(ruler.in_frame(&plots(PlotId::Main), AxisKind::Log, None).is_none());
    assert!(ruler.in_frame(&plots(PlotId::Symbol(0)), AxisKind::Price, None).is_none());
}

#[test]
fn settings_of_an_earlier_run_give_way_to_choices_in_this_one() {
    let hidden = vec!["OLD".to_owned(), "ODD".to_owned()];
    let settings = ViewSettings { hidden, focused: Some("LATE".to_owned()), ..ViewSettings::default() };
    let mut rig = Rig::new(false);
    rig.interaction = Interaction::new(settings);
    for name in ["SPY", "OLD"] {
        rig.interaction.add_symbol(name.to_owned());
    }
    assert_eq!((rig.interaction.view.hidden.len(), rig.interaction.explicit_focus()), (1, None));
    let saved = rig.interaction.settings();
    assert_eq!((saved.hidden, saved.focused), (vec!["ODD".into(), "OLD".into()], Some("LATE".to_owned())));
    rig.key(Key::Tab);
    rig.key(Key::Digit(0));
    rig.interaction.add_symbol("LATE".to_owned());
    rig.interaction.add_symbol("ODD".to_owned());
    assert_eq!((rig.interaction.explicit_focus(), rig.interaction.view.hidden.len()), (Some(0), 0));
    let saved = rig.interaction.settings();
    assert_eq!((saved.span_ns, saved.grows, saved.bar_interval), (300 * SECOND, false, None));
}

//! Keyboard and mouse input reported by `tickscope::window`, tested without the rest of the program.

use std::time::Duration;

use crate::support::inputs::{SIZE, TITLE, WindowProgram, be_the_window, is_the_window, key, pressed, released, said};
use crate::support::process::Launch;
use crate::support::xvfb::{Button as Hand, Xvfb};
use tickscope::chart::{Button, Input, Key, Modifiers};

const LIMIT: Duration = crate::support::wait::GUARD;
const SHIFT: Modifiers = Modifiers { shift: true, ctrl: false };
const CTRL: Modifiers = Modifiers { shift: false, ctrl: true };

#[test]
fn the_hand_reaches_the_window() {
    if is_the_window() {
        return be_the_window();
    }
    let mut display = Xvfb::start(SIZE.0 + 40, SIZE.1 + 40);
    let itself = Launch::new(std::env::current_exe().unwrap()).env("DISPLAY", &display.display());
    let mut program = WindowProgram::start(itself, "gestures::the_hand_reaches_the_window");
    let window = display.find_window(TITLE, LIMIT);
    display.focus(window);
    display.watch(program.pulse());
    let (here, there) = ((120, 80), (180, 140));
    display.move_mouse(window, here);
    program.wait_for_mouse();

    display.key("g");
    program.expect(&[key(Key::Letter('g'), Modifiers::NONE), Input::Text('g')]);
    display.key_with(&["shift"], "g");
    program.expect(&[key(Key::Letter('g'), SHIFT), Input::Text('G')]);
    display.key_with(&["ctrl"], "z");
    program.expect(&[key(Key::Letter('z'), CTRL)]);
    display.key_with(&["shift", "ctrl"], "Left");
    program.expect(&[key(Key::Left, Modifiers { shift: true, ctrl: true })]);
    display.type_text("Sp7");
    let typed = program.told_when(|lines| lines.iter().any(|line| line == "Text('7')"));
    let texts: Vec<&String> = typed.iter().filter(|line| line.starts_with("Text")).collect();
    assert_eq!(texts, ["Text('S')", "Text('p')", "Text('7')"], "{typed:?}");

    display.wheel(window, here, 1);
    program.expect_wheel(here, 1.0, Modifiers::NONE);
    display.hold(&["shift"], || display.wheel(window, here, -1));
    program.expect_wheel(here, -1.0, SHIFT);

    display.drag(window, here, there);
    program.expect(&[pressed(here, Button::Left, Modifiers::NONE, 1), released(there, Button::Left)]);
    display.hold(&["shift"], || display.drag(window, here, there));
    program.expect(&[pressed(here, Button::Left, SHIFT, 1), released(there, Button::Left)]);
    display.hold(&["ctrl"], || display.drag(window, there, here));
    program.expect(&[pressed(there, Button::Left, CTRL, 1), released(here, Button::Left)]);
    display.drag_with(window, Hand::Right, here, there);
    program.expect(&[pressed(here, Button::Right, Modifiers::NONE, 1), released(there, Button::Right)]);

    display.click_with(window, Hand::Right, here);
    program.expect(&[pressed(here, Button::Right, Modifiers::NONE, 1), released(here, Button::Right)]);
    let down = |clicks| pressed(there, Button::Left, Modifiers::NONE, clicks);
    let up = released(there, Button::Left);
    // A delay between the presses turns a double-click into two clicks, so the double-click is repeated.
    let mut told = Vec::new();
    for _ in 0..5 {
        display.double_click(window, there);
        told = program.told_when(|lines| !lines.is_empty());
        if told == said(&[down(1), up, down(2), up]) {
            break;
        }
    }
    assert_eq!(told, said(&[down(1), up, down(2), up]));
    for _ in 0..2 {
        display.click(window, here);
        program.expect(&[pressed(here, Button::Left, Modifiers::NONE, 1), released(here, Button::Left)]);
    }

    display.close(window);
    program.expect(&[Input::Closed]);
    program.wait();
}

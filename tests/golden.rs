//! Golden pictures: every view and state, drawn from constant data and compared with the accepted picture.
//! `scripts/golden accept` accepts the current ones.

mod bars;
mod compare;
mod crowds;
mod lines;
mod sample;
mod states;
mod tools;

/// Defines one test per picture, and one test that checks that every file has a test.
macro_rules! pictures {
    ($($module:ident: $($name:ident)*;)*) => {
        $($(#[test]
        fn $name() {
            compare::picture(stringify!($name), &$module::$name());
        })*)*

        #[test]
        fn every_accepted_picture_is_drawn() {
            let drawn = [$($(concat!(stringify!($name), ".png"),)*)* "document.svg"];
            for file in std::fs::read_dir(compare::FOLDER).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                let picture = [".png", ".svg"].iter().any(|end| name.ends_with(end));
                assert!(!picture || drawn.contains(&name.as_str()), "{name} is of no test; remove it");
            }
        }
    };
}

pictures! {
    lines: lines_dark lines_light percent_light log_narrow_dark log_wide_light gap_light unread_dark focus_dark
        hover_shapes_light crosshair_snapped_dark narrow_dark scale_2_dark;
    bars: candles_light candles_dark ohlc_light sticks_dark doji_dark bars_and_line_light scale_1_5_light;
    crowds: symbols_2_light symbols_200_dark symbols_200_focus_light grid_2_dark grid_4_light grid_9_crosshair_dark
        grid_30_dark grid_180_light grid_narrow_dark grid_scale_1_5_dark;
    tools: ruler_dark ruler_falling_light selection_dark selection_light marks_dark marks_light outliers_dark
        outliers_light search_dark
        search_nothing_light search_narrow_dark help_dark toast_light view_badge_light;
    states: connecting_light waiting_dark waiting_light disconnected_dark disconnected_light error_light
        nothing_in_view_dark;
}

#[test]
fn document() {
    compare::document("document", &bars::candles_light());
}

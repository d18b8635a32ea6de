//! The real window under a display of its own, with hands on keys and mouse and eyes on pixels. What it must show is
//! computed from the library's own types of the view, not from a second look at the picture.

mod charts;
mod connection;
mod fixture;
mod gestures;
mod history;
mod keys;
mod lines;
mod mouse;
mod outputs;
mod saved_view;
mod shutdown;
mod sizes;

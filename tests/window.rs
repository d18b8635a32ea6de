//! The real window on a private display, driven by synthetic input and checked by pixels. The expected pixels are
//! computed from the library's view types.

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

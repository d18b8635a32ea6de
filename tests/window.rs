//! The real window under a display of its own, with hands on keys and mouse and eyes on pixels. What it must show is
//! computed from the library's own types of the view, not from a second look at the picture.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]

mod support {
    pub mod process;
    pub mod pulse;
    pub mod server;
    pub mod wait;
    pub mod x11;
    pub mod xvfb;
}

mod viewing {
    use super::support;

    pub mod charts;
    pub mod ends;
    pub mod gestures;
    pub mod keys;
    pub mod lines;
    pub mod link;
    pub mod mouse;
    pub mod outputs;
    pub mod past;
    pub mod scope;
    pub mod sizes;
}

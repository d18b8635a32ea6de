//! A [`Scene`] becomes pixels here: the only module that knows plotters.

mod scene;

pub use scene::*;

//! The Redis protocol, RESP2 and RESP3: commands, replies and pushes, encoded and parsed. `client` and `broker` share it.

pub(crate) mod command;
pub(crate) mod encode;
mod inline;
pub(crate) mod push;
pub(crate) mod value;

//! The Redis protocol, RESP2 and RESP3, shared by `client` and `broker`: one scanner, the frames pushed to subscribers,
//! the commands sent to a server, and the encoder of its replies.

pub(crate) mod command;
pub(crate) mod encode;
mod inline;
pub(crate) mod push;
pub(crate) mod scanner;

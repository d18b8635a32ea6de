//! What a subscription listens to.

use std::fmt;

use crate::model::display_safe;

/// What to listen to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// One channel, by name.
    Exact(String),
    /// All channels that match a glob (`PSUBSCRIBE`).
    Pattern(String),
}

impl Channel {
    /// A text with `*`, `?` or `[` is a pattern, as in Redis.
    pub fn parse(text: &str) -> Self {
        if text.contains(['*', '?', '[']) { Self::Pattern(text.to_owned()) } else { Self::Exact(text.to_owned()) }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Exact(text) | Self::Pattern(text)) = self;
        f.write_str(&display_safe(text))
    }
}

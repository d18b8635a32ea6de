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
    /// One channel of a cluster, served by the node of its slot alone (`SSUBSCRIBE`).
    Sharded(String),
}

impl Channel {
    /// A text with `*`, `?` or `[` is a pattern, as in Redis.
    pub fn parse(text: &str) -> Self {
        if text.contains(['*', '?', '[']) { Self::Pattern(text.to_owned()) } else { Self::Exact(text.to_owned()) }
    }

    /// The name or pattern.
    pub fn name(&self) -> &str {
        let (Self::Exact(text) | Self::Pattern(text) | Self::Sharded(text)) = self;
        text
    }

    /// The command that subscribes to it.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Exact(_) => "SUBSCRIBE",
            Self::Pattern(_) => "PSUBSCRIBE",
            Self::Sharded(_) => "SSUBSCRIBE",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_safe(self.name()))
    }
}

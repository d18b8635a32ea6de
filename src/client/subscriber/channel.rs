//! Channels and patterns of a subscription.

use std::fmt;

use crate::model::display_safe;

/// Channel or pattern to subscribe to.
///
/// # Examples
/// ```
/// use tickscope::client::Channel;
///
/// assert_eq!(Channel::parse("stock_*"), Channel::Pattern("stock_*".to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// One channel (`SUBSCRIBE`).
    Exact(String),
    /// All channels that match a glob pattern (`PSUBSCRIBE`).
    Pattern(String),
    /// One sharded channel of a cluster, served only by the node of its hash slot (`SSUBSCRIBE`).
    Sharded(String),
}

impl Channel {
    /// Parses a name; one with `*`, `?` or `[` is a pattern, as in Redis.
    pub fn parse(text: &str) -> Self {
        if text.contains(['*', '?', '[']) { Self::Pattern(text.to_owned()) } else { Self::Exact(text.to_owned()) }
    }

    /// Name or pattern.
    pub fn name(&self) -> &str {
        let (Self::Exact(text) | Self::Pattern(text) | Self::Sharded(text)) = self;
        text
    }

    /// Command that subscribes to the channel.
    pub(super) fn command(&self) -> &'static str {
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

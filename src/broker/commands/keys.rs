//! Where the keys stand among a command's arguments, as COMMAND INFO tells it.

use crate::broker::commands::KeyVerb;

/// Redis's `key_specs`; no command here has more than one.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct KeySpec {
    pub(in crate::broker) notes: Option<&'static str>,
    /// Separated by spaces.
    pub(in crate::broker) flags: &'static str,
    pub(in crate::broker) begin: Begin,
    /// The last key counted from the first, or from the end if negative.
    pub(in crate::broker) last: i64,
    /// What part of the arguments are keys: all for 0, half for 2.
    pub(in crate::broker) limit: i64,
}

/// Where the first key is.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) enum Begin {
    Index(i64),
    /// Behind this word, which stands at this place or later.
    Keyword(&'static str, i64),
}

impl KeySpec {
    /// First key, last key and step: the old way of telling it, which knows no keywords.
    pub(in crate::broker) fn positions(&self) -> [i64; 3] {
        match self.begin {
            Begin::Index(first) => [first, if self.last < 0 { self.last } else { first + self.last }, 1],
            Begin::Keyword(..) => [0; 3],
        }
    }
}

impl KeyVerb {
    pub(in crate::broker) fn key_spec(self) -> Option<KeySpec> {
        let notes = (self == Self::Xadd).then_some("UPDATE instead of INSERT because of the optional trimming feature");
        let flags = match self {
            Self::Dbsize | Self::Flush | Self::Keys | Self::Scan => return None,
            Self::Del => "RM delete",
            Self::Exists | Self::Type | Self::Xlen => "RO",
            Self::Xadd | Self::Xack | Self::Xclaim | Self::XgroupSetid | Self::Xsetid => "RW update",
            Self::Xautoclaim | Self::Xdel | Self::XgroupDelconsumer | Self::XgroupDestroy | Self::Xtrim => "RW delete",
            Self::XgroupCreate | Self::XgroupCreateconsumer => "RW insert",
            Self::XinfoConsumers
            | Self::XinfoGroups
            | Self::XinfoStream
            | Self::Xpending
            | Self::Xrange
            | Self::Xread
            | Self::Xreadgroup
            | Self::Xrevrange => "RO access",
        };
        let begin = match self {
            Self::Xread => Begin::Keyword("STREAMS", 1),
            Self::Xreadgroup => Begin::Keyword("STREAMS", 4),
            Self::XgroupCreate
            | Self::XgroupCreateconsumer
            | Self::XgroupDelconsumer
            | Self::XgroupDestroy
            | Self::XgroupSetid
            | Self::XinfoConsumers
            | Self::XinfoGroups
            | Self::XinfoStream => Begin::Index(2),
            _ => Begin::Index(1),
        };
        let (last, limit) = match self {
            Self::Xread | Self::Xreadgroup => (-1, 2),
            Self::Del | Self::Exists => (-1, 0),
            _ => (0, 0),
        };
        Some(KeySpec { notes, flags, begin, last, limit })
    }
}

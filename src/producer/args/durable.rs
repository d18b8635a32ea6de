//! The flags by which ticks are kept, and spread over a cluster.

use std::path::PathBuf;

use compact_str::CompactString;
use thiserror::Error;

use crate::client::{OutputStream, SHARDS, SHARDS_MAX, Target};
use crate::producer::Durable;
use crate::producer::shards::lane_count;
use crate::spool::{SPOOL_TICKS, Spool, SpoolError};

/// Entries of a stream that are kept unless told otherwise: a quarter of an hour at a thousand a second, in some 100 MB
/// of the server's memory.
const MAXLEN: u64 = 1_000_000;

/// What is asked of streams, spool and cluster.
#[derive(Debug, clap::Args)]
pub(super) struct DurableArgs {
    /// Append each tick to this stream as well, before it is published: readers can catch up on what they missed
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,

    /// Entries that the stream keeps, and a few more; 0 = all [default: 1000000]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    maxlen: Option<u64>,

    /// Keep ticks in this folder until Redis has confirmed them: they outlive a crash, and a long outage
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,

    /// Ticks that the folder holds at most; the oldest are dropped, and counted, while Redis is away [default: 1000000]
    #[arg(long, value_name = "N", value_parser = parse_ticks, allow_negative_numbers = true)]
    spool_max: Option<u64>,

    /// The server is a Redis Cluster: spread the ticks over its nodes, by symbol
    #[arg(long)]
    pub(super) cluster: bool,

    /// Shards that the ticks are spread over; readers must say the same number [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    #[arg(allow_negative_numbers = true)]
    shards: Option<u16>,
}

/// Why it cannot be.
#[derive(Debug, Error)]
pub enum DurableError {
    /// Ticks without numbers.
    #[error("{0} needs numbered ticks, by which readers drop what comes twice: leave --no-seq out")]
    NoSeq(&'static str),
    /// A stream without a name.
    #[error("--stream needs a name, such as stock_ticks")]
    Stream,
    /// A flag that says nothing without another.
    #[error("{flag} says nothing without {needs}")]
    Alone {
        /// What was given.
        flag: &'static str,
        /// What was not.
        needs: &'static str,
    },
    /// A cluster without an address.
    #[error("--cluster needs the address of one of its nodes: add --redis redis://host:7000 (or set REDIS_URL)")]
    NoNodes,
    /// The spool's folder.
    #[error("--spool")]
    Spool(#[from] SpoolError),
}

impl DurableArgs {
    /// Checks, opens the spool, and names the source whose numbers are used: `asked`, or the spool's, or `fallback`.
    pub(super) fn build(
        self,
        target: &Target,
        asked: Option<&str>,
        fallback: Option<CompactString>,
    ) -> Result<(Durable, Option<CompactString>), DurableError> {
        let alone = |flag, needs| Err(DurableError::Alone { flag, needs });
        match &self {
            Self { stream: Some(_), .. } if fallback.is_none() => return Err(DurableError::NoSeq("--stream")),
            Self { spool: Some(_), .. } if fallback.is_none() => return Err(DurableError::NoSeq("--spool")),
            Self { stream: Some(name), .. } if name.is_empty() => return Err(DurableError::Stream),
            Self { stream: None, maxlen: Some(_), .. } => return alone("--maxlen", "--stream"),
            Self { spool: None, spool_max: Some(_), .. } => return alone("--spool-max", "--spool"),
            Self { shards: Some(_), .. } if !target.is_cluster() => return alone("--shards", "--cluster"),
            _ => {}
        }
        let shards = self.shards.unwrap_or(SHARDS);
        let stream = self.stream.map(|name| OutputStream { name, maxlen: self.maxlen.unwrap_or(MAXLEN) });
        let (spool, id) = match (self.spool, fallback) {
            (Some(folder), Some(fallback)) => {
                let max = self.spool_max.unwrap_or(SPOOL_TICKS);
                let spool = Spool::open(&folder, asked, &fallback, lane_count(target, shards), max)?;
                let id = spool.source().into();
                (Some(spool), Some(id))
            }
            (_, id) => (None, id),
        };
        Ok((Durable { stream, spool, shards }, id))
    }
}

fn parse_ticks(text: &str) -> Result<u64, &'static str> {
    text.trim().parse().ok().filter(|count| *count > 0).ok_or("a number of ticks is a whole number above zero")
}

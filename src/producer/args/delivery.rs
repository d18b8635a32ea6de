//! Flags for the stream, the spool and the shards of a cluster.

use std::path::PathBuf;

use compact_str::CompactString;
use thiserror::Error;

use crate::client::{OutputStream, SHARDS, SHARDS_MAX, Target};
use crate::producer::Delivery;
use crate::producer::shards::shard_count;
use crate::spool::{SPOOL_TICKS, Spool, SpoolError};

/// Default length of a stream: a quarter of an hour at a thousand ticks a second, in about 100 MB of the server's
/// memory.
const MAXLEN: u64 = 1_000_000;

/// Flags for the stream, the spool and the cluster.
#[derive(Debug, clap::Args)]
pub(super) struct DeliveryArgs {
    /// Append each tick to this stream before it is published, so that readers can catch up
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,

    /// Approximate length at which the stream is trimmed; 0 = never [default: 1000000]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    maxlen: Option<u64>,

    /// Keep ticks in this folder until Redis confirms them, so that they survive crashes and long outages
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,

    /// Most ticks in the folder; during an outage, the oldest are dropped and counted [default: 1000000]
    #[arg(long, value_name = "N", value_parser = parse_ticks, allow_negative_numbers = true)]
    spool_max: Option<u64>,

    /// Use a Redis Cluster, and spread the ticks over its nodes by symbol
    #[arg(long)]
    pub(super) cluster: bool,

    /// Number of shards to spread the ticks over; readers must use the same number [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    #[arg(allow_negative_numbers = true)]
    shards: Option<u16>,
}

/// Error in these flags.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// `--no-seq` was given.
    #[error("{0} needs numbered ticks, by which readers detect duplicates: remove --no-seq")]
    NoSeq(&'static str),
    /// The stream has no name.
    #[error("--stream needs a name, such as stock_ticks")]
    Stream,
    /// A flag requires another one.
    #[error("{flag} has no effect without {needs}")]
    Alone {
        /// Given flag.
        flag: &'static str,
        /// Missing flag.
        needs: &'static str,
    },
    /// No address of the cluster was given.
    #[error("--cluster needs the address of one of its nodes: add --redis redis://host:7000 (or set REDIS_URL)")]
    NoNodes,
    /// The spool cannot be opened.
    #[error("--spool")]
    Spool(#[from] SpoolError),
}

impl DeliveryArgs {
    /// Checks the flags and opens the spool. Also returns the id of the source: `requested`, or the spool's, or
    /// `fallback`.
    pub(super) fn build(
        self,
        target: &Target,
        requested: Option<&str>,
        fallback: Option<CompactString>,
    ) -> Result<(Delivery, Option<CompactString>), DeliveryError> {
        let alone = |flag, needs| Err(DeliveryError::Alone { flag, needs });
        match &self {
            Self { stream: Some(_), .. } if fallback.is_none() => return Err(DeliveryError::NoSeq("--stream")),
            Self { spool: Some(_), .. } if fallback.is_none() => return Err(DeliveryError::NoSeq("--spool")),
            Self { stream: Some(name), .. } if name.is_empty() => return Err(DeliveryError::Stream),
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
                let spool = Spool::open(&folder, requested, &fallback, shard_count(target, shards), max)?;
                let id = spool.source().into();
                (Some(spool), Some(id))
            }
            (_, id) => (None, id),
        };
        Ok((Delivery { stream, spool, shards }, id))
    }
}

fn parse_ticks(text: &str) -> Result<u64, &'static str> {
    text.trim().parse().ok().filter(|count| *count > 0).ok_or("a number of ticks is a whole number above zero")
}

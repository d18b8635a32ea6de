//! Where ticks come from: one connection, or one for each shard of a cluster; channels, or streams.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bus::{
    BusError, Channel, Entry, Following, Group, Handled, Incoming, LinkState, Reader, Since, Target, follow,
    shard_name, shard_of, subscribe,
};
use crate::consumer::args::{Config, StreamConfig};
use crate::consumer::ingest::{Ingest, Parcel};
use crate::consumer::keeping::Keeping;
use crate::consumer::shared::{Continuity, Shared};
use crate::model::{Decoder, StreamId, write_fields};

/// The field of an entry that holds a tick, or several, as JSON.
const TICK_FIELD: &[u8] = b"tick";

/// What one connection brings.
enum Source {
    Channels(Vec<Channel>),
    Stream(String),
}

/// Starts to read all that `config` names. The task ends when all connections have, with the first error.
pub(super) async fn read(
    config: Config,
    target: Target,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), BusError> {
    let sources = sources(&config, &target);
    shared.expect_parts(sources.len());
    // All shards belong to one member.
    let member = format!("member-{:08x}", rng.random::<u32>());
    let mut tasks = JoinSet::new();
    for (part, source) in sources.into_iter().enumerate() {
        let decoder = Decoder::new(config.fields.clone());
        let ingest = Ingest::new(Arc::clone(&shared), part, decoder, shared.keeping().cloned());
        let (target, stop, rng) = (target.clone(), stop.clone(), ChaCha8Rng::from_rng(&mut rng));
        match (source, config.stream.clone()) {
            (Source::Stream(name), Some(stream)) => {
                tasks.spawn(read_stream(target, name, stream, member.clone(), ingest, stop, rng));
            }
            (Source::Channels(channels), _) => {
                let mut ingest = ingest;
                tasks.spawn(async move { subscribe(&target, &channels, &mut ingest, stop, rng).await });
            }
            // Sources are streams only where one is configured.
            (Source::Stream(_), None) => {}
        }
    }
    while let Some(ended) = tasks.join_next().await {
        match ended {
            // The others are dropped: without one part the picture would be none.
            Ok(outcome) => outcome?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    Ok(())
}

fn sources(config: &Config, target: &Target) -> Vec<Source> {
    if !target.is_cluster() {
        return vec![match &config.stream {
            Some(stream) => Source::Stream(stream.name.clone()),
            None => Source::Channels(config.channels.clone()),
        }];
    }
    // Shards in which none of the wanted symbols is need not be read.
    let is_wanted = |shard: &u16| {
        let of = |symbol: &crate::model::Symbol| shard_of(symbol.as_str().as_bytes(), config.shards) == *shard;
        config.symbols.is_empty() || config.symbols.iter().any(of)
    };
    let shards: Vec<u16> = (0..config.shards).filter(is_wanted).collect();
    match &config.stream {
        Some(stream) => shards.iter().map(|shard| Source::Stream(shard_name(&stream.name, *shard))).collect(),
        None => {
            let of_channel = |channel: &Channel| {
                let name = channel.name().to_owned();
                shards.iter().map(move |shard| Source::Channels(vec![Channel::Sharded(shard_name(&name, *shard))]))
            };
            config.channels.iter().flat_map(of_channel).collect()
        }
    }
}

async fn read_stream(
    target: Target,
    name: String,
    config: StreamConfig,
    member: String,
    ingest: Ingest,
    stop: watch::Receiver<bool>,
    rng: ChaCha8Rng,
) -> Result<(), BusError> {
    let group = config.group.clone().map(|group| Group {
        dead_letters: format!("{name}:dead"),
        name: group.name,
        member: group.member.unwrap_or(member),
        deliveries_max: group.deliveries_max,
    });
    let mut since = config.since();
    if let Some(keeping) = ingest.keeping.as_ref().filter(|_| group.is_none() && config.since.is_none()) {
        let mut ended = stop.clone();
        let known = tokio::select! {
            known = keeping.checkpoint(&name) => known,
            // Nobody is left who could ask to stop: a stop as well.
            _ = ended.wait_for(|stop| *stop) => return Ok(()),
        };
        since = known.map_or(since, Since::After);
    }
    let mut reader = StreamReader::new(ingest, name.as_str().into(), group.is_some());
    let following = Following { stream: name, since, group };
    follow(&target, &following, &mut reader, stop, rng).await
}

/// Takes the entries of one stream.
struct StreamReader {
    ingest: Ingest,
    stream: Arc<str>,
    in_group: bool,
    /// What the store has committed; without a store, what was taken.
    committed: watch::Receiver<u64>,
    taken: watch::Sender<u64>,
    /// Entries without a field of JSON, written as JSON.
    json: Vec<u8>,
}

impl StreamReader {
    fn new(ingest: Ingest, stream: Arc<str>, in_group: bool) -> Self {
        let (taken, seen) = watch::channel(0);
        let committed = ingest.keeping.as_deref().map_or(seen, Keeping::committed);
        Self { ingest, stream, in_group, committed, taken, json: Vec::new() }
    }
}

/// Where an entry's payload lies.
enum Payload<'a> {
    InPlace(&'a [u8]),
    Written(std::ops::Range<usize>),
}

impl Reader for StreamReader {
    fn take(&mut self, entries: &[Entry<'_>]) -> Handled {
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        let payloads: Vec<Payload<'_>> = entries.iter().map(|entry| payload(entry, &mut json)).collect();
        let parcels = entries.iter().zip(&payloads).map(|(entry, payload)| {
            let bytes = match payload {
                Payload::InPlace(bytes) => bytes,
                Payload::Written(range) => &json[range.clone()],
            };
            Parcel { id: Some(entry.id), incoming: Incoming::Message(bytes) }
        });
        let mut hopeless: Vec<StreamId> = Vec::new();
        self.ingest.take_in(parcels, &mut hopeless);
        self.json = json;
        let ticket = match &self.ingest.keeping {
            Some(keeping) => {
                let last = entries.last().map(|entry| entry.id).filter(|_| !self.in_group);
                keeping.put(&self.stream, std::mem::take(&mut self.ingest.to_keep), last)
            }
            None => {
                self.taken.send_modify(|taken| *taken += 1);
                *self.taken.borrow()
            }
        };
        if !self.in_group {
            hopeless.clear();
        }
        self.ingest.shared.failed().fetch_add(hopeless.len() as u64, Ordering::Relaxed);
        Handled { ticket, failed: hopeless.into_iter().map(|id| (id, "it holds no tick")).collect() }
    }

    fn trimmed(&mut self, count: u64) {
        self.ingest.shared.trimmed().fetch_add(count, Ordering::Relaxed);
        self.ingest.shared.touch();
    }

    fn link(&mut self, state: LinkState) {
        self.ingest.shared.set_link(self.ingest.part(), state, Continuity::Whole);
    }

    async fn room(&mut self) {
        if let Some(keeping) = &self.ingest.keeping {
            keeping.room().await;
        }
    }

    fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    async fn progress(&mut self) {
        // A store that has ended commits nothing more.
        if self.committed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The JSON of an entry: the field that is called so, a lone field that looks so, or else all fields as one object.
fn payload<'a>(entry: &Entry<'a>, json: &mut Vec<u8>) -> Payload<'a> {
    if let Some((_, value)) = entry.fields.iter().find(|(name, _)| *name == TICK_FIELD) {
        return Payload::InPlace(value);
    }
    if let [(_, value @ [b'{' | b'[', ..])] = entry.fields[..] {
        return Payload::InPlace(value);
    }
    let start = json.len();
    write_fields(json, &entry.fields);
    Payload::Written(start..json.len())
}

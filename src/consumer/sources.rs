//! Where ticks come from: one connection, or one for each shard of a cluster; channels, or streams.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::analysis::OutlierFilter;
use crate::client;
use crate::client::{
    Accepted, Channel, ClientError, ConsumerGroup, Entry, EntryHandler, LinkState, Message, Since, StreamSource,
    Target, shard_name, shard_of, subscribe,
};
use crate::consumer::args::{Config, StreamConfig};
use crate::consumer::ingest::{Ingest, Parcel};
use crate::consumer::persistence;
use crate::consumer::persistence::Persistence;
use crate::consumer::shared::{Continuity, Shared};
use crate::model::{Decoder, StreamId, Timestamp, write_fields};

/// The field of an entry that holds a tick, or several, as JSON.
const TICK_FIELD: &[u8] = b"tick";

/// How long the start waits for the store: for where it ends, and for what it holds. The chart does not wait longer.
const STORE_WAIT: Duration = Duration::from_secs(2);

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
) -> Result<(), ClientError> {
    let sources = sources(&config, &target);
    shared.expect_parts(sources.len());
    // First up to where the store reaches, then what it holds: what another program commits in between is read twice
    // and not passed over.
    let ended = stopped(stop.clone());
    let known = tokio::select! {
        known = places(&sources, &config, &shared) => known,
        () = ended => return Ok(()),
    };
    let ended = stopped(stop.clone());
    tokio::select! {
        () = restore(&config, &shared) => {}
        () = ended => return Ok(()),
    }
    // All shards belong to one member.
    let member = format!("member-{:08x}", rng.random::<u32>());
    let mut tasks = JoinSet::new();
    for (part, source) in sources.into_iter().enumerate() {
        let keeping = shared.keeping().cloned();
        let (config_of_it, shared) = (config.clone(), Arc::clone(&shared));
        let ingest = move |keeping: Option<Arc<Persistence>>| {
            let decoder = Decoder::new(config_of_it.fields.clone());
            // A symbol's ticks all come through one connection.
            let outliers = config_of_it.outliers.map(OutlierFilter::new);
            Ingest::new(Arc::clone(&shared), part, decoder, outliers, keeping)
        };
        let (target, stop, rng) = (target.clone(), stop.clone(), ChaCha8Rng::from_rng(&mut rng));
        match (source, config.stream.clone()) {
            (Source::Stream(name), Some(stream)) => {
                let place = known.as_ref().map_or(Kept::Unknown, |known| known.get(&name).copied().into());
                let reading = Reading { target, name, config: stream, member: member.clone(), keeping, place };
                tasks.spawn(read_stream(reading, ingest, stop, rng));
            }
            (Source::Channels(channels), _) => {
                let mut ingest = ingest(keeping);
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

/// Resolves when it is time to end.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that nobody is left who could ask to stop, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Up to where the store has each stream; `None` where it is away and cannot say.
async fn places(sources: &[Source], config: &Config, shared: &Shared) -> Option<HashMap<String, StreamId>> {
    let in_group = config.stream.as_ref().is_some_and(|stream| stream.group.is_some());
    let Some(keeping) = shared.keeping().filter(|_| !in_group) else { return Some(HashMap::new()) };
    let asked = async {
        let mut known = HashMap::new();
        for source in sources {
            if let Source::Stream(name) = source
                && let Some(id) = keeping.checkpoint(name).await
            {
                known.insert(name.clone(), id);
            }
        }
        known
    };
    timeout(STORE_WAIT, asked).await.ok()
}

/// Opens the chart on what the store holds, unless it is filled from further back in the stream anyway.
async fn restore(config: &Config, shared: &Arc<Shared>) {
    let Some(store) = &config.store else { return };
    if config.stream.as_ref().is_some_and(|stream| stream.since.is_some()) {
        return;
    }
    let (url, shared) = (store.url.clone(), Arc::clone(shared));
    let ticks_max = crate::consumer::history(config.history).ticks_max;
    // The members of a group bring different ticks into one store.
    let alone = config.stream.as_ref().is_none_or(|stream| stream.group.is_none());
    let restoring = tokio::task::spawn_blocking(move || match persistence::restore(&url, ticks_max, alone, &shared) {
        Ok(0) => {}
        Ok(count) => info!("the chart opens on {count} ticks from {url}"),
        Err(error) => warn!("the chart opens without what the store holds: {error}"),
    });
    if timeout(STORE_WAIT, restoring).await.is_err() {
        info!("the store takes its time to read; what it holds will follow");
    }
}

/// One stream, or one shard of one.
struct Reading {
    target: Target,
    name: String,
    config: StreamConfig,
    /// The member's name, if none was given.
    member: String,
    keeping: Option<Arc<Persistence>>,
    /// Up to where the store has it.
    place: Kept,
}

/// What the store says of a stream.
#[derive(Debug, Clone, Copy)]
enum Kept {
    /// It is away and says nothing.
    Unknown,
    Nothing,
    UpTo(StreamId),
}

impl From<Option<StreamId>> for Kept {
    fn from(known: Option<StreamId>) -> Self {
        known.map_or(Self::Nothing, Self::UpTo)
    }
}

async fn read_stream(
    reading: Reading,
    ingest: impl Fn(Option<Arc<Persistence>>) -> Ingest + Send,
    stop: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let Reading { target, name, config, member, keeping, mut place } = reading;
    let group = config.group.clone().map(|group| ConsumerGroup {
        dead_letters: format!("{name}:dead"),
        name: group.name,
        consumer: group.member.unwrap_or(member),
        deliveries_max: group.deliveries_max,
    });
    let mut following = StreamSource { stream: name.clone(), since: config.since(), group };
    let stream: Arc<str> = name.as_str().into();
    if let (Kept::Unknown, Some(keeping)) = (place, &keeping) {
        warn!("the store is away: what is read is shown and not kept until it says up to where it has the stream");
        let mut viewer = StreamReader::new(ingest(None), Arc::clone(&stream), false);
        let own_rng = ChaCha8Rng::from_rng(&mut rng);
        place = tokio::select! {
            known = keeping.checkpoint(&name) => known.into(),
            ended = client::read_stream(&target, &following, &mut viewer, stop.clone(), own_rng) => return ended,
        };
    }
    if let Kept::UpTo(id) = place {
        following.since = not_beyond(config.since, id, Timestamp::now());
    }
    let mut reader = StreamReader::new(ingest(keeping), stream, following.group.is_some());
    client::read_stream(&target, &following, &mut reader, stop, rng).await
}

/// Where to begin so that the store, which ends at `id`, gets everything behind it.
fn not_beyond(asked: Option<Since>, id: StreamId, now: Timestamp) -> Since {
    let asked_id = match asked {
        None => return Since::After(id),
        Some(Since::Start) => return Since::Start,
        Some(Since::At(at)) => at,
        Some(Since::After(after)) => after,
        Some(Since::Ago(time)) => {
            let now_ms = (now.as_nanos() / 1_000_000) as u64;
            StreamId { ms: now_ms.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)), seq: 0 }
        }
    };
    if asked_id <= id { asked.unwrap_or(Since::After(id)) } else { Since::After(id) }
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
        let committed = ingest.keeping.as_deref().map_or(seen, Persistence::committed);
        Self { ingest, stream, in_group, committed, taken, json: Vec::new() }
    }
}

/// Where an entry's payload lies.
enum Payload<'a> {
    InPlace(&'a [u8]),
    Written(std::ops::Range<usize>),
}

impl EntryHandler for StreamReader {
    fn on_entries(&mut self, entries: &[Entry<'_>]) -> Accepted {
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        let payloads: Vec<Payload<'_>> = entries.iter().map(|entry| payload(entry, &mut json)).collect();
        let parcels = entries.iter().zip(&payloads).map(|(entry, payload)| {
            let bytes = match payload {
                Payload::InPlace(bytes) => bytes,
                Payload::Written(range) => &json[range.clone()],
            };
            Parcel { id: Some(entry.id), incoming: Message::Payload(bytes) }
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
        Accepted { ticket, rejected: hopeless.into_iter().map(|id| (id, "it holds no tick")).collect() }
    }

    fn on_trimmed(&mut self, count: u64) {
        self.ingest.shared.trimmed().fetch_add(count, Ordering::Relaxed);
        self.ingest.shared.touch();
    }

    fn on_dead_letters(&mut self, count: u64) {
        self.ingest.shared.failed().fetch_add(count, Ordering::Relaxed);
        self.ingest.shared.touch();
    }

    fn on_link(&mut self, state: LinkState) {
        self.ingest.shared.set_link(self.ingest.part(), state, Continuity::Whole);
    }

    async fn ready(&mut self) {
        if let Some(keeping) = &self.ingest.keeping {
            keeping.room().await;
        }
    }

    fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    async fn commit_progress(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_misses_nothing_whatever_was_asked_for() {
        let id = |ms| StreamId { ms, seq: 0 };
        let now = Timestamp::from_nanos(100_000_000_000).unwrap();
        let since = |asked, ms| not_beyond(asked, id(ms), now);
        assert_eq!(since(None, 50_000), Since::After(id(50_000)));
        assert_eq!(since(Some(Since::Start), 50_000), Since::Start);
        let ago = Some(Since::Ago(Duration::from_secs(30)));
        assert_eq!(since(ago, 50_000), Since::After(id(50_000)), "the store ends earlier");
        assert_eq!(since(ago, 90_000), Since::Ago(Duration::from_secs(30)));
        assert_eq!(since(Some(Since::At(id(7))), 6), Since::After(id(6)));
        assert_eq!(since(Some(Since::At(id(7))), 7), Since::At(id(7)));
    }
}

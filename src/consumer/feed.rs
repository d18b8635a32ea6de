//! The feed: reads channels or streams over one connection, or over one for each shard of a cluster.

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

use crate::client;
use crate::client::{
    Accepted, Channel, ClientError, ConsumerGroup, Entry, EntryHandler, LinkState, Message, Since, StreamSource,
    Target, all_ended, shard_name, shard_of, stopped, subscribe,
};
use crate::consumer::args::{Config, SINCE_DEFAULT, StreamArgs};
use crate::consumer::handles::Handles;
use crate::consumer::ingest::Ingest;
use crate::consumer::persistence;
use crate::model::{StreamId, Symbol, Timestamp, write_fields};

/// Stream field that holds one tick or several as JSON.
const TICK_FIELD: &[u8] = b"tick";

/// Longest wait at the start for each of the database's answers: its checkpoints, and its ticks. The chart opens then.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Subject of one connection.
enum Source {
    Channels(Vec<Channel>),
    /// Key of a stream, or of one shard of it.
    Stream(String),
}

/// Reads everything that `config` names until `stop` turns true.
///
/// # Errors
/// The first error of any connection. The other connections end with it.
pub(super) async fn run(
    config: Config,
    target: Target,
    handles: Handles,
    stop: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let sources = sources(&config, &target);
    handles.feed.expect_connections(sources.len());
    // The checkpoints come first: ticks that another program commits in between are read twice and not skipped.
    let prepare = async {
        let checkpoints = checkpoints(&sources, &config, &handles).await;
        restore(&config, &handles).await;
        checkpoints
    };
    let checkpoints = tokio::select! {
        checkpoints = prepare => checkpoints,
        () = stopped(stop.clone()) => return Ok(()),
    };
    // All shards are read by the same group member.
    let member = format!("member-{:08x}", rng.random::<u32>());
    let mut tasks = JoinSet::new();
    for (connection, source) in sources.into_iter().enumerate() {
        let (config, target, handles) = (config.clone(), target.clone(), handles.clone());
        let (stop, rng) = (stop.clone(), ChaCha8Rng::from_rng(&mut rng));
        match source {
            Source::Stream(name) => {
                let checkpoint = checkpoints.as_ref().and_then(|known| known.get(&name).copied());
                let source = stream_source(&config, name, &member);
                let store_answers = checkpoints.is_some();
                let reading = StreamReading { config, target, source, connection, handles, checkpoint, store_answers };
                tasks.spawn(read_stream(reading, stop, rng));
            }
            Source::Channels(channels) => {
                let mut ingest = Ingest::new(handles, connection, &config);
                tasks.spawn(async move { subscribe(&target, &channels, &mut ingest, stop, rng).await });
            }
        }
    }
    // Dropping the set ends the other connections.
    all_ended(&mut tasks).await
}

fn sources(config: &Config, target: &Target) -> Vec<Source> {
    let StreamArgs { stream, shards, .. } = &config.args.stream;
    if !target.is_cluster() {
        let channels = || Source::Channels(config.channels.clone());
        return vec![stream.clone().map_or_else(channels, Source::Stream)];
    }
    // Shards that hold none of the requested symbols are not read.
    let is_wanted = |shard: &u16| {
        let is_in_shard = |symbol: &Symbol| shard_of(symbol.as_str().as_bytes(), *shards) == *shard;
        config.symbols.is_empty() || config.symbols.iter().any(is_in_shard)
    };
    let shards: Vec<u16> = (0..*shards).filter(is_wanted).collect();
    let shards_of = |name: &str| shards.iter().map(|shard| shard_name(name, *shard)).collect::<Vec<_>>();
    match stream {
        Some(stream) => shards_of(stream).into_iter().map(Source::Stream).collect(),
        None => {
            let names = config.channels.iter().flat_map(|channel| shards_of(channel.name()));
            names.map(|name| Source::Channels(vec![Channel::Sharded(name)])).collect()
        }
    }
}

/// The stream `name` without regard to a database. `member` is the name in the group if the flags give none.
fn stream_source(config: &Config, name: String, member: &str) -> StreamSource {
    let args = &config.args.stream;
    let group = args.group.clone().map(|group| ConsumerGroup {
        dead_letters: format!("{name}:dead"),
        name: group,
        consumer: args.member.clone().unwrap_or_else(|| member.to_owned()),
        deliveries_max: args.max_deliveries,
    });
    StreamSource { stream: name, since: config.since.unwrap_or(SINCE_DEFAULT), group }
}

/// Last stored entry of each stream; `None` if the database does not answer in time.
async fn checkpoints(sources: &[Source], config: &Config, handles: &Handles) -> Option<HashMap<String, StreamId>> {
    // A group has its own position, which the server keeps.
    let is_group = config.args.stream.group.is_some();
    let Some(storage) = handles.storage.as_ref().filter(|_| !is_group) else { return Some(HashMap::new()) };
    let read_all = async {
        let mut known = HashMap::new();
        for source in sources {
            if let Source::Stream(name) = source
                && let Some(id) = storage.writer.checkpoint(name).await
            {
                known.insert(name.clone(), id);
            }
        }
        known
    };
    timeout(STORE_WAIT, read_all).await.ok()
}

/// Fills the series from the database, unless the stream fills them from further back anyway.
async fn restore(config: &Config, handles: &Handles) {
    let Some(store) = config.store.as_ref().filter(|_| config.since.is_none()) else { return };
    let (url, handles) = (store.url.clone(), handles.clone());
    let ticks_max = config.history.ticks_max;
    // The members of a group store different ticks in the same database.
    let is_only_writer = config.args.stream.group.is_none();
    let restoring = tokio::task::spawn_blocking(move || {
        match persistence::restore(&url, ticks_max, is_only_writer, &handles.series, &handles.feed, &handles.redraw) {
            Ok(0) => {}
            Ok(count) => info!("loaded {count} ticks from {url}"),
            Err(error) => warn!("cannot load ticks from the store, so the chart starts empty: {error}"),
        }
    });
    if timeout(STORE_WAIT, restoring).await.is_err() {
        info!("loading ticks from the store takes long; the chart starts without them and they appear later");
    }
}

/// One stream, or one shard of a stream.
struct StreamReading {
    config: Config,
    target: Target,
    source: StreamSource,
    /// Index of the connection.
    connection: usize,
    handles: Handles,
    /// Last stored entry, if any is known.
    checkpoint: Option<StreamId>,
    store_answers: bool,
}

async fn read_stream(
    reading: StreamReading,
    stop: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let StreamReading { config, target, mut source, connection, handles, mut checkpoint, store_answers } = reading;
    let stream: Arc<str> = source.stream.as_str().into();
    let new_ingest =
        |handles, in_group| StreamIngest::new(Ingest::new(handles, connection, &config), Arc::clone(&stream), in_group);
    if let (false, Some(storage)) = (store_answers, &handles.storage) {
        warn!("the store does not answer; ticks are displayed but not stored until it reports its position");
        let mut unstored = new_ingest(Handles { storage: None, ..handles.clone() }, false);
        let own_rng = ChaCha8Rng::from_rng(&mut rng);
        checkpoint = tokio::select! {
            id = storage.writer.checkpoint(&stream) => id,
            ended = client::read_stream(&target, &source, &mut unstored, stop.clone(), own_rng) => return ended,
        };
    }
    if let Some(id) = checkpoint {
        source.since = no_later_than(config.since, id, Timestamp::now());
    }
    let mut ingest = new_ingest(handles, source.group.is_some());
    client::read_stream(&target, &source, &mut ingest, stop, rng).await
}

/// Start position that skips no entry after the stored entry `id`: the requested one, or directly after `id` if that is
/// earlier.
fn no_later_than(requested: Option<Since>, id: StreamId, now: Timestamp) -> Since {
    let requested_id = match requested {
        None => return Since::After(id),
        Some(Since::Start) => return Since::Start,
        Some(Since::At(at)) => at,
        Some(Since::After(after)) => after,
        Some(Since::Ago(time)) => {
            let now_ms = (now.as_nanos() / 1_000_000) as u64;
            StreamId { ms: now_ms.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)), seq: 0 }
        }
    };
    if requested_id <= id { requested.unwrap_or(Since::After(id)) } else { Since::After(id) }
}

/// Writer of one stream's entries into the series and the database.
struct StreamIngest {
    ingest: Ingest,
    stream: Arc<str>,
    in_group: bool,
    /// Highest ticket committed by the database. Without one, all tickets are 0 and count as committed.
    committed: Option<watch::Receiver<u64>>,
    /// JSON of the entries that have no field of JSON.
    json: Vec<u8>,
}

impl StreamIngest {
    fn new(ingest: Ingest, stream: Arc<str>, in_group: bool) -> Self {
        let committed = ingest.handles.storage.as_ref().map(|storage| storage.writer.committed());
        Self { ingest, stream, in_group, committed, json: Vec::new() }
    }
}

/// Location of an entry's JSON.
enum Payload<'a> {
    Borrowed(&'a [u8]),
    /// Range in [`StreamIngest::json`].
    Encoded(std::ops::Range<usize>),
}

impl EntryHandler for StreamIngest {
    fn on_entries(&mut self, entries: &[Entry<'_>]) -> Accepted {
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        let payloads: Vec<Payload<'_>> = entries.iter().map(|entry| payload(entry, &mut json)).collect();
        let messages = entries.iter().zip(&payloads).map(|(entry, payload)| {
            let bytes = match payload {
                Payload::Borrowed(bytes) => bytes,
                Payload::Encoded(range) => &json[range.clone()],
            };
            let channel = self.stream.as_bytes();
            (Some(entry.id), Message::Payload { channel, payload: bytes })
        });
        let mut without_tick: Vec<StreamId> = Vec::new();
        self.ingest.append(messages, &mut without_tick);
        self.json = json;
        let ticket = match &self.ingest.handles.storage {
            Some(storage) => {
                let last = entries.last().map(|entry| entry.id).filter(|_| !self.in_group);
                storage.put(&self.stream, std::mem::take(&mut self.ingest.rows), last)
            }
            None => 0,
        };
        if !self.in_group {
            without_tick.clear();
        }
        Accepted { ticket, rejected: without_tick.into_iter().map(|id| (id, "it holds no tick")).collect() }
    }

    fn on_trimmed(&mut self, count: u64) {
        self.ingest.handles.feed.counters.trimmed.fetch_add(count, Ordering::Relaxed);
        self.ingest.handles.redraw.request();
    }

    fn on_dead_letters(&mut self, count: u64) {
        self.ingest.handles.feed.counters.dead_letters.fetch_add(count, Ordering::Relaxed);
        self.ingest.handles.redraw.request();
    }

    fn on_link(&mut self, state: LinkState) {
        self.ingest.set_connection(state, true);
    }

    async fn ready(&mut self) {
        if let Some(storage) = &self.ingest.handles.storage {
            storage.writer.room().await;
        }
    }

    fn committed(&self) -> u64 {
        self.committed.as_ref().map_or(0, |committed| *committed.borrow())
    }

    async fn commit_progress(&mut self) {
        if let Some(committed) = &mut self.committed
            && committed.changed().await.is_ok()
        {
            return;
        }
        // Without a database, or with a closed one, nothing more is committed.
        std::future::pending::<()>().await;
    }
}

/// JSON of an entry: the field `tick`, or a single field that looks like JSON, or else all fields as one object.
fn payload<'a>(entry: &Entry<'a>, json: &mut Vec<u8>) -> Payload<'a> {
    if let Some((_, value)) = entry.fields.iter().find(|(name, _)| *name == TICK_FIELD) {
        return Payload::Borrowed(value);
    }
    if let [(_, value @ [b'{' | b'[', ..])] = entry.fields[..] {
        return Payload::Borrowed(value);
    }
    let start = json.len();
    write_fields(json, &entry.fields);
    Payload::Encoded(start..json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_starts_no_later_than_behind_the_checkpoint() {
        let id = |ms| StreamId { ms, seq: 0 };
        let now = Timestamp::from_nanos(100_000_000_000).unwrap();
        let since = |requested, ms| no_later_than(requested, id(ms), now);
        assert_eq!(since(None, 50_000), Since::After(id(50_000)));
        assert_eq!(since(Some(Since::Start), 50_000), Since::Start);
        let ago = Some(Since::Ago(Duration::from_secs(30)));
        assert_eq!(since(ago, 50_000), Since::After(id(50_000)), "the store ends earlier");
        assert_eq!(since(ago, 90_000), Since::Ago(Duration::from_secs(30)));
        assert_eq!(since(Some(Since::At(id(7))), 6), Since::After(id(6)));
        assert_eq!(since(Some(Since::At(id(7))), 7), Since::At(id(7)));
    }
}

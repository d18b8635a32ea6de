//! Publishers and readers of a simulation: the library's sessions with small stores and series maps around them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tickscope::client::{
    Accepted, Channel, ConsumerGroup, DeliveryReport, Destination, Entry, EntryHandler, LinkState, Message,
    MessageBatch, MessageHandler, OutputStream, OverflowPolicy, RetryLog, SendQueue, Since, StreamSource, publish,
    read_stream, subscribe,
};
use tickscope::model::{Price, StreamId, Symbol, Tick, Timestamp};
use tickscope::series::{HistoryLimits, SeriesMap, SeriesMapConfig};
use tickscope::spool::Batch;
use tokio::sync::watch;

use super::plan::{Plan, Scenario};
use super::servers::{Trace, What, target};

pub const STREAM: &str = "ticks";
pub const CHANNEL: &str = "stock_prices";
pub const GROUP: &str = "g";

/// Number of messages of each publisher after the last fault.
pub const LAST_MESSAGES: u64 = 5;

/// Delay from the end of the last fault to these messages.
pub const LAST_AFTER: Duration = Duration::from_secs(6);

/// Capacity of a publisher's queue in messages.
const QUEUE: usize = 64;

/// Maximum number of batches that wait for a store.
const WAITING_MAX: u64 = 4;

/// Parameters of one actor.
#[derive(Clone)]
pub struct Part {
    pub who: &'static str,
    pub plan: Arc<Plan>,
    pub trace: Trace,
    pub stop: watch::Receiver<bool>,
}

impl Part {
    fn rng(&self) -> ChaCha8Rng {
        let mark = self.who.bytes().fold(0_u64, |mark, byte| mark.wrapping_mul(257).wrapping_add(u64::from(byte)));
        ChaCha8Rng::seed_from_u64(self.plan.seed ^ mark)
    }
}

/// Publishes all messages of the plan, and adds its delivery report to `accounts`.
pub async fn publisher(part: Part, accounts: Arc<Mutex<Vec<DeliveryReport>>>) -> turmoil::Result {
    let outbox = SendQueue::new(QUEUE);
    let stream = (part.plan.scenario != Scenario::Listen).then(|| OutputStream { name: STREAM.to_owned(), maxlen: 0 });
    let topic = Destination { channel: CHANNEL.to_owned(), stream, sharded: false };
    let target = target(part.who, &part.trace);
    let feed = async {
        for seq in 1..=part.plan.messages + LAST_MESSAGES {
            if seq == part.plan.messages + 1 {
                let due = part.plan.healed + LAST_AFTER;
                tokio::time::sleep(due.saturating_sub(turmoil::sim_elapsed().unwrap_or_default())).await;
            }
            let mut batch = Batch::default();
            batch.set_first_number(seq);
            let time_ms = turmoil::sim_elapsed().unwrap_or_default().as_millis();
            batch.push(None, |out| out.extend_from_slice(format!("{} {seq} {time_ms}", part.who).as_bytes()));
            outbox.push(&mut batch, OverflowPolicy::Wait).await;
            tokio::time::sleep(part.plan.pace).await;
        }
        outbox.close();
    };
    let publishing = publish(&target, &topic, &outbox, None, RetryLog::shared(), part.rng());
    let (published, ()) = tokio::join!(publishing, feed);
    published?;
    let account = outbox.report();
    // Of the statistics, only the reconnects are traced: others contain real times, which differ between runs.
    part.trace.note(part.who, What::Said(format!("{account:?}, {} reconnects", outbox.stats().reconnects)));
    accounts.lock().unwrap().push(account);
    Ok(())
}

/// `source seq time_ms`
fn read(payload: &[u8]) -> (String, u64, i64) {
    let text = std::str::from_utf8(payload).expect("payloads are texts");
    let mut words = text.split(' ');
    let mut word = || words.next().expect("a payload has three words");
    (word().to_owned(), word().parse().expect("a number"), word().parse().expect("a time"))
}

/// A store. Its contents survive a crash of its process.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Number of commits of each sequence number, by source.
    pub rows: BTreeMap<(String, u64), u32>,
    /// Number of commits of each entry, by id.
    pub ids: BTreeMap<StreamId, u32>,
    pub checkpoint: Option<StreamId>,
    /// Entries that readers reported as trimmed.
    pub trimmed: u64,
    /// Violated invariants.
    pub faults: Vec<String>,
}

struct Waiting {
    ticket: u64,
    rows: Vec<(StreamId, String, u64)>,
}

/// Reads the stream, alone or in a group, until it is stopped.
pub async fn stream_reader(part: Part, shelf: Arc<Mutex<Shelf>>) -> turmoil::Result {
    let in_group = part.plan.scenario == Scenario::Share;
    let checkpoint = shelf.lock().unwrap().checkpoint;
    let group = in_group.then(|| ConsumerGroup {
        name: GROUP.to_owned(),
        consumer: part.who.to_owned(),
        deliveries_max: 1_000,
        dead_letters: format!("{STREAM}:dead"),
    });
    let since = checkpoint.map_or(Since::Start, Since::After);
    let following = StreamSource { stream: STREAM.to_owned(), since, group };
    let (hand_over, mut handed) = tokio::sync::mpsc::unbounded_channel::<Waiting>();
    let committed = watch::Sender::new(0);
    let mut reader = StreamReader {
        who: part.who,
        trace: part.trace.clone(),
        shelf: Arc::clone(&shelf),
        in_group,
        hand_over,
        ticket: 0,
        committed: committed.subscribe(),
        newest: checkpoint,
    };
    let commit = part.plan.commit;
    let (who, trace) = (part.who, part.trace.clone());
    let keeping = async move {
        while let Some(waiting) = handed.recv().await {
            tokio::time::sleep(commit).await;
            let mut shelf = shelf.lock().unwrap();
            for (id, source, seq) in waiting.rows {
                *shelf.ids.entry(id).or_default() += 1;
                *shelf.rows.entry((source, seq)).or_default() += 1;
                shelf.checkpoint = shelf.checkpoint.max(Some(id));
            }
            trace.note(who, What::Committed(waiting.ticket));
            committed.send_replace(waiting.ticket);
        }
    };
    let keeper = tokio::task::spawn_local(keeping);
    let target = target(part.who, &part.trace);
    read_stream(&target, &following, &mut reader, part.stop.clone(), part.rng()).await?;
    drop(reader);
    keeper.await?;
    Ok(())
}

struct StreamReader {
    who: &'static str,
    trace: Trace,
    shelf: Arc<Mutex<Shelf>>,
    in_group: bool,
    hand_over: tokio::sync::mpsc::UnboundedSender<Waiting>,
    ticket: u64,
    committed: watch::Receiver<u64>,
    /// Highest id received since the start of the process or already stored.
    newest: Option<StreamId>,
}

impl EntryHandler for StreamReader {
    fn on_entries(&mut self, entries: &[Entry<'_>]) -> Accepted {
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            if !self.in_group && self.newest >= Some(entry.id) {
                let fault = format!("{} got {} after {:?}", self.who, entry.id, self.newest);
                self.shelf.lock().unwrap().faults.push(fault);
            }
            self.newest = self.newest.max(Some(entry.id));
            let (source, seq, _) = read(entry.fields[0].1);
            rows.push((entry.id, source, seq));
        }
        let first = rows.first().map(|(id, ..)| id.to_string()).unwrap_or_default();
        self.trace.note(self.who, What::Came(rows.len(), first));
        self.ticket += 1;
        // The receiver lives as long as this sender.
        drop(self.hand_over.send(Waiting { ticket: self.ticket, rows }));
        Accepted { ticket: self.ticket, rejected: Vec::new() }
    }

    fn on_trimmed(&mut self, count: u64) {
        self.shelf.lock().unwrap().trimmed += count;
    }

    fn on_dead_letters(&mut self, count: u64) {
        self.shelf.lock().unwrap().faults.push(format!("{} has buried {count} entries", self.who));
    }

    fn on_link(&mut self, state: LinkState) {
        note_link(self.who, &self.trace, state);
    }

    async fn ready(&mut self) {
        let ticket = self.ticket;
        // An error means that the store has stopped, and then no more batches are sent either.
        drop(self.committed.wait_for(|committed| ticket - committed < WAITING_MAX).await);
    }

    fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    async fn commit_progress(&mut self) {
        if self.committed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn note_link(who: &'static str, trace: &Trace, state: LinkState) {
    match state {
        LinkState::Connecting => {}
        LinkState::Live => trace.note(who, What::Live),
        LinkState::Down(why) => trace.note(who, What::Down(why)),
    }
}

/// Messages that a subscriber received, and the series built from them.
pub struct Heard {
    pub book: SeriesMap,
    /// Number of receptions of each sequence number, by source.
    pub numbers: BTreeMap<String, BTreeMap<u64, u32>>,
}

impl Default for Heard {
    fn default() -> Self {
        let history = HistoryLimits { ticks_max: 1_000_000, age_ns_max: None };
        let config = SeriesMapConfig { symbols: Vec::new(), symbols_max: 16, history };
        Self { book: SeriesMap::new(config), numbers: BTreeMap::new() }
    }
}

/// Subscribes until it is stopped.
pub async fn listener(part: Part, heard: Arc<Mutex<Heard>>) -> turmoil::Result {
    let mut feed = Listener { who: part.who, trace: part.trace.clone(), heard };
    let channels = [Channel::parse(CHANNEL)];
    let target = target(part.who, &part.trace);
    subscribe(&target, &channels, &mut feed, part.stop.clone(), part.rng()).await?;
    Ok(())
}

struct Listener {
    who: &'static str,
    trace: Trace,
    heard: Arc<Mutex<Heard>>,
}

impl MessageHandler for Listener {
    fn on_messages(&mut self, delivery: &mut MessageBatch<'_>) {
        let mut heard = self.heard.lock().unwrap();
        let mut came: VecDeque<String> = VecDeque::new();
        for incoming in delivery {
            let Message::Payload { payload, .. } = incoming else { continue };
            let (source, seq, time_ms) = read(payload);
            let arrival = Timestamp::from_nanos(time_ms * 1_000_000).expect("a time after 1970");
            let tick = Tick {
                symbol: Symbol::new("A").expect("a symbol"),
                price: Price::new(seq as f64).expect("a price"),
                timestamp: arrival,
                size: None,
                seq: Some(seq),
                source: Some(source.as_str().into()),
            };
            heard.book.append(&tick, arrival);
            *heard.numbers.entry(source.clone()).or_default().entry(seq).or_default() += 1;
            came.push_back(format!("{source} {seq}"));
        }
        if let Some(first) = came.front() {
            self.trace.note(self.who, What::Came(came.len(), first.clone()));
        }
    }

    fn on_cut_off(&mut self) {
        self.trace.note(self.who, What::Said("cut off".to_owned()));
    }

    fn on_link(&mut self, state: LinkState) {
        note_link(self.who, &self.trace, state);
    }
}

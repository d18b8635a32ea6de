//! Stream reader: reads every entry of a stream in order, over all losses of the connection.
//!
//! A stream is read by id, so a lost connection loses nothing: the next one continues after the last entry that was
//! passed on. A reader cannot be disconnected as a slow consumer; it applies back-pressure by pausing its reads.
//! Entries that the stream trims before they are read are lost; [`trim_detector`] counts them.
//!
//! [`consumer_group`] shares a stream among the consumers of a [`ConsumerGroup`].

mod consumer_group;
mod entry;
mod read_cursor;
mod read_limits;
mod trim_detector;

pub use consumer_group::ConsumerGroup;
pub use entry::Entry;

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use redis::streams::StreamReadOptions;
use redis::{Cmd, Value};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::client::connection::Connection;
use crate::client::discovery::Discovery;
use crate::client::error::{SessionError, SessionResult};
use crate::client::reconnect::{LinkState, RetryLog, Session, SessionProgress, run_with_reconnect, stopped};
use crate::client::slow_consumer::run_id;
use crate::client::timeouts::BLOCK_TIMEOUT;
use crate::client::{ClientError, Target};
use crate::model::{StreamId, display_safe};
use consumer_group::Consumer;
use entry::{first_id, read_entries};
use read_cursor::ReadCursor;
use read_limits::ReadLimits;
use trim_detector::{StreamState, Trimmed};

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-consumer";

/// Start position in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The first entry of the stream.
    Start,
    /// The first entry that is no older than this, by the server's clock.
    Ago(Duration),
    /// The entry of this id, or the next one.
    At(StreamId),
    /// The next entry after this id.
    After(StreamId),
}

/// Stream to read.
#[derive(Debug, Clone)]
pub struct StreamSource {
    /// Key of the stream.
    pub stream: String,
    /// Start position; for a consumer group, the position at which it is created.
    pub since: Since,
    /// Consumer group that shares the stream; `None` to read all entries.
    pub group: Option<ConsumerGroup>,
}

/// Acknowledgement of entries by an [`EntryHandler`].
#[derive(Debug, Default)]
pub struct Accepted {
    /// The entries are committed once [`EntryHandler::committed`] reaches this number. Tickets never decrease.
    pub ticket: u64,
    /// Entries that cannot be processed, with the reason.
    pub rejected: Vec<(StreamId, &'static str)>,
}

/// Receiver of a stream's entries.
pub trait EntryHandler: Send {
    /// Receives entries in order.
    fn on_entries(&mut self, entries: &[Entry<'_>]) -> Accepted;

    /// Reports that the stream trimmed `count` entries before they were read.
    fn on_trimmed(&mut self, count: u64);

    /// Reports that `count` entries were moved to the dead letters.
    fn on_dead_letters(&mut self, count: u64);

    /// Reports a change of the connection's state. A stream that is live again has skipped no entry.
    fn on_link(&mut self, state: LinkState);

    /// Resolves when there is room for more entries.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;

    /// Highest ticket whose entries are committed.
    fn committed(&self) -> u64;

    /// Resolves when [`committed`](Self::committed) may have increased.
    fn commit_progress(&mut self) -> impl Future<Output = ()> + Send;
}

/// Reads `source` until `shutdown` turns true, and reconnects after each loss.
///
/// # Errors
/// An error that another attempt cannot resolve, before the first success only: later, every error is retried.
pub async fn read_stream(
    target: &Target,
    source: &StreamSource,
    handler: &mut impl EntryHandler,
    shutdown: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let discovery = Discovery::new(target, source.stream.as_bytes(), &mut rng);
    let (stop, log) = (stopped(shutdown), RetryLog::single());
    if let Some(group) = &source.group {
        run_with_reconnect(&mut Consumer::new(source, group, handler), discovery, stop, &log, rng).await
    } else {
        let mut reader = StreamReader {
            source,
            handler,
            progress: SessionProgress::default(),
            cursor: ReadCursor::default(),
            limits: ReadLimits::default(),
        };
        run_with_reconnect(&mut reader, discovery, stop, &log, rng).await
    }
}

struct StreamReader<'a, H> {
    source: &'a StreamSource,
    handler: &'a mut H,
    progress: SessionProgress,
    cursor: ReadCursor,
    limits: ReadLimits,
}

impl<H: EntryHandler> Session for StreamReader<'_, H> {
    async fn run(&mut self, discovery: &mut Discovery) -> SessionResult {
        let mut connection = discovery.connect(CLIENT_NAME).await?;
        let stream = &self.source.stream;
        let run_id = run_id(&connection.info(Some("server")).await?);
        let state = self.limits.stream_state(&mut connection, stream).await?;
        self.resume(&mut connection, run_id, &state).await?;
        self.check_trimmed(&state);
        // The stream must be readable; it need not have entries.
        let one = StreamReadOptions::default().count(1);
        connection.query::<Value>(&Cmd::xread_options(&[stream], &["$"], &one)).await?;
        discovery.confirm();
        info!("reading the stream {} at {}", display_safe(stream), discovery.endpoint());
        self.set_live();
        loop {
            while timeout(BLOCK_TIMEOUT, self.handler.ready()).await.is_err() {
                // Verifies that the server is alive.
                connection.request(&redis::cmd("PING")).await?;
            }
            self.read_once(&mut connection).await?;
        }
    }

    fn progress(&mut self) -> &mut SessionProgress {
        &mut self.progress
    }

    fn on_link(&mut self, state: LinkState) {
        self.handler.on_link(state);
    }
}

impl<H: EntryHandler> StreamReader<'_, H> {
    /// Sets the position on a new connection.
    async fn resume(
        &mut self,
        connection: &mut Connection,
        run_id: Option<String>,
        state: &StreamState,
    ) -> SessionResult {
        let cursor = &mut self.cursor;
        let is_absent = state.last == StreamId::START;
        if cursor.last_read.is_none() {
            cursor.last_read = Some(start_id(self.source.since, connection).await?);
            cursor.has_read = matches!(self.source.since, Since::After(_));
            warn_if_trimmed_while_away(self.source, state);
        } else if cursor.run_id.is_some() && cursor.run_id != run_id && !is_absent {
            cursor.rewind(state);
        }
        cursor.was_absent |= cursor.has_read && is_absent;
        cursor.run_id = run_id.or(cursor.run_id.take());
        Ok(())
    }

    /// Compares the stream's state with the entries read, and reports those that are missing.
    fn check_trimmed(&mut self, state: &StreamState) {
        let Some(Trimmed { entries, is_exact }) = self.cursor.check(state) else { return };
        if is_exact {
            return report_trimmed(self.handler, &self.source.stream, entries);
        }
        let stream = display_safe(&self.source.stream);
        let lost = if entries > 0 { format!("at least {entries} entries are") } else { "entries may be".to_owned() };
        warn!("the stream {stream} was trimmed beyond the last entry read: {lost} lost; raise --maxlen to keep more");
        self.handler.on_trimmed(entries);
    }

    /// Reads the next entries. From time to time, the stream's state is requested together with them: a reader at the
    /// end of the stream then knows it, however fast the stream grows.
    async fn read_once(&mut self, connection: &mut Connection) -> SessionResult {
        let (stream, cursor) = (&self.source.stream, self.cursor.last_read.unwrap_or_default());
        let (options, checks_state) = self.limits.next_read(BLOCK_TIMEOUT);
        let mut commands = vec![Cmd::xread_options(&[stream], &[cursor.to_string()], &options)];
        if checks_state {
            commands.push(Cmd::xinfo_stream(stream));
        }
        match connection.request_all(&commands).await {
            Err(error @ SessionError::ReplyTooLong(_)) => {
                if checks_state {
                    // Either reply may be the long one. The next read is sent alone.
                    self.limits.pause_state_after(&error);
                } else if !self.limits.shrink()
                    && let Some(id) = first_id(connection.received(), cursor)
                {
                    warn!("skipped the entry {id} of {}, which is too long", display_safe(stream));
                    self.cursor.advance(id);
                    self.cursor.trim_detector.count_read(1);
                    self.handler.on_trimmed(1);
                }
                return Err(error);
            }
            sent => sent?,
        }
        self.limits.grow();
        let mut replies = connection.replies();
        let mut entries = read_entries(replies.next().unwrap_or_default(), &connection.endpoint)?;
        self.cursor.trim_detector.count_read(entries.len() as u64);
        entries.retain(|entry| self.cursor.advance(entry.id));
        if !entries.is_empty() {
            self.progress.has_delivered = true;
            self.handler.on_entries(&entries);
        }
        if let Some(reply) = replies.next() {
            self.check_trimmed(&StreamState::parse(reply, &connection.endpoint)?);
        }
        Ok(())
    }
}

/// Warns if the stream may have been trimmed beyond the start position while no reader was connected. It does not
/// report how many entries were lost.
fn warn_if_trimmed_while_away(source: &StreamSource, state: &StreamState) {
    let Since::After(id) = source.since else { return };
    if state.first.is_some_and(|first| first > id) && state.added.is_none_or(|added| added > state.length) {
        let stream = display_safe(&source.stream);
        warn!("the stream {stream} was trimmed while it was not read: entries after {id} may be lost");
    }
}

/// Returns the id after which reading starts.
async fn start_id(since: Since, connection: &mut Connection) -> SessionResult<StreamId> {
    Ok(match since {
        Since::Start => StreamId::START,
        Since::After(id) => id,
        Since::At(id) => id.before(),
        Since::Ago(age) => {
            let (seconds, micros): (u64, u64) = connection.query(&redis::cmd("TIME")).await?;
            let now_ms = seconds * 1_000 + micros / 1_000;
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            StreamId { ms: now_ms.saturating_sub(age_ms), seq: 0 }.before()
        }
    })
}

/// Reports that the stream trimmed `count` entries before they were read.
fn report_trimmed(handler: &mut impl EntryHandler, stream: &str, count: u64) {
    let stream = display_safe(stream);
    warn!("the stream {stream} gave up {count} entries before they were read; raise --maxlen to keep more");
    handler.on_trimmed(count);
}

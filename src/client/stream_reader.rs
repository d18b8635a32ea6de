//! Reading a stream to its end and on, without a gap, whatever happens to the connection.
//!
//! A stream is read from an id on, so a lost connection loses nothing: the next one asks for what comes behind the last
//! entry that was handed on. Nothing is published to this reader that it could miss; it can never be cut off, and a
//! reader that stops asking is backpressure enough. What can be lost is what the stream itself gave up before it was
//! read, and that is counted: see [`tally`].
//!
//! With a [`Group`] the stream is shared: see [`group`].

mod commands;
mod consumer_group;
mod dead_letter;
mod entry;
mod trim_detector;

pub use consumer_group::Group;
pub use entry::Entry;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::client::connection::{ANSWER_TIMEOUT, Dialogue};
use crate::client::discovery::Locator;
use crate::client::error::Cause;
use crate::client::reconnect::{LinkState, Reached, Session, keep_up};
use crate::client::slow_consumer::field;
use crate::client::{ClientError, Target};
use crate::model::{StreamId, display_safe};
use crate::resp::value::Value;
use commands::Asks;
use trim_detector::{Loss, State, Tally};

/// Entries asked for at a time: a few hundred kB as ticks come, so that neither the journey nor the buffer weighs.
const ENTRIES_MAX: usize = 2_048;

/// How long the server waits for the next entry before it says that there is none. Its word tells that it is alive.
const BLOCK: Duration = Duration::from_secs(1);

/// A server that has not answered for this long, though it should have within [`BLOCK`], is gone. Users are promised to
/// see it within 3 s.
const BLOCKED_ANSWER_MAX: Duration = Duration::from_millis(2_500);

/// How often the stream's own figures are held against what was read.
const TALLY_EVERY: Duration = Duration::from_secs(1);

/// How long a stream is not asked how it stands after its answer was too long: whoever reads on comes back for it.
const QUIET: Duration = Duration::from_mins(1);

/// Ids that are remembered, 1 MB: what is read again after a master died is told from what is new by them.
const RECENT_MAX: usize = 65_536;

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-consumer";

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// With the first entry that there is.
    Start,
    /// With entries that are as old, by the server's clock.
    Ago(Duration),
    /// With the entry of this id, or the next one.
    At(StreamId),
    /// Behind the entry of this id.
    After(StreamId),
}

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct Following {
    /// The stream's key.
    pub stream: String,
    /// Where reading begins; for a group, where it begins when it is made.
    pub since: Since,
    /// Shares the stream with others.
    pub group: Option<Group>,
}

/// What became of entries that were handed on.
#[derive(Debug, Default)]
pub struct Handled {
    /// They are dealt with for good once [`Reader::committed`] has reached this. Numbers never fall.
    pub ticket: u64,
    /// Entries that will never be understood, and why.
    pub failed: Vec<(StreamId, &'static str)>,
}

/// Who reads.
pub trait Reader: Send {
    /// Takes entries, in order. What it leaves is lost.
    fn take(&mut self, entries: &[Entry<'_>]) -> Handled;

    /// So many entries were given up by the stream before they were read.
    fn trimmed(&mut self, count: u64);

    /// So many entries were moved to the dead letters.
    fn buried(&mut self, count: u64);

    /// The connection's state has changed. A stream that is live again has no gap.
    fn link(&mut self, state: LinkState);

    /// Resolves when there is room for more.
    fn room(&mut self) -> impl Future<Output = ()> + Send;

    /// The highest ticket that is dealt with for good.
    fn committed(&self) -> u64;

    /// Resolves when [`committed`](Self::committed) may have grown beyond what it was.
    fn progress(&mut self) -> impl Future<Output = ()> + Send;
}

/// Reads `following` until `shutdown` turns true, coming back after every loss.
///
/// # Errors
/// Only what trying again cannot mend, and only before the first success: later, everything is retried.
pub async fn follow(
    target: &Target,
    following: &Following,
    reader: &mut impl Reader,
    mut shutdown: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let locator = Locator::new(target, following.stream.as_bytes(), &mut rng);
    if let Some(group) = &following.group {
        return consumer_group::share(target, following, group, reader, locator, shutdown, rng).await;
    }
    let mut stream = Stream { following, reader, place: Place::default(), link: Connected::default() };
    keep_up(&mut stream, locator, &mut shutdown, rng).await
}

/// What both ways of reading know about their connection.
#[derive(Debug, Default)]
struct Connected {
    asked_for_tls: bool,
    live_since: Option<Instant>,
    has_delivered: bool,
    /// Entries asked for at a time, if less than [`ENTRIES_MAX`]: they were too long together.
    entries_max: Option<usize>,
    /// Until then the stream is not asked how it stands.
    quiet_until: Option<Instant>,
}

impl Connected {
    fn take_reached(&mut self) -> Reached {
        let has_delivered = std::mem::take(&mut self.has_delivered);
        Reached { live_since: self.live_since.take(), has_delivered }
    }

    fn entries_max(&self) -> usize {
        self.entries_max.unwrap_or(ENTRIES_MAX)
    }

    async fn open(&mut self, locator: &mut Locator) -> Result<Dialogue, Cause> {
        let endpoint = locator.locate().await?;
        let mut dialogue = Dialogue::open(&endpoint, CLIENT_NAME, &mut self.asked_for_tls).await?;
        if locator.wants_master() {
            let question = redis::cmd("INFO").arg("replication").get_packed_command();
            let answer = dialogue.ask(&question, ANSWER_TIMEOUT).await?;
            if field(answer.text().unwrap_or_default(), "role") == Some("slave") {
                return Err(Cause::Passing(format!("{endpoint} is not the master any more")));
            }
        }
        Ok(dialogue)
    }

    /// How the stream stands, as far as it may be asked.
    async fn state(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue) -> Result<State, Cause> {
        if !self.may_ask() {
            return Ok(State::UNKNOWN);
        }
        let told = asks.state(dialogue).await;
        self.note_answer(&told);
        told
    }

    fn may_ask(&self) -> bool {
        self.quiet_until.is_none_or(|until| until <= Instant::now())
    }

    /// A stream tells its first and its last entry with how it stands: where these are too long to be held, it cannot
    /// be asked for a while.
    fn note_answer<T>(&mut self, answer: &Result<T, Cause>) {
        if matches!(answer, Err(Cause::TooLong(_))) {
            self.quiet_until = Some(Instant::now() + QUIET);
        }
    }

    fn live(&mut self, dialogue: &Dialogue, stream: &str) {
        info!("reading the stream {} at {}", display_safe(stream), dialogue.endpoint());
        self.live_since = Some(Instant::now());
    }

    /// After an answer that could be held: there may be more in the next one.
    fn ask_for_more(&mut self) {
        self.entries_max = self.entries_max.map(|max| max * 2).filter(|max| *max < ENTRIES_MAX);
    }

    /// After answers that were too long to be held: whether asking for less can help.
    fn ask_for_less(&mut self) -> bool {
        let before = self.entries_max();
        self.entries_max = Some((before / 8).max(1));
        before > 1
    }
}

/// How far a stream has been read.
#[derive(Debug, Default)]
struct Place {
    /// The last entry that was read; `None` before it is known where to begin.
    cursor: Option<StreamId>,
    /// Entries that were handed on last, in order of their ids.
    recent: VecDeque<StreamId>,
    tally: Tally,
    /// The run of the server that was read from.
    run: Option<String>,
    /// Something was read, in this run of ours or in one before it.
    has_read: bool,
    /// There was no such stream at the last look, though there had been one.
    was_gone: bool,
}

impl Place {
    /// Notes an entry; whether it is new.
    fn note(&mut self, id: StreamId) -> bool {
        (self.cursor, self.has_read) = (Some(id), true);
        match self.recent.back() {
            Some(newest) if id <= *newest => {
                let Err(at) = self.recent.binary_search(&id) else { return false };
                // Older than all that is remembered: whether it was handed on is not known. Twice is what readers can
                // tell.
                self.recent.insert(at, id);
            }
            _ => self.recent.push_back(id),
        }
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        true
    }

    /// Reads what is remembered once more: another server may hold entries in between that the last one did not.
    fn rewind(&mut self, state: &State) {
        self.tally = Tally::default();
        self.cursor = match self.recent.front() {
            Some(oldest) if *oldest <= state.last => Some(oldest.before()),
            // Nothing of what was read is in there: it was made anew.
            _ if self.cursor.is_some_and(|cursor| state.last < cursor) => Some(StreamId::START),
            _ => self.cursor,
        };
    }

    /// Takes note of how the stream stands; what it has given up unread.
    fn look(&mut self, state: &State) -> Option<Loss> {
        let cursor = self.cursor?;
        if state.last == StreamId::START {
            // There is no such stream now. One that takes its place may have lower ids.
            self.tally = Tally::default();
            self.was_gone = self.has_read;
            return None;
        }
        if std::mem::take(&mut self.was_gone) {
            self.rewind(state);
            return None;
        }
        if state.last < cursor {
            // Where nothing was read yet, the stream has simply been quiet for longer than was asked for.
            if self.has_read {
                self.rewind(state);
            }
            return None;
        }
        self.tally.look(state, cursor)
    }
}

struct Stream<'a, R> {
    following: &'a Following,
    reader: &'a mut R,
    place: Place,
    link: Connected,
}

impl<R: Reader> Session for Stream<'_, R> {
    async fn run(&mut self, locator: &mut Locator) -> Result<Infallible, Cause> {
        self.read(locator).await
    }

    fn take_reached(&mut self) -> Reached {
        self.link.take_reached()
    }

    fn link(&mut self, state: LinkState) {
        self.reader.link(state);
    }
}

impl<R: Reader> Stream<'_, R> {
    async fn read(&mut self, locator: &mut Locator) -> Result<Infallible, Cause> {
        let mut dialogue = self.link.open(locator).await?;
        let run = run_of(&mut dialogue).await?;
        let asks = Asks { stream: &self.following.stream, asking: locator.is_asking() };
        let state = self.link.state(&asks, &mut dialogue).await?;
        if self.place.cursor.is_none() {
            self.place.cursor = Some(begin(self.following.since, &mut dialogue).await?);
            self.place.has_read = matches!(self.following.since, Since::After(_));
            self.tell_unread(&state);
        } else if self.place.run.is_some() && self.place.run != run && state.last != StreamId::START {
            self.place.rewind(&state);
        }
        self.place.was_gone |= self.place.has_read && state.last == StreamId::START;
        self.place.run = run.or(self.place.run.take());
        self.judge(&state);
        self.try_out(&asks, &mut dialogue).await?;
        locator.confirm();
        self.link.live(&dialogue, &self.following.stream);
        self.reader.link(LinkState::Live);
        let mut looked: Option<Instant> = None;
        loop {
            wait_for_room(self.reader, &mut dialogue).await?;
            let looks = self.link.may_ask() && looked.is_none_or(|at| at.elapsed() >= TALLY_EVERY);
            if looks {
                looked = Some(Instant::now());
            }
            self.read_once(&asks, &mut dialogue, looks).await?;
        }
    }

    /// Holds the stream's figures against what was read, and tells what is missing.
    fn judge(&mut self, state: &State) {
        let Some(Loss { entries, exact }) = self.place.look(state) else { return };
        if exact {
            warn_trimmed(&self.following.stream, entries);
        } else {
            let stream = display_safe(&self.following.stream);
            let gone =
                if entries > 0 { format!("at least {entries} entries are") } else { "entries may be".to_owned() };
            warn!(
                "the stream {stream} was trimmed to behind what was read last: {gone} gone unread; a larger --maxlen \
                 keeps them longer"
            );
        }
        self.reader.trimmed(entries);
    }

    /// Whether the stream may be read at all; an answer without entries is one.
    async fn try_out(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue) -> Result<(), Cause> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(1).arg("STREAMS").arg(asks.stream).arg("$");
        let server = dialogue.endpoint().clone();
        match asks.ask(dialogue, &command, ANSWER_TIMEOUT).await? {
            Value::Error(text) => Err(Cause::refused(&server, &String::from_utf8_lossy(text))),
            _ => Ok(()),
        }
    }

    /// Says so where the stream begins behind the place at which reading goes on: how much it gave up in between, while
    /// nobody read, it does not tell.
    fn tell_unread(&self, state: &State) {
        let Since::After(id) = self.following.since else { return };
        if state.first.is_some_and(|first| first > id) && state.added.is_none_or(|added| added > state.length) {
            let stream = display_safe(&self.following.stream);
            warn!("the stream {stream} has been trimmed while nobody read it: entries behind {id} may be gone unread");
        }
    }

    /// Reads what there is. With a look, the stream tells in the same breath how it stands: a reader that is at its end
    /// then knows it, however fast the stream grows.
    async fn read_once(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue, looks: bool) -> Result<(), Cause> {
        let cursor = self.place.cursor.unwrap_or_default();
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(self.link.entries_max());
        if !looks {
            command.arg("BLOCK").arg(BLOCK.as_millis() as u64);
        }
        command.arg("STREAMS").arg(asks.stream).arg(cursor.to_string());
        let commands = if looks { vec![command, asks.question()] } else { vec![command] };
        let server = dialogue.endpoint().clone();
        let answers = match asks.ask_all(dialogue, &commands, BLOCKED_ANSWER_MAX).await {
            // Which of the answers it was is not asked: alone, the entries will tell.
            Err(Cause::TooLong(text)) if looks => {
                self.link.quiet_until = Some(Instant::now() + QUIET);
                return Err(Cause::TooLong(text));
            }
            Err(Cause::TooLong(text)) => {
                if !self.link.ask_for_less()
                    && let Some(id) = entry::first_id(dialogue.heard(), cursor)
                {
                    warn!("the entry {id} of {} is too long and was passed over", display_safe(asks.stream));
                    self.place.note(id);
                    self.place.tally.read(1);
                    self.reader.trimmed(1);
                }
                return Err(Cause::TooLong(text));
            }
            Err(cause) => return Err(cause),
            Ok(answers) => answers,
        };
        let answer = answers.first().unwrap_or(&Value::Null);
        if let Value::Error(text) = answer {
            return Err(Cause::refused(&server, &String::from_utf8_lossy(text)));
        }
        self.link.ask_for_more();
        let mut entries = entry::entries(answer);
        self.place.tally.read(entries.len() as u64);
        entries.retain(|entry| self.place.note(entry.id));
        if !entries.is_empty() {
            self.link.has_delivered = true;
            self.reader.take(&entries);
        }
        if let Some(told) = answers.get(1) {
            self.judge(&State::told(&server, told)?);
        }
        Ok(())
    }
}

/// Waits until the reader has room, and sees to it meanwhile that the server is there.
async fn wait_for_room(reader: &mut impl Reader, dialogue: &mut Dialogue) -> Result<(), Cause> {
    while timeout(BLOCK, reader.room()).await.is_err() {
        dialogue.ask(&redis::cmd("PING").get_packed_command(), ANSWER_TIMEOUT).await?;
    }
    Ok(())
}

fn warn_trimmed(stream: &str, count: u64) {
    let stream = display_safe(stream);
    warn!("the stream {stream} gave up {count} entries before they were read; a larger --maxlen keeps them longer");
}

/// Which run of the server this is, where it tells.
async fn run_of(dialogue: &mut Dialogue) -> Result<Option<String>, Cause> {
    let info = dialogue.ask(&redis::cmd("INFO").arg("server").get_packed_command(), ANSWER_TIMEOUT).await?;
    let text = info.text().unwrap_or_default();
    Ok(field(text, "run_id").or_else(|| field(text, "process_id")).map(str::to_owned))
}

/// The id behind which reading begins.
async fn begin(since: Since, dialogue: &mut Dialogue) -> Result<StreamId, Cause> {
    Ok(match since {
        Since::Start => StreamId::START,
        Since::After(id) => id,
        Since::At(id) => id.before(),
        Since::Ago(time) => {
            let server = dialogue.endpoint().clone();
            let clock = dialogue.ask(&redis::cmd("TIME").get_packed_command(), ANSWER_TIMEOUT).await?;
            if let Value::Error(text) = clock {
                return Err(Cause::refused(&server, &String::from_utf8_lossy(text)));
            }
            let [seconds, micros] = clock.list() else { return Err(Cause::not_redis(&server)) };
            let ms = seconds.number().unwrap_or(0) * 1_000 + micros.number().unwrap_or(0) / 1_000;
            let ago_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            StreamId { ms: ms.saturating_sub(ago_ms), seq: 0 }.before()
        }
    })
}

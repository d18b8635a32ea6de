//! Sharing a stream: each entry goes to one member of a group, and to another one if that member dies.
//!
//! An entry that was handed to a member is pending until the member acknowledges it, which it does once the entry is
//! dealt with for good ([`Reader::committed`]). Each second a member renews its hold on what it still works on, and
//! takes over what nobody has renewed for [`IDLE_MAX`]: what a dead member left is with another one within 5 s. An
//! entry that was handed out too often, or cannot be understood, is moved to the dead letters with the reason, so that
//! it holds nobody up. What the stream gave up before a member had dealt with it is counted.

mod create_group;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::client::connection::{ANSWER_TIMEOUT, Dialogue};
use crate::client::discovery::Locator;
use crate::client::error::Cause;
use crate::client::error_advice::shown;
use crate::client::reconnect::{LinkState, Reached, Session, keep_up};
use crate::client::stream_reader::dead_letter::DeadLetter;
use crate::client::stream_reader::entry::{Entry, of_stream};
use crate::client::stream_reader::trim_detector::GroupTally;
use crate::client::stream_reader::{Asks, BLOCK, BLOCKED_ANSWER_MAX, Connected, Following, Reader, warn_trimmed};
use crate::client::{ClientError, Target};
use crate::model::{StreamId, display_safe};
use crate::resp::value::Value;

/// An entry that no member has renewed for this long is anyone's. Members renew each second, so that only one that is
/// gone, or has not run for two seconds, is taken for dead; with a look each second the next one has it within 5 s.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// How often a member renews what it works on, and looks for what others have left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Entries that a member works on at a time, at most: a second's worth for a fast store.
const OUTSTANDING_MAX: usize = 50_000;

/// Entries in one command that names them one by one.
const IDS_MAX: usize = 1_000;

/// How long the server may hold a reading back while there is something to acknowledge.
const BLOCK_SHORT: Duration = Duration::from_millis(50);

/// Dead letters between two renewals of what is held: each takes two journeys there and back.
const LETTERS_A_RENEWAL: usize = 64;

/// How long leaving may take: users are promised an end within a second.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(400);

/// A group, and this member of it.
#[derive(Debug, Clone)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// This member's name, which no other member may have.
    pub member: String,
    /// An entry that was handed out more often is moved to the dead letters.
    pub deliveries_max: u64,
    /// The stream of the dead letters.
    pub dead_letters: String,
}

/// Runs a member until `shutdown` turns true.
pub(super) async fn share(
    target: &Target,
    following: &Following,
    group: &Group,
    reader: &mut impl Reader,
    locator: Locator,
    mut shutdown: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let mut leaver = Locator::new(target, following.stream.as_bytes(), &mut rng);
    let link = Connected::default();
    let mut member = Member {
        following,
        group,
        reader,
        link,
        work: VecDeque::new(),
        held: HashSet::new(),
        claim_from: StreamId::START,
        oversized: None,
        handed: None,
        tally: GroupTally::default(),
    };
    keep_up(&mut member, locator, &mut shutdown, rng).await?;
    if timeout(LEAVE_TIMEOUT, member.leave(&mut leaver)).await.is_err() {
        debug!("the member {} could not take its leave in time", display_safe(&group.member));
    }
    leaver.end().await;
    Ok(())
}

/// Entries that were handed on together.
#[derive(Debug)]
struct Work {
    ticket: u64,
    ids: Vec<StreamId>,
    /// When the server was told last that this member holds them.
    renewed: Instant,
}

struct Member<'a, R> {
    following: &'a Following,
    group: &'a Group,
    reader: &'a mut R,
    link: Connected,
    /// In order of their tickets.
    work: VecDeque<Work>,
    /// The ids in `work`.
    held: HashSet<StreamId>,
    /// Where the next look for what others have left begins.
    claim_from: StreamId,
    /// An entry that is too long to be held.
    oversized: Option<StreamId>,
    /// The highest entry that this member was handed.
    handed: Option<StreamId>,
    tally: GroupTally,
}

impl<R: Reader> Session for Member<'_, R> {
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

impl<R: Reader> Member<'_, R> {
    async fn read(&mut self, locator: &mut Locator) -> Result<Infallible, Cause> {
        let mut dialogue = self.link.open(locator).await?;
        let asks = Asks { stream: &self.following.stream, asking: locator.is_asking() };
        self.join(&asks, &mut dialogue).await?;
        locator.confirm();
        if let Some(id) = self.oversized.take() {
            self.forget(&asks, &mut dialogue, &[id]).await?;
            warn!("the entry {id} of {} is too long and was passed over", display_safe(asks.stream));
            self.reader.trimmed(1);
        }
        self.take_up(&asks, &mut dialogue).await?;
        self.take_over(&asks, &mut dialogue).await?;
        // Only now: what a member must be allowed to do has been done once.
        self.link.live(&dialogue, &self.following.stream);
        self.reader.link(LinkState::Live);
        let mut looked = Instant::now();
        let mut tallied: Option<Instant> = None;
        loop {
            self.acknowledge(&asks, &mut dialogue).await?;
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                self.renew(&asks, &mut dialogue).await?;
                let has_room = timeout(Duration::ZERO, self.reader.room()).await.is_ok();
                if has_room && self.held.len() < OUTSTANDING_MAX {
                    self.take_over(&asks, &mut dialogue).await?;
                }
            }
            if self.held.len() >= OUTSTANDING_MAX {
                // It is no matter whether it was the store that moved or the time that passed.
                let _ = timeout(BLOCK_SHORT, self.reader.progress()).await;
                continue;
            }
            // Not for longer: a store that is full is no reason to be robbed of what waits for it.
            if timeout(BLOCK_SHORT, self.reader.room()).await.is_err() {
                continue;
            }
            let looks = self.link.may_ask() && tallied.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
            if looks {
                tallied = Some(Instant::now());
            }
            self.read_new(&asks, &mut dialogue, looks).await?;
        }
    }

    /// A command about the group: its verb, the stream, the group, and what follows.
    fn command(&self, verb: &str) -> redis::Cmd {
        let mut command = redis::cmd(verb);
        command.arg(&self.following.stream).arg(&self.group.name);
        command
    }

    /// Takes up what this member was handed and does not hold: in an earlier life, on a connection that was lost, or
    /// taken over from another. Looked up entry by entry: each other way to ask counts as handing out.
    async fn take_up(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue) -> Result<(), Cause> {
        let mut from = "-".to_owned();
        loop {
            loop {
                let has_room = timeout(BLOCK_SHORT, self.reader.room()).await.is_ok();
                self.acknowledge(asks, dialogue).await?;
                self.renew(asks, dialogue).await?;
                if has_room {
                    break;
                }
            }
            let mut command = self.command("XPENDING");
            command.arg(&from).arg("+").arg(self.link.entries_max()).arg(&self.group.member);
            let answer = ask(asks, dialogue, &command, ANSWER_TIMEOUT).await?;
            let pending = answer.list().iter().filter_map(|pending| {
                let [id, _, _, deliveries] = pending.list() else { return None };
                Some((StreamId::from_bytes(id.text()?)?, deliveries.number()?))
            });
            let pending: Vec<(StreamId, u64)> = pending.collect();
            let Some((last, _)) = pending.last() else { return Ok(()) };
            from = format!("({last}");
            let mine: BTreeMap<StreamId, u64> =
                pending.into_iter().filter(|(id, _)| !self.held.contains(id)).map(|(id, n)| (id, n + 1)).collect();
            if !mine.is_empty() {
                self.deal_with(asks, dialogue, &mine).await?;
            }
        }
    }

    /// Hands on those of the entries that were not handed out too often, and buries the rest.
    async fn deal_with(
        &mut self,
        asks: &Asks<'_>,
        dialogue: &mut Dialogue,
        deliveries: &BTreeMap<StreamId, u64>,
    ) -> Result<(), Cause> {
        let ids: Vec<StreamId> = deliveries.keys().copied().collect();
        let found = self.look_up(asks, dialogue, &ids).await?;
        let there: HashSet<StreamId> = found.iter().map(|letter| letter.id).collect();
        let gone: Vec<StreamId> = ids.into_iter().filter(|id| !there.contains(id)).collect();
        if !gone.is_empty() {
            self.tell_trimmed(gone.len());
            self.forget(asks, dialogue, &gone).await?;
        }
        let count = |id| deliveries.get(&id).copied().unwrap_or(1);
        for n in deliveries.values().copied().collect::<BTreeSet<u64>>() {
            let ids: Vec<StreamId> = found.iter().map(|letter| letter.id).filter(|id| count(*id) == n).collect();
            self.hold(asks, dialogue, &ids, Some(n)).await?;
        }
        let (tired, fresh): (Vec<&DeadLetter>, Vec<&DeadLetter>) =
            found.iter().partition(|letter| count(letter.id) > self.group.deliveries_max);
        let fresh: Vec<Entry<'_>> = fresh.into_iter().map(DeadLetter::entry).collect();
        let mut failed = self.hand_on(&fresh);
        failed.extend(tired.into_iter().map(|letter| {
            let deliveries = count(letter.id);
            DeadLetter { reason: "handed out too often", deliveries, ..letter.clone() }
        }));
        self.bury(asks, dialogue, &failed).await
    }

    /// The entries of these ids, as far as the stream still holds them.
    async fn look_up(
        &mut self,
        asks: &Asks<'_>,
        dialogue: &mut Dialogue,
        ids: &[StreamId],
    ) -> Result<Vec<DeadLetter>, Cause> {
        let question = |id: &StreamId| {
            let mut command = redis::cmd("XRANGE");
            command.arg(asks.stream).arg(id.to_string()).arg(id.to_string());
            command
        };
        let commands: Vec<redis::Cmd> = ids.iter().map(question).collect();
        let server = dialogue.endpoint().clone();
        let answers = match asks.ask_all(dialogue, &commands, ANSWER_TIMEOUT).await {
            Err(cause) => {
                if matches!(cause, Cause::TooLong(_)) && !self.link.ask_for_less() {
                    self.oversized = ids.first().copied();
                }
                return Err(cause);
            }
            Ok(answers) => answers,
        };
        self.link.ask_for_more();
        let mut found = Vec::new();
        for answer in answers {
            match answer {
                Value::Error(text) => return Err(Cause::refused(&server, &String::from_utf8_lossy(text))),
                answer => found.extend(answer.list().iter().filter_map(|value| {
                    let (_, entry) = Entry::read(value)?;
                    Some(DeadLetter::of(&entry?, "", 0))
                })),
            }
        }
        Ok(found)
    }

    /// Reads what no member was handed. With a look, stream and group tell in the same breath how they stand, before
    /// and after: see [`GroupTally`].
    async fn read_new(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue, looks: bool) -> Result<(), Cause> {
        let block = if self.held.is_empty() { BLOCK } else { BLOCK_SHORT };
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.group.name).arg(&self.group.member);
        command.arg("COUNT").arg(self.link.entries_max());
        if !looks {
            command.arg("BLOCK").arg(block.as_millis() as u64);
        }
        command.arg("STREAMS").arg(asks.stream).arg(">");
        let commands = if looks { create_group::with_questions(asks, command) } else { vec![command] };
        let server = dialogue.endpoint().clone();
        // What is too long to be held together is handed out all the same: the next session takes it up bit by bit.
        let answers = asks.ask_all(dialogue, &commands, BLOCKED_ANSWER_MAX).await;
        self.link.note_answer(&answers);
        let answers = answers?;
        let answer = if looks { self.judge(&answers) } else { answers.first() }.unwrap_or(&Value::Null);
        if let Value::Error(text) = answer {
            return Err(Cause::refused(&server, &String::from_utf8_lossy(text)));
        }
        let entries: Vec<Entry<'_>> = of_stream(answer).iter().filter_map(|value| Entry::read(value)?.1).collect();
        let failed = self.hand_on(&entries);
        self.bury(asks, dialogue, &failed).await
    }

    /// Hands entries on; what will never be understood comes back, with the reason.
    fn hand_on(&mut self, entries: &[Entry<'_>]) -> Vec<DeadLetter> {
        if entries.is_empty() {
            return Vec::new();
        }
        self.link.has_delivered = true;
        self.handed = self.handed.max(entries.iter().map(|entry| entry.id).max());
        let handled = self.reader.take(entries);
        let why = |id: StreamId| handled.failed.iter().find(|(failed, _)| *failed == id).map(|(_, why)| *why);
        let (failed, ids): (Vec<_>, Vec<_>) = if handled.failed.is_empty() {
            (Vec::new(), entries.iter().map(|entry| entry.id).collect())
        } else {
            let failed = entries.iter().filter_map(|entry| Some(DeadLetter::of(entry, why(entry.id)?, 1)));
            let failed = failed.collect();
            (failed, entries.iter().map(|entry| entry.id).filter(|id| why(*id).is_none()).collect())
        };
        self.held.extend(&ids);
        self.work.push_back(Work { ticket: handled.ticket, ids, renewed: Instant::now() });
        failed
    }

    /// Acknowledges what is dealt with for good.
    async fn acknowledge(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue) -> Result<(), Cause> {
        let committed = self.reader.committed();
        while let Some(work) = self.work.front().filter(|work| work.ticket <= committed) {
            let ids = work.ids.clone();
            self.forget(asks, dialogue, &ids).await?;
            for id in &ids {
                self.held.remove(id);
            }
            self.work.pop_front();
        }
        Ok(())
    }

    /// Takes entries off the list of those that are pending.
    async fn forget(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue, ids: &[StreamId]) -> Result<(), Cause> {
        for ids in ids.chunks(IDS_MAX) {
            let mut command = self.command("XACK");
            for id in ids {
                command.arg(id.to_string());
            }
            ask(asks, dialogue, &command, ANSWER_TIMEOUT).await?;
        }
        Ok(())
    }

    /// Tells the server that this member still works on what it holds, so that no other one takes it over.
    async fn renew(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue) -> Result<(), Cause> {
        let now = Instant::now();
        let mut old: Vec<StreamId> = Vec::new();
        for work in self.work.iter_mut().filter(|work| now.duration_since(work.renewed) >= LOOK_EVERY / 2) {
            old.extend(&work.ids);
            work.renewed = now;
        }
        self.hold(asks, dialogue, &old, None).await
    }

    /// Holds entries for this member anew; they count as handed out as often as is said, else as before.
    async fn hold(
        &mut self,
        asks: &Asks<'_>,
        dialogue: &mut Dialogue,
        ids: &[StreamId],
        deliveries: Option<u64>,
    ) -> Result<(), Cause> {
        for ids in ids.chunks(IDS_MAX) {
            let mut command = self.command("XCLAIM");
            command.arg(&self.group.member).arg(0);
            for id in ids {
                command.arg(id.to_string());
            }
            if let Some(deliveries) = deliveries {
                command.arg("RETRYCOUNT").arg(deliveries);
            }
            // Without JUSTID this would count as a delivery.
            command.arg("JUSTID");
            ask(asks, dialogue, &command, ANSWER_TIMEOUT).await?;
        }
        Ok(())
    }

    /// Takes over what dead members have left.
    async fn take_over(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue) -> Result<(), Cause> {
        let mut command = self.command("XAUTOCLAIM");
        command.arg(&self.group.member).arg(IDLE_MAX.as_millis() as u64).arg(self.claim_from.to_string());
        command.arg("COUNT").arg(IDS_MAX).arg("JUSTID");
        let answer = ask(asks, dialogue, &command, ANSWER_TIMEOUT).await?;
        let [next, claimed, rest @ ..] = answer.list() else { return Ok(()) };
        self.claim_from = next.text().and_then(StreamId::from_bytes).unwrap_or_default();
        let (claimed, gone) = (claimed.list().len(), rest.first().map_or(0, |gone| gone.list().len()));
        if gone > 0 {
            self.tell_trimmed(gone);
        }
        if claimed == 0 {
            return Ok(());
        }
        debug!("took over {claimed} entries that another member had left");
        self.take_up(asks, dialogue).await
    }

    /// Moves entries to the dead letters.
    async fn bury(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue, letters: &[DeadLetter]) -> Result<(), Cause> {
        for (at, letter) in letters.iter().enumerate() {
            if at % LETTERS_A_RENEWAL == LETTERS_A_RENEWAL - 1 {
                self.renew(asks, dialogue).await?;
            }
            let mut copy = redis::cmd("XADD");
            copy.arg(&self.group.dead_letters).arg("*");
            for (name, value) in &letter.fields {
                copy.arg(name.as_slice()).arg(value.as_slice());
            }
            copy.arg("dead_id").arg(letter.id.to_string()).arg("dead_group").arg(&self.group.name);
            copy.arg("dead_reason").arg(letter.reason).arg("dead_deliveries").arg(letter.deliveries);
            let refusal = match asks.ask(dialogue, &copy, ANSWER_TIMEOUT).await? {
                Value::Error(text) => Some(shown(&String::from_utf8_lossy(text))),
                _ => None,
            };
            let (id, letters) = (letter.id, display_safe(&self.group.dead_letters));
            if let Some(refusal) = refusal {
                // It stays pending and is tried again when its time comes; the others need not wait for it.
                warn!("the entry {id} ({}) cannot be moved to {letters}: {refusal}", letter.reason);
                continue;
            }
            // Only now: who dies in between leaves a second letter, and no entry that nobody has.
            self.forget(asks, dialogue, &[letter.id]).await?;
            self.reader.buried(1);
            warn!("the entry {id} was moved to {letters}: {}", letter.reason);
        }
        Ok(())
    }

    fn tell_trimmed(&mut self, count: usize) {
        warn_trimmed(&self.following.stream, count as u64);
        self.reader.trimmed(count as u64);
    }

    /// Acknowledges the last of what is dealt with.
    async fn leave(&mut self, locator: &mut Locator) -> Result<(), Cause> {
        while self.work.back().is_some_and(|work| work.ticket > self.reader.committed()) {
            self.reader.progress().await;
        }
        let mut dialogue = self.link.open(locator).await?;
        let asks = Asks { stream: &self.following.stream, asking: locator.is_asking() };
        self.acknowledge(&asks, &mut dialogue).await?;
        // The member's name stays in the group: to take it out would take out with it whatever the server has handed to
        // the last connection before it noticed its end.
        Ok(())
    }
}

/// Asks, and takes an error for the end of the session.
async fn ask<'d>(
    asks: &Asks<'_>,
    dialogue: &'d mut Dialogue,
    command: &redis::Cmd,
    limit: Duration,
) -> Result<Value<'d>, Cause> {
    let server = dialogue.endpoint().clone();
    match asks.ask(dialogue, command, limit).await? {
        Value::Error(text) => Err(Cause::refused(&server, &String::from_utf8_lossy(text))),
        answer => Ok(answer),
    }
}

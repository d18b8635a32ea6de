//! The thread that writes: opens the store, commits what waits, and tries again for as long as it takes.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::storage::db::backend::{Backend, OpenError, Remedy, Trouble};
#[cfg(feature = "mongodb")]
use crate::storage::db::mongodb::MongoStore;
use crate::storage::db::postgres::PostgresStore;
use crate::storage::db::queue::{Question, Queue, Work};
use crate::storage::db::sqlite::SqliteStore;
use crate::storage::db::{COMMIT_ROWS_BEHIND_MAX, COMMIT_ROWS_MAX, DbConfig, DbError, RowBatch, StoreUrl};

/// After the first failure; each further one doubles it. Short, because most troubles pass at once.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause: a store that is back is noticed within it.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often a conflict with other writers is tried anew at once; the one that is undone is picked anew each time, so a
/// longer series means that something else is wrong.
const AGAIN_MAX: u32 = 10;

/// A transaction this quick may be followed by one twice as large: that one stays far below what anybody waits for an
/// answer.
const QUICK_COMMIT: Duration = Duration::from_secs(1);

/// Between two looks for old rows when the last one found no more.
const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

/// Ends the queue however the thread ends.
struct EndGuard<'a>(&'a Queue);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Pauses that grow.
struct Pauses(Duration);

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

/// What is on the writer's hands while the store is away.
#[derive(Default)]
struct Hands {
    batches: Vec<RowBatch>,
    /// How many transactions were begun; the batches keep their number until they are committed.
    number: u64,
    question: Option<Question>,
    /// Most rows of a transaction where the store is behind; 0 for as many as usual.
    rows_behind: usize,
    /// When old rows are looked for again; `None` for at once.
    prune_at: Option<Instant>,
}

/// Runs until the keeper is closed. Reports once whether the store can be used at all.
pub(super) fn run(queue: &Queue, config: &DbConfig, report: &SyncSender<Result<(), DbError>>) {
    let _end = EndGuard(queue);
    // Chance keeps apart the writers of all processes on all machines.
    let writer = format!("{:016x}", rand::random::<u64>());
    let mut hands = Hands::default();
    let mut pauses = Pauses(PAUSE_MIN);
    let mut is_first = true;
    loop {
        let opened: Result<Box<dyn Backend>, OpenError> = match &config.url {
            StoreUrl::Sqlite(path) => SqliteStore::open(path).map(|store| Box::new(store) as Box<dyn Backend>),
            StoreUrl::Postgres(url) => {
                PostgresStore::open(url, &writer).map(|store| Box::new(store) as Box<dyn Backend>)
            }
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongo(url) => MongoStore::open(url, &writer).map(|store| Box::new(store) as Box<dyn Backend>),
        };
        let first = std::mem::take(&mut is_first);
        match opened {
            Ok(mut store) => {
                queue.set_open(true);
                if hands.batches.is_empty() && hands.question.is_none() {
                    queue.clear_trouble();
                }
                if first {
                    // `open` waits for this.
                    drop(report.send(Ok(())));
                }
                if work(queue, config, store.as_mut(), &mut hands, &mut pauses) == Next::End {
                    return;
                }
                queue.set_open(false);
            }
            Err(OpenError::Final(error)) if first => {
                drop(report.send(Err(error)));
                return;
            }
            Err(error) => {
                queue.set_trouble(match error {
                    OpenError::Away(cause) => cause,
                    OpenError::Final(error) => error.to_string(),
                });
                if first {
                    drop(report.send(Ok(())));
                }
            }
        }
        if queue.is_over() || (hands.batches.is_empty() && queue.is_done()) {
            return;
        }
        queue.pause(pauses.next());
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Reopen,
    End,
}

/// Works with an open store until it is closed, or has to be opened again.
fn work(queue: &Queue, config: &DbConfig, store: &mut dyn Backend, hands: &mut Hands, pauses: &mut Pauses) -> Next {
    let mut again = 0;
    loop {
        if queue.is_over() {
            return Next::End;
        }
        match step(queue, config, store, hands) {
            Ok(false) => return Next::End,
            Ok(true) => {
                *pauses = Pauses(PAUSE_MIN);
                again = 0;
            }
            Err(Trouble { remedy: Remedy::Again, .. }) if again < AGAIN_MAX => again += 1,
            Err(Trouble { cause, remedy }) => {
                queue.set_trouble(cause);
                if remedy == Remedy::Reopen {
                    return Next::Reopen;
                }
                queue.pause(pauses.next());
            }
        }
    }
}

/// One thing after another; `false` at the end.
fn step(queue: &Queue, config: &DbConfig, store: &mut dyn Backend, hands: &mut Hands) -> Result<bool, Trouble> {
    if let Some(question) = &hands.question {
        let found = store.checkpoint(&question.stream)?;
        if let Some(question) = hands.question.take() {
            (question.answer)(found);
        }
        queue.clear_trouble();
        return Ok(true);
    }
    if !hands.batches.is_empty() {
        let begun = Instant::now();
        // Whatever goes wrong, the next ones are small again.
        let rows_behind = std::mem::take(&mut hands.rows_behind).max(COMMIT_ROWS_MAX);
        let tally = store.commit(hands.number, &hands.batches)?;
        if begun.elapsed() < QUICK_COMMIT {
            hands.rows_behind = (2 * rows_behind).min(COMMIT_ROWS_BEHIND_MAX);
        }
        queue.settle(&hands.batches, tally);
        hands.batches.clear();
        // The rows are kept, whatever becomes of the old ones: those are looked for again.
        prune(config, store, hands)?;
        return Ok(true);
    }
    match queue.next(hands.rows_behind.max(COMMIT_ROWS_MAX)) {
        Work::Answer(question) => hands.question = Some(question),
        Work::Commit(batches) => {
            hands.batches = batches;
            hands.number += 1;
        }
        Work::Idle => {
            prune(config, store, hands)?;
            queue.clear_trouble();
        }
        Work::End => return Ok(false),
    }
    Ok(true)
}

/// One small step: the next commit waits for no more.
fn prune(config: &DbConfig, store: &mut dyn Backend, hands: &mut Hands) -> Result<(), Trouble> {
    let Some(keep_age_ns) = config.keep_age_ns else { return Ok(()) };
    if hands.prune_at.is_none_or(|at| Instant::now() >= at) {
        let has_more = store.prune(keep_age_ns)?;
        hands.prune_at = if has_more { None } else { Some(Instant::now() + PRUNE_INTERVAL) };
    }
    Ok(())
}

//! Ticks out of a store into a file: no server, no chart, and memory that does not grow with either.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::info;

use crate::cli::{self, LogWriter};
use crate::consumer::args::StoredExport;
use crate::model::display_safe;
use crate::storage::db::{DbError, SelectedError, StoreReader, TickRow};
use crate::storage::{Origin, Row, TickColumns, TickFile, TickFileError};

/// Rows between two steps of the bar: some milliseconds.
const STEP_ROWS: u64 = 4_096;

/// How long a broken off export may take to end. Its file is gone by then: a store that does not answer keeps nobody.
const END_TIMEOUT: Duration = Duration::from_millis(700);

/// Why there is no file.
#[derive(Debug, Error)]
pub enum StoredExportError {
    /// The store, or what was asked of it.
    #[error(transparent)]
    Store(#[from] SelectedError),
    /// The file.
    #[error(transparent)]
    File(#[from] TickFileError),
    /// Somebody asked to stop.
    #[error("the export was broken off, and nothing is left of it; the store is as it was")]
    BrokenOff,
    /// The operating system gives no threads.
    #[error("the export cannot be started")]
    Start(#[source] io::Error),
    /// A defect of ours.
    #[error("the export ended unexpectedly")]
    Ended,
}

impl StoredExportError {
    /// Exit status: 2 where it could not begin, 130 where it was broken off, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            // 128 + SIGINT, as shells tell it.
            Self::BrokenOff => cli::EXIT_INTERRUPTED as u8,
            Self::Store(SelectedError::Keep(DbError::Read { .. })) | Self::File(_) | Self::Start(_) | Self::Ended => {
                cli::EXIT_FAILURE
            }
            Self::Store(_) => cli::EXIT_USAGE,
        }
    }
}

/// Writes what was asked for, or leaves nothing behind when `shutdown` resolves before. Blocks until then.
pub fn export_stored(
    export: &StoredExport,
    console: &LogWriter,
    shows_progress: bool,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StoredExportError> {
    // Of its own, so that a second signal is heard while this thread waits.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(StoredExportError::Start)?;
    let bar = Bar::new(console, shows_progress);
    let slot = Slot::default();
    let (end, mut ended) = oneshot::channel();
    let work = {
        let (export, slot, bar) = (export.clone(), slot.clone(), bar.clone());
        move || {
            let outcome = write(&export, &slot, &bar);
            // Before anybody hears of it: the end of the process waits for nobody who still has a file to remove.
            slot.break_off();
            // Whoever waits may have gone.
            drop(end.send(outcome));
        }
    };
    std::thread::Builder::new().name("export".to_owned()).spawn(work).map_err(StoredExportError::Start)?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            outcome = &mut ended => return outcome,
            () = shutdown => {}
        }
        slot.break_off();
        tokio::time::timeout(END_TIMEOUT, ended).await.unwrap_or(Ok(Err(StoredExportError::BrokenOff)))
    });
    bar.end();
    let written = outcome.map_err(|_| StoredExportError::Ended)??;
    let path = display_safe(&export.path.display().to_string()).into_owned();
    info!("saved {} ticks to {path}, from {} to {}", written.rows, shown(written.first_ns), shown(written.last_ns));
    Ok(())
}

/// What a file has.
#[derive(Debug, Clone, Copy)]
struct Written {
    rows: u64,
    first_ns: i64,
    last_ns: i64,
}

/// A file in the making, which can be taken away from whoever writes it at any time.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Stage>>);

#[derive(Default)]
enum Stage {
    #[default]
    Waiting,
    Open(Box<TickFile>),
    Over,
}

impl Slot {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        // A file that a panic left half written is not finished by anybody.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, export: &StoredExport) -> Result<(), StoredExportError> {
        let mut stage = self.stage();
        if let Stage::Over = *stage {
            return Err(StoredExportError::BrokenOff);
        }
        let file = TickFile::create(&export.path, export.format.into(), TickColumns::WithOrigin)?;
        *stage = Stage::Open(Box::new(file));
        Ok(())
    }

    fn write(&self, row: &Row<'_>) -> Result<(), StoredExportError> {
        match &mut *self.stage() {
            Stage::Open(file) => Ok(file.write(row)?),
            Stage::Waiting | Stage::Over => Err(StoredExportError::BrokenOff),
        }
    }

    /// Completes the file, which nobody can take away meanwhile.
    fn finish(&self) -> Result<u64, StoredExportError> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Open(file) => Ok(file.finish()?),
            Stage::Waiting | Stage::Over => Err(StoredExportError::BrokenOff),
        }
    }

    /// Nothing is left of a file that was not complete.
    fn break_off(&self) {
        *self.stage() = Stage::Over;
    }
}

fn write(export: &StoredExport, slot: &Slot, bar: &Bar) -> Result<Written, StoredExportError> {
    let mut reader = StoreReader::open(&export.url).map_err(SelectedError::from)?;
    let (first_ns, last_ns) = reader.locate(&export.selection)?;
    slot.create(export)?;
    bar.begin(first_ns, last_ns);
    let mut written: Option<Written> = None;
    let mut failed = None;
    let read = reader.read_selected(&export.selection, &mut |tick| {
        if let Err(error) = slot.write(&row(tick)) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        let so_far = written.get_or_insert(Written { rows: 0, first_ns: tick.time_ns, last_ns: tick.time_ns });
        so_far.rows += 1;
        so_far.last_ns = tick.time_ns;
        if so_far.rows.is_multiple_of(STEP_ROWS) {
            bar.step(first_ns, so_far);
        }
        ControlFlow::Continue(())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    read?;
    slot.finish()?;
    written.ok_or(StoredExportError::Ended)
}

fn row(tick: &TickRow) -> Row<'_> {
    let TickRow { symbol, time_ns, price, size, source, seq, id, outlier } = tick;
    let origin = Origin { source: source.as_deref(), seq: *seq, id: *id };
    Row { symbol, time_ns: *time_ns, price: *price, size: *size, outlier: *outlier, origin }
}

/// How far it is, by time; on a terminal only.
#[derive(Clone)]
struct Bar {
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Bar {
    fn new(console: &LogWriter, shows_progress: bool) -> Self {
        let bar = (shows_progress && console.shows_progress()).then(|| {
            // The template is a constant and valid.
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            console.add(ProgressBar::new(1).with_style(style))
        });
        Self { bar, started: Instant::now() }
    }

    fn begin(&self, first_ns: i64, last_ns: i64) {
        if let Some(bar) = &self.bar {
            bar.set_length(last_ns.abs_diff(first_ns).max(1));
        }
    }

    fn step(&self, first_ns: i64, so_far: &Written) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(so_far.last_ns.abs_diff(first_ns));
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let rate = HumanCount((so_far.rows as f64 / seconds) as u64);
        bar.set_message(format!("{} rows, {rate}/s, at {}", HumanCount(so_far.rows), shown(so_far.last_ns)));
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// An instant as text: RFC 3339 in UTC.
fn shown(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(time_ns.into()).map_or_else(|_| time_ns.to_string(), |at| at.to_string())
}

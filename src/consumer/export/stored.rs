//! Export of stored ticks to a file, without a server and without a chart, in constant memory.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::info;

use crate::cli::{self, LogWriter};
use crate::consumer::args::StoredExport;
use crate::consumer::series_handle::lock;
use crate::model::display_safe;
use crate::storage::db::{DbError, SelectionError, StoreReader, TickRow};
use crate::storage::{Origin, Row, TickColumns, TickFile, TickFileError};

/// Rows between two updates of the progress bar: a few milliseconds.
const STEP_ROWS: u64 = 4_096;

/// Longest wait for a cancelled export, whose file is removed already. A database that does not answer is not awaited.
const END_TIMEOUT: Duration = Duration::from_millis(700);

/// Error of an export of stored ticks.
#[derive(Debug, Error)]
pub enum StoredExportError {
    /// The database cannot be read, or does not hold the requested ticks.
    #[error(transparent)]
    Store(#[from] SelectionError),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] TickFileError),
    /// The export was cancelled.
    #[error("the export was cancelled and its file removed; the store is unchanged")]
    Cancelled,
    /// The system starts no threads.
    #[error("the export cannot be started")]
    Start(#[source] io::Error),
    /// The export panicked.
    #[error("the export ended because of a bug in this program; please report it")]
    Ended,
}

impl StoredExportError {
    /// Exit status: 2 if the export could not start, 130 if it was cancelled, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            // 128 + SIGINT, as shells report it.
            Self::Cancelled => cli::EXIT_INTERRUPTED as u8,
            Self::Store(SelectionError::Db(DbError::Read { .. })) | Self::File(_) | Self::Start(_) | Self::Ended => {
                cli::EXIT_FAILURE
            }
            Self::Store(_) => cli::EXIT_USAGE,
        }
    }
}

/// Exports stored ticks. If `shutdown` resolves first, the incomplete file is removed. Blocks until done.
///
/// # Errors
/// [`StoredExportError`]; no file is left behind then.
pub fn export_stored(
    export: &StoredExport,
    console: &LogWriter,
    shows_progress: bool,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StoredExportError> {
    // A runtime with a thread of its own, so that a second signal is handled while this thread waits.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(StoredExportError::Start)?;
    // By time, on a terminal only.
    let bar = console.progress_bar("{bar:30} {percent:>3}%  {wide_msg}", shows_progress);
    let file = CancellableFile::default();
    let (end, mut ended) = oneshot::channel();
    let work = {
        let (export, file, bar) = (export.clone(), file.clone(), bar.clone());
        move || {
            let outcome = write(&export, &file, &bar);
            // Before the outcome is sent: the process may end right after it, and would leave an incomplete file.
            file.cancel();
            // The receiver is gone if the wait timed out.
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
        file.cancel();
        tokio::time::timeout(END_TIMEOUT, ended).await.unwrap_or(Ok(Err(StoredExportError::Cancelled)))
    });
    bar.finish_and_clear();
    let written = outcome.map_err(|_| StoredExportError::Ended)??;
    let path = display_safe(&export.path.display().to_string()).into_owned();
    info!(
        "saved {} ticks to {path}, from {} to {}",
        written.rows,
        time_text(written.first_ns),
        time_text(written.last_ns)
    );
    Ok(())
}

/// Contents of a file.
#[derive(Debug, Clone, Copy)]
struct Written {
    rows: u64,
    first_ns: i64,
    last_ns: i64,
}

/// File that is being written, and that another thread can remove at any time. A panic leaves an incomplete file,
/// which is never finished.
#[derive(Clone, Default)]
struct CancellableFile(Arc<Mutex<Stage>>);

#[derive(Default)]
enum Stage {
    #[default]
    Pending,
    Open(Box<TickFile>),
    Closed,
}

impl CancellableFile {
    fn create(&self, export: &StoredExport) -> Result<(), StoredExportError> {
        let mut stage = lock(&self.0);
        if let Stage::Closed = *stage {
            return Err(StoredExportError::Cancelled);
        }
        let file = TickFile::create(&export.path, export.format, TickColumns::WithOrigin)?;
        *stage = Stage::Open(Box::new(file));
        Ok(())
    }

    fn write(&self, row: &Row<'_>) -> Result<(), StoredExportError> {
        match &mut *lock(&self.0) {
            Stage::Open(file) => Ok(file.write(row)?),
            Stage::Pending | Stage::Closed => Err(StoredExportError::Cancelled),
        }
    }

    /// Completes the file. Holds the lock, so that it cannot be cancelled meanwhile.
    fn finish(&self) -> Result<u64, StoredExportError> {
        let mut stage = lock(&self.0);
        match std::mem::replace(&mut *stage, Stage::Closed) {
            Stage::Open(file) => Ok(file.finish()?),
            Stage::Pending | Stage::Closed => Err(StoredExportError::Cancelled),
        }
    }

    /// Removes the file unless it is complete.
    fn cancel(&self) {
        *lock(&self.0) = Stage::Closed;
    }
}

fn write(export: &StoredExport, file: &CancellableFile, bar: &ProgressBar) -> Result<Written, StoredExportError> {
    let mut reader = StoreReader::open(&export.url).map_err(SelectionError::from)?;
    let (first_ns, last_ns) = reader.resolve(&export.selection)?;
    file.create(export)?;
    bar.set_length(last_ns.abs_diff(first_ns).max(1));
    let mut written: Option<Written> = None;
    let mut failed = None;
    let read = reader.read_selection(&export.selection, &mut |tick| {
        if let Err(error) = file.write(&row(tick)) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        let so_far = written.get_or_insert(Written { rows: 0, first_ns: tick.time_ns, last_ns: tick.time_ns });
        so_far.rows += 1;
        so_far.last_ns = tick.time_ns;
        if so_far.rows.is_multiple_of(STEP_ROWS) {
            bar.set_position(so_far.last_ns.abs_diff(first_ns));
            let rate = so_far.rows as f64 / bar.elapsed().as_secs_f64().max(1e-3);
            let (rows, rate) = (HumanCount(so_far.rows), HumanCount(rate as u64));
            bar.set_message(format!("{rows} rows, {rate}/s, at {}", time_text(so_far.last_ns)));
        }
        ControlFlow::Continue(())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    read?;
    file.finish()?;
    written.ok_or(StoredExportError::Ended)
}

fn row(tick: &TickRow) -> Row<'_> {
    let TickRow { symbol, time_ns, price, size, source, seq, id, outlier } = tick;
    let origin = Origin { source: source.as_deref(), seq: *seq, id: *id };
    Row { symbol, time_ns: *time_ns, price: *price, size: *size, outlier: *outlier, origin }
}

/// Formats an instant as RFC 3339 in UTC.
fn time_text(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(time_ns.into()).map_or_else(|_| time_ns.to_string(), |at| at.to_string())
}

//! An export while the chart goes on: many millions of ticks take seconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::chart::format;
use crate::chart::{Badge, Tone};
use crate::consumer::args::ExportFormat;
use crate::consumer::export::{self, Saved};
use crate::consumer::shared::Shared;
use crate::model::TimeSpan;
use crate::storage::{HAS_PARQUET, TickFileError};

/// At most one export at a time, on a thread of its own.
#[derive(Debug, Default)]
pub(in crate::consumer) struct Background {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<Result<Option<Saved>, TickFileError>>,
    name: String,
    stop: Arc<AtomicBool>,
}

impl Background {
    /// Begins to write these symbols' ticks within a span to a file whose name says when. Returns what to tell.
    pub(in crate::consumer) fn start(&mut self, shared: &Arc<Shared>, symbols: Vec<usize>, span: TimeSpan) -> Badge {
        if let Some(running) = &self.running {
            return Badge { tone: Tone::Info, text: format!("still writing {}", running.name) };
        }
        let (extension, form) =
            if HAS_PARQUET { ("parquet", ExportFormat::Parquet) } else { ("csv", ExportFormat::Csv) };
        let name = format!("{}.{extension}", jiff::Zoned::now().strftime("tickscope-%Y%m%d-%H%M%S-%3f"));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, path, stopped) = (Arc::clone(shared), PathBuf::from(&name), Arc::clone(&stop));
        let work = move || {
            let done = export::write_until(&shared, &symbols, span, &path, form, &stopped);
            // Whoever draws hears of the end, also while no tick comes.
            shared.touch();
            done
        };
        match std::thread::Builder::new().name("export".to_owned()).spawn(work) {
            Ok(thread) => {
                let badge = Badge { tone: Tone::Info, text: format!("writing {name}") };
                self.running = Some(Running { thread, name, stop });
                badge
            }
            Err(error) => Badge { tone: Tone::Bad, text: format!("cannot export: {error}; try again") },
        }
    }

    /// How an export went, once after its end.
    pub(in crate::consumer) fn ended(&mut self) -> Option<Badge> {
        let Running { thread, name, .. } = self.running.take_if(|running| running.thread.is_finished())?;
        Some(match thread.join() {
            Ok(Ok(Some(Saved { rows, is_whole: true }))) => {
                Badge { tone: Tone::Good, text: format!("saved {} ticks to {name}", format::count(rows)) }
            }
            Ok(Ok(Some(Saved { rows, is_whole: false }))) => {
                let text = format!("saved {} ticks to {name}, without those not read yet", format::count(rows));
                Badge { tone: Tone::Warn, text }
            }
            Ok(Err(error)) => Badge { tone: Tone::Bad, text: error.to_string() },
            Ok(Ok(None)) | Err(_) => Badge { tone: Tone::Bad, text: format!("the export to {name} broke off") },
        })
    }
}

impl Drop for Background {
    /// The program ends: a file that is not whole must not stay behind, and nobody waits for it to become that.
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.store(true, Ordering::Relaxed);
            // What it says does not matter any more.
            let _ = running.thread.join();
        }
    }
}

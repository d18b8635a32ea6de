//! Export in the background: millions of ticks take seconds, and the chart goes on meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::{ExportSource, Saved, write};
use crate::chart::{Badge, Tone, VisibleTicks, format};
use crate::consumer::redraw::Redraw;
use crate::storage::{HAS_PARQUET, TickFileError, TickFormat};

/// Runner of at most one export at a time, on a thread of its own. Dropping it cancels the export.
#[derive(Debug, Default)]
pub(in crate::consumer) struct ExportJob {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<Result<Option<Saved>, TickFileError>>,
    name: String,
    stop: Arc<AtomicBool>,
}

impl ExportJob {
    /// Starts writing the ticks of `symbols` within `span` to a file named after the current time. Returns the message
    /// to display.
    pub(in crate::consumer) fn start(
        &mut self,
        source: ExportSource,
        redraw: Arc<Redraw>,
        VisibleTicks { symbols, span }: VisibleTicks,
    ) -> Badge {
        if let Some(running) = &self.running {
            return Badge { tone: Tone::Info, text: format!("still writing {}", running.name) };
        }
        let (extension, format) = if HAS_PARQUET { ("parquet", TickFormat::Parquet) } else { ("csv", TickFormat::Csv) };
        let name = file_name(extension);
        let stop = Arc::new(AtomicBool::new(false));
        let (path, stopped) = (PathBuf::from(&name), Arc::clone(&stop));
        let work = move || {
            let saved = write(&source, &symbols, span, &path, format, &stopped);
            // Displays the outcome even if no tick arrives.
            redraw.request();
            saved
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

    /// Returns the outcome of an export once after its end.
    pub(in crate::consumer) fn finished(&mut self) -> Option<Badge> {
        let Running { thread, name, .. } = self.running.take_if(|running| running.thread.is_finished())?;
        let (tone, text) = match thread.join() {
            Ok(Ok(Some(Saved { rows, is_complete: true }))) => {
                (Tone::Good, format!("saved {} ticks to {name}", format::count(rows)))
            }
            Ok(Ok(Some(Saved { rows, is_complete: false }))) => {
                (Tone::Warn, format!("saved {} ticks to {name}, without those not read yet", format::count(rows)))
            }
            Ok(Err(error)) => (Tone::Bad, error.to_string()),
            Ok(Ok(None)) | Err(_) => (Tone::Bad, format!("the export to {name} broke off")),
        };
        Some(Badge { tone, text })
    }
}

/// Name of a file saved now.
pub(in crate::consumer) fn file_name(extension: &str) -> String {
    format!("{}.{extension}", jiff::Zoned::now().strftime("tickscope-%Y%m%d-%H%M%S-%3f"))
}

impl Drop for ExportJob {
    /// Cancels the export, so that no incomplete file remains.
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.store(true, Ordering::Relaxed);
            // The outcome does not matter any more.
            let _ = running.thread.join();
        }
    }
}

//! Signals that end the program.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::cli::EXIT_INTERRUPTED;

/// Installs handlers for SIGINT (Ctrl-C), SIGTERM and SIGHUP, and returns a future that resolves on the first signal. A
/// second signal calls `before_exit` and ends the process at once with [`EXIT_INTERRUPTED`].
///
/// The handlers are in place when this returns, whether or not the future is polled. Call it before the program opens
/// files, connections or windows, so that no signal ends it without cleaning up. Only binaries call it: a library must
/// not take the signals of its host. It needs no runtime: a thread with a runtime of its own waits for the signals.
///
/// # Errors
///
/// Fails if the operating system refuses a handler or the thread.
pub fn shutdown_signal(before_exit: fn()) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::install()?
    };
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            // The receiver is gone if the program ends for another reason.
            sender.send(()).ok();
            signals.next().await;
            before_exit();
            std::process::exit(EXIT_INTERRUPTED);
        });
    })?;
    // The sender lives as long as the process.
    Ok(async { receiver.await.unwrap_or_default() })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// The terminal's window was closed, or its connection was lost.
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals {
    ctrl_c: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self { ctrl_c: tokio::signal::windows::ctrl_c()? })
    }

    async fn next(&mut self) {
        self.ctrl_c.recv().await;
    }
}

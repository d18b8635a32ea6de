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
struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // The last one: the terminal's window was closed, or its connection was lost.
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let is_ready = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
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

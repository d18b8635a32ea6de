//! `consumer`: draws live market ticks from Redis in a native window or a terminal.

use std::process::ExitCode;

use anyhow::Context;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tickscope::cli::{self, EXIT_FAILURE, EXIT_USAGE, Environment, LogWriter};
use tickscope::consumer::{self, ConsumerError, Start, TerminalConfig};
use tickscope::terminal::ColorDepth;
use tickscope::window::X11Display;

type Failure = (anyhow::Error, u8);

fn main() -> ExitCode {
    let environment = Environment::from_process();
    let start = match Start::read(&environment) {
        Ok(start) => start,
        Err(code) => return code,
    };
    let log = cli::init_logging(&environment.logging(start.args.verbose, start.args.quiet));
    // Before a file, a database, a socket or a window is opened.
    let outcome = cli::shutdown_signal(tickscope::terminal::restore)
        .context("cannot install signal handlers")
        .map_err(|error| (error, EXIT_FAILURE))
        .and_then(|shutdown| {
            start.tell();
            run(start, &log, terminal(&environment, &log), shutdown)
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, code)) => {
            log.print_stderr(&format!("error: {}", cli::error_line(&error)));
            ExitCode::from(code)
        }
    }
}

fn terminal(environment: &Environment, log: &LogWriter) -> Option<TerminalConfig> {
    let colors = match environment.no_color() {
        true => ColorDepth::Plain,
        false if environment.true_color() => ColorDepth::TrueColor,
        false => ColorDepth::Indexed,
    };
    // Log lines disturb the drawing only if standard error is the terminal.
    let console = environment.stderr_is_terminal.then(|| log.clone());
    environment.can_draw().then_some(TerminalConfig { colors, console })
}

fn run(
    start: Start,
    log: &LogWriter,
    terminal: Option<TerminalConfig>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    if let Some(export) = start.stored_export().map_err(|error| (error.into(), EXIT_USAGE))? {
        let exported = consumer::export_stored(&export, log, !start.args.quiet, shutdown);
        return exported.map_err(|error| (error.exit_code(), error)).map_err(|(code, error)| (error.into(), code));
    }
    let stats = start.args.stats;
    let mut config = start.into_config().map_err(|error| (error.into(), EXIT_USAGE))?;
    config.terminal = terminal;
    config.wayland = std::env::var_os("WAYLAND_DISPLAY").is_some();
    let [display, authority] = ["DISPLAY", "XAUTHORITY"].map(std::env::var_os);
    config.x11 = X11Display::new(display, authority, std::env::home_dir());
    let rng = ChaCha8Rng::from_rng(&mut rand::rng());
    let report = consumer::run(&config, rng, shutdown).map_err(|error: ConsumerError| {
        let code = error.exit_code();
        (error.into(), code)
    })?;
    if stats.is_some() {
        let printed = cli::print_stdout(&report.to_json()).context("cannot write the statistics to stdout");
        printed.map_err(|error| (error, EXIT_FAILURE))?;
    }
    let errors = [report.snapshot_error.map(anyhow::Error::from), report.export_error.map(anyhow::Error::from)];
    let mut errors = errors.into_iter().flatten();
    let first = errors.next();
    errors.for_each(|error| tracing::error!("{}", cli::error_line(&error)));
    first.map_or(Ok(()), |error| Err((error, EXIT_FAILURE)))
}

//! `consumer`: draws live market ticks from Redis in a native window or a terminal.

use std::process::ExitCode;

use anyhow::Context;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tickscope::cli::{self, Console, EXIT_FAILURE, EXIT_USAGE, Environment};
use tickscope::consumer::{self, ConsumerError, Start, TerminalConfig};
use tickscope::terminal::ColorDepth;

fn main() -> ExitCode {
    let surroundings = Environment::of_process();
    let start = match Start::read(&surroundings) {
        Ok(start) => start,
        Err(code) => return code,
    };
    let console = cli::init_logging(&surroundings.logging(start.args.verbose, start.args.quiet));
    start.tell();
    match run(start, &console, terminal(&surroundings, &console)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, code)) => {
            console.print_stderr(&format!("error: {}", cli::error_line(&error)));
            ExitCode::from(code)
        }
    }
}

fn terminal(surroundings: &Environment, console: &Console) -> Option<TerminalConfig> {
    let colors = match surroundings.no_color() {
        true => ColorDepth::Plain,
        false if surroundings.true_color() => ColorDepth::TrueColor,
        false => ColorDepth::Indexed,
    };
    // Where standard error goes elsewhere, log lines tear nothing.
    let console = surroundings.stderr_is_terminal.then(|| console.clone());
    surroundings.can_draw().then_some(TerminalConfig { colors, console })
}

fn run(start: Start, console: &Console, terminal: Option<TerminalConfig>) -> Result<(), (anyhow::Error, u8)> {
    if let Some(export) = start.stored_export().map_err(|error| (error.into(), EXIT_USAGE))? {
        let exported = consumer::export_stored(&export, console, !start.args.quiet, shutdown());
        return exported.map_err(|error| (error.exit_code(), error)).map_err(|(code, error)| (error.into(), code));
    }
    let stats = start.args.stats;
    let mut config = start.into_config().map_err(|error| (error.into(), EXIT_USAGE))?;
    config.terminal = terminal;
    config.wayland = std::env::var_os("WAYLAND_DISPLAY").is_some();
    let rng = ChaCha8Rng::from_rng(&mut rand::rng());
    let report = consumer::run(&config, rng, shutdown()).map_err(|error: ConsumerError| {
        let code = error.exit_code();
        (error.into(), code)
    })?;
    if stats.is_some() {
        let printed = cli::print_stdout(&report.to_json()).context("cannot write the statistics to stdout");
        printed.map_err(|error| (error, EXIT_FAILURE))?;
    }
    let failed = [report.snapshot_error.map(anyhow::Error::from), report.export_error.map(anyhow::Error::from)];
    let mut failed = failed.into_iter().flatten();
    let first = failed.next();
    failed.for_each(|error| tracing::error!("{}", cli::error_line(&error)));
    first.map_or(Ok(()), |error| Err((error, EXIT_FAILURE)))
}

/// Ctrl-C and SIGTERM. The handlers are set when the runtime first polls this.
async fn shutdown() {
    match cli::shutdown_signal(tickscope::terminal::restore) {
        Ok(signal) => signal.await,
        Err(error) => {
            tracing::warn!("signals cannot be caught ({error}); close the window or kill the process to end it");
            std::future::pending::<()>().await;
        }
    }
}

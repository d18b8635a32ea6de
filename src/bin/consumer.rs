//! Draws live market ticks from Redis in a native window.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tickscope::cli::{self, EXIT_FAILURE, EXIT_USAGE, Logging};
use tickscope::consumer::{self, Args, ConsumerError};

fn main() -> ExitCode {
    let args: Args = match cli::parse_args() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let console = cli::init_logging(&Logging {
        verbosity: args.verbose,
        quiet: args.quiet,
        color: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        directives: std::env::var("RUST_LOG").ok(),
    });
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, code)) => {
            console.print_stderr(&format!("error: {}", cli::error_line(&error)));
            ExitCode::from(code)
        }
    }
}

fn run(args: Args) -> Result<(), (anyhow::Error, u8)> {
    let stats = args.stats;
    let mut config = args.into_config().map_err(|error| (error.into(), EXIT_USAGE))?;
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
    match cli::shutdown_signal() {
        Ok(signal) => signal.await,
        Err(error) => {
            tracing::warn!("signals cannot be caught ({error}); close the window or kill the process to end it");
            std::future::pending::<()>().await;
        }
    }
}

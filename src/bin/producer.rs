//! `producer`: publishes ticks to Redis.

use std::process::ExitCode;

use anyhow::Context;
use tickscope::cli::{self, EXIT_FAILURE, EXIT_USAGE, Environment, LogWriter, Settings};
use tickscope::producer::{self, Args, Config};

fn main() -> ExitCode {
    tickscope::storage::silence_caught_panics();
    let environment = Environment::from_process();
    let read = Settings::read::<Args>(&environment);
    let (args, settings): (Args, Settings) = match read.and_then(|settings| Ok((settings.finish()?, settings))) {
        Ok(read) => read,
        Err(code) => return code,
    };
    let log = cli::init_logging(&environment.logging(args.verbose, args.quiet));
    // Before the spool or an input is opened.
    let shutdown = match cli::shutdown_signal(|| {}).context("cannot install signal handlers") {
        Ok(shutdown) => shutdown,
        Err(error) => return fail(&log, &error, EXIT_FAILURE),
    };
    settings.log_notes();
    let (quiet, stats) = (args.quiet, args.prints_stats());
    let config = match args.into_config(log.clone(), environment.stdout_is_terminal, rand::random()) {
        Ok(config) => config,
        Err(error) => return fail(&log, &settings.locate(error).into(), EXIT_USAGE),
    };
    match publish(config, shutdown, &log, quiet, stats) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&log, &error, EXIT_FAILURE),
    }
}

fn publish(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
    log: &LogWriter,
    quiet: bool,
    stats: bool,
) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")?;
    // Spawned, because tasks wake each other on one thread where the main thread has to be woken by the system.
    let task = runtime.spawn(producer::run(config, shutdown));
    let report = runtime.block_on(task)??;
    runtime.shutdown_background();
    if !quiet {
        log.print_stderr(&report.to_string());
    }
    if stats {
        cli::print_stdout(&report.to_json()).context("cannot write the statistics to stdout")?;
    }
    match report.input_error {
        Some(error) => Err(error).context("cannot read the input"),
        None => Ok(()),
    }
}

fn fail(log: &LogWriter, error: &anyhow::Error, code: u8) -> ExitCode {
    log.print_stderr(&format!("error: {}", cli::error_line(error)));
    ExitCode::from(code)
}

//! `producer`: publishes ticks. Reads the environment, the signals and the command line; the library does the rest.

use std::process::ExitCode;

use anyhow::Context;
use tickscope::cli::{self, Console, EXIT_FAILURE, EXIT_USAGE, Environment, Settings};
use tickscope::producer::{self, Args, Config};

fn main() -> ExitCode {
    tickscope::storage::silence_caught_panics();
    let surroundings = Environment::of_process();
    let read = Settings::read::<Args>(&surroundings);
    let (args, settings): (Args, Settings) = match read.and_then(|settings| Ok((settings.finish()?, settings))) {
        Ok(read) => read,
        Err(code) => return code,
    };
    let console = cli::init_logging(&surroundings.logging(args.verbosity(), args.quiet()));
    settings.tell();
    let (quiet, stats) = (args.quiet(), args.wants_stats());
    let config = match args.into_config(console.clone(), surroundings.stdout_is_terminal, rand::random()) {
        Ok(config) => config,
        Err(error) => return fail(&console, &settings.placed(error).into(), EXIT_USAGE),
    };
    match publish(config, &console, quiet, stats) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&console, &error, EXIT_FAILURE),
    }
}

fn publish(config: Config, console: &Console, quiet: bool, stats: bool) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the async runtime")?;
    let report = runtime.block_on(async {
        let shutdown = cli::shutdown_signal(|| {}).context("cannot listen for signals")?;
        // As a task, because tasks wake each other on one thread where this one would have to be woken on its own.
        Ok::<_, anyhow::Error>(tokio::spawn(producer::run(config, shutdown)).await??)
    })?;
    // Whatever still runs has nothing left to do.
    runtime.shutdown_background();
    if !quiet {
        console.print_stderr(&report.to_string());
    }
    if stats {
        cli::print_stdout(&report.to_json()).context("cannot write the figures")?;
    }
    match report.input_error {
        Some(error) => Err(error).context("the input cannot be played"),
        None => Ok(()),
    }
}

fn fail(console: &Console, error: &anyhow::Error, code: u8) -> ExitCode {
    console.print_stderr(&format!("error: {}", cli::error_line(error)));
    ExitCode::from(code)
}

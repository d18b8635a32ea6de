//! `producer`: publishes ticks. Reads the environment, the signals and the command line; the library does the rest.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use tickscope::cli::{self, Console, EXIT_FAILURE, EXIT_USAGE, Logging};
use tickscope::producer::{self, Args, Config};

fn main() -> ExitCode {
    let args: Args = match cli::parse_args() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let console = cli::init_logging(&Logging {
        verbosity: args.verbosity(),
        quiet: args.quiet(),
        color: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        directives: std::env::var("RUST_LOG").ok(),
    });
    let (quiet, stats) = (args.quiet(), args.wants_stats());
    let config = match args.into_config(console.clone(), std::io::stdout().is_terminal(), rand::random()) {
        Ok(config) => config,
        Err(error) => return fail(&console, &error.into(), EXIT_USAGE),
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
        let shutdown = cli::shutdown_signal().context("cannot listen for signals")?;
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

//! Peers of the comparison in `scripts/bench`, and measurements within one process. Each run prints a JSON object on
//! standard output.
//!
//! `drain`, `pubsub-sync` and `pubsub-async` subscribe to a channel, receive everything, and report when their standard
//! input ends. `history` fills a series map and measures its memory, downsampling and whole frames.
//!
//! `cargo bench` and `cargo test --benches` start every benchmark program; without arguments, this one does nothing.

mod compare {
    pub(crate) mod drain;
    pub(crate) mod frames;
    pub(crate) mod history;
    pub(crate) mod lines;
    pub(crate) mod pubsub;
    pub(crate) mod series_map;
    pub(crate) mod tally;
}

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use compare::history::History;
use compare::{drain, pubsub};

/// Peers of the comparison; `scripts/bench` runs them.
#[derive(Parser)]
#[command(name = "compare")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reads from a bare socket and counts messages: the lower bound
    Drain(Source),
    /// Subscribes by the redis crate's blocking `PubSub` and parses each payload with `serde_json`
    PubsubSync(Source),
    /// Subscribes by the redis crate's asynchronous `PubSub` and parses each payload with `serde_json`
    PubsubAsync(Source),
    /// Fills a series map with ticks; measures memory, downsampling and frames
    History(History),
}

/// Channel to subscribe to.
#[derive(clap::Args)]
struct Source {
    /// Port of a Redis on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// Name of the channel
    #[arg(long, default_value = "stock_prices")]
    channel: String,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() || words.iter().any(|word| word == "--bench" || word == "--test") {
        tickscope::cli::print_stdout("compare: nothing to do here; scripts/bench runs the comparison")?;
        return Ok(());
    }
    let report = match Args::parse().command {
        Command::Drain(Source { port, channel }) => drain::run(port, &channel).context("drain")?,
        Command::PubsubSync(Source { port, channel }) => pubsub::blocking(port, &channel).context("pubsub-sync")?,
        Command::PubsubAsync(Source { port, channel }) => {
            pubsub::asynchronous(port, &channel).context("pubsub-async")?
        }
        Command::History(history) => history.run().context("history")?,
    };
    tickscope::cli::print_stdout(&report.to_string())?;
    Ok(())
}

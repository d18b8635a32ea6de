//! Demo: a broker and a producer that replays a real trading day, in the process of the consumer.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::broker::{Broker, BrokerLimits};
use crate::client::{Endpoint, Target, stopped};
use crate::consumer::args::{CHANNEL, Config};
use crate::model::{Timestamp, TimestampFormat};
use crate::producer::{self, Display, Pace, Source};
use crate::sources::{Format, Speed, TickFilter};

/// Trades of AIG, BAC, IBM and SPY; data/README.md names the source.
const TRADES: &[u8] = include_bytes!("../../data/us-trades-2013-10-07.csv.gz");

/// Opening of the exchange: 2013-10-07 09:30 in New York. The replay skips the sparse trades before it.
const OPENING_NS: i64 = 1_381_152_600_000_000_000;

/// Replay speed: a minute of trading a second makes a thousand ticks a second, and the day lasts seven minutes.
const SPEED: &str = "60";

/// Visible time span: it is full after 45 s.
pub(super) const SPAN: Duration = Duration::from_mins(45);

/// Longest wait for the producer at the end.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// Running broker and producer.
pub(super) struct Demo {
    broker: Broker,
    producer: JoinHandle<()>,
}

/// Listens on the usual port if it is free, so that other clients can connect, and on any other port if it is not: the
/// demo must not publish to an existing Redis server.
async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
    }
}

/// Starts the broker and the producer.
pub(super) async fn start(config: &Config, stop: watch::Receiver<bool>) -> io::Result<Demo> {
    let port = match config.target {
        Target::Local { port, .. } => port,
        _ => 0,
    };
    let listener = listen(port).await?;
    let broker = Broker::serve(listener, BrokerLimits::default())?;
    let target = target(&broker);
    info!("demo: replaying trades of 7 October 2013 at a minute per second through a broker at {}", target.endpoint());
    let producer = producer::Config {
        target,
        channel: CHANNEL.to_owned(),
        source: Source::Recording {
            input: Box::new(TRADES),
            name: "the shipped trades".to_owned(),
            format: Format::Detect,
            selection: TickFilter { from: Timestamp::from_nanos(OPENING_NS), ..TickFilter::default() },
            must_hold_ticks: true,
        },
        pace: Pace::Recorded(SPEED.parse().unwrap_or(Speed::ONE)),
        count: None,
        duration: None,
        timestamps: TimestampFormat::default(),
        keep_timestamps: true,
        id: Some("demo".into()),
        delivery: producer::Delivery::default(),
        display: Display::none(),
        jitter_seed: 0,
    };
    let producer = tokio::spawn(async move {
        match producer::run(producer, stopped(stop)).await {
            Ok(report) => info!("demo: {} trades published", report.sent),
            Err(error) => warn!("demo: {error}"),
        }
    });
    Ok(Demo { broker, producer })
}

fn target(broker: &Broker) -> Target {
    Target::Server(Endpoint::loopback(broker.local_addr().port()))
}

impl Demo {
    /// Address of the broker.
    pub(super) fn target(&self) -> Target {
        target(&self.broker)
    }

    /// Ends the producer, then the broker.
    pub(super) async fn shut_down(mut self) {
        if tokio::time::timeout(END_TIMEOUT, &mut self.producer).await.is_err() {
            self.producer.abort();
        }
        self.broker.shutdown().await;
    }
}

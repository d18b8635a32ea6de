//! Redis, and nothing but Redis: where it is, how to publish to it and subscribe to it, how to come back to it, and a
//! small broker that stands in for it where none is installed.

mod backoff;
mod broker;
mod cutoff;
mod endpoint;
mod local;
mod publish;
mod push;
mod refusal;
mod resp;
mod socket;
mod subscribe;
mod tls;

pub use backoff::Backoff;
pub use broker::{Broker, BrokerClock, BrokerLimits, BrokerStats};
pub use endpoint::{Endpoint, EndpointError, Target};
pub use local::{Local, LocalError, Role};
pub use publish::{Batch, Echo, Link, Outbox, Overflow, Snapshot, publish};
pub use refusal::BusError;
pub use subscribe::{Channel, Delivery, Feed, Incoming, LinkState, subscribe};
pub use tls::{TlsError, TlsFiles};

//! Redis, and nothing but Redis: where it is, how to publish to it and subscribe to it, how to come back to it, and a
//! small broker that stands in for it where none is installed.

mod backoff;
mod broker;
mod cause;
mod cutoff;
mod dial;
mod dialogue;
mod endpoint;
mod follow;
mod local;
mod locate;
mod publish;
mod push;
mod redirect;
mod refusal;
mod reply;
mod resp;
mod session;
mod shards;
mod socket;
mod spool;
mod subscribe;
mod target;
mod tls;

pub use backoff::Backoff;
pub use broker::{Broker, BrokerClock, BrokerLimits, BrokerStats};
pub use dial::{Dial, Dialled, Duplex};
pub use endpoint::{Endpoint, EndpointError};
pub use follow::{Entry, Following, Group, Handled, Reader, Since, follow};
pub use local::{Local, LocalError, Role};
pub use publish::{Account, Batch, Echo, Link, Notices, Outbox, Overflow, Snapshot, Span, Stream, Topic, publish};
pub use refusal::BusError;
pub use session::LinkState;
pub use shards::{SHARDS, SHARDS_MAX, shard_name, shard_of};
pub use spool::{SPOOL_TICKS, Spool, SpoolError, Writer};
pub use subscribe::{Channel, Delivery, Feed, Incoming, subscribe};
pub use target::{Sentinel, Target};
pub use tls::{TlsError, TlsFiles};

//! Our side of Redis: endpoints, connections, reconnection, subscriber, stream reader, consumer group and publisher.

mod backoff;
mod connection;
mod connector;
mod discovery;
mod endpoint;
mod error;
mod error_advice;
pub(crate) mod publisher;
mod reconnect;
mod redirect;
mod shards;
mod slow_consumer;
mod socket;
mod stream_reader;
mod subscriber;
mod target;
mod tls;

pub use crate::tls::{TlsError, TlsFiles};
pub use backoff::Backoff;
pub use connector::{ConnectFuture, Connector, Transport};
pub use endpoint::{Endpoint, EndpointError};
pub use error_advice::ClientError;
pub use publisher::{
    Batch, DeliveryReport, Link, Notices, OnConfirmed, Overflow, SendQueue, Snapshot, Span, Stream, Topic, publish,
};
pub use reconnect::LinkState;
pub use shards::{SHARDS, SHARDS_MAX, shard_name, shard_of};
pub use stream_reader::{Entry, Following, Group, Handled, Reader, Since, follow};
pub use subscriber::{Channel, Delivery, Feed, Incoming, subscribe};
pub use target::{Sentinel, Target};

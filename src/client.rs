//! Client side of Redis: endpoints, connections, reconnection, subscriber, stream reader, consumer group and publisher.
//!
//! All of these are sessions over one kind of connection, which one loop restores after each loss.

mod backoff;
mod connection;
mod discovery;
mod endpoint;
mod error;
mod liveness;
mod publisher;
mod reconnect;
mod redirect;
mod shards;
mod slow_consumer;
mod socket;
mod stream_reader;
mod subscriber;
mod target;
mod timeouts;
mod tls;
mod transport;

pub use crate::tls::{TlsError, TlsFiles};
pub use backoff::Backoff;
pub use endpoint::{Endpoint, EndpointError};
pub use error::ClientError;
pub use publisher::{
    ConnectionStatus, DeliveryReport, Destination, OnConfirmed, OutputStream, OverflowPolicy, QueueStats, SendQueue,
    SpoolWriter, publish,
};
pub use reconnect::{LinkState, RetryLog};
pub(crate) use reconnect::{all_ended, stopped};
pub use shards::{SHARDS, SHARDS_MAX, shard_name, shard_of};
pub use stream_reader::{Accepted, ConsumerGroup, Entry, EntryHandler, Since, StreamSource, read_stream};
pub use subscriber::{Channel, Message, MessageBatch, MessageHandler, subscribe};
pub use target::{LocalServer, LocalServerFuture, Sentinel, Target};
pub use transport::{ConnectFuture, Connector, Transport};

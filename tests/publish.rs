//! Durable publishing: streams, the spool, and a real cluster, through crashes of either side.

mod cluster;
mod oracle;
mod spool;
mod streams;

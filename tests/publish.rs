//! Durable publishing to streams, through the spool and to a real cluster, with crashes of either side.

mod cluster;
mod oracle;
mod spool;
mod streams;

//! Embedded broker: its replies compared with those of redis-server, its work with Redis clients, and its limits.

mod clients;
mod in_memory;
mod limits;
mod local;
mod stream_random;
mod stream_transcripts;
mod tools;
mod transcripts;
mod waiting;

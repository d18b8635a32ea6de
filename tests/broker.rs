//! The embedded broker is a Redis to whoever speaks to it: the same tests run over a real redis-server and over it, and
//! others try what only a broker within a program has to stand.

mod clients;
mod in_memory;
mod limits;
mod local;
mod stream_random;
mod stream_transcripts;
mod tools;
mod transcripts;
mod waiting;

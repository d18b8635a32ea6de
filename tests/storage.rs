//! Exactly-once storage in SQLite files and PostgreSQL servers, through crashes of every part.

mod bad_prints;
mod crashes;
mod disk_full;
mod exactly_once;
mod fixture;
mod lost_replies;
mod queue;
mod reading;
mod sqlite;
mod timescale;
mod tls;

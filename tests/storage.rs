//! Stores on real databases: every tick once, whatever dies; a file of SQLite and a server of PostgreSQL side by side.

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

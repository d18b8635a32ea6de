//! The real consumer over redis-server and over the embedded broker, with valid and invalid feeds, lost connections and
//! wrong command lines.

mod alerts;
mod bad_prints;
mod embedded;
mod errors;
mod export;
mod fixture;
mod interop;
mod malformed;
mod missing;
mod options;
mod reconnect;
mod slow_consumer;
mod tls;
mod trading_day;

//! Shared support of all test programs: child processes, servers, displays, waiting.

pub mod cluster;
pub mod inputs;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod pulse;
pub mod readers;
pub mod redis_server;
pub mod server;
pub mod settings;
pub mod tmux;
pub mod wait;
pub mod weston;
pub mod x11;
pub mod xvfb;

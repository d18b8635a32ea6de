//! Timeouts of all connections. A user sees a lost server within 3 s.

use std::time::Duration;

/// Time limit for opening a connection. A server on another continent answers in a third of that. The limit is short,
/// because a server that was unreachable and is back does not answer an attempt made before.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(900);

/// Time limit for the TLS handshake: two round trips, and the server's computations.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time limit for finding out if a server speaks plain Redis or TLS.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time limit for a reply. A server that sends nothing for this long, though it has something to answer, is lost.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Time that a command may block on the server. Shorter than [`REPLY_TIMEOUT`], because the reply shows that the server
/// is alive.
pub(super) const BLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Silence after which a PING is sent: well before [`REPLY_TIMEOUT`], so that there is time for a reply.
pub(super) const PING_AFTER: Duration = Duration::from_millis(900);

/// Interval of the checks for silence.
pub(super) const CHECK_EVERY: Duration = Duration::from_millis(250);

/// A check that comes this long after the one before means that this process did not run.
pub(super) const STALL_MIN: Duration = Duration::from_millis(500);

/// Silence before the first TCP keepalive probe, and interval of the probes; the kernel's default is two hours.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(5);

/// Age of unacknowledged bytes at which the kernel closes the connection.
#[cfg(target_os = "linux")]
pub(super) const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

//! Limits of the reads of one stream, which adapt to replies that are too long.

use std::time::Duration;

use redis::Cmd;
use redis::streams::StreamReadOptions;
use tokio::time::Instant;

use crate::client::connection::Connection;
use crate::client::error::{SessionError, SessionResult};
use crate::client::stream_reader::trim_detector::StreamState;

/// Most entries read at a time: a few hundred kB of typical ticks, so that neither the round trip nor the buffer
/// matters.
const ENTRIES_MAX: usize = 2_048;

/// Interval of the checks of the stream's state.
const STATE_EVERY: Duration = Duration::from_secs(1);

/// Pause of those checks after a reply that was too long.
const STATE_PAUSE: Duration = Duration::from_mins(1);

/// Limits that persist from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct ReadLimits {
    /// Entries to read at a time, if fewer than [`ENTRIES_MAX`].
    entries_max: Option<usize>,
    /// Time of the last check of the stream's state.
    state_checked_at: Option<Instant>,
    /// End of a pause of those checks.
    state_paused_until: Option<Instant>,
}

impl ReadLimits {
    /// Entries to read at a time.
    pub(super) fn entries_max(&self) -> usize {
        self.entries_max.unwrap_or(ENTRIES_MAX)
    }

    /// Reads more entries at a time, after a reply that could be held.
    pub(super) fn grow(&mut self) {
        self.entries_max = self.entries_max.map(|max| max * 2).filter(|max| *max < ENTRIES_MAX);
    }

    /// Reads fewer entries at a time, after a reply that was too long. Returns false if it was a single entry.
    pub(super) fn shrink(&mut self) -> bool {
        let before = self.entries_max();
        self.entries_max = Some((before / 8).max(1));
        before > 1
    }

    /// Options of the next read, which blocks for at most `block`. Once each [`STATE_EVERY`] it does not block, and the
    /// result is true: the stream's state is to be requested together with it.
    pub(super) fn next_read(&mut self, block: Duration) -> (StreamReadOptions, bool) {
        let options = StreamReadOptions::default().count(self.entries_max());
        if self.is_state_paused() || self.state_checked_at.is_some_and(|at| at.elapsed() < STATE_EVERY) {
            return (options.block(block.as_millis() as usize), false);
        }
        self.state_checked_at = Some(Instant::now());
        (options, true)
    }

    /// Pauses the checks of the stream's state after a reply that was too long: the state holds the first and the last
    /// entry.
    pub(super) fn pause_state_after(&mut self, error: &SessionError) {
        if let SessionError::ReplyTooLong(_) = error {
            self.state_paused_until = Some(Instant::now() + STATE_PAUSE);
        }
    }

    fn is_state_paused(&self) -> bool {
        self.state_paused_until.is_some_and(|until| until > Instant::now())
    }

    /// Requests the state of a stream, unless that is paused.
    pub(super) async fn stream_state(
        &mut self,
        connection: &mut Connection,
        stream: &str,
    ) -> SessionResult<StreamState> {
        if self.is_state_paused() {
            return Ok(StreamState::UNKNOWN);
        }
        let sent = connection.request_all(&[Cmd::xinfo_stream(stream)]).await;
        sent.inspect_err(|error| self.pause_state_after(error))?;
        StreamState::parse(connection.replies().next().unwrap_or_default(), &connection.endpoint)
    }
}

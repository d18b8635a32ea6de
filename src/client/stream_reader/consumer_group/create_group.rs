//! Creation of the consumer group, and detection of the entries that it missed.

use redis::Cmd;

use crate::client::connection::{Connection, error_text};
use crate::client::error::{SessionError, SessionResult};
use crate::client::stream_reader::consumer_group::Consumer;
use crate::client::stream_reader::trim_detector::{GroupState, StreamState};
use crate::client::stream_reader::{EntryHandler, report_trimmed, start_id};

impl<H: EntryHandler> Consumer<'_, H> {
    /// Creates the group if it does not exist. A group that was deleted continues after the last entry delivered to
    /// this consumer.
    pub(super) async fn create_group(&mut self, connection: &mut Connection) -> SessionResult {
        let state = self.limits.stream_state(connection, &self.source.stream).await?;
        let start = match self.last_delivered.filter(|id| *id <= state.last) {
            Some(delivered) => delivered,
            None => start_id(self.source.since, connection).await?,
        };
        let mut command = Cmd::xgroup_create_mkstream(&self.source.stream, &self.group.name, start.to_string());
        // Without this, entries trimmed before the start would count as missed by the group.
        command.arg(state.ordinal(start).map(|ordinal| ("ENTRIESREAD", ordinal)));
        match error_text(connection.request(&command).await?) {
            // A server that is out of memory creates no group, but may hold this one; the next command tells.
            Some(text) if !text.starts_with("BUSYGROUP") && !text.starts_with("OOM") => {
                Err(SessionError::refused(&connection.endpoint, &text))
            }
            _ => Ok(()),
        }
    }

    /// Counts missed entries in the replies to [`with_state_checks`], and returns the reply to the command.
    pub(super) fn check_missed<'d>(&mut self, replies: &[&'d [u8]], connection: &Connection) -> Option<&'d [u8]> {
        let [stream, group, reply, stream_after, group_after] = replies else { return None };
        for (stream, group) in [(stream, group), (stream_after, group_after)] {
            // A consumer that may not inspect the stream detects nothing.
            let Some(group) = GroupState::find(group, &self.group.name) else { continue };
            let Ok(stream) = StreamState::parse(stream, &connection.endpoint) else { continue };
            let missed = self.trim_detector.check(&stream, &group);
            if missed > 0 {
                report_trimmed(self.handler, &self.source.stream, missed);
            }
        }
        Some(reply)
    }
}

/// Surrounds a command by requests for the state of stream and group. The stream comes first: the group may then be
/// further on than the stream's state says, but never the other way round.
pub(super) fn with_state_checks(stream: &str, command: Cmd) -> Vec<Cmd> {
    let states = || [Cmd::xinfo_stream(stream), Cmd::xinfo_groups(stream)];
    states().into_iter().chain([command]).chain(states()).collect()
}

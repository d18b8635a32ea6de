//! How a member finds its group: makes it where there is none, and what the group has missed.

use crate::client::connection::{ANSWER_TIMEOUT, Dialogue};
use crate::client::error::Cause;
use crate::client::stream_reader::trim_detector::{GroupState, State};
use crate::client::stream_reader::{Asks, Reader, Since, begin};
use crate::model::StreamId;
use crate::resp::value::Value;

use crate::client::stream_reader::consumer_group::Member;

impl<R: Reader> Member<'_, R> {
    /// Makes the group, if there is none yet. One that somebody has taken away goes on behind what this member was
    /// handed last.
    pub(super) async fn join(&mut self, asks: &Asks<'_>, dialogue: &mut Dialogue) -> Result<(), Cause> {
        let state = self.link.state(asks, dialogue).await?;
        let from = match (self.handed.filter(|id| *id <= state.last), self.following.since) {
            (Some(handed), _) => handed,
            (None, Since::Start) => StreamId::START,
            (None, since) => begin(since, dialogue).await?,
        };
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(asks.stream).arg(&self.group.name).arg(from.to_string()).arg("MKSTREAM");
        // So that what the stream had given up before is not taken for something that the group has missed.
        if let Some(place) = state.place_of(from) {
            command.arg("ENTRIESREAD").arg(place);
        }
        let server = dialogue.endpoint().clone();
        match asks.ask(dialogue, &command, ANSWER_TIMEOUT).await? {
            Value::Error(text) if text.starts_with(b"BUSYGROUP") => Ok(()),
            // A server that is full makes no groups, and may have this one: whether it does, the next command tells.
            Value::Error(text) if text.starts_with(b"OOM") => Ok(()),
            Value::Error(text) => Err(Cause::refused(&server, &String::from_utf8_lossy(text))),
            _ => Ok(()),
        }
    }

    /// Takes note of the answers to that, and gives the one to the command.
    pub(super) fn judge<'v, 'd>(&mut self, answers: &'v [Value<'d>]) -> Option<&'v Value<'d>> {
        let [stream, group, answer, stream_after, group_after] = answers else { return None };
        for (stream, group) in [(stream, group), (stream_after, group_after)] {
            // Who may not ask, or finds nothing, has nothing to tell.
            let Some(group) = GroupState::find(group, &self.group.name) else { continue };
            let missed = self.tally.look(&State::read(stream), &group);
            if missed > 0 {
                self.tell_trimmed(missed as usize);
            }
        }
        Some(answer)
    }
}

/// A command between questions: how stream and group stand before it, and after it. The stream is asked first: then the
/// group may be further on than its answer says, and never the other way round.
pub(super) fn with_questions(asks: &Asks<'_>, command: redis::Cmd) -> Vec<redis::Cmd> {
    let group = || {
        let mut question = redis::cmd("XINFO");
        question.arg("GROUPS").arg(asks.stream);
        question
    };
    vec![asks.question(), group(), command, asks.question(), group()]
}

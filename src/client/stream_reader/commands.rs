//! The commands about one stream, and their answers.

use std::time::Duration;

use crate::client::connection::{ANSWER_TIMEOUT, Dialogue};
use crate::client::error::Cause;
use crate::client::stream_reader::trim_detector::State;
use crate::resp::value::Value;

/// How a stream is asked: its key, and whether its slot is on its way to the node that is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asks<'a> {
    pub(super) stream: &'a str,
    pub(super) asking: bool,
}

impl Asks<'_> {
    pub(super) async fn ask<'d>(
        &self,
        dialogue: &'d mut Dialogue,
        command: &redis::Cmd,
        limit: Duration,
    ) -> Result<Value<'d>, Cause> {
        self.send(dialogue, command, limit).await?;
        dialogue.last_answer()
    }

    /// Sends a command and waits until it is answered.
    pub(super) async fn send(
        &self,
        dialogue: &mut Dialogue,
        command: &redis::Cmd,
        limit: Duration,
    ) -> Result<(), Cause> {
        if !self.asking {
            return dialogue.send(&command.get_packed_command(), 1, limit).await;
        }
        let both = [redis::cmd("ASKING").get_packed_command(), command.get_packed_command()].concat();
        dialogue.send(&both, 2, limit).await
    }

    /// Sends commands at once, and waits for the answer to each.
    pub(super) async fn ask_all<'d>(
        &self,
        dialogue: &'d mut Dialogue,
        commands: &[redis::Cmd],
        limit: Duration,
    ) -> Result<Vec<Value<'d>>, Cause> {
        let mut bytes = Vec::new();
        for command in commands {
            if self.asking {
                bytes.extend(redis::cmd("ASKING").get_packed_command());
            }
            bytes.extend(command.get_packed_command());
        }
        let each = if self.asking { 2 } else { 1 };
        dialogue.send(&bytes, each * commands.len(), limit).await?;
        // The answer to ASKING comes before that of its command.
        Ok(dialogue.answers()?.into_iter().skip(each - 1).step_by(each).collect())
    }

    /// Asks how the stream stands.
    pub(super) fn question(&self) -> redis::Cmd {
        let mut command = redis::cmd("XINFO");
        command.arg("STREAM").arg(self.stream);
        command
    }

    /// How the stream stands.
    pub(super) async fn state(&self, dialogue: &mut Dialogue) -> Result<State, Cause> {
        let server = dialogue.endpoint().clone();
        State::told(&server, &self.ask(dialogue, &self.question(), ANSWER_TIMEOUT).await?)
    }
}

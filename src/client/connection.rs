//! Questions and answers over one connection: what streams, sentinels and clusters are asked.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::client::connector::Transport;
use crate::client::error::Cause;
use crate::client::{Endpoint, socket};
use crate::resp::push::{FRAME_BYTES_MAX, NotResp, skip_value};
use crate::resp::value::{Value, has_oversized, read_value};

/// How long an answer may take that costs the server nothing. A user is promised to see a lost server within 3 s.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The read buffer to begin with.
const BUFFER_BYTES: usize = 64 << 10;

/// A buffer that one large answer has grown beyond this is given back.
const IDLE_BYTES_MAX: usize = 4 << 20;

/// A connection on which each request is answered before the next one is sent. Dropping it closes it.
pub(super) struct Dialogue {
    endpoint: Endpoint,
    stream: Box<dyn Transport>,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes at the front that the last answers took.
    taken: usize,
    /// It is a Redis that is there.
    has_answered: bool,
}

impl Dialogue {
    /// Connects, logs in and gives the connection a name. Where the server hangs up on the first word, it is asked
    /// whether it expects TLS, unless `asked_for_tls` says that it was asked before.
    pub(super) async fn open(endpoint: &Endpoint, name: &str, asked_for_tls: &mut bool) -> Result<Self, Cause> {
        let stream = socket::connect(endpoint).await.map_err(|error| Cause::unreachable(endpoint, &error))?;
        let buffer = vec![0; BUFFER_BYTES];
        let mut dialogue =
            Self { endpoint: endpoint.clone(), stream, buffer, filled: 0, taken: 0, has_answered: false };
        for (at, (command, required)) in socket::greeting(endpoint, name).into_iter().enumerate() {
            let refusal = match dialogue.ask(&command, ANSWER_TIMEOUT).await {
                Ok(Value::Error(text)) => Some(String::from_utf8_lossy(text).into_owned()),
                Ok(_) => None,
                Err(Cause::Passing(text)) if at == 0 && !std::mem::replace(asked_for_tls, true) => {
                    return Err(socket::missing_tls(endpoint).await.map_or(Cause::Passing(text), Cause::Lasting));
                }
                Err(cause) => return Err(cause),
            };
            let matters = |text: &String| required || text.starts_with("NOAUTH") || text.starts_with("DENIED");
            if let Some(text) = refusal.filter(matters) {
                return Err(Cause::refused(endpoint, &text));
            }
        }
        *asked_for_tls = true;
        Ok(dialogue)
    }

    /// The server at the other end.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The beginning of an answer that turned out to be too long.
    pub(super) fn heard(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Sends one command and waits for its answer, `limit` at most.
    pub(super) async fn ask(&mut self, command: &[u8], limit: Duration) -> Result<Value<'_>, Cause> {
        self.send(command, 1, limit).await?;
        self.last_answer()
    }

    /// Sends `count` commands at once and waits until all their answers have come, `limit` at most.
    pub(super) async fn send(&mut self, commands: &[u8], count: usize, limit: Duration) -> Result<(), Cause> {
        self.forget();
        let end = match timeout(limit, self.exchange(commands, count)).await {
            Err(_) if self.has_answered => return Err(Cause::unanswered(&self.endpoint, limit)),
            Err(_) => return Err(Cause::silent(&self.endpoint)),
            Ok(answered) => answered?,
        };
        (self.taken, self.has_answered) = (end, true);
        Ok(())
    }

    /// The answers to what was sent last, in order.
    pub(super) fn answers(&self) -> Result<Vec<Value<'_>>, Cause> {
        let mut answers = Vec::new();
        let mut rest = &self.buffer[..self.taken];
        // Each was seen to be whole.
        while let Some((value, length)) = read_value(rest).map_err(|NotResp| Cause::not_redis(&self.endpoint))? {
            answers.push(value);
            rest = &rest[length..];
        }
        Ok(answers)
    }

    /// The last of them.
    pub(super) fn last_answer(&self) -> Result<Value<'_>, Cause> {
        Ok(self.answers()?.pop().unwrap_or(Value::Null))
    }

    /// Throws away what was answered before.
    fn forget(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        if self.filled == 0 && self.buffer.len() > IDLE_BYTES_MAX {
            self.buffer = vec![0; BUFFER_BYTES];
        }
    }

    /// Where the answers end in the buffer.
    async fn exchange(&mut self, commands: &[u8], count: usize) -> Result<usize, Cause> {
        let endpoint = &self.endpoint;
        let lost = |error: std::io::Error| Cause::lost(endpoint, &error);
        self.stream.write_all(commands).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let (mut answered, mut end) = (0, 0);
        loop {
            while answered < count {
                let heard = &self.buffer[end..self.filled];
                let whole = skip_value(heard, 0, 0).map_err(|NotResp| {
                    if has_oversized(heard) { Cause::too_long(endpoint) } else { Cause::not_redis(endpoint) }
                });
                match whole? {
                    Some(length) => (answered, end) = (answered + 1, end + length),
                    None => break,
                }
            }
            if answered == count {
                return Ok(end);
            }
            if self.filled == self.buffer.len() {
                if self.filled >= FRAME_BYTES_MAX {
                    return Err(Cause::too_long(endpoint));
                }
                self.buffer.resize((self.filled * 2).min(FRAME_BYTES_MAX), 0);
            }
            let read = self.stream.read(&mut self.buffer[self.filled..]).await.map_err(lost)?;
            if read == 0 {
                return Err(Cause::closed(endpoint));
            }
            self.filled += read;
        }
    }
}

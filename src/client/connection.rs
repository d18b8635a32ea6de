//! Connection to a server: connecting, logging in, and requests with their replies.
//!
//! The redis crate packs commands and parses all replies but stream entries, which are read from the buffer in place.
//! Its own connections are not used: they have no limit on the size of replies, and take 1.6 us a message, where the
//! subscriber on the same socket takes 0.09 us.

use redis::{Cmd, FromRedisValue, InfoDict, ProtocolVersion, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::client::Endpoint;
use crate::client::error::{SessionError, SessionResult};
use crate::client::socket::{connect, expects_tls};
use crate::client::timeouts::REPLY_TIMEOUT;
use crate::client::transport::Transport;
use crate::resp::scanner::{FRAME_BYTES_MAX, NotResp, has_oversized, value_length};

/// Initial size of the read buffer.
const BUFFER_BYTES: usize = 64 << 10;

/// Largest buffer that is kept between requests.
const IDLE_BYTES_MAX: usize = 4 << 20;

/// A connection on which each request is answered before the next one is sent. Dropping it closes it.
pub(super) struct Connection {
    pub(super) endpoint: Endpoint,
    stream: Box<dyn Transport>,
    buffer: Vec<u8>,
    /// Number of bytes in `buffer`.
    filled: usize,
    /// Number of those that belong to the last replies.
    consumed: usize,
    has_replied: bool,
    /// The hash slot is migrating to this node: each command is preceded by `ASKING`.
    pub(super) asking: bool,
}

impl Connection {
    /// Connects, logs in and names the connection. If the server hangs up before its first reply, it is probed for TLS,
    /// unless `tls_probed` is true: a server that rejects all clients should not be called twice as often.
    pub(super) async fn open(endpoint: &Endpoint, name: &str, tls_probed: &mut bool) -> SessionResult<Self> {
        let stream = connect(endpoint).await.map_err(|error| SessionError::unreachable(endpoint, &error))?;
        let mut connection = Self {
            endpoint: endpoint.clone(),
            stream,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
            consumed: 0,
            has_replied: false,
            asking: false,
        };
        for (command, is_required) in login_commands(endpoint, name) {
            let refusal = match connection.request(&command).await {
                Ok(reply) => error_text(reply),
                Err(SessionError::Transient(text)) if !std::mem::replace(tls_probed, true) => {
                    let is_plain = !expects_tls(endpoint).await;
                    return Err(if is_plain {
                        SessionError::Transient(text)
                    } else {
                        SessionError::missing_tls(endpoint)
                    });
                }
                Err(error) => return Err(error),
            };
            let matters = |text: &String| is_required || text.starts_with("NOAUTH") || text.starts_with("DENIED");
            if let Some(text) = refusal.filter(matters) {
                return Err(SessionError::refused(endpoint, &text));
            }
            *tls_probed = true;
        }
        Ok(connection)
    }

    /// Returns the server and the byte stream. All replies have been read.
    pub(super) fn into_parts(self) -> (Endpoint, Box<dyn Transport>) {
        (self.endpoint, self.stream)
    }

    /// Bytes of the reply at hand; of one that is too long, the beginning.
    pub(super) fn received(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Sends a command, and converts its reply by the redis crate. An error reply becomes an error.
    pub(super) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> SessionResult<T> {
        self.request(command).await?;
        let reply = self.replies().next().unwrap_or_default();
        if let Some(text) = error_text(reply) {
            return Err(SessionError::refused(&self.endpoint, &text));
        }
        parse(reply).ok_or_else(|| SessionError::not_redis(&self.endpoint))
    }

    /// Returns a section of `INFO`, or its default sections; empty if the server refuses it.
    pub(super) async fn info(&mut self, section: Option<&str>) -> SessionResult<InfoDict> {
        let reply = self.request(redis::cmd("INFO").arg(section)).await?;
        Ok(parse(reply).unwrap_or_else(|| InfoDict::new("")))
    }

    /// Sends a command and returns its reply.
    pub(super) async fn request(&mut self, command: &Cmd) -> SessionResult<&[u8]> {
        self.request_all(std::slice::from_ref(command)).await?;
        Ok(self.replies().next().unwrap_or_default())
    }

    /// Sends commands at once and waits until all their [`replies`](Self::replies) have arrived.
    pub(super) async fn request_all(&mut self, commands: &[Cmd]) -> SessionResult {
        // The last replies give up their space.
        self.buffer.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        if self.filled == 0 && self.buffer.len() > IDLE_BYTES_MAX {
            self.buffer = vec![0; BUFFER_BYTES];
        }
        let mut bytes = Vec::new();
        for command in commands {
            if self.asking {
                bytes.extend(redis::cmd("ASKING").get_packed_command());
            }
            bytes.extend(command.get_packed_command());
        }
        let count = commands.len() * (1 + usize::from(self.asking));
        self.consumed = match timeout(REPLY_TIMEOUT, self.exchange(&bytes, count)).await {
            Ok(end) => end?,
            Err(_) if self.has_replied => return Err(SessionError::unanswered(&self.endpoint, REPLY_TIMEOUT)),
            Err(_) => return Err(SessionError::silent(&self.endpoint)),
        };
        self.has_replied = true;
        Ok(())
    }

    /// Replies to the last commands, in order.
    pub(super) fn replies(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.buffer[..self.consumed];
        let replies = std::iter::from_fn(move || {
            let (reply, after) = rest.split_at(value_length(rest).ok()??);
            rest = after;
            Some(reply)
        });
        // The reply to ASKING precedes the reply to its command.
        let asking = usize::from(self.asking);
        replies.skip(asking).step_by(asking + 1)
    }

    /// Sends `commands` and reads `count` replies. Returns the offset of their end in the buffer.
    async fn exchange(&mut self, commands: &[u8], count: usize) -> SessionResult<usize> {
        let endpoint = &self.endpoint;
        let lost = |error: std::io::Error| SessionError::lost(endpoint, &error);
        self.stream.write_all(commands).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let (mut replies, mut end) = (0, 0);
        loop {
            while replies < count {
                let unread = &self.buffer[end..self.filled];
                let length = value_length(unread).map_err(|NotResp| {
                    if has_oversized(unread) {
                        SessionError::reply_too_long(endpoint)
                    } else {
                        SessionError::not_redis(endpoint)
                    }
                });
                match length? {
                    Some(length) => (replies, end) = (replies + 1, end + length),
                    None => break,
                }
            }
            if replies == count {
                return Ok(end);
            }
            if self.filled == self.buffer.len() {
                if self.filled >= FRAME_BYTES_MAX {
                    return Err(SessionError::reply_too_long(endpoint));
                }
                self.buffer.resize((self.filled * 2).min(FRAME_BYTES_MAX), 0);
            }
            let read = self.stream.read(&mut self.buffer[self.filled..]).await.map_err(lost)?;
            if read == 0 {
                return Err(SessionError::closed(endpoint));
            }
            self.filled += read;
        }
    }
}

/// Returns the text of an error reply, without its leading `-`.
pub(super) fn error_text(reply: &[u8]) -> Option<String> {
    let text = reply.strip_prefix(b"-")?;
    Some(String::from_utf8_lossy(text.trim_ascii_end()).into_owned())
}

/// Converts a reply; `None` if its type does not match.
pub(super) fn parse<T: FromRedisValue>(reply: &[u8]) -> Option<T> {
    let value: Value = redis::parse_redis_value(reply).ok()?;
    redis::from_redis_value(value).ok()
}

/// Commands that log in to `endpoint` and name the connection. Those with `true` must succeed.
fn login_commands(endpoint: &Endpoint, name: &str) -> Vec<(Cmd, bool)> {
    let settings = endpoint.info.redis_settings();
    let (user, password) = (settings.username(), settings.password());
    let login = if matches!(settings.protocol(), ProtocolVersion::RESP2) {
        password.map(|password| redis::cmd("AUTH").arg(user).arg(password).take())
    } else {
        let auth = password.map(|password| ("AUTH", user.unwrap_or("default"), password));
        Some(redis::cmd("HELLO").arg(3).arg(auth).take())
    };
    let select = (settings.db() != 0).then(|| redis::cmd("SELECT").arg(settings.db()).take());
    // An ACL may forbid the name, which only informs operators.
    let set_name = redis::cmd("CLIENT").arg("SETNAME").arg(name).take();
    login.into_iter().chain(select).map(|command| (command, true)).chain([(set_name, false)]).collect()
}

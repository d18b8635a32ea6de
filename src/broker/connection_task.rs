//! Task of one client: reads its socket, handles its commands and writes its output buffer.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use crate::broker::client::Client;
use crate::broker::connection::ServerConnection;
use crate::broker::dispatch::Progress;
use crate::broker::lock;
use crate::broker::output_buffer::{CloseReason, PendingWrites, REPLY_BYTES_MAX};
use crate::broker::server_state::ServerState;
use crate::model::display_safe;
use crate::resp::command::{COMMAND_BYTES_MAX, Decoder};

/// Room for one read: a pipeline of several hundred ticks.
const READ_BYTES: usize = 64 * 1024;

/// Capacity above which the read buffer is replaced after a large command.
const IDLE_INPUT_BYTES_MAX: usize = 4 * READ_BYTES;

/// Time after which a client is disconnected if its unread replies block its commands. It equals Redis's time for the
/// soft limit of subscribers. Such a client waits for the server while the server waits for it.
const STALL_TIME: Duration = Duration::from_mins(1);

/// Serves one client until either side closes the connection. Dropping the future closes it as well.
pub(super) async fn serve<S>(stream: S, state: Arc<ServerState>, client: Arc<Client>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let connection = ServerConnection::new(Arc::clone(&state), Arc::clone(&client));
    if let Some(CloseReason::SlowConsumer { queued_bytes }) = run(stream, connection).await {
        lock(&state.stats).slow_consumers += 1;
        let name = display_safe(&String::from_utf8_lossy(&client.profile().name)).into_owned();
        tracing::warn!(
            client = %client.addr, id = client.id, name, queued_bytes,
            "broker closes a slow client: it does not read its messages"
        );
    }
}

async fn run<S>(stream: S, mut connection: ServerConnection) -> Option<CloseReason>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let client = Arc::clone(&connection.client);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = BytesMut::with_capacity(READ_BYTES);
    let (mut decoder, mut writes) = (Decoder::default(), PendingWrites::default());
    let mut progress = Progress::NeedsInput;
    // Last moment at which something was written, while no commands are read.
    let mut stalled_since: Option<Instant> = None;
    loop {
        if progress == Progress::Blocked && !client.is_blocked() {
            progress = Progress::Paused;
        }
        let status = client.output.take_pieces(&mut writes);
        match status.close_reason {
            Some(CloseReason::Shutdown) => progress = Progress::Closing,
            Some(reason) => return Some(reason),
            None => {}
        }
        let chunk = writes.chunk();
        let (has_output, is_closing) = (!chunk.is_empty(), progress == Progress::Closing);
        if is_closing && !has_output {
            return None;
        }
        let is_full = !connection.is_subscriber() && status.queued_bytes >= REPLY_BYTES_MAX;
        let may_handle = !is_closing && !is_full;
        stalled_since = if may_handle { None } else { stalled_since.or_else(|| Some(Instant::now())) };
        let deadline = status.soft_deadline.or_else(|| stalled_since.map(|since| since + STALL_TIME));
        // The order: reasons to close, then output, then input.
        tokio::select! {
            biased;
            () = client.output.change.notified() => {}
            () = expiry(deadline) => return Some(CloseReason::SlowConsumer { queued_bytes: status.queued_bytes }),
            written = writer.write(chunk), if has_output => match written {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => {
                    client.output.release(writes.advance(bytes));
                    stalled_since = None;
                }
            },
            () = ready(()), if may_handle && progress == Progress::Paused => {
                progress = handle(&mut connection, &mut decoder, &mut input);
                tokio::task::yield_now().await;
            }
            // A blocked client is read from as well: only reading shows that it has closed.
            read = reader.read_buf(&mut input), if may_handle && progress != Progress::Paused => match read {
                Ok(0) | Err(_) => return None,
                Ok(_) if progress == Progress::NeedsInput => {
                    progress = handle(&mut connection, &mut decoder, &mut input);
                }
                Ok(_) if input.len() > COMMAND_BYTES_MAX => return None,
                Ok(_) => input.reserve(READ_BYTES / 4),
            },
            () = expiry(connection.block_deadline), if progress == Progress::Blocked => connection.end_block(),
        }
    }
}

fn handle(connection: &mut ServerConnection, decoder: &mut Decoder, input: &mut BytesMut) -> Progress {
    let (consumed, progress) = connection.handle(decoder, input);
    if consumed == input.len() && input.capacity() > IDLE_INPUT_BYTES_MAX {
        *input = BytesMut::with_capacity(READ_BYTES);
        decoder.shrink();
    } else {
        bytes::Buf::advance(input, consumed);
        input.reserve(READ_BYTES / 4);
    }
    progress
}

async fn expiry(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

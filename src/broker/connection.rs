//! The task of one client: its socket, its commands, its outbox.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use crate::broker::client::Client;
use crate::broker::dispatch::{Progress, REPLY_BYTES_MAX, Session};
use crate::broker::output_buffer::{End, Output};
use crate::broker::server_state::Hub;
use crate::model::display_safe;
use crate::resp::command::{COMMAND_BYTES_MAX, Decoder};

/// Room for one read: a pipeline of several hundred ticks.
const READ_BYTES: usize = 64 * 1024;

/// A read buffer that one large command has grown beyond this is given back.
const IDLE_INPUT_BYTES_MAX: usize = 4 * READ_BYTES;

/// How long a client that is not read from any more, for its replies wait, may leave them. It is Redis's time for the
/// soft limit of subscribers; such a client is stuck, since it waits for us while we wait for it.
const STALL_TIME: Duration = Duration::from_mins(1);

/// Serves one client until either side ends it. Dropping the future ends it as well, with nothing left behind.
pub(super) async fn serve<S>(stream: S, hub: Arc<Hub>, client: Arc<Client>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let session = Session::new(Arc::clone(&hub), Arc::clone(&client));
    if let Some(End::CutOff { queued_bytes }) = run(stream, session).await {
        hub.stats.cut_off();
        let name = display_safe(&String::from_utf8_lossy(&client.profile().name)).into_owned();
        tracing::warn!(
            client = %client.addr, id = client.id, name, queued_bytes,
            "the broker cut off a client that did not read what waited for it"
        );
    }
}

async fn run<S>(stream: S, mut session: Session) -> Option<End>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let client = Arc::clone(&session.client);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut input = BytesMut::with_capacity(READ_BYTES);
    let (mut decoder, mut output) = (Decoder::default(), Output::default());
    let mut progress = Progress::NeedsInput;
    // Since when nothing was written while reading has stopped.
    let mut stalled_since: Option<Instant> = None;
    loop {
        if progress == Progress::Waiting && !client.is_waiting() {
            progress = Progress::Paused;
        }
        let status = client.outbox.collect(&mut output);
        match status.end {
            Some(End::Drain) => progress = Progress::Closing,
            Some(end) => return Some(end),
            None => {}
        }
        let chunk = output.chunk();
        let (has_output, is_closing) = (!chunk.is_empty(), progress == Progress::Closing);
        if is_closing && !has_output {
            return None;
        }
        let is_full = !session.is_subscriber() && status.queued_bytes >= REPLY_BYTES_MAX;
        let may_handle = !is_closing && !is_full;
        stalled_since = if may_handle { None } else { stalled_since.or_else(|| Some(Instant::now())) };
        let deadline = status.soft_deadline.or_else(|| stalled_since.map(|since| since + STALL_TIME));
        // In this order: what ends the client, then what it waits for, then what it wants next.
        tokio::select! {
            biased;
            () = client.outbox.woken() => {}
            () = expiry(deadline) => return Some(End::CutOff { queued_bytes: status.queued_bytes }),
            written = writer.write(chunk), if has_output => match written {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => {
                    client.outbox.release(output.advance(bytes));
                    stalled_since = None;
                }
            },
            () = ready(()), if may_handle && progress == Progress::Paused => {
                progress = handle(&mut session, &mut decoder, &mut input);
                tokio::task::yield_now().await;
            }
            // Also while it waits: that a client has closed shows only to who reads.
            read = reader.read_buf(&mut input), if may_handle && progress != Progress::Paused => match read {
                Ok(0) | Err(_) => return None,
                Ok(_) if progress == Progress::NeedsInput => progress = handle(&mut session, &mut decoder, &mut input),
                Ok(_) if input.len() > COMMAND_BYTES_MAX => return None,
                Ok(_) => input.reserve(READ_BYTES / 4),
            },
            () = expiry(session.wait_ends()), if progress == Progress::Waiting => session.end_wait(),
        }
    }
}

fn handle(session: &mut Session, decoder: &mut Decoder, input: &mut BytesMut) -> Progress {
    let (done, progress) = session.handle(decoder, input);
    if done == input.len() && input.capacity() > IDLE_INPUT_BYTES_MAX {
        *input = BytesMut::with_capacity(READ_BYTES);
        decoder.shrink();
    } else {
        bytes::Buf::advance(input, done);
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

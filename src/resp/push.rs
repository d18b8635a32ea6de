//! Recognises the frames that a server pushes to a subscriber, in place in the socket's read buffer.
//!
//! RESP2 sends pushes as arrays (`*`), RESP3 as pushes (`>`); both are read. A frame borrows the buffer.

use crate::resp::scanner::{BULK_BYTES_MAX, FRAME_BYTES_MAX, Header, NotResp, Scan, Scanner, value_length};

/// Frame at the start of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A published message.
    Message {
        /// Name of the channel.
        channel: &'a [u8],
        payload: &'a [u8],
    },
    /// A published message longer than [`BULK_BYTES_MAX`], or than [`FRAME_BYTES_MAX`] with its names. The caller skips
    /// the frame's bytes as they arrive.
    TooLong,
    /// Confirmation of one channel or pattern.
    Subscribed,
    /// Notice that one sharded channel was unsubscribed because its slot has moved to another node.
    Unsubscribed,
    /// An error reply, without its leading `-`.
    Error(&'a [u8]),
    /// Any other reply: status, pong, number, map.
    Other,
}

/// Reads the frame at the start of `buffer`, and its length in bytes. The length exceeds the buffer only for
/// [`Frame::TooLong`].
#[inline]
pub(crate) fn read_frame(buffer: &[u8]) -> Scan<(Frame<'_>, usize)> {
    match read_common(buffer) {
        Some((channel, payload, rest)) => Ok(Some((Frame::Message { channel, payload }, buffer.len() - rest.len()))),
        None => read_any(buffer),
    }
}

/// Fast path for nearly all frames: a complete message of at most 999 bytes, on a channel or pattern with a name of at
/// most 999 bytes. Returns the channel, the message and the bytes after the frame. `None` leaves the decision to
/// [`read_any`], which reads the same frames alike.
#[inline]
fn read_common(buffer: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let rest = match buffer.split_first_chunk() {
        Some((b"*3\r\n$7\r\nmessage\r\n$" | b">3\r\n$7\r\nmessage\r\n$", rest)) => rest,
        _ => match buffer.split_first_chunk()? {
            (b"*4\r\n$8\r\npmessage\r\n$" | b">4\r\n$8\r\npmessage\r\n$", rest) => {
                read_short_bulk(rest)?.1.strip_prefix(b"$")?
            }
            _ => return None,
        },
    };
    let (channel, rest) = read_short_bulk(rest)?;
    let (payload, rest) = read_short_bulk(rest.strip_prefix(b"$")?)?;
    Some((channel, payload, rest))
}

/// Reads a string of at most 999 bytes that starts with its length. Returns the string and the bytes after it.
#[expect(clippy::inline_always, reason = "the call takes a tenth of the time that a frame costs")]
#[inline(always)]
fn read_short_bulk(buffer: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = |digit: u8| usize::from(digit - b'0');
    let (length, at) = match buffer.first_chunk()? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', _] => (value(*a) * 10 + value(*b), 4),
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n'] => {
            (value(*a) * 100 + value(*b) * 10 + value(*c), 5)
        }
        [a @ b'0'..=b'9', b'\r', b'\n', _, _] => (value(*a), 3),
        _ => return None,
    };
    let (text, rest) = buffer.get(at..)?.split_at_checked(length)?;
    Some((text, rest.strip_prefix(b"\r\n")?))
}

/// Reads any frame.
fn read_any(buffer: &[u8]) -> Scan<(Frame<'_>, usize)> {
    let mut scanner = Scanner::new(buffer);
    match buffer.first() {
        Some(b'*' | b'>') => read_push(buffer),
        Some(b'-') => match scanner.header()? {
            Some(Header::Line(_, line)) => Ok(Some((Frame::Error(line), scanner.position()))),
            _ => Ok(None),
        },
        _ => whole(Frame::Other, buffer),
    }
}

fn read_push(buffer: &[u8]) -> Scan<(Frame<'_>, usize)> {
    let mut scanner = Scanner::new(buffer);
    let Some(Header::Aggregate(_, count)) = scanner.header()? else { return Ok(None) };
    let kind = match buffer.get(scanner.position()) {
        Some(b'$' | b'+') if count.is_some_and(|n| n > 0) => match scanner.text()? {
            Some(kind) => kind,
            None => return Ok(None),
        },
        _ => b"",
    };
    let names = match (kind, count) {
        (b"message" | b"smessage", Some(3)) => 1,
        (b"pmessage", Some(4)) => 2,
        (b"subscribe" | b"psubscribe" | b"ssubscribe", Some(3)) => return whole(Frame::Subscribed, buffer),
        (b"sunsubscribe", Some(3)) => return whole(Frame::Unsubscribed, buffer),
        _ => return whole(Frame::Other, buffer),
    };
    let mut channel: &[u8] = b"";
    for _ in 0..names {
        let Some(name) = scanner.text()? else { return Ok(None) };
        channel = name;
    }
    let length = match scanner.header()? {
        None => return Ok(None),
        Some(Header::Bulk(b'$', Some(length))) => length,
        Some(_) => return Err(NotResp),
    };
    let end = scanner.position() + length + 2;
    if length > BULK_BYTES_MAX || end > FRAME_BYTES_MAX {
        return Ok(Some((Frame::TooLong, end)));
    }
    Ok(scanner.bulk(length)?.map(|payload| (Frame::Message { channel, payload }, end)))
}

/// Returns `frame` with the length of the value at the start of `buffer`, once that is complete.
fn whole<'a>(frame: Frame<'a>, buffer: &[u8]) -> Scan<(Frame<'a>, usize)> {
    Ok(value_length(buffer)?.map(|length| (frame, length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::resp::push::*;

    const STREAM: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n\
        *3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n\
        >4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\ncc\r\n$0\r\n\r\n\
        *2\r\n$4\r\npong\r\n$0\r\n\r\n-ERR no\r\n+OK\r\n%1\r\n+a\r\n*1\r\n:2\r\n$-1\r\n";

    fn frames(mut buffer: &[u8]) -> Result<(Vec<String>, usize), NotResp> {
        let mut all = Vec::new();
        while let Some((frame, length)) = read_frame(buffer)? {
            all.push(format!("{frame:?}"));
            buffer = &buffer[length..];
        }
        Ok((all, buffer.len()))
    }

    #[test]
    fn pushes_of_both_protocols_are_recognised() {
        let (all, rest) = frames(STREAM).unwrap();
        let message = |channel: &[u8], payload: &[u8]| format!("{:?}", Frame::Message { channel, payload });
        let error = format!("{:?}", Frame::Error(b"ERR no"));
        assert_eq!(rest, 0);
        assert_eq!(all[0], "Subscribed");
        assert_eq!(all[1..3], [message(b"c", b"a\r\nb"), message(b"cc", b"")]);
        assert_eq!(all[3..], ["Other", error.as_str(), "Other", "Other", "Other"]);
    }

    #[test]
    fn a_frame_is_complete_or_absent() {
        for cut in 0..STREAM.len() {
            let (all, rest) = frames(&STREAM[..cut]).unwrap();
            let whole = frames(&STREAM[..cut - rest]).unwrap();
            assert_eq!((all, 0), whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_oversized_message_is_skipped() {
        let head = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$99999999\r\n{";
        assert_eq!(read_frame(head), Ok(Some((Frame::TooLong, head.len() - 1 + 99_999_999 + 2))));
        let name = "n".repeat(1 << 20);
        let head = format!("*3\r\n$7\r\nmessage\r\n$1048576\r\n{name}\r\n$16777216\r\n");
        assert_eq!(read_frame(head.as_bytes()), Ok(Some((Frame::TooLong, head.len() + (16 << 20) + 2))));
    }

    #[test]
    fn other_protocols_are_rejected() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"SSH-2.0-x\r\n",
            b"*x\r\n",
            b"$-2\r\n",
            b"\0\0",
            b"*99999999\r\n:1\r\n",
        ] {
            assert!(frames(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(read_frame(&b"*1\r\n".repeat(1_000)), Err(NotResp), "depth is bounded");
    }

    #[test]
    fn common_frames_take_the_fast_path() {
        let common =
            |text: &[u8]| read_common(text).map(|(channel, payload, rest)| (channel.len(), payload.len(), rest.len()));
        for head in ["*3\r\n$7\r\nmessage\r\n", ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n"] {
            for (length, is_common) in [(0, true), (9, true), (10, true), (99, true), (999, true), (1_000, false)] {
                let frame = format!("{head}$12\r\nstock_prices\r\n${length}\r\n{}\r\n+", "x".repeat(length));
                assert_eq!(common(frame.as_bytes()), is_common.then_some((12, length, 1)), "{frame}");
                assert_eq!(common(&frame.as_bytes()[..frame.len() - 2]), None, "{frame}");
            }
        }
        assert_eq!(common(b"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\na\r\n"), None);
    }

    /// Frames as servers send them.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let kinds = ["*3\r\n$7\r\nmessage", ">3\r\n$7\r\nmessage", "*4\r\n$8\r\npmessage\r\n$2\r\nc*"];
        let kind = prop::sample::select(kinds.to_vec());
        (kind, "[a-c]{0,12}", "[ -~\r\n]{0,120}").prop_map(|(kind, channel, text)| {
            let (name, length) = (channel.len(), text.len());
            format!("{kind}\r\n${name}\r\n{channel}\r\n${length}\r\n{text}\r\n").into_bytes()
        })
    }

    proptest! {
        #[test]
        fn the_fast_path_and_the_general_path_agree(
            frame in frame(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), "[*>$0-9\r\n]"), 0..3),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = frame.clone();
            bytes.extend_from_slice(&frame);
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte.as_bytes()[0];
            }
            bytes.truncate(cut.map_or(bytes.len(), |at| at.index(bytes.len())));
            prop_assert_eq!(read_frame(&bytes), read_any(&bytes));
        }

        #[test]
        fn no_bytes_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            text in "[*>$%:+\\-0-9\r\na-e]{0,40}",
        ) {
            let _ = (frames(&bytes), frames(text.as_bytes()));
        }
    }
}

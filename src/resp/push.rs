//! The walk over what a server pushes to a subscriber: frames are recognised in place, in the socket's read buffer.
//!
//! Both protocol versions are read: RESP2 sends pushes as arrays (`*`), RESP3 as pushes (`>`). A frame borrows the
//! buffer; nothing is copied. Protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

/// Longest accepted message, in bytes. A day of ticks in one array is near 16 MiB; Redis itself would allow 512 MiB,
/// which no reader that promises flat memory can hold.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Longest frame that is held: a longest message with the names of its channel and pattern. Redis lets names be as long
/// as messages, and a publisher chooses them where the subscription is a pattern.
pub(crate) const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX + (256 << 10);

/// Longest line (a length, a simple string, an error). Redis's own errors stay far below it.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Deepest nesting of replies that are skipped over; `HELLO` answers with a map of lists of maps.
const DEPTH_MAX: usize = 8;

/// Most elements of an aggregate; `HELLO` and pushes have fewer than thirty.
pub(crate) const ELEMENTS_MAX: usize = 1 << 16;

/// What stands at the start of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A published message.
    Message(&'a [u8]),
    /// A published message beyond [`MESSAGE_BYTES_MAX`], or beyond [`FRAME_BYTES_MAX`] with its names. The bytes from
    /// the frame's start up to its end are to be skipped as they arrive.
    TooLong,
    /// Confirms one channel or pattern.
    Subscribed,
    /// One sharded channel is no more: its slot has moved to another node.
    Unsubscribed,
    /// An error reply, without its leading `-`.
    Error(&'a [u8]),
    /// Anything else: status replies, pongs, numbers, maps.
    Other,
}

/// The buffer does not hold RESP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotResp;

/// A step of the walk: `None` while the buffer ends before the frame does.
pub(crate) type Walk<T> = Result<Option<T>, NotResp>;

/// Reads the frame at the start of `buffer` and its length in bytes, which exceeds the buffer's for
/// [`Frame::TooLong`] only.
#[inline]
pub(crate) fn read_frame(buffer: &[u8]) -> Walk<(Frame<'_>, usize)> {
    match read_usual(buffer) {
        Some((payload, rest)) => Ok(Some((Frame::Message(payload), buffer.len() - rest.len()))),
        None => read_any(buffer),
    }
}

/// The short way for what nearly every frame is, a whole message of a usual length on a channel or pattern with a name
/// of a usual length: the message, and what follows the frame. It only ever says yes, to what [`read_any`] reads alike.
#[inline]
fn read_usual(buffer: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = match buffer.split_first_chunk() {
        Some((b"*3\r\n$7\r\nmessage\r\n$" | b">3\r\n$7\r\nmessage\r\n$", rest)) => rest,
        _ => match buffer.split_first_chunk()? {
            (b"*4\r\n$8\r\npmessage\r\n$" | b">4\r\n$8\r\npmessage\r\n$", rest) => {
                read_short_bulk(rest)?.1.strip_prefix(b"$")?
            }
            _ => return None,
        },
    };
    read_short_bulk(read_short_bulk(rest)?.1.strip_prefix(b"$")?)
}

/// A string of up to 999 bytes, from its length on, and what follows.
#[expect(clippy::inline_always, reason = "a tenth of the walk over a frame is the call")]
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
fn read_any(buffer: &[u8]) -> Walk<(Frame<'_>, usize)> {
    let Some(&kind) = buffer.first() else { return Ok(None) };
    match kind {
        b'*' | b'>' => read_push(buffer),
        b'-' => Ok(read_line(buffer, 1)?.map(|(line, end)| (Frame::Error(line), end))),
        _ => Ok(skip_value(buffer, 0, 0)?.map(|end| (Frame::Other, end))),
    }
}

fn read_push(buffer: &[u8]) -> Walk<(Frame<'_>, usize)> {
    let Some((elements, at)) = read_length(buffer, 0)? else { return Ok(None) };
    let Some((kind, mut at)) = read_text(buffer, at, elements)? else { return Ok(None) };
    let leading = match (kind, elements) {
        (b"message" | b"smessage", Some(3)) => 1,
        (b"pmessage", Some(4)) => 2,
        (b"subscribe" | b"psubscribe" | b"ssubscribe", Some(3)) => {
            return Ok(skip_value(buffer, 0, 0)?.map(|end| (Frame::Subscribed, end)));
        }
        (b"sunsubscribe", Some(3)) => {
            return Ok(skip_value(buffer, 0, 0)?.map(|end| (Frame::Unsubscribed, end)));
        }
        _ => return Ok(skip_value(buffer, 0, 0)?.map(|end| (Frame::Other, end))),
    };
    for _ in 0..leading {
        let Some(end) = skip_value(buffer, at, 1)? else { return Ok(None) };
        at = end;
    }
    let Some(b'$') = buffer.get(at) else {
        return if at < buffer.len() { Err(NotResp) } else { Ok(None) };
    };
    let Some((length, start)) = read_length(buffer, at)? else { return Ok(None) };
    let length = length.ok_or(NotResp)?;
    let end = start.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(NotResp)?;
    if length > MESSAGE_BYTES_MAX || end > FRAME_BYTES_MAX {
        return Ok(Some((Frame::TooLong, end)));
    }
    match buffer.get(start..end) {
        None => Ok(None),
        Some(bulk) if bulk.ends_with(b"\r\n") => Ok(Some((Frame::Message(&bulk[..length]), end))),
        Some(_) => Err(NotResp),
    }
}

/// The first element of an aggregate, if it is a string; empty for aggregates that have no kind.
fn read_text(buffer: &[u8], at: usize, elements: Option<usize>) -> Walk<(&[u8], usize)> {
    if elements.is_none_or(|n| n == 0) {
        return Ok(Some((b"", at)));
    }
    match buffer.get(at) {
        None => Ok(None),
        Some(b'$') => {
            let Some(end) = skip_value(buffer, at, 1)? else { return Ok(None) };
            let Some((length, start)) = read_length(buffer, at)? else { return Ok(None) };
            Ok(Some((&buffer[start..start + length.unwrap_or(0)], end)))
        }
        Some(b'+') => Ok(read_line(buffer, at + 1)?),
        Some(_) => Ok(Some((b"", at))),
    }
}

/// A line from `at`, without its end, and where the next one starts.
pub(crate) fn read_line(buffer: &[u8], at: usize) -> Walk<(&[u8], usize)> {
    let rest = buffer.get(at..).unwrap_or_default();
    let window = &rest[..rest.len().min(LINE_BYTES_MAX)];
    match memchr::memchr(b'\n', window) {
        Some(end) if end > 0 && window[end - 1] == b'\r' => Ok(Some((&window[..end - 1], at + end + 1))),
        Some(_) => Err(NotResp),
        None if window.len() == LINE_BYTES_MAX => Err(NotResp),
        None => Ok(None),
    }
}

/// The length that follows the type byte at `at`; the inner `None` is RESP2's null (-1).
pub(crate) fn read_length(buffer: &[u8], at: usize) -> Walk<(Option<usize>, usize)> {
    let Some((digits, next)) = read_line(buffer, at + 1)? else { return Ok(None) };
    if digits == b"-1" {
        return Ok(Some((None, next)));
    }
    if digits.is_empty() || digits.len() > 12 {
        return Err(NotResp);
    }
    let mut length = 0usize;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(NotResp);
        }
        length = length * 10 + usize::from(digit - b'0');
    }
    Ok(Some((Some(length), next)))
}

/// Where the value that starts at `at` ends.
pub(crate) fn skip_value(buffer: &[u8], at: usize, depth: usize) -> Walk<usize> {
    let Some(&kind) = buffer.get(at) else { return Ok(None) };
    let per_element = match kind {
        b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => {
            return Ok(read_line(buffer, at + 1)?.map(|(_, end)| end));
        }
        b'$' | b'=' | b'!' => {
            let Some((length, start)) = read_length(buffer, at)? else { return Ok(None) };
            let Some(length) = length else { return Ok(Some(start)) };
            if length > MESSAGE_BYTES_MAX {
                return Err(NotResp);
            }
            let end = start + length + 2;
            return match buffer.get(end - 2..end) {
                None => Ok(None),
                Some(b"\r\n") => Ok(Some(end)),
                Some(_) => Err(NotResp),
            };
        }
        b'*' | b'>' | b'~' => 1,
        b'%' => 2,
        _ => return Err(NotResp),
    };
    if depth >= DEPTH_MAX {
        return Err(NotResp);
    }
    let Some((elements, mut at)) = read_length(buffer, at)? else { return Ok(None) };
    let elements = elements.unwrap_or(0);
    if elements > ELEMENTS_MAX {
        return Err(NotResp);
    }
    for _ in 0..elements * per_element {
        let Some(end) = skip_value(buffer, at, depth + 1)? else { return Ok(None) };
        at = end;
    }
    Ok(Some(at))
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
    fn both_protocols_pushes_are_recognised() {
        let (all, rest) = frames(STREAM).unwrap();
        let message = |bytes: &[u8]| format!("{:?}", Frame::Message(bytes));
        let error = format!("{:?}", Frame::Error(b"ERR no"));
        assert_eq!(rest, 0);
        assert_eq!(all[0], "Subscribed");
        assert_eq!(all[1..3], [message(b"a\r\nb"), message(b"")]);
        assert_eq!(all[3..], ["Other", error.as_str(), "Other", "Other", "Other"]);
    }

    #[test]
    fn a_frame_is_whole_or_not_there() {
        for cut in 0..STREAM.len() {
            let (all, rest) = frames(&STREAM[..cut]).unwrap();
            let whole = frames(&STREAM[..cut - rest]).unwrap();
            assert_eq!((all, 0), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_huge_message_is_skipped_and_not_held() {
        let head = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$99999999\r\n{";
        assert_eq!(read_frame(head), Ok(Some((Frame::TooLong, head.len() - 1 + 99_999_999 + 2))));
        let name = "n".repeat(1 << 20);
        let head = format!("*3\r\n$7\r\nmessage\r\n$1048576\r\n{name}\r\n$16777216\r\n");
        assert_eq!(read_frame(head.as_bytes()), Ok(Some((Frame::TooLong, head.len() + (16 << 20) + 2))));
    }

    #[test]
    fn other_protocols_are_refused() {
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
        assert_eq!(read_frame(&vec![b'+'; LINE_BYTES_MAX + 1]), Err(NotResp), "lines are bounded");
    }

    #[test]
    fn the_usual_frames_go_the_short_way() {
        let usual = |text: &[u8]| read_usual(text).map(|(payload, rest)| (payload.len(), rest.len()));
        for head in ["*3\r\n$7\r\nmessage\r\n", ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n"] {
            for (length, is_usual) in [(0, true), (9, true), (10, true), (99, true), (999, true), (1_000, false)] {
                let frame = format!("{head}$12\r\nstock_prices\r\n${length}\r\n{}\r\n+", "x".repeat(length));
                assert_eq!(usual(frame.as_bytes()), is_usual.then_some((length, 1)), "{frame}");
                assert_eq!(usual(&frame.as_bytes()[..frame.len() - 2]), None, "{frame}");
            }
        }
        assert_eq!(usual(b"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\na\r\n"), None);
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
        fn the_short_way_and_the_long_way_agree(
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

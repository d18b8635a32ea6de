//! Lower bound of the cost of receiving: a blocking socket, large reads, and only the work per message that an exact
//! count requires. No receiver of these messages can cost less.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;

use super::tally::{Tally, until_stdin_ends};

/// Size of a read. Reads of 8 to 256 KiB all cost the same per message.
const READ_BYTES: usize = 64 * 1024;

/// Maximum length of a frame header that is kept when a read ends within it; a header is three short lines and a
/// length.
const HEADER_BYTES_MAX: usize = 512;

/// Subscribes to `channel` at 127.0.0.1:`port` and counts messages until standard input ends.
pub(crate) fn run(port: u16, channel: &str) -> io::Result<Value> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let len = channel.len();
    write!(stream, "*2\r\n$9\r\nSUBSCRIBE\r\n${len}\r\n{channel}\r\n")?;
    let confirmation = format!("*3\r\n$9\r\nsubscribe\r\n${len}\r\n{channel}\r\n:1\r\n");
    stream.read_exact(&mut vec![0; confirmation.len()])?;
    let head_len = format!("*3\r\n$7\r\nmessage\r\n${len}\r\n{channel}\r\n$").len();
    until_stdin_ends(move |tally| count(&mut stream, head_len, tally))
}

/// Counts frames until the connection ends. `head_len` bytes precede the digits of each payload's length.
fn count(stream: &mut impl Read, head_len: usize, tally: &Tally) {
    let mut buffer = vec![0; READ_BYTES + HEADER_BYTES_MAX];
    // Bytes of a header from the previous read, and the rest of a payload that is still to come.
    let (mut kept, mut to_skip, mut messages) = (0, 0, 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer[kept..kept + READ_BYTES]) {
        let end = kept + read;
        let mut at = to_skip;
        while let Some((digits_end, payload_len)) = buffer.get(at..end).and_then(|rest| header(rest, head_len)) {
            messages += 1;
            // Two bytes end the line with the length, and two the payload.
            at += digits_end + 2 + payload_len + 2;
        }
        kept = end.saturating_sub(at);
        to_skip = at.saturating_sub(end);
        buffer.copy_within(end - kept..end, 0);
        tally.set_messages(messages);
    }
}

/// End of the length's digits, and their value; `None` while the header is incomplete.
fn header(frame: &[u8], head_len: usize) -> Option<(usize, usize)> {
    let mut len = 0;
    for (at, byte) in frame.iter().enumerate().skip(head_len) {
        match byte {
            b'0'..=b'9' => len = len * 10 + usize::from(byte - b'0'),
            _ => return Some((at, len)),
        }
    }
    None
}

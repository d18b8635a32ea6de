//! Stream entries, borrowed from the reply that contains them.

use crate::client::Endpoint;
use crate::client::connection::error_text;
use crate::client::error::{SessionError, SessionResult};
use crate::model::StreamId;
use crate::resp::scanner::{Header, NotResp, Scan, Scanner};

/// An entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Id in the stream.
    pub id: StreamId,
    /// Names and values, in the order of the entry.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
}

/// Reads the entries in a reply to `XREAD` or `XREADGROUP` about one stream. Entries that the stream no longer holds
/// are omitted.
pub(super) fn read_entries<'a>(reply: &'a [u8], server: &Endpoint) -> SessionResult<Vec<Entry<'a>>> {
    check(reply, server, |scanner| match scanner.header()? {
        // RESP3: a map from the stream's key to its entries. RESP2: a list of such pairs.
        Some(Header::Aggregate(kind, Some(_))) => {
            if kind != b'%' {
                scanner.header()?;
            }
            scanner.skip()?;
            scan_entries(scanner)
        }
        // There are no entries.
        _ => Ok(None),
    })
}

/// Reads the entries in a reply to `XRANGE`.
pub(super) fn read_range<'a>(reply: &'a [u8], server: &Endpoint) -> SessionResult<Vec<Entry<'a>>> {
    check(reply, server, scan_entries)
}

/// Applies `scan` to a complete reply. An error reply becomes an error.
fn check<'a>(
    reply: &'a [u8],
    server: &Endpoint,
    scan: impl FnOnce(&mut Scanner<'a>) -> Scan<Vec<Entry<'a>>>,
) -> SessionResult<Vec<Entry<'a>>> {
    if let Some(text) = error_text(reply) {
        return Err(SessionError::refused(server, &text));
    }
    let entries = scan(&mut Scanner::new(reply)).map_err(|NotResp| SessionError::not_redis(server))?;
    Ok(entries.unwrap_or_default())
}

/// Scans a list of entries: `[[id, [name, value, ...]], ...]`. The fields are null if the stream no longer holds the
/// entry.
fn scan_entries<'a>(scanner: &mut Scanner<'a>) -> Scan<Vec<Entry<'a>>> {
    let Some(Header::Aggregate(_, Some(count))) = scanner.header()? else { return Ok(None) };
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(Header::Aggregate(_, Some(2))) = scanner.header()? else { return Err(NotResp) };
        let Some(id) = scanner.text()? else { return Ok(None) };
        let id = StreamId::from_bytes(id).ok_or(NotResp)?;
        let Some(Header::Aggregate(_, Some(texts))) = scanner.header()? else { continue };
        let mut fields = Vec::with_capacity(texts / 2);
        for _ in 0..texts / 2 {
            let (Some(name), Some(value)) = (scanner.text()?, scanner.text()?) else { return Ok(None) };
            fields.push((name, value));
        }
        entries.push(Entry { id, fields });
    }
    Ok(Some(entries))
}

/// Returns the id of the first entry after `cursor` in the beginning of a reply to `XREAD` that is too long.
pub(super) fn first_id(received: &[u8], cursor: StreamId) -> Option<StreamId> {
    let mut scanner = Scanner::new(received);
    // The first text is the stream's key, which may look like an id.
    let mut is_key = true;
    loop {
        if let Header::Bulk(_, Some(length)) = scanner.header().ok()?? {
            let text = scanner.bulk(length).ok()??;
            if !std::mem::take(&mut is_key) {
                return StreamId::from_bytes(text).filter(|id| *id > cursor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::stream_reader::entry::*;

    const ENTRY: &str = "*2\r\n$3\r\n1-1\r\n*2\r\n$4\r\ntick\r\n$2\r\n{}\r\n";

    #[test]
    fn replies_of_both_protocols_hold_the_same_entries() {
        let server = Endpoint::loopback(1);
        for head in ["*1\r\n*2\r\n$1\r\ns\r\n", "%1\r\n$1\r\ns\r\n", ""] {
            let reply = format!("{head}*2\r\n{ENTRY}*2\r\n$3\r\n1-2\r\n*-1\r\n");
            let read = if head.is_empty() { read_range } else { read_entries };
            let entry = Entry { id: StreamId { ms: 1, seq: 1 }, fields: vec![(b"tick", b"{}")] };
            assert_eq!(read(reply.as_bytes(), &server).unwrap(), [entry], "{head}");
        }
        for empty in ["*-1\r\n", "$-1\r\n", "_\r\n", "*0\r\n"] {
            assert!(read_entries(empty.as_bytes(), &server).unwrap().is_empty(), "{empty}");
        }
        assert!(matches!(read_entries(b"-NOPERM no\r\n", &server), Err(SessionError::Fatal(_))));
        assert!(matches!(read_range(b"*1\r\n:1\r\n", &server), Err(SessionError::Fatal(_))));
    }

    #[test]
    fn the_first_id_of_an_incomplete_reply_is_found() {
        let reply = format!("*1\r\n*2\r\n$3\r\n9-9\r\n*1\r\n{ENTRY}");
        assert_eq!(first_id(reply.as_bytes(), StreamId::START), Some(StreamId { ms: 1, seq: 1 }));
        assert_eq!(first_id(reply.as_bytes(), StreamId { ms: 1, seq: 1 }), None);
        for cut in 0..30 {
            assert_eq!(first_id(&reply.as_bytes()[..cut], StreamId::START), None, "{cut}");
        }
    }
}

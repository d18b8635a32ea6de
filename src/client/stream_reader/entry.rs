//! Entries of a stream, borrowed from the answer that brought them.

use crate::model::StreamId;
use crate::resp::push::{read_length, read_line};
use crate::resp::value::Value;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the stream.
    pub id: StreamId,
    /// Names and values, in the order in which they were added.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Entry<'a> {
    /// Reads `[id, [name, value, ...]]`. Without fields where the stream does not hold the entry any more.
    pub(super) fn read(value: &Value<'a>) -> Option<(StreamId, Option<Self>)> {
        let [id, fields] = value.list() else { return None };
        let id = StreamId::from_bytes(id.text()?)?;
        let Value::List(fields) = fields else { return Some((id, None)) };
        let (pairs, _) = fields.as_chunks::<2>();
        let fields = pairs.iter().filter_map(|[name, value]| Some((name.text()?, value.text()?))).collect();
        Some((id, Some(Self { id, fields })))
    }
}

/// The entries of the one stream that was read, in an answer of either protocol to `XREAD` or `XREADGROUP`.
pub(super) fn of_stream<'a, 'v>(answer: &'v Value<'a>) -> &'v [Value<'a>] {
    match answer.list() {
        // RESP3: a map from the key to the entries.
        [Value::Text(_), entries] => entries.list(),
        // RESP2: a list of pairs.
        [stream] => stream.list().get(1).map(Value::list).unwrap_or_default(),
        _ => &[],
    }
}

/// The entries in an answer to `XREAD`.
pub(super) fn entries<'a>(answer: &Value<'a>) -> Vec<Entry<'a>> {
    of_stream(answer).iter().filter_map(|value| Entry::read(value)?.1).collect()
}

/// The id of the first entry behind `cursor` in the beginning of an answer to `XREAD`, whose end never came.
pub(super) fn first_id(heard: &[u8], cursor: StreamId) -> Option<StreamId> {
    let (mut at, mut texts) = (0, 0);
    loop {
        let (_, next) = read_line(heard, at + 1).ok()??;
        if heard.get(at) == Some(&b'$') {
            let (length, start) = read_length(heard, at).ok()??;
            let text = heard.get(start..start + length?)?;
            texts += 1;
            // The first text is the stream's key, which may look like an id.
            if texts == 2 {
                return StreamId::from_bytes(text).filter(|id| *id > cursor);
            }
            at = start + text.len() + 2;
        } else {
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::stream_reader::entry::*;
    use crate::resp::value::read_value;

    const ENTRY: &str = "*2\r\n$3\r\n1-1\r\n*2\r\n$4\r\ntick\r\n$2\r\n{}\r\n";

    #[test]
    fn both_protocols_answers_hold_the_same_entries() {
        for head in ["*1\r\n*2\r\n$1\r\ns\r\n*2\r\n", "%1\r\n$1\r\ns\r\n*2\r\n"] {
            let answer = format!("{head}{ENTRY}*2\r\n$3\r\n1-2\r\n*-1\r\n");
            let (value, _) = read_value(answer.as_bytes()).unwrap().unwrap();
            let all = entries(&value);
            assert_eq!(all.len(), 1, "what is gone has no fields");
            assert_eq!(
                (all[0].id, &all[0].fields[..]),
                (StreamId { ms: 1, seq: 1 }, &[(&b"tick"[..], &b"{}"[..])][..])
            );
            assert_eq!(of_stream(&value).len(), 2);
        }
        assert!(entries(&Value::Null).is_empty() && entries(&Value::Number(1)).is_empty());
    }

    #[test]
    fn the_first_id_of_an_answer_without_end_is_found() {
        let answer = format!("*1\r\n*2\r\n$3\r\n9-9\r\n*1\r\n{ENTRY}");
        assert_eq!(first_id(answer.as_bytes(), StreamId::START), Some(StreamId { ms: 1, seq: 1 }));
        assert_eq!(first_id(answer.as_bytes(), StreamId { ms: 1, seq: 1 }), None);
        for cut in 0..30 {
            assert_eq!(first_id(&answer.as_bytes()[..cut], StreamId::START), None, "{cut}");
        }
    }
}

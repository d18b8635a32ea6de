//! A batch on disk: its length and checksum, then the number of its first message, where each message ends, and all
//! of their bytes. Integers are little-endian.

use crate::client::Batch;

/// Length and checksum, before the body.
pub(super) const HEAD_BYTES: usize = 8;

/// Longest body that is believed: a batch of the longest ticks is far below.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The number of the first message, and the count.
const PREFIX_BYTES: usize = 12;

/// Appends a batch; an empty one leaves no trace.
pub(super) fn write(batch: &Batch, out: &mut Vec<u8>) {
    let Some(span) = batch.span() else { return };
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    out.extend_from_slice(&span.first.to_le_bytes());
    out.extend_from_slice(&(batch.len() as u32).to_le_bytes());
    let mut end = 0;
    for payload in batch.payloads() {
        end += payload.len() as u32;
        out.extend_from_slice(&end.to_le_bytes());
    }
    batch.payloads().for_each(|payload| out.extend_from_slice(payload));
    let body = &out[start + HEAD_BYTES..];
    let (length, sum) = (body.len() as u32, crc32fast::hash(body));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// How long the body behind a head is; `None` for what is no head.
pub(super) fn body_length(head: &[u8]) -> Option<usize> {
    let length = integer(head)? as usize;
    (PREFIX_BYTES..=BODY_BYTES_MAX).contains(&length).then_some(length)
}

/// Reads the record at the start of `bytes`, and its length; `None` unless it is whole and sound.
pub(super) fn read(bytes: &[u8]) -> Option<(Batch, usize)> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let body = rest.get(..body_length(head)?)?;
    if integer(&head[4..])? != crc32fast::hash(body) {
        return None;
    }
    let first = u64::from_le_bytes(*body.first_chunk()?);
    let count = integer(&body[8..])? as usize;
    let (ends, payloads) = body[PREFIX_BYTES..].split_at_checked(count.checked_mul(4)?)?;
    let mut batch = Batch::default();
    batch.number(first);
    let mut start = 0;
    for end in ends.as_chunks::<4>().0 {
        let end = u32::from_le_bytes(*end) as usize;
        let payload = payloads.get(start..end)?;
        batch.push(None, |out| out.extend_from_slice(payload));
        start = end;
    }
    let sound = count > 0 && start == payloads.len() && first.checked_add(count as u64).is_some();
    sound.then_some((batch, HEAD_BYTES + body.len()))
}

fn integer(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}

//! Disk format of a batch: length and CRC-32 of the body, then the number of the first message, the number of messages,
//! the end offset of each message, and their bytes. Integers are little-endian.

use crate::spool::Batch;

/// Length and checksum, which precede the body.
pub(super) const HEAD_BYTES: usize = 8;

/// Longest valid body; a batch of the longest ticks is far below.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Number of the first message, and the number of messages.
const PREFIX_BYTES: usize = 12;

/// Appends a batch to `out`; an empty one appends nothing.
pub(super) fn write(batch: &Batch, out: &mut Vec<u8>) {
    let Some(range) = batch.range() else { return };
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    out.extend_from_slice(&range.first.to_le_bytes());
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

/// Returns the length of the body from the record's head; `None` if the head is invalid.
pub(super) fn body_length(head: &[u8]) -> Option<usize> {
    let length = integer(head)? as usize;
    (PREFIX_BYTES..=BODY_BYTES_MAX).contains(&length).then_some(length)
}

/// Reads the record at the start of `bytes`, and its length; `None` unless it is complete and valid.
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
    batch.set_first_number(first);
    let mut start = 0;
    for end in ends.as_chunks::<4>().0 {
        let end = u32::from_le_bytes(*end) as usize;
        let payload = payloads.get(start..end)?;
        batch.push(None, |out| out.extend_from_slice(payload));
        start = end;
    }
    let is_valid = count > 0 && start == payloads.len() && first.checked_add(count as u64).is_some();
    is_valid.then_some((batch, HEAD_BYTES + body.len()))
}

fn integer(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}

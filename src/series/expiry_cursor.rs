//! Cursor at the earliest tick of a series whose ticks expire by age.

use super::chunk::Chunk;
use super::columns::BLOCK_TICKS;
use crate::series::block_codec::DecodedBlock;

/// Keeps the current block decoded, because with each new tick an old one of the same block may expire.
#[derive(Debug, Default)]
pub(super) struct ExpiryCursor {
    key: Option<(u64, usize)>,
    ticks: DecodedBlock,
}

impl ExpiryCursor {
    /// Discards the block; must be called when ticks of the first chunk change.
    pub(super) fn invalidate(&mut self) {
        self.key = None;
    }

    /// Index of the first tick in chunk `id`, at or after `from`, that is not before `time_ns`; the last tick never is.
    pub(super) fn seek(&mut self, (id, chunk): (u64, &Chunk), from: usize, time_ns: i64) -> usize {
        let mut at = from;
        if let Some(times) = chunk.open_times() {
            at += times[from..].iter().take_while(|&&time| time < time_ns).count();
            return at;
        }
        loop {
            let block = at / BLOCK_TICKS;
            if self.key != Some((id, block)) {
                chunk.unpack_times(block, &mut self.ticks);
                self.key = Some((id, block));
            }
            let rest = self.ticks.times.get(at % BLOCK_TICKS..self.ticks.len).unwrap_or_default();
            let expired = rest.iter().take_while(|&&time| time < time_ns).count();
            at += expired;
            if expired < rest.len() || rest.is_empty() {
                return at;
            }
        }
    }
}

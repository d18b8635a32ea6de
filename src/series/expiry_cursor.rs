//! The earliest block of a series, unpacked while its ticks expire one by one.

use super::chunk::Chunk;
use super::columns::BLOCK_TICKS;
use crate::series::block_codec::DecodedBlock;

/// Remembers the block that was looked at last, since with each new tick an old one may expire from the same block.
#[derive(Debug, Default)]
pub(super) struct ExpiryCursor {
    key: Option<(u64, usize)>,
    ticks: DecodedBlock,
}

impl ExpiryCursor {
    /// Forgets what it knows; to be called when the first chunk's ticks change.
    pub(super) fn forget(&mut self) {
        self.key = None;
    }

    /// Place of the first tick in chunk `id`, at or behind `from`, that is not before an instant; the last tick is not.
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

//! Log of one shard's messages on disk: append-only segments, each named after the number of its first message.
//!
//! Batches are written and synchronised before any of their messages may be sent. A write that a crash cut short fails
//! its checksum and is truncated; the records before it are valid. A segment is deleted once all of its messages are
//! confirmed or dropped.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::spool::checkpoint;
use crate::spool::checkpoint::{Checkpoint, CheckpointFile};
use crate::spool::{
    Batch, SequenceRange, SpoolError, add_range, check_names, io_error, record, safe_path, sync_folder,
};

/// Size at which a new segment is started: small enough that disk space is soon reclaimed, large enough that files are
/// few.
const SEGMENT_BYTES: u64 = 8 << 20;

/// First bytes of each segment; the last one is the version.
const MAGIC: [u8; 8] = *b"tsspool\x01";

const SUFFIX: &str = ".ticks";

/// Longest time between two checkpoints. Messages confirmed after the last one are sent again after a crash; readers
/// recognise the duplicates.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Segment {
    /// Number of the first message, which names the file.
    pub(super) first: u64,
    /// Number of the last message; 0 if the segment is empty.
    pub(super) last: u64,
    /// Length of the valid part, in bytes.
    pub(super) bytes: u64,
}

/// Read position in the log.
#[derive(Debug, Default)]
struct SegmentReader {
    /// First number of the segment.
    segment: u64,
    offset: u64,
    file: Option<File>,
    /// Messages read from disk and not yet returned.
    rest: Batch,
}

/// Messages of one shard on disk.
#[derive(Debug)]
pub struct SegmentLog {
    folder: PathBuf,
    /// Most messages that the queue over this log may hold.
    pub(crate) capacity: u64,
    segments: VecDeque<Segment>,
    /// Last segment, while it may grow.
    tail: Option<File>,
    reader: SegmentReader,
    checkpoint: CheckpointFile,
    /// Checkpoint on disk.
    saved: Checkpoint,
    saved_at: Instant,
    /// Number of messages of an earlier run, and their ranges.
    pub(crate) recovered: u64,
    pub(crate) recovered_ranges: Vec<SequenceRange>,
    buffer: Vec<u8>,
    /// Keeps the spool locked while any of its logs is in use.
    _lock: Arc<File>,
}

impl SegmentLog {
    /// Opens the log in `folder`, or creates it, and recovers the messages of earlier runs.
    pub(super) fn open(folder: PathBuf, capacity: u64, lock: &Arc<File>) -> Result<Self, SpoolError> {
        let failed = io_error(folder.clone());
        let damaged = || SpoolError::Damaged { path: safe_path(&folder.join(checkpoint::NAME)) };
        fs::create_dir_all(&folder).map_err(&failed)?;
        let firsts = segment_names(&folder)?;
        if !firsts.is_empty() && !folder.join(checkpoint::NAME).exists() {
            return Err(damaged());
        }
        let checkpoint = CheckpointFile::open(&folder).map_err(&failed)?.ok_or_else(damaged)?;
        let mut log = Self {
            capacity,
            segments: VecDeque::new(),
            tail: None,
            reader: SegmentReader::default(),
            saved: checkpoint.checkpoint,
            checkpoint,
            saved_at: Instant::now(),
            recovered: 0,
            recovered_ranges: Vec::new(),
            buffer: Vec::new(),
            _lock: Arc::clone(lock),
            folder,
        };
        for first in firsts {
            log.recover_segment(first)?;
        }
        log.reader.segment = log.segments.front().map_or(0, |segment| segment.first);
        Ok(log)
    }

    /// Reads a segment of an earlier run up to the end of its valid part, and truncates it there.
    fn recover_segment(&mut self, first: u64) -> Result<(), SpoolError> {
        let path = self.path(first);
        let failed = io_error(path.clone());
        let bytes = fs::read(&path).map_err(&failed)?;
        let head = bytes.get(..MAGIC.len()).unwrap_or_default();
        match head {
            // Zeros: the file was created, but nothing was written to it before the crash.
            _ if head == MAGIC || head.iter().all(|byte| *byte == 0) => {}
            [name @ .., version] if *name == MAGIC[..7] && *version > MAGIC[7] => {
                return Err(SpoolError::Newer { path: safe_path(&path) });
            }
            _ => {
                let file = safe_path(Path::new(&segment_name(first)));
                return Err(SpoolError::Foreign { path: safe_path(&self.folder), file });
            }
        }
        let (mut end, mut last) = (MAGIC.len(), 0);
        while let Some((batch, length)) = bytes.get(end..).and_then(record::read).filter(|_| head == MAGIC) {
            let Some(range) = batch.range().filter(|range| range.first > last) else { break };
            last = range.last;
            end += length;
            self.recover_range(range);
        }
        if end < bytes.len() {
            let torn = bytes.len() - end;
            let path = safe_path(&path);
            warn!(
                "discarded the last {torn} bytes of the spool's {path}, which a crash cut short; they were never sent"
            );
        }
        if last <= self.done() {
            return fs::remove_file(&path).map_err(failed);
        }
        if end < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path).map_err(&failed)?;
            file.set_len(end as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        self.segments.push_back(Segment { first, last, bytes: end as u64 });
        Ok(())
    }

    /// Counts the messages of a range that are not done.
    fn recover_range(&mut self, range: SequenceRange) {
        let Checkpoint { done, dropped_start, dropped_end, .. } = self.checkpoint.checkpoint;
        let first = range.first.max(done + 1);
        let before = (first, range.last.min(dropped_start.saturating_sub(1)));
        let after = (first.max(dropped_start).max(dropped_end), range.last);
        for (first, last) in [before, after] {
            if first <= last {
                let range = SequenceRange { first, last };
                self.recovered += range.count();
                add_range(&mut self.recovered_ranges, range);
            }
        }
    }

    /// Number up to which all messages are confirmed or dropped.
    pub(crate) fn done(&self) -> u64 {
        self.checkpoint.checkpoint.done
    }

    /// Highest number on disk, or already done.
    pub(crate) fn last(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.last).max(self.done())
    }

    /// Number of the next new message.
    pub(crate) fn next_number(&self) -> u64 {
        self.last().max(self.checkpoint.checkpoint.used) + 1
    }

    /// Path of the folder, safe to display.
    pub(crate) fn folder(&self) -> String {
        safe_path(&self.folder)
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(segment_name(first))
    }

    /// Writes and synchronises batches. After an error none of them counts as written.
    pub(crate) fn append(&mut self, batches: &[Batch]) -> io::Result<()> {
        let Some(first) = batches.iter().find_map(Batch::range).map(|range| range.first) else { return Ok(()) };
        self.buffer.clear();
        for batch in batches {
            record::write(batch, &mut self.buffer);
        }
        let written = self.write_buffer(first);
        if written.is_err() {
            self.abandon_tail();
        } else if let Some(segment) = self.segments.back_mut() {
            segment.bytes += self.buffer.len() as u64;
            segment.last = batches.iter().filter_map(Batch::range).map(|range| range.last).fold(segment.last, u64::max);
        }
        written
    }

    /// Writes and synchronises the buffer, whose first message has the number `first`.
    fn write_buffer(&mut self, first: u64) -> io::Result<()> {
        if self.segments.back().is_none_or(|segment| segment.bytes >= SEGMENT_BYTES) {
            self.tail = None;
        }
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => {
                let path = self.path(first);
                self.segments.push_back(Segment { first, last: 0, bytes: MAGIC.len() as u64 });
                // A file that a failed attempt left under this name was never part of the spool.
                let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
                file.write_all(&MAGIC)?;
                file.sync_all()?;
                sync_folder(&self.folder)?;
                self.tail.insert(file)
            }
        };
        tail.write_all(&self.buffer)?;
        tail.sync_data()
    }

    /// Truncates and closes the tail after a failed write: the content after its valid part is unknown.
    fn abandon_tail(&mut self) {
        let tail = self.tail.take();
        let Some(segment) = self.segments.back() else { return };
        let path = self.path(segment.first);
        if segment.last == 0 {
            self.segments.pop_back();
            // If the file remains, it holds no complete record, or only records that are written again.
            let _ = fs::remove_file(path);
        } else if let Some(tail) = tail {
            // If this fails, the next start truncates the file, or sends its last messages twice.
            let _ = tail.set_len(segment.bytes).and_then(|()| tail.sync_all());
        }
    }

    /// Moves the read position to the end: the messages written so far are still in memory.
    pub(crate) fn skip_to_end(&mut self) {
        if let Some(segment) = self.segments.back() {
            self.reader.enter(segment.first);
            self.reader.offset = segment.bytes;
        }
    }

    /// Reads the next batch that is on disk only; `None` at the end.
    pub(crate) fn read_next(&mut self) -> io::Result<Option<Batch>> {
        loop {
            if let Some(batch) = self.reader.next_pending(&self.checkpoint.checkpoint) {
                return Ok(Some(batch));
            }
            let at = self.segments.partition_point(|segment| segment.first < self.reader.segment);
            let Some(segment) = self.segments.get(at) else { return Ok(None) };
            let path = self.folder.join(segment_name(segment.first));
            self.reader.enter(segment.first);
            self.reader.offset = self.reader.offset.max(MAGIC.len() as u64);
            if self.reader.offset < segment.bytes {
                if let Some(batch) = self.reader.read_record(&path, segment.bytes)? {
                    self.reader.rest = batch;
                    continue;
                }
                let path = safe_path(&path);
                warn!("the spool's {path} is damaged; the messages after the damage are counted as dropped");
            }
            match self.segments.get(at + 1) {
                Some(next) => self.reader.enter(next.first),
                None => {
                    self.reader.offset = segment.bytes;
                    return Ok(None);
                }
            }
        }
    }

    /// Records that all messages up to `done`, and all within `dropped`, are done. Saves that from time to time, and
    /// deletes segments.
    pub(crate) fn release(&mut self, done: u64, dropped: Option<SequenceRange>) -> io::Result<()> {
        self.update_checkpoint(done, dropped);
        let checkpoint = self.checkpoint.checkpoint;
        // The segment that still grows is kept, or each quiet moment would cost a file.
        let closed = self.segments.len() - usize::from(self.tail.is_some()).min(self.segments.len());
        let is_any_done = self.segments.iter().take(closed).any(|segment| segment.is_done(&checkpoint));
        if checkpoint == self.saved || (!is_any_done && self.saved_at.elapsed() < CHECKPOINT_EVERY) {
            return Ok(());
        }
        self.save_checkpoint()?;
        self.delete_done(closed)
    }

    fn update_checkpoint(&mut self, done: u64, dropped: Option<SequenceRange>) {
        let checkpoint = &mut self.checkpoint.checkpoint;
        checkpoint.done = checkpoint.done.max(done);
        if let Some(dropped) = dropped {
            (checkpoint.dropped_start, checkpoint.dropped_end) = (dropped.first, dropped.last + 1);
        }
    }

    /// Deletes those of the `count` oldest segments that are done.
    fn delete_done(&mut self, count: usize) -> io::Result<()> {
        let checkpoint = self.checkpoint.checkpoint;
        for index in (0..count).rev() {
            if self.segments[index].is_done(&checkpoint) {
                fs::remove_file(self.path(self.segments[index].first))?;
                self.segments.remove(index);
            }
        }
        Ok(())
    }

    fn save_checkpoint(&mut self) -> io::Result<()> {
        self.saved_at = Instant::now();
        self.checkpoint.save()?;
        self.saved = self.checkpoint.checkpoint;
        Ok(())
    }

    /// Records that messages up to number `used` exist without being on disk, so that a restart does not reuse their
    /// numbers.
    pub(crate) fn reserve_numbers(&mut self, used: u64) -> io::Result<()> {
        self.checkpoint.checkpoint.used = self.checkpoint.checkpoint.used.max(used);
        self.save_checkpoint()
    }

    /// Saves the checkpoint and deletes all segments that are done.
    pub(crate) fn close(mut self, done: u64, dropped: Option<SequenceRange>, used: u64) -> io::Result<()> {
        self.update_checkpoint(done, dropped);
        self.tail = None;
        self.reserve_numbers(used)?;
        self.delete_done(self.segments.len())
    }
}

impl Segment {
    /// Returns true if all of its messages are confirmed or dropped.
    pub(super) fn is_done(&self, checkpoint: &Checkpoint) -> bool {
        let pending_from = self.first.max(checkpoint.done + 1);
        let is_dropped = pending_from >= checkpoint.dropped_start && self.last < checkpoint.dropped_end;
        self.last != 0 && (self.last <= checkpoint.done || is_dropped)
    }
}

impl SegmentReader {
    /// Moves to the start of a segment, unless the reader is in it already.
    fn enter(&mut self, segment: u64) {
        if self.segment != segment {
            *self = Self { segment, ..Self::default() };
        }
    }

    /// Returns the pending messages of the record that was read last, up to the next that is done.
    fn next_pending(&mut self, checkpoint: &Checkpoint) -> Option<Batch> {
        let range = self.rest.range()?;
        let numbers = || range.first..=range.last;
        let skipped = numbers().take_while(|number| checkpoint.covers(*number)).count();
        let pending = numbers().skip(skipped).take_while(|number| !checkpoint.covers(*number)).count();
        self.rest.skip(skipped);
        (pending > 0).then(|| self.rest.split(pending))
    }

    /// Reads the record at the current offset of a segment that is valid up to `end`; `None` if the record is damaged.
    fn read_record(&mut self, path: &Path, end: u64) -> io::Result<Option<Batch>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(path)?),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(record::HEAD_BYTES as u64).read_to_end(&mut bytes)?;
        let body = record::body_length(&bytes).map_or(0, |length| length as u64);
        if self.offset + bytes.len() as u64 + body > end {
            return Ok(None);
        }
        file.take(body).read_to_end(&mut bytes)?;
        let Some((batch, length)) = record::read(&bytes) else { return Ok(None) };
        self.offset += length as u64;
        Ok(Some(batch))
    }
}

fn segment_name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// First numbers of all segments in `folder`, in order. Refuses a folder that holds any other file.
fn segment_names(folder: &Path) -> Result<Vec<u64>, SpoolError> {
    let mut firsts = Vec::new();
    check_names(folder, |name| {
        let first = name.strip_suffix(SUFFIX).and_then(|digits| digits.parse().ok());
        let first = first.filter(|first| name == segment_name(*first));
        firsts.extend(first);
        first.is_some() || [checkpoint::NAME, checkpoint::NAME_NEW].contains(&name)
    })?;
    firsts.sort_unstable();
    Ok(firsts)
}

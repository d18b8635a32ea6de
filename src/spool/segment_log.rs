//! One lane's messages on disk: segments that only grow, named after the number of their first message.
//!
//! A group of batches is written and synchronised before any of it may leave. A write that a crash cut short fails its
//! checksum: it is cut off, and what stands before it is whole. A segment goes once all of it is done with.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::client::Batch;
use crate::client::publisher::{DiskOverflow, Recovered, Span};
use crate::spool::checkpoint;
use crate::spool::checkpoint::{Marks, Position};
use crate::spool::{SpoolError, record, shown, sync_folder, unusable};

/// A segment that is longer is followed by another: short enough that disk space comes back soon, long enough that
/// files are few.
const SEGMENT_BYTES: u64 = 8 << 20;

/// Begins each segment; the last byte is the version.
const MAGIC: [u8; 8] = *b"tsspool\x01";

const SUFFIX: &str = ".ticks";

/// What is confirmed is noted at least this often. What a crash makes forgotten is sent twice, which readers see.
const NOTE_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Segment {
    /// The number in its name.
    pub(super) first: u64,
    /// The highest number in it.
    pub(super) last: u64,
    /// As far as it is whole.
    pub(super) bytes: u64,
}

/// Where the next batch is read.
#[derive(Debug, Default)]
struct Reader {
    /// The segment's first number.
    segment: u64,
    at: u64,
    file: Option<File>,
    /// What was read and not yet asked for.
    rest: Batch,
}

/// A lane's folder.
#[derive(Debug)]
pub(super) struct Lane {
    folder: PathBuf,
    segments: VecDeque<Segment>,
    /// The last segment, while it may grow.
    tail: Option<File>,
    reader: Reader,
    position: Position,
    /// What the file says.
    noted: Marks,
    noted_at: Instant,
    /// Messages of an earlier run.
    held: Recovered,
    buffer: Vec<u8>,
    /// Held as long as any lane is in use.
    _lock: Arc<File>,
}

impl Lane {
    /// Opens a folder, or makes one, and looks what is in it.
    pub(super) fn open(folder: PathBuf, lock: &Arc<File>) -> Result<Self, SpoolError> {
        let failed = unusable(folder.clone());
        fs::create_dir_all(&folder).map_err(&failed)?;
        let firsts = segment_names(&folder)?;
        if !firsts.is_empty() && !folder.join(checkpoint::NAME).exists() {
            return Err(SpoolError::Damaged { path: shown(&folder.join(checkpoint::NAME)) });
        }
        let opened = Position::open(&folder).map_err(&failed)?;
        let position = opened.ok_or_else(|| SpoolError::Damaged { path: shown(&folder.join(checkpoint::NAME)) })?;
        let mut lane = Self {
            segments: VecDeque::new(),
            tail: None,
            reader: Reader::default(),
            noted: position.marks,
            position,
            noted_at: Instant::now(),
            held: Recovered::default(),
            buffer: Vec::new(),
            _lock: Arc::clone(lock),
            folder,
        };
        for first in firsts {
            lane.recover(first)?;
        }
        lane.reader.segment = lane.segments.front().map_or(0, |segment| segment.first);
        Ok(lane)
    }

    /// Takes in a segment of an earlier run, up to where it is whole.
    fn recover(&mut self, first: u64) -> Result<(), SpoolError> {
        let path = self.path(first);
        let failed = unusable(path.clone());
        let bytes = fs::read(&path).map_err(&failed)?;
        let head = bytes.get(..MAGIC.len()).unwrap_or_default();
        match head {
            // The file was made, and nothing written to it, before the crash.
            _ if head.iter().all(|byte| *byte == 0) => {}
            _ if head == MAGIC => {}
            [name @ .., version] if *name == MAGIC[..7] && *version > MAGIC[7] => {
                return Err(SpoolError::Newer { path: shown(&path) });
            }
            _ => return Err(SpoolError::Foreign { path: shown(&self.folder), file: shown(Path::new(&name(first))) }),
        }
        let (mut at, mut last) = (MAGIC.len(), 0);
        while let Some((batch, length)) = bytes.get(at..).and_then(record::read).filter(|_| head == MAGIC) {
            let Some(span) = batch.span().filter(|span| span.first > last) else { break };
            last = span.last;
            at += length;
            self.hold(span);
        }
        if at < bytes.len() {
            let torn = bytes.len() - at;
            warn!("the spool's {} ends in {torn} bytes that a crash cut short; they were never sent", shown(&path));
        }
        if last <= self.position.marks.done {
            return fs::remove_file(&path).map_err(failed);
        }
        if at < bytes.len() {
            let cut = || {
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(at as u64)?;
                file.sync_all()
            };
            cut().map_err(failed)?;
        }
        self.segments.push_back(Segment { first, last, bytes: at as u64 });
        Ok(())
    }

    /// Counts what is not done with of messages that were found.
    fn hold(&mut self, span: Span) {
        let Marks { done, hole_start, hole_end, .. } = self.position.marks;
        let first = span.first.max(done + 1);
        self.held.add(first, span.last.min(hole_start.saturating_sub(1)));
        self.held.add(first.max(hole_start).max(hole_end), span.last);
    }

    /// Messages of an earlier run that are not done with.
    pub(super) fn held(&self) -> u64 {
        self.held.count()
    }

    /// The number of the next new message.
    pub(super) fn next(&self) -> u64 {
        self.last().max(self.position.marks.used) + 1
    }

    fn last(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.last).max(self.position.marks.done)
    }

    /// For a queue of at most `max` messages: what it holds already.
    pub(super) fn depot(&self, max: u64) -> (DiskOverflow, Recovered) {
        (DiskOverflow::new(max, self.position.marks.done, self.last(), self.held.count()), self.held.clone())
    }

    pub(super) fn folder(&self) -> String {
        shown(&self.folder)
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(name(first))
    }

    /// Writes batches; once this returns they outlive a crash. After an error none of them counts as written.
    pub(super) fn append(&mut self, batches: &[Batch]) -> io::Result<()> {
        let Some(first) = batches.iter().find_map(Batch::span).map(|span| span.first) else { return Ok(()) };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        for batch in batches {
            record::write(batch, &mut buffer);
        }
        let written = self.write(first, &buffer);
        self.buffer = buffer;
        match written {
            Ok(bytes) => {
                if let Some(segment) = self.segments.back_mut() {
                    segment.bytes += bytes;
                    segment.last =
                        batches.iter().filter_map(Batch::span).map(|span| span.last).fold(segment.last, u64::max);
                }
                Ok(())
            }
            Err(error) => {
                self.give_up_tail();
                Err(error)
            }
        }
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> io::Result<u64> {
        if self.segments.back().is_none_or(|segment| segment.bytes >= SEGMENT_BYTES) {
            self.tail = None;
        }
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => {
                let path = self.path(first);
                self.segments.push_back(Segment { first, last: 0, bytes: MAGIC.len() as u64 });
                // What a failed attempt may have left under this name was never part of the spool.
                let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
                file.write_all(&MAGIC)?;
                file.sync_all()?;
                sync_folder(&self.folder)?;
                self.tail.insert(file)
            }
        };
        tail.write_all(bytes)?;
        tail.sync_data()?;
        Ok(bytes.len() as u64)
    }

    /// After a failed write nothing is known of what follows in the file: it is cut off, and not written to again.
    fn give_up_tail(&mut self) {
        let tail = self.tail.take();
        let Some(segment) = self.segments.back() else { return };
        let path = self.path(segment.first);
        if segment.last == 0 {
            self.segments.pop_back();
            // If it stays: it holds no whole record, or those that are tried again.
            let _ = fs::remove_file(path);
        } else if let Some(tail) = tail {
            // If that fails: what stands behind is cut off at the next start, or sent twice.
            let _ = tail.set_len(segment.bytes).and_then(|()| tail.sync_all());
        }
    }

    /// What was written up to now has stayed in memory and need not be read.
    pub(super) fn skip_to_end(&mut self) {
        if let Some(segment) = self.segments.back() {
            if self.reader.segment != segment.first {
                self.reader = Reader { segment: segment.first, ..Reader::default() };
            }
            self.reader.at = segment.bytes;
        }
    }

    /// The next batch that lies on disk alone; `None` at the end.
    pub(super) fn load(&mut self) -> io::Result<Option<Batch>> {
        loop {
            if let Some(batch) = self.reader.next_part(&self.position.marks) {
                return Ok(Some(batch));
            }
            let at = self.segments.iter().position(|segment| segment.first >= self.reader.segment);
            let Some(segment) = at.and_then(|at| self.segments.get(at)) else { return Ok(None) };
            let path = self.folder.join(name(segment.first));
            if segment.first != self.reader.segment {
                self.reader = Reader { segment: segment.first, ..Reader::default() };
            }
            self.reader.at = self.reader.at.max(MAGIC.len() as u64);
            let mut sound = true;
            if self.reader.at < segment.bytes {
                match self.reader.next(&path, segment.bytes)? {
                    Some(batch) => {
                        self.reader.rest = batch;
                        continue;
                    }
                    None => sound = false,
                }
            }
            if !sound {
                warn!("the spool's {} is damaged; what follows in it is lost, and counted", shown(&path));
            }
            match self.segments.get(at.unwrap_or(0) + 1) {
                Some(next) => self.reader = Reader { segment: next.first, ..Reader::default() },
                None => {
                    self.reader.at = segment.bytes;
                    return Ok(None);
                }
            }
        }
    }

    /// All up to `done` are done with, and all within `hole`: notes that now and then, and lets segments go.
    pub(super) fn release(&mut self, done: u64, hole: Option<Span>) -> io::Result<()> {
        self.mark(done, hole);
        let marks = self.position.marks;
        // The one that still grows stays, or each quiet moment would cost a file.
        let grown = self.segments.len() - usize::from(self.tail.is_some()).min(self.segments.len());
        let finished = self.segments.iter().take(grown).filter(|segment| segment.is_done(&marks)).count();
        if marks == self.noted || (finished == 0 && self.noted_at.elapsed() < NOTE_EVERY) {
            return Ok(());
        }
        self.note()?;
        self.let_go(grown)
    }

    fn mark(&mut self, done: u64, hole: Option<Span>) {
        let marks = &mut self.position.marks;
        marks.done = marks.done.max(done);
        if let Some(hole) = hole {
            (marks.hole_start, marks.hole_end) = (hole.first, hole.last + 1);
        }
    }

    /// Removes those of the `count` oldest segments that are done with.
    fn let_go(&mut self, count: usize) -> io::Result<()> {
        let marks = self.position.marks;
        for segment in self.segments.iter().take(count).filter(|segment| segment.is_done(&marks)) {
            fs::remove_file(self.path(segment.first))?;
        }
        let mut at = 0;
        self.segments.retain(|segment| {
            at += 1;
            at > count || !segment.is_done(&marks)
        });
        Ok(())
    }

    fn note(&mut self) -> io::Result<()> {
        self.noted_at = Instant::now();
        self.position.save()?;
        self.noted = self.position.marks;
        Ok(())
    }

    /// Numbers up to this one go to messages that are not on disk: never again after a restart.
    pub(super) fn note_used(&mut self, used: u64) -> io::Result<()> {
        self.position.marks.used = self.position.marks.used.max(used);
        self.note()
    }

    /// Leaves the folder as small as it can be.
    pub(super) fn close(mut self, done: u64, hole: Option<Span>, used: u64) -> io::Result<()> {
        self.mark(done, hole);
        self.position.marks.used = self.position.marks.used.max(used);
        self.tail = None;
        self.note()?;
        self.let_go(self.segments.len())
    }
}

impl Segment {
    /// Nothing in it is waited for: all that is not done with lies within the hole.
    pub(super) fn is_done(&self, marks: &Marks) -> bool {
        let waited_from = self.first.max(marks.done + 1);
        let within_hole = waited_from >= marks.hole_start && self.last < marks.hole_end;
        self.last != 0 && (self.last <= marks.done || within_hole)
    }
}

impl Reader {
    /// What is not done with of the record that was read last, up to where there is a hole.
    fn next_part(&mut self, marks: &Marks) -> Option<Batch> {
        let span = self.rest.span()?;
        let numbers = || span.first..=span.last;
        let skipped = numbers().take_while(|number| marks.covers(*number)).count();
        let wanted = numbers().skip(skipped).take_while(|number| !marks.covers(*number)).count();
        self.rest.skip(skipped);
        (wanted > 0).then(|| self.rest.split(wanted))
    }

    /// Reads the record here, of a segment that is whole up to `end`; `None` if it is not what was written.
    fn next(&mut self, path: &Path, end: u64) -> io::Result<Option<Batch>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(path)?),
        };
        file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = vec![0; record::HEAD_BYTES];
        let Some(length) = read_whole(file, &mut bytes)?.then(|| record::body_length(&bytes)).flatten() else {
            return Ok(None);
        };
        if self.at + (bytes.len() + length) as u64 > end {
            return Ok(None);
        }
        bytes.resize(record::HEAD_BYTES + length, 0);
        if !read_whole(file, &mut bytes[record::HEAD_BYTES..])? {
            return Ok(None);
        }
        let Some((batch, length)) = record::read(&bytes) else { return Ok(None) };
        self.at += length as u64;
        Ok(Some(batch))
    }
}

/// False where the file ends before.
fn read_whole(file: &mut File, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The first numbers of all segments, in order.
fn segment_names(folder: &Path) -> Result<Vec<u64>, SpoolError> {
    let failed = unusable(folder.to_owned());
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder).map_err(&failed)? {
        let file = entry.map_err(&failed)?.file_name();
        let text = file.to_str().unwrap_or_default();
        match text.strip_suffix(SUFFIX).and_then(|digits| digits.parse().ok()) {
            Some(first) if text == name(first) => firsts.push(first),
            _ if checkpoint::is_own(text) => {}
            _ => return Err(SpoolError::Foreign { path: shown(folder), file: shown(Path::new(&file)) }),
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

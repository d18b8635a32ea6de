//! Parquet reader. Memory holds a page of each column and a batch of rows.
//!
//! A page header states the page's length, and the library allocates as much before it decompresses: a damaged header
//! may ask for up to 2 GiB. The lengths in the file's metadata are checked beforehand.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use parquet::basic::Compression;
use parquet::errors::ParquetError as LibraryError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;

use crate::model::{Reject, Tick, Timestamp, display_safe};
use crate::sources::{ColumnMap, TickFilter};
use crate::storage::parquet::ParquetError;
use crate::storage::parquet::column::{self, Column, Expected, ValueKind};

/// Rows decoded at once, some 200 KB: enough to make the cost of a call negligible.
const BATCH_ROWS: usize = 4_096;

/// Longest part of a column in one group, compressed or not, in bytes: ten times what pandas and polars write for their
/// largest groups. Anything longer is damaged.
const CHUNK_BYTES_MAX: i64 = 1 << 30;

/// Longest part of the column names that an error repeats, in characters.
const NAMES_CHARS_MAX: usize = 200;

/// Open Parquet file. It is read in batches of rows, so that memory does not grow with the file.
pub struct ParquetReader {
    file: SerializedFileReader<File>,
    /// Fields of time, symbol and price, and of size if the file has it. Columns of a group are in the same order.
    fields: Vec<Field>,
    /// Groups that are still to be read.
    groups: std::vec::IntoIter<Group>,
    current: Option<OpenGroup>,
    span: Option<(i64, i64)>,
    rows_skipped: u64,
}

/// Column of the file, by its index, and the interpretation of its values.
#[derive(Debug, Clone, Copy)]
struct Field {
    leaf: usize,
    kind: ValueKind,
}

#[derive(Debug)]
struct Group {
    index: usize,
    /// Number of its next row, from 1.
    row: u64,
    rows_left: u64,
}

/// Group that is being read.
struct OpenGroup {
    group: Group,
    columns: Vec<Column>,
}

impl ParquetReader {
    /// Opens a file and finds its columns. Groups of rows that lie outside the filter's times are skipped as far as the
    /// metadata allows; of the others all rows are read.
    ///
    /// # Errors
    ///
    /// [`ParquetError`] if the file is no usable table of ticks.
    pub fn open(file: File, filter: &TickFilter) -> Result<Self, ParquetError> {
        if !file.metadata()?.is_file() {
            return Err(ParquetError::Pipe);
        }
        guarded(|| Self::read_metadata(file, filter))
    }

    fn read_metadata(file: File, filter: &TickFilter) -> Result<Self, ParquetError> {
        let file = SerializedFileReader::new(file).map_err(explain)?;
        let fields = find_fields(&file)?;
        let (mut groups, mut spans, mut first_row, mut rows_skipped) = (Vec::new(), Vec::new(), 0_u64, 0);
        for (index, group) in file.metadata().row_groups().iter().enumerate() {
            check_chunks(group, &fields)?;
            let rows = u64::try_from(group.num_rows()).map_err(|_| damaged("a group has a negative number of rows"))?;
            let span = statistics_span(group, fields[0]);
            if span.is_some_and(|span| !overlaps(filter, span)) {
                rows_skipped += rows;
            } else if rows > 0 {
                groups.push(Group { index, row: first_row + 1, rows_left: rows });
                spans.push(span);
            }
            first_row = first_row.checked_add(rows).ok_or_else(|| damaged("the number of rows overflows"))?;
        }
        // Known only if every group has statistics.
        let spans: Option<Vec<(i64, i64)>> = spans.into_iter().collect();
        let span = spans.unwrap_or_default().into_iter().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        Ok(Self { file, fields, groups: groups.into_iter(), current: None, span, rows_skipped })
    }

    /// Times of the first and the last row of the groups that are read, in nanoseconds, if the metadata has them.
    pub fn span(&self) -> Option<(i64, i64)> {
        self.span
    }

    /// Rows of the groups that were skipped.
    pub fn rows_skipped(&self) -> u64 {
        self.rows_skipped
    }

    /// Visits the next rows with their numbers, from 1. A timestamp too far ahead of `now` is rejected. Returns false
    /// at the end.
    ///
    /// # Errors
    ///
    /// [`ParquetError`] if the file is damaged or cannot be read.
    pub fn read(
        &mut self,
        now: Timestamp,
        visit: &mut impl FnMut(u64, Result<Tick, Reject>),
    ) -> Result<bool, ParquetError> {
        let open = match self.current.take() {
            Some(current) => Some(current),
            None => self.groups.next().map(|group| guarded(|| self.open_group(group))).transpose()?,
        };
        let Some(mut current) = open else { return Ok(false) };
        let rows = usize::try_from(current.group.rows_left).unwrap_or(usize::MAX).min(BATCH_ROWS);
        guarded(|| current.fill(rows))?;
        for _ in 0..rows {
            let tick = current.next_tick();
            let is_future = tick.as_ref().is_ok_and(|tick| tick.timestamp.is_too_far_ahead(now));
            visit(current.group.row, if is_future { Err(Reject::Future) } else { tick });
            current.group.row += 1;
        }
        current.group.rows_left -= rows as u64;
        self.current = Some(current).filter(|current| current.group.rows_left > 0);
        Ok(true)
    }

    fn open_group(&self, group: Group) -> Result<OpenGroup, ParquetError> {
        let reader = self.file.get_row_group(group.index).map_err(explain)?;
        let columns = self.fields.iter().map(|field| {
            reader.get_column_reader(field.leaf).map(|column| Column::new(column, field.kind)).map_err(explain)
        });
        Ok(OpenGroup { group, columns: columns.collect::<Result<_, _>>()? })
    }
}

impl OpenGroup {
    /// Decodes the next rows of every column.
    fn fill(&mut self, rows: usize) -> Result<(), ParquetError> {
        for column in &mut self.columns {
            if column.fill(rows).map_err(explain)? != rows {
                return Err(damaged("a column has fewer rows than the file says"));
            }
        }
        Ok(())
    }

    /// Next row. Every column advances, even if the row is rejected.
    fn next_tick(&mut self) -> Result<Tick, Reject> {
        let [timestamp, symbol, price, size @ ..] = self.columns.as_mut_slice() else { return Err(Reject::Missing) };
        let (timestamp, symbol, price) = (timestamp.next_time(), symbol.next_symbol(), price.next_price());
        let size = size.first_mut().map_or(Ok(None), Column::next_size);
        Ok(Tick { timestamp: timestamp?, symbol: symbol?, price: price?, size: size?, seq: None, source: None })
    }
}

/// Finds the columns by name. Nested ones do not count.
fn find_fields(file: &SerializedFileReader<File>) -> Result<Vec<Field>, ParquetError> {
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let leaves: Vec<usize> = (0..schema.num_columns())
        .filter(|&leaf| schema.column(leaf).path().parts().len() == 1 && schema.column(leaf).max_rep_level() == 0)
        .collect();
    let names: Vec<String> = leaves.iter().map(|&leaf| schema.column(leaf).name().to_owned()).collect();
    let map = ColumnMap::find(&names).map_err(|missing| {
        let found: String = names.join(", ").chars().take(NAMES_CHARS_MAX).collect();
        ParquetError::Columns { missing: missing.join(", "), found: display_safe(&found).into_owned() }
    })?;
    // A column of sizes that are all missing counts as none.
    let size = map.size.filter(|&index| !column::is_empty(&schema.column(leaves[index])));
    let required = [(map.timestamp, Expected::Time), (map.symbol, Expected::Text), (map.price, Expected::Number)];
    let fields = required.into_iter().chain(size.map(|index| (index, Expected::Number))).map(|(index, expected)| {
        let leaf = leaves[index];
        ValueKind::of(&schema.column(leaf), expected).map(|kind| Field { leaf, kind })
    });
    fields.collect()
}

/// Checks that the columns of a group can be decompressed.
fn check_chunks(group: &RowGroupMetaData, fields: &[Field]) -> Result<(), ParquetError> {
    for field in fields {
        let column = group.columns().get(field.leaf).ok_or_else(|| damaged("a group lacks a column"))?;
        let bytes = [column.compressed_size(), column.uncompressed_size()];
        if let Some(bytes) = bytes.into_iter().find(|bytes| !(0..=CHUNK_BYTES_MAX).contains(bytes)) {
            return Err(damaged(&format!("a column of a group has {bytes} bytes, and at most 1 GiB is read")));
        }
        match column.compression() {
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
            Compression::GZIP(_) => return Err(ParquetError::Codec("gzip".to_owned())),
            Compression::BROTLI(_) => return Err(ParquetError::Codec("brotli".to_owned())),
            other => return Err(ParquetError::Codec(other.to_string().to_ascii_lowercase())),
        }
    }
    Ok(())
}

/// Lowest and highest time of a group, in nanoseconds, if the metadata has statistics.
fn statistics_span(group: &RowGroupMetaData, timestamp: Field) -> Option<(i64, i64)> {
    let ValueKind::Instant { unit_ns } = timestamp.kind else { return None };
    match group.columns().get(timestamp.leaf)?.statistics()? {
        Statistics::Int64(times) => {
            let (lowest, highest) = (times.min_opt()?, times.max_opt()?);
            Some((lowest.checked_mul(unit_ns)?, highest.checked_mul(unit_ns)?))
        }
        _ => None,
    }
}

fn overlaps(filter: &TickFilter, (lowest_ns, highest_ns): (i64, i64)) -> bool {
    filter.from.is_none_or(|from| highest_ns >= from.as_nanos()) && filter.to.is_none_or(|to| lowest_ns < to.as_nanos())
}

thread_local! {
    /// Set while this thread is inside [`guarded`].
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Replaces the panic hook by one that is silent about panics which [`ParquetReader`] turns into errors. Meant for the
/// binaries: the decoding library panics on some kinds of damage.
pub fn silence_caught_panics() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // Thread-local storage is gone only after the thread's last decoding.
        if !IS_GUARDED.try_with(Cell::get).unwrap_or(false) {
            previous(info);
        }
    }));
}

/// Runs a decoding step, and turns a panic of the library into an error. The reader is not used again after an error,
/// so state that a panic left inconsistent is never seen.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    IS_GUARDED.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    IS_GUARDED.set(false);
    decoded.unwrap_or_else(|_| Err(damaged("its metadata contradicts its contents")))
}

fn damaged(cause: &str) -> ParquetError {
    ParquetError::Damaged(cause.to_owned())
}

fn explain(error: LibraryError) -> ParquetError {
    let text = match error {
        LibraryError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) if source.kind() != io::ErrorKind::UnexpectedEof => return ParquetError::Read(*source),
            Ok(source) => source.to_string(),
            Err(source) => source.to_string(),
        },
        LibraryError::General(text) | LibraryError::EOF(text) | LibraryError::NYI(text) => text,
        other => other.to_string(),
    };
    ParquetError::Damaged(display_safe(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use crate::storage::parquet::reader::*;

    /// Group whose price column states these sizes.
    fn group(compressed: i64, uncompressed: i64) -> RowGroupMetaData {
        let text = "message m { REQUIRED INT64 time; REQUIRED BYTE_ARRAY symbol; REQUIRED DOUBLE price; }";
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(parse_message_type(text).unwrap())));
        let chunks = (0..3).map(|leaf| {
            let (compressed, uncompressed) = if leaf == 2 { (compressed, uncompressed) } else { (10, 20) };
            let chunk = ColumnChunkMetaData::builder(schema.column(leaf));
            chunk.set_total_compressed_size(compressed).set_total_uncompressed_size(uncompressed).build().unwrap()
        });
        let chunks = chunks.collect();
        RowGroupMetaData::builder(schema).set_column_metadata(chunks).build().unwrap()
    }

    #[test]
    fn columns_of_impossible_size_are_rejected() {
        let field = |leaf| Field { leaf, kind: ValueKind::Plain };
        let fields = [field(0), field(1), field(2)];
        let check = |compressed, uncompressed| check_chunks(&group(compressed, uncompressed), &fields);
        assert!(check(0, 0).is_ok() && check(CHUNK_BYTES_MAX, CHUNK_BYTES_MAX).is_ok());
        for (compressed, uncompressed) in [(10, -1), (-1, 10), (10, CHUNK_BYTES_MAX + 1), (i64::MAX, 10)] {
            let error = check(compressed, uncompressed).unwrap_err();
            assert!(matches!(&error, ParquetError::Damaged(cause) if cause.contains("1 GiB")), "{error}");
        }
    }

    #[test]
    fn only_caught_panics_are_silenced() {
        static REPORTED: AtomicU32 = AtomicU32::new(0);
        let (this_thread, previous) = (thread::current().id(), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == this_thread {
                REPORTED.fetch_add(1, Ordering::SeqCst);
            } else {
                previous(info);
            }
        }));
        silence_caught_panics();
        let error = guarded(|| -> Result<(), ParquetError> { panic!("damage") }).unwrap_err();
        assert!(matches!(error, ParquetError::Damaged(_)), "{error}");
        assert_eq!(REPORTED.load(Ordering::SeqCst), 0);
        assert!(catch_unwind(|| panic!("a defect")).is_err());
        assert_eq!(REPORTED.load(Ordering::SeqCst), 1);
    }
}

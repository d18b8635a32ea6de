//! Parquet read back, a batch of rows at a time: no more than a page of each column and the batch are in memory.
//!
//! A page is as long as its own header says, and the library's codecs ask for that much memory before they unpack it:
//! a damaged header may ask for up to 2 GiB. What the table of contents says is checked before.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;

use crate::model::{Reject, Symbol, Tick, Timestamp, display_safe};
use crate::sources::{ColumnMap, TickFilter};
use crate::storage::TableError;
use crate::storage::parquet::cells;
use crate::storage::parquet::cells::{Column, Meaning, Wanted};

/// Rows decoded at once: enough that a call costs nothing beside its rows, in some 200 KB.
const BATCH_ROWS: usize = 4_096;

/// Longest part of a column in one group of rows, packed or not, in bytes: ten times what pandas and polars write for
/// their largest groups. What says to be longer is damaged.
const CHUNK_BYTES_MAX: i64 = 1 << 30;

/// How much of the columns' names is repeated in an error, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// An open file.
pub(in crate::storage) struct Reader {
    file: SerializedFileReader<File>,
    columns: Chosen<Field>,
    /// The groups that are read, in order.
    groups: std::vec::IntoIter<Group>,
    current: Option<Current>,
    span: Option<(i64, i64)>,
    rows_passed: u64,
}

/// Something of each part of a tick.
#[derive(Clone, Copy)]
struct Chosen<T> {
    timestamp: T,
    symbol: T,
    price: T,
    size: Option<T>,
}

/// A column, by its place in the file, and what its values mean.
#[derive(Debug, Clone, Copy)]
struct Field {
    leaf: usize,
    meaning: Meaning,
}

#[derive(Debug)]
struct Group {
    index: usize,
    rows: u64,
    /// Rows before it.
    before: u64,
}

/// The group that is being read.
struct Current {
    columns: Chosen<Column>,
    /// The number of its next row, from 1.
    row: u64,
    rows_left: u64,
}

impl Reader {
    pub(in crate::storage) fn open(file: File, selection: &TickFilter) -> Result<Self, TableError> {
        guarded(|| Self::find(file, selection))
    }

    /// Reads the table of contents, and decides what is read of the rest.
    fn find(file: File, selection: &TickFilter) -> Result<Self, TableError> {
        let file = SerializedFileReader::new(file).map_err(explained)?;
        let columns = choose(&file)?;
        let metadata = file.metadata();
        let (mut groups, mut before, mut rows_passed) = (Vec::new(), 0_u64, 0);
        let mut span: Option<(i64, i64)> = None;
        let mut all_told = true;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            check_chunks(group, &columns)?;
            let rows = u64::try_from(group.num_rows()).map_err(|_| damaged("a group of fewer rows than none"))?;
            let told = told_span(group, columns.timestamp);
            if told.is_some_and(|told| !may_hold(selection, told)) {
                rows_passed += rows;
            } else if rows > 0 {
                groups.push(Group { index, rows, before });
                all_told &= told.is_some();
                span = match (span, told) {
                    (Some(known), Some(told)) => Some((known.0.min(told.0), known.1.max(told.1))),
                    (known, told) => told.or(known),
                };
            }
            before = before.checked_add(rows).ok_or_else(|| damaged("more rows than can be"))?;
        }
        let span = span.filter(|_| all_told);
        Ok(Self { file, columns, groups: groups.into_iter(), current: None, span, rows_passed })
    }

    pub(in crate::storage) fn span(&self) -> Option<(i64, i64)> {
        self.span
    }

    pub(in crate::storage) fn rows_passed(&self) -> u64 {
        self.rows_passed
    }

    pub(in crate::storage) fn read(
        &mut self,
        now: Timestamp,
        take: &mut impl FnMut(u64, Result<Tick, Reject>),
    ) -> Result<bool, TableError> {
        let entered = match self.current.take() {
            Some(current) => Some(current),
            None => self.groups.next().map(|group| guarded(|| self.enter(&group))).transpose()?,
        };
        let Some(mut current) = entered else { return Ok(false) };
        let rows = usize::try_from(current.rows_left).unwrap_or(usize::MAX).min(BATCH_ROWS);
        guarded(|| current.fill(rows))?;
        for _ in 0..rows {
            let in_time =
                |tick: Tick| if tick.timestamp.is_too_far_ahead(now) { Err(Reject::Future) } else { Ok(tick) };
            take(current.row, current.tick().and_then(in_time));
            current.row += 1;
        }
        current.rows_left -= rows as u64;
        self.current = Some(current).filter(|current| current.rows_left > 0);
        Ok(true)
    }

    fn enter(&self, group: &Group) -> Result<Current, TableError> {
        let reader = self.file.get_row_group(group.index).map_err(explained)?;
        let column = |field: Field| {
            let column = reader.get_column_reader(field.leaf).map_err(explained)?;
            Ok::<_, TableError>(Column::new(column, field.meaning))
        };
        let Chosen { timestamp, symbol, price, size } = self.columns;
        let columns = Chosen {
            timestamp: column(timestamp)?,
            symbol: column(symbol)?,
            price: column(price)?,
            size: size.map(column).transpose()?,
        };
        Ok(Current { columns, row: group.before + 1, rows_left: group.rows })
    }
}

impl Current {
    /// Reads the next rows of every column.
    fn fill(&mut self, rows: usize) -> Result<(), TableError> {
        let Chosen { timestamp, symbol, price, size } = &mut self.columns;
        for column in [timestamp, symbol, price].into_iter().chain(size) {
            if column.fill(rows).map_err(explained)? != rows {
                return Err(damaged("a column has fewer rows than the file says"));
            }
        }
        Ok(())
    }

    /// The next row. Every column takes a step, also where the row is no tick.
    fn tick(&mut self) -> Result<Tick, Reject> {
        let Chosen { timestamp, symbol, price, size } = &mut self.columns;
        let timestamp = timestamp.next_time();
        let symbol = symbol.next_text();
        let price = price.next_price();
        let size = size.as_mut().map_or(Ok(None), Column::next_size);
        let symbol = symbol.and_then(|text| Symbol::new(text).ok_or(Reject::Symbol));
        Ok(Tick { timestamp: timestamp?, symbol: symbol?, price: price?, size: size?, seq: None, source: None })
    }
}

/// Finds the columns by their names. Those inside of others are not looked at.
fn choose(file: &SerializedFileReader<File>) -> Result<Chosen<Field>, TableError> {
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let leaves: Vec<usize> = (0..schema.num_columns())
        .filter(|&leaf| schema.column(leaf).path().parts().len() == 1 && schema.column(leaf).max_rep_level() == 0)
        .collect();
    let names: Vec<String> = leaves.iter().map(|&leaf| schema.column(leaf).name().to_owned()).collect();
    let places = ColumnMap::find(&names).map_err(|missing| {
        let found: String = names.join(", ").chars().take(SHOWN_CHARS_MAX).collect();
        TableError::Columns { missing: missing.join(", "), found: display_safe(&found).into_owned() }
    })?;
    let field = |place: usize, wanted: Wanted| {
        let leaf = leaves[place];
        Meaning::of(&schema.column(leaf), wanted).map(|meaning| Field { leaf, meaning })
    };
    // Sizes that are all missing are no sizes.
    let size = places.size.filter(|&place| !cells::is_empty(&schema.column(leaves[place])));
    Ok(Chosen {
        timestamp: field(places.timestamp, Wanted::Time)?,
        symbol: field(places.symbol, Wanted::Text)?,
        price: field(places.price, Wanted::Number)?,
        size: size.map(|place| field(place, Wanted::Number)).transpose()?,
    })
}

/// Finds out, before it is tried, whether the columns of a group can be unpacked.
fn check_chunks(group: &RowGroupMetaData, columns: &Chosen<Field>) -> Result<(), TableError> {
    let Chosen { timestamp, symbol, price, size } = *columns;
    for field in [timestamp, symbol, price].into_iter().chain(size) {
        let column = group.columns().get(field.leaf).ok_or_else(|| damaged("a group lacks a column"))?;
        let bytes = [column.compressed_size(), column.uncompressed_size()];
        if let Some(bytes) = bytes.into_iter().find(|bytes| !(0..=CHUNK_BYTES_MAX).contains(bytes)) {
            let limit = "no more than 1 GiB of a column and a group of rows is read";
            return Err(damaged(&format!("a column of {bytes} bytes, where {limit}")));
        }
        match column.compression() {
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
            Compression::GZIP(_) => return Err(TableError::Codec("gzip".to_owned())),
            Compression::BROTLI(_) => return Err(TableError::Codec("brotli".to_owned())),
            other => return Err(TableError::Codec(other.to_string().to_ascii_lowercase())),
        }
    }
    Ok(())
}

/// The lowest and the highest time of a group, in nanoseconds, if the file tells.
fn told_span(group: &RowGroupMetaData, timestamp: Field) -> Option<(i64, i64)> {
    let Meaning::Instant { unit_ns } = timestamp.meaning else { return None };
    match group.columns().get(timestamp.leaf)?.statistics()? {
        Statistics::Int64(told) => {
            let (lowest, highest) = (told.min_opt()?, told.max_opt()?);
            Some((lowest.checked_mul(unit_ns)?, highest.checked_mul(unit_ns)?))
        }
        _ => None,
    }
}

fn may_hold(selection: &TickFilter, (lowest_ns, highest_ns): (i64, i64)) -> bool {
    selection.from.is_none_or(|from| highest_ns >= from.as_nanos())
        && selection.to.is_none_or(|to| lowest_ns < to.as_nanos())
}

thread_local! {
    /// Whether this thread is inside of [`guarded`].
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// From now on the process says nothing of panics that become errors here; of all others it says what it did before.
pub(in crate::storage) fn silence_caught_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // A thread that is past its last breath decodes nothing.
        if !IS_GUARDED.try_with(Cell::get).unwrap_or(false) {
            before(info);
        }
    }));
}

/// Runs what decodes a file. The library takes some kinds of damage for a defect of its own and panics; to whoever has
/// the file it is damage like any other.
fn guarded<T>(decode: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    // What a panic leaves half done goes with the error: a group that failed is not entered again.
    IS_GUARDED.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    IS_GUARDED.set(false);
    decoded.unwrap_or_else(|_| Err(damaged("what it says about itself is not true")))
}

fn damaged(cause: &str) -> TableError {
    TableError::Damaged(cause.to_owned())
}

fn explained(error: ParquetError) -> TableError {
    let text = match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) if source.kind() != io::ErrorKind::UnexpectedEof => return TableError::Read(*source),
            Ok(source) => source.to_string(),
            Err(source) => source.to_string(),
        },
        ParquetError::General(text) | ParquetError::EOF(text) | ParquetError::NYI(text) => text,
        other => other.to_string(),
    };
    TableError::Damaged(display_safe(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use crate::storage::parquet::read::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    /// A group whose price says to have so many bytes, packed and unpacked.
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
    fn a_column_of_a_size_that_cannot_be_is_refused() {
        let field = |leaf| Field { leaf, meaning: Meaning::Plain };
        let columns = Chosen { timestamp: field(0), symbol: field(1), price: field(2), size: None };
        let check = |compressed, uncompressed| check_chunks(&group(compressed, uncompressed), &columns);
        assert!(check(0, 0).is_ok() && check(CHUNK_BYTES_MAX, CHUNK_BYTES_MAX).is_ok());
        for (compressed, uncompressed) in [(10, -1), (-1, 10), (10, CHUNK_BYTES_MAX + 1), (i64::MAX, 10)] {
            let error = check(compressed, uncompressed).unwrap_err();
            assert!(matches!(&error, TableError::Damaged(cause) if cause.contains("1 GiB")), "{error}");
        }
    }

    #[test]
    fn a_panic_that_becomes_an_error_is_silent_and_others_are_not() {
        static HEARD: AtomicU32 = AtomicU32::new(0);
        let (me, before) = (thread::current().id(), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == me {
                HEARD.fetch_add(1, Ordering::SeqCst);
            } else {
                before(info);
            }
        }));
        silence_caught_panics();
        let error = guarded(|| -> Result<(), TableError> { panic!("damage") }).unwrap_err();
        assert!(matches!(error, TableError::Damaged(_)), "{error}");
        assert_eq!(HEARD.load(Ordering::SeqCst), 0);
        assert!(catch_unwind(|| panic!("a defect")).is_err());
        assert_eq!(HEARD.load(Ordering::SeqCst), 1);
    }
}

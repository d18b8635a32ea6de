//! Ticks as Apache Parquet: one row group after the other, so that memory does not grow with the file; and read back.

mod cells;
mod read;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parquet::basic::{Encoding, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};

use crate::storage::{AtomicFile, Row, TickColumns};
pub(super) use read::{Reader, silence_caught_panics};

/// Rows of a group, which are held until it is full: some 15 MB, and twice as much with their origins. Readers skip
/// whole groups by their lowest and highest values, so they must not be few and huge, and each has its own dictionary,
/// so they must not be many and tiny.
const GROUP_ROWS: usize = 262_144;

/// A column that not every row has a value in.
struct Sparse<T> {
    /// Of the rows that have one.
    values: Vec<T>,
    /// 1 where a row has one, 0 where not: Parquet's definition levels.
    levels: Vec<i16>,
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Sparse<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    fn clear(&mut self) {
        self.values.clear();
        self.levels.clear();
    }
}

/// Texts that are shared by all rows of a group that have the same.
#[derive(Default)]
struct Texts(HashMap<Box<str>, ByteArray, foldhash::fast::RandomState>);

impl Texts {
    fn get(&mut self, text: &str) -> ByteArray {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = ByteArray::from(text);
        self.0.insert(text.into(), new.clone());
        new
    }
}

/// The rows of a group, by columns.
#[derive(Default)]
struct Columns {
    texts: Texts,
    symbols: Vec<ByteArray>,
    times_ns: Vec<i64>,
    prices: Vec<f64>,
    sizes: Sparse<f64>,
    outliers: Vec<bool>,
    sources: Sparse<ByteArray>,
    seqs: Sparse<i64>,
    ids: Sparse<ByteArray>,
}

/// A file in the making, with the rows of its next group.
pub(super) struct Parquet {
    out: SerializedFileWriter<AtomicFile>,
    columns: TickColumns,
    rows: Columns,
}

impl Parquet {
    pub(super) fn begin(file: AtomicFile, columns: TickColumns) -> io::Result<Self> {
        let schema = schema(columns).map_err(as_io)?;
        // Times rise, so that their differences are small; ids and numbers have their beginnings or most of their
        // digits in common. What repeats instead (symbols, prices) a dictionary holds once.
        let plain = [
            ("time", Encoding::DELTA_BINARY_PACKED),
            ("seq", Encoding::DELTA_BINARY_PACKED),
            ("id", Encoding::DELTA_BYTE_ARRAY),
        ];
        let properties = WriterProperties::builder()
            .set_created_by(concat!("tickscope version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_writer_version(WriterVersion::PARQUET_1_0);
        let properties = plain.into_iter().fold(properties, |properties, (name, encoding)| {
            let path = || ColumnPath::from(name);
            properties.set_column_dictionary_enabled(path(), false).set_column_encoding(path(), encoding)
        });
        let out = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build())).map_err(as_io)?;
        Ok(Self { out, columns, rows: Columns::default() })
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        let rows = &mut self.rows;
        rows.symbols.push(rows.texts.get(row.symbol));
        rows.times_ns.push(row.time_ns);
        rows.prices.push(row.price);
        rows.sizes.push(row.size);
        rows.outliers.push(row.outlier);
        if self.columns == TickColumns::WithOrigin {
            rows.sources.push(row.origin.source.map(|source| rows.texts.get(source)));
            rows.seqs.push(row.origin.seq.map(u64::cast_signed));
            rows.ids.push(row.origin.id.map(|id| ByteArray::from(id.to_string().into_bytes())));
        }
        if rows.times_ns.len() < GROUP_ROWS { Ok(()) } else { self.write_group() }
    }

    pub(super) fn finish(mut self) -> io::Result<AtomicFile> {
        if !self.rows.times_ns.is_empty() {
            self.write_group()?;
        }
        // Writes the footer, and hands back what it wrote to with nothing left in between.
        self.out.into_inner().map_err(as_io)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.out.next_row_group().map_err(as_io)?;
        let written = self.rows.write(&mut group, self.columns);
        written.and_then(|()| group.close()).map_err(as_io)?;
        self.rows.clear();
        Ok(())
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, AtomicFile>;

impl Columns {
    /// Writes all columns, in the order of the schema.
    fn write(&self, group: &mut Group<'_>, columns: TickColumns) -> Result<(), ParquetError> {
        column::<ByteArrayType>(group, &self.symbols, None)?;
        column::<Int64Type>(group, &self.times_ns, None)?;
        column::<DoubleType>(group, &self.prices, None)?;
        column::<DoubleType>(group, &self.sizes.values, Some(&self.sizes.levels))?;
        column::<BoolType>(group, &self.outliers, None)?;
        if columns == TickColumns::WithOrigin {
            column::<ByteArrayType>(group, &self.sources.values, Some(&self.sources.levels))?;
            column::<Int64Type>(group, &self.seqs.values, Some(&self.seqs.levels))?;
            column::<ByteArrayType>(group, &self.ids.values, Some(&self.ids.levels))?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.texts.0.clear();
        self.symbols.clear();
        self.times_ns.clear();
        self.prices.clear();
        self.sizes.clear();
        self.outliers.clear();
        self.sources.clear();
        self.seqs.clear();
        self.ids.clear();
    }
}

/// Writes the next column.
fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has no further column".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

fn schema(columns: TickColumns) -> Result<Type, ParquetError> {
    const OPTIONAL: Repetition = Repetition::OPTIONAL;
    const REQUIRED: Repetition = Repetition::REQUIRED;
    let column = |name, physical, logical, repetition| {
        let column = Type::primitive_type_builder(name, physical).with_logical_type(logical);
        column.with_repetition(repetition).build().map(Arc::new)
    };
    let utc_ns = LogicalType::timestamp(true, TimeUnit::NANOS);
    let mut fields = vec![
        column("symbol", Physical::BYTE_ARRAY, Some(LogicalType::String), REQUIRED)?,
        column("time", Physical::INT64, Some(utc_ns), REQUIRED)?,
        column("price", Physical::DOUBLE, None, REQUIRED)?,
        column("size", Physical::DOUBLE, None, OPTIONAL)?,
        column("outlier", Physical::BOOLEAN, None, REQUIRED)?,
    ];
    if columns == TickColumns::WithOrigin {
        fields.push(column("source", Physical::BYTE_ARRAY, Some(LogicalType::String), OPTIONAL)?);
        fields.push(column("seq", Physical::INT64, Some(LogicalType::integer(64, false)), OPTIONAL)?);
        fields.push(column("id", Physical::BYTE_ARRAY, Some(LogicalType::String), OPTIONAL)?);
    }
    Type::group_type_builder("ticks").with_fields(fields).build()
}

fn as_io(error: ParquetError) -> io::Error {
    match error {
        // The file's own error, as it was.
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}

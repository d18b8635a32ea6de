//! Parquet writer. Rows are written group by group, so that memory does not grow with the file.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use crate::storage::{AtomicFile, Encoder, Row, TickColumns};

/// Rows of a group, which are buffered until it is full: some 15 MB, and twice as much with origins. Readers skip
/// groups by their minima and maxima, which huge groups defeat, and each group has its own dictionaries, which tiny
/// ones waste.
const GROUP_ROWS: usize = 262_144;

/// Columns of every file.
const COLUMNS: &str = "
    REQUIRED BYTE_ARRAY symbol (STRING);
    REQUIRED INT64 time (TIMESTAMP(NANOS, true));
    REQUIRED DOUBLE price;
    OPTIONAL DOUBLE size;
    REQUIRED BOOLEAN outlier;";

/// Columns of a file with origins.
const ORIGIN_COLUMNS: &str = "
    OPTIONAL BYTE_ARRAY source (STRING);
    OPTIONAL INT64 seq (INTEGER(64, false));
    OPTIONAL BYTE_ARRAY id (STRING);";

/// Column with missing values.
#[derive(Default)]
struct Sparse<T> {
    /// Values of the rows that have one.
    values: Vec<T>,
    /// Parquet's definition levels: 1 for a row with a value, 0 for one without.
    levels: Vec<i16>,
}

impl<T> Sparse<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// Rows of a group, by column.
#[derive(Default)]
struct Columns {
    /// Texts shared by all rows of the group that have the same.
    texts: HashMap<Box<str>, ByteArray, foldhash::fast::RandomState>,
    symbols: Vec<ByteArray>,
    times_ns: Vec<i64>,
    prices: Vec<f64>,
    sizes: Sparse<f64>,
    outliers: Vec<bool>,
    sources: Sparse<ByteArray>,
    seqs: Sparse<i64>,
    ids: Sparse<ByteArray>,
}

/// File being written, with the rows of its next group.
pub(in crate::storage) struct ParquetWriter {
    out: SerializedFileWriter<AtomicFile>,
    columns: TickColumns,
    rows: Columns,
}

impl ParquetWriter {
    pub(in crate::storage) fn begin(file: AtomicFile, columns: TickColumns) -> io::Result<Self> {
        let more = if columns == TickColumns::WithOrigin { ORIGIN_COLUMNS } else { "" };
        let schema = parse_message_type(&format!("message ticks {{{COLUMNS}{more}}}")).map_err(io_error)?;
        // Times ascend, so their differences are small; sequence numbers and ids share their leading digits. Symbols
        // and prices repeat, which dictionaries compress.
        let delta_encoded = [
            ("time", Encoding::DELTA_BINARY_PACKED),
            ("seq", Encoding::DELTA_BINARY_PACKED),
            ("id", Encoding::DELTA_BYTE_ARRAY),
        ];
        let properties = WriterProperties::builder()
            .set_created_by(concat!("tickscope version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_writer_version(WriterVersion::PARQUET_1_0);
        let properties = delta_encoded.into_iter().fold(properties, |properties, (name, encoding)| {
            let path = || ColumnPath::from(name);
            properties.set_column_dictionary_enabled(path(), false).set_column_encoding(path(), encoding)
        });
        let out = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build())).map_err(io_error)?;
        Ok(Self { out, columns, rows: Columns::default() })
    }

    fn write_group(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.out.next_row_group().map_err(io_error)?;
        let written = rows.write(&mut group, self.columns);
        written.and_then(|()| group.close()).map(drop).map_err(io_error)
    }
}

impl Encoder for ParquetWriter {
    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        let rows = &mut self.rows;
        let symbol = rows.text(row.symbol);
        rows.symbols.push(symbol);
        rows.times_ns.push(row.time_ns);
        rows.prices.push(row.price);
        rows.sizes.push(row.size);
        rows.outliers.push(row.outlier);
        if self.columns == TickColumns::WithOrigin {
            let source = row.origin.source.map(|source| rows.text(source));
            rows.sources.push(source);
            rows.seqs.push(row.origin.seq.map(u64::cast_signed));
            rows.ids.push(row.origin.id.map(|id| ByteArray::from(id.to_string().into_bytes())));
        }
        if rows.times_ns.len() < GROUP_ROWS { Ok(()) } else { self.write_group() }
    }

    fn finish(mut self: Box<Self>) -> io::Result<AtomicFile> {
        if !self.rows.times_ns.is_empty() {
            self.write_group()?;
        }
        // Writes the footer and returns the file without buffered bytes.
        self.out.into_inner().map_err(io_error)
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, AtomicFile>;

impl Columns {
    fn text(&mut self, text: &str) -> ByteArray {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new = ByteArray::from(text);
        self.texts.insert(text.into(), new.clone());
        new
    }

    /// Writes all columns, in the order of the schema.
    fn write(&self, group: &mut Group<'_>, columns: TickColumns) -> Result<(), ParquetError> {
        write_column::<ByteArrayType>(group, &self.symbols, None)?;
        write_column::<Int64Type>(group, &self.times_ns, None)?;
        write_column::<DoubleType>(group, &self.prices, None)?;
        write_column::<DoubleType>(group, &self.sizes.values, Some(&self.sizes.levels))?;
        write_column::<BoolType>(group, &self.outliers, None)?;
        if columns == TickColumns::WithOrigin {
            write_column::<ByteArrayType>(group, &self.sources.values, Some(&self.sources.levels))?;
            write_column::<Int64Type>(group, &self.seqs.values, Some(&self.seqs.levels))?;
            write_column::<ByteArrayType>(group, &self.ids.values, Some(&self.ids.levels))?;
        }
        Ok(())
    }
}

/// Writes the next column of the schema.
fn write_column<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has no further column".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// Unwraps the I/O error of the file, if it is one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}

//! Ticks as Apache Parquet: one row group after the other, so that memory does not grow with the file.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parquet::basic::{Encoding, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};

use super::{Row, WholeFile};

/// Rows of a group, which are held until it is full: some 15 MB. Readers skip whole groups by their lowest and highest
/// values, so they must not be few and huge, and each has its own dictionary, so they must not be many and tiny.
const GROUP_ROWS: usize = 262_144;

/// A file in the making, with the rows of its next group.
pub(super) struct Parquet {
    out: SerializedFileWriter<WholeFile>,
    /// Texts that are shared by all rows of a symbol in the group.
    names: HashMap<Box<str>, ByteArray, foldhash::fast::RandomState>,
    symbols: Vec<ByteArray>,
    times_ns: Vec<i64>,
    prices: Vec<f64>,
    /// Of the rows that have one.
    sizes: Vec<f64>,
    /// 1 where a row has a size, 0 where not: Parquet's definition levels.
    has_size: Vec<i16>,
}

impl Parquet {
    pub(super) fn begin(file: WholeFile) -> io::Result<Self> {
        let schema = schema().map_err(as_io)?;
        // Times rise, so that their differences are small. Symbols and prices repeat: a dictionary holds each once.
        let properties = WriterProperties::builder()
            .set_created_by(concat!("tickscope version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_column_dictionary_enabled(ColumnPath::from("time"), false)
            .set_column_encoding(ColumnPath::from("time"), Encoding::DELTA_BINARY_PACKED)
            .build();
        let out = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(as_io)?;
        Ok(Self {
            out,
            names: HashMap::default(),
            symbols: Vec::new(),
            times_ns: Vec::new(),
            prices: Vec::new(),
            sizes: Vec::new(),
            has_size: Vec::new(),
        })
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        let name = match self.names.get(row.symbol) {
            Some(name) => name.clone(),
            None => {
                let name = ByteArray::from(row.symbol);
                self.names.insert(row.symbol.into(), name.clone());
                name
            }
        };
        self.symbols.push(name);
        self.times_ns.push(row.time_ns);
        self.prices.push(row.price);
        self.sizes.extend(row.size);
        self.has_size.push(i16::from(row.size.is_some()));
        if self.times_ns.len() < GROUP_ROWS { Ok(()) } else { self.write_group() }
    }

    pub(super) fn finish(mut self) -> io::Result<WholeFile> {
        if !self.times_ns.is_empty() {
            self.write_group()?;
        }
        // Writes the footer, and hands back what it wrote to with nothing left in between.
        self.out.into_inner().map_err(as_io)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.out.next_row_group().map_err(as_io)?;
        let written =
            write_columns(&mut group, (&self.symbols, &self.times_ns, &self.prices), (&self.sizes, &self.has_size));
        written.and_then(|()| group.close()).map_err(as_io)?;
        self.names.clear();
        self.symbols.clear();
        self.times_ns.clear();
        self.prices.clear();
        self.sizes.clear();
        self.has_size.clear();
        Ok(())
    }
}

/// Writes a group's columns, in the order of the schema.
fn write_columns(
    group: &mut SerializedRowGroupWriter<'_, WholeFile>,
    (symbols, times_ns, prices): (&[ByteArray], &[i64], &[f64]),
    (sizes, has_size): (&[f64], &[i16]),
) -> Result<(), ParquetError> {
    for index in 0.. {
        let Some(mut column) = group.next_column()? else { break };
        match index {
            0 => column.typed::<ByteArrayType>().write_batch(symbols, None, None)?,
            1 => column.typed::<Int64Type>().write_batch(times_ns, None, None)?,
            2 => column.typed::<DoubleType>().write_batch(prices, None, None)?,
            _ => column.typed::<DoubleType>().write_batch(sizes, Some(has_size), None)?,
        };
        column.close()?;
    }
    Ok(())
}

fn schema() -> Result<Type, ParquetError> {
    let column = |name, physical, logical, repetition| {
        let column = Type::primitive_type_builder(name, physical).with_logical_type(logical);
        column.with_repetition(repetition).build().map(Arc::new)
    };
    let utc_ns = LogicalType::timestamp(true, TimeUnit::NANOS);
    let columns = vec![
        column("symbol", Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED)?,
        column("time", Physical::INT64, Some(utc_ns), Repetition::REQUIRED)?,
        column("price", Physical::DOUBLE, None, Repetition::REQUIRED)?,
        column("size", Physical::DOUBLE, None, Repetition::OPTIONAL)?,
    ];
    Type::group_type_builder("ticks").with_fields(columns).build()
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

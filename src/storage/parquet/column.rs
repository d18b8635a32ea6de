//! Decoding of one column: times, symbols and numbers from whatever type the file has.

use std::vec;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError as LibraryError;
use parquet::schema::types::ColumnDescriptor;

use crate::model::{NS_PER_S, Price, Reject, Symbol, Timestamp, display_safe, parse_price, parse_timestamp};
use crate::storage::parquet::ParquetError;

const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

/// Julian day of 1970-01-01. `INT96` counts Julian days.
const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;

/// Longest decimal that is read, in bytes: 38 digits.
const DECIMAL_BYTES_MAX: usize = 16;

/// Kind of value that a tick needs from a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Time,
    Text,
    Number,
}

/// Interpretation of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// Number or text.
    Plain,
    /// Number without a sign, in the bits of one with a sign.
    Unsigned,
    /// Units since 1970. Without a time zone it is UTC, as in pandas and polars.
    Instant { unit_ns: i64 },
    /// Days since 1970.
    Days,
    /// Integer, to be divided by ten to the power of `scale`.
    Decimal { scale: i32 },
}

impl ValueKind {
    /// Interpretation of a column that is expected to have a kind of value.
    pub(super) fn of(column: &ColumnDescriptor, expected: Expected) -> Result<Self, ParquetError> {
        let kind = value_kind(column);
        let physical = column.physical_type();
        let is_bytes = physical == Physical::BYTE_ARRAY;
        let is_number = matches!(physical, Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE);
        let is_plain = matches!(kind, Some(Self::Plain | Self::Unsigned)) && (is_bytes || is_number);
        let (fits, expected) = match expected {
            Expected::Time => (
                is_plain || matches!(kind, Some(Self::Instant { .. } | Self::Days)),
                "a timestamp, a Unix time as a number, or RFC 3339 text",
            ),
            Expected::Text => (is_bytes && kind == Some(Self::Plain), "text"),
            Expected::Number => (is_plain || matches!(kind, Some(Self::Decimal { .. })), "a number"),
        };
        kind.filter(|_| fits).ok_or_else(|| ParquetError::Type {
            column: display_safe(column.name()).into_owned(),
            found: column.logical_type_ref().map_or(physical.to_string(), |logical| format!("{logical:?}")),
            expected,
        })
    }
}

fn value_kind(column: &ColumnDescriptor) -> Option<ValueKind> {
    let instant = |unit_ns| Some(ValueKind::Instant { unit_ns });
    let physical = column.physical_type();
    if physical == Physical::INT96 {
        return instant(1);
    }
    let is_integer = matches!(physical, Physical::INT32 | Physical::INT64);
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(of)), _) if physical == Physical::INT64 => instant(match of.unit {
            TimeUnit::MILLIS => 1_000_000,
            TimeUnit::MICROS => 1_000,
            TimeUnit::NANOS => 1,
        }),
        (None, ConvertedType::TIMESTAMP_MILLIS) if physical == Physical::INT64 => instant(1_000_000),
        (None, ConvertedType::TIMESTAMP_MICROS) if physical == Physical::INT64 => instant(1_000),
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) if physical == Physical::INT32 => {
            Some(ValueKind::Days)
        }
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => {
            Some(ValueKind::Decimal { scale: column.type_scale() })
        }
        (Some(LogicalType::Integer(of)), _) if is_integer => {
            Some(if of.is_signed { ValueKind::Plain } else { ValueKind::Unsigned })
        }
        (None, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64)
            if is_integer =>
        {
            Some(ValueKind::Unsigned)
        }
        (Some(LogicalType::String | LogicalType::Enum), _) => Some(ValueKind::Plain),
        // Times of day, intervals and the like do not mean their bare number.
        (Some(_), _) => None,
        (None, _) if physical == Physical::BOOLEAN || physical == Physical::FIXED_LEN_BYTE_ARRAY => None,
        (None, _) => Some(ValueKind::Plain),
    }
}

/// Reports whether a column has the type without values that pandas and pyarrow write for a column of `None`.
pub(super) fn is_empty(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), Some(LogicalType::Unknown))
}

/// Value of one row.
#[derive(Debug)]
enum Cell {
    Integer(i64),
    Julian { day: u32, ns: u64 },
    Real(f64),
    Bytes(ByteArray),
}

/// Column of one group, with some decoded rows.
pub(super) struct Column {
    reader: ColumnReader,
    kind: ValueKind,
    cells: vec::IntoIter<Option<Cell>>,
}

/// Decodes the next rows. Returns their number, and a cell for each.
fn read_cells<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    cell: impl Fn(T::T) -> Option<Cell>,
) -> Result<(usize, Vec<Option<Cell>>), LibraryError> {
    let (mut levels, mut values) = (Vec::new(), Vec::with_capacity(rows));
    let (count, ..) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    let mut cells = values.into_iter().map(cell);
    // A required column has no definition levels.
    let cells = match levels.as_slice() {
        [] => cells.collect(),
        levels => levels.iter().map(|level| if *level == 0 { None } else { cells.next().flatten() }).collect(),
    };
    Ok((count, cells))
}

impl Column {
    pub(super) fn new(reader: ColumnReader, kind: ValueKind) -> Self {
        Self { reader, kind, cells: Vec::new().into_iter() }
    }

    /// Decodes the next `rows` rows in place of the last ones. Returns how many there were.
    pub(super) fn fill(&mut self, rows: usize) -> Result<usize, LibraryError> {
        let is_unsigned = self.kind == ValueKind::Unsigned;
        let widen = |value: i32| if is_unsigned { value.cast_unsigned().into() } else { value.into() };
        let (count, cells) = match &mut self.reader {
            // No column of a tick is boolean.
            ColumnReader::BoolColumnReader(_) => return Ok(0),
            ColumnReader::Int32ColumnReader(it) => read_cells(it, rows, |value| Some(Cell::Integer(widen(value)))),
            ColumnReader::Int64ColumnReader(it) => read_cells(it, rows, |value| Some(Cell::Integer(value))),
            ColumnReader::Int96ColumnReader(it) => read_cells(it, rows, |value| match value.data() {
                [low, high, day] => Some(Cell::Julian { day: *day, ns: u64::from(*high) << 32 | u64::from(*low) }),
                _ => None,
            }),
            ColumnReader::FloatColumnReader(it) => read_cells(it, rows, |value| Some(Cell::Real(value.into()))),
            ColumnReader::DoubleColumnReader(it) => read_cells(it, rows, |value| Some(Cell::Real(value))),
            ColumnReader::ByteArrayColumnReader(it) => read_cells(it, rows, |value| Some(Cell::Bytes(value))),
            ColumnReader::FixedLenByteArrayColumnReader(it) => {
                read_cells(it, rows, |value| Some(Cell::Bytes(value.into())))
            }
        }?;
        self.cells = cells.into_iter();
        Ok(count)
    }

    fn next(&mut self) -> Option<Cell> {
        self.cells.next().flatten()
    }

    pub(super) fn next_time(&mut self) -> Result<Timestamp, Reject> {
        match (self.next().ok_or(Reject::Missing)?, self.kind) {
            (Cell::Integer(units), ValueKind::Instant { unit_ns }) => instant(units, unit_ns),
            (Cell::Integer(days), ValueKind::Days) => instant(days, NS_PER_DAY),
            (Cell::Julian { day, ns }, _) => {
                let midnight = instant(i64::from(day) - JULIAN_DAY_OF_EPOCH, NS_PER_DAY)?;
                let time_ns = i64::try_from(ns).ok().and_then(|ns| midnight.as_nanos().checked_add(ns));
                time_ns.and_then(Timestamp::from_nanos).ok_or(Reject::Future)
            }
            (Cell::Integer(bits), ValueKind::Unsigned) => parse_timestamp(&bits.cast_unsigned().to_string()),
            (Cell::Integer(number), _) => parse_timestamp(&number.to_string()),
            (Cell::Real(number), _) if number.is_finite() => parse_timestamp(&number.to_string()),
            (Cell::Real(_), _) => Err(Reject::Timestamp),
            (Cell::Bytes(bytes), _) => parse_timestamp(text(&bytes)?.trim()),
        }
    }

    pub(super) fn next_symbol(&mut self) -> Result<Symbol, Reject> {
        match self.next().ok_or(Reject::Missing)? {
            Cell::Bytes(bytes) => Symbol::new(text(&bytes)?).ok_or(Reject::Symbol),
            _ => Err(Reject::Symbol),
        }
    }

    pub(super) fn next_price(&mut self) -> Result<Price, Reject> {
        let number = self.next_number(Reject::Price)?.ok_or(Reject::Missing)?;
        Price::new(number).ok_or(Reject::NotFinite)
    }

    /// Size of the next row. Programs without nulls write NaN for a missing one.
    pub(super) fn next_size(&mut self) -> Result<Option<f64>, Reject> {
        match self.next_number(Reject::Size)? {
            Some(size) if size.is_nan() => Ok(None),
            Some(size) if size < 0.0 || size.is_infinite() => Err(Reject::Size),
            size => Ok(size),
        }
    }

    fn next_number(&mut self, reject: Reject) -> Result<Option<f64>, Reject> {
        let kind = self.kind;
        let Some(cell) = self.next() else { return Ok(None) };
        let number = match (cell, kind) {
            (Cell::Real(number), _) => number,
            (Cell::Integer(number), ValueKind::Decimal { scale }) => decimal(number.into(), scale, reject)?,
            (Cell::Integer(bits), ValueKind::Unsigned) => bits.cast_unsigned() as f64,
            (Cell::Integer(number), _) => number as f64,
            (Cell::Bytes(bytes), ValueKind::Decimal { scale }) => {
                decimal(big_endian(bytes.data(), reject)?, scale, reject)?
            }
            (Cell::Bytes(bytes), _) => match parse_price(text(&bytes)?.trim()) {
                Err(Reject::Price) => return Err(reject),
                parsed => parsed?.get(),
            },
            (Cell::Julian { .. }, _) => return Err(reject),
        };
        Ok(Some(number))
    }
}

fn text(bytes: &ByteArray) -> Result<&str, Reject> {
    std::str::from_utf8(bytes.data()).map_err(|_| Reject::NotUtf8)
}

fn instant(units: i64, unit_ns: i64) -> Result<Timestamp, Reject> {
    if units < 0 {
        return Err(Reject::BeforeEpoch);
    }
    units.checked_mul(unit_ns).and_then(Timestamp::from_nanos).ok_or(Reject::Future)
}

/// Decodes a big-endian integer in two's complement.
fn big_endian(bytes: &[u8], reject: Reject) -> Result<i128, Reject> {
    let first = *bytes.first().filter(|_| bytes.len() <= DECIMAL_BYTES_MAX).ok_or(reject)?;
    let sign = if first < 0x80 { 0 } else { -1 };
    Ok(bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte)))
}

/// Double nearest to a decimal.
fn decimal(number: i128, scale: i32, reject: Reject) -> Result<f64, Reject> {
    format!("{number}e{}", -i64::from(scale)).parse().map_err(|_| reject)
}

#[cfg(test)]
mod tests {
    use crate::storage::parquet::column::*;

    #[test]
    fn decimals_are_the_nearest_doubles() {
        assert_eq!(decimal(18_720, 2, Reject::Price), Ok(187.2));
        assert_eq!(decimal(-3, 1, Reject::Price), Ok(-0.3));
        assert_eq!(decimal(5, -2, Reject::Price), Ok(500.0));
        assert_eq!(decimal(i128::MAX, i32::MIN, Reject::Price), Ok(f64::INFINITY));
        assert_eq!(big_endian(&[0x49, 0x20], Reject::Price), Ok(18_720));
        assert_eq!(big_endian(&[0xff, 0xfd], Reject::Price), Ok(-3));
        assert_eq!(big_endian(&[], Reject::Price), Err(Reject::Price));
        assert_eq!(big_endian(&[0; 17], Reject::Size), Err(Reject::Size));
    }

    #[test]
    fn instants_out_of_range_are_rejected() {
        assert_eq!(instant(-1, 1), Err(Reject::BeforeEpoch));
        assert_eq!(instant(i64::MAX, 1_000), Err(Reject::Future));
        assert_eq!(instant(2, NS_PER_DAY).map(Timestamp::as_nanos), Ok(172_800 * NS_PER_S));
    }
}

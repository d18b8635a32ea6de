//! What stands in the cells of a column, whatever type it has: instants, texts and numbers.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{AsBytes, ByteArray, FixedLenByteArray, Int96};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescriptor;

use crate::model::{NS_PER_S, Price, Reject, Timestamp, display_safe, parse_price, parse_timestamp};
use crate::storage::TableError;

const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

/// 1970-01-01 as a Julian day, which `INT96` counts in.
const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;

/// Longest decimal number that is read, in bytes: 38 digits.
const DECIMAL_BYTES_MAX: usize = 16;

/// What a column is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Time,
    Text,
    Number,
}

impl Wanted {
    const fn described(self) -> &'static str {
        match self {
            Self::Time => "a timestamp, a Unix time as a number, or RFC 3339 text",
            Self::Text => "text",
            Self::Number => "a number",
        }
    }
}

/// What a column's values stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The value itself, a number or a text.
    Plain,
    /// The same; its bits are a number without a sign.
    Unsigned,
    /// Units since 1970. Without a zone it is taken for UTC, as pandas and polars do.
    Instant { unit_ns: i64 },
    /// Days since 1970.
    Days,
    /// A whole number of these parts of one.
    Decimal { digits: i32 },
}

impl Meaning {
    /// What a column's values stand for, if they can be what is wanted.
    pub(super) fn of(column: &ColumnDescriptor, wanted: Wanted) -> Result<Self, TableError> {
        let meaning = meaning(column);
        let physical = column.physical_type();
        let is_bytes = physical == Physical::BYTE_ARRAY;
        let is_number = matches!(physical, Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE);
        let fits = match (wanted, meaning) {
            (Wanted::Time, Some(Self::Instant { .. } | Self::Days)) | (Wanted::Number, Some(Self::Decimal { .. })) => {
                true
            }
            (Wanted::Time | Wanted::Number, Some(Self::Plain | Self::Unsigned)) => is_bytes || is_number,
            (Wanted::Text, Some(Self::Plain)) => is_bytes,
            _ => false,
        };
        meaning.filter(|_| fits).ok_or_else(|| TableError::Type {
            column: display_safe(column.name()).into_owned(),
            found: described(column),
            wanted: wanted.described(),
        })
    }
}

fn meaning(column: &ColumnDescriptor) -> Option<Meaning> {
    let instant = |unit_ns| Some(Meaning::Instant { unit_ns });
    let physical = column.physical_type();
    if physical == Physical::INT96 {
        return instant(1);
    }
    let is_whole = matches!(physical, Physical::INT32 | Physical::INT64);
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(of)), _) if physical == Physical::INT64 => instant(match of.unit {
            TimeUnit::MILLIS => 1_000_000,
            TimeUnit::MICROS => 1_000,
            TimeUnit::NANOS => 1,
        }),
        (None, ConvertedType::TIMESTAMP_MILLIS) if physical == Physical::INT64 => instant(1_000_000),
        (None, ConvertedType::TIMESTAMP_MICROS) if physical == Physical::INT64 => instant(1_000),
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) if physical == Physical::INT32 => {
            Some(Meaning::Days)
        }
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => {
            Some(Meaning::Decimal { digits: column.type_scale() })
        }
        (Some(LogicalType::Integer(of)), _) if is_whole => {
            Some(if of.is_signed { Meaning::Plain } else { Meaning::Unsigned })
        }
        (None, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64)
            if is_whole =>
        {
            Some(Meaning::Unsigned)
        }
        (Some(LogicalType::String | LogicalType::Enum), _) => Some(Meaning::Plain),
        // A time of day, an interval and the like are not what the bare number says.
        (Some(_), _) => None,
        (None, _) if physical == Physical::BOOLEAN || physical == Physical::FIXED_LEN_BYTE_ARRAY => None,
        (None, _) => Some(Meaning::Plain),
    }
}

/// Whether a column is of the type that has no values, as pandas and pyarrow write one of nothing but `None`.
pub(super) fn is_empty(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), Some(LogicalType::Unknown))
}

fn described(column: &ColumnDescriptor) -> String {
    match column.logical_type_ref() {
        Some(logical) => format!("{logical:?}"),
        None => column.physical_type().to_string(),
    }
}

enum Values {
    /// Of a type that no column of a tick has.
    Other,
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// One value.
#[derive(Debug, Clone, Copy)]
enum Cell<'a> {
    Whole(i64),
    /// Days of the Julian calendar and nanoseconds.
    Julian(u32, u64),
    Real(f64),
    Bytes(&'a [u8]),
}

/// A column of one group, with some rows of it decoded.
pub(super) struct Column {
    reader: ColumnReader,
    meaning: Meaning,
    values: Values,
    /// For each decoded row whether it has a value; empty where each has.
    levels: Vec<i16>,
    /// The next row and the next value.
    at: (usize, usize),
}

impl Column {
    pub(super) fn new(reader: ColumnReader, meaning: Meaning) -> Self {
        let values = match &reader {
            ColumnReader::BoolColumnReader(_) => Values::Other,
            ColumnReader::Int32ColumnReader(_) => Values::Int32(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Values::Int64(Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Values::Int96(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Values::Float(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Values::Double(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Values::Bytes(Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Values::Fixed(Vec::new()),
        };
        Self { reader, meaning, values, levels: Vec::new(), at: (0, 0) }
    }

    /// Decodes the next `rows` rows in place of the last ones; how many there were.
    pub(super) fn fill(&mut self, rows: usize) -> Result<usize, ParquetError> {
        let levels = &mut self.levels;
        levels.clear();
        self.at = (0, 0);
        macro_rules! read {
            ($reader:ident, $values:ident) => {{
                $values.clear();
                $reader.read_records(rows, Some(levels), None, $values)
            }};
        }
        let (rows, ..) = match (&mut self.reader, &mut self.values) {
            (ColumnReader::Int32ColumnReader(reader), Values::Int32(values)) => read!(reader, values),
            (ColumnReader::Int64ColumnReader(reader), Values::Int64(values)) => read!(reader, values),
            (ColumnReader::Int96ColumnReader(reader), Values::Int96(values)) => read!(reader, values),
            (ColumnReader::FloatColumnReader(reader), Values::Float(values)) => read!(reader, values),
            (ColumnReader::DoubleColumnReader(reader), Values::Double(values)) => read!(reader, values),
            (ColumnReader::ByteArrayColumnReader(reader), Values::Bytes(values)) => read!(reader, values),
            (ColumnReader::FixedLenByteArrayColumnReader(reader), Values::Fixed(values)) => read!(reader, values),
            _ => Ok((0, 0, 0)),
        }?;
        Ok(rows)
    }

    /// The next cell; `None` where the row has none.
    fn next(&mut self) -> Option<Cell<'_>> {
        let (row, at) = self.at;
        let is_null = self.levels.get(row).is_some_and(|level| *level == 0);
        self.at = (row + 1, at + usize::from(!is_null));
        if is_null {
            return None;
        }
        match &self.values {
            Values::Other => None,
            Values::Int32(values) => values.get(at).map(|value| match self.meaning {
                Meaning::Unsigned => Cell::Whole(i64::from(value.cast_unsigned())),
                _ => Cell::Whole(i64::from(*value)),
            }),
            Values::Int64(values) => values.get(at).copied().map(Cell::Whole),
            Values::Int96(values) => values.get(at).and_then(|value| match value.data() {
                [low, high, days] => Some(Cell::Julian(*days, u64::from(*high) << 32 | u64::from(*low))),
                _ => None,
            }),
            Values::Float(values) => values.get(at).map(|value| Cell::Real(f64::from(*value))),
            Values::Double(values) => values.get(at).copied().map(Cell::Real),
            Values::Bytes(values) => values.get(at).map(|value| Cell::Bytes(value.as_bytes())),
            Values::Fixed(values) => values.get(at).map(|value| Cell::Bytes(value.as_bytes())),
        }
    }

    pub(super) fn next_time(&mut self) -> Result<Timestamp, Reject> {
        let meaning = self.meaning;
        match (self.next().ok_or(Reject::Missing)?, meaning) {
            (Cell::Whole(units), Meaning::Instant { unit_ns }) => instant(units, unit_ns),
            (Cell::Whole(days), Meaning::Days) => instant(days, NS_PER_DAY),
            (Cell::Julian(day, nanos), _) => {
                let midnight = instant(i64::from(day) - JULIAN_DAY_OF_EPOCH, NS_PER_DAY)?;
                let nanos = i64::try_from(nanos).ok().and_then(|nanos| midnight.as_nanos().checked_add(nanos));
                nanos.and_then(Timestamp::from_nanos).ok_or(Reject::Future)
            }
            (Cell::Whole(bits), Meaning::Unsigned) => parse_timestamp(&bits.cast_unsigned().to_string()),
            (Cell::Whole(number), _) => parse_timestamp(&number.to_string()),
            (Cell::Real(number), _) if number.is_finite() => parse_timestamp(&number.to_string()),
            (Cell::Real(_), _) => Err(Reject::Timestamp),
            (Cell::Bytes(bytes), _) => parse_timestamp(text(bytes)?.trim()),
        }
    }

    pub(super) fn next_text(&mut self) -> Result<&str, Reject> {
        match self.next().ok_or(Reject::Missing)? {
            Cell::Bytes(bytes) => text(bytes),
            _ => Err(Reject::Symbol),
        }
    }

    pub(super) fn next_price(&mut self) -> Result<Price, Reject> {
        let number = self.next_number(Reject::Price)?.ok_or(Reject::Missing)?;
        Price::new(number).ok_or(Reject::NotFinite)
    }

    /// No number at all is what programs without nulls write for none.
    pub(super) fn next_size(&mut self) -> Result<Option<f64>, Reject> {
        match self.next_number(Reject::Size)? {
            Some(size) if size.is_nan() => Ok(None),
            Some(size) if size < 0.0 || size.is_infinite() => Err(Reject::Size),
            size => Ok(size),
        }
    }

    fn next_number(&mut self, otherwise: Reject) -> Result<Option<f64>, Reject> {
        let meaning = self.meaning;
        let Some(cell) = self.next() else { return Ok(None) };
        let number = match (cell, meaning) {
            (Cell::Real(number), _) => number,
            (Cell::Whole(number), Meaning::Decimal { digits }) => scaled(number.into(), digits, otherwise)?,
            (Cell::Whole(bits), Meaning::Unsigned) => bits.cast_unsigned() as f64,
            (Cell::Whole(number), _) => number as f64,
            (Cell::Bytes(bytes), Meaning::Decimal { digits }) => scaled(whole(bytes, otherwise)?, digits, otherwise)?,
            (Cell::Bytes(bytes), _) => match parse_price(text(bytes)?.trim()) {
                Err(Reject::Price) => return Err(otherwise),
                parsed => parsed?.get(),
            },
            (Cell::Julian(..), _) => return Err(otherwise),
        };
        Ok(Some(number))
    }
}

fn text(bytes: &[u8]) -> Result<&str, Reject> {
    std::str::from_utf8(bytes).map_err(|_| Reject::NotUtf8)
}

fn instant(units: i64, unit_ns: i64) -> Result<Timestamp, Reject> {
    if units < 0 {
        return Err(Reject::BeforeEpoch);
    }
    units.checked_mul(unit_ns).and_then(Timestamp::from_nanos).ok_or(Reject::Future)
}

/// Two's complement, the highest byte first.
fn whole(bytes: &[u8], otherwise: Reject) -> Result<i128, Reject> {
    let first = *bytes.first().filter(|_| bytes.len() <= DECIMAL_BYTES_MAX).ok_or(otherwise)?;
    let sign = if first < 0x80 { 0 } else { -1 };
    Ok(bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte)))
}

/// The double nearest to a number of so many digits behind the point.
fn scaled(number: i128, digits: i32, otherwise: Reject) -> Result<f64, Reject> {
    format!("{number}e{}", -i64::from(digits)).parse().map_err(|_| otherwise)
}

#[cfg(test)]
mod tests {
    use crate::storage::parquet::cells::*;

    #[test]
    fn decimals_are_the_nearest_doubles() {
        assert_eq!(scaled(18_720, 2, Reject::Price), Ok(187.2));
        assert_eq!(scaled(-3, 1, Reject::Price), Ok(-0.3));
        assert_eq!(scaled(5, -2, Reject::Price), Ok(500.0));
        assert_eq!(scaled(i128::MAX, i32::MIN, Reject::Price), Ok(f64::INFINITY));
        assert_eq!(whole(&[0x49, 0x20], Reject::Price), Ok(18_720));
        assert_eq!(whole(&[0xff, 0xfd], Reject::Price), Ok(-3));
        assert_eq!(whole(&[], Reject::Price), Err(Reject::Price));
        assert_eq!(whole(&[0; 17], Reject::Size), Err(Reject::Size));
    }

    #[test]
    fn instants_that_do_not_fit_have_a_cause() {
        assert_eq!(instant(-1, 1), Err(Reject::BeforeEpoch));
        assert_eq!(instant(i64::MAX, 1_000), Err(Reject::Future));
        assert_eq!(instant(2, NS_PER_DAY).map(Timestamp::as_nanos), Ok(172_800 * NS_PER_S));
    }
}

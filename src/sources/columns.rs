//! Parsing of CSV rows into ticks by the column names in the header.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::model::{Reject, Symbol, Tick, display_safe, parse_price, parse_size, parse_timestamp};

/// Maximum number of columns in a row. Exports of market data have a few dozen.
const COLUMNS_MAX: usize = 1_024;

/// Accepted names of each column, in any case, in order of preference.
const TIMESTAMP_NAMES: [&str; 5] = ["timestamp", "time", "ts", "datetime", "date"];
const SYMBOL_NAMES: [&str; 3] = ["symbol", "ticker", "sym"];
const PRICE_NAMES: [&str; 3] = ["price", "px", "last"];
const SIZE_NAMES: [&str; 4] = ["size", "volume", "qty", "quantity"];

/// Supported delimiters; the one that occurs most in the header is used.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Maximum number of characters of an invalid header that the error repeats.
const SHOWN_CHARS_MAX: usize = 200;

/// Columns of a table that hold the fields of a tick, numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnMap {
    /// Column of the timestamp.
    pub timestamp: usize,
    /// Column of the symbol.
    pub symbol: usize,
    /// Column of the price.
    pub price: usize,
    /// Column of the size, if there is one.
    pub size: Option<usize>,
}

impl ColumnMap {
    /// Finds the columns by their names, in any case and order.
    ///
    /// # Errors
    ///
    /// Returns the names of the required fields that have no column.
    pub fn find(names: &[impl AsRef<str>]) -> Result<Self, Vec<&'static str>> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().trim().to_ascii_lowercase()).collect();
        let find = |aliases: &[&str]| aliases.iter().find_map(|alias| names.iter().position(|name| name == alias));
        match (find(&TIMESTAMP_NAMES), find(&SYMBOL_NAMES), find(&PRICE_NAMES)) {
            (Some(timestamp), Some(symbol), Some(price)) => {
                Ok(Self { timestamp, symbol, price, size: find(&SIZE_NAMES) })
            }
            (timestamp, symbol, price) => {
                let required = [("timestamp", timestamp), ("symbol", symbol), ("price", price)];
                Err(required.into_iter().filter(|(_, place)| place.is_none()).map(|(name, _)| name).collect())
            }
        }
    }
}

/// Header without a required column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeaderError {
    /// Missing columns, such as "price, symbol".
    pub(super) missing: String,
    /// The header, shortened and safe to display.
    pub(super) found: String,
}

/// Parser of the rows below a header.
pub(super) struct Columns {
    fields: Fields,
    map: ColumnMap,
}

impl Columns {
    /// Parses the first line of a file.
    pub(super) fn from_header(line: &[u8]) -> Result<Self, HeaderError> {
        let count = |delimiter: u8| memchr::memchr_iter(delimiter, line).count();
        // Among equal counts the first delimiter, the comma, wins.
        let delimiter =
            DELIMITERS.into_iter().reduce(|best, other| if count(other) > count(best) { other } else { best });
        let mut fields = Fields::new(delimiter.unwrap_or(b','));
        fields.split(line);
        let names: Vec<&str> = (0..fields.count).map(|i| fields.get(i).unwrap_or_default()).collect();
        match ColumnMap::find(&names) {
            Ok(map) => Ok(Self { fields, map }),
            Err(missing) => {
                let found: String = String::from_utf8_lossy(line).chars().take(SHOWN_CHARS_MAX).collect();
                Err(HeaderError { missing: missing.join(", "), found: display_safe(&found).into_owned() })
            }
        }
    }

    /// Parses the tick in a row.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Tick, Reject> {
        if !self.fields.split(line) {
            return Err(Reject::TooLong);
        }
        // A line break within quotes splits a row into two lines that are both incomplete.
        if !has_whole_quotes(line, self.fields.delimiter) {
            return Err(Reject::Missing);
        }
        let required = |column| match self.fields.get(column) {
            Some("") => Err(Reject::Missing),
            Some(text) => Ok(text),
            None if column < self.fields.count => Err(Reject::NotUtf8),
            None => Err(Reject::Missing),
        };
        let timestamp = parse_timestamp(required(self.map.timestamp)?)?;
        let symbol = Symbol::new(required(self.map.symbol)?).ok_or(Reject::Symbol)?;
        let price = parse_price(required(self.map.price)?)?;
        let size = match self.map.size.and_then(|column| self.fields.get(column)) {
            None | Some("") => None,
            Some(text) => Some(parse_size(text)?),
        };
        Ok(Tick { symbol, price, timestamp, size, seq: None, source: None })
    }
}

/// Whether each quote opens or closes a field, or is part of a pair inside one. Otherwise the line is the start or the
/// end of a longer row, and its columns may be shifted.
fn has_whole_quotes(line: &[u8], delimiter: u8) -> bool {
    if memchr::memchr(b'"', line).is_none() {
        return true;
    }
    let mut rest = line;
    loop {
        if let Some(inside) = rest.strip_prefix(b"\"") {
            let Some(after) = after_quotes(inside) else { return false };
            rest = after;
        }
        let end = memchr::memchr(delimiter, rest);
        if memchr::memchr(b'"', &rest[..end.unwrap_or(rest.len())]).is_some() {
            return false;
        }
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => return true,
        }
    }
}

/// Returns the text after the closing quote, given the text after the opening one.
fn after_quotes(mut inside: &[u8]) -> Option<&[u8]> {
    loop {
        let at = memchr::memchr(b'"', inside)?;
        let after = &inside[at + 1..];
        match after.strip_prefix(b"\"") {
            // A pair is an escaped quote.
            Some(text) => inside = text,
            None => return Some(after),
        }
    }
}

/// Fields of a row without quotes; the buffers are reused for the next row.
struct Fields {
    reader: Reader,
    delimiter: u8,
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Fields {
    fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, delimiter, text: Vec::new(), ends: vec![0; COLUMNS_MAX], count: 0 }
    }

    /// Returns `false` if there are more than [`COLUMNS_MAX`] fields.
    fn split(&mut self, line: &[u8]) -> bool {
        // Unquoting never lengthens a text, so this is enough for the line and its end.
        self.text.resize(line.len() + 1, 0);
        self.reader.reset();
        let (mut input, mut written, mut ended) = (line, 0, 0);
        loop {
            let (result, _, wrote, ends) =
                self.reader.read_record(input, &mut self.text[written..], &mut self.ends[ended..]);
            written += wrote;
            ended += ends;
            match result {
                // Empty input ends the record, inside a quote or not.
                ReadRecordResult::InputEmpty => input = &[],
                ReadRecordResult::Record | ReadRecordResult::End => {
                    self.count = ended;
                    return true;
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    self.count = 0;
                    return false;
                }
            }
        }
    }

    /// Returns `None` if there is no such column or it is not UTF-8.
    fn get(&self, column: usize) -> Option<&str> {
        let end = *self.ends.get(column).filter(|_| column < self.count)?;
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        std::str::from_utf8(&self.text[start..end]).ok().map(str::trim)
    }
}

#[cfg(test)]
mod tests {
    use crate::sources::columns::*;
    use proptest::prelude::*;

    fn read(header: &str, row: &str) -> Result<Tick, Reject> {
        Columns::from_header(header.as_bytes()).unwrap().read(row.as_bytes())
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_case() {
        for (header, row) in [
            ("timestamp,symbol,price,size", "1381132800464,SPY,167.41,100"),
            ("size,price,symbol,timestamp", "100,167.41,SPY,1381132800464"),
            (" Size , PX ,x,Ticker,TIME", "100, 167.41 ,,SPY,1381132800.464"),
            ("\"ts\";\"sym\";\"last\";\"qty\"", "\"2013-10-07T08:00:00.464Z\";\"SPY\";\"167.41\";\"100\""),
            ("date\tsymbol\tprice\tvolume", "1381132800464\tSPY\t167.41\t100"),
        ] {
            let tick = read(header, row).unwrap();
            assert_eq!((tick.symbol.as_str(), tick.price.get(), tick.size), ("SPY", 167.41, Some(100.0)), "{header}");
            assert_eq!(tick.timestamp.as_nanos(), 1_381_132_800_464_000_000, "{header}");
        }
    }

    #[test]
    fn a_bad_row_has_a_cause() {
        let header = "timestamp,symbol,price,size";
        assert_eq!(read(header, "1381132800464,SPY,167.41,").unwrap().size, None);
        assert_eq!(read(header, "1381132800464,SPY,167.41").unwrap().size, None);
        for (row, cause) in [
            ("", Reject::Missing),
            ("1381132800464,SPY", Reject::Missing),
            ("1381132800464,,1", Reject::Missing),
            ("yesterday,SPY,1", Reject::Timestamp),
            ("1381132800464,SPY,NaN", Reject::NotFinite),
            ("1381132800464,SPY,12.3.4", Reject::Price),
            ("1381132800464,SPY,1,-5", Reject::Size),
            ("1381132800464,SPY,1,many", Reject::Size),
        ] {
            let found = read(header, row).unwrap_err();
            // The number parser decides how NaN is reported.
            let nan = cause == Reject::NotFinite && found == Reject::Price;
            assert!(found == cause || nan, "{row}: {found}");
        }
        let mut columns = Columns::from_header(header.as_bytes()).unwrap();
        assert_eq!(columns.read(b"1381132800464,\xff,1"), Err(Reject::NotUtf8));
        assert_eq!(columns.read(&b",".repeat(COLUMNS_MAX + 1)), Err(Reject::TooLong));
        assert!(columns.read(b"1381132800464,SPY,1,1").is_ok(), "a bad row leaves nothing after");
    }

    #[test]
    fn a_piece_of_a_row_that_a_line_break_in_quotes_parted_is_no_tick() {
        let header = "symbol,timestamp,price,size,note";
        for (row, symbol) in [
            (r#""a,b",1381132800464,1,2"#, "a,b"),
            (r#""say ""x""",1381132800464,1,2"#, r#"say "x""#),
            (r#""""",1381132800464,"1","2""#, "\""),
            (r#"A,1381132800464,1,2,"it is ""so"", and more""#, "A"),
            (r#"A,1381132800464,1,2,"""#, "A"),
        ] {
            assert_eq!(read(header, row).unwrap().symbol.as_str(), symbol, "{row}");
        }
        for row in [
            r#""x"#,
            r#"x",1381132800464,1,2"#,
            r#"",1381132800464,1,2"#,
            r#"""",1381132800464,1,2"#,
            r#"""x",1381132800464,1,2"#,
            r#"x"",1381132800464,1,2"#,
            r#"",1381132800464,1,2,"n""#,
            r#"x,1381132800464,1,2,"n"#,
            r#"x,1381132800464,1,2,6" pipe"#,
            r#"x, "1381132800464",1,2"#,
        ] {
            assert!(read(header, row).is_err(), "{row}");
        }
        assert_eq!(read("symbol;timestamp;price", r#"x";1381132800464;1"#), Err(Reject::Missing));
    }

    #[test]
    fn a_header_that_does_not_fit_is_named() {
        let error = |line: &[u8]| Columns::from_header(line).err().unwrap();
        assert_eq!(error(b"symbol,open,close").missing, "timestamp, price");
        assert_eq!(error(b"1381132800464,SPY,167.41,100").missing, "timestamp, symbol, price");
        let evil = error(b"\x1b[2J\xff");
        assert!(!evil.found.contains('\u{1b}'));
        assert!(error(&b"x".repeat(10_000)).found.len() <= SHOWN_CHARS_MAX);
        assert_eq!(error(&b",".repeat(2 * COLUMNS_MAX)).missing, "timestamp, symbol, price");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut columns = Columns::from_header(b"timestamp,symbol,price,size").unwrap();
            let _ = columns.read(&line);
            let _ = Columns::from_header(&line);
            prop_assert!(columns.read(b"1381132800464,SPY,1,1").is_ok());
        }
    }
}

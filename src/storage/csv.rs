//! CSV writer (RFC 4180, with line feeds).

use std::io::{self, BufWriter, Write};

use jiff::Timestamp;

use crate::storage::{AtomicFile, Encoder, Row, TickColumns};

/// Names of the columns. [`sources`](crate::sources) recognises them when it reads the file.
const HEADER: &str = "symbol,time,time_ns,price,size,outlier";

/// Names of the further columns of a file with origins.
const ORIGIN_HEADER: &str = ",source,seq,id";

/// CSV file being written.
pub(super) struct CsvWriter {
    out: BufWriter<AtomicFile>,
    line: Vec<u8>,
    columns: TickColumns,
}

impl CsvWriter {
    pub(super) fn begin(file: AtomicFile, columns: TickColumns) -> io::Result<Self> {
        let mut out = BufWriter::new(file);
        let more = if columns == TickColumns::WithOrigin { ORIGIN_HEADER } else { "" };
        writeln!(out, "{HEADER}{more}")?;
        Ok(Self { out, line: Vec::new(), columns })
    }
}

impl Encoder for CsvWriter {
    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.line.clear();
        push_text(row.symbol, &mut self.line);
        let time = Timestamp::from_nanosecond(row.time_ns.into()).map_err(io::Error::other)?;
        write!(self.line, ",{time:.9},{},", row.time_ns)?;
        // serde_json writes the shortest text that reads back to the same bits, with an exponent if that is shorter.
        serde_json::to_writer(&mut self.line, &row.price)?;
        self.line.push(b',');
        if let Some(size) = row.size {
            serde_json::to_writer(&mut self.line, &size)?;
        }
        write!(self.line, ",{}", row.outlier)?;
        if self.columns == TickColumns::WithOrigin {
            self.line.push(b',');
            if let Some(source) = row.origin.source {
                push_text(source, &mut self.line);
            }
            self.line.push(b',');
            if let Some(seq) = row.origin.seq {
                write!(self.line, "{seq}")?;
            }
            self.line.push(b',');
            if let Some(id) = row.origin.id {
                write!(self.line, "{id}")?;
            }
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn finish(self: Box<Self>) -> io::Result<AtomicFile> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Appends a field. It is quoted if it contains commas, quotes or line breaks, and if it is empty: nothing between two
/// commas means unknown.
fn push_text(text: &str, line: &mut Vec<u8>) {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        line.push(b'"');
        line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use crate::sources::ColumnMap;
    use crate::storage::csv::*;

    #[test]
    fn written_columns_are_recognised_when_read() {
        let names: Vec<&str> = HEADER.split(',').collect();
        let map = ColumnMap::find(&names).unwrap();
        assert_eq!((map.symbol, map.timestamp, map.price, map.size), (0, 1, 3, Some(4)));
    }
}

//! Contents of tick files, byte by byte for CSV.

use crate::storage::*;

const fn row(symbol: &str, time_ns: i64, price: f64, size: Option<f64>) -> Row<'_> {
    let origin = Origin { source: None, seq: None, id: None };
    Row { symbol, time_ns, price, size, outlier: false, origin }
}

const ROWS: [Row<'static>; 5] = [
    row("SPY", 1_381_152_600_123_456_789, 168.5, Some(100.0)),
    Row { outlier: true, ..row("A,\"B\"\n", 1_381_152_600_123_456_789, -0.0, None) },
    row("=1+1", 0, 1e300, Some(0.1)),
    row(" sp ", i64::MAX, 5e-324, Some(0.0)),
    row("\r", 1, 0.1 + 0.2, None),
];

fn write(path: &Path, format: TickFormat, rows: &[Row<'_>]) -> Result<u64, TickFileError> {
    write_with(path, format, TickColumns::Bare, rows)
}

fn write_with(path: &Path, format: TickFormat, columns: TickColumns, rows: &[Row<'_>]) -> Result<u64, TickFileError> {
    let mut file = TickFile::create(path, format, columns)?;
    for row in rows {
        file.write(row)?;
    }
    file.finish()
}

#[test]
fn csv_quotes_text_and_keeps_every_digit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks.csv");
    assert_eq!(write(&path, TickFormat::Csv, &ROWS).unwrap(), 5);
    let expected = "symbol,time,time_ns,price,size,outlier\n\
                    SPY,2013-10-07T13:30:00.123456789Z,1381152600123456789,168.5,100.0,false\n\
                    \"A,\"\"B\"\"\n\",2013-10-07T13:30:00.123456789Z,1381152600123456789,-0.0,,true\n\
                    =1+1,1970-01-01T00:00:00.000000000Z,0,1e+300,0.1,false\n \
                    sp ,2262-04-11T23:47:16.854775807Z,9223372036854775807,5e-324,0.0,false\n\
                    \"\r\",1970-01-01T00:00:00.000000001Z,1,0.30000000000000004,,false\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn origins_are_the_last_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks.csv");
    let origin = Origin { source: Some("p,1"), seq: Some(u64::MAX), id: Some(StreamId { ms: 7, seq: 1 }) };
    write_with(&path, TickFormat::Csv, TickColumns::WithOrigin, &[Row { origin, ..ROWS[0] }, ROWS[2]]).unwrap();
    let expected = "symbol,time,time_ns,price,size,outlier,source,seq,id\n\
                    SPY,2013-10-07T13:30:00.123456789Z,1381152600123456789,168.5,100.0,false,\"p,1\",\
                    18446744073709551615,7-1\n\
                    =1+1,1970-01-01T00:00:00.000000000Z,0,1e+300,0.1,false,,,\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn a_symbol_of_quotes_fits_the_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks.csv");
    let symbol = "\"".repeat(crate::model::SYMBOL_BYTES_MAX);
    write(&path, TickFormat::Csv, &[Row { symbol: &symbol, ..ROWS[0] }]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().nth(1).unwrap();
    assert!(line.starts_with(&format!("\"{}\",2013", "\"\"".repeat(symbol.len()))), "{line}");
}

#[test]
fn a_file_is_complete_or_absent() {
    let dir = tempfile::tempdir().unwrap();
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let forms: &[TickFormat] = if HAS_PARQUET { &[TickFormat::Csv, TickFormat::Parquet] } else { &[TickFormat::Csv] };
    for &format in forms {
        let path = dir.path().join("ticks");
        std::fs::write(&path, "an older one").unwrap();
        let mut file = TickFile::create(&path, format, TickColumns::Bare).unwrap();
        file.write(&ROWS[0]).unwrap();
        let partial = format!("ticks.{}.partial", std::process::id());
        assert_eq!(names(), ["ticks", partial.as_str()]);
        drop(file);
        assert_eq!((names(), std::fs::read_to_string(&path).unwrap().as_str()), (vec!["ticks".into()], "an older one"));
        assert_eq!(write(&path, format, &[]).unwrap(), 0, "a file without rows is a file");
        assert_eq!(names(), ["ticks"]);
        assert!(std::fs::metadata(&path).unwrap().len() > 20);
    }
    let nowhere = dir.path().join("none\u{1b}/ticks.csv");
    let refused = write(&nowhere, TickFormat::Csv, &ROWS).unwrap_err().to_string();
    assert!(refused.starts_with("cannot write ") && refused.contains("\\u{1b}/ticks.csv: No such file"), "{refused}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_names_the_feature() {
    let dir = tempfile::tempdir().unwrap();
    let refused = write(&dir.path().join("t.parquet"), TickFormat::Parquet, &ROWS).unwrap_err().to_string();
    assert!(refused.contains("--features parquet"), "{refused}");
}

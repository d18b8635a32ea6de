use proptest::prelude::*;

use super::*;

/// The document in the form that `serde_json` writes.
fn rebuilt(value: Value<'_>) -> String {
    match value.kind() {
        Kind::Object => {
            let entries: Vec<String> =
                value.entries().map(|(key, value)| format!("{:?}:{}", key.text(), rebuilt(value))).collect();
            format!("{{{}}}", entries.join(","))
        }
        Kind::Array => format!("[{}]", value.elements().map(rebuilt).collect::<Vec<_>>().join(",")),
        Kind::String => format!("{:?}", value.as_str().unwrap()),
        _ => value.raw().to_owned(),
    }
}

fn read(text: &str) -> Result<String, NotJson> {
    let mut document = Document::default();
    document.read(text)?;
    Ok(rebuilt(document.root(text).unwrap()))
}

#[test]
fn documents_are_read_as_they_are_written() {
    for text in [
        r#"{"a":1,"b":[],"c":{},"d":[1,[2,{"e":null}],"x"],"f":true}"#,
        "[[],[[]],{}]",
        "-1.5e-7",
        r#""text that is longer than a word""#,
        "[NaN,-Infinity,Infinity,0.1,-0,10]",
    ] {
        assert_eq!(read(text).as_deref(), Ok(text));
    }
    assert_eq!(read(" { \"a\" : [ 1 , 2 ] } \n").as_deref(), Ok(r#"{"a":[1,2]}"#));
    let mut document = Document::default();
    document.read(r#"["\u00e9\"","\ud800"]"#).unwrap();
    let root = document.root(r#"["\u00e9\"","\ud800"]"#).unwrap();
    let texts: Vec<_> = root.elements().map(Value::as_str).collect();
    assert_eq!((texts[0].as_deref(), &texts[1]), (Some("é\""), &None));
}

#[test]
fn malformed_documents_are_refused() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[1]]",
        "1 2",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "-",
        "nan",
        "tru",
        "truee",
        "\"a",
        "\"a\nb\"",
        "[1}",
        "{\"a\":1]",
        "\"a\\",
    ] {
        assert_eq!(read(text), Err(NotJson), "{text}");
    }
}

#[test]
fn complete_elements_survive_an_error_behind_them() {
    let mut document = Document::default();
    for (text, kept) in
        [("[1,{\"a\":2},[3],{\"b\":", 3), ("[1,2", 2), ("[1,[2,[3", 1), ("[1,2] x", 2), ("{\"a\":[1,2],", 0), ("[x", 0)]
    {
        assert_eq!(document.read(text), Err(NotJson));
        assert_eq!(document.root(text).map_or(0, |root| root.elements().count()), kept, "{text}");
    }
}

proptest! {
    #[test]
    fn the_scanner_agrees_with_serde_json(text in "[\\[\\]{}\":,a-z0-9eE.+\\-\\\\ ]{0,60}") {
        let mut document = Document::default();
        let read = document.read(&text);
        let expected = serde_json::from_str::<serde_json::Value>(&text);
        // The scanner leaves escapes and the size of numbers to the fields' parsers.
        let is_left = text.contains("\\u") || expected.as_ref().is_err_and(|e| {
            let cause = e.to_string();
            cause.contains("escape") || cause.contains("out of range") || cause.contains("surrogate")
        });
        prop_assert!(is_left || read.is_ok() == expected.is_ok(), "{text}");
    }
}

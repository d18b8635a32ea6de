//! Rules on files, functions and lines that rustfmt and clippy do not cover.

use super::source::{Source, block_end};

/// Longest file, in lines: a longer file has more than one purpose.
const FILE_LINES_MAX: usize = 500;

/// Longest binary, in lines: a binary parses arguments, sets up logging, calls the library and returns an exit status.
const BINARY_LINES_MAX: usize = 80;

/// Longest function, in lines of code: a function fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Longest line, in characters; rustfmt leaves long strings and comments alone.
const LINE_CHARS_MAX: usize = 120;

/// Minimum number of words of a message that counts as a proof.
const PROOF_WORDS_MIN: usize = 3;

/// Marks of unfinished work, and paths of one developer's machine. Texts describe only the product.
const FOREIGN_WORDS: &[&str] = &["TODO", "FIXME", "XXX", "WIP", "/root/", "/home/"];

/// Words that turn a comment into a question.
const QUESTION_WORDS: &[&str] = &["What", "Who", "Whoever", "Where", "How", "Whether", "Whose"];

/// Names of the past that mean something else to readers who know the field, or nothing. docs/glossary.md has the terms
/// that replace them.
const PRIVATE_NAMES: &[&str] = &[
    "Book",
    "Tape",
    "Depot",
    "Sight",
    "Seeing",
    "Wish",
    "Gathered",
    "Historian",
    "Recalled",
    "Keeping",
    "Keeper",
    "KeptTick",
    "KeepError",
    "Hands",
    "Remedy",
    "Desk",
    "Fires",
    "Told",
    "Seldom",
    "Census",
    "Parcel",
    "Easel",
    "Duplex",
    "Echo",
    "GapBand",
    "Surroundings",
    "Remembered",
    "WholeFile",
    "Fed",
    "Lag",
    "Candle",
    "Reached",
    "Beyond",
];

/// Checks that files are short, start with their purpose, and are named after their module.
pub fn files(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let is_binary = source.path.starts_with("src/bin/");
    let max = if is_binary { BINARY_LINES_MAX } else { FILE_LINES_MAX };
    let mut complaints = Vec::new();
    if lines > max {
        complaints.push(source.complaint(0, &format!("{lines} lines; {max} are enough for one file of its kind")));
    }
    if source.path.ends_with("/mod.rs") {
        complaints.push(source.complaint(0, "a module lies in the file of its name, not in mod.rs"));
    }
    // A file of unit tests needs no header, because its parent has one.
    if lines > 3 && !source.text.starts_with("//! ") && !source.module().ends_with("tests") {
        complaints.push(source.complaint(0, "the file does not begin with what it is for (//! ...)"));
    }
    complaints
}

/// Checks that functions are short. Blank lines and comments do not count.
pub fn functions(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, _) in source.code.match_indices("fn ") {
        let is_word = source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let Some(open) = source.code[at..].find(['{', ';']).map(|i| at + i) else { continue };
        if is_word || source.code[open..].starts_with(';') {
            continue;
        }
        let body = &source.code[at..block_end(&source.code, open)];
        let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_LINES_MAX {
            let message = format!("a function of {lines} lines; {FUNCTION_LINES_MAX} fit on a screen");
            complaints.push(source.complaint(at, &message));
        }
    }
    complaints
}

/// Checks for unfinished code, debugging output and ignored tests.
pub fn leftovers(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for word in ["todo!", "unimplemented!", "dbg!", "#[ignore"] {
        let found = source.code.match_indices(word);
        complaints.extend(found.map(|(at, _)| source.complaint(at, &format!("`{word}` must not stay"))));
    }
    complaints
}

/// Checks that code outside of tests that can panic has a proof beside it: a comment on the same line or the line
/// above, a lint's `reason`, or a message of several words.
pub fn panics(source: &Source) -> Vec<String> {
    let code = source.product_code();
    let lines: Vec<&str> = source.text.lines().collect();
    let mut complaints = Vec::new();
    for call in [".unwrap()", ".unwrap_err()", ".expect(", ".expect_err(", "panic!(", "unreachable!("] {
        for (at, _) in code.match_indices(call) {
            let line = source.text[..at].matches('\n').count();
            let beside = &lines[line.saturating_sub(1)..=line];
            let is_comment = |line: &str| line.contains("// ") && !line.contains("/// ");
            let commented = beside.iter().any(|line| is_comment(line) || line.contains("reason = \""));
            if !commented && !is_proof(&source.text[at + call.len()..]) {
                complaints.push(source.complaint(at, &format!("`{call}` without a word on why it cannot panic")));
            }
        }
    }
    complaints
}

/// Returns `true` if an argument begins with a message of at least [`PROOF_WORDS_MIN`] words.
fn is_proof(argument: &str) -> bool {
    let message = argument.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
    message.is_some_and(|message| message.split_whitespace().count() >= PROOF_WORDS_MIN)
}

/// Checks that lines have no tabs, no trailing spaces and no excess length, and that files end with one newline.
pub fn lines(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut at = 0;
    // A table with `#[rustfmt::skip]` keeps one line per row, up to the closing `];`.
    let mut in_table = false;
    for line in source.text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        in_table = content.starts_with("#[rustfmt::skip]") || (in_table && content != "];");
        let mut complain = |message: &str| complaints.push(source.complaint(at, message));
        if content.contains('\t') {
            complain("a tab");
        }
        if content.ends_with([' ', '\r']) {
            complain("space or carriage return at the end of the line");
        }
        let cannot_break = content.starts_with('|') || content.contains("://") || source.path == "Cargo.toml";
        let cannot_break = cannot_break || in_table;
        if content.chars().count() > LINE_CHARS_MAX && !cannot_break {
            complain("a line of more than 120 characters");
        }
        at += line.len();
    }
    if !source.text.is_empty() && (!source.text.ends_with('\n') || source.text.ends_with("\n\n")) {
        complaints.push(source.complaint(source.text.len() - 1, "the file ends with one newline"));
    }
    complaints
}

/// Checks that texts describe only the product.
pub fn words(source: &Source) -> Vec<String> {
    if source.path == "tests/tidy/style.rs" {
        return Vec::new();
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut complaints = Vec::new();
    for word in FOREIGN_WORDS {
        for (at, _) in source.text.match_indices(word) {
            let whole = !source.text[..at].ends_with(is_word) && !source.text[at + word.len()..].starts_with(is_word);
            if whole || word.starts_with('/') {
                complaints.push(source.complaint(at, &format!("`{word}` is not a word of the product")));
            }
        }
    }
    complaints
}

/// Checks that comments begin with their subject or a verb, and not with a question word.
pub fn openings(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut at = 0;
    let mut continues = false;
    for line in source.text.split_inclusive('\n') {
        let text = line.trim_start();
        let comment = text.strip_prefix("//").filter(|_| source.code[at..at + line.len()].trim().is_empty());
        let words = comment.map(|text| text.trim_start_matches(['/', '!']).trim());
        let first = words.and_then(|words| words.split(|c: char| !c.is_alphanumeric()).next());
        if let Some(word) = first.filter(|word| !continues && QUESTION_WORDS.contains(word)) {
            complaints
                .push(source.complaint(at, &format!("a comment begins with `{word}`; begin with a noun or a verb")));
        }
        // A line that continues a sentence may begin with any word.
        continues = words.is_some_and(|words| !words.is_empty() && !words.ends_with(['.', ':', '?', '!']));
        at += line.len();
    }
    complaints
}

/// Checks that identifiers are the field's terms.
pub fn names(source: &Source) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut complaints = Vec::new();
    for (at, _) in source.code.match_indices(|c: char| c.is_ascii_uppercase()) {
        let name = source.code[at..].split(|c| !is_word(c)).next().unwrap_or_default();
        if !source.code[..at].ends_with(is_word) && PRIVATE_NAMES.contains(&name) {
            complaints.push(source.complaint(at, &format!("`{name}` is a private word; see docs/glossary.md")));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::source::count;
    use super::*;

    #[test]
    fn files_are_bounded_and_introduce_themselves() {
        let long = |lines: usize| format!("//! Long.\n{}", "const A: u8 = 0;\n".repeat(lines - 1));
        for (path, text, complaints) in [
            ("src/view.rs", long(500), 0),
            ("src/view.rs", long(501), 1),
            ("src/bin/producer.rs", long(80), 0),
            ("src/bin/producer.rs", long(81), 1),
            ("src/view/mod.rs", long(5), 1),
            ("src/view.rs", "use a;\nuse b;\nuse c;\nuse d;\n".to_owned(), 1),
            ("src/view/tests.rs", "use a;\nuse b;\nuse c;\nuse d;\n".to_owned(), 0),
        ] {
            assert_eq!(count(files, path, &text), complaints, "{path}");
        }
    }

    #[test]
    fn comments_do_not_begin_with_a_question() {
        for (text, complaints) in [
            ("/// What it is.\nfn f() {}\n", 1),
            ("//! How to begin.\n", 1),
            ("    // Whether it runs.\n", 1),
            ("/// Oldest tick.\n", 0),
            ("/// Whatever comes.\n", 0),
            ("/// Ticks of the shop in\n/// Who Street.\n", 0),
            ("const S: &str = \"// What\";\n", 0),
        ] {
            assert_eq!(count(openings, "src/view.rs", text), complaints, "{text}");
        }
    }

    #[test]
    fn private_names_are_refused() {
        for (text, complaints) in [
            ("struct Book;\nfn f(tape: &Tape) {}\n", 2),
            ("struct Bookkeeping;\n", 0),
            ("// A Book.\nconst S: &str = \"Tape\";\n", 0),
        ] {
            assert_eq!(count(names, "src/series.rs", text), complaints, "{text}");
        }
    }

    #[test]
    fn functions_are_bounded_in_lines_of_code() {
        let long = |line: &str, lines: usize| format!("fn f() {{\n{}}}\nfn g();\n", format!("{line}\n").repeat(lines));
        assert_eq!(count(functions, "src/view.rs", &long("a();", 68)), 0);
        assert_eq!(count(functions, "src/view.rs", &long("a();", 69)), 1);
        assert_eq!(count(functions, "src/view.rs", &long("// {", 90)), 0);
        assert_eq!(count(functions, "src/view.rs", "const FN: &str = \"fn f() {\"; trait T { fn f(&self); }"), 0);
    }

    #[test]
    fn leftovers_are_seen_in_code_but_not_in_words_about_them() {
        assert_eq!(count(leftovers, "src/view.rs", "fn f() { todo!() }"), 1);
        assert_eq!(count(leftovers, "src/view.rs", "fn f() { dbg!(1); unimplemented!(\"x\") }"), 2);
        assert_eq!(count(leftovers, "tests/broker.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"), 1);
        assert_eq!(count(leftovers, "src/view.rs", "// no todo!() here\nconst A: &str = \"dbg!\";"), 0);
    }

    #[test]
    fn what_can_panic_has_its_proof_beside_it() {
        for (text, complaints) in [
            ("fn f() { a.unwrap() }", 1),
            ("fn f() {\n    // a was set two lines above\n    a.unwrap()\n}", 0),
            ("fn f() { a.unwrap() } // a is never empty", 0),
            ("fn f() {\n    /// A doc comment proves nothing.\n    a.unwrap()\n}", 1),
            ("fn f() { a.expect(\"set\") }", 1),
            ("fn f() { a.expect(\"set by the constructor\") }", 0),
            ("fn f() { unreachable!() }", 1),
            ("fn f() { unreachable!(\"an address is always valid\") }", 0),
            ("#[expect(clippy::panic, reason = \"the lock is ours alone\")]\nfn f() { panic!(\"x\") }", 0),
            ("fn f() { a.unwrap_or(1); a.expect_code(2) }", 0),
            ("#[cfg(test)]\nmod tests { fn f() { a.unwrap() } }", 0),
        ] {
            assert_eq!(count(panics, "src/view.rs", text), complaints, "{text}");
        }
        assert_eq!(count(panics, "tests/broker.rs", "fn f() { a.unwrap() }"), 0);
    }

    #[test]
    fn lines_are_clean() {
        for (path, text, complaints) in [
            ("src/view.rs", "//! Fine.\n".to_owned(), 0),
            ("src/view.rs", "\tx\n".to_owned(), 1),
            ("README.md", "x \ny\r\n".to_owned(), 2),
            ("src/view.rs", "no newline".to_owned(), 1),
            ("src/view.rs", "two newlines\n\n".to_owned(), 1),
            ("src/view.rs", format!("{}\n", "é".repeat(120)), 0),
            ("src/view.rs", format!("{}\n", "e".repeat(121)), 1),
            ("src/view.rs", format!("#[rustfmt::skip]\nconst A: [u8; 1] = [\n{}\n];\n", "e".repeat(121)), 0),
            ("src/view.rs", format!("#[rustfmt::skip]\nconst A: [u8; 1] = [\n];\n{}\n", "e".repeat(121)), 1),
            ("README.md", format!("| {} |\n", "e".repeat(121)), 0),
            ("Cargo.toml", format!("{}\n", "e".repeat(121)), 0),
        ] {
            assert_eq!(count(lines, path, &text), complaints, "{path}: {text:?}");
        }
    }

    #[test]
    fn foreign_words_are_seen() {
        assert_eq!(count(words, "README.md", "A TODO in /home/someone/x"), 2);
        assert_eq!(count(words, "README.md", "Mastodons and to-do lists, and WIPE"), 0);
    }
}

//! Rust source prepared for the rules: without comments and literals, and as paths with expanded `use` trees.

use std::ops::Range;

/// A file and its contents.
pub struct Source {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// Original text.
    pub text: String,
    /// `text` with comments and the contents of literals blanked; every byte keeps its offset.
    pub code: String,
}

/// A path such as `crate::model::Tick`, from a `use` tree or an expression.
#[derive(Debug, PartialEq, Eq)]
pub struct NamePath {
    /// Byte offset of its start.
    pub at: usize,
    /// Segments, joined by `::`.
    pub name: String,
    /// `true` if it follows `use` directly.
    pub imported: bool,
}

impl Source {
    /// Creates a file from its path and text.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }

    /// Path within the crate: `plot/scene` for `src/plot/scene.rs`, `bin/consumer`, `lib`.
    pub fn module(&self) -> &str {
        self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs")
    }

    /// Returns `true` if all of the file is test code. Benchmarks count as test code, because only developers run them.
    pub fn is_test(&self) -> bool {
        ["tests/", "benches/"].iter().any(|dir| self.path.starts_with(dir))
            || self.module().split('/').any(|part| part == "tests")
    }

    /// Code without unit tests; empty for a test file.
    pub fn product_code(&self) -> String {
        if self.is_test() { String::new() } else { without_tests(&self.code) }
    }

    /// Formats a complaint as `path:line: message`, which terminals and editors can open.
    pub fn complaint(&self, at: usize, message: &str) -> String {
        let line = 1 + self.text[..at].matches('\n').count();
        format!("{}:{line}: {message}", self.path)
    }
}

/// Blanks comments, strings and character literals, but not newlines.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = text.to_owned().into_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let end = comment_end(text, at).or_else(|| string_end(text, at)).or_else(|| char_end(text, at));
        if let Some(end) = end {
            blank(&mut code[at..end]);
        }
        at = end.unwrap_or(at + 1);
    }
    String::from_utf8(code).expect("whole characters were blanked")
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

fn comment_end(text: &str, at: usize) -> Option<usize> {
    let bytes = &text.as_bytes()[at..];
    if bytes.starts_with(b"//") {
        return Some(at + bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len()));
    }
    if !bytes.starts_with(b"/*") {
        return None;
    }
    let (mut depth, mut i) = (0, 0);
    while i < bytes.len() {
        match &bytes[i..] {
            [b'/', b'*', ..] => (depth, i) = (depth + 1, i + 2),
            [b'*', b'/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    Some(at + i)
}

fn string_end(text: &str, at: usize) -> Option<usize> {
    let bytes = &text.as_bytes()[at..];
    if bytes[0] == b'r' {
        let hashes = bytes[1..].iter().take_while(|&&b| b == b'#').count();
        if bytes.get(1 + hashes) == Some(&b'"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = at + hashes + 2;
            return Some(text[body..].find(&close).map_or(text.len(), |i| body + i + close.len()));
        }
    }
    if bytes[0] != b'"' {
        return None;
    }
    let mut i = 1;
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    Some((at + i + 1).min(text.len()))
}

/// End of a character literal; `None` for a lifetime.
fn char_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?.strip_prefix('\'')?;
    if rest.starts_with('\\') {
        return rest.get(2..)?.find('\'').map(|i| at + 1 + 2 + i + 1);
    }
    let first = rest.chars().next()?;
    rest[first.len_utf8()..].starts_with('\'').then(|| at + 1 + first.len_utf8() + 1)
}

/// Blanks all items with `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = code.to_owned();
    while let Some(start) = kept.find(MARK) {
        let head = kept[start..].find(['{', ';']).map_or(kept.len(), |i| start + i);
        let end = block_end(&kept, head);
        let mut bytes = kept.into_bytes();
        blank(&mut bytes[start..end]);
        kept = String::from_utf8(bytes).expect("whole characters were blanked");
    }
    kept
}

/// Offset after the brace that closes the one at `open`; `open + 1` if there is no brace at `open`.
pub fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    code.len()
}

/// Bodies of inline modules.
pub fn inline_modules(code: &str) -> Vec<Range<usize>> {
    let tokens = tokens(code);
    let bodies = tokens.windows(3).filter_map(|three| match three {
        [(_, Token::Word("mod")), (_, Token::Word(_)), (open, Token::Mark('{'))] => Some(*open..block_end(code, *open)),
        _ => None,
    });
    bodies.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    PathSep,
    Mark(char),
}

fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = code[at..].chars().next() {
        let rest = &code[at..];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let len = if is_word(first) {
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            found.push((at, Token::Word(&rest[..len])));
            len
        } else if rest.starts_with("::") {
            found.push((at, Token::PathSep));
            2
        } else {
            if !first.is_whitespace() {
                found.push((at, Token::Mark(first)));
            }
            first.len_utf8()
        };
        at += len;
    }
    found
}

/// All paths in some code, including single identifiers.
pub fn paths(code: &str) -> Vec<NamePath> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let imported = i > 0 && tokens[i - 1].1 == Token::Word("use");
        i = match tokens[i].1 {
            Token::Word(_) => take_path(&tokens, i, "", imported, &mut found),
            _ => i + 1,
        };
    }
    found
}

/// Parses the path that begins at token `i`, with all branches of a tree, and returns the index of the next token.
fn take_path(tokens: &[(usize, Token<'_>)], i: usize, stem: &str, imported: bool, found: &mut Vec<NamePath>) -> usize {
    let at = tokens[i].0;
    let mut name = stem.to_owned();
    let mut i = i;
    while let Some((_, Token::Word(word))) = tokens.get(i) {
        name = if name.is_empty() { (*word).to_owned() } else { format!("{name}::{word}") };
        i += 1;
        if tokens.get(i).map(|token| token.1) != Some(Token::PathSep) {
            break;
        }
        i += 1;
    }
    if tokens.get(i).map(|token| token.1) != Some(Token::Mark('{')) || tokens[i - 1].1 != Token::PathSep {
        found.push(NamePath { at, name, imported });
        return i;
    }
    i += 1;
    while let Some((_, token)) = tokens.get(i) {
        i = match token {
            Token::Mark('}') => return i + 1,
            Token::Word("as") => i + 2,
            Token::Word(_) => take_path(tokens, i, &name, imported, found),
            _ => i + 1,
        };
    }
    i
}

/// Number of complaints of a rule about a text, for tests of the rules.
#[cfg(test)]
pub fn count(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
    rule(&Source::new(path, text)).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a /* b /* c */ d */ e // f\n\"g \\\" h\" i r#\"j \" k\"# l 'm' n '\\'' o <'p> 'é' q \"ü\" r";
        assert_eq!(paths_of(text), ["a", "e", "i", "l", "n", "o", "p", "q", "r"]);
        assert_eq!(code_of(text).len(), text.len());
        assert_eq!(code_of("\"never closed").trim(), "");
    }

    fn paths_of(text: &str) -> Vec<String> {
        paths(&code_of(text)).into_iter().map(|path| path.name).collect()
    }

    #[test]
    fn use_trees_are_unfolded_and_paths_in_code_are_found() {
        let text =
            "use crate::{client::{self, Endpoint as E}, model::*}; fn f() { std::fs::read(x::<T>::y) } use redis;";
        let names = paths_of(text);
        for name in ["crate::client::self", "crate::client::Endpoint", "crate::model", "std::fs::read", "redis"] {
            assert!(names.iter().any(|found| found.trim_end_matches("::") == name), "{name} in {names:?}");
        }
        assert!(paths("use redis;").iter().any(|path| path.imported && path.name == "redis"));
    }

    #[test]
    fn unit_tests_are_told_from_the_product() {
        let source = Source::new(
            "src/view.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { \"}\"; } }\nfn c() {}\n#[cfg(test)]\nmod more;\n",
        );
        let words: Vec<String> = paths(&source.product_code()).into_iter().map(|path| path.name).collect();
        assert_eq!(words, ["fn", "a", "fn", "c"]);
        assert!(Source::new("src/series/tests/oracle.rs", "fn a() {}").product_code().is_empty());
        assert_eq!(source.complaint(source.text.find("fn c").unwrap(), "no"), "src/view.rs:4: no");
    }

    #[test]
    fn inline_modules_are_known_by_their_extent() {
        let code = "mod a { mod b { x } y } mod c;";
        let bodies: Vec<&str> = inline_modules(code).into_iter().map(|range| &code[range]).collect();
        assert_eq!(bodies, ["{ mod b { x } y }", "{ x }"]);
    }
}

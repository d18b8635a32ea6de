//! Splits inline commands into words, with the quotes and escapes of Redis.

use std::ops::Range;

/// Error for a quote that is still open at the end of the line, or a closing quote that a letter follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced;

/// Splits `line` into words. Appends each to `out`, and its position there to `words`.
pub(crate) fn split(line: &[u8], out: &mut Vec<u8>, words: &mut Vec<Range<usize>>) -> Result<(), Unbalanced> {
    let mut rest = line;
    loop {
        let blank = rest.iter().take_while(|byte| is_space(**byte)).count();
        rest = &rest[blank..];
        if rest.is_empty() {
            return Ok(());
        }
        let start = out.len();
        rest = read_word(rest, out)?;
        words.push(start..out.len());
    }
}

fn read_word<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [] | [b' ' | b'\t' | b'\r' | b'\n', ..] => return Ok(rest),
            [quote @ (b'"' | b'\''), tail @ ..] => return read_quoted(tail, out, *quote),
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

/// Reads the rest of a quoted word. A closing quote ends the word; a space or the end of the line must follow.
fn read_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>, quote: u8) -> Result<&'a [u8], Unbalanced> {
    loop {
        rest = match rest {
            [] => return Err(Unbalanced),
            [byte, tail @ ..] if *byte == quote => {
                return if tail.first().is_none_or(|next| is_space(*next)) { Ok(tail) } else { Err(Unbalanced) };
            }
            [b'\\', b'x', high, low, tail @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0) as u8;
                out.push(digit(high) << 4 | digit(low));
                tail
            }
            [b'\\', escaped, tail @ ..] if quote == b'"' => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                tail
            }
            [b'\\', b'\'', tail @ ..] if quote == b'\'' => {
                out.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

/// Equivalent of C's `isspace`, which includes the vertical tab.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use crate::resp::inline::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
        let (mut out, mut spans) = (Vec::new(), Vec::new());
        split(line, &mut out, &mut spans)?;
        Ok(spans.into_iter().map(|span| out[span].to_vec()).collect())
    }

    #[test]
    fn words_quotes_and_escapes() {
        for (line, expected) in [
            (&b"  ping   hi  "[..], &[&b"ping"[..], b"hi"][..]),
            (b"", &[]),
            (br#"echo "a b\x41\n\q""#, &[b"echo", b"a bA\nq"]),
            (br#"echo "\xZZ""#, &[b"echo", b"xZZ"]),
            (br"echo 'a\'b\n'", &[b"echo", br"a'b\n"]),
            (br#"a"b c" ''"#, &[b"ab c", b""]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{}", String::from_utf8_lossy(line));
        }
        for bad in [&b"echo \"a"[..], b"echo 'a", b"echo \"a\"b", b"echo 'a'b", b"echo \"a\\"] {
            assert_eq!(words(bad), Err(Unbalanced), "{}", String::from_utf8_lossy(bad));
        }
    }
}

//! Redis's glob patterns: `*`, `?`, `[a-c]`, `[^x]`, and `\` before a literal character.

/// Returns whether `pattern` matches the whole of `text`. As in Redis 7.0 (`stringmatchlen`), an unterminated class
/// ends with the pattern, `[]` matches nothing, and only the empty pattern matches an empty text.
///
/// Backtracks to the last `*` only, because it can match everything that an earlier one could. The time is bounded by
/// the product of the two lengths, where the usual recursion takes exponential time.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut rest, mut at) = (pattern, 0);
    // Point to resume from after a mismatch: the pattern after the last `*`, and the end of what that `*` matches.
    let mut retry: Option<(&[u8], usize)> = None;
    while at < text.len() {
        if let [b'*', tail @ ..] = rest {
            rest = tail;
            retry = Some((tail, at));
            continue;
        }
        if let Some(tail) = match_one(rest, text[at]) {
            rest = tail;
            at += 1;
            continue;
        }
        let Some((tail, reached)) = &mut retry else { return false };
        *reached += 1;
        (rest, at) = (tail, *reached);
    }
    rest.iter().all(|byte| *byte == b'*')
}

/// Matches one byte against the first element of `pattern`. Returns the rest of the pattern.
fn match_one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (matched, tail) = match pattern {
        [] => return None,
        [b'?', tail @ ..] => (true, tail),
        [b'[', class @ ..] => match_class(class, byte),
        [b'\\', escaped, tail @ ..] => (*escaped == byte, tail),
        [literal, tail @ ..] => (*literal == byte, tail),
    };
    matched.then_some(tail)
}

fn match_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => return (found != negated, rest),
            [b']', tail @ ..] => return (found != negated, tail),
            [b'\\', escaped, tail @ ..] => {
                found |= *escaped == byte;
                tail
            }
            [start, b'-', end, tail @ ..] => {
                // Redis compares C's `char`, which is signed.
                let (start, end, byte) = (*start as i8, *end as i8, byte as i8);
                found |= (start.min(end)..=start.max(end)).contains(&byte);
                tail
            }
            [single, tail @ ..] => {
                found |= *single == byte;
                tail
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::broker::glob::*;

    #[test]
    fn elements_match_as_in_redis() {
        for (pattern, yes, no) in [
            ("ticks.*", &["ticks.", "ticks.AAPL"][..], &["tick", "xticks.A"][..]),
            ("h?llo", &["hello", "h?llo"], &["hllo", "heello"]),
            ("h[ae]llo", &["hello", "hallo"], &["hillo"]),
            ("h[^e]llo", &["hallo"], &["hello"]),
            ("h[a-c]llo", &["hallo", "hcllo"], &["hdllo"]),
            ("h[c-a]llo", &["hbllo"], &["hdllo"]),
            (r"a\*b", &["a*b"], &["axb", r"a\*b"]),
            (r"a\", &[r"a\"], &["a"]),
            (r"[\]a]", &["]", "a"], &[r"\"]),
            ("[ab", &["a", "b"], &["c", "[ab"]),
            ("[]", &[], &["]", "a"]),
            ("[^]", &["a"], &["ab"]),
            ("[a-]", &["a", "`"], &["-"]),
            ("*", &["a"], &[""]),
            ("", &[""], &["a"]),
            ("a*b*c", &["abc", "aXbYbc", "abbc"], &["ab", "acb"]),
            ("a**", &["a", "ab"], &["b"]),
        ] {
            for text in yes {
                assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} should match {text}");
            }
            for text in no {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} should not match {text}");
            }
        }
    }

    /// Reference implementation by plain recursion.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([b'*', tail @ ..], _) => (0..=text.len()).any(|skipped| by_definition(tail, &text[skipped..])),
            (_, []) => pattern.is_empty(),
            (_, [byte, rest @ ..]) => match_one(pattern, *byte).is_some_and(|tail| by_definition(tail, rest)),
        }
    }

    proptest! {
        #[test]
        fn backtracking_to_the_last_star_is_enough(pattern in r"[ab*?\[\]^\\-]{0,9}", text in r"[ab\]-]{1,9}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()), by_definition(pattern.as_bytes(), text.as_bytes())
            );
        }
    }

    #[test]
    fn many_stars_take_bounded_time() {
        let pattern = "*a".repeat(500) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(5_000).as_bytes()));
    }
}

//! Removal of credentials from texts that are printed.

/// Parts of the names of URL parameters with secret values: password, passwd, the pass of a Redis socket.
const SECRET_NAMES: [&str; 2] = ["pass", "secret"];

/// Returns `text` with user, password and secret parameters removed from anything that looks like a URL.
pub(super) fn redacted(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(redacted_line).collect();
    lines.join("\n")
}

fn redacted_line(line: &str) -> String {
    let Some((before, rest)) = line.split_once("://") else { return line.to_owned() };
    // A password may contain any character, so everything up to the last @ of the line counts as credentials.
    let (hidden, mut visible) = rest.split_at(rest.rfind('@').unwrap_or(0));
    let mut clean = format!("{before}://{}", if hidden.is_empty() { "" } else { "***" });
    let last_hidden = hidden.split_once('?').and_then(|(_, query)| query.rsplit('&').next());
    let is_cut = last_hidden.and_then(|pair| pair.split_once('=')).is_some_and(|(name, _)| is_secret(name));
    if is_cut {
        // The @ was part of a secret value, which continues after it.
        clean.push_str("@***");
        visible = visible.find('&').map_or("", |end| &visible[end..]);
    }
    let query_at = visible.find(if is_cut { '&' } else { '?' }).unwrap_or(visible.len());
    clean.push_str(&visible[..query_at]);
    for pair in visible[query_at..].split_inclusive('&') {
        match pair.split_once('=') {
            Some((name, value)) if is_secret(name) => {
                clean.push_str(name);
                clean.push_str(if value.ends_with('&') { "=***&" } else { "=***" });
            }
            _ => clean.push_str(pair),
        }
    }
    clean
}

/// Returns whether a parameter of this name is secret. Percent-encoding such as `%70` may hide its letters.
fn is_secret(name: &str) -> bool {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let code = rest.strip_prefix('%').and_then(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
        plain.push(code.map_or(first, char::from).to_ascii_lowercase());
        rest = &rest[if code.is_some() { 3 } else { first.len_utf8() }..];
    }
    SECRET_NAMES.iter().any(|secret| plain.contains(secret))
}

#[cfg(test)]
mod tests {
    use crate::cli::redact::*;

    #[test]
    fn credentials_are_removed_from_urls() {
        for (text, clean) in [
            ("no url", "no url"),
            (
                "error: unexpected argument 'redis://u:p@ss:w@h:1/2' found\n\nUsage: x",
                "error: unexpected argument 'redis://***@h:1/2' found\n\nUsage: x",
            ),
            ("redis://h:1 and\na://:x@b", "redis://h:1 and\na://***@b"),
            ("redis://u:a://b@h", "redis://***@h"),
            ("postgres://me:pw@h/d?sslmode=require&password=s3cret", "postgres://***@h/d?sslmode=require&password=***"),
            ("postgres://h/d?user=me&password=s3cret", "postgres://h/d?user=me&password=***"),
            ("postgres://h/d?PassWord=s3cret&user=me\nx", "postgres://h/d?PassWord=***&user=me\nx"),
            ("postgres://h/d?%70ass%77ord=s3?cret&user=me", "postgres://h/d?%70ass%77ord=***&user=me"),
            ("postgres://h/d?password=s3@cret&user=me", "postgres://***@***&user=me"),
            ("postgres://h/d?password=s3@cret", "postgres://***@***"),
            (
                "mongodb://h/d?tls=true&tlsCertificateKeyFilePassword=s3cret&x=%",
                "mongodb://h/d?tls=true&tlsCertificateKeyFilePassword=***&x=%",
            ),
            ("unix:///run/redis.sock?db=1&pass=s3cret", "unix:///run/redis.sock?db=1&pass=***"),
            ("http://h/?client_secret=s3cret&db_passwd=s3cret", "http://h/?client_secret=***&db_passwd=***"),
            ("http://h/?a=b?c=d&%\u{fc}=1", "http://h/?a=b?c=d&%\u{fc}=1"),
        ] {
            assert_eq!(redacted(text), clean);
        }
    }
}

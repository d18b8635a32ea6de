//! Rules on dependencies: each has a documented reason and a licence that deny.toml accepts.

use super::source::Source;

/// Checks that every dependency in Cargo.toml has a comment directly above it.
pub fn dependency_reasons(manifest: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let (mut in_dependencies, mut above, mut at) = (false, "", 0);
    for line in manifest.text.split_inclusive('\n') {
        let content = line.trim();
        if content.starts_with('[') {
            in_dependencies = content.trim_end_matches(']').ends_with("dependencies");
        } else if in_dependencies && content.contains('=') && !content.starts_with('#') {
            let name = content.split(['=', '.']).next().unwrap_or_default().trim();
            if !above.starts_with('#') {
                complaints.push(manifest.complaint(at, &format!("no comment above {name} says what it is for")));
            }
            if content.contains("\"*\"") || content.contains("git =") {
                complaints.push(manifest.complaint(at, &format!("{name} has no version of the package registry")));
            }
        }
        above = content;
        at += line.len();
    }
    complaints
}

/// Licences that deny.toml accepts, for all crates and for single crates.
#[derive(Debug, Default)]
pub struct Accepted {
    anywhere: Vec<String>,
    by_crate: Vec<(String, Vec<String>)>,
}

impl Accepted {
    /// Reads `allow` and `exceptions` of the table `licenses`.
    pub fn read(deny: &str) -> Self {
        let table = deny.split("[licenses]").nth(1).unwrap_or_default();
        let table = table.split("\n[").next().unwrap_or_default();
        let anywhere = table.split("allow = [").nth(1).and_then(|rest| rest.split("\n]").next()).unwrap_or_default();
        let anywhere = anywhere.lines().filter_map(|line| quoted(line).into_iter().next()).collect();
        let entries = table.lines().flat_map(|line| line.split('{')).filter(|entry| entry.contains("crate = "));
        let by_crate = entries.map(|entry| {
            let mut words = quoted(entry).into_iter();
            (words.next().unwrap_or_default(), words.collect())
        });
        Self { anywhere, by_crate: by_crate.collect() }
    }

    /// Returns `true` if a crate may be used under an SPDX expression (`/` means `OR`, as in older manifests).
    pub fn accepts(&self, name: &str, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let accepted = self.any_of(name, &mut rest);
        accepted && rest.is_empty()
    }

    fn any_of(&self, name: &str, words: &mut &[&str]) -> bool {
        let mut accepted = self.all_of(name, words);
        while let ["OR", rest @ ..] = words {
            *words = rest;
            accepted |= self.all_of(name, words);
        }
        accepted
    }

    fn all_of(&self, name: &str, words: &mut &[&str]) -> bool {
        let mut accepted = self.one(name, words);
        while let ["AND", rest @ ..] = words {
            *words = rest;
            accepted &= self.one(name, words);
        }
        accepted
    }

    fn one(&self, name: &str, words: &mut &[&str]) -> bool {
        match words {
            ["(", rest @ ..] => {
                *words = rest;
                let accepted = self.any_of(name, words);
                *words = words.strip_prefix(&[")"]).unwrap_or(&["an unclosed parenthesis"]);
                accepted
            }
            [licence, "WITH", exception, rest @ ..] => {
                *words = rest;
                self.lists(name, &format!("{licence} WITH {exception}"))
            }
            [licence, rest @ ..] => {
                *words = rest;
                self.lists(name, licence)
            }
            [] => false,
        }
    }

    fn lists(&self, name: &str, licence: &str) -> bool {
        let own = self.by_crate.iter().filter(|(crate_name, _)| crate_name == name).flat_map(|(_, own)| own);
        self.anywhere.iter().chain(own).any(|accepted| accepted == licence)
    }
}

/// Strings of a line, up to its comment.
fn quoted(line: &str) -> Vec<String> {
    let line = line.split('#').next().unwrap_or_default();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_without_a_reason_are_seen() {
        let count = |text: &str| dependency_reasons(&Source::new("Cargo.toml", text)).len();
        assert_eq!(count("[package]\nname = \"x\"\n[dependencies]\n# Why.\na = \"1\"\n"), 0);
        assert_eq!(count("[dependencies]\n# Why.\na = \"1\"\nb = \"2\"\n"), 1);
        assert_eq!(count("[target.'cfg(unix)'.dependencies]\na.version = \"1\"\n[dev-dependencies]\nb = \"1\"\n"), 2);
        assert_eq!(count("[dependencies]\n# Why.\na = { git = \"https://example.test\" }\n# Why.\nb = \"*\"\n"), 2);
    }

    #[test]
    fn licences_are_accepted_as_deny_toml_has_it() {
        let deny = "[licenses]\nallow = [\n    \"MIT\",\n    \"ISC\", # \"GPL\" is not\n]\n\
                    exceptions = [{ crate = \"font\", allow = [\"OFL\"] }]\n[bans]\nallow = [\n    \"Bad\",\n]\n";
        let accepted = Accepted::read(deny);
        for (name, expression, accepts) in [
            ("a", "MIT", true),
            ("a", "GPL", false),
            ("a", "Bad", false),
            ("a", "GPL OR MIT", true),
            ("a", "GPL/ISC", true),
            ("a", "MIT AND GPL", false),
            ("a", "(GPL OR MIT) AND ISC", true),
            ("a", "(GPL OR MIT) AND Bad", false),
            ("a", "MIT WITH exception", false),
            ("a", "Apache-2.0 WITH exception OR ISC", true),
            ("a", "(MIT", false),
            ("a", "", false),
            ("a", "OFL", false),
            ("font", "(MIT OR GPL) AND OFL", true),
        ] {
            assert_eq!(accepted.accepts(name, expression), accepts, "{name}: {expression}");
        }
    }
}

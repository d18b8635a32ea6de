//! Loops of imports between files.
//!
//! A path that begins with `crate`, `super`, `self` or a child module leads to the file that defines the name:
//! re-exports are followed. Imports of a child from its own parents do not count, because a module and its parts are
//! one thing. The loops are the strongly connected components of this graph (R. Tarjan, "Depth-First Search and Linear
//! Graph Algorithms", 1972), found here by reachability, which is fast enough for some hundred files.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, paths};

/// Re-exports of re-exports that are followed.
const DEPTH_MAX: usize = 8;

type Module = Vec<String>;

/// Files of the product by module, with the names that each re-exports.
#[derive(Default)]
struct Files {
    exports: BTreeMap<Module, BTreeMap<String, Module>>,
}

/// Returns one complaint for each loop.
pub fn loops(sources: &[Source]) -> Vec<String> {
    let of_product =
        |source: &&Source| source.path.starts_with("src/") && !source.path.starts_with("src/bin/") && !source.is_test();
    let product: Vec<&Source> = sources.iter().filter(of_product).collect();
    let mut files = Files::default();
    for source in &product {
        files.exports.insert(module(source), BTreeMap::new());
    }
    for source in &product {
        let exports = files.exports_of(source);
        files.exports.insert(module(source), exports);
    }
    let edges: BTreeMap<Module, BTreeSet<Module>> =
        product.iter().map(|source| (module(source), files.imports(source))).collect();
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        edges.keys().map(|from| (from, reachable(&edges, from))).collect();
    let mut found = BTreeSet::new();
    for (from, targets) in &reach {
        if targets.contains(from) {
            let members = targets.iter().filter(|to| reach[**to].contains(from)).map(|to| to.join("/"));
            found.insert(members.collect::<Vec<_>>());
        }
    }
    found
        .into_iter()
        .map(|members| format!("these files import each other in a loop: {}", members.join(", ")))
        .collect()
}

fn module(source: &Source) -> Module {
    let name = source.module();
    if name == "lib" { Vec::new() } else { name.split('/').map(str::to_owned).collect() }
}

fn reachable<'a>(edges: &'a BTreeMap<Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Module> = edges[from].iter().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&edges[next]);
        }
    }
    found
}

impl Files {
    /// Resolves a path to a place in the crate; `None` for names of other crates and local names.
    fn resolve(&self, at: &Module, name: &str) -> Option<Module> {
        let mut parts: Vec<String> = name.split("::").map(str::to_owned).collect();
        let mut base = at.clone();
        match parts[0].as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                while parts.first().is_some_and(|part| part == "super") {
                    base.pop();
                    parts.remove(0);
                }
                return Some([base, parts].concat());
            }
            _ => {
                let child = [base, parts].concat();
                return self.exports.contains_key(&child[..=at.len()]).then_some(child);
            }
        }
        Some([base, parts.split_off(1)].concat())
    }

    /// Finds the file that defines a name; `None` if the path ends at a module itself.
    fn home(&self, mut place: Module) -> Option<Module> {
        for _ in 0..DEPTH_MAX {
            let len = (0..=place.len()).rev().find(|len| self.exports.contains_key(&place[..*len]))?;
            let rest = place.split_off(len);
            let name = rest.first()?;
            match self.exports[&place].get(name) {
                Some(target) => place = [target, &rest[1..]].concat(),
                None => return (rest.len() > 1 || name != "self").then_some(place),
            }
        }
        None
    }

    fn exports_of(&self, source: &Source) -> BTreeMap<String, Module> {
        let code = source.product_code();
        let uses = code.match_indices("use ").filter(|(at, _)| {
            let line = code[..*at].rsplit(['\n', ';', '}']).next().unwrap_or_default().trim();
            line == "pub" || (line.starts_with("pub(") && line.ends_with(')'))
        });
        let ranges: Vec<_> = uses.map(|(at, _)| at..at + code[at..].find(';').unwrap_or(0)).collect();
        let mut exports = BTreeMap::new();
        for path in paths(&code).iter().filter(|path| ranges.iter().any(|range| range.contains(&path.at))) {
            let written = code[path.at..].split([',', ';', '}']).next().unwrap_or_default();
            let alias = written.split_once(" as ").map(|(_, alias)| alias.trim());
            let name = alias.or_else(|| path.name.rsplit("::").next()).unwrap_or_default();
            exports.extend(self.resolve(&module(source), &path.name).map(|target| (name.to_owned(), target)));
        }
        exports
    }

    fn imports(&self, source: &Source) -> BTreeSet<Module> {
        let at = module(source);
        let places = paths(&source.product_code()).into_iter().filter(|path| path.name.contains("::"));
        let homes = places.filter_map(|path| self.home(self.resolve(&at, &path.name)?));
        homes.filter(|home| !at.starts_with(home)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(files: &[(&str, &str)]) -> usize {
        loops(&files.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>()).len()
    }

    #[test]
    fn files_that_import_each_other_are_a_loop() {
        assert_eq!(count(&[("src/a.rs", "use crate::b::B;"), ("src/b.rs", "use crate::a::A;")]), 1);
        assert_eq!(count(&[("src/a.rs", "use crate::b::B;"), ("src/b.rs", "use crate::c::C;"), ("src/c.rs", "")]), 0);
        let three =
            [("src/a.rs", "use crate::b::B;"), ("src/b.rs", "use crate::c::C;"), ("src/c.rs", "crate::a::f();")];
        assert_eq!(count(&three), 1);
    }

    #[test]
    fn what_a_child_takes_from_its_parents_does_not_count() {
        assert_eq!(count(&[("src/a.rs", "use child::C;"), ("src/a/child.rs", "use super::A;")]), 0);
        let siblings = [("src/a.rs", ""), ("src/a/b.rs", "use super::c::C;"), ("src/a/c.rs", "use super::b::B;")];
        assert_eq!(count(&siblings), 1);
    }

    #[test]
    fn a_re_export_leads_to_the_file_that_defines_the_name() {
        let files = [
            ("src/a.rs", "mod b; pub use b::B; pub(crate) use c::{C as D};"),
            ("src/a/b.rs", "use crate::e::E;"),
            ("src/a/c.rs", ""),
            ("src/e.rs", "use crate::a::B;"),
        ];
        assert_eq!(count(&files), 1);
        let harmless = [files[0], files[1], files[2], ("src/e.rs", "use crate::a::D;")];
        assert_eq!(count(&harmless), 0);
    }

    #[test]
    fn test_code_is_left_out() {
        let tested = "use crate::b::B;\n#[cfg(test)]\nmod tests { }";
        let other = "#[cfg(test)]\nmod tests { use crate::a::A; }";
        assert_eq!(count(&[("src/a.rs", tested), ("src/b.rs", other)]), 0);
    }
}

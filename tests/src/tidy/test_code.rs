//! Which lines of a file, and which files, are compiled for tests only.

use std::iter::Peekable;
use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree, token_stream::IntoIter};
use syn::punctuated::Punctuated;
use syn::{Meta, Token};

/// The test code of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct TestCode {
    /// The whole file is test code.
    whole_file: bool,
    /// Lines of items marked `#[test]` or `#[cfg(test)]`.
    lines: Vec<RangeInclusive<usize>>,
    /// Paths without `.rs` of the modules that `#[cfg(test)] mod name;` declares.
    modules: Vec<String>,
}

impl TestCode {
    /// Finds the test code of the file with this path and content.
    pub(super) fn of(path: &str, stream: TokenStream) -> Self {
        let mut found = Self { whole_file: is_test_path(path), ..Self::default() };
        scan(stream, &modules_folder(path), &mut found);
        found
    }

    pub(super) fn contains(&self, line: usize) -> bool {
        self.whole_file || self.lines.iter().any(|lines| lines.contains(&line))
    }

    /// Whether this file declares the file with the given path, or one of its parents, as a test.
    pub(super) fn declares(&self, path: &str) -> bool {
        self.modules.iter().any(|module| {
            path.strip_prefix(module.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    }

    pub(super) fn mark_whole_file(&mut self) {
        self.whole_file = true;
    }
}

/// Integration tests and benchmarks, of a member or at the top.
fn is_test_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["crates", _, folder, ..] => ["tests", "benches"].contains(folder),
        [top, ..] => ["tests", "benches"].contains(top),
        [] => false,
    }
}

/// The folder with the files of the modules that a file declares, with `/` at its end.
fn modules_folder(path: &str) -> String {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    match name {
        "lib" | "main" | "mod" => format!("{folder}/"),
        _ => format!("{stem}/"),
    }
}

fn scan(stream: TokenStream, folder: &str, found: &mut TestCode) {
    let mut trees = stream.into_iter().peekable();
    let mut previous_was_hash = false;
    while let Some(tree) = trees.next() {
        match &tree {
            TokenTree::Group(group) if previous_was_hash && marks_a_test(group) => {
                let first = group.span_open().start().line;
                let last = skip_item(&mut trees, folder, found).unwrap_or(first);
                found.lines.push(first..=last);
            }
            TokenTree::Group(group) => scan(group.stream(), folder, found),
            _ => {}
        }
        previous_was_hash = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '#');
    }
}

/// Steps over the item behind an attribute: to its block, or to its semicolon. Its last line.
fn skip_item(trees: &mut Peekable<IntoIter>, folder: &str, found: &mut TestCode) -> Option<usize> {
    let mut last = None;
    let mut previous = [None, None];
    for tree in trees.by_ref() {
        last = Some(tree.span().end().line);
        match &tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                if let [Some(keyword), Some(name)] = &previous
                    && keyword == "mod"
                {
                    found.modules.push(format!("{folder}{name}"));
                }
                break;
            }
            _ => {}
        }
        previous = [previous[1].take(), Some(tree.to_string())];
    }
    last
}

/// Whether an attribute, given by its brackets, is `test`, `x::test`, or a `cfg` that needs `test`.
fn marks_a_test(attribute: &Group) -> bool {
    if attribute.delimiter() != Delimiter::Bracket {
        return false;
    }
    match syn::parse2::<Meta>(attribute.stream()) {
        Ok(Meta::Path(path)) => path.segments.last().is_some_and(|last| last.ident == "test"),
        Ok(Meta::List(list)) if list.path.is_ident("cfg") => {
            syn::parse2::<Meta>(list.tokens).is_ok_and(|predicate| needs_test(&predicate))
        }
        _ => false,
    }
}

/// Whether a `cfg` predicate can only hold in a test build.
fn needs_test(predicate: &Meta) -> bool {
    match predicate {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => {
            let inner = list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .unwrap_or_default();
            let all = list.path.is_ident("all") && inner.iter().any(needs_test);
            let any = list.path.is_ident("any") && inner.iter().all(needs_test);
            all || (any && !inner.is_empty())
        }
        Meta::NameValue(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn check(code: &str, expected: &[usize]) {
        let stream = TokenStream::from_str(code).expect("test code is valid tokens");
        let test_code = TestCode::of("crates/a/src/b.rs", stream);
        let lines: Vec<usize> =
            (1..=code.lines().count()).filter(|line| test_code.contains(*line)).collect();
        assert_eq!(lines, expected, "{code}");
    }

    #[test]
    fn knows_the_lines_of_test_items() {
        check("fn a() {}\n#[cfg(test)]\nmod tests {\n}\nfn b() {}", &[2, 3, 4]);
        check("#[test]\n#[should_panic]\nfn a() {\n}\nfn b() {}", &[1, 2, 3, 4]);
        check("mod m {\n#[cfg(all(unix, test))]\nuse a::b;\nfn c() {}\n}", &[2, 3]);
        check("impl A {\n#[cfg(test)]\npub fn a() -> u64 {\n1\n}\nfn b() {}\n}", &[2, 3, 4, 5]);
    }

    #[test]
    fn code_that_also_runs_in_production_is_no_test_code() {
        check("#[cfg(not(test))]\nfn a() {}", &[]);
        check("#[cfg(any(test, feature = \"x\"))]\nfn a() {}", &[]);
        check("#[cfg(feature = \"test\")]\nfn a() {}", &[]);
        check("#[inline]\nfn test() {}", &[]);
    }

    #[test]
    fn follows_test_modules_into_their_files() {
        let declares = |parent: &str, child: &str| {
            let stream = TokenStream::from_str("#[cfg(test)] pub(crate) mod checks; mod other;");
            let stream = stream.expect("test code is valid tokens");
            TestCode::of(parent, stream).declares(child)
        };
        assert!(declares("crates/a/src/lib.rs", "crates/a/src/checks.rs"));
        assert!(declares("crates/a/src/lib.rs", "crates/a/src/checks/deep.rs"));
        assert!(declares("crates/a/src/b.rs", "crates/a/src/b/checks.rs"));
        assert!(declares("crates/a/src/b/mod.rs", "crates/a/src/b/checks/mod.rs"));
        assert!(!declares("crates/a/src/lib.rs", "crates/a/src/other.rs"));
        assert!(!declares("crates/a/src/lib.rs", "crates/a/src/checks_more.rs"));
    }

    #[test]
    fn knows_the_folders_of_tests() {
        assert!(is_test_path("crates/a/tests/b.rs"));
        assert!(is_test_path("benches/src/lib.rs"));
        assert!(is_test_path("tests/tests/tidy.rs"));
        assert!(!is_test_path("crates/a/src/tests.rs"));
        assert!(!is_test_path("examples/src/lib.rs"));
    }
}

//! Calls, types and attributes that the code may not use.

use syn::visit::{self, Visit};
use syn::{ItemUse, UseTree};

use super::project::{Project, Violation};
use super::rust_file::RustFile;
use super::tokens::{Pattern, Token};

/// Finds what would make the consensus core or the state machine depend on anything but its
/// inputs: clocks, threads, random numbers, hash order, environment, files, sockets, output.
///
/// Test code is free to use them.
#[must_use]
pub fn pure_core_calls(project: &Project) -> Vec<Violation> {
    let (files, mut violations) = project.parsed();
    let patterns: Vec<(Pattern, String)> = IMPURE
        .iter()
        .map(|(code, effect)| {
            (Pattern::new(code), format!("`{code}` ({effect}) is banned in the core and in mvcc"))
        })
        .collect();
    for file in files.iter().filter(|file| file.is_below(&PURE_PATHS)) {
        let mut found = Vec::new();
        for (pattern, rule) in &patterns {
            let lines = lines_with(pattern, file);
            let lines = lines.into_iter().filter(|line| !file.test_code.contains(*line));
            found.extend(lines.map(|line| file.violation(line, rule)));
        }
        violations.append(&mut found);
    }
    violations.sort();
    violations.dedup();
    violations
}

/// Finds what no code of the project may use: unfinished code, ignored tests, silenced warnings,
/// panicking shortcuts outside tests, and output from the library's crates.
#[must_use]
pub fn forbidden_calls(project: &Project) -> Vec<Violation> {
    let (files, mut violations) = project.parsed();
    for file in &files {
        for forbidden in &FORBIDDEN {
            if !file.is_below(forbidden.folders) {
                continue;
            }
            let rule = format!("`{}` is banned: {}", forbidden.code, forbidden.instead);
            let lines = Pattern::new(forbidden.code).lines_in(&file.tokens);
            let counts = |line: &usize| forbidden.in_tests || !file.test_code.contains(*line);
            let lines = lines.into_iter().filter(counts);
            violations.extend(lines.map(|line| file.violation(line, &rule)));
        }
        for (word, instead) in FORBIDDEN_ATTRIBUTES {
            let lines = attribute_lines(word, &file.tokens);
            let rule = format!("`#[{word}]` is banned: {instead}");
            violations.extend(lines.into_iter().map(|line| file.violation(line, &rule)));
        }
    }
    violations.sort();
    violations
}

/// A piece of code that is banned in some folders.
struct Forbidden {
    code: &'static str,
    folders: &'static [&'static str],
    in_tests: bool,
    instead: &'static str,
}

/// The lines of a file with a pattern, in its code or in an import such as `use std::{fs, io};`.
fn lines_with(pattern: &Pattern, file: &RustFile<'_>) -> Vec<usize> {
    let mut lines = pattern.lines_in(&file.tokens);
    let mut imports = Imports::default();
    imports.visit_file(&file.syntax);
    for import in &imports.found {
        lines.extend(pattern.lines_in(import));
    }
    lines
}

/// Collects every imported path in full.
#[derive(Default)]
struct Imports {
    found: Vec<Vec<Token>>,
}

impl Imports {
    fn add(&mut self, tree: &UseTree, prefix: &[Token]) {
        let mut path = prefix.to_vec();
        match tree {
            UseTree::Path(part) => {
                push_part(&mut path, &part.ident);
                for _ in 0..2 {
                    path.push(token(":", part.ident.span().start().line));
                }
                self.add(&part.tree, &path);
                return;
            }
            UseTree::Group(group) => {
                for inner in &group.items {
                    self.add(inner, prefix);
                }
                return;
            }
            UseTree::Name(name) => push_part(&mut path, &name.ident),
            UseTree::Rename(rename) => push_part(&mut path, &rename.ident),
            UseTree::Glob(glob) => {
                path.push(token("*", glob.star_token.spans[0].start().line));
            }
        }
        // A multi-line import is reported where the last part of the path stands.
        let line = path.last().map_or(1, |last| last.line);
        path.iter_mut().for_each(|token| token.line = line);
        self.found.push(path);
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        self.add(&import.tree, &[]);
        visit::visit_item_use(self, import);
    }
}

fn push_part(path: &mut Vec<Token>, part: &syn::Ident) {
    path.push(token(&part.to_string(), part.span().start().line));
}

fn token(text: &str, line: usize) -> Token {
    Token { text: text.to_owned(), line }
}

/// The lines on which an attribute begins with a word, or applies it through `cfg_attr`.
fn attribute_lines(word: &str, tokens: &[Token]) -> Vec<usize> {
    let mut lines = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let rest = tokens[index + 1..].iter().map(|token| token.text.as_str());
        let mut rest = rest.skip_while(|text| *text == "!");
        if token.text != "#" || rest.next() != Some("[") {
            continue;
        }
        let first = rest.next();
        let applies = first == Some(word)
            || (first == Some("cfg_attr")
                && rest.take_while(|text| *text != "]").any(|text| text == word));
        if applies {
            lines.push(token.line);
        }
    }
    lines
}

const PURE_PATHS: [&str; 3] =
    ["crates/raft-node/src/core/", "crates/raft-node/src/core.rs", "crates/mvcc/src/"];

const IMPURE: [(&str, &str); 26] = [
    ("Instant::now", "clock"),
    ("SystemTime", "clock"),
    ("std::time::Instant", "clock"),
    ("std::time::*", "clock"),
    ("std::thread", "thread"),
    ("thread::", "thread"),
    ("thread_local!", "thread"),
    ("rand::", "random number"),
    ("random()", "random number"),
    ("random::<", "random number"),
    ("thread_rng", "random number"),
    ("getrandom", "random number"),
    ("HashMap", "hash order"),
    ("HashSet", "hash order"),
    ("RandomState", "hash order"),
    ("std::collections::*", "hash order"),
    ("std::env", "environment"),
    ("env::", "environment"),
    ("std::fs", "file"),
    ("fs::", "file"),
    ("std::net", "socket"),
    ("std::*", "anything"),
    ("println!", "output"),
    ("eprintln!", "output"),
    ("print!", "output"),
    ("eprint!", "output"),
];

const EVERYWHERE: &[&str] = &["crates/", "examples/", "tests/", "benches/"];
const LIBRARY: &[&str] = &["crates/"];
const RETURN_IT: &str = "a library writes to nobody's terminal; return or record it";
const FINISH_IT: &str = "unfinished code is not committed";

const FORBIDDEN: [Forbidden; 8] = [
    Forbidden { code: "todo!", folders: EVERYWHERE, in_tests: true, instead: FINISH_IT },
    Forbidden { code: "unimplemented!", folders: EVERYWHERE, in_tests: true, instead: FINISH_IT },
    Forbidden {
        code: ".unwrap()",
        folders: EVERYWHERE,
        in_tests: false,
        instead: "return an error, or `expect` with the reason why it holds",
    },
    Forbidden { code: "println!", folders: LIBRARY, in_tests: true, instead: RETURN_IT },
    Forbidden { code: "print!", folders: LIBRARY, in_tests: true, instead: RETURN_IT },
    Forbidden { code: "dbg!", folders: EVERYWHERE, in_tests: true, instead: FINISH_IT },
    Forbidden { code: "eprintln!", folders: LIBRARY, in_tests: false, instead: RETURN_IT },
    Forbidden { code: "eprint!", folders: LIBRARY, in_tests: false, instead: RETURN_IT },
];

const FORBIDDEN_ATTRIBUTES: [(&str, &str); 2] = [
    ("ignore", "a test that does not run proves nothing"),
    ("allow", "mend the cause, or say `#[expect(…, reason = \"…\")]`"),
];

#[cfg(test)]
mod tests {
    use super::super::SourceFile;
    use super::*;

    type Rule = fn(&Project) -> Vec<Violation>;

    const CORE: &str = "crates/raft-node/src/core/node.rs";

    /// The lines a rule complains about; `expected` is a word that each complaint holds.
    fn check(rule: Rule, path: &str, text: &str, lines: &[usize], expected: &str) {
        let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
        let found = rule(&Project::from_files(vec![file]));
        let found_lines: Vec<usize> = found.iter().map(|violation| violation.line).collect();
        assert_eq!(found_lines, lines, "{text}: {found:?}");
        assert!(found.iter().all(|found| found.rule.contains(expected)), "{text}: {found:?}");
    }

    #[test]
    fn each_effect_is_banned_in_the_core() {
        let check = |text: &str, effect: &str| check(pure_core_calls, CORE, text, &[2], effect);
        check("fn f() {\nlet now = Instant::now(); }", "clock");
        check("fn f(\nat: SystemTime) {}", "clock");
        check("\nuse std::time::{Duration, Instant};", "clock");
        check("\nuse std::time::Instant as Clock;", "clock");
        check("fn f() {\nthread::sleep(a); }", "thread");
        check("\nuse std::thread;", "thread");
        check("\nuse rand::Rng;", "random number");
        check("fn f() {\nlet a: u64 = random(); }", "random number");
        check("fn f() {\nlet a = random::<u64>(); }", "random number");
        check("\nuse std::collections::HashMap;", "hash order");
        check("\nuse std::collections::{BTreeMap, hash_map::RandomState};", "hash order");
        check("\nuse std::collections::*;", "hash order");
        check("struct A {\nb: HashSet<u64> }", "hash order");
        check("\nuse std::env;", "environment");
        check("\nuse std::fs;", "file");
        check("\nuse std::net::SocketAddr;", "socket");
        check("fn f() {\nprintln!(\"a\"); }", "output");
        check("fn f() { vec![\neprintln!(\"a\")]; }", "output");
    }

    #[test]
    fn an_import_over_several_lines_is_reported_at_its_part() {
        let text = "use std::{\n    collections::BTreeMap,\n    fs,\n};\n";
        check(pure_core_calls, CORE, text, &[3], "file");
    }

    #[test]
    fn every_pure_file_is_checked_and_no_other() {
        let check = |path: &str, lines: &[usize]| {
            check(pure_core_calls, path, "use std::net::SocketAddr;", lines, "socket");
        };
        check("crates/mvcc/src/lib.rs", &[1]);
        check("crates/mvcc/src/watch/group.rs", &[1]);
        check("crates/raft-node/src/core.rs", &[1]);
        check("crates/raft-node/src/core/read.rs", &[1]);
        check("crates/raft-node/src/driver/consensus.rs", &[]);
        check("crates/mvcc/tests/long.rs", &[]);
    }

    #[test]
    fn pure_code_and_tests_pass() {
        let check = |text: &str| check(pure_core_calls, CORE, text, &[], "");
        check("use std::collections::BTreeMap;\nuse std::time::Duration;\n");
        check("use quorate_types::Instant;\nfn f(now: Instant) -> Instant { now }\n");
        check("mod random;\nuse random::Seeded;\nstruct A { random: Seeded }\n");
        check("/// Never calls `Instant::now()`.\nfn f() { a(\"HashMap\"); } // std::fs\n");
        check("#[cfg(test)]\nmod tests {\nuse std::collections::HashMap;\n}\n");
    }

    #[test]
    fn a_test_module_in_its_own_file_is_test_code() {
        let files = [
            (CORE, "#[cfg(test)]\nmod tests;\nmod more;\n"),
            ("crates/raft-node/src/core/node/tests.rs", "use std::thread;"),
            ("crates/raft-node/src/core/node/more.rs", "use std::thread;"),
        ];
        let files =
            files.map(|(path, text)| SourceFile { path: path.to_owned(), text: text.to_owned() });
        let found = pure_core_calls(&Project::from_files(files.to_vec()));
        let paths: Vec<&str> = found.iter().map(|violation| violation.path.as_str()).collect();
        assert_eq!(paths, ["crates/raft-node/src/core/node/more.rs"]);
    }

    #[test]
    fn unfinished_and_careless_code_is_banned() {
        let check = |text: &str, lines: &[usize], word: &str| {
            check(forbidden_calls, "crates/quorate/src/node.rs", text, lines, word);
        };
        check("fn f() {\ntodo!() }", &[2], "`todo!`");
        check("fn f() {\nunimplemented!(\"later\") }", &[2], "`unimplemented!`");
        check("fn f() {\na\n.unwrap(); }", &[3], "`.unwrap()`");
        check("fn f() {\nprintln!(\"a\") }", &[2], "`println!`");
        check("fn f() {\neprintln!(\"a\") }", &[2], "`eprintln!`");
        check("fn f() {\ndbg!(a); }", &[2], "`dbg!`");
        check("#![allow(missing_docs)]", &[1], "`#[allow]`");
        check("\n#[allow(dead_code)]\nfn f() {}", &[2], "`#[allow]`");
        check("\n#[cfg_attr(unix, allow(dead_code))]\nfn f() {}", &[2], "`#[allow]`");
        check("#[test]\n#[ignore]\nfn f() {}", &[2], "`#[ignore]`");
        check("#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[2], "`#[ignore]`");
    }

    #[test]
    fn only_tests_may_unwrap_and_only_programs_may_print() {
        let check = |path: &str, text: &str, lines: &[usize]| {
            check(forbidden_calls, path, text, lines, "");
        };
        check("crates/types/src/ids.rs", "#[test]\nfn f() { a.unwrap(); }", &[]);
        check("crates/types/src/ids.rs", "#[test]\nfn f() { println!(); }", &[2]);
        check("tests/tests/cluster.rs", "fn f() { a.unwrap(); println!(); }", &[]);
        check("examples/cluster.rs", "fn main() { println!(); }", &[]);
        check("examples/cluster.rs", "fn main() { a.unwrap(); }", &[1]);
        check("benches/src/lib.rs", "fn f() { todo!(); }", &[1]);
    }

    #[test]
    fn expectations_and_harmless_words_pass() {
        let text = "#[expect(dead_code, reason = \"x\")]\nfn f(ignore: u64) { allow(ignore); }";
        check(forbidden_calls, "crates/types/src/ids.rs", text, &[], "");
    }
}

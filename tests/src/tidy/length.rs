//! How long functions, files and lines may be.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Macro, Signature, TraitItemFn};

use super::project::{Project, Violation};

/// Finds the functions that do not fit on a screen.
///
/// A function's length goes from its `fn` to its closing brace, both included; documentation and
/// attributes do not count, nested functions and closures do.
#[must_use]
pub fn function_lengths(project: &Project) -> Vec<Violation> {
    let (files, mut violations) = project.parsed();
    for file in files {
        let mut functions = Functions::default();
        functions.visit_file(&file.syntax);
        for function in functions.found {
            let lines = function.last - function.first + 1;
            if lines > FUNCTION_LINES_MAX {
                let name = function.name;
                violations.push(file.violation(
                    function.first,
                    &format!("function `{name}` has {lines} lines, limit {FUNCTION_LINES_MAX}"),
                ));
            }
        }
    }
    violations
}

/// Finds the Rust files that should be split by subject.
#[must_use]
pub fn file_lengths(project: &Project) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in project.rust_sources() {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            let rule = format!("file has {lines} lines, limit {FILE_LINES_MAX}");
            violations.push(Violation::new(&file.path, FILE_LINES_MAX + 1, rule));
        }
    }
    violations
}

/// Finds the lines of Rust files that are too wide, comments and strings included.
#[must_use]
pub fn line_widths(project: &Project) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in project.rust_sources() {
        for (index, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                let rule = format!("line has {columns} columns, limit {COLUMNS_MAX}");
                violations.push(Violation::new(&file.path, index + 1, rule));
            }
        }
    }
    violations
}

struct Function {
    name: String,
    first: usize,
    last: usize,
}

/// Collects the functions of a file, those inside macro calls included.
#[derive(Default)]
struct Functions {
    found: Vec<Function>,
}

impl Functions {
    fn add(&mut self, signature: &Signature, block: &Block) {
        self.found.push(Function {
            name: signature.ident.to_string(),
            first: signature.fn_token.span.start().line,
            last: block.brace_token.span.close().end().line,
        });
    }

    /// Finds functions in the tokens of a macro call, such as `proptest! { fn … }`.
    fn add_from_tokens(&mut self, stream: TokenStream) {
        let mut open: Option<(usize, String)> = None;
        let mut previous_fn_line = None;
        for tree in stream {
            let line = tree.span().start().line;
            if let (Some(first), TokenTree::Ident(name)) = (previous_fn_line, &tree) {
                open = Some((first, name.to_string()));
            }
            previous_fn_line = None;
            match tree {
                TokenTree::Ident(word) if word == "fn" => previous_fn_line = Some(line),
                TokenTree::Punct(punct) if punct.as_char() == ';' => open = None,
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Brace
                        && let Some((first, name)) = open.take()
                    {
                        let last = group.span_close().end().line;
                        self.found.push(Function { name, first, last });
                    }
                    self.add_from_tokens(group.stream());
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.add_from_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::SourceFile;
    use super::*;

    fn project(path: &str, text: String) -> Project {
        Project::from_files(vec![SourceFile { path: path.to_owned(), text }])
    }

    /// Checks a function of exactly the limit, which passes, and one line more, which does not.
    /// `before` ends where the lines of the body begin.
    fn check_function(before: &str, after: &str, name: &str, first: usize) {
        let lines_around = before.lines().skip(first - 1).count() + 1;
        let at_limit = "a();\n".repeat(FUNCTION_LINES_MAX - lines_around);
        let passing = project("crates/a/src/b.rs", format!("{before}{at_limit}{after}"));
        assert_eq!(function_lengths(&passing), [], "{before}");
        let failing = project("crates/a/src/b.rs", format!("{before}{at_limit}a();\n{after}"));
        let found: Vec<String> =
            function_lengths(&failing).iter().map(ToString::to_string).collect();
        let rule = format!("function `{name}` has 71 lines, limit 70");
        assert_eq!(found, [format!("crates/a/src/b.rs:{first}: {rule}")]);
    }

    #[test]
    fn functions_of_every_kind_are_measured() {
        check_function("fn f() {\n", "}\n", "f", 1);
        check_function("/// Docs.\n#[inline]\npub const unsafe fn f(\n) {\n", "}\n", "f", 3);
        check_function("impl A {\nfn g(&self) {\n", "}\n}\n", "g", 2);
        check_function("trait A {\nfn g(&self) {\n", "}\n}\n", "g", 2);
        check_function("mod tests {\n#[test]\nfn g() {\n", "}\n}\n", "g", 3);
        check_function("proptest! {\n#[test]\nfn g(a in 0..1u64) {\n", "}\n}\n", "g", 3);
    }

    #[test]
    fn a_long_nested_function_counts_for_itself_and_for_the_one_around_it() {
        let body = "a();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("fn outer() {{\nfn inner() {{\n{body}}}\n}}\n");
        let found = function_lengths(&project("crates/a/src/b.rs", text));
        let lines: Vec<usize> = found.iter().map(|violation| violation.line).collect();
        assert_eq!(lines, [1, 2]);
    }

    #[test]
    fn a_file_may_have_600_lines_and_no_more() {
        let lines = |count: usize| project("tests/a.rs", "// x\n".repeat(count));
        assert_eq!(file_lengths(&lines(600)), []);
        let found = file_lengths(&lines(601));
        assert_eq!(found[0].to_string(), "tests/a.rs:601: file has 601 lines, limit 600");
    }

    #[test]
    fn a_line_may_have_100_columns_and_no_more_counted_in_characters() {
        let line = |count: usize| project("benches/a.rs", format!("\n//{}\n", "é".repeat(count)));
        assert_eq!(line_widths(&line(98)), []);
        let found = line_widths(&line(99));
        assert_eq!(found[0].to_string(), "benches/a.rs:2: line has 101 columns, limit 100");
    }

    #[test]
    fn files_outside_the_members_are_not_measured() {
        assert_eq!(file_lengths(&project("docs/a.rs", "// x\n".repeat(601))), []);
        assert_eq!(file_lengths(&project("crates/a.md", "x\n".repeat(601))), []);
    }
}

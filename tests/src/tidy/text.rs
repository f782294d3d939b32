//! What the text files may say.

use super::project::{Project, Violation};

/// Finds traces of the machine or tracker a file was written on: absolute paths of a developer's
/// machine, and references to a tracker that a reader cannot open.
#[must_use]
pub fn machine_paths(project: &Project) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in project.files() {
        for (index, line) in file.text.lines().enumerate() {
            let mut fail = |rule: String| {
                violations.push(Violation::new(&file.path, index + 1, rule));
            };
            for root in MACHINE_ROOTS {
                if begins_a_path(line, root) {
                    fail(format!("`{root}` is a path of one machine"));
                }
            }
            if line.to_lowercase().contains(TRACKER) {
                fail(format!("`{TRACKER}` names a tracker; say what it is about instead"));
            }
        }
    }
    violations
}

/// Finds libraries whose `lib.rs` does not begin with the crate's documentation.
#[must_use]
pub fn crate_docs(project: &Project) -> Vec<Violation> {
    let is_library = |path: &str| path.starts_with("crates/") && path.ends_with("/src/lib.rs");
    project
        .files()
        .iter()
        .filter(|file| is_library(&file.path) && !file.text.starts_with("//!"))
        .map(|file| Violation::new(&file.path, 1, "must begin with `//!` documentation".to_owned()))
        .collect()
}

/// Whether a line holds `root` where a path begins, followed by a name.
fn begins_a_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + root.len()..].chars().next();
        let is_part = |c: char| c.is_alphanumeric() || "_-.})/*~".contains(c);
        !before.is_some_and(is_part) && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
    })
}

// Written in parts so that this file passes its own rule.
const MACHINE_ROOTS: [&str; 4] =
    [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/"), concat!("/", "Users/")];
const TRACKER: &str = concat!("issue", " #");

#[cfg(test)]
mod tests {
    use super::super::SourceFile;
    use super::*;

    fn check(path: &str, text: &str, lines: &[usize]) {
        let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
        let found = machine_paths(&Project::from_files(vec![file]));
        let found: Vec<usize> = found.iter().map(|violation| violation.line).collect();
        assert_eq!(found, lines, "{text}");
    }

    #[test]
    fn paths_of_a_machine_are_found_in_every_kind_of_file() {
        for (index, root) in MACHINE_ROOTS.iter().enumerate() {
            let path = ["docs/a.md", "Cargo.toml", ".ci/run", "crates/a/src/lib.rs"][index];
            check(path, &format!("x\ncd {root}quorate\n"), &[2]);
            check(path, &format!("\"{root}.cargo\""), &[1]);
        }
    }

    #[test]
    fn other_paths_pass() {
        check("docs/a.md", &format!("../..{}x and $HOME/x", MACHINE_ROOTS[0]), &[]);
        check("docs/a.md", &format!("a key /prod{}x", MACHINE_ROOTS[0]), &[]);
        check("docs/a.md", "/etc/quorate/tls.pem", &[]);
    }

    #[test]
    fn references_to_a_tracker_are_found() {
        check("docs/a.md", &format!("see {}12", TRACKER.to_uppercase()), &[1]);
        check("docs/a.md", "a Raft session, an issue of etcd's", &[]);
    }

    #[test]
    fn a_library_begins_with_its_documentation() {
        let lines = |path: &str, text: &str| {
            let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
            crate_docs(&Project::from_files(vec![file])).len()
        };
        assert_eq!(lines("crates/a/src/lib.rs", "//! What it is.\n"), 0);
        assert_eq!(lines("crates/a/src/lib.rs", "\n//! What it is.\n"), 1);
        assert_eq!(lines("crates/a/src/lib.rs", "pub mod a;\n"), 1);
        assert_eq!(lines("crates/a/src/other.rs", "pub mod a;\n"), 0);
    }
}

//! The files the rules look at, and the violations they return.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::rust_file::RustFile;

/// One text file of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path below the project's root, with `/` between its parts.
    pub path: String,
    /// The whole content.
    pub text: String,
}

/// One broken rule at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Path below the project's root.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// The rule, and what broke it.
    pub rule: String,
}

/// The text files of the project, read once.
#[derive(Clone, Debug)]
pub struct Project {
    files: Vec<SourceFile>,
}

impl Project {
    /// Reads the Rust, Markdown, TOML, shell and Python files below `root`.
    ///
    /// Leaves out `.git`, build output (`target`) and links.
    ///
    /// # Errors
    ///
    /// A folder or file that cannot be read, or a file that is not UTF-8; the path is named.
    pub fn load(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        read_folder(root, "", &mut files)?;
        Ok(Self::from_files(files))
    }

    /// A project of the given files: for tests of the rules.
    #[must_use]
    pub fn from_files(mut files: Vec<SourceFile>) -> Self {
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Self { files }
    }

    /// All files, in order of their paths.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The Rust files of the workspace members.
    pub fn rust_sources(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| {
            file.path.ends_with(".rs")
                && MEMBER_FOLDERS.iter().any(|folder| file.path.starts_with(folder))
        })
    }

    /// The Rust files of the workspace members, parsed, with a violation for each that does not
    /// parse.
    pub(super) fn parsed(&self) -> (Vec<RustFile<'_>>, Vec<Violation>) {
        let mut parsed = Vec::new();
        let mut violations = Vec::new();
        for file in self.rust_sources() {
            match RustFile::parse(file) {
                Ok(rust_file) => parsed.push(rust_file),
                Err(violation) => violations.push(violation),
            }
        }
        let declared: Vec<bool> = parsed
            .iter()
            .map(|file| parsed.iter().any(|by| by.test_code.declares(&file.source.path)))
            .collect();
        for (file, _) in parsed.iter_mut().zip(declared).filter(|(_, declared)| *declared) {
            file.test_code.mark_whole_file();
        }
        (parsed, violations)
    }
}

impl Violation {
    pub(super) fn new(path: &str, line: usize, rule: String) -> Self {
        Self { path: path.to_owned(), line, rule }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| at(prefix, error))? {
        let entry = entry.map_err(|error| at(prefix, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(|error| at(&path, error))?;
        if kind.is_dir() && !FOLDERS_LEFT_OUT.contains(&name.as_str()) {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && is_project_text(&path) {
            let text = fs::read_to_string(entry.path()).map_err(|error| at(&path, error))?;
            files.push(SourceFile { path, text });
        }
    }
    Ok(())
}

fn is_project_text(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) || path.starts_with(".ci/")
}

fn at(path: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

const EXTENSIONS: [&str; 5] = ["rs", "md", "toml", "sh", "py"];
const FOLDERS_LEFT_OUT: [&str; 2] = [".git", "target"];
const MEMBER_FOLDERS: [&str; 4] = ["crates/", "examples/", "tests/", "benches/"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_this_file_and_its_manifest_but_no_build_output() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let project = Project::load(&root).expect("the checkout is readable");
        let has = |path: &str| project.files().iter().any(|file| file.path == path);
        assert!(has("tests/src/tidy/project.rs"));
        assert!(has("tests/Cargo.toml"));
        assert!(project.files().iter().all(|file| !file.path.starts_with("target/")));
        assert!(project.rust_sources().all(|file| file.path.ends_with(".rs")));
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error_and_not_an_empty_project() {
        let missing = Path::new(env!("CARGO_MANIFEST_DIR")).join("no-such-folder");
        assert!(Project::load(&missing).is_err());
    }

    #[test]
    fn a_violation_reads_as_file_line_and_rule() {
        let violation = Violation::new("crates/types/src/lib.rs", 7, "too long".to_owned());
        assert_eq!(violation.to_string(), "crates/types/src/lib.rs:7: too long");
    }
}

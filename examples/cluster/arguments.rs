//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// What the caller asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Explain the command line.
    Help,
    /// Do the run.
    Load(Arguments),
}

/// What the run is to use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Where the entries come from.
    pub(crate) source: Source,
    /// A folder to be kept, or `None` for a temporary one.
    pub(crate) data: Option<PathBuf>,
    /// Whether the members talk over TCP.
    pub(crate) tcp: bool,
}

/// Where the entries come from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard input.
    Standard,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// The file that comes with the examples.
    fn shipped() -> Self {
        Self::File(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/config-entries.txt"))
    }

    /// What to call it. A path below the working folder is shortened to what leads there from it.
    pub(crate) fn name(&self) -> String {
        let Self::File(path) = self else { return "standard input".to_owned() };
        let here = std::env::current_dir().unwrap_or_default();
        path.strip_prefix(here).unwrap_or(path).display().to_string()
    }
}

/// Reads the command line, without the program's name.
///
/// # Errors
///
/// [`Failure::Usage`].
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, Failure> {
    let arguments: Vec<OsString> = arguments.collect();
    let options = arguments.iter().take_while(|argument| *argument != "--");
    if options.into_iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(Request::Help);
    }
    let mut rest = arguments.into_iter();
    match rest.next() {
        Some(command) if command == "load" => parse_load(rest).map(Request::Load),
        Some(command) if command == "help" => Ok(Request::Help),
        Some(command) => Err(usage(format!("{} is no command; there is `load`", shown(&command)))),
        None => Err(usage("a command is missing; there is `load [FILE]`".to_owned())),
    }
}

fn parse_load(mut rest: impl Iterator<Item = OsString>) -> Result<Arguments, Failure> {
    let (mut source, mut data, mut tcp, mut options_end) = (None, None, false, false);
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        if options_end || text == "-" || !text.starts_with('-') {
            let given = if text == "-" && !options_end {
                Source::Standard
            } else {
                Source::File(PathBuf::from(&argument))
            };
            if source.replace(given).is_some() {
                return Err(usage(format!("{} is a second file", shown(&argument))));
            }
        } else if text == "--" {
            options_end = true;
        } else if text == "--tcp" {
            tcp = true;
        } else if text == "--data" {
            data = Some(rest.next().unwrap_or_default());
        } else if let Some(folder) = text.strip_prefix("--data=") {
            data = Some(folder.into());
        } else {
            return Err(usage(format!("{} is no option", shown(&argument))));
        }
    }
    if data.as_ref().is_some_and(|folder| folder.is_empty()) {
        return Err(usage("--data needs a folder".to_owned()));
    }
    let source = source.unwrap_or_else(Source::shipped);
    Ok(Arguments { source, data: data.map(PathBuf::from), tcp })
}

fn usage(text: String) -> Failure {
    Failure::Usage(text)
}

fn shown(argument: &OsString) -> String {
    format!("`{}`", argument.to_string_lossy())
}

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Runs a cluster of three members in this process and shows that it keeps its
promises: loads a file, kills the leader amid writes, brings it back, restarts
everything, and compares every member with what was acknowledged.

Usage: cluster load [FILE] [--data DIR] [--tcp]
       cargo run --release --example cluster -- load [FILE]

  FILE        what to load; `-` reads standard input.
              Default: the configuration of an invented company, 15,758 entries
  --data DIR  keep the data in DIR. If DIR holds a cluster from an earlier run,
              that one is opened again, compared too, and loaded on top.
              Default: a temporary folder, removed at the end
  --tcp       members talk over TCP on free ports of 127.0.0.1.
              Default: they meet inside the process
  --help, -h  this text

Input, line by line, UTF-8, up to 8,192 bytes a line:
  key=value                      the key ends at the first `=`
  {\"key\": \"...\", \"value\": ...}   a text is taken as it is, anything else as
                                 its JSON text; other fields are ignored
  # comment                      skipped, as are blank lines
A line that begins with `{\"` is read as JSON. Bad lines are reported and
skipped. If a key comes twice, the later line wins. All entries are held in
memory, up to 1 GiB of input.

Exit status: 0 if everything acknowledged was found on every member,
1 if anything is missing or differs or the cluster failed,
2 if the command line, the input or the folder cannot be used.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        let arguments = line.split_whitespace().map(OsString::from);
        parse(arguments).map_err(|failure| failure.to_string())
    }

    fn load(source: Source, data: Option<&str>, tcp: bool) -> Result<Request, String> {
        Ok(Request::Load(Arguments { source, data: data.map(PathBuf::from), tcp }))
    }

    #[test]
    fn files_and_options_come_in_any_order() {
        let file = |name: &str| Source::File(PathBuf::from(name));
        assert_eq!(parsed("load"), load(Source::shipped(), None, false));
        assert_eq!(parsed("load x --tcp"), load(file("x"), None, true));
        assert_eq!(parsed("load --data d x"), load(file("x"), Some("d"), false));
        assert_eq!(parsed("load --data=d -"), load(Source::Standard, Some("d"), false));
        assert_eq!(parsed("load -- --tcp"), load(file("--tcp"), None, false));
        assert_eq!(parsed("load x --help"), Ok(Request::Help));
        assert_eq!(parsed("help"), Ok(Request::Help));
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_one_line() {
        for line in ["", "lod", "load a b", "load --tpc", "load --data", "load --data="] {
            let refusal = parsed(line).expect_err(line);
            assert!(refusal.ends_with("(--help tells more)"), "{line}: {refusal}");
            assert!(!refusal.contains('\n'), "{line}: {refusal}");
        }
    }

    #[test]
    fn the_help_fits_a_screen() {
        assert!(HELP.lines().count() <= 40);
        assert!(HELP.lines().all(|line| line.chars().count() <= 80));
    }
}

//! Runs simulations from the command line; see [`USAGE`].

mod arguments;
mod check;
mod determinism;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use self::arguments::Words;

fn main() -> ExitCode {
    let mut words = Words::new(std::env::args().skip(1).collect());
    let carried_out = match words.next().as_deref() {
        Some("run") => run::main(words).map(status),
        Some("determinism") => determinism::main(words).map(status),
        Some("check") => check::main(words),
        Some(other) => Err(format!("there is no command {other}")),
        None => Err("no command was given".to_owned()),
    };
    match carried_out {
        Ok(Ok(status)) => status,
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(problem) => {
            let _shown = say(&format!("{problem}\n\n{USAGE}"));
            ExitCode::from(2)
        }
    }
}

/// The exit status of a command that finds something wrong or does not.
fn status(carried_out: io::Result<bool>) -> io::Result<ExitCode> {
    carried_out.map(|is_right| if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a line; fails when nobody reads any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

const USAGE: &str = "\
simulate run --seeds 0..200 [--members N] [--time 60s] [--threads N] [--sabotage NAME] [--trace]
simulate determinism --seeds 0..20 [--members N] [--time 60s]
simulate check FILE --model cas-register|register|kv [--seconds N] [--memory MIB]
    0: linearizable, 1: not, 2: not known";

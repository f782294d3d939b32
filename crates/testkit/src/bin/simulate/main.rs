//! Runs simulations from the command line; see [`USAGE`].

mod arguments;
mod determinism;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use self::arguments::Words;

fn main() -> ExitCode {
    let mut words = Words::new(std::env::args().skip(1).collect());
    let carried_out = match words.next().as_deref() {
        Some("run") => run::main(words),
        Some("determinism") => determinism::main(words),
        Some(other) => Err(format!("there is no command {other}")),
        None => Err("no command was given".to_owned()),
    };
    match carried_out {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false) | Err(_)) => ExitCode::FAILURE,
        Err(problem) => {
            let _shown = say(&format!("{problem}\n\n{USAGE}"));
            ExitCode::from(2)
        }
    }
}

/// Prints a line; fails when nobody reads any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

const USAGE: &str = "\
simulate run --seeds 0..200 [--members N] [--time 60s] [--threads N] [--faults LIST]
             [--sabotage NAME] [--trace]
simulate determinism --seeds 0..20 [--members N] [--time 60s]

LIST is `swarm`, `none`, or classes of faults with their levels and commas between them, as in
`partitions,loss=low` or `swarm,crashes=off`.";

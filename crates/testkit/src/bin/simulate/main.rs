//! Runs simulations from the command line; see [`USAGE`].

mod arguments;
mod determinism;
#[cfg(feature = "mutants")]
mod mutants;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use self::arguments::Words;

fn main() -> ExitCode {
    let mut words = Words::new(std::env::args().skip(1).collect());
    let carried_out = match words.next().as_deref() {
        Some("run") => run::main(words),
        Some("determinism") => determinism::main(words),
        #[cfg(feature = "mutants")]
        Some("mutants") => mutants::main(words),
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
simulate run --seeds 0..200 [--members N] [--time 60s] [--threads N] [--sabotage NAME] [--trace]
simulate determinism --seeds 0..20 [--members N] [--time 60s]
simulate mutants [--only M03,M39] [--class S] [--hits 3] [--from SEED] [--threads N]
                 [--control SEEDS] [--json FILE] [--members N] [--in-member ID] [--after PASSES]
    with the feature mutants only";

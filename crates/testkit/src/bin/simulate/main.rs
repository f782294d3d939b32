//! Runs simulations from the command line; see [`USAGE`].

mod arguments;
mod check;
mod determinism;
#[cfg(feature = "mutants")]
mod mutants;
mod progress;
mod replay;
mod run;
mod shrink;

use std::io::{self, Write};
use std::process::ExitCode;

use self::arguments::Words;

fn main() -> ExitCode {
    let mut words = Words::new(std::env::args().skip(1).collect());
    let carried_out = match words.next().as_deref() {
        Some("run") => run::main(words),
        Some("replay") => replay::main(words),
        Some("shrink") => shrink::main(words),
        Some("determinism") => determinism::main(words),
        Some("check") => check::main(words),
        #[cfg(feature = "mutants")]
        Some("mutants") => mutants::main(words),
        Some(other) => Err(format!("there is no command {other}")),
        None => Err("no command was given".to_owned()),
    };
    match carried_out {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            complain(&format!("the input or output failed: {error}"));
            ExitCode::from(UNUSABLE)
        }
        Err(problem) => {
            complain(&format!("{problem}\n\n{USAGE}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Prints a line; fails when nobody reads any more.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Prints a line about a problem, if anybody reads it.
pub(crate) fn complain(line: &str) {
    let _shown = writeln!(io::stderr().lock(), "{line}");
}

/// What the program returns to the shell if the command line or a file cannot be used.
pub(crate) const UNUSABLE: u8 = 2;

const USAGE: &str = "\
simulate run --seeds 0..200 [--members 3..5] [--time 60s] [--threads N] [--sabotage NAME]
             [--faults LIST] [--trace] [--out DIR]
simulate replay PLAN.json [--sabotage NAME] [--trace] [--html FILE]
simulate shrink PLAN.json [--sabotage NAME] [--runs N] [--out FILE]
simulate determinism --seeds 0..20 [--members 3..5] [--time 60s]
simulate check FILE --model cas-register|register|kv [--seconds N] [--memory MIB]
simulate mutants [--only M03,M39] [--class S] [--hits 3] [--from SEED] [--threads N]
                 [--control SEEDS] [--json FILE] [--members N] [--in-member ID] [--after PASSES]
    with the feature mutants only

LIST is swarm, none, or classes of faults with their levels and commas between them, as in
partitions,loss=low or swarm,crashes=off.

The exit status is 0 if all is well, 1 if a promise was broken or two runs differ, and 2 if the
command line or a file cannot be used. shrink: 0 if a plan was written, 1 if it breaks no promise.
check: 0 if the history is linearizable, 1 if not, 2 if that cannot be told.";

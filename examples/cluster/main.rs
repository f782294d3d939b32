//! Three members in one process: load a file, lose the leader, bring it back, prove that nothing
//! acknowledged was lost.
//!
//! ```text
//! cargo run --release --example cluster -- load [FILE]
//! ```

mod arguments;
mod catch_up;
mod failover;
mod failure;
mod folder;
mod input;
mod load;
mod members;
mod phases;
mod progress;
mod report;
mod text;
mod verify;

use std::process::ExitCode;

use arguments::Request;

fn main() -> ExitCode {
    let outcome = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => {
            text::say(arguments::HELP.trim_end());
            Ok(true)
        }
        Ok(Request::Load(arguments)) => phases::run(&arguments),
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            text::complain(&failure);
            ExitCode::from(failure.exit_status())
        }
    }
}

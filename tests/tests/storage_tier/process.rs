//! A child process that runs one test of this program again, in another role, and is killed.
//!
//! The child tells its progress in lines on its standard output. Its standard input is a pipe that
//! nobody writes to: it ends with the parent, so that a waiting child does not outlive it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A running child. Killed and waited for when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    lines: BufReader<ChildStdout>,
}

impl Child {
    /// Runs the test `name` of this program with `plan` for it. With `file_size_max`, in units of
    /// 512 bytes, a write beyond that size of a file fails.
    pub(crate) fn start(name: &str, plan: &[(&str, String)], file_size_max: Option<u64>) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = match file_size_max {
            None => Command::new(program),
            Some(size) => {
                // The signal that comes with the limit is ignored, so that the write fails instead.
                let script = format!("trap '' XFSZ; ulimit -f {size}; exec \"$0\" \"$@\"");
                let mut command = Command::new("sh");
                command.arg("-c").arg(script).arg(program);
                command
            }
        };
        command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        for (key, value) in plan {
            command.env(variable(key), value);
        }
        command.env(variable(ROLE), name);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        let lines = BufReader::new(process.stdout.take().expect("it is a pipe"));
        Self { process, lines }
    }

    /// The next line that the child wrote; `None` when it ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let size = self.lines.read_until(b'\n', &mut line).expect("a pipe can be read");
        // A line without an end was cut off by the kill.
        if size == 0 || line.pop() != Some(b'\n') {
            return None;
        }
        String::from_utf8(line).ok()
    }

    /// Kills the child with SIGKILL; what it wrote before can still be read.
    pub(crate) fn kill(&mut self) {
        // Only a child that was waited for cannot be killed.
        self.process.kill().expect("the child was not waited for");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether this process is the child that runs the test `name`.
pub(crate) fn is_child(name: &str) -> bool {
    std::env::var(variable(ROLE)).is_ok_and(|role| role == name)
}

/// What the parent planned for this child.
pub(crate) fn planned(key: &str) -> String {
    let value = std::env::var(variable(key));
    value.unwrap_or_else(|_| panic!("the parent plans {key}"))
}

/// Tells the parent something, in one write.
pub(crate) fn say(line: &str) {
    let mut line = line.to_owned();
    line.push('\n');
    // When the parent is gone there is nothing left to do.
    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
        std::process::exit(1);
    }
}

/// Lets this child end by itself if nobody kills it: whatever it hangs in, the parent goes on.
pub(crate) fn end_after(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        std::process::exit(1);
    });
}

/// Waits to be killed.
pub(crate) fn wait_for_the_end() -> ! {
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(1);
}

fn variable(key: &str) -> String {
    format!("QUORATE_TEST_{key}")
}

const ROLE: &str = "CHILD";

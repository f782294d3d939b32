//! The report at the end.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::catch_up::CatchUp;
use crate::failover::Failover;
use crate::folder::NAMES;
use crate::load::Load;
use crate::text::{counted, duration, grouped, rate};
use crate::verify::{Check, Found};

/// Everything measured and compared.
pub(crate) struct Report {
    /// The load.
    pub(crate) load: Load,
    /// The member that was killed.
    pub(crate) lost: &'static str,
    /// The writes amid which it was.
    pub(crate) failover: Failover,
    /// Its return.
    pub(crate) catch_up: CatchUp,
    /// The restart of all.
    pub(crate) restart: Restart,
    /// All comparisons.
    pub(crate) checks: Vec<Check>,
}

/// How long it took to close all members and to open them again.
pub(crate) struct Restart {
    /// Until all were closed.
    pub(crate) close_time: Duration,
    /// From there until one led and a majority answered.
    pub(crate) open_time: Duration,
}

impl Report {
    /// Whether every comparison found what was expected.
    pub(crate) fn is_passed(&self) -> bool {
        self.checks.iter().all(Check::is_passed)
    }

    /// The report, in lines of at most 80 columns.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new(), "Load".to_owned()];
        lines.extend(self.load_rows());
        lines.extend([String::new(), format!("Loss of leader {}, and what followed", self.lost)]);
        lines.extend(self.failover_rows());
        lines.push(String::new());
        lines.extend(self.check_rows());
        lines.extend(self.checks.iter().flat_map(difference_lines));
        lines.extend([String::new(), self.verdict()]);
        lines
    }

    fn load_rows(&self) -> Vec<String> {
        let load = &self.load;
        let (entries, transactions) = (load.entry_count, load.transaction_count);
        let retries = match load.retry_count {
            0 => String::new(),
            count => format!(", {} more sent again", grouped(count)),
        };
        vec![
            row("entries", &format!("{} ({})", grouped(entries), counted(load.size, "byte"))),
            row("transactions", &format!("{}{retries}", grouped(transactions))),
            row("time", &duration(load.elapsed)),
            row(
                "throughput",
                &format!(
                    "{} entries/s, {} transactions/s",
                    rate(entries, load.elapsed),
                    rate(transactions, load.elapsed)
                ),
            ),
            row("transaction latency", &latency(&load.latencies)),
        ]
    }

    fn failover_rows(&self) -> Vec<String> {
        let Failover { time, tally } = &self.failover;
        let acknowledged = tally.acknowledged.len() as u64;
        let settled = match tally.uncertain.len() as u64 {
            0 => "all settled by a retry with the same value".to_owned(),
            count => format!("{} never settled", grouped(count)),
        };
        let unknown = match tally.unknown_count {
            0 => "0".to_owned(),
            count => format!("{}, {settled}", grouped(count)),
        };
        let catch_up = &self.catch_up;
        let source = if catch_up.by_snapshot {
            "from a snapshot".to_owned()
        } else {
            format!("from the log ({} entries missed)", grouped(catch_up.missed_count))
        };
        let Restart { close_time, open_time } = &self.restart;
        vec![
            row("writes acknowledged", &grouped(acknowledged)),
            row("answered `failed`", &grouped(tally.failed_count)),
            row("outcome unknown", &unknown),
            row("write latency", &latency(&tally.latencies)),
            row("failover", &format!("{} from the kill to the next write", duration(*time))),
            row("catch-up", &format!("{}, {source}", duration(catch_up.total_time()))),
            row(
                "restart of all",
                &format!("{} to close, {} to open", duration(*close_time), duration(*open_time)),
            ),
        ]
    }

    fn check_rows(&self) -> Vec<String> {
        let heading = ["Members compared after", "entries", "revision", "hash"].map(str::to_owned);
        let mut rows = vec![check_row(heading, NAMES)];
        for check in &self.checks {
            let hashes: Vec<u32> = check.found.iter().flatten().map(|it| it.hash.hash).collect();
            let hash = match hashes.first() {
                Some(first) if hashes.iter().all(|hash| hash == first) => format!("{first:08x}"),
                _ => "differs".to_owned(),
            };
            let (entries, revision) = (grouped(check.entry_count), grouped(check.revision as u64));
            let cells = [format!("  {}", check.moment), entries, revision, hash];
            rows.push(check_row(cells, check.found.each_ref().map(|found| state(found.as_ref()))));
        }
        rows
    }

    fn verdict(&self) -> String {
        if self.is_passed() {
            return "PASSED: nothing acknowledged is missing, and all members agree.".to_owned();
        }
        let failed = self.checks.iter().filter(|check| !check.is_passed()).count();
        let checks = self.checks.len();
        format!("FAILED: {failed} of {checks} comparisons found what must not be.")
    }
}

fn row(title: &str, text: &str) -> String {
    format!("  {title:<20} {text}")
}

fn latency(latencies: &Histogram<u64>) -> String {
    let at = |micros| duration(Duration::from_micros(micros));
    let (p50, p99) = (latencies.value_at_quantile(0.5), latencies.value_at_quantile(0.99));
    format!("p50 {}, p99 {}, max {}", at(p50), at(p99), at(latencies.max()))
}

fn check_row([moment, entries, revision, hash]: [String; 4], members: [&str; 3]) -> String {
    let [a, b, c] = members;
    let row = format!("{moment:<26}{entries:>9}{revision:>10}{hash:>10}  {a:<6}{b:<6}{c:<6}");
    row.trim_end().to_owned()
}

fn state(found: Option<&Found>) -> &'static str {
    match found {
        None => "down",
        Some(found) if found.differences.is_empty() => "ok",
        Some(_) => "WRONG",
    }
}

/// What is wrong on each member.
fn difference_lines(check: &Check) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, found) in NAMES.iter().zip(&check.found) {
        let Some(Found { differences, .. }) = found else { continue };
        if differences.is_empty() {
            continue;
        }
        lines.push(format!(
            "  {name} after {}: {} missing, {} wrong, {} unknown",
            check.moment,
            grouped(differences.missing_count),
            grouped(differences.wrong_count),
            grouped(differences.foreign_count)
        ));
        lines.extend(differences.first.iter().map(|line| format!("    {line}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use quorate::StoreHash;

    use super::*;
    use crate::failover::Tally;
    use crate::load::latencies;
    use crate::verify::Differences;

    fn found(hash: u32, differences: Differences) -> Option<Found> {
        let hash = StoreHash { hash, revision: 3_450_000, compact_revision: -1 };
        Some(Found { hash, differences })
    }

    fn report(found: [Option<Found>; 3]) -> Report {
        let mut latencies = latencies();
        latencies.saturating_record(123_456_789);
        let write = BTreeMap::from([(Bytes::from("key"), Bytes::from("value"))]);
        let load = Load {
            entry_count: 12_345_678,
            size: 1 << 30,
            transaction_count: 193_000,
            retry_count: 100,
            elapsed: Duration::from_secs(1_000),
            latencies: latencies.clone(),
        };
        let tally = Tally {
            acknowledged: write.clone(),
            failed_count: 1,
            unknown_count: 2,
            uncertain: write,
            latencies,
        };
        let (time, open_time) = (Duration::from_millis(1_234), Duration::from_millis(80));
        let moment = "the loss of the leader";
        let check = Check { moment, revision: 3_450_000, entry_count: 12_345_678, found };
        Report {
            load,
            lost: "b",
            failover: Failover { time, tally },
            catch_up: CatchUp { open_time, time, missed_count: 1_000, by_snapshot: false },
            restart: Restart { close_time: time, open_time },
            checks: vec![check],
        }
    }

    fn check(found: [Option<Found>; 3], expected: &[&str]) {
        let report = report(found);
        let lines = report.lines();
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        let end = &lines[lines.len() - expected.len()..];
        assert_eq!(end, expected, "{lines:#?}");
        assert_eq!(report.is_passed(), lines.iter().any(|line| line.starts_with("PASSED")));
    }

    #[test]
    fn equal_members_pass() {
        check(
            [found(7, Differences::default()), None, found(7, Differences::default())],
            &[
                "  the loss of the leader  12,345,678 3,450,000  00000007  ok    down  ok",
                "",
                "PASSED: nothing acknowledged is missing, and all members agree.",
            ],
        );
    }

    #[test]
    fn other_histories_fail() {
        check(
            [found(7, Differences::default()), None, found(8, Differences::default())],
            &[
                "  the loss of the leader  12,345,678 3,450,000   differs  ok    down  ok",
                "",
                "FAILED: 1 of 1 comparisons found what must not be.",
            ],
        );
    }

    #[test]
    fn differences_are_told() {
        let first = vec!["/key is missing".to_owned()];
        let differences = Differences { missing_count: 4_000, first, ..Differences::default() };
        check(
            [found(7, Differences::default()), None, found(7, differences)],
            &[
                "  the loss of the leader  12,345,678 3,450,000  00000007  ok    down  WRONG",
                "  c after the loss of the leader: 4,000 missing, 0 wrong, 0 unknown",
                "    /key is missing",
                "",
                "FAILED: 1 of 1 comparisons found what must not be.",
            ],
        );
    }

    #[test]
    fn a_comparison_with_nobody_proves_nothing() {
        assert!(!report([None, None, None]).is_passed());
    }
}

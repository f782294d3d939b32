//! Runs of the same operations on both stores.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use quorate_kv_api::{DeleteRangeRequest, PutRequest};

use crate::compare::{Context, Rule, Verdict, compare, may_crash_etcd};
use crate::etcd::{Binary, Etcd, Version};
use crate::generate::{Draw, OpenWatch, Outlook, Planned, Shares, last_operations, operations};
use crate::operation::{Answer, Answers, Kind, Operation};
use crate::quorate::Quorate;

/// How much to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How many operations in all; a few more may be needed to end watches.
    pub operations: u64,
    /// The seed of the first round; each further round adds 1.
    pub seed: u64,
}

/// What came up in a run.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// How many operations of each kind were accepted, and how many refused.
    pub operations: BTreeMap<Kind, Tally>,
    /// How often each rule excused a difference.
    pub rules: BTreeMap<Rule, u64>,
}

/// Answers of one kind of operation.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Carried out by both.
    pub accepted: u64,
    /// Refused by both.
    pub refused: u64,
}

impl Summary {
    /// How many operations there were.
    pub fn count(&self) -> u64 {
        self.operations.values().map(|tally| tally.accepted + tally.refused).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} operations", self.count())?;
        for (kind, Tally { accepted, refused }) in &self.operations {
            write!(formatter, ", {kind:?} {accepted}+{refused}")?;
        }
        for (rule, count) in &self.rules {
            write!(formatter, "; {count} excused by {rule:?}")?;
        }
        Ok(())
    }
}

/// What is compared with an etcd.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Quorate.
    Quorate,
    /// Another etcd, to see what changed between the two.
    Etcd(&'a Binary),
}

/// Runs rounds of operations on fresh stores until there are enough of them.
///
/// # Errors
///
/// With the first difference, or with the first store that does not answer; the text holds
/// everything needed to repeat it.
pub fn run(
    subject: Subject<'_>,
    peer: &Binary,
    shares: Shares,
    settings: Settings,
) -> Result<Summary, String> {
    let mut summary = Summary::default();
    let mut seed = settings.seed;
    while summary.count() < settings.operations {
        let left = settings.operations - summary.count();
        run_round(subject, peer, shares, seed, left.min(ROUND_OPERATIONS), &mut summary)?;
        seed = seed.wrapping_add(1);
    }
    Ok(summary)
}

fn run_round(
    subject: Subject<'_>,
    peer: &Binary,
    shares: Shares,
    seed: u64,
    operations: u64,
    summary: &mut Summary,
) -> Result<(), String> {
    let etcd = Etcd::start(peer)?;
    // It stays until the round is over.
    let other;
    let ours: Box<dyn Answers> = match subject {
        Subject::Quorate => Box::new(Quorate::open()?),
        Subject::Etcd(binary) => {
            other = Etcd::start(binary)?;
            Box::new(other.connect()?)
        }
    };
    let theirs = Box::new(etcd.connect()?);
    let mut round = Round {
        version: peer.version,
        draw: Draw::new(seed),
        shares,
        ours,
        theirs,
        etcd: &etcd,
        is_over: false,
        outlook: Outlook::new(peer.version.refuses_negative_watches()),
        number: 0,
        recent: VecDeque::new(),
    };
    round.run(operations, summary).map_err(|cause| {
        let (version, log) = (peer.version, etcd.log_end());
        format!(
            "etcd {version}: {cause}\nrepeat with QUORATE_DIFFERENTIAL_SEED={seed} \
             QUORATE_DIFFERENTIAL_OPERATIONS={ROUND_OPERATIONS}\nlog of etcd:\n{log}"
        )
    })
}

/// One pair of fresh stores.
struct Round<'a> {
    version: Version,
    draw: Draw,
    shares: Shares,
    ours: Box<dyn Answers>,
    theirs: Box<dyn Answers>,
    /// The server behind `theirs`.
    etcd: &'a Etcd,
    /// Whether that server is gone.
    is_over: bool,
    outlook: Outlook,
    number: u64,
    recent: VecDeque<String>,
}

impl Round<'_> {
    fn run(&mut self, operations_min: u64, summary: &mut Summary) -> Result<(), String> {
        while self.number < operations_min && !self.is_over {
            for planned in operations(&mut self.draw, self.shares, &self.outlook) {
                self.follow(planned, summary)?;
            }
        }
        for planned in last_operations(self.shares, &self.outlook) {
            self.follow(planned, summary)?;
        }
        Ok(())
    }

    fn follow(&mut self, planned: Planned, summary: &mut Summary) -> Result<(), String> {
        if self.is_over {
            return Ok(());
        }
        match planned {
            Planned::Operation(operation) => self.both(operation, summary),
            Planned::Fence(watch) => self.fence(&watch, summary),
            Planned::WatchEnd(number) => {
                let revision = self.outlook.revision;
                self.both(Operation::WatchEnd { number, revision }, summary)
            }
        }
    }

    /// Makes an event that the watch sees.
    fn fence(&mut self, watch: &OpenWatch, summary: &mut Summary) -> Result<(), String> {
        loop {
            self.both(Operation::Put(PutRequest::new(watch.key.clone(), "fence")), summary)?;
            if !watch.puts {
                let delete = DeleteRangeRequest::key(watch.key.clone());
                self.both(Operation::DeleteRange(delete), summary)?;
            }
            if self.is_over || self.outlook.revision >= watch.start_revision {
                return Ok(());
            }
        }
    }

    fn both(&mut self, operation: Operation, summary: &mut Summary) -> Result<(), String> {
        self.number += 1;
        let ours = self.ours.answer(&operation);
        let theirs = self.theirs.answer(&operation);
        let (ours, theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (ours, Err(_)) if self.is_known_crash(&operation, &ours) => {
                *summary.rules.entry(Rule::CrashOfEtcd).or_default() += 1;
                self.is_over = true;
                return Ok(());
            }
            (ours, theirs) => {
                return Err(self.report("no answer", &operation, &ours, &theirs));
            }
        };
        let (version, compact_revision) = (self.version, self.outlook.compact_revision);
        let context = Context { version, compact_revision };
        match compare(context, &operation, &ours, &theirs) {
            Verdict::Equal => {}
            Verdict::Accepted(rule) => *summary.rules.entry(rule).or_default() += 1,
            Verdict::Different => {
                return Err(self.report("answers differ", &operation, &ours, &theirs));
            }
        }
        let tally = summary.operations.entry(operation.kind()).or_default();
        if ours.is_refused() {
            tally.refused += 1
        } else {
            tally.accepted += 1
        }
        self.outlook.learn(&operation, &ours);
        self.remember(&operation, &ours);
        Ok(())
    }

    /// If ours is an etcd, too, both are gone.
    fn is_known_crash(&self, operation: &Operation, ours: &Result<Answer, String>) -> bool {
        ours.as_ref().map_or(true, |ours| may_crash_etcd(operation, ours))
            && self.etcd.has_failed_in_a_transaction()
    }

    fn remember(&mut self, operation: &Operation, answer: &Answer) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        let (operation, answer) = (shortened(operation), shortened(answer));
        self.recent.push_back(format!("{}: {operation}\n  -> {answer}", self.number));
    }

    fn report(
        &self,
        what: &str,
        operation: &Operation,
        ours: &dyn fmt::Debug,
        theirs: &dyn fmt::Debug,
    ) -> String {
        let recent = Vec::from(self.recent.clone()).join("\n");
        let number = self.number;
        let (operation, ours, theirs) = (shortened(operation), shortened(ours), shortened(theirs));
        format!(
            "{what} at operation {number}\n{operation}\nours: {ours}\netcd: {theirs}\n\
             before (our answers):\n{recent}"
        )
    }
}

/// Large values say nothing to a reader.
fn shortened(value: &dyn fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// Enough to fill a store and to grow a history; few enough that what holds only for young stores
/// comes up often.
const ROUND_OPERATIONS: u64 = 1_000;
const SHOWN_CHARS_MAX: usize = 8_000;
/// How many operations before a difference are shown.
const RECENT: usize = 6;

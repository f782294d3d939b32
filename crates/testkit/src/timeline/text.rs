//! A timeline as a few lines of text.

use super::{CallSpan, MarkKind, Outcome, StateKind, Timeline, seconds, words};

/// The most lines of a text.
const LINES_MAX: usize = 30;

/// The most columns of a line.
const COLUMNS_MAX: usize = 140;

/// The most lines that the violation gets.
const VIOLATION_LINES_MAX: usize = 4;

/// Something that could be told, and how much it tells.
struct Entry {
    at: u64,
    weight: u64,
    who: String,
    text: String,
}

/// The text: a head, the entries that tell most in order of time, and the violation.
pub(super) fn render(timeline: &Timeline) -> String {
    let mut entries = entries(timeline);
    let all = entries.len();
    let violation = violation(timeline);
    weigh_by_distance(timeline, &mut entries);
    // Of equal weights those at the end are kept.
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.weight, entry.at)));
    entries.truncate(LINES_MAX - HEAD_LINES - violation.len());
    entries.sort_by_key(|entry| entry.at);
    let mut lines = head(timeline, entries.len(), all).to_vec();
    for entry in &entries {
        lines.push(format!("{:>11}  {:<9}  {}", seconds(entry.at), entry.who, entry.text));
    }
    lines.extend(violation);
    lines.iter().map(|line| words::cut_line(line, COLUMNS_MAX) + "\n").collect()
}

/// How many lines come before the entries.
const HEAD_LINES: usize = 2;

fn head(timeline: &Timeline, shown: usize, all: usize) -> [String; HEAD_LINES] {
    let Timeline { seed, members, end, .. } = timeline;
    let checker = timeline.violation.as_ref().map_or("none", |broken| &broken.checker);
    let count = |outcome| timeline.calls.iter().filter(|call| call.outcome == outcome).count();
    let unknown = count(Outcome::Unknown) + count(Outcome::Open);
    [
        format!(
            "seed {seed}, members {members}, virtual time {} s, violation: {checker}",
            seconds(*end)
        ),
        format!(
            "faults {}, calls {} ({} done, {} failed, {unknown} unknown), \
             events shown {shown} of {all}",
            timeline.faults.len(),
            timeline.calls.len(),
            count(Outcome::Done),
            count(Outcome::Failed),
        ),
    ]
}

fn entries(timeline: &Timeline) -> Vec<Entry> {
    let mut entries = Vec::new();
    let member = |member: u64| format!("member {member}");
    for fault in &timeline.faults {
        if timeline.cuts.iter().any(|cut| cut.from == fault.from) {
            continue;
        }
        let text = fault.text.clone();
        entries.push(Entry { at: fault.from, weight: 600, who: "fault".to_owned(), text });
    }
    for cut in &timeline.cuts {
        let verb = if cut.hold { "held back" } else { "cut" };
        let lasting = words::duration(cut.to.saturating_sub(cut.from));
        let text = format!("{verb} {} for {lasting}", cut.text);
        entries.push(Entry { at: cut.from, weight: 590, who: "network".to_owned(), text });
    }
    for state in &timeline.states {
        let (weight, text) = match state.kind {
            StateKind::Leader => (550, format!("leads in term {}", state.term)),
            StateKind::Candidate => (200, format!("asks for votes in term {}", state.term)),
            StateKind::Follower if state.term > 0 => {
                (60, format!("follows in term {}", state.term))
            }
            // Faults and marks tell of the others.
            _ => continue,
        };
        entries.push(Entry { at: state.from, weight, who: member(state.member), text });
    }
    for mark in &timeline.marks {
        if timeline.faults.iter().any(|fault| fault.from == mark.at) {
            continue;
        }
        let weight = match mark.kind {
            MarkKind::Crashed | MarkKind::Stopped => 500,
            MarkKind::Snapshot => 480,
            MarkKind::Opened => 350,
        };
        let (who, text) = (member(mark.member), mark.text.clone());
        entries.push(Entry { at: mark.at, weight, who, text });
    }
    if let Some(at) = timeline.healed {
        let text = "faults are over: a majority is healed, then all".to_owned();
        entries.push(Entry { at, weight: 400, who: "cluster".to_owned(), text });
    }
    entries.extend(timeline.calls.iter().map(call_entry));
    entries
}

fn call_entry(call: &CallSpan) -> Entry {
    let weight = match call.outcome {
        _ if call.involved => 10_000,
        Outcome::Unknown | Outcome::Open => 40,
        Outcome::Done => 30,
        Outcome::Failed => 20,
    };
    let ended = match call.to {
        Some(to) => {
            let waited = words::duration(to.saturating_sub(call.from));
            format!("{} ({waited})", words::cut(&call.result, 70))
        }
        None => "no answer until the end".to_owned(),
    };
    let text = format!("{} -> {ended}", words::cut(&call.request, 50));
    Entry { at: call.from, weight, who: format!("member {}", call.member), text }
}

/// What happened shortly before the violation tells more than what happened long before.
fn weigh_by_distance(timeline: &Timeline, entries: &mut [Entry]) {
    let Some(violated) = timeline.violated_at() else { return };
    let near = NEAR_NANOS.max(timeline.end / 40);
    for entry in entries {
        let distance = violated.abs_diff(entry.at);
        entry.weight += entry.weight.min(100) * 5 * near / (near + distance);
    }
}

fn violation(timeline: &Timeline) -> Vec<String> {
    let Some(broken) = &timeline.violation else { return Vec::new() };
    let text = format!("{}: {}", broken.checker, broken.detail);
    let columns = COLUMNS_MAX - 24;
    let flat = words::cut(&text, columns * VIOLATION_LINES_MAX);
    let characters: Vec<char> = flat.chars().collect();
    let mut lines = Vec::new();
    for chunk in characters.chunks(columns) {
        let part: String = chunk.iter().collect();
        lines.push(match lines.len() {
            0 => format!("{:>11}  VIOLATION  {part}", seconds(broken.at)),
            _ => format!("{:24}{part}", ""),
        });
    }
    lines
}

/// What happens at the moment of the violation gets more weight than what happened long before;
/// this far away it gets half as much more, or somewhat farther in a long run.
const NEAR_NANOS: u64 = 200_000_000;

#[cfg(test)]
mod tests {
    use super::super::{Broken, FaultSpan};
    use super::*;

    fn call(from: u64, involved: bool) -> CallSpan {
        CallSpan {
            member: 2,
            from,
            to: Some(from + 2_000_000),
            outcome: Outcome::Done,
            request: format!("put key {from}"),
            result: "put revision 3".to_owned(),
            involved,
        }
    }

    fn timeline(calls: u64) -> Timeline {
        let fault = |from| FaultSpan { from, to: None, text: "crash all".to_owned() };
        Timeline {
            seed: 7,
            members: 3,
            end: 9_000_000_000,
            calls: (0..calls).map(|at| call(at * 1_000_000, at == 0)).collect(),
            faults: vec![fault(1_000), fault(5_000_000_000)],
            violation: Some(Broken {
                at: 8_000_000_000,
                checker: "one-leader".to_owned(),
                detail: "two of them\n".repeat(200),
            }),
            ..Timeline::default()
        }
    }

    #[test]
    fn a_long_run_is_cut_to_what_tells_most() {
        let text = timeline(1_000).to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), LINES_MAX);
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS_MAX));
        let head = "seed 7, members 3, virtual time 9.000000 s, violation: one-leader";
        assert_eq!(lines[0], head);
        assert!(lines[1].ends_with("events shown 24 of 1002"), "{}", lines[1]);
        // The call that the violation is about, and both faults.
        assert_eq!(lines[2], "   0.000000  member 2   put key 0 -> put revision 3 (2.00 ms)");
        assert_eq!(text.matches("crash all").count(), 2);
        assert!(lines[26].starts_with("   8.000000  VIOLATION  one-leader: two of them two"));
        assert!(lines[29].ends_with('…'));
    }

    #[test]
    fn a_short_run_is_told_in_full() {
        let text = timeline(3).to_text();
        assert!(text.contains("events shown 5 of 5"));
        assert!(text.contains("put key 1000000 -> "));
        assert_eq!(Timeline::default().to_text().lines().count(), HEAD_LINES);
    }
}

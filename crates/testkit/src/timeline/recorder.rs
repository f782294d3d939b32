//! Fills in a timeline while the simulator runs.

use std::collections::BTreeMap;
use std::fmt::Debug;

use quorate_raft_node::core::Role;
use quorate_types::Instant;

use super::{
    CallSpan, CutSpan, FaultSpan, Mark, MarkKind, Outcome, State, StateKind, Timeline, calls,
    number, words,
};
use crate::checkers::history::{Call, Ending};
use crate::violation::Violation;

/// Takes notes of a run, or does nothing at all.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Option<Box<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    timeline: Timeline,
    /// Where the present role of each member stands among the states, or when it went down.
    present: BTreeMap<usize, usize>,
    /// Where faults and cuts that last stand among theirs.
    lasting: BTreeMap<usize, Vec<Lasting>>,
}

#[derive(Clone, Copy, Debug)]
enum Lasting {
    Fault(usize),
    Cut(usize),
    State(usize),
}

impl Recorder {
    /// A recorder for a cluster, which records only if it is `on`.
    pub(crate) fn new(on: bool, seed: u64, members: usize) -> Self {
        let timeline = Timeline { seed, members: members as u64, ..Timeline::default() };
        Self(on.then(|| Box::new(Notes { timeline, ..Notes::default() })))
    }

    /// A member was opened.
    pub(crate) fn opened(&mut self, now: Instant, place: usize, life: u64) {
        let Some(notes) = &mut self.0 else { return };
        notes.enter(now, place, StateKind::Follower, 0);
        if life > 0 {
            notes.mark(now, place, MarkKind::Opened, format!("opened again, life {}", life + 1));
        }
    }

    /// A member lost its power.
    pub(crate) fn crashed(&mut self, now: Instant, place: usize) {
        let Some(notes) = &mut self.0 else { return };
        notes.enter(now, place, StateKind::Down, 0);
        notes.mark(now, place, MarkKind::Crashed, "lost its power".to_owned());
    }

    /// A member stopped itself.
    pub(crate) fn stopped(&mut self, now: Instant, place: usize, cause: &str) {
        let Some(notes) = &mut self.0 else { return };
        notes.enter(now, place, StateKind::Down, 0);
        notes.mark(now, place, MarkKind::Stopped, format!("stopped itself: {cause}"));
    }

    /// A member stands still until then.
    pub(crate) fn paused(&mut self, now: Instant, place: usize, until: Instant) {
        let Some(notes) = &mut self.0 else { return };
        notes.state(now, place, StateKind::Paused, 0, until);
    }

    /// A member is slow until the fault at `index` ends.
    pub(crate) fn slowed(&mut self, now: Instant, place: usize, index: usize) {
        let Some(notes) = &mut self.0 else { return };
        let state = notes.state(now, place, StateKind::Slow, 0, Instant::MAX);
        notes.lasting.entry(index).or_default().push(Lasting::State(state));
    }

    /// A member was seen in a role and term.
    pub(crate) fn role(&mut self, now: Instant, place: usize, role: Role, term: u64) {
        let Some(notes) = &mut self.0 else { return };
        let kind = match role {
            Role::Leader => StateKind::Leader,
            Role::Follower => StateKind::Follower,
            _ => StateKind::Candidate,
        };
        let known = notes.present.get(&place).map(|state| &notes.timeline.states[*state]);
        if known.is_none_or(|known| (known.kind, known.term) != (kind, term)) {
            notes.enter(now, place, kind, term);
        }
    }

    /// A snapshot replaced the state of a member.
    pub(crate) fn installed(&mut self, now: Instant, place: usize, index: u64) {
        let Some(notes) = &mut self.0 else { return };
        let text = format!("installed a snapshot of index {index}");
        notes.mark(now, place, MarkKind::Snapshot, text);
    }

    /// The fault at `index` of the plan began.
    pub(crate) fn fault(&mut self, now: Instant, index: usize, fault: &impl Debug) {
        let Some(notes) = &mut self.0 else { return };
        let text = words::plain(&format!("{fault:?}"), &FIELDS_OF_PLACES);
        notes.timeline.faults.push(FaultSpan { from: number(now), to: None, text });
        let place = notes.timeline.faults.len() - 1;
        notes.lasting.entry(index).or_default().push(Lasting::Fault(place));
    }

    /// Links were cut by the fault at `index`.
    pub(crate) fn cut(&mut self, now: Instant, index: usize, links: &[(usize, usize)], hold: bool) {
        let Some(notes) = &mut self.0 else { return };
        let number_of = |(from, to): &(usize, usize)| (*from as u64 + 1, *to as u64 + 1);
        let links: Vec<(u64, u64)> = links.iter().map(number_of).collect();
        let text = describe_links(&links);
        let (from, to) = (number(now), number(Instant::MAX));
        notes.timeline.cuts.push(CutSpan { from, to, links, hold, text });
        let place = notes.timeline.cuts.len() - 1;
        notes.lasting.entry(index).or_default().push(Lasting::Cut(place));
    }

    /// The fault at `index` mended a link that it had cut alone.
    pub(crate) fn mended(&mut self, now: Instant, index: usize, from: usize, to: usize) {
        let Some(notes) = &mut self.0 else { return };
        let link = (from as u64 + 1, to as u64 + 1);
        for lasting in notes.lasting.get(&index).into_iter().flatten() {
            if let Lasting::Cut(place) = lasting
                && let cut = &mut notes.timeline.cuts[*place]
                && cut.links == [link]
            {
                cut.to = cut.to.min(number(now));
            }
        }
    }

    /// The fault at `index` of the plan is over.
    pub(crate) fn fault_end(&mut self, now: Instant, index: usize) {
        let Some(notes) = &mut self.0 else { return };
        for lasting in notes.lasting.remove(&index).unwrap_or_default() {
            match lasting {
                Lasting::Fault(place) => notes.timeline.faults[place].to = Some(number(now)),
                Lasting::Cut(place) => {
                    let cut = &mut notes.timeline.cuts[place];
                    cut.to = cut.to.min(number(now));
                }
                Lasting::State(place) => notes.close(place, now),
            }
        }
    }

    /// What went wrong before now is over.
    pub(crate) fn healed(&mut self, now: Instant) {
        let Some(notes) = &mut self.0 else { return };
        let at = number(now);
        notes.timeline.healed.get_or_insert(at);
        for state in notes.timeline.states.iter_mut().filter(|state| state.from < at) {
            if matches!(state.kind, StateKind::Paused | StateKind::Slow) {
                state.to = state.to.min(at);
            }
        }
        for cut in notes.timeline.cuts.iter_mut().filter(|cut| cut.from < at) {
            cut.to = cut.to.min(at);
        }
    }

    /// A member is kept away from the others while those recover.
    pub(crate) fn away(&mut self, now: Instant, place: usize, paused: bool) {
        let Some(notes) = &mut self.0 else { return };
        if paused {
            notes.state(now, place, StateKind::Paused, 0, Instant::MAX);
        }
        let alone = place as u64 + 1;
        let others = (1..=notes.timeline.members).filter(|other| *other != alone);
        let links: Vec<(u64, u64)> =
            others.flat_map(|other| [(alone, other), (other, alone)]).collect();
        let text = format!("{alone} away");
        let (from, to) = (number(now), number(Instant::MAX));
        notes.timeline.cuts.push(CutSpan { from, to, links, hold: false, text });
    }

    /// A call began; calls are numbered from 0 in the order of their beginnings.
    pub(crate) fn call(&mut self, now: Instant, place: usize, call: &Call) {
        let Some(notes) = &mut self.0 else { return };
        notes.timeline.calls.push(CallSpan {
            member: place as u64 + 1,
            from: number(now),
            to: None,
            outcome: Outcome::Open,
            request: calls::describe_call(call),
            result: String::new(),
            involved: false,
        });
    }

    /// The call of this number ended.
    pub(crate) fn call_end(&mut self, now: Instant, call: usize, ending: &Ending) {
        let Some(notes) = &mut self.0 else { return };
        let Some(span) = notes.timeline.calls.get_mut(call) else { return };
        span.to = Some(number(now));
        (span.outcome, span.result) = calls::describe_ending(ending);
    }

    /// The timeline of the run, which ended now.
    pub(crate) fn finish(
        &mut self,
        now: Instant,
        violation: Option<&Violation>,
    ) -> Option<Box<Timeline>> {
        let mut timeline = self.0.take()?.timeline;
        timeline.end = number(now);
        for state in &mut timeline.states {
            state.to = state.to.min(timeline.end);
        }
        timeline.states.retain(|state| state.from < state.to || state.to == timeline.end);
        for cut in &mut timeline.cuts {
            cut.to = cut.to.min(timeline.end);
        }
        let timeline = Box::new(timeline);
        Some(match violation {
            Some(violation) => timeline.broken_by(violation),
            None => timeline,
        })
    }
}

impl Notes {
    fn mark(&mut self, now: Instant, place: usize, kind: MarkKind, text: String) {
        let (member, at) = (place as u64 + 1, number(now));
        self.timeline.marks.push(Mark { member, at, kind, text });
    }

    fn state(
        &mut self,
        now: Instant,
        place: usize,
        kind: StateKind,
        term: u64,
        until: Instant,
    ) -> usize {
        let (member, from, to) = (place as u64 + 1, number(now), number(until));
        self.timeline.states.push(State { member, kind, term, from, to });
        self.timeline.states.len() - 1
    }

    /// A member comes to be something else than before.
    fn enter(&mut self, now: Instant, place: usize, kind: StateKind, term: u64) {
        let state = self.state(now, place, kind, term, Instant::MAX);
        if let Some(before) = self.present.insert(place, state) {
            self.close(before, now);
        }
        if kind == StateKind::Down {
            // It is neither paused nor slow any more in a way that anybody could see.
            for state in &mut self.timeline.states {
                if state.member == place as u64 + 1 && state.kind == StateKind::Paused {
                    state.to = state.to.min(number(now));
                }
            }
        }
    }

    fn close(&mut self, state: usize, now: Instant) {
        let state = &mut self.timeline.states[state];
        state.to = state.to.min(number(now));
    }
}

/// Who is cut off from whom: two groups if every link between them is cut, else the links.
fn describe_links(links: &[(u64, u64)]) -> String {
    let both = links.iter().all(|(from, to)| links.contains(&(*to, *from)));
    if let Some((first, _)) = links.first()
        && both
    {
        let far: Vec<u64> =
            links.iter().filter(|(from, _)| from == first).map(|(_, to)| *to).collect();
        let near: Vec<u64> =
            links.iter().filter(|(from, _)| *from == far[0]).map(|(_, to)| *to).collect();
        if links.len() == 2 * far.len() * near.len() {
            return format!("{} | {}", join(&near), join(&far));
        }
    }
    let shown: Vec<String> = links.iter().map(|(from, to)| format!("{from} > {to}")).collect();
    shown.join(", ")
}

fn join(members: &[u64]) -> String {
    members.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// Fields of faults that hold the place of a member.
const FIELDS_OF_PLACES: [&str; 5] = ["from", "to", "asked", "follower", "middle"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_by_its_groups() {
        let apart = |group: &[u64], all: u64| {
            let mut links = Vec::new();
            for from in 1..=all {
                for to in 1..=all {
                    if group.contains(&from) != group.contains(&to) {
                        links.push((from, to));
                    }
                }
            }
            links
        };
        assert_eq!(describe_links(&apart(&[2], 3)), "1 3 | 2");
        assert_eq!(describe_links(&apart(&[1, 4], 5)), "1 4 | 2 3 5");
        assert_eq!(describe_links(&[(1, 3)]), "1 > 3");
        assert_eq!(describe_links(&[(1, 2), (2, 1), (2, 3)]), "1 > 2, 2 > 1, 2 > 3");
        assert_eq!(describe_links(&[]), "");
    }

    #[test]
    fn states_follow_each_other_without_gaps() {
        let at = Instant::from_nanos;
        let mut recorder = Recorder::new(true, 1, 1);
        recorder.opened(at(0), 0, 0);
        recorder.role(at(5), 0, Role::Leader, 1);
        recorder.role(at(6), 0, Role::Leader, 1);
        recorder.paused(at(7), 0, at(20));
        recorder.crashed(at(9), 0);
        recorder.opened(at(12), 0, 1);
        let timeline = recorder.finish(at(15), None).expect("it was on");
        let states: Vec<_> =
            timeline.states.iter().map(|state| (state.kind, state.from, state.to)).collect();
        let expected = [
            (StateKind::Follower, 0, 5),
            (StateKind::Leader, 5, 9),
            (StateKind::Paused, 7, 9),
            (StateKind::Down, 9, 12),
            (StateKind::Follower, 12, 15),
        ];
        assert_eq!(states, expected);
        assert_eq!(timeline.marks.len(), 2);
    }

    #[test]
    fn a_recorder_that_is_off_gives_nothing() {
        let mut recorder = Recorder::new(false, 1, 3);
        recorder.opened(Instant::ZERO, 0, 0);
        assert_eq!(recorder.finish(Instant::ZERO, None), None);
    }
}

//! A handful of cores, their disks and the messages between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use quorate_raft_node::core::{
    Append, Core, CoreConfig, CoreError, Fetch, Input, Outputs, Probe, ProposeError, Role,
    SnapshotOrder, Tuning,
};
use quorate_raft_node::{Membership, committed_entry, recover};
use quorate_storage::LogStore;
use quorate_storage::memory::MemoryLog;
use quorate_types::{ByteSize, CommandId, Instant, LogPosition, MemberId};

/// Longer than any election and any retry.
pub(crate) const LONG: Duration = Duration::from_secs(4);

const STEP: Duration = Duration::from_millis(10);

pub(crate) type Answer = Result<String, ProposeError>;

/// A member: core, disk, and a state machine that is a list of commands.
struct Member {
    id: MemberId,
    core: Core<String, String>,
    log: MemoryLog,
    applied: Vec<(CommandId, String)>,
    position: LogPosition,
    held: Option<Vec<Append>>,
    answers: Vec<Answer>,
    readable: Vec<String>,
    fetches: usize,
    /// The picture that was opened for each peer.
    opened: BTreeMap<MemberId, (LogPosition, Vec<(CommandId, String)>)>,
}

/// The content of a snapshot, on its way beside its head.
struct Staged {
    to: usize,
    position: LogPosition,
    content: Vec<(CommandId, String)>,
}

pub(crate) struct Cluster {
    members: Vec<Member>,
    messages: BTreeMap<(usize, usize), VecDeque<Bytes>>,
    staged: Vec<Staged>,
    away: BTreeSet<usize>,
    /// Members whose clock stands still, and since when.
    frozen: BTreeMap<usize, Instant>,
    now: Instant,
    tuning: Tuning,
}

impl Cluster {
    pub(crate) fn new(count: u64) -> Self {
        Self::with_cache_size(count, 1 << 20)
    }

    pub(crate) fn with_cache_size(count: u64, cache: u64) -> Self {
        let tuning = Tuning {
            log_cache_size: ByteSize::new(cache),
            log_keep_entries: if cache < 1_000 { 1_000 } else { 5 },
            flush_after_entries: 20,
            ..Tuning::default()
        };
        let mut cluster = Self {
            members: Vec::new(),
            messages: BTreeMap::new(),
            staged: Vec::new(),
            away: BTreeSet::new(),
            frozen: BTreeMap::new(),
            now: Instant::ZERO,
            tuning,
        };
        for id in 1..=count {
            let member = cluster.open(id, count);
            cluster.members.push(member);
        }
        cluster
    }

    fn open(&self, id: u64, count: u64) -> Member {
        self.open_with(MemoryLog::new(), id, count)
    }

    fn open_with(&self, mut log: MemoryLog, id: u64, count: u64) -> Member {
        let found = recover(&mut log, LogPosition::default(), &Bytes::new()).expect("a sound log");
        let config = CoreConfig {
            member: MemberId::new(id),
            incarnation: log.begin().expect("no fault"),
            initial_membership: Membership::of_voters((1..=count).map(MemberId::new)),
            seed: id,
            tuning: self.tuning.clone(),
        };
        Member {
            id: MemberId::new(id),
            core: Core::open(config, found, self.now).expect("a sound start"),
            log,
            applied: Vec::new(),
            position: LogPosition::default(),
            held: None,
            answers: Vec::new(),
            readable: Vec::new(),
            fetches: 0,
            opened: BTreeMap::new(),
        }
    }

    // What a test does.

    pub(crate) fn propose(&mut self, member: usize, command: &str) {
        let deadline = self.now + Duration::from_secs(10);
        let payload = Bytes::copy_from_slice(command.as_bytes());
        let ticket = command.to_owned();
        self.input(member, Input::Propose { ticket, payload, deadline });
    }

    pub(crate) fn read(&mut self, member: usize, ticket: &str) {
        self.ask_to_read(member, ticket, false);
    }

    pub(crate) fn read_by_lease(&mut self, member: usize, ticket: &str) {
        self.ask_to_read(member, ticket, true);
    }

    fn ask_to_read(&mut self, member: usize, ticket: &str, lease: bool) {
        let deadline = self.now + Duration::from_secs(10);
        self.input(member, Input::Read { ticket: ticket.to_owned(), deadline, lease });
    }

    pub(crate) fn transfer(&mut self, member: usize, to: usize) {
        let to = self.members[to].id;
        self.input(member, Input::TransferLeader { to });
    }

    pub(crate) fn deliver(&mut self, from: usize, to: usize, message: &Bytes) {
        let from = self.members[from].id;
        self.input(to, Input::Message { from, message: message.clone() });
    }

    pub(crate) fn take_messages(&mut self, from: usize, to: usize) -> Vec<Bytes> {
        self.messages.remove(&(from, to)).unwrap_or_default().into()
    }

    pub(crate) fn cut(&mut self, member: usize) {
        self.away.insert(member);
    }

    /// The member's clock stands still from now on.
    pub(crate) fn freeze(&mut self, member: usize) {
        self.frozen.insert(member, self.now);
    }

    fn time_of(&self, member: usize) -> Instant {
        self.frozen.get(&member).copied().unwrap_or(self.now)
    }

    pub(crate) fn heal(&mut self) {
        self.away.clear();
    }

    pub(crate) fn hold_disk(&mut self, member: usize) {
        self.members[member].held = Some(Vec::new());
    }

    pub(crate) fn release_disk(&mut self, member: usize) {
        for append in self.members[member].held.take().expect("held") {
            self.append(member, append).expect("the member goes on");
        }
    }

    /// The member comes back with its old name and an empty disk.
    pub(crate) fn replace_disk(&mut self, member: usize) {
        let id = self.members[member].id.get();
        self.members[member] = self.open(id, self.members.len() as u64);
    }

    /// The member begins another life with what its log holds.
    pub(crate) fn restart(&mut self, member: usize) {
        let log = std::mem::replace(&mut self.members[member].log, MemoryLog::new());
        let id = self.members[member].id.get();
        self.members[member] = self.open_with(log, id, self.members.len() as u64);
    }

    // What a test looks at.

    pub(crate) fn answers(&self, member: usize) -> Vec<Answer> {
        self.members[member].answers.clone()
    }

    pub(crate) fn readable(&self, member: usize) -> Vec<String> {
        self.members[member].readable.clone()
    }

    pub(crate) fn applied(&self, member: usize) -> Vec<String> {
        self.members[member].applied.iter().map(|(_, command)| command.clone()).collect()
    }

    pub(crate) fn probe(&self, member: usize) -> Probe {
        self.members[member].core.probe()
    }

    pub(crate) fn role(&self, member: usize) -> Role {
        self.probe(member).role
    }

    pub(crate) fn fetches(&self, member: usize) -> usize {
        self.members[member].fetches
    }

    // Time.

    pub(crate) fn elect(&mut self) -> usize {
        let all: Vec<usize> = (0..self.members.len()).collect();
        self.elect_among(&all)
    }

    pub(crate) fn elect_among(&mut self, members: &[usize]) -> usize {
        for _ in 0..1_000 {
            self.step_time().expect("nobody stops");
            let leader = members.iter().find(|member| self.role(**member) == Role::Leader);
            if let Some(leader) = leader {
                self.settle();
                return *leader;
            }
        }
        panic!("nobody was elected");
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step_time().expect("nobody stops");
        }
    }

    /// Lets a little time pass and delivers everything.
    pub(crate) fn step_time(&mut self) -> Result<(), (usize, CoreError)> {
        self.now += STEP;
        for member in 0..self.members.len() {
            self.poll(member).map_err(|error| (member, error))?;
        }
        self.exchange()
    }

    /// Delivers everything at one moment.
    pub(crate) fn settle(&mut self) {
        self.exchange().expect("nobody stops");
    }

    fn exchange(&mut self) -> Result<(), (usize, CoreError)> {
        while let Some(((from, to), message)) = self.next_message() {
            let from = self.members[from].id;
            let input = Input::Message { from, message };
            self.try_input(to, input).map_err(|error| (to, error))?;
        }
        Ok(())
    }

    fn next_message(&mut self) -> Option<((usize, usize), Bytes)> {
        self.messages.retain(|(from, to), queue| {
            let cut = self.away.contains(from) || self.away.contains(to);
            !cut && !queue.is_empty()
        });
        let (link, queue) = self.messages.iter_mut().next()?;
        Some((*link, queue.pop_front()?))
    }

    // The driver.

    fn input(&mut self, member: usize, input: Input<String, String>) {
        self.try_input(member, input).expect("the member goes on");
    }

    fn try_input(&mut self, member: usize, input: Input<String, String>) -> Result<(), CoreError> {
        let now = self.time_of(member);
        self.members[member].core.handle(input, now)?;
        self.poll(member)
    }

    fn poll(&mut self, member: usize) -> Result<(), CoreError> {
        let now = self.time_of(member);
        let outputs = self.members[member].core.poll(now)?;
        self.carry_out(member, outputs)
    }

    fn carry_out(
        &mut self,
        index: usize,
        outputs: Outputs<String, String>,
    ) -> Result<(), CoreError> {
        self.send(index, outputs.messages);
        let member = &mut self.members[index];
        member.answers.extend(outputs.answers.into_iter().map(|(_, answer)| answer));
        member.readable.extend(outputs.readable);
        for append in outputs.appends {
            match &mut self.members[index].held {
                Some(held) => held.push(append),
                None => self.append(index, append)?,
            }
        }
        self.apply(index, outputs.apply)?;
        if let Some(install) = outputs.install {
            let staged = self.staged.swap_remove(install.id as usize);
            assert_eq!((staged.to, staged.position), (index, install.position));
            self.members[index].applied = staged.content;
            self.members[index].position = staged.position;
            self.try_input(index, Input::Installed { position: install.position })?;
        }
        for fetch in outputs.fetches {
            self.fetch(index, fetch)?;
        }
        for order in outputs.snapshots {
            self.snapshot(index, order)?;
        }
        if let Some(position) = outputs.flush {
            self.try_input(index, Input::Flushed { position })?;
        }
        if let Some(through) = outputs.purge {
            self.members[index].log.purge(through).expect("no fault");
        }
        Ok(())
    }

    fn send(&mut self, from: usize, messages: Vec<quorate_raft_node::core::Outbound>) {
        for outbound in messages {
            let to = usize::try_from(outbound.to.get() - 1).expect("small");
            self.messages.entry((from, to)).or_default().push_back(outbound.message);
        }
    }

    fn append(&mut self, index: usize, append: Append) -> Result<(), CoreError> {
        self.members[index].log.append(&append.batch, append.sync).expect("no fault");
        self.send(index, append.then_send);
        self.try_input(index, Input::Appended { number: append.number })
    }

    fn apply(
        &mut self,
        index: usize,
        entries: Vec<quorate_storage::LogEntry>,
    ) -> Result<(), CoreError> {
        let Some(position) = entries.last().map(|entry| entry.position) else { return Ok(()) };
        let member = &mut self.members[index];
        let mut responses = Vec::new();
        for entry in entries {
            for command in committed_entry(entry).expect("sound entries").commands {
                if member.applied.iter().all(|(id, _)| *id != command.id) {
                    let text = String::from_utf8(command.payload.to_vec()).expect("text");
                    member.applied.push((command.id, text.clone()));
                    responses.push((command.id, text));
                }
            }
        }
        member.position = position;
        self.try_input(index, Input::Applied { position, responses })
    }

    fn fetch(&mut self, index: usize, fetch: Fetch) -> Result<(), CoreError> {
        let Fetch { id, first, end, bytes_max } = fetch;
        let member = &mut self.members[index];
        member.fetches += 1;
        let entries = member.log.reader().entries(first, end, bytes_max).unwrap_or_default();
        self.try_input(index, Input::Fetched { id, entries })
    }

    fn snapshot(&mut self, index: usize, order: SnapshotOrder) -> Result<(), CoreError> {
        let member = &mut self.members[index];
        match order {
            SnapshotOrder::Open { to } => {
                let position = member.position;
                member.opened.insert(to, (position, member.applied.clone()));
                let membership = Bytes::new();
                self.try_input(index, Input::SnapshotOpened { to, position, membership })
            }
            SnapshotOrder::Send { to, head } => {
                let (position, content) = member.opened.remove(&to).expect("opened before");
                let (from, receiver) = (member.id, usize::try_from(to.get() - 1).expect("small"));
                let id = self.staged.len() as u64;
                self.staged.push(Staged { to: receiver, position, content });
                let staged = Input::SnapshotStaged { id, from, head, position };
                self.try_input(receiver, staged)?;
                self.try_input(index, Input::SnapshotSent { to, delivered: true })
            }
            SnapshotOrder::Close { to } => {
                member.opened.remove(&to);
                Ok(())
            }
        }
    }
}

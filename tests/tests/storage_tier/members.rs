//! Three whole members in one child process that is killed while clients write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use quorate::hub::Hub;
use quorate::{ByteSize, Cluster, CompactionRequest, Config, Node, PutRequest, Range};
use quorate_types::SplitMix64;
use tempfile::TempDir;

use super::process::{Child, end_after, is_child, planned, say, wait_for_the_end};

/// What the clients know: for each, the last number that was acknowledged and at which revision.
#[derive(Default)]
struct Acknowledged {
    numbers: BTreeMap<usize, u64>,
    revision: i64,
    puts: usize,
    /// How many compactions were acknowledged, and the revision of the last.
    compactions: usize,
    compact_revision: i64,
}

#[test]
fn members_that_are_killed_keep_every_acknowledged_put() {
    if is_child(NAME) {
        return live();
    }
    let folder = TempDir::new().expect("a temporary folder");
    let mut random = SplitMix64::new(SEED);
    let mut acknowledged = Acknowledged::default();
    for _ in 0..KILLS {
        let plan = [("FOLDER", folder.path().display().to_string()), ("WRITES", "yes".to_owned())];
        let mut child = Child::start(NAME, &plan, None);
        read_report(&mut child, &mut acknowledged);
        let target = acknowledged.puts + random.below(PUTS_BEFORE_KILL_MAX) as usize;
        while acknowledged.puts < target {
            acknowledged.note(&child.line().expect("the child runs until it is killed"));
        }
        thread::sleep(Duration::from_micros(random.below(KILL_US_MAX)));
        child.kill();
        while let Some(line) = child.line() {
            acknowledged.note(&line);
        }
    }
    let plan = [("FOLDER", folder.path().display().to_string()), ("WRITES", "no".to_owned())];
    read_report(&mut Child::start(NAME, &plan, None), &mut acknowledged);
    let Acknowledged { puts, compactions, .. } = acknowledged;
    println!("{KILLS} kills of three members, {puts} acknowledged puts, {compactions} compactions");
    assert!(puts > KILLS * 10 && compactions >= KILLS, "{puts} puts, {compactions} compactions");
}

impl Acknowledged {
    /// Takes in one line of a writer: who, which number, which revision.
    fn note(&mut self, line: &str) {
        if let Some(revision) = line.strip_prefix("compacted ") {
            self.compactions += 1;
            self.compact_revision = revision.parse().expect("a number");
        }
        let Some(fields) = line.strip_prefix("put ") else { return };
        let fields: Vec<i64> =
            fields.split(' ').map(|field| field.parse().expect("numbers")).collect();
        let [writer, number, revision] = fields[..] else { panic!("not a put: {line}") };
        let writer = usize::try_from(writer).expect("a small number");
        self.numbers.insert(writer, u64::try_from(number).expect("a count"));
        self.revision = self.revision.max(revision);
        self.puts += 1;
    }
}

/// Reads what the child found after opening, and checks it.
fn read_report(child: &mut Child, acknowledged: &mut Acknowledged) {
    let mut hashes = Vec::new();
    loop {
        let line = child.line().expect("the child reports before it ends");
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            ["found", writer, count, last] => {
                let writer = writer.parse().expect("a number");
                let (count, last): (u64, u64) =
                    (count.parse().expect("a number"), last.parse().expect("a number"));
                let known = acknowledged.numbers.entry(writer).or_default();
                // One put was under way; nobody was told of it.
                assert!(
                    (*known..=*known + 1).contains(&last),
                    "writer {writer} was told of {known}, found is {last}"
                );
                assert_eq!(count, last, "writer {writer} misses keys before the last");
                *known = last;
            }
            ["revision", revision] => {
                let revision: i64 = revision.parse().expect("a number");
                let known = acknowledged.revision;
                assert!(revision >= known, "revision {revision} after {known}");
                acknowledged.revision = revision;
            }
            ["hash", _, _, compact_revision] => {
                let compact_revision: i64 = compact_revision.parse().expect("a number");
                // -1 before the first.
                let compact_revision = compact_revision.max(0);
                let known = acknowledged.compact_revision;
                assert!(compact_revision >= known, "compacted to {compact_revision}, told {known}");
                hashes.push(line);
            }
            ["ready"] => break,
            _ => {}
        }
    }
    assert_eq!(hashes.len(), NAMES.len());
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

/// The child: opens the members, reports what they hold, and writes until it is killed.
fn live() {
    end_after(CHILD_LIFE_MAX);
    let (folder, hub) = (PathBuf::from(planned("FOLDER")), Hub::new());
    let nodes = NAMES.map(|name| Node::open(config(&folder, name, &hub)).expect("opens"));
    say("");
    let mut revision = 0;
    let mut next = Vec::new();
    // Each member has one writer.
    for (writer, node) in nodes.iter().enumerate() {
        let range = Range::prefix(format!("{writer}/")).keys_only();
        let found = node.range(range).wait().expect("read");
        let last = found.kvs.last().map_or(0, |kv| {
            let key = String::from_utf8_lossy(&kv.key).into_owned();
            let number = key.split('/').nth(1).expect("a writer and a number");
            number.parse().expect("a number")
        });
        say(&format!("found {writer} {} {last}", found.count));
        revision = revision.max(found.header.expect("sent").revision);
        next.push(last + 1);
    }
    say(&format!("revision {revision}"));
    for node in &nodes {
        // A linearizable read first: the member may have more to apply.
        node.range(Range::all().count_only()).wait().expect("read");
        let hash = node.hash(revision).wait().expect("hash");
        say(&format!("hash {} {} {}", hash.hash, hash.revision, hash.compact_revision));
    }
    say("ready");
    if planned("WRITES") == "yes" {
        thread::scope(|scope| {
            for (writer, first) in next.into_iter().enumerate() {
                let client = nodes[writer].client();
                scope.spawn(move || write(&client, writer, first));
            }
            let client = nodes[0].client();
            scope.spawn(move || churn(&client));
        });
    }
    wait_for_the_end();
}

fn write(client: &quorate::Client, writer: usize, first: u64) {
    for number in first.. {
        let key = format!("{writer}/{number:08}");
        // What has an unknown outcome is written again: a writer does not leave a number out.
        let response = loop {
            if let Ok(response) = client.put(key.clone(), vec![b'v'; VALUE_SIZE]).wait() {
                break response;
            }
        };
        say(&format!("put {writer} {number} {}", response.header.expect("sent").revision));
    }
}

/// Writes over a few keys, on a lease each time, deletes some, and compacts, so that a kill comes
/// while what is superseded is being removed.
fn churn(client: &quorate::Client) {
    for round in 0.. {
        let _unknown = churn_once(client, round).map(|revision| {
            say(&format!("compacted {revision}"));
        });
    }
}

fn churn_once(client: &quorate::Client, round: u64) -> Result<i64, quorate::Error> {
    let lease = client.lease_grant(600).wait()?.id;
    let key = |number: u64| format!("churn/{:02}", number % CHURN_KEYS);
    let mut revision = 0;
    for number in 0..CHURN_PUTS {
        let put = PutRequest::new(key(round + number), vec![b'c'; VALUE_SIZE]);
        let response = client.put_with(PutRequest { lease, ..put }).wait()?;
        revision = response.header.expect("sent").revision;
    }
    client.delete(key(round)).wait()?;
    client.lease_revoke(lease).wait()?;
    let physical = round.is_multiple_of(2);
    client.compact_with(CompactionRequest { revision, physical }).wait()?;
    Ok(revision)
}

/// Flushes and purges come as often as possible, elections soon.
fn config(folder: &Path, name: &str, hub: &Hub) -> Config {
    let config = Config::new(folder.join(name)).named(name).in_process(hub);
    let mut config = config.cluster(Cluster::of_names("test", NAMES));
    config.heartbeat_interval = Duration::from_millis(50);
    config.election_timeout = Duration::from_millis(300);
    config.request_timeout = Duration::from_secs(30);
    config.flush_after_size = ByteSize::kib(64);
    config.log_keep_entries = 10;
    config
}

const NAME: &str = "storage_tier::members::members_that_are_killed_keep_every_acknowledged_put";
const NAMES: [&str; 3] = ["a", "b", "c"];
const KILLS: usize = 24;
const SEED: u64 = 0x3e3b;
const PUTS_BEFORE_KILL_MAX: u64 = 300;
const KILL_US_MAX: u64 = 3_000;
const VALUE_SIZE: usize = 400;
const CHURN_KEYS: u64 = 20;
const CHURN_PUTS: u64 = 4;
const CHILD_LIFE_MAX: Duration = Duration::from_secs(90);

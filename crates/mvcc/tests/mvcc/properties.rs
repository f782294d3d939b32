//! Random commands: against the model, in different portions, retried, and over crashes.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use quorate_kv_api::{Command as KvCommand, PutRequest, RangeRequest};
use quorate_mvcc::{Entry, Outcome, RequestError, Store};
use quorate_types::{ByteSize, LogIndex};

use crate::generate::{any_command, command, config, range, read_txn};
use crate::harness::{dump, engine, entry, hash, id, numbered, open};
use crate::model::Model;

/// Splits entries into runs of the given lengths, and applies them.
fn apply_in_runs(store: &mut Store, entries: &[Entry], lengths: &[usize]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut rest = entries;
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (run, later) = rest.split_at(length.min(rest.len()));
        store.apply(run, &mut outcomes).expect("memory does not fail");
        rest = later;
    }
    outcomes
}

/// Packs commands into entries of the given lengths, from index 1 on.
pub(crate) fn pack(commands: &[KvCommand], lengths: &[usize]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut packed = 0;
    for &length in lengths.iter().cycle() {
        if packed == commands.len() {
            break;
        }
        let portion = &commands[packed..(packed + length).min(commands.len())];
        let portion = (packed as u64 + 1..)
            .zip(portion)
            .map(|(sequence, command)| numbered(sequence, command));
        entries.push(entry(entries.len() as u64 + 1, portion.collect()));
        packed = (packed + length).min(commands.len());
    }
    entries
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..6, 1..4)
}

fn check_reads(store: &Store, model: &Model, ranges: &[RangeRequest]) {
    for request in ranges {
        let found = match store.reader().range(request) {
            Ok(response) => Ok(response),
            Err(RequestError::Refused(cause)) => Err(cause),
            Err(failure) => panic!("memory does not fail: {failure}"),
        };
        assert_eq!(found, model.range(request), "{request:?}");
    }
}

fn check_hashes(store: &Store, model: &Model) {
    for revision in model.compacted().max(1)..=model.revision() {
        assert_eq!(hash(store, revision), model.hash(revision), "at revision {revision}");
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn responses_equal_the_model(
        commands in prop::collection::vec(command(), 0..40),
        (per_entry, per_run) in (lengths(), lengths()),
        ranges in prop::collection::vec(range(), 12),
        txns in prop::collection::vec(read_txn(), 4),
    ) {
        let engine = engine();
        let mut model = Model::new();
        let mut answered = 0;
        let mut rest = &pack(&commands, &per_entry)[..];
        for length in per_run.into_iter().cycle() {
            let (run, later) = rest.split_at(length.min(rest.len()));
            // Opened anew for each run: nothing but the tables lasts.
            let mut store = open(&engine);
            let mut outcomes = Vec::new();
            store.apply(run, &mut outcomes).expect("memory does not fail");
            for outcome in outcomes {
                let command = &commands[answered];
                answered += 1;
                prop_assert_eq!(outcome.id, id(answered as u64));
                prop_assert_eq!(outcome.result, model.apply(command), "{:?}", command);
            }
            prop_assert_eq!(store.reader().revision(), model.revision());
            check_reads(&store, &model, &ranges);
            rest = later;
            if rest.is_empty() {
                check_hashes(&store, &model);
                for txn in &txns {
                    let found = store.reader().txn(txn).map_err(|error| error.to_string());
                    let expected = model.read_txn(txn);
                    let expected = expected.map_err(|cause| RequestError::from(cause).to_string());
                    prop_assert_eq!(found, expected, "{:?}", txn);
                }
                break;
            }
        }
        prop_assert_eq!(answered, commands.len());
    }

    #[test]
    fn portions_do_not_matter(
        commands in prop::collection::vec(any_command(), 1..40),
        first in (lengths(), lengths()),
        second in (lengths(), lengths()),
    ) {
        let mut results = Vec::new();
        for (per_entry, per_run) in [first, second] {
            let engine = engine();
            let mut store = open(&engine);
            let mut entries = pack(&commands, &per_entry);
            // The applied position is to be the same in the end.
            entries.push(entry(1000, vec![]));
            let outcomes = apply_in_runs(&mut store, &entries, &per_run);
            results.push((outcomes, dump(&engine), hash(&store, 0)));
        }
        prop_assert_eq!(&results[0], &results[1]);
    }

    #[test]
    fn remembered_versions_do_not_matter(
        commands in prop::collection::vec(any_command(), 1..60),
        (per_entry, per_run) in (lengths(), lengths()),
    ) {
        let entries = pack(&commands, &per_entry);
        let mut results = Vec::new();
        // Nothing, one row, and all keys.
        for size in [Some(0), Some(1_000), None] {
            let engine = engine();
            let mut store = open(&engine);
            if let Some(size) = size {
                store = store.with_headers_size(ByteSize::new(size));
            }
            let outcomes = apply_in_runs(&mut store, &entries, &per_run);
            results.push((outcomes, dump(&engine), hash(&store, 0)));
        }
        prop_assert_eq!(&results[0], &results[1]);
        prop_assert_eq!(&results[0], &results[2]);
    }

    #[test]
    fn retries_apply_once(
        commands in prop::collection::vec(command(), 1..30),
        deliveries in prop::collection::vec(any::<prop::sample::Index>(), 60),
        per_run in lengths(),
    ) {
        // Each command comes at least once, somewhere among the others.
        let mut order: Vec<usize> = deliveries.iter().map(|d| d.index(commands.len())).collect();
        order.extend(0..commands.len());
        let mut finished = vec![false; commands.len()];
        let mut firsts = Vec::new();
        let mut entries = Vec::new();
        for (number, at) in order.into_iter().enumerate() {
            let floor = finished.iter().position(|done| !done).unwrap_or(finished.len());
            let mut command = numbered(at as u64 + 1, &commands[at]);
            command.floor = floor as u64 + 1;
            entries.push(entry(number as u64 + 1, vec![command]));
            if !finished[at] {
                finished[at] = true;
                firsts.push(at);
            }
        }
        let engine = engine();
        let mut store = open(&engine);
        let outcomes = apply_in_runs(&mut store, &entries, &per_run);
        prop_assert_eq!(outcomes.len(), commands.len());
        let mut model = Model::new();
        for (outcome, at) in outcomes.into_iter().zip(firsts) {
            prop_assert_eq!(outcome.id, id(at as u64 + 1));
            prop_assert_eq!(outcome.result, model.apply(&commands[at]));
        }
        check_hashes(&store, &model);
    }

    #[test]
    fn crashes_lose_nothing_that_is_replayed(
        commands in prop::collection::vec(command(), 1..40),
        per_run in lengths(),
        crashes in prop::collection::vec((1usize..8, any::<bool>(), 0usize..6), 1..6),
    ) {
        let entries = pack(&commands, &[2, 1, 3]);
        let calm = engine();
        let mut store = open(&calm);
        apply_in_runs(&mut store, &entries, &[1]);

        let engine = engine();
        for (count, flush, kept) in crashes {
            let mut store = open(&engine);
            let end = entries.len().min(store.applied().index.get() as usize + count);
            apply_in_runs(&mut store, &entries[..end], &per_run);
            if flush {
                quorate_storage::Engine::flush(&engine).expect("memory does not fail");
            }
            drop(store);
            engine.crash_keeping(kept);
        }
        let mut store = open(&engine);
        apply_in_runs(&mut store, &entries, &per_run);
        prop_assert_eq!(store.applied().index, LogIndex::new(entries.len() as u64));
        prop_assert_eq!(dump(&engine), dump(&calm));
    }

    #[test]
    fn bytes_that_are_no_command_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut store = open(&engine());
        let mut entry = entry(1, vec![numbered(1, &KvCommand::default())]);
        entry.commands[0].payload = Bytes::from(bytes);
        let mut outcomes = Vec::new();
        store.apply(&[entry], &mut outcomes).expect("memory does not fail");
        prop_assert_eq!(outcomes.len(), 1);
    }
}

#[test]
fn many_versions_of_few_keys() {
    let mut commands = Vec::new();
    for round in 0..120u32 {
        for key in ["a", "a\0", "b"] {
            commands.push(KvCommand::from(PutRequest::new(key, round.to_string())));
        }
    }
    let mut store = open(&engine());
    apply_in_runs(&mut store, &pack(&commands, &[7]), &[3]);
    let mut model = Model::new();
    for command in &commands {
        model.apply(command).expect("puts are accepted");
    }
    let at = |revision, range_end: &'static str| RangeRequest {
        revision,
        range_end: range_end.into(),
        ..RangeRequest::key("a")
    };
    let ranges: Vec<_> =
        (1..=model.revision()).flat_map(|revision| [at(revision, ""), at(revision, "c")]).collect();
    check_reads(&store, &model, &ranges);
}

#[test]
fn commands_that_are_too_deep_are_refused_alike() {
    use quorate_kv_api::{KvError, TxnRequest};
    let mut txn = TxnRequest::default();
    for _ in 0..200 {
        txn = TxnRequest { success: vec![txn.into()], ..TxnRequest::default() };
    }
    let payload = KvCommand::from(txn).encode_to_vec();
    let mut store = open(&engine());
    let mut entry = entry(1, vec![numbered(1, &KvCommand::default())]);
    entry.commands[0].payload = payload.into();
    let mut outcomes = Vec::new();
    store.apply(&[entry], &mut outcomes).unwrap();
    assert_eq!(outcomes[0].result, Err(KvError::MalformedCommand));
}

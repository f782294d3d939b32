//! The model by itself, and against the production store.

use std::sync::Arc;

use quorate_kv_api::{Compare, CompareResult, LeaseTimeToLiveRequest, Limits, TargetUnion};
use quorate_mvcc::{Command as LogCommand, Entry, RequestError, Store};
use quorate_types::{Instant, LogIndex, LogPosition, MemberId, Term};

use super::*;
use crate::checkers::history::Call;
use crate::effect::{Answer, Found, Seen};
use crate::machine::new_engine;
use crate::plan::draw::Mix;
use crate::rng::{Purpose, Stream};
use crate::state::{changes, logical_hash};

fn id(incarnation: u64, sequence: u64) -> CommandId {
    CommandId { origin: MemberId::new(1), incarnation, sequence }
}

fn bytes(command: impl Into<Command>) -> Bytes {
    command.into().encode_to_vec().into()
}

fn put(model: &mut Model, sequence: u64, key: &'static str) -> Option<Outcome> {
    model.apply(1, id(1, sequence), 1, &bytes(PutRequest::new(key, "v")))
}

fn put_at(revision: i64) -> Option<Outcome> {
    let header = Some(ResponseHeader::at(revision));
    let result = Ok(Response::Put(PutResponse { header, prev_kv: None }));
    Some(Outcome { result, changed: true })
}

#[test]
fn each_change_makes_one_revision_and_no_change_makes_none() {
    let mut model = Model::new();
    assert_eq!(put(&mut model, 1, "a"), put_at(2));
    assert_eq!(put(&mut model, 2, "a"), put_at(3));
    let outcome = model.apply(1, id(1, 3), 1, &bytes(DeleteRangeRequest::key("b")));
    let header = Some(ResponseHeader::at(3));
    let nothing = DeleteRangeResponse { header, deleted: 0, prev_kvs: vec![] };
    let expected = Outcome { result: Ok(Response::DeleteRange(nothing)), changed: false };
    assert_eq!(outcome, Some(expected));
    let kv = model.keys().next().expect("one key");
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 2));
}

#[test]
fn a_command_is_applied_once_and_not_after_its_end() {
    let mut model = Model::new();
    assert!(put(&mut model, 1, "a").is_some());
    assert!(put(&mut model, 1, "a").is_none());
    let late = bytes(PutRequest::new("a", "v"));
    assert!(model.apply(1, id(1, 9), 5, &late).is_some());
    assert!(model.apply(1, id(1, 4), 1, &late).is_none());
    assert!(model.apply(1, id(2, 1), 1, &late).is_some());
    assert!(model.apply(1, id(1, 10), 5, &late).is_none());
}

#[test]
fn a_transaction_sees_the_state_before_and_then_its_own_writes() {
    let mut model = Model::new();
    put(&mut model, 1, "a");
    let txn = TxnRequest {
        compare: vec![Compare::key("a", CompareResult::Equal, TargetUnion::Version(1))],
        success: vec![PutRequest::new("a", "w").into(), RangeRequest::key("a").into()],
        failure: vec![RangeRequest::key("a").into()],
    };
    let mut taken = |sequence| match model.apply(1, id(1, sequence), 1, &bytes(txn.clone())) {
        Some(Outcome { result: Ok(Response::Txn(txn)), .. }) => txn,
        other => panic!("{other:?}"),
    };
    let first = taken(2);
    assert_eq!((first.header, first.succeeded), (header(3), true));
    let Some(OpResponse::Range(range)) = &first.responses[1].response else { panic!("no range") };
    assert_eq!((&range.kvs[0].value[..], range.header), (&b"w"[..], header(3)));
    let second = taken(3);
    assert_eq!((second.header, second.succeeded, second.responses.len()), (header(3), false, 1));
}

/// The production store without a cluster, beside the model.
struct Pair {
    store: Store,
    model: Model,
    seen: Seen,
    index: u64,
    /// How many requests were refused by their shape, by the state machine, and carried out.
    refused: [u64; 3],
}

impl Pair {
    fn new() -> Self {
        let store = Store::open(Arc::new(new_engine())).expect("a fresh engine is a store");
        Self { store, model: Model::new(), seen: Seen::default(), index: 0, refused: [0; 3] }
    }

    /// Lets both carry out one request, which must come out the same.
    fn check(&mut self, call: &Call, limits: &Limits) {
        match call {
            Call::Write(payload) => {
                let command = Command::decode(payload.clone()).expect("requests are commands");
                let told = command.validate(limits);
                assert_eq!(told, check_command(&command, limits), "{command:?}");
                self.refused[0] += u64::from(told.is_err());
                // What is refused is carried out all the same, because members may have other
                // limits; but no limits permit an empty key.
                if told != Err(KvError::EmptyKey) {
                    self.write(payload);
                }
            }
            Call::Range(read) => {
                let range = &read.range;
                let told = range.validate(limits);
                assert_eq!(told, check_range(range), "{range:?}");
                self.refused[0] += u64::from(told.is_err());
                if told.is_ok() {
                    let reader = self.store.reader();
                    let found = match read.is_part {
                        true => reader.range_part(range),
                        false => reader.range(range),
                    };
                    let found = found.map(Found::Range);
                    let expected = self.model.range(
                        range,
                        self.model.revision(),
                        self.model.compact_revision(),
                    );
                    let part = |mut found: RangeResponse| {
                        if read.is_part {
                            found.count = found.kvs.len() as i64;
                        }
                        Found::Range(found)
                    };
                    self.read(call, found, expected.map(part));
                }
            }
            Call::ReadTxn(txn) => {
                let told = txn.validate(limits);
                assert_eq!(told, check_txn(txn, limits), "{txn:?}");
                self.refused[0] += u64::from(told.is_err());
                if told.is_ok() {
                    let found = self.store.reader().txn(txn).map(Found::Txn);
                    let expected = self.model.read_txn(
                        txn,
                        self.model.revision(),
                        self.model.compact_revision(),
                    );
                    self.read(call, found, expected.map(Found::Txn));
                }
            }
            Call::LeaseTimeToLive(request) => self.check_time_to_live(request),
            Call::Leases => self.check_leases(),
            Call::Alarms => assert_eq!(self.store.reader().alarms(), self.model.alarms()),
            Call::Watch(_) | Call::WatchNow(_) | Call::Swept(_) => {}
            Call::Hash(revision) => {
                let found = self.store.reader().hash(*revision).map(Found::Hash);
                let expected = self.model.hash(
                    *revision,
                    self.model.revision(),
                    self.model.compact_revision(),
                );
                self.read(call, found, expected.map(Found::Hash));
            }
        }
    }

    fn present_leases(&self) -> &[(i64, i64)] {
        let known = self.model.leases_at(self.model.revision());
        known.last().expect("one state is the present one")
    }

    fn check_leases(&self) {
        let found = self.store.reader().leases(Instant::ZERO);
        let mut ids: Vec<i64> = found.leases.iter().map(|lease| lease.id).collect();
        ids.sort_unstable();
        assert!(self.present_leases().iter().map(|(id, _)| *id).eq(ids));
    }

    fn check_time_to_live(&self, request: &LeaseTimeToLiveRequest) {
        let found = self.store.reader().time_to_live(request, Instant::ZERO);
        let found = found.expect("the engine works");
        let known = self.present_leases().iter().find(|(id, _)| *id == request.id);
        let expected = known.map_or((-1, 0), |(_, granted)| (*granted, *granted));
        assert_eq!((found.ttl, found.granted_ttl), expected);
        let keys = match request.keys {
            true => self.model.attached(request.id, self.model.revision()),
            false => Vec::new(),
        };
        assert_eq!(found.keys, keys);
    }

    /// A sweep to the end leaves what it must, and no hash depends on it.
    fn check_sweep(&self) {
        let hashes = |pair: &Self| {
            let engine = &**pair.store.engine();
            let revisions = -1..=pair.model.revision();
            let told: Vec<_> =
                revisions.map(|revision| pair.store.reader().hash(revision).ok()).collect();
            (told, logical_hash(engine).expect("the engine works"))
        };
        let before = hashes(self);
        let sweeper = self.store.sweeper();
        while sweeper.step(2).expect("the engine works") {}
        assert_eq!(hashes(self), before);
        let left = changes(&**self.store.engine()).expect("the engine works");
        assert_eq!(left, self.model.left_by_sweeps());
    }

    fn write(&mut self, payload: &Bytes) {
        self.index += 1;
        let id = id(1, self.index);
        let commands = vec![LogCommand { id, floor: 1, payload: payload.clone() }];
        let index = LogIndex::new(self.index);
        let position = LogPosition::new(Term::new(1), index);
        let entry = Entry { position, commands, membership: None };
        let mut outcomes = Vec::new();
        self.store.apply(&[entry], &mut outcomes).expect("the engine works");
        let expected = self.model.apply(self.index, id, 1, payload).expect("it is new");
        let result = outcomes.pop().expect("it is new").result;
        assert_eq!(result, expected.result, "{:?}", Command::decode(payload.clone()));
        assert_eq!(self.store.reader().revision(), self.model.revision());
        self.refused[1] += u64::from(result.is_err());
        self.refused[2] += u64::from(result.is_ok());
        self.seen.learn_answer(&Answer { id, index, result });
    }

    fn read(
        &mut self,
        call: &Call,
        found: Result<Found, RequestError>,
        expected: Result<Found, KvError>,
    ) {
        let found = found.map_err(|error| match error {
            RequestError::Refused(cause) => cause,
            other => panic!("the engine works: {other}"),
        });
        assert_eq!(found, expected, "{call:?}");
        self.refused[1] += u64::from(found.is_err());
        self.refused[2] += u64::from(found.is_ok());
        if let Ok(found) = &found {
            self.seen.learn_found(found);
        }
    }
}

#[test]
fn the_store_answers_thousands_of_sequences_as_the_model_does() {
    let limits = Limits { txn_ops_max: 40, request_bytes_max: 8_192, ..Limits::default() };
    let mut refused = [0; 3];
    for seed in 0..3_000 {
        let mix = Mix::draw(&mut Stream::new(seed, Purpose::Operations, 0, 0));
        let mut pair = Pair::new();
        for number in 0..60 {
            let mut stream = Stream::new(seed, Purpose::Operations, 1, number);
            let call = mix.request(&mut stream).call(&pair.seen, number as usize);
            pair.check(&call, &limits);
        }
        let every = RangeRequest { range_end: "\0".into(), ..RangeRequest::key("\0") };
        let found = pair.store.reader().range(&every).expect("the engine works");
        assert!(found.kvs.iter().eq(pair.model.keys()), "seed {seed}");
        pair.check_sweep();
        for (sum, count) in refused.iter_mut().zip(pair.refused) {
            *sum += count;
        }
    }
    assert!(refused.iter().all(|count| *count > 1_000), "{refused:?}");
}

//! Checks of bulk streams.

use std::io::Write;

use bytes::Bytes;
use quorate_types::MemberId;

use super::recorder::BulkPlan;
use super::{Member, Network, foreign, members, pattern};
use crate::{BulkSink, TransportError};

/// A stream without content arrives, with its header.
pub fn carries_nothing(network: &dyn Network) {
    carries(network, 0);
}

/// Ten mebibytes arrive unaltered.
pub fn carries_ten_mebibytes(network: &dyn Network) {
    carries(network, 10 << 20);
}

/// Streams of different senders do not mix.
pub fn several_at_once(network: &dyn Network) {
    let members = members(network, 3);
    let mut sinks: Vec<_> = [&members[1], &members[2], &members[1]]
        .iter()
        .map(|from| open(from, members[0].id, "together"))
        .collect();
    for (sink, fill) in sinks.iter_mut().zip(1..) {
        write(sink.as_mut(), &pattern(100_000, fill));
    }
    for (sink, fill) in sinks.iter_mut().zip(1..) {
        write(sink.as_mut(), &pattern(100_000, fill));
    }
    for sink in sinks {
        assert_finished(sink);
    }
    let seen = members[0].recorder.seen();
    for fill in 1..=3 {
        let expected = [pattern(100_000, fill), pattern(100_000, fill)].concat();
        let found = seen.bulk.iter().filter(|(_, _, content)| content.as_ref() == Ok(&expected));
        assert_eq!(found.count(), 1, "stream {fill} arrived once and whole");
    }
}

/// A sender that drops the stream makes the receiver's read fail, not end.
pub fn broken_by_the_sender(network: &dyn Network) {
    let members = members(network, 2);
    let mut sink = open(&members[0], members[1].id, "broken");
    write(sink.as_mut(), &pattern(1 << 20, 1));
    drop(sink);
    members[1].recorder.wait("the broken stream", |seen| !seen.bulk.is_empty());
    let seen = members[1].recorder.seen();
    assert!(seen.bulk[0].2.is_err(), "a broken stream must not look complete");
}

/// A receiver that refuses without reading makes the sender's write or finish fail.
pub fn refused_before_reading(network: &dyn Network) {
    refused(network, BulkPlan::RefuseFirst, 4 << 20);
    assert_finish_fails(network, BulkPlan::RefuseFirst, 0);
}

/// A receiver that has read all may still refuse; the sender learns it from finish.
pub fn refused_after_reading(network: &dyn Network) {
    refused(network, BulkPlan::RefuseLast, 1 << 20);
    assert_finish_fails(network, BulkPlan::RefuseLast, 100);
}

/// A receiver that agrees without having read all has not got the stream.
pub fn left_early_by_the_receiver(network: &dyn Network) {
    refused(network, BulkPlan::LeaveEarly, 4 << 20);
    assert_finish_fails(network, BulkPlan::LeaveEarly, 100);
}

/// There is no stream to a member that is not there.
pub fn needs_a_reachable_peer(network: &dyn Network) {
    let members = members(network, 2);
    members[1].transport.stop();
    let opened = members[0].transport.open_bulk(members[1].id, Bytes::new());
    let error = opened.err().expect("a stopped member cannot be reached");
    // Some other network may listen there by now.
    let refused = matches!(error, TransportError::ForeignCluster { .. });
    assert!(refused || matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.is_retryable(), !refused);
}

/// There is no stream to another cluster.
pub fn needs_the_same_cluster(network: &dyn Network) {
    let own = Member::start(network, network.cluster(), 1);
    let stranger = Member::start(network, foreign(network), 2);
    let opened = own.transport.open_bulk(stranger.id, Bytes::new());
    let error = opened.err().expect("a stranger takes no stream");
    assert!(
        matches!(error, TransportError::ForeignCluster { expected, found }
            if expected == foreign(network) && found == network.cluster()),
        "{error:?}"
    );
}

fn carries(network: &dyn Network, size: usize) {
    let members = members(network, 2);
    let content = pattern(size, 9);
    let mut sink = open(&members[0], members[1].id, "a header");
    write(sink.as_mut(), &content);
    assert_finished(sink);
    let seen = members[1].recorder.seen();
    let (from, header, found) = &seen.bulk[0];
    assert_eq!((*from, header.as_ref()), (members[0].id, b"a header".as_ref()));
    assert!(found.as_ref() == Ok(&content), "the content arrives unaltered");
}

/// Writes `size` bytes to a receiver that will not agree; a write or the finish must fail.
fn refused(network: &dyn Network, plan: BulkPlan, size: usize) {
    let members = members(network, 2);
    members[1].recorder.seen().bulk_plan = plan;
    let mut sink = open(&members[0], members[1].id, "refused");
    if sink.write_all(&pattern(size, 2)).is_ok() {
        assert!(sink.finish().is_err(), "the sender hears of {plan:?}");
    }
}

/// Writes little enough that only the finish can tell.
fn assert_finish_fails(network: &dyn Network, plan: BulkPlan, size: usize) {
    let members = members(network, 2);
    members[1].recorder.seen().bulk_plan = plan;
    let mut sink = open(&members[0], members[1].id, "refused");
    write(sink.as_mut(), &pattern(size, 2));
    let error = sink.finish().expect_err("the receiver does not agree");
    assert!(matches!(error, TransportError::Bulk { peer, .. } if peer == members[1].id), "{error}");
    assert!(error.is_outcome_unknown(), "the receiver may have kept what it read");
}

pub(super) fn open(from: &Member, to: MemberId, header: &'static str) -> Box<dyn BulkSink> {
    let opened = from.transport.open_bulk(to, Bytes::from_static(header.as_bytes()));
    opened.unwrap_or_else(|error| panic!("member {} opens a stream to {to}: {error}", from.id))
}

fn write(sink: &mut dyn BulkSink, content: &[u8]) {
    let written = sink.write_all(content);
    assert!(written.is_ok(), "the stream takes {} bytes: {written:?}", content.len());
}

fn assert_finished(sink: Box<dyn BulkSink>) {
    let finished = sink.finish();
    assert!(finished.is_ok(), "the receiver agrees: {finished:?}");
}

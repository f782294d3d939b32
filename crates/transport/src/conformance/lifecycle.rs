//! Checks of start, stop and restart.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_types::MemberId;

use super::bulk::open;
use super::{Member, Network, Recorder, members, pattern};
use crate::{BulkSource, Inbox, Transport, TransportError};

/// A transport starts once and stops for good; calls after the stop do nothing.
pub fn starts_once(network: &dyn Network) {
    let member = Member::start(network, network.cluster(), 1);
    let inbox = || Arc::clone(&member.recorder) as Arc<dyn Inbox>;
    assert!(matches!(member.transport.start(inbox()), Err(TransportError::AlreadyStarted)));
    member.transport.stop();
    member.transport.stop();
    assert!(matches!(member.transport.start(inbox()), Err(TransportError::Stopped)));
    member.transport.send(MemberId::new(2), Bytes::from_static(b"late"));
    let opened = member.transport.open_bulk(MemberId::new(2), Bytes::new());
    assert!(matches!(opened.err(), Some(TransportError::Stopped)));

    let unused = network.join(network.cluster(), MemberId::new(3));
    unused.stop();
    assert!(matches!(unused.start(inbox()), Err(TransportError::Stopped)));
}

/// Under load, no inbox call runs after `stop` returned.
pub fn stops_while_busy(network: &dyn Network) {
    let members = members(network, 3);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for from in &members[1..] {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    from.transport.send(members[0].id, Bytes::from_static(b"load"));
                    thread::yield_now();
                }
            });
        }
        members[0].recorder.wait("load", |seen| seen.messages.len() > 1_000);
        stop_and_close(&members[0]);
        members[1].send_until_arrived(&members[2], &Bytes::from_static(b"still here"));
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(members[0].recorder.seen().calls_after_close, 0);
}

/// A stop breaks bulk streams in both directions at once, and both ends hear of it.
pub fn stops_in_the_middle_of_bulk(network: &dyn Network) {
    let members = members(network, 2);
    let mut incoming = open(&members[1], members[0].id, "in");
    let mut outgoing = open(&members[0], members[1].id, "out");
    members[0].recorder.wait("the stream in", |seen| seen.bulk_begun == 1);
    members[1].recorder.wait("the stream out", |seen| seen.bulk_begun == 1);
    stop_and_close(&members[0]);
    let block = pattern(1 << 20, 1);
    let fails = |what, sink: &mut dyn Write| {
        let written = (0..64).try_for_each(|_| sink.write_all(&block));
        assert!(written.is_err(), "the stream {what} breaks");
    };
    fails("in", &mut incoming);
    fails("out", &mut outgoing);
    members[1].recorder.wait("the stream out to break", |seen| !seen.bulk.is_empty());
    assert!(members[1].recorder.seen().bulk[0].2.is_err());
    let seen = members[0].recorder.seen();
    assert!(seen.bulk.len() == 1 && seen.bulk[0].2.is_err(), "stop waits for the call to end");
    assert_eq!(seen.calls_after_close, 0);
}

/// An inbox may stop its own transport.
pub fn stops_from_within_an_inbox_call(network: &dyn Network) {
    struct Stopper {
        transport: Mutex<Option<Arc<dyn Transport>>>,
        recorder: Recorder,
    }
    impl Inbox for Stopper {
        fn message(&self, from: MemberId, message: Bytes) {
            let transport = self.transport.lock().take();
            if let Some(transport) = transport {
                transport.stop();
            }
            self.recorder.message(from, message);
        }
        fn bulk(
            &self,
            from: MemberId,
            header: Bytes,
            source: &mut dyn BulkSource,
        ) -> Result<(), TransportError> {
            self.recorder.bulk(from, header, source)
        }
        fn unreachable(&self, peer: MemberId) {
            self.recorder.unreachable(peer);
        }
    }

    let sender = Member::start(network, network.cluster(), 1);
    let transport = network.join(network.cluster(), MemberId::new(2));
    let stopper = Arc::new(Stopper {
        transport: Mutex::new(Some(Arc::clone(&transport))),
        recorder: Recorder::new(),
    });
    let started = transport.start(Arc::clone(&stopper) as Arc<dyn Inbox>);
    assert!(started.is_ok(), "{started:?}");
    stopper.recorder.wait_while_doing(
        "the message that stops its receiver",
        || sender.transport.send(MemberId::new(2), Bytes::from_static(b"stop")),
        |seen| !seen.messages.is_empty(),
    );
    transport.stop();
    assert_eq!(stopper.recorder.seen().messages.len(), 1, "nothing arrives after the stop");
}

/// A member that stopped joins again; messages and bulk streams flow both ways as before.
pub fn rejoins_after_stop(network: &dyn Network) {
    let stays = Member::start(network, network.cluster(), 1);
    for life in 0..3_u8 {
        let returns = Member::start(network, network.cluster(), 2);
        let message = Bytes::from(vec![life]);
        stays.send_until_arrived(&returns, &message);
        returns.send_until_arrived(&stays, &message);
        let finished = open(&stays, returns.id, "again").finish();
        assert!(finished.is_ok(), "life {life}: {finished:?}");
        stop_and_close(&returns);
        stays.transport.send(returns.id, Bytes::from_static(b"while away"));
        assert_eq!(returns.recorder.seen().calls_after_close, 0);
    }
}

fn stop_and_close(member: &Member) {
    member.transport.stop();
    member.recorder.seen().closed = true;
}

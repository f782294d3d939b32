//! Incoming connections.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate_types::MemberId;

use super::bulk;
use super::connection::{Connection, is_timeout};
use super::frames::{FrameError, FrameReader, FrameWriter};
use super::shared::{Shared, malformed_from, unreachable};
use super::wire::{
    Answer, AnswerCode, FrameKind, HELLO_SIZE, Hello, HelloError, StreamKind, WIRE_VERSION,
};
use crate::{BULK_STREAM_COUNT_MAX, Inbox, TransportError};

/// Body of the accepting thread.
pub(super) fn run(shared: &Arc<Shared>, listener: &TcpListener, inbox: &Arc<dyn Inbox>) {
    while !shared.stop.is_told() {
        match listener.accept() {
            Ok((stream, _)) => take(shared, stream, inbox),
            // Out of descriptors, or the caller left again: neither ends by trying harder.
            Err(error) => {
                shared.counters.note(listen_error(&shared.config.listen, error));
                shared.stop.wait(ACCEPT_PAUSE);
            }
        }
    }
}

/// The listener cannot be used.
pub(super) fn listen_error(address: &str, error: io::Error) -> TransportError {
    TransportError::Listen { address: address.to_owned(), source: Arc::new(error) }
}

/// Gives the connection a thread. If there is none, dropping it tells the caller.
fn take(shared: &Arc<Shared>, stream: TcpStream, inbox: &Arc<dyn Inbox>) {
    let (shared_too, inbox) = (Arc::clone(shared), Arc::clone(inbox));
    let name = format!("quorate-tcp-{}-reader", shared.config.member);
    let limit = usize::try_from(shared.config.incoming_count_max).unwrap_or(usize::MAX);
    let spawned = shared.readers.spawn(name, limit, move || {
        if let Err(error) = serve(&shared_too, stream, inbox.as_ref())
            && !shared_too.stop.is_told()
        {
            shared_too.counters.note(error);
        }
    });
    if spawned.is_err() && !shared.stop.is_told() {
        shared.counters.refused_busy.add(1);
    }
}

fn serve(shared: &Shared, stream: TcpStream, inbox: &dyn Inbox) -> Result<(), TransportError> {
    // A caller that left already is no failure.
    let Ok(connection) = shared.registry.add(stream) else { return Ok(()) };
    let Some(hello) = greet(shared, &connection)? else { return Ok(()) };
    let place = BulkPlace::take(&shared.bulk_count);
    if hello.kind == StreamKind::Bulk && !place.is_free {
        shared.counters.refused_busy.add(1);
        answer(shared, &connection, AnswerCode::Busy);
        return Ok(());
    }
    answer(shared, &connection, AnswerCode::Welcome);
    shared.counters.connections_accepted.add(1);
    match hello.kind {
        StreamKind::Bulk => bulk::receive(shared, &connection, hello.from, inbox),
        StreamKind::Message => {
            drop(place);
            read_messages(shared, &connection, hello.from, inbox)
        }
    }
}

/// One of the places for bulk streams, given back when dropped, also by a panic of the inbox.
struct BulkPlace<'a> {
    count: &'a AtomicUsize,
    is_free: bool,
}

impl<'a> BulkPlace<'a> {
    fn take(count: &'a AtomicUsize) -> Self {
        let is_free = count.fetch_add(1, Ordering::SeqCst) < BULK_STREAM_COUNT_MAX;
        Self { count, is_free }
    }
}

impl Drop for BulkPlace<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The called member's part of the handshake, all but the welcome. `None` if the caller was
/// refused.
fn greet(shared: &Shared, connection: &Connection) -> Result<Option<Hello>, TransportError> {
    let (config, counters) = (&shared.config, &shared.counters);
    let mut bytes = [0; HELLO_SIZE];
    let deadline = Instant::now() + config.handshake_timeout;
    if let Err(error) = connection.read_exact_by(&mut bytes, deadline) {
        if is_timeout(&error) {
            counters.handshakes_timed_out.add(1);
        }
        return Ok(None);
    }
    let hello = match Hello::decode(&bytes) {
        Ok(hello) => hello,
        Err(HelloError::Version(version)) => {
            counters.refused_version.add(1);
            let detail = format!("version {version}, expected {WIRE_VERSION}");
            *counters.last_error.lock() = Some(from_address(connection, detail));
            answer(shared, connection, AnswerCode::UnsupportedVersion);
            return Ok(None);
        }
        Err(HelloError::Malformed(what)) => return Err(from_address(connection, what.0)),
    };
    if hello.cluster != config.cluster {
        counters.refused_foreign.add(1);
        let (expected, found) = (config.cluster, hello.cluster);
        counters.note(TransportError::ForeignCluster { expected, found });
        answer(shared, connection, AnswerCode::ForeignCluster);
        return Ok(None);
    }
    if hello.to != config.member || hello.from == config.member {
        counters.refused_wrong_member.add(1);
        answer(shared, connection, AnswerCode::WrongMember);
        return Ok(None);
    }
    Ok(Some(hello))
}

/// If this fails the connection is broken, which the next read tells.
fn answer(shared: &Shared, connection: &Connection, code: AnswerCode) {
    let config = &shared.config;
    let (cluster, member) = (config.cluster, config.member);
    let bytes = Answer { code, version: WIRE_VERSION, cluster, member }.encode();
    let mut stream = connection;
    let _ = connection
        .set_write_timeout(config.handshake_timeout)
        .and_then(|()| stream.write_all(&bytes));
}

fn read_messages(
    shared: &Shared,
    connection: &Connection,
    from: MemberId,
    inbox: &dyn Inbox,
) -> Result<(), TransportError> {
    let config = &shared.config;
    connection
        .set_read_timeout(config.idle_timeout)
        .and_then(|()| connection.set_write_timeout(config.write_timeout))
        .map_err(|error| unreachable(from, error))?;
    let mut reader = FrameReader::new(connection);
    let mut writer = FrameWriter::new(connection);
    loop {
        let frame = match reader.read(config.message_size_max.bytes()) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(FrameError::Malformed(what)) => return Err(malformed_from(from, what.0)),
            Err(FrameError::Io(error)) => return Err(unreachable(from, error)),
        };
        if shared.stop.is_told() {
            return Ok(());
        }
        match frame.kind {
            FrameKind::Message => {
                shared.counters.delivered.add(1);
                inbox.message(from, frame.payload);
            }
            FrameKind::KeepAlive => writer
                .add(FrameKind::KeepAlive, &[])
                .and_then(|()| writer.flush())
                .map_err(|error| unreachable(from, error))?,
            kind => {
                let detail = format!("{kind:?} frame, expected Message or KeepAlive");
                return Err(malformed_from(from, detail));
            }
        }
    }
}

fn from_address(connection: &Connection, detail: String) -> TransportError {
    TransportError::MalformedFrame { peer: connection.address.clone(), detail }
}

/// How long accepting pauses after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

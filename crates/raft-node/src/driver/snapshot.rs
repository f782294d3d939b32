//! Snapshots in transit: streams of blocks between two members.
//!
//! A stream carries each block behind its length, four bytes big-endian.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_transport::{BulkSource, Transport, TransportError};
use quorate_types::{LogPosition, MemberId};

use super::event::Mailbox;
use super::stop::{StopCause, StopSignal};
use crate::core::Input;
use crate::machine::{SnapshotSource, Staged, Stager};

/// Snapshots that are open for sending, and those received and waiting to be installed.
pub(super) struct Snapshots<R> {
    stager: Arc<dyn Stager>,
    mailbox: Mailbox<R>,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    opened: BTreeMap<MemberId, Box<dyn SnapshotSource>>,
    staged: BTreeMap<u64, Box<dyn Staged>>,
    next_id: u64,
    receiving: bool,
}

impl<R: Send + 'static> Snapshots<R> {
    /// Sends the snapshot opened for `to` from a thread of its own and reports how it went.
    pub(super) fn send(
        this: &Arc<Self>,
        to: MemberId,
        head: Bytes,
        transport: Arc<dyn Transport>,
        signal: &StopSignal,
    ) {
        let source = this.shelf.lock().opened.remove(&to);
        let (signal, mailbox) = (signal.clone(), this.mailbox.clone());
        let body = move || {
            let mut delivered = false;
            signal.guard(SEND_THREAD, || {
                let Some(source) = source else { return Ok(()) };
                delivered = stream(source, to, head, &*transport)?;
                Ok(())
            });
            if signal.cause().is_some() {
                mailbox.stop();
            }
            mailbox.report(Input::SnapshotSent { to, delivered });
        };
        let spawned = std::thread::Builder::new().name(SEND_THREAD.to_owned()).spawn(body);
        if spawned.is_err() {
            // No thread to be had now: the leader tries again later.
            this.mailbox.report(Input::SnapshotSent { to, delivered: false });
        }
    }
}

impl<R> Snapshots<R> {
    pub(super) fn new(stager: Arc<dyn Stager>, mailbox: Mailbox<R>) -> Self {
        Self { stager, mailbox, shelf: Mutex::default() }
    }

    /// Keeps an opened snapshot until it is sent or closed.
    pub(super) fn open(&self, to: MemberId, source: Box<dyn SnapshotSource>) {
        self.shelf.lock().opened.insert(to, source);
    }

    pub(super) fn close(&self, to: MemberId) {
        self.shelf.lock().opened.remove(&to);
    }

    pub(super) fn discard(&self, id: u64) {
        self.shelf.lock().staged.remove(&id);
    }

    /// The staged snapshot to be installed.
    pub(super) fn take_staged(&self, id: u64) -> Box<dyn Staged> {
        self.shelf.lock().staged.remove(&id).expect("what is installed was staged")
    }

    /// Collects a peer's snapshot, one at a time, and reports it.
    pub(super) fn receive(
        &self,
        from: MemberId,
        head: Bytes,
        source: &mut dyn BulkSource,
    ) -> Result<(), TransportError> {
        let refused = |detail: String| TransportError::Bulk { peer: from, detail };
        if std::mem::replace(&mut self.shelf.lock().receiving, true) {
            return Err(refused("another snapshot is being received".to_owned()));
        }
        let collected = self.collect(source);
        self.shelf.lock().receiving = false;
        let (staged, position) = collected.map_err(refused)?;
        let id = {
            let mut shelf = self.shelf.lock();
            shelf.next_id += 1;
            let id = shelf.next_id;
            shelf.staged.insert(id, staged);
            id
        };
        self.mailbox.report(Input::SnapshotStaged { id, from, head, position });
        Ok(())
    }

    fn collect(
        &self,
        source: &mut dyn BulkSource,
    ) -> Result<(Box<dyn Staged>, LogPosition), String> {
        let explain = |error: &dyn std::error::Error| match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let mut staged = self.stager.begin().map_err(|e| explain(&e))?;
        while let Some(block) = read_block(source)? {
            staged.push(&block).map_err(|e| explain(&e))?;
        }
        let position = staged.finish().map_err(|e| explain(&e))?;
        Ok((staged, position))
    }
}

/// Streams all blocks; `false` if the network or the peer failed, which is tried again later.
fn stream(
    mut source: Box<dyn SnapshotSource>,
    to: MemberId,
    head: Bytes,
    transport: &dyn Transport,
) -> Result<bool, StopCause> {
    let Ok(mut sink) = transport.open_bulk(to, head) else { return Ok(false) };
    while let Some(block) = source.next_block().map_err(StopCause::Machine)? {
        let length = u32::try_from(block.len()).expect("blocks are at most 64 MiB long");
        let written = sink.write_all(&length.to_be_bytes()).and_then(|()| sink.write_all(&block));
        if written.is_err() {
            return Ok(false);
        }
    }
    Ok(sink.finish().is_ok())
}

fn read_block(source: &mut dyn BulkSource) -> Result<Option<Vec<u8>>, String> {
    let mut length = [0; 4];
    let read = source.read(&mut length[..1]).map_err(|e| e.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    source.read_exact(&mut length[1..]).map_err(|e| e.to_string())?;
    let length = u32::from_be_bytes(length) as usize;
    if length > BLOCK_SIZE_MAX {
        return Err(format!("a block of {length} bytes, more than {BLOCK_SIZE_MAX}"));
    }
    let mut block = vec![0; length];
    source.read_exact(&mut block).map_err(|e| e.to_string())?;
    Ok(Some(block))
}

const SEND_THREAD: &str = "quorate-snap";

/// The longest block that a state machine may produce; checked before memory is taken for it.
const BLOCK_SIZE_MAX: usize = 64 << 20;

//! One member's place on the network, and the network as the places see it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use quorate_types::{ClusterId, MemberId};

use super::pipe::Pipe;
use super::stats::Counters;
use crate::Inbox;
use crate::mailbox::{Batch, Letter, Mailbox, Pushed, Wake, count};
use crate::notices::NoticeLimit;
use crate::threads::ThreadGroup;

/// The running members of one hub.
#[derive(Default)]
pub(super) struct Network {
    pub(super) slots: RwLock<HashMap<MemberId, Arc<Slot>>>,
    pub(super) counters: Counters,
}

/// One life of one member: from `join` to `stop`.
pub(super) struct Slot {
    pub(super) cluster: ClusterId,
    pub(super) member: MemberId,
    /// Between `start` and `stop`.
    pub(super) running: AtomicBool,
    /// Set while running. Taken by `stop`, since the inbox often owns the transport.
    pub(super) inbox: Mutex<Option<Arc<dyn Inbox>>>,
    pub(super) mailbox: Mailbox,
    pub(super) threads: ThreadGroup,
    notices: NoticeLimit,
    /// Open bulk streams from and to this member. `None` once stopped.
    pipes: Mutex<Option<Vec<Weak<Pipe>>>>,
}

impl Network {
    /// Queues `letter`, whose peer is its sender, for `to`.
    pub(super) fn deliver(&self, to: &Slot, letter: Letter) {
        match to.mailbox.push(letter) {
            Pushed::Queued => {}
            Pushed::Closed => self.counters.dropped_away.add(1),
            Pushed::Displaced(letters) => {
                for letter in letters {
                    self.counters.dropped_queue_full.add(1);
                    self.tell_lost(letter.peer, to.member);
                }
            }
        }
    }

    /// Tells `from` that messages to `to` are being lost.
    pub(super) fn tell_lost(&self, from: MemberId, to: MemberId) {
        let slot = self.slots.read().get(&from).cloned();
        if let Some(slot) = slot
            && slot.notices.admits(to, Instant::now())
        {
            slot.mailbox.note_lost(to);
        }
    }

    /// Body of the delivering thread of `slot`.
    pub(super) fn run(&self, slot: &Slot, inbox: &dyn Inbox) {
        let mut batch = Batch::default();
        while slot.mailbox.wait(None) == Wake::Filled {
            slot.mailbox.drain(&mut batch);
            for peer in batch.lost.drain(..) {
                if slot.running.load(Ordering::Relaxed) {
                    inbox.unreachable(peer);
                }
            }
            while let Some(letter) = batch.letters.pop_front() {
                if !slot.running.load(Ordering::Relaxed) {
                    self.counters.dropped_away.add(1 + count(batch.letters.len()));
                    return;
                }
                self.counters.delivered.add(1);
                inbox.message(letter.peer, letter.message);
            }
        }
    }
}

impl Slot {
    pub(super) fn new(cluster: ClusterId, member: MemberId, mailbox: Mailbox) -> Self {
        Self {
            cluster,
            member,
            running: AtomicBool::new(false),
            inbox: Mutex::new(None),
            mailbox,
            threads: ThreadGroup::default(),
            notices: NoticeLimit::default(),
            pipes: Mutex::new(Some(Vec::new())),
        }
    }

    /// Remembers a bulk stream, to break it at `stop`; false if that is past.
    pub(super) fn add_pipe(&self, pipe: &Arc<Pipe>) -> bool {
        let mut pipes = self.pipes.lock();
        let Some(pipes) = pipes.as_mut() else { return false };
        pipes.retain(|pipe| pipe.strong_count() > 0);
        pipes.push(Arc::downgrade(pipe));
        true
    }

    /// The bulk streams that are open now.
    pub(super) fn pipes(&self) -> Vec<Arc<Pipe>> {
        self.pipes.lock().iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// Ends all activity of the member without waiting for it. Returns the count of messages that
    /// are not delivered any more.
    pub(super) fn close(&self) -> u64 {
        self.running.store(false, Ordering::SeqCst);
        self.threads.close();
        let pipes = self.pipes.lock().take();
        for pipe in pipes.iter().flatten().filter_map(Weak::upgrade) {
            pipe.break_off("a member stopped");
        }
        let forgotten = self.mailbox.close();
        let inbox = self.inbox.lock().take();
        drop(inbox);
        forgotten
    }
}

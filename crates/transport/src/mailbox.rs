//! A bounded queue of messages that forgets the oldest rather than grow or block.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use quorate_types::MemberId;

/// One message on its way, with the member at the other end.
pub(crate) struct Letter {
    pub(crate) peer: MemberId,
    pub(crate) message: Bytes,
}

/// What one call of [`Mailbox::drain`] took out.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) letters: VecDeque<Letter>,
    /// Peers that messages are being lost to; each at most once.
    pub(crate) lost: Vec<MemberId>,
}

/// What became of a pushed letter.
pub(crate) enum Pushed {
    /// It waits, nothing was lost.
    Queued,
    /// It waits, these older ones were dropped for it.
    Displaced(Vec<Letter>),
    /// The mailbox is closed, the letter is gone.
    Closed,
}

/// Why [`Mailbox::wait`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    Filled,
    TimedOut,
    Closed,
}

/// Many writers, one reader.
pub(crate) struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
    count_max: usize,
    bytes_max: u64,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// The sum of the lengths of `batch.letters`.
    bytes: u64,
    /// The reader sleeps; whoever clears this must wake it. Saves a system call for every push
    /// to a reader that is awake.
    sleeping: bool,
    closed: bool,
}

impl Mailbox {
    pub(crate) fn new(count_max: usize, bytes_max: u64) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), count_max, bytes_max }
    }

    /// Adds a letter at the end. One letter always fits, however long.
    pub(crate) fn push(&self, letter: Letter) -> Pushed {
        let mut state = self.state.lock();
        if state.closed {
            return Pushed::Closed;
        }
        let mut displaced = Vec::new();
        let size = size(&letter.message);
        while state.batch.letters.len() >= self.count_max || state.bytes + size > self.bytes_max {
            let Some(oldest) = state.pop() else { break };
            displaced.push(oldest);
        }
        state.bytes += size;
        state.batch.letters.push_back(letter);
        let wake = std::mem::take(&mut state.sleeping);
        drop(state);
        if wake {
            self.changed.notify_one();
        }
        if displaced.is_empty() { Pushed::Queued } else { Pushed::Displaced(displaced) }
    }

    /// Notes that messages to `peer` are being lost.
    pub(crate) fn note_lost(&self, peer: MemberId) {
        let mut state = self.state.lock();
        if state.closed || state.batch.lost.contains(&peer) {
            return;
        }
        state.batch.lost.push(peer);
        let wake = std::mem::take(&mut state.sleeping);
        drop(state);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Sleeps until something waits, the mailbox is closed, or `deadline` passed.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Wake {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Wake::Closed;
            }
            if !state.batch.letters.is_empty() || !state.batch.lost.is_empty() {
                return Wake::Filled;
            }
            state.sleeping = true;
            let late = match deadline {
                None => {
                    self.changed.wait(&mut state);
                    false
                }
                Some(deadline) => self.changed.wait_until(&mut state, deadline).timed_out(),
            };
            state.sleeping = false;
            if late && state.is_idle() {
                return Wake::TimedOut;
            }
        }
    }

    /// Sleeps until the mailbox is closed, or `deadline` passed, whatever waits in it.
    pub(crate) fn wait_closed(&self, deadline: Instant) -> Wake {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Wake::Closed;
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return Wake::TimedOut;
            }
        }
    }

    /// Exchanges all that waits for `batch`, which must be empty; its memory is used again.
    pub(crate) fn drain(&self, batch: &mut Batch) {
        debug_assert!(batch.letters.is_empty() && batch.lost.is_empty(), "the batch is used up");
        let mut state = self.state.lock();
        std::mem::swap(&mut state.batch, batch);
        state.bytes = 0;
    }

    /// Forgets what waits and refuses all that comes. Returns how many letters were forgotten.
    pub(crate) fn close(&self) -> u64 {
        let mut state = self.state.lock();
        state.closed = true;
        state.bytes = 0;
        let forgotten = std::mem::take(&mut state.batch);
        drop(state);
        self.changed.notify_all();
        count(forgotten.letters.len())
    }
}

impl State {
    fn pop(&mut self) -> Option<Letter> {
        let oldest = self.batch.letters.pop_front()?;
        self.bytes -= size(&oldest.message);
        Some(oldest)
    }

    fn is_idle(&self) -> bool {
        !self.closed && self.batch.letters.is_empty() && self.batch.lost.is_empty()
    }
}

/// The length of `message` in bytes.
pub(crate) fn size(message: &Bytes) -> u64 {
    u64::try_from(message.len()).expect("memory has fewer than 2^64 bytes")
}

/// A number of letters in memory, for the counters.
pub(crate) fn count(letters: usize) -> u64 {
    u64::try_from(letters).expect("memory holds fewer than 2^64 letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(text: &'static str) -> Letter {
        Letter { peer: MemberId::new(1), message: Bytes::from_static(text.as_bytes()) }
    }

    fn contents(mailbox: &Mailbox) -> String {
        let mut batch = Batch::default();
        mailbox.drain(&mut batch);
        let texts = batch.letters.iter().map(|l| String::from_utf8_lossy(&l.message).into_owned());
        texts.collect::<Vec<_>>().join(" ")
    }

    fn check(count_max: usize, bytes_max: u64, pushed: &[&'static str], kept: &str) {
        let mailbox = Mailbox::new(count_max, bytes_max);
        for text in pushed {
            mailbox.push(letter(text));
        }
        assert_eq!(contents(&mailbox), kept);
    }

    #[test]
    fn forgets_the_oldest_first() {
        check(3, 100, &["a", "b", "c"], "a b c");
        check(2, 100, &["a", "b", "c"], "b c");
        check(9, 4, &["aa", "bb", "cc"], "bb cc");
        check(9, 4, &["aa", "bb", "cccc"], "cccc");
        check(9, 4, &["aa", "far too long"], "far too long");
    }

    #[test]
    fn a_closed_mailbox_takes_nothing() {
        let mailbox = Mailbox::new(2, 100);
        mailbox.push(letter("a"));
        assert_eq!(mailbox.close(), 1);
        assert!(matches!(mailbox.push(letter("b")), Pushed::Closed));
        assert_eq!(mailbox.wait(None), Wake::Closed);
        assert_eq!(contents(&mailbox), "");
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let mailbox = Mailbox::new(2, 100);
        assert_eq!(mailbox.wait(Some(Instant::now())), Wake::TimedOut);
        mailbox.note_lost(MemberId::new(4));
        mailbox.note_lost(MemberId::new(4));
        assert_eq!(mailbox.wait(Some(Instant::now())), Wake::Filled);
        let mut batch = Batch::default();
        mailbox.drain(&mut batch);
        assert_eq!(batch.lost, [MemberId::new(4)]);
    }
}

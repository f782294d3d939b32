//! Who is alive, and every change of that.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use quorate_kv_api::{Event, KeyValue};

use super::instance::Instance;
use crate::client::Client;
use crate::error::Error;
use crate::recipes::follow::{Followed, Follower};

/// A change among the instances of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InstanceChange {
    /// It is there, newly or since before the watch began.
    Joined(Instance),
    /// Its address or metadata were set anew.
    Updated(Instance),
    /// It is gone: it was deregistered, or its session has ended. This is how it was known last.
    Left(Instance),
}

/// Tells who is alive: a blocking iterator and a [`Stream`] of changes, beginning with one
/// [`InstanceChange::Joined`] for each instance that is there. No change is missed; only if a
/// compaction overtakes a slow reader, what came and went in between is left out. It ends with its
/// first error.
pub struct Instances {
    client: Client,
    prefix: String,
    follower: Follower,
    /// Those told of as alive, by key, with the revision that set them.
    known: BTreeMap<Bytes, (i64, Instance)>,
    /// What is known and was not told yet.
    untold: VecDeque<InstanceChange>,
    is_ended: bool,
}

impl Instances {
    pub(super) fn new(client: &Client, prefix: String, follower: Follower) -> Self {
        Self {
            client: client.clone(),
            prefix,
            follower,
            known: BTreeMap::new(),
            untold: VecDeque::new(),
            is_ended: false,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<InstanceChange, Error>>> {
        loop {
            if let Some(change) = self.untold.pop_front() {
                return Poll::Ready(Some(Ok(change)));
            }
            if self.is_ended {
                return Poll::Ready(None);
            }
            match ready!(self.follower.poll(context)) {
                Ok(Followed::All { kvs, .. }) => self.take_all(kvs),
                Ok(Followed::Changes(events)) => {
                    events.into_iter().for_each(|event| self.take(event));
                }
                Err(error) => {
                    self.is_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Compares what is there with what is known.
    fn take_all(&mut self, kvs: Vec<KeyValue>) {
        let found: BTreeMap<_, _> = kvs.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
        let gone: Vec<Bytes> =
            self.known.keys().filter(|key| !found.contains_key(*key)).cloned().collect();
        gone.iter().for_each(|key| self.remove(key));
        for kv in found.into_values() {
            let known = self.known.get(&kv.key);
            if known.is_none_or(|(revision, _)| *revision != kv.mod_revision) {
                self.set(kv);
            }
        }
    }

    fn take(&mut self, event: Event) {
        let is_delete = event.is_delete();
        match event.kv {
            Some(kv) if is_delete => self.remove(&kv.key),
            Some(kv) => self.set(kv),
            None => {}
        }
    }

    fn set(&mut self, kv: KeyValue) {
        let Some(instance) = Instance::of(&self.prefix, &kv) else {
            // Who writes something else there has replaced the instance.
            return self.remove(&kv.key);
        };
        let known = self.known.insert(kv.key, (kv.mod_revision, instance.clone()));
        self.untold.push_back(match known {
            None => InstanceChange::Joined(instance),
            Some(_) => InstanceChange::Updated(instance),
        });
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((_, instance)) = self.known.remove(key) {
            self.untold.push_back(InstanceChange::Left(instance));
        }
    }
}

impl Iterator for Instances {
    type Item = Result<InstanceChange, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let seam = self.client.seam();
        let mut told = None;
        seam.block_on(None, &mut |context| self.poll(context).map(|next| told = next));
        told
    }
}

impl std::iter::FusedIterator for Instances {}

impl Stream for Instances {
    type Item = Result<InstanceChange, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl std::fmt::Debug for Instances {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instances").field("known", &self.known).finish_non_exhaustive()
    }
}

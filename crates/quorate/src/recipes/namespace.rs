//! A part of the key space that looks like a whole one.

mod confine;
mod reveal;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use quorate_kv_api::Limits;
use quorate_types::Instant;

use crate::client::Client;
use crate::error::Error;
use crate::pending::Pending;
use crate::seam::{Promise, Request, Response, Seam, Task, Unique};
use crate::status::Status;

impl Client {
    /// A handle for which the keys that begin with `prefix` are all there are: the prefix is put in
    /// front of every key that goes in and cut from every key that comes out. Whatever takes a
    /// handle works within a namespace as it does outside, recipes and further namespaces too. The
    /// prefix should end with a separator, for a key that goes in may begin with anything.
    ///
    /// Four things are shared with the whole store, as with etcd's namespaces:
    ///
    /// - Revisions count all changes. Keys, ranges, counts, events and comparisons see the
    ///   namespace only.
    /// - Leases: a lease may hold keys inside and outside. [`Client::lease_time_to_live`] tells
    ///   those inside; [`Client::leases`] tells all leases, and whoever ends one deletes all of its
    ///   keys.
    /// - [`Client::compact`], [`Client::hash`], [`Client::alarms`] and [`Client::status`] mean the
    ///   whole store.
    /// - [`Limits`] hold for keys and requests with the prefix.
    ///
    /// A range to the end of all keys has an end inside. So a transaction that puts a key and
    /// deletes such a range with it is refused inside, while etcd's rule overlooks that outside.
    ///
    /// It keeps keys apart; it keeps nobody out.
    ///
    /// ```
    /// use quorate::{Config, MemoryData, Node, Range};
    ///
    /// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
    /// let shop = node.namespaced("tenants/shop/");
    /// shop.put("color", "red").wait()?;
    /// assert!(node.get("tenants/shop/color").wait()?.is_some());
    /// node.put("color", "blue").wait()?;
    /// let all = shop.range(Range::all()).wait()?;
    /// assert_eq!((all.count, &all.kvs[0].key[..]), (1, &b"color"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn namespaced(&self, prefix: impl Into<Bytes>) -> Self {
        self.with_seam(Arc::new(Namespace { seam: self.seam(), prefix: prefix.into() }))
    }
}

/// A seam that puts a prefix in front of every key.
struct Namespace {
    seam: Arc<dyn Seam>,
    prefix: Bytes,
}

impl Seam for Namespace {
    fn submit(&self, mut request: Request, timeout: Duration) -> Pending<Response> {
        confine::request(&self.prefix, &mut request);
        if let Err(refused) = check(&request, self.limits()) {
            return Pending::ready(Err(refused));
        }
        let prefix = self.prefix.clone();
        self.seam.submit(request, timeout).then(move |mut response| {
            reveal::response(&prefix, &mut response);
            Ok(response)
        })
    }

    fn limits(&self) -> &Limits {
        self.seam.limits()
    }

    fn status(&self) -> Status {
        self.seam.status()
    }

    fn now(&self) -> Instant {
        self.seam.now()
    }

    fn sleep(&self, duration: Duration) {
        self.seam.sleep(duration);
    }

    fn spawn(&self, task: Box<dyn Task>) {
        self.seam.spawn(task);
    }

    fn block_on(
        &self,
        until: Option<Instant>,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> bool {
        self.seam.block_on(until, poll)
    }

    fn unique(&self) -> Unique {
        self.seam.unique()
    }

    fn promise(&self) -> (Promise, Pending<Response>) {
        self.seam.promise()
    }
}

/// Checks a write again: with the prefix it is larger than what the handle has checked.
fn check(request: &Request, limits: &Limits) -> Result<(), Error> {
    match request {
        Request::Write(command) => Ok(command.validate(limits)?),
        _ => Ok(()),
    }
}

//! A typed value that follows a key.

mod reload;
mod shared;

use std::fmt::Display;
use std::future::poll_fn;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use super::RecipeError;
use super::follow::{Follower, Keys};
use crate::client::Client;
use crate::pending::Pending;
use reload::{Parse, Reload};
use shared::{Shared, Waiting};

/// The value of a key, parsed, and parsed again in the background whenever the key changes.
///
/// [`Self::get`] asks nobody, so it can be called as often as the value is needed. It is behind the
/// cluster by a few hundredths of a second and the time that a change takes to this member; a
/// member that is cut off keeps the value it had.
///
/// A value that cannot be parsed changes nothing but [`LiveState::problem`]. If the key is absent,
/// or has never had a good value since this was opened, the default given holds.
///
/// ```
/// use quorate::recipes::LiveConfig;
/// use quorate::{Config, MemoryData, Node};
///
/// let node = Node::open(Config::in_memory(&MemoryData::new()))?;
/// let workers = LiveConfig::from_text(&node, "config/workers", 4).wait()?;
/// assert_eq!(*workers.get(), 4);
///
/// let before = workers.state();
/// node.put("config/workers", "16").wait()?;
/// let after = workers.changed(before.revision).wait()?;
/// assert_eq!(*after.value, 16);
///
/// node.put("config/workers", "many").wait()?;
/// let bad = workers.changed(after.revision).wait()?;
/// assert_eq!(*bad.value, 16);
/// println!("{}", bad.problem.expect("this is no number"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LiveConfig<T> {
    client: Client,
    shared: Arc<Shared<T>>,
}

/// What a [`LiveConfig`] holds at a moment.
#[derive(Debug)]
pub struct LiveState<T> {
    /// The last good value, or the default.
    pub value: Arc<T>,
    /// The revision at which this came: of the put, good or bad, or of the deletion. Where the key
    /// was absent already when it was read, the revision of that reading.
    pub revision: i64,
    /// Why the newest value could not be used, if it could not: [`RecipeError::BadValue`].
    pub problem: Option<RecipeError>,
}

impl<T: FromStr<Err: Display> + Send + Sync + 'static> LiveConfig<T> {
    /// Follows a key whose value is text that `T` can be read from, with spaces and line ends
    /// around it allowed. Otherwise as [`Self::open`].
    pub fn from_text(client: &Client, key: impl Into<Bytes>, default: T) -> Pending<Self> {
        Self::open(client, key, default, |value| {
            let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
            text.trim().parse::<T>().map_err(|error| error.to_string())
        })
    }
}

impl<T: Send + Sync + 'static> LiveConfig<T> {
    /// Follows a key. Once the result is there, it holds the value that the key had then, or a
    /// later one.
    ///
    /// `parse` is called in a thread of the member: it should be quick. If it panics, the value
    /// counts as one that cannot be parsed.
    pub fn open<E: Display>(
        client: &Client,
        key: impl Into<Bytes>,
        default: T,
        parse: impl Fn(&[u8]) -> Result<T, E> + Send + 'static,
    ) -> Pending<Self> {
        let (client, key) = (client.clone(), key.into());
        let parse: Parse<T> = Box::new(move |value| parse(value).map_err(|e| e.to_string()));
        Pending::steps(client.seam(), async move {
            let shared = Arc::new(Shared::new(default));
            let follower = Follower::new(&client, Keys::One(key.clone()));
            let mut reload = Reload::new(follower, key, parse, &shared);
            poll_fn(|context| reload.poll(context)).await?;
            client.seam().spawn(Box::new(reload));
            Ok(Self { client, shared })
        })
    }

    /// The last good value, or the default.
    pub fn get(&self) -> Arc<T> {
        self.shared.state().value
    }

    /// The value, since when it holds, and what is wrong with a newer one.
    pub fn state(&self) -> LiveState<T> {
        self.shared.state()
    }

    /// Waits for a state later than that of a revision, good or bad; see [`LiveState::revision`].
    ///
    /// Fails when nothing changes any more: with [`Error::Stopped`](crate::Error::Stopped) if the
    /// member has stopped, or
    /// with the error that ended the watch.
    pub fn changed(&self, after: i64) -> Pending<LiveState<T>> {
        let (seam, shared) = (self.client.seam(), self.shared.clone());
        Pending::steps(self.client.seam(), async move {
            let (promise, pending) = seam.promise();
            let _waiting = Waiting::new(&shared, after, promise);
            pending.await?;
            Ok(shared.state())
        })
    }
}

impl<T> Clone for LiveConfig<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), shared: self.shared.clone() }
    }
}

impl<T> Clone for LiveState<T> {
    fn clone(&self) -> Self {
        let (value, problem) = (self.value.clone(), self.problem.clone());
        Self { value, revision: self.revision, problem }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for LiveConfig<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LiveConfig").field(&self.shared.state()).finish()
    }
}

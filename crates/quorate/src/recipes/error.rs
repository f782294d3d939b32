//! What can go wrong in a recipe beside its requests.

use thiserror::Error;

/// Why a recipe failed although its requests were answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The lease of the session has ended, or may have, and with it everything held by it.
    #[error("the session of lease {lease:x} is lost")]
    SessionLost {
        /// The lease.
        lease: i64,
    },
    /// The session holds this already, or is waiting for it.
    #[error("the session of lease {lease:x} holds {name:?} already, or waits for it")]
    AlreadyHeld {
        /// What it holds.
        name: String,
        /// The lease of the session.
        lease: i64,
    },
    /// Somebody else leads by now.
    #[error("not the leader of {name:?} any more")]
    NotLeader {
        /// The election.
        name: String,
    },
    /// Others use the same name with another number of permits or participants.
    #[error("{name:?} is in use with another count than {count}")]
    CountsDiffer {
        /// The semaphore or barrier.
        name: String,
        /// The number that was given here.
        count: u32,
    },
    /// A semaphore without permits or a barrier without participants would be waited for for ever.
    #[error("{name:?} has a count of 0")]
    ZeroCount {
        /// The semaphore or barrier.
        name: String,
    },
    /// Others changed each time what a transaction had read.
    #[error("the transaction conflicted with others in all of {attempts} attempts")]
    TooManyConflicts {
        /// How often it was tried.
        attempts: u32,
    },
    /// A name has a slash, or is empty.
    #[error("name {name:?} is empty or has a slash")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The key belongs to another session by now, or is gone.
    #[error("key {key:?} is not that of lease {lease:x} any more")]
    TakenOver {
        /// The key.
        key: String,
        /// The lease it was attached to.
        lease: i64,
    },
    /// A value found is not what it should be.
    #[error("value of {key:?} at revision {revision} cannot be used: {reason}")]
    BadValue {
        /// The key.
        key: String,
        /// The revision that put it.
        revision: i64,
        /// What the one who should understand it says.
        reason: String,
    },
}

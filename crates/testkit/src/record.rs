//! What clients of an object did, as it happened: the common form of all exported histories.
//!
//! A [`History`] is a list of [`HistoryEvent`]s: each call begins with one of kind
//! [`Invoke`](Kind::Invoke) and ends with one of another kind, or never. It is written as JSON
//! lines, as EDN for Jepsen's tools, or as lines of a log for people, and [`History::read`] reads
//! each of them, also those that Jepsen writes.
//!
//! ```
//! use quorate_testkit::linear::{CasRegister, Limits, check};
//! use quorate_testkit::record::{History, Json, operations};
//!
//! let log = "\
//! INFO  jepsen.util - 0\t:invoke\t:write\t3
//! INFO  jepsen.util - 1\t:invoke\t:read\tnil
//! INFO  jepsen.util - 0\t:ok\t:write\t3
//! INFO  jepsen.util - 1\t:ok\t:read\t3
//! ";
//! let history = History::read(log)?;
//! assert_eq!(history.to_edn().lines().next(),
//!     Some("{:type :invoke, :f :write, :value 3, :process 0, :time 0, :index 0}"));
//! let register = CasRegister::<Json>::default();
//! let operations = operations(&register, &history)?;
//! assert!(check(&register, &operations, &Limits::default()).is_linearizable());
//! # Ok::<(), quorate_testkit::record::HistoryError>(())
//! ```

mod edn;
mod edn_events;
mod error;
mod event;
mod json_events;
mod log_events;
mod meaning;
mod operations;
mod read;

pub use self::error::{HistoryError, Problem};
pub use self::event::{History, HistoryEvent, Kind};
pub use self::meaning::{Json, Meaning, Recorded};
pub use self::operations::{Operations, operations};

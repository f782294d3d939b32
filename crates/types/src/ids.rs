//! Names of clusters and members.

use std::fmt;

/// Names one cluster. All members compute the same value at bootstrap and it never changes after.
///
/// Printed as 16 lower-case hexadecimal digits. Zero is never a valid id.
///
/// ```
/// use quorate_types::ClusterId;
/// assert_eq!(ClusterId::new(0xa7ef).to_string(), "000000000000a7ef");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(u64);

/// Names one member of a cluster. Never reused, not even after the member was removed.
///
/// Printed as 16 lower-case hexadecimal digits. Zero is never a valid id; `raft` uses it for
/// "nobody".
///
/// ```
/// use quorate_types::MemberId;
/// assert_eq!(MemberId::new(1).to_string(), "0000000000000001");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(u64);

macro_rules! id {
    ($name:ident) => {
        impl $name {
            /// Wraps `value`.
            ///
            /// # Panics
            ///
            /// If `value` is zero; use [`Self::from_u64`] for values from outside.
            pub const fn new(value: u64) -> Self {
                assert!(value != 0, "an id is never zero");
                Self(value)
            }

            /// Wraps `value`, or `None` if it is zero.
            pub const fn from_u64(value: u64) -> Option<Self> {
                if value == 0 { None } else { Some(Self(value)) }
            }

            /// The number behind the id; never zero.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }
    };
}

id!(ClusterId);
id!(MemberId);

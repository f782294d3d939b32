//! Names of commands.

use crate::MemberId;

/// Names one command for ever: which member took it from a caller, in which life of that member,
/// and its number in that life. The state machine uses it to apply a command that was proposed
/// twice only once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId {
    /// The member that took the command from its caller.
    pub origin: MemberId,
    /// The life of that member: grows each time it is opened.
    pub incarnation: u64,
    /// Counts the commands of one life, from 1.
    pub sequence: u64,
}

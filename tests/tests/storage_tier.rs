//! The real storage tier: the stores on RocksDB and raft-engine against the memory stores.
//!
//! The simulator runs members on `MemoryEngine` and `MemoryLog` and lets them crash there. What it
//! proves holds for real disks only if the real stores behave as the memory stores say. Here both
//! do the same work, and the memory stores are the judge:
//!
//! - `differential`: random calls of every kind on both, each answer compared, with reopening.
//! - `kills`: a child process leads the life of a member's stores ([`stream`]) and tells of each
//!   call that returned; the parent kills it with SIGKILL at a random moment or at a named point
//!   ([`points`]) and opens the folder. What is found must be a state that the memory stores allow
//!   after `crash_keeping(n)`, for some n, on the same calls: so whatever was acknowledged as
//!   durable is there, and no batch is there in part. Then the folder goes on.
//! - `limits`: the same child with a limit on the size of its files, a disk that is full: a write
//!   is cut short, the next one fails. The store must say so, refuse all that follows, and hold
//!   after opening what it held.
//! - `power`: the log in this process on a disk that loses power or fails: unsynced bytes are kept,
//!   lost or torn sector by sector, removed files come back, the n-th operation fails.
//! - `damage`: cut and spoiled files are reported, never read as less data.
//! - `members`: three whole members in a child process that is killed again and again.
//!
//! A kill does not lose what the operating system holds in its memory, so `kills` proves that the
//! stores bear an end at any moment; that they sync what they must is what `power` proves, for the
//! log. RocksDB has no such hook below it.
//!
//! All random numbers come from the seeds in the tests; a failure names its seed. When exactly a
//! kill strikes depends on the machine.

mod storage_tier {
    mod damage;
    mod differential;
    mod kills;
    mod limits;
    mod members;
    mod points;
    mod power;
    mod process;
    mod stores;
    mod stream;
}

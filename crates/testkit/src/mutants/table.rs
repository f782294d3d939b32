//! Where each bug comes from, how fast it must be found, and where it stands.

use super::Class::{L, M, S};
use super::Scenario::{Locks, Plan, Queues};
use super::{Class, Excluded, Mutant, Row, Scenario};

/// All bugs that can be built in, in the order of their names.
pub const TABLE: &[Row] = &[
    row(Mutant::M01, S, "etcd #13766", "mvcc/src/store.rs"),
    row(Mutant::M02, S, "etcd #14685", "mvcc/src/store.rs"),
    row(Mutant::M03, S, "etcd #14370", "raft-node/src/core/ready.rs"),
    row(Mutant::M04, M, "etcd #14571, #11651", "mvcc/src/store.rs"),
    row(Mutant::M05, S, "etcd #15220", "mvcc/src/watch/follow.rs"),
    row(Mutant::M06, M, "etcd #15271", "mvcc/src/watch/hub.rs"),
    row(Mutant::M07, S, "etcd #17247", "mvcc/src/watch/follow.rs"),
    row(Mutant::M08, M, "etcd #17529", "mvcc/src/watch/follow.rs"),
    row(Mutant::M09, M, "etcd #17780", "mvcc/src/store.rs"),
    row(Mutant::M10, M, "etcd #18089", "mvcc/src/sweep.rs"),
    row(Mutant::M11, L, "etcd #18055, #20133, #20657", "raft-node/src/core/snapshots.rs"),
    row(Mutant::M12, S, "etcd #18667", "mvcc/src/execute.rs"),
    row(Mutant::M14, M, "etcd #20221", "mvcc/src/watch/follow.rs"),
    row(Mutant::M15, M, "etcd #20221, #19487", "mvcc/src/watch/hub.rs"),
    row(Mutant::M16, M, "etcd #20271", "storage/src/memory/engine.rs"),
    row(Mutant::M17a, L, "etcd #20418", "raft-node/src/core/reads.rs"),
    row(Mutant::M17b, L, "etcd #20418, raft 0.7.0", "raft-node/src/core/requests.rs"),
    row(Mutant::M18, M, "etcd #20426", "raft-node/src/core/mod.rs"),
    row(Mutant::M19a, S, "etcd #9566, restate #2950", "raft-node/src/core/requests.rs"),
    row(Mutant::M19b, S, "etcd #9566", "raft-node/src/core/reads.rs"),
    row(Mutant::M20, S, "tikv #20000", "raft-node/src/core/reads.rs"),
    row(Mutant::M21, S, "etcd #14890, jetcd", "raft-node/src/core/proposals.rs"),
    row(Mutant::M22, S, "etcd #14891", "raft-node/src/core/proposals.rs"),
    row(Mutant::M23, S, "etcd 0.4, consul, dqlite #258", "raft-node/src/core/requests.rs"),
    row(Mutant::M24, M, "consul", "raft-node/src/core/mod.rs"),
    row(Mutant::M25, M, "redis-raft #18, #19", "raft-node/src/core/requests.rs"),
    row(Mutant::M26, S, "redis-raft #14", "raft-node/src/core/ready.rs"),
    row(Mutant::M27a, M, "redis-raft #28, #43", "raft-node/src/recovery.rs"),
    row(Mutant::M27b, M, "redis-raft #44", "raft-node/src/core/appends.rs"),
    row(Mutant::M30, M, "dqlite #575", "storage/src/memory/log.rs"),
    row(Mutant::M31, S, "NATS 2.12.1", "raft-node/src/core/ready.rs"),
    row(Mutant::M32, L, "NATS 2.12.1, PAR (FAST 2018)", "raft-node/src/recovery.rs"),
    row(Mutant::M33, M, "Rebello et al. (ATC 2020)", "storage/src/memory/log.rs"),
    row(Mutant::M34, M, "etcd #14098", "raft-node/src/core/mod.rs"),
    recipe(Mutant::M35, M, "etcd #11456, #10811", "quorate/src/recipes/place.rs", Locks),
    row(Mutant::M38a, S, "TigerBeetle 0.16.11", "mvcc/src/read.rs"),
    row(Mutant::M38b, S, "TigerBeetle 0.16.11", "mvcc/src/read.rs"),
    row(Mutant::M38c, S, "TigerBeetle 0.16.11", "mvcc/src/read.rs"),
    row(Mutant::M38d, S, "TigerBeetle 0.16.11", "mvcc/src/read.rs"),
    row(Mutant::M38e, S, "TigerBeetle 0.16.11", "mvcc/src/read.rs"),
    row(Mutant::M38f, S, "TigerBeetle 0.16.11", "mvcc/src/read.rs"),
    row(Mutant::M38g, S, "TigerBeetle 0.16.11", "mvcc/src/read.rs"),
    row(Mutant::M39, M, "Raft thesis, 3.8", "raft-node/src/core/ready.rs"),
    row(Mutant::M40, M, "Raft thesis, 3.8", "raft-node/src/core/ready.rs"),
    row(Mutant::M41a, L, "openraft 2af491fb", "raft-node/src/core/appends.rs"),
    row(Mutant::M41b, L, "openraft cecb5de8", "raft-node/src/core/messages.rs"),
    row(Mutant::M41c, L, "openraft #1802", "raft-node/src/core/messages.rs"),
    row(Mutant::M41d, L, "openraft 1ef3e574", "raft-node/src/core/requests.rs"),
    row(Mutant::M42a, M, "openraft d0e245a2", "raft-node/src/core/ready.rs"),
    row(Mutant::M42b, M, "openraft afd6508b", "raft-node/src/core/snapshots.rs"),
    row(Mutant::M50, L, "Raft thesis, figure 3.7", "raft-node/src/core/messages.rs"),
    row(Mutant::M51, S, "", "mvcc/src/sessions.rs"),
    row(Mutant::M52, M, "", "mvcc/src/snapshot/reader.rs"),
    row(Mutant::M53, M, "", "raft-node/src/core/snapshots.rs"),
    row(Mutant::M54, S, "", "mvcc/src/hash.rs"),
    row(Mutant::M55, S, "", "raft-node/src/core/proposals.rs"),
    row(Mutant::M56, S, "Jepsen, many", "raft-node/src/core/proposals.rs"),
    row(Mutant::M57, S, "Raft thesis, 6.4", "raft-node/src/core/reads.rs"),
    row(Mutant::M58, M, "", "raft-node/src/core/ready.rs"),
    row(Mutant::M59, M, "", "quorate/src/machine.rs"),
    row(Mutant::M60, M, "", "raft-node/src/core/mod.rs"),
    row(Mutant::M61, M, "Raft thesis, 3.6.1", "raft-node/src/core/messages.rs"),
    row(Mutant::M64, M, "", "mvcc/src/store.rs"),
    row(Mutant::M65, M, "", "mvcc/src/store.rs"),
    row(Mutant::M66, S, "", "mvcc/src/execute.rs"),
    row(Mutant::M67, S, "", "mvcc/src/execute.rs"),
    row(Mutant::M68, S, "", "mvcc/src/txn.rs"),
    row(Mutant::M69, S, "Raft thesis, 3.8", "raft-node/src/core/ready.rs"),
    row(Mutant::M71, M, "", "raft-node/src/core/reads.rs"),
    row(Mutant::M72, M, "", "raft-node/src/core/mod.rs"),
    row(Mutant::M73, S, "Raft thesis, 6.3", "mvcc/src/sessions.rs"),
    row(Mutant::M74, M, "", "raft-node/src/core/proposals.rs"),
    row(Mutant::M75, M, "", "raft-node/src/core/tail.rs"),
    row(Mutant::M76, L, "", "raft-node/src/core/tail.rs"),
    row(Mutant::M77, L, "an earlier bug of our own", "raft-node/src/core/mod.rs"),
    row(Mutant::M78, M, "an earlier bug of our own", "raft-node/src/core/requests.rs"),
    row(Mutant::M79, S, "", "mvcc/src/pending.rs"),
    row(Mutant::M80, M, "", "raft-node/src/core/ready.rs"),
    row(Mutant::M81, L, "etcd #20418, its kin", "raft-node/src/core/reads.rs"),
    row(Mutant::M82, S, "Raft thesis, 10.2.1", "raft-node/src/core/ready.rs"),
    row(Mutant::M83, S, "", "mvcc/src/execute.rs"),
    row(Mutant::M84, M, "", "mvcc/src/lease/commands.rs"),
    row(Mutant::M85, S, "", "mvcc/src/lease/commands.rs"),
    row(Mutant::M86, M, "", "mvcc/src/store.rs"),
    row(Mutant::M87, M, "", "mvcc/src/lease/timing.rs"),
    recipe(Mutant::M88, M, "", "quorate/src/recipes/place.rs", Locks),
    recipe(Mutant::M89, S, "", "quorate/src/recipes/items.rs", Queues),
    recipe(Mutant::M90, L, "", "quorate/src/lease.rs", Locks),
];

/// Bugs that no run of the simulator can reach, and the tests that find them instead.
pub const EXCLUDED: &[Excluded] = &[Excluded {
    mutant: Mutant::M36,
    reason: "between its look and its registration a watch is overtaken by another thread only, \
             and a run has one",
    test: "mvcc/tests/mvcc/watch_races.rs",
}];

const fn row(mutant: Mutant, class: Class, source: &'static str, place: &'static str) -> Row {
    Row { mutant, class, source, place, scenario: Plan }
}

/// A bug that only those notice who use more than single requests.
const fn recipe(
    mutant: Mutant,
    class: Class,
    source: &'static str,
    place: &'static str,
    scenario: Scenario,
) -> Row {
    Row { mutant, class, source, place, scenario }
}

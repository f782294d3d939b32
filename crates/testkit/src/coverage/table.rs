//! The table itself.

use super::{Covered, Exempt};

/// Every public call that runs make.
pub const SURFACE: &[Covered] = &[
    // Writes.
    write("client::put", &["put"], "write"),
    write("client::put_with", PUT, "put"),
    write("client::delete", &["delete.key"], "write"),
    write("client::delete_prefix", &["delete.between"], "delete"),
    write("client::delete_with", DELETE, "delete"),
    // Reads.
    read("client::get", &["range.key"], "read"),
    read("client::range", RANGE, "range"),
    read("request::key", &["range.key"], "span"),
    read("request::prefix", &["range.between"], "span"),
    read("request::between", &["range.between"], "span"),
    read("request::all", &["range.from"], "span"),
    read("request::limit", &["range.limit"], "range"),
    read("request::revision", &["range.revision"], "range"),
    read("request::keys_only", &["range.keys_only"], "range"),
    read("request::count_only", &["range.count_only"], "range"),
    read("request::sort", SORT, "range"),
    read("request::local", &["range.local", "txn.read_only.local"], "range"),
    read("request::impl From<RangeRequest> for Range", FILTERS, "range"),
    Covered {
        call: "client::hash",
        features: &["hash.now", "hash.then"],
        generator: "read",
        checkers: &["real-time-order", "member-order", "read-hash", "state-model"],
    },
    read("client::range_stream", &["range.part"], "range"),
    read("request::at_least", &["range.at_least"], "read"),
    read("request::min_mod_revision", &["range.min_mod_revision"], "range"),
    read("request::max_mod_revision", &["range.max_mod_revision"], "range"),
    read("request::min_create_revision", &["range.min_create_revision"], "range"),
    read("request::max_create_revision", &["range.max_create_revision"], "range"),
    // Compactions.
    Covered {
        call: "client::compact",
        features: &["compact"],
        generator: "compaction",
        checkers: &["apply-model", "answer-true", "read-replay", "read-hash", "state-model"],
    },
    Covered {
        call: "client::compact_with",
        features: &["compact.physical", "compact.swept"],
        generator: "compaction",
        checkers: &["apply-model", "answer-true", "swept", "state-agreement"],
    },
    // Leases.
    lease("lease::lease_grant", &["lease.grant.unnamed"]),
    lease("lease::lease_grant_with", &["lease.grant"]),
    lease("lease::lease_revoke", &["lease.revoke"]),
    lease("lease::lease_keep_alive", &["lease.keep_alive"]),
    read("lease::lease_time_to_live", &["lease.time_to_live", "lease.time_to_live.keys"], "lease"),
    read("lease::leases", &["lease.list"], "lease"),
    // Alarms.
    read("alarm::alarms", &["alarms", "alarm.list"], "alarm"),
    write("alarm::raise_alarm", &["alarm.raise"], "alarm"),
    write("alarm::clear_alarm", &["alarm.clear"], "clears"),
    // Transactions.
    txn("client::txn", &["txn"], "txn"),
    txn("client::txn_with", &["txn", "txn.read_only"], "txn"),
    txn("client::commit", &["txn", "txn.read_only"], "txn"),
    txn("client::when", COMPARE, "compare"),
    txn("client::then", &["txn.success"], "ops"),
    txn("client::or_else", &["txn.failure"], "ops"),
    txn("client::into_request", &["txn.nested", "txn.nested_twice"], "ops"),
    txn("request::nested", &["txn.nested", "txn.nested_twice"], "ops"),
    txn("request::put", &["txn.put"], "ops"),
    txn("request::delete", &["txn.delete"], "ops"),
    txn("request::range", &["txn.range"], "ops"),
    txn("request::put_with_lease", &["txn.put", "put.lease"], "ops"),
    txn("request::delete_prefix", &["txn.delete", "delete.between"], "ops"),
    txn("request::lease", &["compare.lease"], "compare"),
    txn("request::up_to", &["compare.span"], "compare"),
    txn("request::all_below", &["compare.span"], "compare"),
    txn("request::value", &["compare.value"], "compare"),
    txn("request::version", &["compare.version"], "compare"),
    txn("request::create_revision", &["compare.create_revision"], "compare"),
    txn("request::mod_revision", &["compare.mod_revision"], "compare"),
    txn("request::equals", &["compare.equals"], "compare"),
    txn("request::differs", &["compare.differs"], "compare"),
    txn("request::greater", &["compare.greater"], "compare"),
    txn("request::less", &["compare.less"], "compare"),
    // Watches.
    watch("client::watch", &["watch.key", "watch.between", "watch.from"]),
    watch("watch::key", &["watch.key"]),
    watch("watch::prefix", &["watch.between"]),
    watch("watch::between", &["watch.between"]),
    watch("watch::all", &["watch.from"]),
    watch("watch::from_revision", &["watch.key", "watch.between", "watch.from"]),
    watch("watch::without_puts", &["watch.without_puts"]),
    watch("watch::without_deletes", &["watch.without_deletes"]),
    watch("watch::with_prev_kv", &["watch.prev_kv"]),
    watch("watch::fragmented", &["watch.fragmented"]),
    watch("watch::progress", &["watch.progress"]),
    watch("watch::impl Iterator for Watcher", &["watch.key", "watch.between", "watch.from"]),
    // What is refused, whatever the call.
    Covered {
        call: "error::impl From<KvError> for Error",
        features: REFUSALS,
        generator: "flawed",
        checkers: &["refusal", "apply-model", "read-replay", "read-hash", "watch-end"],
    },
];

/// Public calls that runs do not make.
pub const EXEMPT: &[Exempt] = &[
    exempt("client::new", "joins a handle to a seam; actors are given theirs so"),
    exempt("watch::next_revision", "where a planned watcher goes on; actors do so in watch_actors"),
    exempt("watch::next_timeout", "a wait for the same request; actors do so in watch_actors"),
    exempt("watch::events", "the same answers one by one; actors do so in watch_actors"),
    exempt("watch::progress_every", "the deadline of each watch; actors do so in watch_actors"),
    exempt("watch::is_progress", "looks at an answer; actors do so in watch_actors"),
    exempt("client::seam", "hands the seam on; actors' calls are recorded through it"),
    exempt("client::now", "the time of the run, which actors ask for"),
    exempt("client::sleep", "waits in the time of the run, as actors do"),
    exempt("client::with_timeout", "each operation of a plan has a timeout of its own"),
    exempt("client::after", "waits in the time of the run, as client::sleep does"),
    exempt("lease::lease_keeper", "a task that calls lease_keep_alive, as sessions of actors do"),
    exempt("lease::lease", "a field of the keeper"),
    exempt("lease::is_lost", "a field of the keeper; tested with a seam that loses leases"),
    exempt("lease::lost", "a promise of the keeper; tested with a seam that loses leases"),
    exempt("client::status", "it tells what the checkers of consensus look at after each step"),
    exempt("node::open", "the simulator opens members from the same parts, see world::process"),
    exempt("node::client", "a clone of a handle"),
    exempt("node::cluster_id", "a number given at the founding; tested with real members"),
    exempt("node::member_id", "a number given at the founding; tested with real members"),
    exempt("node::transfer_leader", "the fault TransferLeader asks the core, which does the work"),
    exempt("node::close", "threads and folders only; tested with real members"),
    exempt("node::kill", "the fault Crash does this and loses unsynced bytes besides"),
];

const PUT: &[&str] = &["put", "put.prev_kv", "put.ignore_value", "put.ignore_lease", "put.lease"];
const DELETE: &[&str] = &["delete.key", "delete.between", "delete.from", "delete.prev_kv"];
const RANGE: &[&str] = &["range.key", "range.between", "range.from"];
const SORT: &[&str] = &[
    "range.ascending",
    "range.descending",
    "range.by_key",
    "range.by_version",
    "range.by_create_revision",
    "range.by_mod_revision",
    "range.by_value",
];
const FILTERS: &[&str] = &[
    "range.min_mod_revision",
    "range.max_mod_revision",
    "range.min_create_revision",
    "range.max_create_revision",
];
const COMPARE: &[&str] =
    &["compare.span", "compare.lease", "compare.nothing", "compare.no_target", "compare.no_result"];
const REFUSALS: &[&str] = &[
    "refused.empty_key",
    "refused.key_not_found",
    "refused.value_provided",
    "refused.lease_provided",
    "refused.too_many_operations",
    "refused.too_deep",
    "refused.duplicate_key",
    "refused.invalid_sort_option",
    "refused.request_too_large",
    "refused.lease_not_found",
    "refused.compacted",
    "refused.future_revision",
    "refused.empty_watch_range",
    "refused.lease_exists",
    "refused.lease_ttl_too_large",
    "refused.key_too_large",
    "refused.value_too_large",
    "refused.no_space",
    "refused.corrupt",
    "refused.invalid_alarm",
];

const fn write(
    call: &'static str,
    features: &'static [&'static str],
    generator: &'static str,
) -> Covered {
    Covered { call, features, generator, checkers: WRITE_CHECKERS }
}

const fn read(
    call: &'static str,
    features: &'static [&'static str],
    generator: &'static str,
) -> Covered {
    let checkers = &["real-time-order", "member-order", "read-revision", "read-replay"];
    Covered { call, features, generator, checkers }
}

const fn txn(
    call: &'static str,
    features: &'static [&'static str],
    generator: &'static str,
) -> Covered {
    let checkers = &["apply-model", "answer-true", "real-time-order", "read-replay"];
    Covered { call, features, generator, checkers }
}

const fn watch(call: &'static str, features: &'static [&'static str]) -> Covered {
    Covered { call, features, generator: "watch", checkers: WATCH_CHECKERS }
}

const fn lease(call: &'static str, features: &'static [&'static str]) -> Covered {
    let checkers =
        &["apply-model", "answer-true", "nothing-invented", "lease-early", "state-model"];
    Covered { call, features, generator: "lease", checkers }
}

const fn exempt(call: &'static str, reason: &'static str) -> Exempt {
    Exempt { call, reason }
}

const WATCH_CHECKERS: &[&str] = &[
    "watch-filter",
    "watch-order",
    "watch-unique",
    "watch-atomic",
    "watch-progress",
    "watch-resume",
    "watch-reliable",
    "watch-event",
    "watch-prev-kv",
    "watch-from-now",
    "watch-catch-up",
];
const WRITE_CHECKERS: &[&str] =
    &["apply-model", "answer-true", "nothing-invented", "failed-without-effect", "real-time-order"];

//! Which calls of the recipes simulations make.

use super::Exempt;

/// The files of the crate `quorate` whose calls are made by the simulations of
/// [`recipes`](crate::recipes) or the tests of actors, but for those of [`PLAYED_EXEMPT`].
pub const PLAYED: &[&str] = &[
    "lease",
    "recipes/election",
    "recipes/guard",
    "recipes/mutex",
    "recipes/queue",
    "recipes/rw_lock",
    "recipes/semaphore",
    "recipes/session",
    "recipes/transact",
];

/// Files and calls that no simulation uses, and why.
pub const PLAYED_EXEMPT: &[Exempt] = &[
    exempt("recipes/barrier", "not simulated; real members in quorate/tests/memory/barriers.rs"),
    exempt("recipes/double_barrier", "not simulated; quorate/tests/memory/barriers.rs"),
    exempt("recipes/live_config", "not simulated; real members in quorate/tests/memory"),
    exempt("recipes/namespace", "not simulated; real members in quorate/tests/memory"),
    exempt("recipes/registry", "not simulated; real members in quorate/tests/memory"),
    exempt("recipes/election::leader", "a range with a sort, which plans draw"),
    exempt("recipes/guard::session", "hands on what the caller gave"),
    exempt("recipes/queue::take_timeout", "what it took is lost if the member stops at once"),
    exempt("recipes/session::adopt", "a keeper of a lease, without an end of its own"),
    exempt("recipes/transact::transact_up_to", "what transact calls"),
    exempt("recipes/transact::between", "what prefix calls"),
    exempt("recipes/transact::put_with_lease", "what put calls"),
    exempt("recipes/transact::delete", "a write as any other"),
    exempt("lease::lease_grant_with", "what lease_grant calls, and plans draw the request"),
    exempt("lease::lease_keep_alive", "what a keeper calls, and plans draw the request"),
    exempt("lease::leases", "plans draw the request"),
];

const fn exempt(call: &'static str, reason: &'static str) -> Exempt {
    Exempt { call, reason }
}

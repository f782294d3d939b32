//! One test for every check of the conformance suite.

/// Writes a test for each named check, run on the network that `$network` makes.
macro_rules! conformance {
    ($network:expr; $($group:ident: $($check:ident)*;)*) => {
        #[test]
        fn no_check_is_left_out() {
            let named = [$($(concat!(stringify!($group), "::", stringify!($check)),)*)*];
            let all = quorate_transport::conformance::CHECKS;
            assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), named);
        }
        $(mod $group {
            $(#[test]
            fn $check() {
                quorate_transport::conformance::$group::$check(&$network);
            })*
        })*
    };
}

/// Names every check of the suite.
macro_rules! run_conformance {
    ($network:expr) => {
        crate::suite::conformance! {
            $network;
            messages:
                arrive_unaltered to_unknown_peers_are_dropped stay_in_their_cluster
                have_a_size_limit to_a_stalled_peer_are_bounded;
            bulk:
                carries_nothing carries_ten_mebibytes several_at_once broken_by_the_sender
                refused_before_reading refused_after_reading left_early_by_the_receiver
                needs_a_reachable_peer needs_the_same_cluster;
            lifecycle:
                starts_once stops_while_busy stops_in_the_middle_of_bulk
                stops_from_within_an_inbox_call rejoins_after_stop;
        }
    };
}

pub(crate) use {conformance, run_conformance};

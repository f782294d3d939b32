//! Who votes and who only listens, as a value that the state machine keeps for us.

use bytes::Bytes;
use prost::Message as _;
use quorate_types::MemberId;
use raft::eraftpb::ConfState;

/// The members of a cluster at one position of the log.
///
/// Encoded as a protobuf message (see `docs/wire_format.md`), kept by the state machine beside its
/// applied position and sent with every snapshot. Lists are sorted and without repetition.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Membership {
    /// Members that vote.
    #[prost(fixed64, repeated, tag = "1")]
    voters: Vec<u64>,
    /// Members that receive the log but do not vote.
    #[prost(fixed64, repeated, tag = "2")]
    learners: Vec<u64>,
    /// The voters of the configuration being left, while two overlap (Raft thesis, section 4.3).
    #[prost(fixed64, repeated, tag = "3")]
    voters_outgoing: Vec<u64>,
    /// Members that become learners once the old configuration is left.
    #[prost(fixed64, repeated, tag = "4")]
    learners_next: Vec<u64>,
    /// Whether the old configuration is left without being asked.
    #[prost(bool, tag = "5")]
    auto_leave: bool,
}

impl Membership {
    /// A membership of voters only, in any order.
    pub fn of_voters(voters: impl IntoIterator<Item = MemberId>) -> Self {
        let mut voters: Vec<u64> = voters.into_iter().map(MemberId::get).collect();
        voters.sort_unstable();
        voters.dedup();
        Self { voters, ..Self::default() }
    }

    /// The voters in ascending order.
    pub fn voters(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.voters.iter().filter_map(|id| MemberId::from_u64(*id))
    }

    /// Every member that takes part in any role, in ascending order.
    pub fn members(&self) -> Vec<MemberId> {
        let mut all = self.voters.clone();
        all.extend(&self.learners);
        all.extend(&self.voters_outgoing);
        all.extend(&self.learners_next);
        all.sort_unstable();
        all.dedup();
        all.into_iter().filter_map(MemberId::from_u64).collect()
    }

    /// Whether nobody takes part.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// The encoded form; equal memberships have equal bytes.
    pub fn encode(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads the encoded form.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes: they are no membership, or one without voters or with the id
    /// 0.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let membership = <Self as prost::Message>::decode(bytes).map_err(|e| e.to_string())?;
        if membership.voters.is_empty() {
            return Err("a membership without voters".to_owned());
        }
        let groups = [
            &membership.voters,
            &membership.learners,
            &membership.voters_outgoing,
            &membership.learners_next,
        ];
        if groups.iter().any(|group| group.contains(&0)) {
            return Err("a membership with the member id 0".to_owned());
        }
        Ok(membership)
    }

    pub(crate) fn from_raft(state: &ConfState) -> Self {
        let sorted = |ids: &[u64]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        Self {
            voters: sorted(state.get_voters()),
            learners: sorted(state.get_learners()),
            voters_outgoing: sorted(state.get_voters_outgoing()),
            learners_next: sorted(state.get_learners_next()),
            auto_leave: state.auto_leave,
        }
    }

    pub(crate) fn to_raft(&self) -> ConfState {
        let mut state = ConfState::default();
        state.set_voters(self.voters.clone());
        state.set_learners(self.learners.clone());
        state.set_voters_outgoing(self.voters_outgoing.clone());
        state.set_learners_next(self.learners_next.clone());
        state.auto_leave = self.auto_leave;
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_form_survives_and_ignores_order() {
        let ids = [3, 1, 2, 1].map(MemberId::new);
        let membership = Membership::of_voters(ids);
        assert_eq!(membership, Membership::of_voters([1, 2, 3].map(MemberId::new)));
        assert_eq!(Membership::decode(&membership.encode()).expect("own bytes"), membership);
        assert_eq!(Membership::from_raft(&membership.to_raft()), membership);
    }

    #[test]
    fn refuses_what_is_no_membership() {
        assert!(Membership::decode(&[0xff]).is_err());
        assert!(Membership::decode(&[]).is_err());
        assert!(
            Membership::decode(&Membership { voters: vec![0], ..Membership::default() }.encode())
                .is_err()
        );
    }
}

//! The choice between branches: an order without contradictions, and what nodes agree on whatever they saw first.

use std::cmp::Ordering;

use proptest::prelude::{Strategy, any, proptest};
use rota_chain::hash::BlockHash;
use rota_consensus::choice::fork::{Branch, governance_floor, prefer};

use crate::chain_builder::Chain;
use crate::transaction_builder::party;

fn branch() -> impl Strategy<Value = Branch> {
    let fields = (0u128..3, any::<bool>(), proptest::option::of(0u32..3), 0u64..3, 0u8..2);
    fields.prop_map(|(weight, can_mine, own_last, sequence, tip)| Branch {
        tip: BlockHash([tip; 32]),
        weight,
        can_mine,
        own_last,
        sequence,
    })
}

proptest! {
    #[test]
    fn the_preference_is_an_order(a in branch(), b in branch(), c in branch()) {
        assert_eq!(prefer(&a, &b), prefer(&b, &a).reverse());
        if prefer(&a, &b) != Ordering::Less && prefer(&b, &c) != Ordering::Less {
            assert_ne!(prefer(&a, &c), Ordering::Less);
        }
    }

    #[test]
    fn more_weight_wins_whatever_else_holds(a in branch(), b in branch()) {
        if a.weight > b.weight {
            assert_eq!(prefer(&a, &b), Ordering::Greater);
        }
    }
}

#[test]
fn the_governance_floor_is_whole_rounds_below_the_tip() {
    for (miners, spacing, per_round) in [(1, 1, 1), (4, 3, 3), (10, 8, 8), (10, 1, 1)] {
        assert_eq!(governance_floor(1_000, 10, miners, spacing), Some(1_000 - 10 * per_round));
    }
    assert_eq!(governance_floor(1_000, u32::MAX, 10, 8), None);
}

#[test]
fn changes_of_governance_are_completed_changes_of_admin_and_mine() {
    let mut chain = Chain::with(|rules| rules.consensus_mine = 1_000_000);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(party);
    let mut governs = |writing: crate::transaction_builder::Writing| {
        let applied = chain.propose(writing.clone()).unwrap();
        chain.confirm(writing);
        applied.changes.changes_governance()
    };
    let by = |nonce: u64, who: &crate::transaction_builder::Party| {
        crate::transaction_builder::transaction(nonce << 32).author(who)
    };
    assert!(!governs(by(1, &alice).grant(&bob, "send,create")));
    assert!(!governs(by(2, &alice).grant(&bob, "connect")));
    assert!(governs(by(3, &alice).grant(&bob, "admin")));
    // A vote that decides nothing changes nothing; the one that completes it does.
    assert!(!governs(by(4, &alice).grant(&carol, "mine")));
    assert!(governs(by(5, &bob).grant(&carol, "mine")));
    // The range in force, voted for again, is no change.
    assert!(!governs(by(6, &bob).author(&alice).grant(&carol, "mine")));
}

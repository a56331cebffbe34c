//! Voting: how many administrators must agree, which votes count, and what is left open.

use rota_chain::permission::{BlockRange, Permission};
use rota_consensus::ops::permission::votes_needed;
use rota_consensus::state::Vote;

use crate::chain_builder::Chain;
use crate::transaction_builder::{Party, broken, party};

const TO_100_000: BlockRange = BlockRange { start: 0, end: 100_000 };

/// The parameters of the recorded session, after its setup phase.
fn fractions() -> Chain {
    Chain::with(|rules| {
        rules.setup_first_blocks = 1;
        rules.consensus_admin = 600_000;
        rules.consensus_mine = 600_000;
        rules.consensus_activate = 500_000;
        rules.consensus_create = 300_000;
        rules.consensus_issue = 1_000_000;
    })
}

/// As [`fractions`], with administrators alice, bob and carol.
fn three_administrators() -> Chain {
    let mut chain = fractions();
    let (alice, bob, carol) = (party("alice"), party("bob"), party("carol"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "admin"));
    chain.confirm(chain.write().author(&alice).author(&bob).grant(&carol, "admin"));
    assert!(chain.may(&carol, Permission::Admin));
    chain
}

fn vote(chain: &mut Chain, voter: &Party, who: &Party, right: &str, range: BlockRange) {
    chain.confirm(chain.write().author(voter).grant_range(who, right, range));
}

/// What `pending` shows: ranges with their voters, in the order cast.
fn open(chain: &Chain, who: &Party, permission: Permission) -> Vec<(BlockRange, Vec<Party>)> {
    let everybody = ["alice", "bob", "carol", "dave", "erin"].map(party);
    let mut shown: Vec<(BlockRange, Vec<Party>)> = Vec::new();
    for Vote { admin, range, .. } in chain.record(who, permission).votes {
        let voter = everybody.iter().find(|p| p.lock() == admin).unwrap().clone();
        match shown.iter_mut().find(|(r, _)| *r == range) {
            Some((_, voters)) => voters.push(voter),
            None => shown.push((range, vec![voter])),
        }
    }
    shown
}

#[track_caller]
fn pending(chain: &Chain, who: &Party, permission: Permission, expected: &[(BlockRange, &[&Party])]) {
    let shown: Vec<(BlockRange, Vec<_>)> = open(chain, who, permission)
        .into_iter()
        .map(|(range, voters)| (range, voters.iter().map(Party::lock).collect()))
        .collect();
    let expected: Vec<(BlockRange, Vec<_>)> =
        expected.iter().map(|(range, voters)| (*range, voters.iter().map(|voter| voter.lock()).collect())).collect();
    assert_eq!(shown, expected);
}

#[track_caller]
fn in_force(chain: &Chain, who: &Party, permission: Permission, range: BlockRange, by: &[&Party]) {
    let record = chain.record(who, permission);
    assert_eq!(record.range, range);
    let by: Vec<_> = by.iter().map(|party| party.lock()).collect();
    assert_eq!(record.granters, by, "in the order their votes were cast");
}

const ALWAYS: BlockRange = BlockRange::ALWAYS;
const NEVER: BlockRange = BlockRange::NEVER;

/// The recorded session of four administrators, step by step: `admins` is granters, `pending` the open votes,
/// `required` what is missing. (Recordings list the newest vote first.)
#[test]
fn the_recorded_session_about_administrators_plays_out_alike() {
    let mut chain = fractions();
    let [first, a, b, d] = ["alice", "bob", "carol", "dave"].map(party);
    let admin = Permission::Admin;
    vote(&mut chain, &first, &a, "admin", ALWAYS);
    in_force(&chain, &a, admin, ALWAYS, &[&first]);
    vote(&mut chain, &first, &b, "admin", ALWAYS);
    in_force(&chain, &b, admin, NEVER, &[]);
    pending(&chain, &b, admin, &[(ALWAYS, &[&first])]);
    assert_eq!(votes_needed(2, chain.rules.consensus_admin) - 1, 1);
    assert!(!chain.may(&b, admin));
    vote(&mut chain, &a, &b, "admin", ALWAYS);
    in_force(&chain, &b, admin, ALWAYS, &[&first, &a]);
    pending(&chain, &b, admin, &[]);

    let mine = Permission::Mine;
    for _ in 0..2 {
        // The second vote of the same administrator for the same range adds nothing.
        vote(&mut chain, &first, &d, "mine", ALWAYS);
        in_force(&chain, &d, mine, NEVER, &[]);
        pending(&chain, &d, mine, &[(ALWAYS, &[&first])]);
    }
    assert_eq!(votes_needed(3, chain.rules.consensus_mine) - 1, 1);
    vote(&mut chain, &a, &d, "mine", TO_100_000);
    pending(&chain, &d, mine, &[(ALWAYS, &[&first]), (TO_100_000, &[&a])]);
    vote(&mut chain, &b, &d, "mine", TO_100_000);
    in_force(&chain, &d, mine, TO_100_000, &[&a, &b]);
    pending(&chain, &d, mine, &[]);
    vote(&mut chain, &first, &d, "mine", NEVER);
    in_force(&chain, &d, mine, TO_100_000, &[&a, &b]);
    pending(&chain, &d, mine, &[(NEVER, &[&first])]);
    assert!(chain.may(&d, mine));
    vote(&mut chain, &b, &d, "mine", NEVER);
    in_force(&chain, &d, mine, NEVER, &[&first, &b]);
    pending(&chain, &d, mine, &[]);
    assert!(!chain.may(&d, mine));

    // The administrator who is voted out votes too, and from then on grants no more.
    vote(&mut chain, &first, &b, "admin", NEVER);
    in_force(&chain, &b, admin, ALWAYS, &[&first, &a]);
    pending(&chain, &b, admin, &[(NEVER, &[&first])]);
    vote(&mut chain, &b, &b, "admin", NEVER);
    assert!(!chain.may(&b, admin));
    in_force(&chain, &a, admin, ALWAYS, &[&first]);
    broken(chain.refusal(chain.write().author(&b).grant(&d, "mine")), "tx-send");
}

#[test]
fn the_recorded_session_about_other_rights_plays_out_alike() {
    let mut chain = three_administrators();
    let [first, a, b, d] = ["alice", "bob", "carol", "dave"].map(party);
    // Three administrators at 0.3: one is enough.
    vote(&mut chain, &first, &d, "create", ALWAYS);
    in_force(&chain, &d, Permission::Create, ALWAYS, &[&first]);
    // At 0.5: two.
    vote(&mut chain, &first, &d, "activate", ALWAYS);
    pending(&chain, &d, Permission::Activate, &[(ALWAYS, &[&first])]);
    vote(&mut chain, &a, &d, "activate", ALWAYS);
    in_force(&chain, &d, Permission::Activate, ALWAYS, &[&first, &a]);
    // At 1: all three.
    vote(&mut chain, &first, &d, "issue", ALWAYS);
    vote(&mut chain, &a, &d, "issue", ALWAYS);
    pending(&chain, &d, Permission::Issue, &[(ALWAYS, &[&first, &a])]);
    vote(&mut chain, &b, &d, "issue", ALWAYS);
    in_force(&chain, &d, Permission::Issue, ALWAYS, &[&first, &a, &b]);
    // No voting.
    vote(&mut chain, &first, &d, "connect,send,receive,high1", ALWAYS);
    for name in ["connect", "send", "receive", "high1"] {
        in_force(&chain, &d, name.parse().unwrap(), ALWAYS, &[&first]);
    }
    // An activator grants connect and not mine.
    let erin = party("erin");
    assert!(chain.propose(chain.write().author(&d).grant(&erin, "connect")).is_ok());
    broken(chain.refusal(chain.write().author(&d).grant(&erin, "mine")), "perm-denied");
}

#[test]
fn each_administrator_among_the_authors_casts_one_vote() {
    let mut chain = three_administrators();
    let [alice, bob, dave] = ["alice", "bob", "dave"].map(party);
    let together = chain.write().author(&alice).author(&bob).grant(&dave, "mine");
    chain.confirm(together);
    in_force(&chain, &dave, Permission::Mine, ALWAYS, &[&alice, &bob]);
}

#[test]
fn a_vote_counts_while_its_voter_is_administrator() {
    let mut chain = three_administrators();
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(party);
    vote(&mut chain, &carol, &dave, "mine", ALWAYS);
    pending(&chain, &dave, Permission::Mine, &[(ALWAYS, &[&carol])]);
    chain.confirm(chain.write().author(&alice).author(&bob).revoke(&carol, "admin"));
    // Two are left and both are needed: hers no longer helps.
    vote(&mut chain, &alice, &dave, "mine", ALWAYS);
    assert!(!chain.may(&dave, Permission::Mine));
    // Once she is back, it does, at the next vote.
    chain.confirm(chain.write().author(&alice).author(&bob).grant(&carol, "admin"));
    assert!(!chain.may(&dave, Permission::Mine), "nothing happens by itself");
    vote(&mut chain, &alice, &dave, "mine", ALWAYS);
    in_force(&chain, &dave, Permission::Mine, ALWAYS, &[&carol, &alice]);
}

#[test]
fn the_number_of_administrators_is_counted_when_a_vote_is_cast() {
    let mut chain = three_administrators();
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(party);
    vote(&mut chain, &alice, &dave, "mine", ALWAYS);
    chain.confirm(chain.write().author(&alice).author(&bob).revoke(&carol, "admin"));
    chain.confirm(chain.write().author(&alice).author(&bob).revoke(&bob, "admin"));
    assert!(!chain.may(&dave, Permission::Mine));
    vote(&mut chain, &alice, &dave, "mine", ALWAYS);
    in_force(&chain, &dave, Permission::Mine, ALWAYS, &[&alice]);
}

#[test]
fn a_new_vote_replaces_the_voters_earlier_one_for_another_range() {
    let mut chain = three_administrators();
    let [alice, bob, dave] = ["alice", "bob", "dave"].map(party);
    vote(&mut chain, &alice, &dave, "mine", ALWAYS);
    vote(&mut chain, &alice, &dave, "mine", TO_100_000);
    pending(&chain, &dave, Permission::Mine, &[(TO_100_000, &[&alice])]);
    vote(&mut chain, &bob, &dave, "mine", ALWAYS);
    assert!(!chain.may(&dave, Permission::Mine));
    vote(&mut chain, &bob, &dave, "mine", TO_100_000);
    in_force(&chain, &dave, Permission::Mine, TO_100_000, &[&alice, &bob]);
}

#[test]
fn a_completed_decision_closes_every_open_vote() {
    let mut chain = three_administrators();
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(party);
    vote(&mut chain, &alice, &dave, "mine", ALWAYS);
    vote(&mut chain, &bob, &dave, "mine", TO_100_000);
    vote(&mut chain, &carol, &dave, "mine", TO_100_000);
    pending(&chain, &dave, Permission::Mine, &[]);
    vote(&mut chain, &bob, &dave, "mine", ALWAYS);
    in_force(&chain, &dave, Permission::Mine, TO_100_000, &[&bob, &carol]);
}

#[test]
fn during_setup_one_administrator_is_enough() {
    let mut chain = Chain::with(|rules| {
        rules.setup_first_blocks = 4;
        rules.consensus_admin = 1_000_000;
    });
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(party);
    for who in [&bob, &carol] {
        vote(&mut chain, &alice, who, "admin", ALWAYS);
    }
    assert_eq!(chain.tip().0, 2);
    vote(&mut chain, &alice, &dave, "admin", ALWAYS);
    assert!(chain.may(&dave, Permission::Admin), "block 3 is setup");
    vote(&mut chain, &alice, &party("erin"), "admin", ALWAYS);
    assert!(!chain.may(&party("erin"), Permission::Admin), "block 4 is not");
}

#[test]
fn rights_on_entities_are_not_voted_on() {
    let mut chain = three_administrators();
    let [alice, bob] = ["alice", "bob"].map(party);
    let stream = chain.confirm(chain.write().author(&alice).author(&bob).create("s"));
    chain.confirm(chain.write().author(&alice).grant_on(stream, &party("dave"), "admin"));
    assert!(chain.may_on(stream, &party("dave"), Permission::Admin));
}

#[test]
fn undo_brings_back_counted_and_open_votes() {
    let mut chain = three_administrators();
    let [alice, bob, dave] = ["alice", "bob", "dave"].map(party);
    let mut before = Vec::new();
    for (voter, range) in [(&alice, ALWAYS), (&bob, TO_100_000), (&alice, TO_100_000), (&bob, NEVER)] {
        before.push((chain.record(&dave, Permission::Mine), chain.hash()));
        vote(&mut chain, voter, &dave, "mine", range);
    }
    while let Some((record, hash)) = before.pop() {
        chain.undo();
        assert_eq!(chain.record(&dave, Permission::Mine), record);
        assert_eq!(chain.hash(), hash);
        assert_eq!(chain.state.multiset().hash(), hash);
    }
    vote(&mut chain, &alice, &dave, "mine", ALWAYS);
    vote(&mut chain, &bob, &dave, "mine", ALWAYS);
    assert!(chain.may(&dave, Permission::Mine));
}

#[test]
fn votes_count_across_the_transactions_of_one_block() {
    let mut chain = three_administrators();
    let [alice, bob, dave] = ["alice", "bob", "dave"].map(party);
    let votes = [&alice, &bob].map(|voter| chain.sign(chain.write().author(voter).grant(&dave, "mine")));
    chain.mine(votes.to_vec());
    in_force(&chain, &dave, Permission::Mine, ALWAYS, &[&alice, &bob]);
}

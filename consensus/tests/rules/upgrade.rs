//! Upgrades: who proposes and approves them, when they apply, and what they leave alone.

use rota_chain::filter::Approve;
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::upgrade::{CreateUpgrade, ParameterChange};
use rota_consensus::ops::upgrade::{Skip, votes_missing};
use rota_consensus::state::{Approval, StateView};

use crate::chain_builder::Chain;
use crate::transaction_builder::{Party, Writing, broken, party, text};

fn propose(writing: Writing, start: u32, changes: &[(&str, i64)]) -> Writing {
    let changes =
        changes.iter().map(|(name, value)| ParameterChange { name: name.as_bytes().to_vec(), value: *value }).collect();
    writing.operation(Operation::CreateUpgrade(CreateUpgrade { name: Vec::new(), start, changes }))
}

fn vote(writing: Writing, upgrade: Txid, approve: bool) -> Writing {
    let update = Vec::new();
    writing.operation(Operation::Approve(Approve { entity: upgrade, stream: None, update, approve, timestamp: 0 }))
}

fn by(chain: &Chain, who: &Party) -> Writing {
    chain.write().author(who)
}

fn approval(chain: &Chain, upgrade: Txid) -> Approval {
    chain.state.approval(&upgrade).unwrap().unwrap_or_default()
}

/// Proposes and approves an upgrade as alice, the only administrator: two blocks.
fn upgrade(chain: &mut Chain, start: u32, changes: &[(&str, i64)]) -> Txid {
    let alice = party("alice");
    let upgrade = chain.confirm(propose(by(chain, &alice), start, changes));
    chain.confirm(vote(by(chain, &alice), upgrade, true));
    upgrade
}

fn data_limit(chain: &Chain) -> u32 {
    chain.rules.at(&chain.state).unwrap().maximum_data_size
}

#[test]
fn an_approved_upgrade_holds_from_the_next_block_on() {
    let mut chain = Chain::with(|rules| rules.maximum_data_size = 100);
    let alice = party("alice");
    let root = chain.genesis.transactions[0].txid();
    let long = |chain: &Chain| by(chain, &alice).publish_data(root, &["k"], text(&"x".repeat(150)));
    broken(chain.refusal(long(&chain)), "stream-data-size");
    let id = upgrade(&mut chain, 0, &[("max-std-op-return-size", 200)]);
    assert_eq!(approval(&chain, id).applied, Some(chain.tip()));
    assert_eq!(data_limit(&chain), 200);
    assert!(chain.propose(long(&chain)).is_ok());
    chain.undo();
    assert_eq!(data_limit(&chain), 100, "an undone block takes its upgrade along");
    broken(chain.refusal(long(&chain)), "stream-data-size");
}

#[test]
fn an_upgrade_waits_for_its_start() {
    let mut chain = Chain::with(|rules| rules.maximum_data_size = 100);
    let id = upgrade(&mut chain, 5, &[("max-std-op-return-size", 150)]);
    assert_eq!(approval(&chain, id).approved, Some(chain.tip()));
    assert_eq!(chain.state.pending_upgrades().unwrap(), [id]);
    chain.mine_to(4);
    assert_eq!(data_limit(&chain), 100);
    chain.mine_to(5);
    assert_eq!(data_limit(&chain), 150);
    assert!(chain.state.pending_upgrades().unwrap().is_empty());
}

#[test]
fn changes_that_go_too_far_are_skipped_and_the_rest_applies() {
    let mut chain = Chain::with(|rules| rules.maximum_data_size = 100);
    let changes = [
        ("max-std-op-return-size", 201),
        ("anyone-can-mine", 1),
        ("nonsense", 1),
        ("anyone-can-receive", 2),
        ("anyone-can-send", 1),
        ("maximum-block-size", -1),
    ];
    let id = upgrade(&mut chain, 0, &changes);
    let skipped = approval(&chain, id).skipped;
    let expected =
        [(0, Skip::Factor), (1, Skip::NotUpgradable), (2, Skip::NotUpgradable), (3, Skip::Range), (5, Skip::Range)];
    assert_eq!(skipped, expected);
    assert_eq!(data_limit(&chain), 100);
    assert!(chain.rules.at(&chain.state).unwrap().anyone.send);
    upgrade(&mut chain, 0, &[("max-std-op-return-size", 50)]);
    assert_eq!(data_limit(&chain), 50, "half is near enough");
}

#[test]
fn a_parameter_of_time_changes_seldom() {
    let mut chain = Chain::with(|rules| {
        rules.upgrade_gap = 4;
        rules.target_block_time = 15;
        rules.target_time_is_fixed = false;
    });
    let time = |chain: &Chain| chain.rules.at(&chain.state).unwrap().target_block_time;
    upgrade(&mut chain, 0, &[("target-block-time", 20)]);
    assert_eq!(time(&chain), 20);
    let soon = upgrade(&mut chain, 0, &[("target-block-time", 25)]);
    assert_eq!(approval(&chain, soon).skipped, [(0, Skip::Gap)]);
    chain.mine_to(5);
    upgrade(&mut chain, 0, &[("target-block-time", 25)]);
    assert_eq!(time(&chain), 25);
    let mut fixed = Chain::new();
    let id = upgrade(&mut fixed, 0, &[("target-block-time", 20)]);
    assert_eq!(approval(&fixed, id).skipped, [(0, Skip::NotUpgradable)]);
}

#[test]
fn as_many_administrators_approve_as_the_chain_asks() {
    let mut chain = Chain::with(|rules| rules.consensus_upgrade = 600_000);
    let (alice, bob, carol) = (party("alice"), party("bob"), party("carol"));
    chain.rules.consensus_admin = 0;
    chain.confirm(by(&chain, &alice).grant(&bob, "admin").grant(&carol, "admin"));
    let id = chain.confirm(propose(by(&chain, &alice), 0, &[("anyone-can-send", 1)]));
    let missing =
        |chain: &Chain| votes_missing(&chain.state, &chain.rules, &approval(chain, id), chain.tip().next()).unwrap();
    assert_eq!(missing(&chain), 2, "two of three");
    chain.confirm(vote(by(&chain, &alice), id, true));
    chain.confirm(vote(by(&chain, &alice), id, true));
    assert_eq!(missing(&chain), 1, "a vote counts once");
    chain.confirm(vote(by(&chain, &alice), id, false));
    assert_eq!(missing(&chain), 2, "a vote is withdrawn while undecided");
    chain.confirm(vote(by(&chain, &bob), id, true));
    chain.confirm(by(&chain, &alice).revoke(&bob, "admin"));
    assert_eq!(missing(&chain), 2, "a vote counts while its voter is administrator: two of two");
    chain.confirm(vote(by(&chain, &alice).author(&carol), id, true));
    assert_eq!((missing(&chain), approval(&chain, id).approved), (0, Some(chain.tip())));
    broken(chain.refusal(vote(by(&chain, &alice), id, false)), "upgrade-approved");
}

#[test]
fn proposing_needs_create_and_admin_and_approving_needs_admin() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(by(&chain, &alice).grant(&bob, "create"));
    let changes = [("anyone-can-send", 1)];
    broken(chain.refusal(propose(by(&chain, &bob), 0, &changes)), "upgrade-admin");
    let id = chain.confirm(propose(by(&chain, &alice), 0, &changes));
    broken(chain.refusal(vote(by(&chain, &bob), id, true)), "upgrade-vote");
    let root = chain.genesis.transactions[0].txid();
    broken(chain.refusal(vote(by(&chain, &alice), root, true)), "upgrade-missing");
}

#[test]
fn an_upgrade_names_parameters_and_each_once() {
    let chain = Chain::new();
    let alice = party("alice");
    broken(chain.refusal(propose(by(&chain, &alice), 0, &[])), "upgrade-empty");
    let twice = [("anyone-can-send", 1), ("anyone-can-send", 0)];
    broken(chain.refusal(propose(by(&chain, &alice), 0, &twice)), "upgrade-twice");
}

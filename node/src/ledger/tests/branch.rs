//! Several branches: which is followed, what happens to the transactions of the other, and how an operator chooses.

use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::{BlockHash, StateHash};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::transaction::Output;
use rota_consensus::choice::fork::governance_floor;
use rota_consensus::mining;
use rota_consensus::rule::{BlockRule, Rule};
use rota_params::Parameter;
use rota_storage::BlockStatus;

use super::world::{Chain, FIRST, Node, key};
use crate::ledger::checked::CHECKED_BYTES;
use crate::ledger::{BlockOutcome, GovernanceFork, GovernanceSeen, LedgerError, LedgerEvent, is_protected};

fn hashes(blocks: &[Arc<Block>]) -> Vec<BlockHash> {
    blocks.iter().map(|block| block.hash()).collect()
}

#[test]
fn a_shorter_branch_is_stored_and_changes_nothing() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.mine_many(FIRST, 2, 0);
    let (tip, state) = (left.tip(), left.state_hash());
    left.events();
    let block = right.mine(FIRST, 11);
    let outcome = left.take(&block);
    assert!(matches!(outcome, BlockOutcome::Stored), "{outcome:?}");
    assert_eq!((left.tip(), left.state_hash()), (tip, state));
    assert!(left.events().is_empty());
    assert_eq!(left.tip_status(&block.hash()), Some("valid-fork"));
    assert_eq!(left.tip_status(&tip), Some("active"));
    let lengths: Vec<u32> = left.ledger.chain_tips().unwrap().iter().map(|tip| tip.branch_length).collect();
    assert_eq!(lengths, [0, 1]);
    assert!(!left.ledger.has_rival(), "it is lower than the tip");
}

#[test]
fn a_branch_as_high_as_the_tip_is_a_rival_until_a_block_settles_it() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.mine_many(FIRST, 1, 0);
    assert!(!left.ledger.has_rival());
    let block = right.mine(FIRST, 11);
    left.take_all(&[block]);
    assert!(left.ledger.has_rival());
    left.mine(FIRST, 20);
    assert!(!left.ledger.has_rival());
}

#[test]
fn a_longer_branch_wins_and_what_the_other_confirmed_waits_again() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    let stream = left.submit(left.stream(FIRST, "s", 1));
    let lost = left.mine_many(FIRST, 2, 0);
    let relayed = left.data(FIRST, 2);
    left.ledger.admission().relay(relayed.clone()).unwrap();
    let more = left.mine(FIRST, 30);
    let item = left.submit(left.item(FIRST, stream, 3));
    left.events();

    let won = right.mine_many(FIRST, 4, 1);
    left.take_all(&won[..3]);
    assert_eq!(left.tip(), more.hash());
    assert!(matches!(left.take(&won[3]), BlockOutcome::Applied));

    assert_eq!((left.tip(), left.height()), (won[3].hash(), 4));
    assert_eq!(left.state_hash(), right.state_hash());
    assert_eq!(left.waiting(), [stream, relayed.txid(), item]);
    assert!(!left.is_confirmed(&stream));
    assert!(left.entry(&stream).unwrap().own, "it was acknowledged here");
    assert!(!left.entry(&relayed.txid()).unwrap().own);
    let events = left.events();
    let [LedgerEvent::Tip { applied, undone, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(applied.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), hashes(&won));
    assert_eq!(undone.as_slice(), [more.hash(), lost[1].hash(), lost[0].hash()]);
}

#[test]
fn blocks_of_branches_that_lost_do_not_fill_the_memory_and_may_win_later() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.mine_many(FIRST, 8, 0);
    let tip = left.tip();
    for number in 0..8 {
        let data = Data { format: DataFormat::Raw, bytes: vec![number; 1_000_000] };
        right.submit(right.sign(FIRST, number.into(), 1_000, vec![Output::operation(Operation::Data(data))]));
        let block = right.mine(FIRST, 11 + 10 * u64::from(number));
        assert!(block.size() > 1_000_000);
        left.take_all(&[block]);
        assert!(left.ledger.checked.bytes() <= CHECKED_BYTES, "{} bytes", left.ledger.checked.bytes());
    }
    assert_eq!(left.tip(), tip);
    assert!(left.ledger.checked.bytes() > 1_000_000, "the last ones are kept");
    let won = right.mine(FIRST, 100);
    assert!(matches!(left.take(&won), BlockOutcome::Applied));
    assert_eq!(left.state_hash(), right.state_hash());
    assert_eq!(left.ledger.checked.bytes(), 0, "what is applied is not kept");
}

#[test]
fn what_returns_comes_before_what_rests_on_it_at_every_later_tip() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    let stream = left.submit(left.stream(FIRST, "s", 1));
    left.mine(FIRST, 10);
    let item = left.submit(left.item(FIRST, stream, 2));
    let won = right.mine_many(FIRST, 2, 1);
    left.take_all(&won);
    // Another miner's block holds neither.
    let next = right.mine_many(FIRST, 1, 1);
    left.take_all(&next);
    assert_eq!(left.waiting(), [stream, item]);
    let own = left.mine(FIRST, 50);
    assert_eq!(own.transactions.len(), 3);
    assert!(left.is_confirmed(&stream) && left.is_confirmed(&item));
}

#[test]
fn what_both_branches_confirm_does_not_return() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    let tx = left.data(FIRST, 1);
    left.submit(tx.clone());
    right.submit(tx.clone());
    left.mine(FIRST, 10);
    let won = right.mine_many(FIRST, 2, 1);
    left.take_all(&won);
    assert_eq!(left.tip(), won[1].hash());
    assert!(left.is_confirmed(&tx.txid()) && left.waiting().is_empty());
}

#[test]
fn what_no_longer_applies_on_the_winning_branch_ends_visibly() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    let ours = left.submit(left.stream(FIRST, "name", 1));
    left.mine(FIRST, 10);
    let theirs = right.submit(right.stream(FIRST, "name", 2));
    let won = right.mine_many(FIRST, 2, 1);
    left.take_all(&won);
    assert!(left.is_confirmed(&theirs) && !left.waits(&ours) && !left.is_confirmed(&ours));
    assert!(left.ledger.ending(&ours).unwrap().contains("entity-name-taken"));
    let told = left.events().into_iter().any(|event| matches!(event, LedgerEvent::Ended { txid, .. } if txid == ours));
    assert!(told);
}

/// A chain of three miners with spacing 2, and one block by the first of them after the grants.
fn three_miners() -> (Chain, Vec<Arc<Block>>) {
    let chain = Chain::with(&[(Parameter::MiningDiversity, "0.5"), (Parameter::SetupFirstBlocks, "1")]);
    let mut maker = chain.node("maker");
    for miner in [2, 3] {
        maker.submit(maker.grant(miner, &[Permission::Mine], BlockRange::ALWAYS, u64::from(miner)));
    }
    let mut common = vec![maker.mine(FIRST, 10)];
    common.push(maker.mine(2, 20));
    common.push(maker.mine(FIRST, 30));
    (chain, common)
}

#[test]
fn of_two_equal_branches_the_one_comes_first_on_which_this_node_may_mine_next() {
    let (chain, common) = three_miners();
    let rivals: Vec<Arc<Block>> = [2, 3]
        .into_iter()
        .map(|miner| {
            let mut maker = chain.node(&format!("maker{miner}"));
            maker.take_all(&common);
            maker.mine(miner, 40)
        })
        .collect();
    for (own, first, expected) in [
        (Some(2), 0, 1), // The own block came first: on the other's branch the own turn comes next.
        (Some(2), 1, 1),
        (Some(3), 1, 0),
        (Some(3), 0, 0),
        (None, 0, 0), // Without an own miner the first one received stays.
        (None, 1, 1),
    ] {
        let mut node = chain.node(&format!("node{own:?}{first}"));
        if let Some(own) = own {
            node.wallet.import_private_key(key(own), "").unwrap();
        }
        node.take_all(&common);
        node.take_all(&[Arc::clone(&rivals[first]), Arc::clone(&rivals[1 - first])]);
        assert_eq!(node.tip(), rivals[expected].hash(), "own {own:?}, first {first}");
        assert_eq!(node.height(), 4);
    }
}

#[test]
fn an_invalid_block_is_marked_with_what_stands_on_it_and_the_rest_of_its_branch_is_used() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    let ours = left.mine_many(FIRST, 2, 0);
    let good = right.mine_many(FIRST, 2, 1);
    let (mut header, transactions) = right.template(FIRST, 40, Vec::new());
    header.state_hash = StateHash([9; 32]);
    let bad = right.sign_block(header, transactions.clone(), FIRST);
    header.previous = bad.hash();
    let on_bad = right.sign_block(header, transactions.clone(), FIRST);
    left.take_all(&good);
    assert_eq!(left.tip(), ours[1].hash());

    let outcome = left.take(&bad);
    assert!(matches!(outcome, BlockOutcome::Invalid(Rule::Block(BlockRule::State { .. }))), "{outcome:?}");
    assert_eq!(left.tip(), ours[1].hash());
    let outcome = left.take(&on_bad);
    assert!(matches!(outcome, BlockOutcome::OnMarked), "it takes no room on disk: {outcome:?}");
    assert_eq!(left.status(&on_bad.hash()), None);
    assert_eq!(left.tip_status(&bad.hash()), Some("invalid"));
    assert_eq!(left.tip_status(&good[1].hash()), Some("valid-fork"));

    let better = right.mine(FIRST, 41);
    assert!(matches!(left.take(&better), BlockOutcome::Applied));
    assert_eq!(left.state_hash(), right.state_hash());
}

#[test]
fn a_long_branch_with_an_invalid_block_is_used_up_to_that_block() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.mine_many(FIRST, 3, 0);
    let good = right.mine_many(FIRST, 2, 1);
    let (mut header, transactions) = right.template(FIRST, 40, Vec::new());
    header.state_hash = StateHash([9; 32]);
    let bad = right.sign_block(header, transactions.clone(), FIRST);
    header.previous = bad.hash();
    let on_bad = right.sign_block(header, transactions, FIRST);
    left.take_all(&good);
    assert!(matches!(left.take(&bad), BlockOutcome::Stored), "not looked at before it matters");
    let tip = left.tip();
    // The whole branch is refused with the block that made it the longest.
    let outcome = left.take(&on_bad);
    assert!(matches!(outcome, BlockOutcome::Invalid(_)), "{outcome:?}");
    assert_eq!(left.status(&bad.hash()), Some(BlockStatus::Invalid));
    assert_eq!(left.status(&on_bad.hash()), Some(BlockStatus::InvalidAncestor));
    assert_eq!(left.tip(), tip);
    // Without its own branch the node follows what is good of the other one, also after a restart.
    let first = left.chain()[0].hash();
    left = left.restart();
    left.ledger.invalidate(first).unwrap();
    assert_eq!(left.tip(), good[1].hash());
}

#[test]
fn a_miner_granted_on_its_own_branch_may_win() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.mine_many(FIRST, 2, 0);
    right.submit(right.grant(2, &[Permission::Mine], BlockRange::ALWAYS, 1));
    let mut blocks = right.mine_many(FIRST, 1, 1);
    blocks.extend(right.mine_many(2, 2, 1));
    left.take_all(&blocks);
    assert_eq!(left.tip(), blocks[2].hash());
    assert_eq!(left.state_hash(), right.state_hash());
}

#[test]
fn an_invalidated_block_is_left_and_reconsidered_it_is_followed_again() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    let ours = left.mine_many(FIRST, 4, 0);
    let (tip, state) = (left.tip(), left.state_hash());
    let other = right.mine_many(FIRST, 2, 1);
    left.take_all(&other);
    left.ledger.invalidate(ours[1].hash()).unwrap();
    assert_eq!(left.tip(), other[1].hash());
    assert_eq!(left.status(&ours[3].hash()), Some(BlockStatus::InvalidAncestor));
    assert_eq!(left.tip_status(&tip), Some("invalid"));
    assert!(matches!(left.take(&ours[1]), BlockOutcome::Known), "the operator's mark is no peer's fault");
    // Any block of the branch lifts the mark from all of it.
    left.ledger.reconsider(ours[2].hash()).unwrap();
    assert_eq!((left.tip(), left.state_hash()), (tip, state));
    assert_eq!(left.status(&ours[1].hash()), Some(BlockStatus::Applied));
    let mut tips: Vec<BlockHash> = left.ledger.chain_tips().unwrap().iter().map(|tip| tip.hash).collect();
    tips.sort_unstable();
    let mut expected = vec![tip, other[1].hash()];
    expected.sort_unstable();
    assert_eq!(tips, expected);
}

#[test]
fn the_invalidated_tip_gives_its_transactions_back_and_its_parent_is_built_on() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let blocks = node.mine_many(FIRST, 2, 0);
    let txid = node.submit(node.data(FIRST, 1));
    let top = node.mine(FIRST, 30);
    node.ledger.invalidate(top.hash()).unwrap();
    assert_eq!(node.tip(), blocks[1].hash());
    assert!(node.waits(&txid));
    let next = node.mine(FIRST, 31);
    assert_eq!((node.tip(), node.height()), (next.hash(), 3));
    assert!(node.is_confirmed(&txid));
}

#[test]
fn the_last_block_may_be_set_lower_and_the_longest_branch_chosen_again() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let blocks = node.mine_many(FIRST, 2, 0);
    let txid = node.submit(node.data(FIRST, 1));
    let top = node.mine(FIRST, 30);
    let state = node.state_hash();
    node.ledger.set_last_block(blocks[0].hash()).unwrap();
    assert_eq!((node.tip(), node.height()), (blocks[0].hash(), 1));
    assert!(node.waits(&txid) && !node.is_confirmed(&txid));
    assert_eq!(node.tip_status(&top.hash()), Some("valid-fork"));
    node.ledger.reconsider_branches().unwrap();
    assert_eq!((node.tip(), node.state_hash()), (top.hash(), state));
}

#[test]
fn the_last_block_cannot_be_set_on_a_branch_that_breaks_a_rule() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.mine_many(FIRST, 3, 0);
    let tip = left.tip();
    let good = right.mine_many(FIRST, 1, 1);
    let (mut header, transactions) = right.template(FIRST, 40, Vec::new());
    header.state_hash = StateHash([9; 32]);
    let bad = right.sign_block(header, transactions, FIRST);
    left.take_all(&good);
    left.take_all(&[Arc::clone(&bad)]);
    let refused = left.ledger.set_last_block(bad.hash());
    assert!(matches!(refused, Err(LedgerError::Invalid(hash, _)) if hash == bad.hash()), "{refused:?}");
    assert_eq!(left.tip(), tip);
    left.ledger.set_last_block(good[0].hash()).unwrap();
    assert_eq!(left.tip(), good[0].hash());
}

/// A node with four blocks, the second of which grants mine, and a longer branch from the first block without the
/// grant. A round is one block here, and the lock begins after one round.
fn governance_fork(chain: &Chain, name: &str) -> (Node, Vec<Arc<Block>>) {
    let (mut node, mut other) = (chain.node(name), chain.node(&format!("{name}-other")));
    let common = node.mine_many(FIRST, 1, 0);
    other.take_all(&common);
    node.submit(node.grant(2, &[Permission::Mine], BlockRange::ALWAYS, 1));
    node.mine_many(FIRST, 3, 0);
    let longer = other.mine_many(FIRST, 4, 1);
    (node, longer)
}

fn locking_chain() -> Chain {
    Chain::with(&[
        (Parameter::MiningDiversity, "0.0"),
        (Parameter::SetupFirstBlocks, "1"),
        (Parameter::LockAdminMineRounds, "1"),
    ])
}

#[test]
fn a_branch_that_undoes_a_change_of_miners_is_refused_and_reported_with_both_tips() {
    let chain = locking_chain();
    let (mut node, longer) = governance_fork(&chain, "node");
    let tip = node.tip();
    node.take_all(&longer);
    assert_eq!(node.tip(), tip);
    let other = longer[3].hash();
    let forks = node.ledger.governance_forks();
    let [GovernanceFork { tip: reported, height, fork_height }] = forks.as_slice() else { panic!("{forks:?}") };
    assert_eq!((*reported, height.0, fork_height.0), (other, 5, 1));
    assert_eq!(node.tip_status(&other), Some("valid-fork"));
    assert_eq!(node.tip_status(&tip), Some("active"));
    assert!(!node.ledger.has_rival(), "no block of ours settles it");
    // It is still refused, and still reported, after a restart.
    let node = node.restart();
    assert_eq!((node.tip(), node.ledger.governance_forks()), (tip, forks));
}

#[test]
fn governance_is_looked_for_once_a_block() {
    let chain = locking_chain();
    let mut node = chain.node("node");
    let mut seen = GovernanceSeen::default();
    let mut protected = 0;
    // What was seen answers as looking at every block does, whatever is asked first, and after blocks were undone too.
    let mut compare = |node: &Node| {
        let (snapshot, tip) = (node.view.snapshot(), Height(node.height()));
        let miners = mining::permitted_miners(&snapshot, tip.next()).unwrap();
        let spacing = mining::spacing_at(miners, &node.rules, tip.next());
        let changed = |height| {
            let hash = snapshot.block_hash(Height(height)).unwrap().unwrap();
            snapshot.block_entry(&hash).unwrap().unwrap().governance
        };
        for (rounds, fork) in (0..4).flat_map(|rounds| (0..=tip.0).rev().map(move |fork| (rounds, Height(fork)))) {
            let floor = governance_floor(tip.0, rounds, miners, spacing).unwrap_or_default();
            let undone = fork.0 > 0 && fork < tip && (fork.0..=floor).any(changed);
            let judged = is_protected(&snapshot, &node.rules, rounds, (tip, fork), &mut seen).unwrap();
            assert_eq!(judged, undone, "tip {tip:?}, {rounds} rounds, fork {fork:?}");
            protected += usize::from(undone);
        }
    };
    for round in 0..10u8 {
        if round % 3 == 1 {
            node.submit(node.grant(20 + round, &[Permission::Mine], BlockRange::ALWAYS, u64::from(round)));
        }
        node.mine_many(FIRST, 1, 0);
        compare(&node);
    }
    let granted = node.chain()[5].hash();
    node.ledger.invalidate(granted).unwrap();
    compare(&node);
    node.mine_many(FIRST, 8, 1);
    compare(&node);
    assert!(protected > 20, "{protected}");
}

#[test]
fn lockblock_follows_the_refused_branch_and_keeps_to_it() {
    let chain = locking_chain();
    let (mut node, longer) = governance_fork(&chain, "node");
    node.take_all(&longer);
    let left = node.tip();
    assert_ne!(left, longer[3].hash());
    node.set_lock_block(Some(longer[1].hash()));
    assert_eq!(node.tip(), longer[3].hash());
    assert!(node.ledger.governance_forks().is_empty());
    // A block that the operator wants elsewhere is not followed, however long its branch grows.
    node.set_lock_block(Some(left));
    assert_eq!(node.tip(), left);
    node.set_lock_block(None);
    assert_eq!(node.tip(), left, "the lock on governance holds again");
}

#[test]
fn setlastblock_follows_the_refused_branch() {
    let chain = locking_chain();
    let (mut node, longer) = governance_fork(&chain, "node");
    node.take_all(&longer);
    let left = node.tip();
    assert_ne!(left, longer[3].hash());
    node.ledger.set_last_block(longer[3].hash()).unwrap();
    assert_eq!(node.tip(), longer[3].hash());
    node.ledger.reconsider_branches().unwrap();
    assert_eq!(node.tip(), longer[3].hash());
    assert!(node.ledger.governance_forks().is_empty());
    assert_eq!(node.tip_status(&left), Some("valid-fork"));
}

#[test]
fn a_recent_change_of_miners_is_not_protected() {
    let chain = Chain::with(&[
        (Parameter::MiningDiversity, "0.0"),
        (Parameter::SetupFirstBlocks, "1"),
        (Parameter::LockAdminMineRounds, "3"),
    ]);
    let (mut node, longer) = governance_fork(&chain, "node");
    // The tip is 4 and protects up to block 1, the change stands in block 2.
    node.take_all(&longer);
    assert_eq!(node.tip(), longer[3].hash());
    assert!(node.ledger.governance_forks().is_empty());
}

#[test]
fn other_changes_are_not_protected() {
    let chain = locking_chain();
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    let common = node.mine_many(FIRST, 1, 0);
    other.take_all(&common);
    node.submit(node.grant(2, &[Permission::Connect, Permission::Send], BlockRange::ALWAYS, 1));
    node.mine_many(FIRST, 3, 0);
    let longer = other.mine_many(FIRST, 4, 1);
    node.take_all(&longer);
    assert_eq!(node.tip(), longer[3].hash());
}

#[test]
fn an_unknown_lockblock_changes_nothing_until_it_comes() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.mine_many(FIRST, 3, 0);
    let tip = left.tip();
    let other = right.mine_many(FIRST, 1, 1);
    left.set_lock_block(Some(other[0].hash()));
    assert_eq!(left.tip(), tip);
    left.take_all(&other);
    assert_eq!(left.tip(), other[0].hash(), "shorter, but the operator's choice");
}

#[test]
fn a_node_does_not_turn_for_ever_between_two_branches_of_which_each_prefers_the_other() {
    let one = "1.0";
    let chain = Chain::with(&[(Parameter::MiningDiversity, one), (Parameter::SetupFirstBlocks, "3")]);
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    left.wallet.import_private_key(key(2), "").unwrap();
    left.submit(left.grant(2, &[Permission::Mine, Permission::Send], BlockRange::ALWAYS, 1));
    let common = left.mine(FIRST, 10);
    right.take_all(&[common]);
    // On its own branch it has mined last; on the other it could be next, but by that branch it may not mine at all.
    left.mine(2, 20);
    right.submit(right.grant(2, &[Permission::Mine], BlockRange::NEVER, 2));
    let other = right.mine(FIRST, 21);
    assert!(matches!(left.take(&other), BlockOutcome::Applied));
    assert_eq!(left.tip(), other.hash());
    // What it left is followed again when it grows.
    let mine = left.ledger.chain_tips().unwrap()[1].hash;
    left.ledger.set_last_block(mine).unwrap();
    let longer = left.mine(FIRST, 30);
    assert_eq!(left.tip(), longer.hash());
    left.take(&other);
    assert_eq!(left.tip(), longer.hash());
}

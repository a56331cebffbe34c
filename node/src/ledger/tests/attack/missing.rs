//! Every operation without each right it needs, by somebody who holds all others: refused on every way into the ledger,
//! and taken once the right is there.

use rota_chain::asset::{AssetReference, AssetRules, IssueAsset};
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::{CreateStream, StreamRestriction};
use rota_chain::transaction::{OutPoint, Output, Transaction};
use rota_chain::upgrade::{CreateUpgrade, ParameterChange};
use rota_chain::variable::CreateVariable;
use rota_params::Parameter;

use super::super::world::{Chain, FIRST, Node};
use super::draft::{Draft, draft, grant, units};
use super::need::{Closed, Entities, Need, Who, closed, implying, kinds, needs, of_chain};
use super::peers::Peers;
use crate::ledger::BlockOutcome;

/// The first actor's key; each row has two keys of its own.
const ACTORS: u8 = 10;
/// Coins of the asset that an actor gets: one a try.
const COINS: u32 = 3;

fn actor(row: usize) -> u8 {
    ACTORS + 2 * u8::try_from(row).unwrap()
}

fn friend(row: usize) -> u8 {
    actor(row) + 1
}

/// A chain on which one administrator decides, and payments of nothing need a right as well.
fn chain() -> Chain {
    Chain::with(&[
        (Parameter::MiningDiversity, "0.0"),
        (Parameter::SetupFirstBlocks, "1"),
        (Parameter::AnyoneCanReceiveEmpty, "false"),
        (Parameter::AdminConsensusAdmin, "0.0"),
        (Parameter::AdminConsensusActivate, "0.0"),
        (Parameter::AdminConsensusMine, "0.0"),
    ])
}

/// Entities of the first key; every actor gets coins of the asset.
fn furnish(node: &mut Node, rows: usize) -> (Entities, Txid) {
    let restriction = StreamRestriction { write: true, ..StreamRestriction::default() };
    let stream = CreateStream { name: b"closed".to_vec(), restriction, salted: false, details: Vec::new() };
    let variable = CreateVariable { name: b"kept".to_vec(), restrict_write: true, value: b"0".to_vec() };
    let change = ParameterChange { name: b"maximum-block-size".to_vec(), value: 9_000_000 };
    let upgrade = CreateUpgrade { name: b"larger".to_vec(), start: 900, changes: vec![change] };
    let rules = AssetRules {
        open: true,
        fungible: true,
        can_open: true,
        can_close: true,
        restrict_send: true,
        restrict_receive: true,
        restrict_issue: true,
        total_limit: None,
        issue_limit: None,
    };
    let quantity = rows as u64 * u64::from(COINS);
    let issue = IssueAsset { name: b"units".to_vec(), multiple: 1, rules, quantity, details: Vec::new() };
    let mut issuance = draft(4).by(FIRST).operation(Operation::IssueAsset(issue));
    for row in 0..rows {
        for _ in 0..COINS {
            issuance = issuance.output(units(actor(row), AssetReference::New, 1));
        }
    }
    let created = [
        draft(1).by(FIRST).operation(Operation::CreateStream(stream)),
        draft(2).by(FIRST).operation(Operation::CreateVariable(variable)),
        draft(3).by(FIRST).operation(Operation::CreateUpgrade(upgrade)),
        issuance,
    ];
    let ids = created.map(|one| submit(node, &one));
    (Entities { stream: ids[0], variable: ids[1], upgrade: ids[2], asset: ids[3] }, ids[3])
}

fn submit(node: &mut Node, draft: &Draft) -> Txid {
    let transaction = draft.sign(&node.rules.genesis);
    node.offer(&transaction).unwrap()
}

/// All rights of the chain but the one missing and those that give it.
fn chain_rights(need: &Need, who: Who) -> Vec<Permission> {
    let withheld = if need.who == who && need.entity.is_none() { implying(None, need.right) } else { Vec::new() };
    of_chain().into_iter().filter(|right| !withheld.contains(right)).collect()
}

/// Grants to each actor and friend all rights but the one that is missing.
fn arm_chain(rows: &[Need]) -> Draft {
    let mut all = draft(5).by(FIRST);
    for (row, need) in rows.iter().enumerate() {
        all = all.grant(actor(row), None, &chain_rights(need, Who::Actor), BlockRange::ALWAYS);
        if need.spends {
            all = all.grant(friend(row), None, &chain_rights(need, Who::Friend), BlockRange::ALWAYS);
        }
    }
    all
}

fn arm_entities(rows: &[Need], entities: &Entities) -> Draft {
    let mut all = draft(6).by(FIRST);
    for (row, need) in rows.iter().enumerate() {
        let people = [(Who::Actor, actor(row)), (Who::Friend, friend(row))];
        for (who, key) in people.into_iter().take(if need.spends { 2 } else { 1 }) {
            for (entity, rights) in entities.rights() {
                let here = need.who == who && need.entity == Some(entity);
                let withheld = if here { implying(need.entity, need.right) } else { Vec::new() };
                let rights: Vec<_> = rights.into_iter().filter(|right| !withheld.contains(right)).collect();
                all = all.grant(key, Some(entity), &rights, BlockRange::ALWAYS);
            }
        }
    }
    all
}

/// The grants that were missing.
fn missing(rows: &[Need]) -> Draft {
    rows.iter().enumerate().fold(draft(7).by(FIRST), |all, (row, need)| {
        let who = if need.who == Who::Actor { actor(row) } else { friend(row) };
        all.grant(who, need.entity, &[need.right], BlockRange::ALWAYS)
    })
}

/// A try of a row; tries differ in nonce and coin.
fn attempt(node: &Node, entities: &Entities, (row, need): (usize, &Need), coins: Txid, number: u32) -> Transaction {
    let nonce = 1_000 + row as u64 * u64::from(COINS) + u64::from(number);
    let mut draft = draft(nonce);
    if need.spends {
        let index = 1 + u32::try_from(row).unwrap() * COINS + number;
        draft = draft.spend(OutPoint { txid: coins, index }, actor(row));
    } else {
        draft = draft.by(actor(row));
    }
    let outputs: Vec<Output> = (need.outputs)(entities, friend(row), need.granted);
    outputs.into_iter().fold(draft, Draft::output).sign(&node.rules.genesis)
}

#[test]
fn every_operation_is_refused_without_each_right_it_needs_and_taken_with_it_on_every_path() {
    let chain = chain();
    let mut node = chain.node("node");
    let placeholder =
        Entities { stream: Txid([1; 32]), asset: Txid([2; 32]), variable: Txid([3; 32]), upgrade: Txid([4; 32]) };
    let rows = needs(&placeholder);
    submit(&mut node, &arm_chain(&rows));
    let (entities, coins) = furnish(&mut node, rows.len());
    let rows = needs(&entities);
    submit(&mut node, &arm_entities(&rows, &entities));
    node.mine(FIRST, 10);
    assert!(node.waiting().is_empty());

    let mut peers = Peers::of(&mut node);
    let peer = peers.connect(&mut node);
    let tries: Vec<[Transaction; COINS as usize]> = rows
        .iter()
        .enumerate()
        .map(|row| [0, 1, 2].map(|number| attempt(&node, &entities, row, coins, number)))
        .collect();
    for (need, [relayed, submitted, mined]) in rows.iter().zip(&tries) {
        let refused = node.offer(submitted).expect_err(&need.name);
        assert_eq!(refused.code(), need.code, "{}: {refused}", need.name);
        assert!(refused.may_pass(), "{}: it waits for the right", need.name);
        let block = node.block_of(FIRST, 20, vec![mined.clone()]);
        let outcome = node.take(&block);
        assert!(
            matches!(&outcome, BlockOutcome::Invalid(rule) if rule.code() == need.code),
            "{}: {outcome:?}",
            need.name
        );
        peers.deliver(&mut node, peer, relayed);
    }
    assert!(node.waiting().is_empty() && peers.told.is_empty(), "nothing is taken or passed on");
    assert!(peers.accused.is_empty(), "who relays what a later grant may allow breaks no rule: {:?}", peers.accused);
    assert_eq!(node.height(), 1);
    // The true block of that height is as welcome as ever.
    let true_block = node.block_of(FIRST, 20, vec![missing(&rows).sign(&node.rules.genesis)]);
    peers.announce_whole(&mut node, peer, &true_block);
    assert_eq!((node.height(), node.tip()), (2, true_block.hash()), "{:?}", peers.accused);

    peers.catch_up(&mut node);
    for (need, [relayed, submitted, _]) in rows.iter().zip(&tries) {
        assert!(node.waits(&relayed.txid()), "{}: what waited for the right is taken", need.name);
        assert!(peers.told.contains(&relayed.full_hash()), "{}: and passed on", need.name);
        node.offer(submitted).unwrap_or_else(|rule| panic!("{}: {rule}", need.name));
    }
    node.mine(FIRST, 30);
    assert!(node.waiting().is_empty());
    let block = node.block_of(FIRST, 40, tries.iter().map(|[_, _, mined]| mined.clone()).collect());
    let outcome = node.take(&block);
    assert!(matches!(outcome, BlockOutcome::Applied), "{outcome:?}");
    for one in tries.iter().flatten() {
        assert!(node.is_confirmed(&one.txid()));
    }
    drop(peers);
    let (tip, state) = (node.tip(), node.state_hash());
    let node = node.reindex();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
}

#[test]
fn a_block_that_holds_what_its_author_may_not_is_the_fault_of_who_delivers_it() {
    let chain = chain();
    let mut node = chain.node("node");
    node.submit(node.grant(2, &[Permission::Send], BlockRange::ALWAYS, 1));
    node.mine(FIRST, 10);
    let mut peers = Peers::of(&mut node);
    let (liar, honest) = (peers.connect(&mut node), peers.connect(&mut node));
    let stream = node.stream(2, "s", 2).transaction().as_ref().clone();
    let bad = node.block_of(FIRST, 20, vec![stream]);
    peers.announce_whole(&mut node, liar, &bad);
    assert_eq!(peers.accused.len(), 1, "{:?}", peers.accused);
    assert!(peers.accused[0].contains("entity-create"), "{:?}", peers.accused);
    let good = node.block_of(FIRST, 20, Vec::new());
    peers.announce_whole(&mut node, honest, &good);
    assert_eq!((node.tip(), peers.accused.len()), (good.hash(), 1));
}

#[test]
fn operations_that_are_not_open_are_refused_to_the_holder_of_all_rights() {
    let chain = chain();
    let mut node = chain.node("node");
    let (entities, _) = furnish(&mut node, 0);
    node.mine(FIRST, 10);
    let mut peers = Peers::of(&mut node);
    let mut accused = 0;
    for (nonce, operation) in (100..).zip(kinds(&entities)) {
        let Closed::Always(code, is_accused) = closed(&operation) else { continue };
        let transaction = draft(nonce).by(FIRST).operation(operation).sign(&node.rules.genesis);
        assert_eq!(node.offer(&transaction).unwrap_err().code(), code);
        let block = node.block_of(FIRST, 20, vec![transaction.clone()]);
        let outcome = node.take(&block);
        assert!(matches!(&outcome, BlockOutcome::Invalid(rule) if rule.code() == code), "{outcome:?}");
        let peer = peers.connect(&mut node);
        peers.deliver(&mut node, peer, &transaction);
        accused += usize::from(is_accused);
        assert_eq!(peers.accused.len(), accused, "{code}: {:?}", peers.accused);
    }
    assert!(node.waiting().is_empty() && peers.told.is_empty());
    let block = node.block_of(FIRST, 20, Vec::new());
    assert!(matches!(node.take(&block), BlockOutcome::Applied));
}

#[test]
fn rights_that_do_not_exist_somewhere_cannot_be_granted_there() {
    let chain = chain();
    let mut node = chain.node("node");
    let (entities, _) = furnish(&mut node, 0);
    node.mine(FIRST, 10);
    let places = entities.rights().into_iter().map(|(entity, rights)| (Some(entity), rights));
    for (entity, rights) in places.chain([(None, of_chain()), (Some(entities.upgrade), Vec::new())]) {
        for right in Permission::ALL.into_iter().filter(|right| !rights.contains(right)) {
            let one = draft(50).by(FIRST).output(grant(9, entity, &[right], BlockRange::ALWAYS));
            let refused = node.offer(&one.sign(&node.rules.genesis)).unwrap_err();
            assert_eq!(refused.code(), "perm-not-applicable", "{right:?} of {entity:?}");
        }
    }
}

#[test]
fn every_operation_there_is_stands_in_the_matrix() {
    let entities =
        Entities { stream: Txid([1; 32]), asset: Txid([2; 32]), variable: Txid([3; 32]), upgrade: Txid([4; 32]) };
    let kinds = kinds(&entities);
    for (number, operation) in (0u8..).zip(&kinds) {
        assert_eq!(encode(operation)[0], number, "kinds stand in the order of their numbers");
    }
    let next = [&[u8::try_from(kinds.len()).unwrap()], &[0; 64][..]].concat();
    let unknown = borsh::from_slice::<Operation>(&next).unwrap_err().to_string();
    assert!(unknown.contains("variant"), "an operation has no sample here: {unknown}");
}

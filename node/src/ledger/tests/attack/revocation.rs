//! Rights that end within a block, begin within one, or have a range: every later transaction of the block feels it, and
//! mining from the next block on, whatever path leads there.

use std::sync::Arc;

use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::Transaction;
use rota_params::Parameter;

use super::super::world::{Chain, FIRST, Node};
use super::draft::{Draft, draft};
use super::peers::{Peers, facts};
use crate::ledger::BlockOutcome;
use crate::sync::ChainFacts as _;

const ACTOR: u8 = 2;
const FRIEND: u8 = 3;
const ALWAYS: BlockRange = BlockRange::ALWAYS;
const NEVER: BlockRange = BlockRange::NEVER;

fn data() -> Operation {
    Operation::Data(Data { format: DataFormat::Raw, bytes: vec![7] })
}

fn create(name: &str, write: bool) -> Operation {
    let restriction = StreamRestriction { write, ..StreamRestriction::default() };
    Operation::CreateStream(CreateStream { name: name.into(), restriction, salted: false, details: Vec::new() })
}

fn item(stream: Txid) -> Operation {
    let data = ItemData::Onchain(Data { format: DataFormat::Raw, bytes: vec![1] });
    Operation::Publish(Publish { stream, keys: vec![b"k".to_vec()], data })
}

fn first(nonce: u64) -> Draft {
    draft(nonce).by(FIRST)
}

/// A right of the actor's, and what it does with it.
struct Way {
    right: Permission,
    entity: Option<Txid>,
    code: &'static str,
    act: Box<dyn Fn(u64) -> Draft>,
}

/// A node on which the actor has the rights of all ways and may send.
fn scene(chain: &Chain, name: &str) -> (Node, Vec<Way>) {
    let mut node = chain.node(name);
    let sign = |node: &Node, draft: Draft| draft.sign(&node.rules.genesis);
    let stream = sign(&node, first(1).operation(create("closed", true)));
    let stream_id = stream.txid();
    let chain_rights = [Permission::Send, Permission::Create, Permission::Activate];
    let granted = sign(
        &node,
        first(2)
            .grant(ACTOR, None, &chain_rights, ALWAYS)
            .grant(ACTOR, Some(stream_id), &[Permission::Write, Permission::Activate], ALWAYS)
            // The friend lives by send alone, so that it can be taken away.
            .grant(FRIEND, None, &[Permission::Send], ALWAYS),
    );
    for one in [&stream, &granted] {
        node.offer(one).unwrap();
    }
    node.mine(FIRST, 10);
    let by = |nonce| draft(nonce).by(ACTOR);
    let way = |right, entity, code, act: Box<dyn Fn(u64) -> Draft>| Way { right, entity, code, act };
    let ways = vec![
        way(Permission::Create, None, "entity-create", Box::new(move |nonce| by(nonce).operation(create("", false)))),
        way(
            Permission::Activate,
            None,
            "perm-denied",
            Box::new(move |nonce| by(nonce).grant(9, None, &[Permission::Connect], ALWAYS)),
        ),
        way(
            Permission::Write,
            Some(stream_id),
            "stream-write",
            Box::new(move |nonce| by(nonce).operation(item(stream_id))),
        ),
        way(
            Permission::Activate,
            Some(stream_id),
            "perm-denied",
            Box::new(move |nonce| by(nonce).grant(9, Some(stream_id), &[Permission::Write], ALWAYS)),
        ),
        way(Permission::Send, None, "tx-send", Box::new(|nonce| draft(nonce).by(FRIEND).operation(data()))),
    ];
    (node, ways)
}

impl Way {
    fn revoke(&self, nonce: u64) -> Draft {
        let whom = if self.right == Permission::Send { FRIEND } else { ACTOR };
        first(nonce).grant(whom, self.entity, &[self.right], NEVER)
    }
}

fn invalid(outcome: &BlockOutcome, code: &str) -> bool {
    matches!(outcome, BlockOutcome::Invalid(rule) if rule.code() == code)
}

#[test]
fn a_right_revoked_in_a_block_stops_for_the_rest_of_it_and_what_came_before_stands() {
    let chain = Chain::new();
    let (mut node, ways) = scene(&chain, "node");
    let mut twin = chain.node("twin");
    twin.take_all(&node.chain());
    for (index, way) in (0u64..).zip(&ways) {
        let nonce = 100 * (index + 1);
        let sign = |draft: Draft| draft.sign(&node.rules.genesis);
        let (before, revoke, after) = (sign((way.act)(nonce)), sign(way.revoke(nonce + 1)), sign((way.act)(nonce + 2)));
        let time = 100 * (index + 1);
        let bad = node.block_of(FIRST, time, vec![before.clone(), revoke.clone(), after.clone()]);
        let good = node.block_of(FIRST, time, vec![before.clone(), revoke.clone()]);
        for judge in [&mut node, &mut twin] {
            let outcome = judge.take(&bad);
            assert!(invalid(&outcome, way.code), "{:?}: {outcome:?}", way.right);
            let outcome = judge.take(&good);
            assert!(matches!(outcome, BlockOutcome::Applied), "{outcome:?}");
            assert!(judge.is_confirmed(&before.txid()) && !judge.is_confirmed(&after.txid()));
        }
        assert_eq!(node.offer(&after).unwrap_err().code(), way.code);
    }
    let (tip, state) = (node.tip(), node.state_hash());
    assert_eq!((twin.tip(), twin.state_hash()), (tip, state));
    let node = node.restart();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
    let node = node.reindex();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
}

#[test]
fn a_waiting_revoke_stops_what_comes_after_it_in_the_pool_and_in_the_template() {
    let chain = Chain::new();
    let (mut node, ways) = scene(&chain, "node");
    for (index, way) in (0u64..).zip(&ways) {
        let nonce = 100 * (index + 1);
        let sign = |draft: Draft| draft.sign(&node.rules.genesis);
        let (before, revoke, after) = (sign((way.act)(nonce)), sign(way.revoke(nonce + 1)), sign((way.act)(nonce + 2)));
        node.offer(&before).unwrap();
        node.offer(&revoke).unwrap();
        assert_eq!(node.offer(&after).unwrap_err().code(), way.code);
        // A template whose choice put the revoke first leaves out what came before it.
        let (first, second) = (node.entry(&revoke.txid()).unwrap(), node.entry(&before.txid()).unwrap());
        let (_, chosen) = node.template(FIRST, 50, vec![first, second]);
        let chosen: Vec<Txid> = chosen.iter().skip(1).map(Transaction::txid).collect();
        assert_eq!(chosen, [revoke.txid()]);
        node.mine(FIRST, 100 * (index + 1));
        assert!(node.is_confirmed(&before.txid()) && node.is_confirmed(&revoke.txid()));
        assert!(node.waiting().is_empty());
    }
}

#[test]
fn a_branch_that_revokes_ends_what_the_other_allowed() {
    let chain = Chain::new();
    let (node, ways) = scene(&chain, "node");
    let common = node.chain();
    for (index, way) in (0u64..).zip(&ways) {
        let (mut one, mut other) = (chain.node(&format!("one{index}")), chain.node(&format!("other{index}")));
        one.take_all(&common);
        other.take_all(&common);
        let act = (way.act)(100).sign(&node.rules.genesis);
        let revoke = way.revoke(101).sign(&node.rules.genesis);
        one.offer(&act).unwrap();
        one.mine(FIRST, 50);
        other.offer(&revoke).unwrap();
        let longer = other.mine_many(FIRST, 2, 60);
        one.events();
        one.take_all(&longer);
        assert_eq!((one.tip(), one.state_hash()), (other.tip(), other.state_hash()));
        assert!(!one.is_confirmed(&act.txid()) && !one.waits(&act.txid()), "{:?}", way.right);
        let reason = one.ledger.ending(&act.txid()).unwrap_or_default().to_owned();
        assert!(reason.contains(way.code), "its ending is visible: {reason}");
    }
}

#[test]
fn a_revoked_miner_finishes_the_block_of_the_revoke_and_makes_no_other() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.submit(node.grant(ACTOR, &[Permission::Mine], ALWAYS, 1));
    node.mine(FIRST, 10);
    let before = node.chain();
    let revoke = first(2).grant(ACTOR, None, &[Permission::Mine], NEVER).sign(&node.rules.genesis);
    let last = node.block_of(ACTOR, 20, vec![revoke]);
    let mut late = chain.node("late");
    late.take_all(&before);
    let rival = late.mine(ACTOR, 21);
    assert!(matches!(node.take(&last), BlockOutcome::Applied), "by the state before it");
    let key = super::super::world::key(ACTOR).public_key().key_hash();
    assert!(!facts(&node).may_mine(&key) && !facts(&node).could_mine(&key, &last.hash()));
    assert!(facts(&node).could_mine(&key, &before[0].hash()), "below the revoke it may have mined");
    let next = node.block_of(ACTOR, 30, Vec::new());
    let mut peers = Peers::of(&mut node);
    let peer = peers.connect(&mut node);
    peers.announce_whole(&mut node, peer, &next);
    assert_eq!(node.status(&next.hash()), None, "its header is refused before a body is asked for");
    assert_eq!(peers.accused.len(), 1);
    drop(peers);
    let outcome = node.take(&next);
    assert!(invalid(&outcome, "block-miner"), "{outcome:?}");
    assert!(matches!(node.take(&rival), BlockOutcome::Stored), "on another branch it had the right");
    let honest = node.mine(FIRST, 31);
    // Those who come later, or start anew, judge alike.
    late.take_all(&[Arc::clone(&last)]);
    assert!(invalid(&late.take(&next), "block-miner"));
    late.take_all(&[Arc::clone(&honest)]);
    assert_eq!(late.tip(), honest.hash());
    for mut again in [node.restart().reindex(), late.restart()] {
        assert_eq!(again.tip(), honest.hash());
        let third = again.block_of(ACTOR, 40, Vec::new());
        assert!(invalid(&again.take(&third), "block-miner"));
    }
}

#[test]
fn a_miner_granted_in_a_block_makes_the_next_and_not_that_one() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.mine(FIRST, 10);
    let grant = first(2).grant(ACTOR, None, &[Permission::Mine], ALWAYS).sign(&node.rules.genesis);
    let own = node.block_of(ACTOR, 20, vec![grant.clone()]);
    assert!(invalid(&node.take(&own), "block-miner"));
    assert_eq!(node.status(&own.hash()), None, "no room on disk is spent on it");
    let granting = node.block_of(FIRST, 20, vec![grant]);
    assert!(matches!(node.take(&granting), BlockOutcome::Applied));
    let next = node.block_of(ACTOR, 30, Vec::new());
    assert!(matches!(node.take(&next), BlockOutcome::Applied));
}

#[test]
fn a_range_holds_from_its_first_block_to_the_one_before_its_end_for_authors_and_miners() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let range = BlockRange { start: 4, end: 6 };
    let granted = first(1).grant(ACTOR, None, &[Permission::Send, Permission::Mine], range);
    node.offer(&granted.sign(&node.rules.genesis)).unwrap();
    node.mine(FIRST, 10);
    for height in 2..9u32 {
        let inside = range.start <= height && height < range.end;
        let nonce = 10 * u64::from(height);
        let one = draft(nonce).by(ACTOR).operation(data()).sign(&node.rules.genesis);
        let judged = node.verify(&one).map(|tx| node.try_submit(tx).is_ok()).unwrap();
        assert_eq!(judged, inside, "in the pool for block {height}");
        let other = draft(nonce + 1).by(ACTOR).operation(data()).sign(&node.rules.genesis);
        let time = 20 * u64::from(height);
        if inside {
            let both = node.block_of(ACTOR, time, vec![other]);
            let outcome = node.take(&both);
            assert!(matches!(outcome, BlockOutcome::Applied), "block {height}, its miner and its author: {outcome:?}");
        } else {
            let held = node.block_of(FIRST, time, vec![other]);
            assert!(invalid(&node.take(&held), "tx-send"), "in block {height}");
            let mined = node.block_of(ACTOR, time + 1, Vec::new());
            assert!(invalid(&node.take(&mined), "block-miner"), "who made block {height}");
            node.mine(FIRST, time + 2);
        }
        assert_eq!(node.height(), height);
        assert!(!node.waits(&one.txid()) || inside && height + 1 < range.end, "nothing outlives the right");
    }
    let (tip, state) = (node.tip(), node.state_hash());
    let node = node.reindex();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
}

#[test]
fn a_grant_is_used_later_in_its_block_and_never_earlier() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.mine(FIRST, 10);
    let grant = first(1).grant(ACTOR, None, &[Permission::Create], ALWAYS).sign(&node.rules.genesis);
    let stream = draft(2).by(ACTOR).operation(create("s", true)).sign(&node.rules.genesis);
    let write = draft(3).by(ACTOR).operation(item(stream.txid())).sign(&node.rules.genesis);
    for (order, code) in [
        (vec![&stream, &grant, &write], "tx-send"),
        (vec![&grant, &write, &stream], "stream-missing"),
        (vec![&write, &grant, &stream], "tx-send"),
    ] {
        let block = node.block_of(FIRST, 20, order.into_iter().cloned().collect());
        let outcome = node.take(&block);
        assert!(invalid(&outcome, code), "{outcome:?}");
    }
    let block = node.block_of(FIRST, 20, vec![grant, stream, write]);
    assert!(matches!(node.take(&block), BlockOutcome::Applied));
}

/// Three administrators of whom two must agree on who creates.
fn council(chain: &Chain) -> Node {
    let mut node = chain.node("node");
    let rights = [Permission::Admin];
    let granted = first(1).grant(ACTOR, None, &rights, ALWAYS).grant(FRIEND, None, &rights, ALWAYS);
    node.offer(&granted.sign(&node.rules.genesis)).unwrap();
    node.mine(FIRST, 10);
    node
}

fn voting() -> Chain {
    Chain::with(&[
        (Parameter::MiningDiversity, "0.0"),
        (Parameter::SetupFirstBlocks, "2"),
        (Parameter::AdminConsensusCreate, "0.6"),
        (Parameter::AdminConsensusAdmin, "0.6"),
    ])
}

/// Who wants to create, and has nothing but votes.
const CANDIDATE: u8 = 9;

#[test]
fn a_vote_completed_in_the_middle_of_a_block_holds_for_the_rest_of_it() {
    let chain = voting();
    let mut node = council(&chain);
    let genesis = node.rules.genesis;
    let sign = |draft: Draft| draft.sign(&genesis);
    let vote = |nonce, by| sign(draft(nonce).by(by).grant(CANDIDATE, None, &[Permission::Create], ALWAYS));
    let (one, two) = (vote(10, FIRST), vote(11, ACTOR));
    let uses = sign(draft(12).by(CANDIDATE).operation(create("s", false)));
    let early = node.block_of(FIRST, 20, vec![one.clone(), uses.clone(), two.clone()]);
    assert!(invalid(&node.take(&early), "tx-send"));
    let alone = node.block_of(FIRST, 20, vec![one.clone(), uses.clone()]);
    assert!(invalid(&node.take(&alone), "tx-send"));
    let good = node.block_of(FIRST, 20, vec![one, two, uses]);
    let outcome = node.take(&good);
    assert!(matches!(outcome, BlockOutcome::Applied), "{outcome:?}");
}

#[test]
fn the_vote_of_an_administrator_revoked_before_the_count_counts_no_more() {
    let chain = voting();
    let mut node = council(&chain);
    let genesis = node.rules.genesis;
    let sign = |draft: Draft| draft.sign(&genesis);
    let vote = |nonce, by| sign(draft(nonce).by(by).grant(CANDIDATE, None, &[Permission::Create], ALWAYS));
    let of_revoked = vote(10, ACTOR);
    let revoke = sign(draft(11).by(FIRST).by(FRIEND).grant(ACTOR, None, &[Permission::Admin], NEVER));
    let second = vote(12, FIRST);
    let uses = sign(draft(13).by(CANDIDATE).operation(create("s", false)));
    let third = vote(14, FRIEND);
    let too_few = vec![of_revoked.clone(), revoke.clone(), second.clone(), uses.clone()];
    let bad = node.block_of(FIRST, 20, too_few);
    assert!(invalid(&node.take(&bad), "tx-send"));
    // Two of the two that are left agree; a vote of the revoked one is not even taken.
    let again = vote(15, ACTOR);
    let late = node.block_of(FIRST, 20, vec![of_revoked.clone(), revoke.clone(), again]);
    assert!(matches!(&node.take(&late), BlockOutcome::Invalid(rule) if rule.code() == "tx-send"));
    let good = node.block_of(FIRST, 20, vec![of_revoked, revoke, second, third, uses]);
    let outcome = node.take(&good);
    assert!(matches!(outcome, BlockOutcome::Applied), "{outcome:?}");
    let (tip, state) = (node.tip(), node.state_hash());
    let node = node.reindex();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
}

//! Tests of `pool`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
use std::collections::HashSet;
use std::sync::Arc;

use rota_chain::amount::{Height, Timestamp};
use rota_chain::block::GenesisPlan;
use rota_chain::data::{Data, DataFormat};
use rota_chain::digest::full_digest;
use rota_chain::hash::{BlockHash, FullHash, ParamsHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::multiset::Multiset;
use rota_chain::operation::{Genesis, Operation};
use rota_chain::permission::{BlockRange, Grant, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::variable::{CreateVariable, SetVariable};
use rota_chain::witness::Witness;
use rota_consensus::block::apply_genesis;
use rota_consensus::rule::Rule;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::state::MemoryState;
use rota_consensus::transaction::{Place, VerifiedTransaction, check_transaction};
use rota_params::{PROTOCOL_LATEST, ParameterSet};

use super::*;

struct World {
    rules: Rules,
    state: Arc<MemoryState>,
    signatures: SignatureCache,
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_bytes([seed; 32]).unwrap()
}

fn lock(seed: u8) -> Lock {
    Lock::Key(key(seed).public_key().key_hash())
}

fn all(pool: &Pool<Arc<MemoryState>>) -> Vec<Arc<PoolEntry>> {
    pool.entries().cloned().collect()
}

fn world() -> World {
    let rules = Rules::new(&ParameterSet::with_defaults("pool", PROTOCOL_LATEST).unwrap());
    let genesis = GenesisPlan {
        genesis: Genesis { rules: ParamsHash([1; 32]), description: Vec::new() },
        root_stream: None,
        time: Timestamp(1_700_000_000),
        bits: 0,
        empty_state: Multiset::new().hash(),
    };
    let block = genesis.build(&key(1));
    let mut state = MemoryState::default();
    state.commit(apply_genesis(&block, &rules, ParamsHash([1; 32])).unwrap());
    World { rules, state: Arc::new(state), signatures: SignatureCache::new(BlockHash::ZERO, [7; 32]) }
}

impl World {
    fn pool(&self, limits: PoolLimits) -> Pool<Arc<MemoryState>> {
        Pool::new(Arc::clone(&self.state), place(1), limits, 1)
    }

    /// The pool after the block before the height, and what ended.
    fn renewed_at(
        &self,
        height: u32,
        pool: &Pool<Arc<MemoryState>>,
        returning: &[(VerifiedTransaction, bool)],
        confirmed: &HashSet<Txid>,
    ) -> (Pool<Arc<MemoryState>>, Vec<Ended>) {
        let mut renewal = self.renewal(height, pool, confirmed);
        renewal.take_returning(returning, 9).unwrap();
        renewal.take(&all(pool)).unwrap();
        let Renewed { pool, ended, .. } = renewal.finish(pool.next_sequence());
        (pool, ended)
    }

    /// As [`World::renewed_at`] the height 2.
    fn renewed(
        &self,
        pool: &Pool<Arc<MemoryState>>,
        returning: &[(VerifiedTransaction, bool)],
        confirmed: &HashSet<Txid>,
    ) -> (Pool<Arc<MemoryState>>, Vec<Ended>) {
        self.renewed_at(2, pool, returning, confirmed)
    }

    fn renewal<'r>(
        &'r self,
        height: u32,
        pool: &Pool<Arc<MemoryState>>,
        confirmed: &'r HashSet<Txid>,
    ) -> Renewal<'r, Arc<MemoryState>> {
        let state = Arc::clone(&self.state);
        Renewal::new(state, place(height), pool.limits(), pool.next_sequence(), &self.rules, confirmed)
    }

    fn sign(&self, author: u8, nonce: u64, outputs: Vec<Output>) -> VerifiedTransaction {
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs,
            authors: vec![lock(author)],
            lock_time: 0,
            last_height: 1_000,
            nonce,
        };
        let digest = full_digest(&BlockHash::ZERO, &body.txid(), &lock(author));
        let witness = Witness::Key { key: key(author).public_key(), signature: key(author).sign(&digest) };
        let transaction = Transaction { body, witnesses: vec![witness] };
        self.signatures.verify(check_transaction(Arc::new(transaction), &self.rules).unwrap()).unwrap()
    }

    fn data(&self, author: u8, nonce: u64, bytes: usize) -> VerifiedTransaction {
        let data = Data { format: DataFormat::Raw, bytes: vec![0; bytes] };
        self.sign(author, nonce, vec![Output::operation(Operation::Data(data))])
    }

    fn grant(&self, recipient: u8, permission: Permission, range: BlockRange) -> VerifiedTransaction {
        let permissions = [permission].into_iter().collect();
        let grant = Grant { entity: None, permissions, range, timestamp: 1 };
        let output = Output { recipient: Some(lock(recipient)), ..Output::operation(Operation::Grant(grant)) };
        self.sign(1, 77, vec![output])
    }
}

fn place(height: u32) -> Place {
    Place { height: Height(height), median_time: Timestamp(1_700_000_000), offset: 0 }
}

#[test]
fn a_grant_that_waits_lets_its_recipient_write() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let refused = pool.admit(world.data(2, 1, 10), true, 5, &world.rules);
    assert!(matches!(refused, Err(PoolError::Rule(rule)) if rule.code() == "tx-send"));
    pool.admit(world.grant(2, Permission::Send, BlockRange::ALWAYS), true, 5, &world.rules).unwrap();
    pool.admit(world.data(2, 1, 10), true, 5, &world.rules).unwrap();
    assert_eq!(pool.len(), 2);
}

#[test]
fn a_variable_that_waits_lists_its_values_as_they_arrived() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let create = CreateVariable { name: b"v".to_vec(), restrict_write: true, value: b"1".to_vec() };
    let created = world.sign(1, 1, vec![Output::operation(Operation::CreateVariable(create))]);
    let variable = created.txid();
    pool.admit(created, true, 5, &world.rules).unwrap();
    let set = |value: &[u8]| Output::operation(Operation::SetVariable(SetVariable { variable, value: value.to_vec() }));
    let again = world.sign(1, 2, vec![set(b"2"), set(b"3")]);
    let txid = again.txid();
    pool.admit(again, true, 5, &world.rules).unwrap();
    pool.admit(world.data(1, 3, 10), true, 5, &world.rules).unwrap();
    let steps = pool.steps().get(&variable).unwrap();
    let steps: Vec<(Txid, u32)> = steps.iter().map(|step| (step.entry.tx.txid(), step.vout)).collect();
    assert_eq!(steps, [(variable, 0), (txid, 0), (txid, 1)]);
    assert_eq!(pool.steps().len(), 1);
}

#[test]
fn a_stream_that_waits_takes_items_and_lists_them() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let create = CreateStream {
        name: b"s".to_vec(),
        restriction: StreamRestriction::default(),
        salted: false,
        details: Vec::new(),
    };
    let created = world.sign(1, 1, vec![Output::operation(Operation::CreateStream(create))]);
    let stream = created.txid();
    pool.admit(created, true, 5, &world.rules).unwrap();
    let data = ItemData::Onchain(Data { format: DataFormat::Raw, bytes: vec![1] });
    let publish = Publish { stream, keys: vec![b"k".to_vec()], data };
    let item = world.sign(1, 2, vec![Output::operation(Operation::Publish(publish))]);
    let txid = item.txid();
    pool.admit(item, true, 5, &world.rules).unwrap();
    let items: Vec<(Txid, u32)> = pool.items(&stream).iter().map(|item| (item.entry.tx.txid(), item.vout)).collect();
    assert_eq!(items, [(txid, 0)]);
}

#[test]
fn a_transaction_is_taken_once() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    pool.admit(world.data(1, 1, 10), true, 5, &world.rules).unwrap();
    let again = pool.admit(world.data(1, 1, 10), false, 6, &world.rules);
    assert!(matches!(again, Err(PoolError::Known(_))));
}

#[test]
fn hashes_are_paged_in_order_and_each_once() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    for nonce in 0..20 {
        pool.admit(world.data(1, nonce, 10), true, 5, &world.rules).unwrap();
    }
    let mut expected: Vec<FullHash> = pool.entries().map(|entry| entry.tx.full_hash()).collect();
    expected.sort_unstable();
    let pages = |pool: &Pool<Arc<MemoryState>>| {
        let (mut all, mut after) = (Vec::new(), FullHash::ZERO);
        loop {
            let page: Vec<FullHash> = pool.full_hashes_after(&after).take(7).copied().collect();
            let Some(last) = page.last() else { return all };
            after = *last;
            all.extend(page);
        }
    };
    assert_eq!(pages(&pool), expected);
}

#[test]
fn limits_hold_in_total_and_for_an_author() {
    let world = world();
    let mut pool = world.pool(PoolLimits { bytes: 3_600, author_bytes: 1_500, relay_fee: 0 });
    pool.admit(world.grant(2, Permission::Send, BlockRange::ALWAYS), true, 5, &world.rules).unwrap();
    pool.admit(world.data(1, 1, 800), true, 5, &world.rules).unwrap();
    let author = pool.admit(world.data(1, 2, 800), true, 5, &world.rules);
    assert!(matches!(author, Err(PoolError::AuthorFull { .. })), "{author:?}");
    pool.admit(world.data(2, 3, 1_000), true, 5, &world.rules).unwrap();
    let left = pool.admit(world.data(2, 4, 1_000), true, 5, &world.rules);
    assert!(matches!(left, Err(PoolError::AuthorFull { limit: 0..100, .. })), "{left:?}");
    let total = pool.admit(world.data(2, 4, 1_300), true, 5, &world.rules);
    assert!(matches!(total, Err(PoolError::Full { .. })), "{total:?}");
}

/// A pool in which these keys, and the one after them, may send.
fn crowd(world: &World, limits: PoolLimits, keys: std::ops::RangeInclusive<u8>) -> Pool<Arc<MemoryState>> {
    let mut pool = world.pool(limits);
    for key in keys {
        pool.admit(world.grant(key, Permission::Send, BlockRange::ALWAYS), true, 5, &world.rules).unwrap();
    }
    pool
}

/// Keeps putting transactions of an author in until no more are taken; how many bytes it has then.
fn flood(pool: &mut Pool<Arc<MemoryState>>, world: &World, author: u8, nonce: &mut u64) -> usize {
    loop {
        *nonce += 1;
        match pool.admit(world.data(author, *nonce, 9_000), false, 5, &world.rules) {
            Ok(_) => {}
            Err(PoolError::AuthorFull { .. } | PoolError::Full { .. }) => {
                return pool.author_bytes.get(&lock(author)).copied().unwrap_or(0);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn members_who_fill_the_pool_together_leave_room_for_who_has_little_in_it() {
    let world = world();
    let limits = PoolLimits { bytes: 1_000_000, author_bytes: 250_000, relay_fee: 0 };
    let mut pool = crowd(&world, limits, 2..=10);
    let mut nonce = 0;
    // Four authors with a quarter each filled it before, and nobody else was heard.
    let held: Vec<usize> = (2..=9).map(|author| flood(&mut pool, &world, author, &mut nonce)).collect();
    assert!(held.is_sorted_by(|a, b| a >= b), "each gets less than the one before: {held:?}");
    assert!(held[0] > 240_000 && held[3] < 130_000, "{held:?}");
    pool.admit(world.data(10, 1, 1_000), false, 5, &world.rules).unwrap();
    assert!(pool.bytes() < limits.bytes);
}

#[test]
fn a_member_who_floods_the_pool_does_not_delay_others_by_a_block() {
    let world = world();
    let limits = PoolLimits { bytes: 1_000_000, author_bytes: 250_000, relay_fee: 0 };
    let mut pool = crowd(&world, limits, 2..=4);
    let (mut nonce, room) = (0, 50_000);
    for height in 1..=10u32 {
        flood(&mut pool, &world, 2, &mut nonce);
        let others = [3, 4].map(|author| world.data(author, 1_000_000 + u64::from(height), 5_000));
        for other in &others {
            pool.admit(other.clone(), false, 5, &world.rules).unwrap();
        }
        let chosen = pool.select(room);
        let bytes: usize = chosen.iter().map(|entry| entry.tx.size()).sum();
        assert!(bytes <= room && bytes > room - 10_000, "the block is used: {bytes}");
        let confirmed: HashSet<Txid> = chosen.iter().map(|entry| entry.tx.txid()).collect();
        assert!(others.iter().all(|other| confirmed.contains(&other.txid())), "at height {height}");
        // The first block makes the grants stand, for which the state here has no place: they wait on.
        let confirmed = confirmed.into_iter().filter(|txid| !grants(&pool, txid)).collect();
        pool = world.renewed_at(height + 1, &pool, &[], &confirmed).0;
    }
}

fn grants(pool: &Pool<Arc<MemoryState>>, txid: &Txid) -> bool {
    pool.get(txid)
        .is_some_and(|entry| entry.tx.transaction().operations().any(|(_, op)| matches!(op, Operation::Grant(_))))
}

#[test]
fn over_a_new_tip_what_no_longer_applies_ends_visibly() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let short = BlockRange { start: 0, end: 2 };
    pool.admit(world.grant(2, Permission::Send, short), true, 5, &world.rules).unwrap();
    let last = world.data(2, 1, 10);
    pool.admit(last.clone(), true, 5, &world.rules).unwrap();
    let kept = world.data(1, 2, 10);
    pool.admit(kept.clone(), false, 5, &world.rules).unwrap();
    let (next, ended) = world.renewed(&pool, &[], &HashSet::new());
    let ended: Vec<Txid> = ended.iter().map(|ended| ended.entry.tx.txid()).collect();
    assert_eq!(ended, [last.txid()]);
    assert!(next.get(&kept.txid()).is_some());
    assert_eq!(next.next_sequence(), pool.next_sequence());
}

#[test]
fn confirmed_transactions_leave_and_those_of_a_lost_branch_return_first() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let (a, b, c) = (world.data(1, 1, 10), world.data(1, 2, 10), world.data(1, 3, 10));
    pool.admit(a.clone(), true, 5, &world.rules).unwrap();
    pool.admit(b.clone(), true, 5, &world.rules).unwrap();
    let confirmed = HashSet::from([a.txid()]);
    let (next, ended) = world.renewed(&pool, &[(c.clone(), false)], &confirmed);
    assert!(ended.is_empty());
    let left: HashSet<Txid> = next.entries().map(|entry| entry.tx.txid()).collect();
    assert_eq!(left, HashSet::from([b.txid(), c.txid()]));
}

#[test]
fn what_comes_in_while_the_next_pool_is_made_is_taken_over_in_order() {
    let world = world();
    for returning in [Vec::new(), vec![(world.data(1, 9, 10), true)]] {
        let mut pool = world.pool(PoolLimits::default());
        let confirmed = HashSet::from([world.data(1, 1, 10).txid(), world.data(1, 3, 10).txid()]);
        pool.admit(world.data(1, 1, 10), true, 5, &world.rules).unwrap();
        pool.admit(world.data(1, 2, 10), false, 5, &world.rules).unwrap();
        let mut renewal = world.renewal(2, &pool, &confirmed);
        renewal.take_returning(&returning, 9).unwrap();
        renewal.take(&all(&pool)).unwrap();
        pool.admit(world.data(1, 3, 10), true, 6, &world.rules).unwrap();
        pool.admit(world.data(1, 4, 10), true, 6, &world.rules).unwrap();
        let late: Vec<_> = pool.entries_after(renewal.last()).cloned().collect();
        assert_eq!(late.len(), 2);
        renewal.take(&late).unwrap();
        let Renewed { pool: next, confirmed_own, .. } = renewal.finish(pool.next_sequence());
        let expected: Vec<Txid> = returning
            .iter()
            .map(|(tx, _)| tx.txid())
            .chain([world.data(1, 2, 10).txid(), world.data(1, 4, 10).txid()])
            .collect();
        assert_eq!(next.entries().map(|entry| entry.tx.txid()).collect::<Vec<_>>(), expected);
        assert_eq!(confirmed_own, [world.data(1, 1, 10).txid(), world.data(1, 3, 10).txid()]);
        assert!(next.entries().all(|entry| entry.sequence < next.next_sequence()));
        assert!(next.next_sequence() >= pool.next_sequence());
    }
}

#[test]
fn a_full_block_is_shared_among_authors_in_order_of_arrival() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    pool.admit(world.grant(2, Permission::Send, BlockRange::ALWAYS), true, 5, &world.rules).unwrap();
    for nonce in 0..20 {
        pool.admit(world.data(1, 100 + nonce, 1_000), true, 5, &world.rules).unwrap();
    }
    pool.admit(world.data(2, 1, 1_000), true, 5, &world.rules).unwrap();
    let chosen = pool.select(6_000);
    assert!(chosen.iter().map(|entry| entry.tx.size()).sum::<usize>() <= 6_000);
    assert!(chosen.iter().any(|entry| entry.tx.transaction().body.authors == [lock(2)]));
    assert!(chosen.is_sorted_by_key(|entry| entry.sequence));
    assert_eq!(pool.select(1 << 20).len(), 22);
}

#[test]
fn rules_that_time_may_heal_are_told_apart() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let Err(PoolError::Rule(rule)) = pool.admit(world.data(9, 1, 10), false, 5, &world.rules) else {
        panic!("an unknown author was taken")
    };
    assert!(Rule::may_pass(&rule));
}

impl World {
    /// A transaction of the first key that spends coins of its own and pays nothing to each of these.
    fn payment(&self, nonce: u64, spent: &[OutPoint], paid: &[u8]) -> VerifiedTransaction {
        let input = |outpoint: &OutPoint| Input { outpoint: *outpoint, coverage: Coverage::Full };
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: spent.iter().map(input).collect(),
            outputs: paid.iter().map(|to| Output::payment(lock(*to), Amount::ZERO)).collect(),
            authors: vec![lock(1)],
            lock_time: 0,
            last_height: 1_000,
            nonce,
        };
        let digest = full_digest(&BlockHash::ZERO, &body.txid(), &lock(1));
        let witness = Witness::Key { key: key(1).public_key(), signature: key(1).sign(&digest) };
        let transaction = Transaction { body, witnesses: vec![witness] };
        self.signatures.verify(check_transaction(Arc::new(transaction), &self.rules).unwrap()).unwrap()
    }
}

fn made(pool: &Pool<Arc<MemoryState>>, owner: u8) -> Vec<OutPoint> {
    pool.coins().made_for(&lock(owner)).map(|(outpoint, _)| outpoint).collect()
}

#[test]
fn an_owner_has_the_coins_that_waiting_transactions_make_and_none_of_them_spends() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let first = world.payment(1, &[], &[1, 1]);
    let [a, b] = [0, 1].map(|index| OutPoint { txid: first.txid(), index });
    pool.admit(first, true, 5, &world.rules).unwrap();
    assert_eq!(made(&pool, 1), [a, b]);
    assert!(!pool.coins().is_spent(&a) && pool.spender(&a).is_none());
    let second = world.payment(2, &[a], &[1]);
    let c = OutPoint { txid: second.txid(), index: 0 };
    pool.admit(second.clone(), true, 5, &world.rules).unwrap();
    let mut expected = [b, c];
    expected.sort();
    assert_eq!(made(&pool, 1), expected);
    assert_eq!(pool.spender(&a).map(|entry| entry.tx.txid()), Some(second.txid()));
    assert_eq!(pool.coins().spent_of(&lock(1)), [a]);
    assert_eq!((made(&pool, 2), pool.coins().spent_of(&lock(2))), (vec![], &[][..]));
}

#[test]
fn coins_of_what_leaves_the_pool_leave_with_it() {
    let world = world();
    let mut pool = world.pool(PoolLimits::default());
    let first = world.payment(1, &[], &[1]);
    let coin = OutPoint { txid: first.txid(), index: 0 };
    pool.admit(first.clone(), true, 5, &world.rules).unwrap();
    pool.admit(world.payment(2, &[coin], &[1]), true, 5, &world.rules).unwrap();
    let confirmed = HashSet::from([first.txid()]);
    let (next, ended) = world.renewed(&pool, &[], &confirmed);
    assert_eq!(ended.len(), 1, "the coin of a transaction that is neither waiting nor in the state is missing");
    assert_eq!(made(&next, 1), []);
    assert!(!next.coins().is_spent(&coin));
}

#[test]
fn a_transaction_that_leaves_too_little_to_the_miner_is_refused_with_what_is_due() {
    let world = world();
    let mut pool = world.pool(PoolLimits { relay_fee: 7, ..PoolLimits::default() });
    let refused = pool.admit(world.data(1, 1, 3_000), true, 5, &world.rules);
    assert!(matches!(refused, Err(PoolError::Fee { fee: Amount(0), least: Amount(28) })), "{refused:?}");
    assert!(pool.is_empty() && pool.state().changes().elements.is_empty());
}

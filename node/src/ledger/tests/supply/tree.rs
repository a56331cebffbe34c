//! All branches of a chain in memory: the state after every block as rules give it when they are applied in a straight
//! line from the genesis block, and the books of the same branch. Nothing here undoes anything.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::block::{BLOCK_VERSION, Block, BlockHeader};
use rota_chain::hash::{BlockHash, MerkleRoot};
use rota_chain::lock::Lock;
use rota_chain::multiset::Multiset;
use rota_chain::transaction::{Output, Transaction};
use rota_consensus::block::{BlockPlace, apply_block, check_block, verify_in_turn};
use rota_consensus::rule::{ApplyError, Rule};
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::state::{Change, Changes, MemoryState, Overlay, StateKey, StateValue};
use rota_consensus::transaction::{Place, apply_transaction, check_transaction};

use super::super::world::{FIRST, Node, START, key};
use super::books::{Books, Schedule};

/// Seconds between two heights: more than there are blocks, so that no two blocks have the same time.
const STEP: u32 = 10_000;

/// What is after one block.
#[derive(Clone)]
pub struct Spot {
    pub height: u32,
    pub hash: BlockHash,
    pub previous: BlockHash,
    pub block: Option<Arc<Block>>,
    pub elements: BTreeMap<StateKey, StateValue>,
    pub multiset: Multiset,
    pub books: Books,
    state: MemoryState,
    times: Vec<Timestamp>,
}

impl Spot {
    fn median_time(&self) -> Timestamp {
        let mut last: Vec<Timestamp> = self.times.iter().rev().take(11).copied().collect();
        last.sort();
        last[last.len() / 2]
    }

    fn take(&mut self, changes: Changes) {
        changes.apply_to(&mut self.multiset);
        for (key, change) in &changes.elements {
            match &change.after {
                Some(value) => self.elements.insert(key.clone(), value.clone()),
                None => self.elements.remove(key),
            };
        }
        self.state.commit(changes);
    }
}

/// Every valid block that was made.
pub struct Tree {
    pub rules: Arc<Rules>,
    signatures: Arc<SignatureCache>,
    spots: HashMap<BlockHash, Spot>,
    order: Vec<BlockHash>,
    bits: u32,
    blocks: u32,
}

impl Tree {
    /// The tree of a node that knows the genesis block alone.
    pub fn new(node: &Node, schedule: Schedule) -> Tree {
        let (snapshot, tip) = (node.view.snapshot(), node.view.tip());
        let mut changes = Changes::default();
        let insert = |key, value| {
            changes.elements.insert(key, Change { before: None, after: Some(value) });
        };
        snapshot.for_each_element(insert).unwrap();
        let first = snapshot.block(&tip.hash).unwrap().unwrap().transactions[0].txid();
        changes.transactions.insert(first, Some(Height(0)));
        let mut spot = Spot {
            height: 0,
            hash: tip.hash,
            previous: BlockHash::ZERO,
            block: None,
            elements: BTreeMap::new(),
            multiset: Multiset::new(),
            books: Books::new(schedule),
            state: MemoryState::default(),
            times: vec![tip.time],
        };
        spot.take(changes);
        Tree {
            rules: Arc::clone(&node.rules),
            signatures: Arc::clone(&node.signatures),
            spots: HashMap::from([(tip.hash, spot)]),
            order: vec![tip.hash],
            bits: node.ledger.next_bits(tip.time).unwrap(),
            blocks: 0,
        }
    }

    /// What is after a block that is valid.
    pub fn spot(&self, hash: &BlockHash) -> Option<&Spot> {
        self.spots.get(hash)
    }

    /// The block made so many blocks before the newest one, or the oldest there is.
    pub fn recent(&self, back: usize) -> BlockHash {
        self.order[self.order.len().saturating_sub(back + 1)]
    }

    /// Height of the highest block.
    pub fn highest(&self) -> u32 {
        self.spots.values().map(|spot| spot.height).max().unwrap_or(0)
    }

    /// The blocks from genesis to one of them, without the former.
    pub fn branch(&self, tip: &BlockHash) -> Vec<Arc<Block>> {
        let mut blocks = Vec::new();
        let mut next = *tip;
        while let Some(Spot { block: Some(block), previous, .. }) = self.spots.get(&next) {
            blocks.push(Arc::clone(block));
            next = *previous;
        }
        blocks.reverse();
        blocks
    }

    /// Judges transactions one upon the other after a block; gives the fee of each, or the rule that it breaks.
    pub fn judge(&self, on: &Spot, taken: &[Transaction], transaction: &Transaction) -> Result<u64, Rule> {
        let mut overlay = Overlay::new(&on.state);
        let mut last = Ok(0);
        for transaction in taken.iter().chain([transaction]) {
            last = self.judge_on(&overlay, on, transaction).map(|(changes, fee)| {
                overlay.absorb(changes);
                fee
            });
        }
        last
    }

    fn judge_on(
        &self,
        view: &Overlay<&MemoryState>,
        on: &Spot,
        transaction: &Transaction,
    ) -> Result<(Changes, u64), Rule> {
        let checked = check_transaction(Arc::new(transaction.clone()), &self.rules)?;
        let verified = self.signatures.verify(checked)?;
        let place = Place { height: Height(on.height + 1), median_time: on.median_time(), offset: 0 };
        let applied = apply_transaction(view, &verified, &self.rules, place).map_err(broken)?;
        Ok((applied.changes, applied.fee.0))
    }

    /// A signed block after another one, with a coinbase of `claim`.
    pub fn build(&mut self, on: &Spot, claim: u64, transactions: &[Transaction]) -> Arc<Block> {
        self.blocks += 1;
        let height = Height(on.height + 1);
        let miner = key(FIRST);
        let owner = Lock::Key(miner.public_key().key_hash());
        let mut all = vec![Transaction::coinbase(height, vec![Output::payment(owner, Amount(claim))])];
        all.extend(transactions.iter().cloned());
        let header = BlockHeader {
            version: BLOCK_VERSION,
            previous: on.hash,
            merkle_root: MerkleRoot::ZERO,
            state_hash: on.multiset.hash(),
            time: Timestamp(u32::try_from(START).unwrap() + height.0 * STEP + self.blocks),
            bits: self.bits,
            nonce: 0,
            miner: miner.public_key().key_hash(),
        };
        let mut block = Block { signed: header.sign(&self.rules.genesis, &miner), transactions: all };
        let header = BlockHeader { merkle_root: block.computed_merkle_root(), ..header };
        block.signed = header.sign(&self.rules.genesis, &miner);
        Arc::new(block)
    }

    /// Applies a block to the state after its parent and keeps what comes out.
    pub fn grow(&mut self, block: &Arc<Block>) -> Result<BlockHash, Rule> {
        let mut spot = self.spots[&block.header().previous].clone();
        let checked = check_block(Arc::clone(block), &self.rules, &|all| verify_in_turn(&self.signatures, all))?;
        let place = BlockPlace {
            height: Height(spot.height + 1),
            median_time: spot.median_time(),
            bits: self.bits,
            state_hash: spot.multiset.hash(),
        };
        let changes = apply_block(&spot.state, &checked, &self.rules, place).map_err(broken)?;
        spot.take(changes);
        spot.height += 1;
        (spot.previous, spot.hash) = (spot.hash, block.hash());
        spot.times.push(block.header().time);
        spot.books.read_block(block, spot.height);
        spot.block = Some(Arc::clone(block));
        let hash = spot.hash;
        self.order.push(hash);
        self.spots.insert(hash, spot);
        Ok(hash)
    }
}

/// The rule in an error; state in memory does not fail.
fn broken(error: ApplyError) -> Rule {
    match error {
        ApplyError::Rule(rule) => rule,
        ApplyError::State(error) => panic!("{error}"),
    }
}

//! A chain in memory: blocks are made, judged, applied and undone as a node does it, without a clock or a disk.

use std::cell::Cell;
use std::sync::Arc;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::block::{BLOCK_VERSION, Block, BlockHeader, GenesisPlan};
use rota_chain::hash::{BlockHash, MerkleRoot, ParamsHash, StateHash, Txid};
use rota_chain::multiset::Multiset;
use rota_chain::operation::Genesis;
use rota_chain::permission::Permission;
use rota_chain::stream::{CreateStream, StreamRestriction};
use rota_chain::transaction::{OutPoint, Output, Transaction};
use rota_consensus::authority;
use rota_consensus::block::{BlockPlace, CheckedBlock, apply_block, apply_genesis, check_block, verify_in_turn};
use rota_consensus::coin;
use rota_consensus::rule::{ApplyError, Rule};
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::state::{Change, Changes, MemoryState, Overlay, PermissionKey, PermissionRecord, StateView};
use rota_consensus::transaction::{Applied, Place, VerifiedTransaction, apply_transaction, check_transaction};
use rota_consensus::work;
use rota_params::{PROTOCOL_LATEST, ParameterSet};

use crate::transaction_builder::{Party, Writing, party, transaction};

/// Time of the genesis block.
pub const BIRTH: u32 = 1_700_000_000;
/// Seconds between blocks.
pub const STEP: u32 = 15;

/// A chain whose first administrator and miner is alice.
pub struct Chain {
    pub rules: Rules,
    pub state: MemoryState,
    pub multiset: Multiset,
    pub blocks: Vec<(Arc<Block>, Changes)>,
    pub genesis: Block,
    rules_hash: ParamsHash,
    cache: SignatureCache,
    nonce: Cell<u64>,
}

impl Chain {
    /// The defaults, without a setup phase.
    pub fn new() -> Chain {
        Chain::with(|_| ())
    }

    /// The defaults, without a setup phase, and with rules changed.
    pub fn with(change: impl FnOnce(&mut Rules)) -> Chain {
        let set = ParameterSet::with_defaults("rules", PROTOCOL_LATEST).unwrap();
        let mut rules = Rules::new(&set);
        rules.setup_first_blocks = 0;
        change(&mut rules);
        let rules_hash = ParamsHash(rota_params::hash::rules_hash(&set));
        let genesis = GenesisPlan {
            genesis: Genesis { rules: rules_hash, description: b"rules".to_vec() },
            root_stream: Some(CreateStream {
                name: b"root".to_vec(),
                restriction: StreamRestriction::default(),
                salted: false,
                details: Vec::new(),
            }),
            time: Timestamp(BIRTH),
            bits: work::minimum_bits(rules.pow_minimum_bits),
            empty_state: Multiset::new().hash(),
        }
        .build(party("alice").key());
        rules.genesis = genesis.hash();
        let changes = apply_genesis(&genesis, &rules, rules_hash).unwrap();
        let cache = SignatureCache::new(rules.genesis, [7; 32]);
        let mut chain = Chain {
            rules,
            state: MemoryState::default(),
            multiset: Multiset::new(),
            blocks: Vec::new(),
            genesis,
            rules_hash,
            cache,
            nonce: Cell::new(0),
        };
        chain.commit(changes);
        chain
    }

    fn commit(&mut self, changes: Changes) {
        changes.apply_to(&mut self.multiset);
        self.state.commit(changes);
    }

    pub fn rules_hash(&self) -> ParamsHash {
        self.rules_hash
    }

    /// Height of the last block.
    pub fn tip(&self) -> Height {
        Height(u32::try_from(self.blocks.len()).unwrap())
    }

    pub fn tip_hash(&self) -> BlockHash {
        self.blocks.last().map_or(self.rules.genesis, |(block, _)| block.hash())
    }

    /// Median time of the last eleven blocks.
    pub fn median_time(&self) -> Timestamp {
        let headers = std::iter::once(self.genesis.header()).chain(self.blocks.iter().map(|(block, _)| block.header()));
        let all: Vec<Timestamp> = headers.map(|header| header.time).collect();
        let mut last: Vec<Timestamp> = all.into_iter().rev().take(11).collect();
        last.sort();
        last[last.len() / 2]
    }

    pub fn hash(&self) -> StateHash {
        self.multiset.hash()
    }

    pub fn place(&self) -> BlockPlace {
        BlockPlace {
            height: self.tip().next(),
            median_time: self.median_time(),
            bits: work::minimum_bits(self.rules.pow_minimum_bits),
            state_hash: self.hash(),
        }
    }

    /// An empty transaction with a nonce of its own.
    pub fn write(&self) -> Writing {
        self.nonce.set(self.nonce.get() + 1);
        transaction(self.nonce.get())
    }

    pub fn sign(&self, writing: Writing) -> Transaction {
        writing.sign(&self.rules.genesis)
    }

    /// What a node does with a transaction's bytes before it looks at the state.
    pub fn check(&self, tx: Transaction) -> Result<VerifiedTransaction, Rule> {
        let checked = check_transaction(Arc::new(tx), &self.rules)?;
        Ok(self.cache.verify(checked)?)
    }

    /// Judges a transaction on a view at the height after the tip.
    pub fn judge_on<V: StateView>(&self, view: &V, tx: Transaction) -> Result<Applied, Rule> {
        let place = Place { height: self.tip().next(), median_time: self.median_time(), offset: 0 };
        apply_transaction(view, &self.check(tx)?, &self.rules, place).map_err(rule)
    }

    /// Judges a transaction as the pool does.
    pub fn judge(&self, tx: Transaction) -> Result<Applied, Rule> {
        self.judge_on(&self.state, tx)
    }

    /// Signs and judges.
    pub fn propose(&self, writing: Writing) -> Result<Applied, Rule> {
        self.judge(self.sign(writing))
    }

    /// The rule that a transaction breaks.
    pub fn refusal(&self, writing: Writing) -> Rule {
        self.propose(writing).expect_err("the transaction is valid")
    }

    /// Takes the transactions that a pool would take, in order, each on the effects of those before.
    pub fn pool(&self, transactions: Vec<Transaction>) -> Vec<Transaction> {
        let mut overlay = Overlay::new(&self.state);
        let mut taken = Vec::new();
        for tx in transactions {
            if let Ok(applied) = self.judge_on(&overlay, tx.clone()) {
                overlay.absorb(applied.changes);
                taken.push(tx);
            }
        }
        taken
    }

    /// A block after the tip that claims the reward and no fees.
    pub fn block_by(&self, miner: &Party, transactions: Vec<Transaction>) -> Block {
        let reward = coin::reward(&self.rules, self.tip().next());
        self.block_paying(miner, reward, transactions)
    }

    pub fn block_paying(&self, miner: &Party, reward: Amount, transactions: Vec<Transaction>) -> Block {
        let height = self.tip().next();
        let coinbase = Transaction::coinbase(height, vec![Output::payment(miner.lock(), reward)]);
        let mut all = vec![coinbase];
        all.extend(transactions);
        let header = BlockHeader {
            version: BLOCK_VERSION,
            previous: self.tip_hash(),
            merkle_root: MerkleRoot::ZERO,
            state_hash: self.hash(),
            time: Timestamp(BIRTH + STEP * height.0),
            bits: self.place().bits,
            nonce: 0,
            miner: miner.hash(),
        };
        let block = Block { signed: header.sign(&self.rules.genesis, miner.key()), transactions: all };
        self.reseal(block, miner, |_| ())
    }

    /// The block with its header changed, its root recomputed, and signed again.
    pub fn reseal(&self, mut block: Block, miner: &Party, change: impl FnOnce(&mut BlockHeader)) -> Block {
        let mut header = *block.header();
        header.merkle_root = block.computed_merkle_root();
        change(&mut header);
        while self.rules.anyone.mine && !work::meets(&header.hash(), header.bits) {
            header.nonce += 1;
        }
        block.signed = header.sign(&self.rules.genesis, miner.key());
        block
    }

    pub fn check_block(&self, block: Block) -> Result<CheckedBlock, Rule> {
        check_block(Arc::new(block), &self.rules, &|all| verify_in_turn(&self.cache, all))
    }

    /// Judges a block and, if it is valid, makes it the tip.
    pub fn offer(&mut self, block: Block) -> Result<Height, Rule> {
        let checked = self.check_block(block)?;
        let changes = apply_block(&self.state, &checked, &self.rules, self.place()).map_err(rule)?;
        self.commit(changes.clone());
        self.blocks.push((checked.block().clone(), changes));
        Ok(self.tip())
    }

    pub fn mine_by(&mut self, miner: &Party, transactions: Vec<Transaction>) -> Result<Height, Rule> {
        self.offer(self.block_by(miner, transactions))
    }

    /// A block by alice, which must be valid.
    pub fn mine(&mut self, transactions: Vec<Transaction>) -> Height {
        self.mine_by(&party("alice"), transactions).unwrap()
    }

    /// Signs a transaction, confirms it in a block by alice, and gives its id.
    pub fn confirm(&mut self, writing: Writing) -> Txid {
        let tx = self.sign(writing);
        let txid = tx.txid();
        self.mine(vec![tx]);
        txid
    }

    /// Empty blocks by alice up to a height.
    pub fn mine_to(&mut self, height: u32) {
        while self.tip().0 < height {
            self.mine(Vec::new());
        }
    }

    /// Undoes the last block.
    pub fn undo(&mut self) -> Option<Arc<Block>> {
        let (block, changes) = self.blocks.pop()?;
        self.commit(inverse(&changes));
        Some(block)
    }

    /// Whether an address has a global right in the next block.
    pub fn may(&self, who: &Party, permission: Permission) -> bool {
        let height = self.tip().next();
        authority::may(&self.state, &self.rules, permission, &who.lock(), height).unwrap()
    }

    /// Whether an address has a right on an entity in the next block.
    pub fn may_on(&self, entity: Txid, who: &Party, permission: Permission) -> bool {
        let height = self.tip().next();
        authority::may_on(&self.state, entity, permission, &who.lock(), height).unwrap()
    }

    /// The record of a global right.
    pub fn record(&self, who: &Party, permission: Permission) -> PermissionRecord {
        let key = PermissionKey { entity: None, permission, address: who.lock() };
        self.state.permission(key).unwrap().unwrap_or_default()
    }

    /// The coinbase's coin of a block.
    pub fn reward_of(&self, height: Height) -> OutPoint {
        let (block, _) = &self.blocks[height.0 as usize - 1];
        OutPoint { txid: block.transactions[0].txid(), index: 0 }
    }
}

/// Changes that undo changes.
pub fn inverse(changes: &Changes) -> Changes {
    let elements = changes
        .elements
        .iter()
        .map(|(key, change)| {
            let Change { before, after } = change.clone();
            let change = Change { before: after, after: before };
            (key.clone(), change)
        })
        .collect();
    let transactions = changes.transactions.keys().map(|txid| (*txid, None));
    Changes { elements, transactions: transactions.collect() }
}

/// The rule in an error; state in memory does not fail.
pub fn rule(error: ApplyError) -> Rule {
    match error {
        ApplyError::Rule(rule) => rule,
        ApplyError::State(error) => panic!("{error}"),
    }
}

/// The output of a transaction as a coin's name.
pub fn coin_of(txid: Txid, index: u32) -> OutPoint {
    OutPoint { txid, index }
}

//! Chains and nodes for the ledger's tests: every node has a store of its own, blocks travel by hand.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use rota_chain::block::{Block, BlockHeader};
use rota_chain::data::{Data, DataFormat};
use rota_chain::digest::full_digest;
use rota_chain::hash::{BlockHash, StateHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::multiset::Multiset;
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::witness::Witness;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::state::element;
use rota_consensus::transaction::{VerifiedTransaction, check_transaction};
use rota_params::options::{CommandLine, Options};
use rota_params::runtime::RuntimeSettings;
use rota_params::{PROTOCOL_LATEST, Parameter, ParameterSet};
use rota_storage::journal::Journal;
use rota_storage::{BlockStatus, OpenOptions, Store, StorePaths};
use rota_wallet::Wallet;
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::genesis;
use crate::ledger::{BlockOutcome, Ledger, LedgerEvent, LedgerParts, SubmitError, initial_view};
use crate::miner::{Template, assemble, build_block};
use crate::pause::Paused;
use crate::pool::{PoolEntry, PoolLimits};
use crate::view::SharedView;

/// Time of the genesis block.
pub const START: u64 = 1_700_000_000;
/// The key that the genesis block gives all rights.
pub const FIRST: u8 = 1;

pub fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_bytes([seed; 32]).unwrap()
}

pub fn lock(seed: u8) -> Lock {
    Lock::Key(key(seed).public_key().key_hash())
}

/// A chain with its genesis block, and the folder of its nodes.
pub struct Chain {
    folder: TempDir,
    set: ParameterSet,
    genesis: Block,
}

impl Chain {
    /// A chain without diversity after its first block.
    pub fn new() -> Chain {
        Chain::with(&[(Parameter::MiningDiversity, "0.0"), (Parameter::SetupFirstBlocks, "1")])
    }

    pub fn with(choices: &[(Parameter, &str)]) -> Chain {
        let choices: Vec<(Parameter, String)> =
            choices.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        let mut set = rota_params::generate::create("ledger", PROTOCOL_LATEST, &choices, &mut rand::rng()).unwrap();
        let genesis = genesis::make(&mut set, &key(FIRST), START).unwrap();
        Chain { folder: TempDir::new().unwrap(), set, genesis }
    }

    /// A new node that knows the genesis block alone.
    pub fn node(&self, name: &str) -> Node {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        let options = OpenOptions { mark: rand::random(), ..OpenOptions::default() };
        let store = Store::open(&paths(&path), options).unwrap();
        genesis::store(&store, self.genesis.clone(), None, &self.set, START).unwrap();
        drop(store);
        Node::open(path, &self.set, false)
    }

    pub fn genesis(&self) -> BlockHash {
        self.genesis.hash()
    }
}

fn paths(folder: &Path) -> StorePaths {
    StorePaths { database: folder.join("state"), blocks: folder.join("blocks") }
}

/// A node: its ledger and what others of its parts would hold.
pub struct Node {
    path: PathBuf,
    set: ParameterSet,
    pub rules: Arc<Rules>,
    pub signatures: Arc<SignatureCache>,
    pub settings: Arc<RwLock<RuntimeSettings>>,
    pub paused: Arc<Paused>,
    pub view: Arc<SharedView>,
    pub wallet: Arc<Wallet>,
    pub ledger: Ledger,
    pub events: broadcast::Receiver<LedgerEvent>,
}

impl Node {
    fn open(path: PathBuf, set: &ParameterSet, reindex: bool) -> Node {
        let (parts, events, receiver) = Node::parts(&path, set, reindex);
        Node {
            path,
            set: set.clone(),
            rules: Arc::clone(&parts.rules),
            signatures: Arc::clone(&parts.signatures),
            settings: Arc::clone(&parts.settings),
            paused: Arc::clone(&parts.paused),
            view: Arc::clone(&parts.view),
            wallet: Arc::clone(&parts.wallet),
            ledger: Ledger::load(parts, events).unwrap(),
            events: receiver,
        }
    }

    fn parts(
        path: &Path,
        set: &ParameterSet,
        reindex: bool,
    ) -> (LedgerParts, broadcast::Sender<LedgerEvent>, broadcast::Receiver<LedgerEvent>) {
        let rules = Arc::new(Rules::new(set));
        let options = OpenOptions { reindex, mark: rand::random(), ..OpenOptions::default() };
        let store = Arc::new(Store::open(&paths(path), options).unwrap());
        if store.is_rebuilding().unwrap() {
            genesis::restore(&store, set, START).unwrap();
        }
        let limits = PoolLimits::default();
        let line = CommandLine::parse([format!("-datadir={}", path.display())], |_| false).unwrap();
        let options = Options::resolve(&line, None).unwrap();
        let (events, receiver) = broadcast::channel(10_000);
        let parts = LedgerParts {
            view: Arc::new(SharedView::new(initial_view(&store, &rules, limits).unwrap())),
            store,
            signatures: Arc::new(SignatureCache::new(rules.genesis, [7; 32])),
            rules,
            journal: Arc::new(Journal::open(&path.join("journal")).unwrap()),
            wallet: Arc::new(Wallet::open(path, set.address_scheme()).unwrap()),
            settings: Arc::new(RwLock::new(RuntimeSettings::resolve(&options, set).unwrap())),
            paused: Arc::new(Paused::default()),
            sync_transactions: false,
            clock: Clock::System,
        };
        (parts, events, receiver)
    }

    /// Empties the pool and gives it other limits.
    pub fn limit_pool(&mut self, limits: PoolLimits) {
        *self.view.write() = initial_view(&self.ledger.store, &self.rules, limits).unwrap();
    }

    /// Ends the node as a crash would, and starts it again.
    pub fn restart(self) -> Node {
        let (path, set) = self.crash();
        Node::open(path, &set, false)
    }

    /// As [`Node::restart`], with the database made anew from the block files.
    pub fn reindex(self) -> Node {
        let (path, set) = self.crash();
        Node::open(path, &set, true)
    }

    /// As [`Node::reindex`], with a crash before its first block, and with another after the genesis block.
    pub fn reindex_broken_off(self) -> Node {
        let (path, set) = self.crash();
        drop(Store::open(&paths(&path), OpenOptions { reindex: true, ..OpenOptions::default() }).unwrap());
        drop(Node::parts(&path, &set, false));
        Node::open(path, &set, false)
    }

    /// Bytes of its first block file.
    pub fn block_bytes(&self) -> u64 {
        std::fs::metadata(self.path.join("blocks").join("000000.dat")).unwrap().len()
    }

    /// Ends the node as a power cut would that leaves so many bytes of its block file, and starts it again.
    pub fn restart_with_files_cut(self, bytes: u64) -> Node {
        let (path, set) = self.crash();
        let file = std::fs::OpenOptions::new().write(true).open(path.join("blocks").join("000000.dat")).unwrap();
        file.set_len(bytes).unwrap();
        Node::open(path, &set, false)
    }

    fn crash(self) -> (PathBuf, ParameterSet) {
        (self.path, self.set)
    }

    /// The parts of this node after a crash, for a writer with a thread of its own.
    pub fn into_parts(self) -> LedgerParts {
        let (path, set) = self.crash();
        Node::parts(&path, &set, false).0
    }

    pub fn tip(&self) -> BlockHash {
        self.view.tip().hash
    }

    pub fn height(&self) -> u32 {
        self.view.tip().height.0
    }

    /// The hash of the stored state, which must be that of its elements counted anew.
    pub fn state_hash(&self) -> StateHash {
        let snapshot = self.view.snapshot();
        let mut multiset = Multiset::new();
        snapshot.for_each_element(|key, value| multiset.add(&element(&key, &value))).unwrap();
        let stored = snapshot.multiset().unwrap().hash();
        assert_eq!(multiset.hash(), stored, "the stored hash is not that of the stored state");
        stored
    }

    /// The blocks of the active chain after genesis.
    pub fn chain(&self) -> Vec<Arc<Block>> {
        let snapshot = self.view.snapshot();
        let hashes = snapshot.block_hashes(1..self.height() + 1).unwrap();
        hashes.iter().map(|hash| Arc::new(snapshot.block(hash).unwrap().unwrap())).collect()
    }

    pub fn status(&self, hash: &BlockHash) -> Option<BlockStatus> {
        self.ledger.store().block_entry(hash).unwrap().map(|entry| entry.status)
    }

    pub fn tip_status(&self, hash: &BlockHash) -> Option<&'static str> {
        let tips = self.ledger.chain_tips().unwrap();
        tips.iter().find(|tip| tip.hash == *hash).map(|tip| tip.status)
    }

    // Blocks.

    /// A header and transactions for the next block, unsigned; `time` is seconds after genesis.
    pub fn template(&self, miner: u8, time: u64, candidates: Vec<Arc<PoolEntry>>) -> (BlockHeader, Vec<Transaction>) {
        let (snapshot, tip) = (self.view.snapshot(), self.view.tip());
        let now = START + time;
        let template = Template {
            state: &snapshot,
            state_hash: snapshot.multiset().unwrap().hash(),
            tip,
            rules: &self.rules,
            candidates,
            bits: self.ledger.next_bits(tip.time).unwrap(),
            now,
            miner: key(miner).public_key().key_hash(),
        };
        build_block(template).unwrap()
    }

    pub fn sign_block(&self, header: BlockHeader, transactions: Vec<Transaction>, miner: u8) -> Arc<Block> {
        assemble(header.sign(&self.rules.genesis, &key(miner)), transactions)
    }

    /// Makes the next block of everything that waits, and takes it in as an own one.
    pub fn mine(&mut self, miner: u8, time: u64) -> Arc<Block> {
        let waiting = self.view.read().pool.entries().cloned().collect();
        let (header, transactions) = self.template(miner, time, waiting);
        let block = self.sign_block(header, transactions, miner);
        let outcome = self.ledger.accept_block(Arc::clone(&block), true);
        assert!(matches!(outcome, BlockOutcome::Applied | BlockOutcome::Stored), "{outcome:?}");
        block
    }

    /// Makes so many blocks, ten seconds apart.
    pub fn mine_many(&mut self, miner: u8, count: u32, offset: u64) -> Vec<Arc<Block>> {
        (0..count).map(|_| self.mine(miner, u64::from(self.height() + 1) * 10 + offset)).collect()
    }

    /// Takes a peer's block in.
    pub fn take(&mut self, block: &Arc<Block>) -> BlockOutcome {
        self.ledger.accept_block(Arc::clone(block), false)
    }

    pub fn take_all(&mut self, blocks: &[Arc<Block>]) {
        for block in blocks {
            let outcome = self.take(block);
            assert!(
                matches!(outcome, BlockOutcome::Applied | BlockOutcome::Stored | BlockOutcome::Known),
                "{outcome:?}"
            );
        }
    }

    // Transactions.

    /// A transaction of one author, valid up to a height.
    pub fn sign(&self, author: u8, nonce: u64, last_height: u32, outputs: Vec<Output>) -> VerifiedTransaction {
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs,
            authors: vec![lock(author)],
            lock_time: 0,
            last_height,
            nonce,
        };
        let digest = full_digest(&self.rules.genesis, &body.txid(), &lock(author));
        let witness = Witness::Key { key: key(author).public_key(), signature: key(author).sign(&digest) };
        let transaction = Transaction { body, witnesses: vec![witness] };
        self.signatures.verify(check_transaction(Arc::new(transaction), &self.rules).unwrap()).unwrap()
    }

    pub fn data(&self, author: u8, nonce: u64) -> VerifiedTransaction {
        let data = Data { format: DataFormat::Raw, bytes: vec![1, 2, 3] };
        self.sign(author, nonce, 1_000, vec![Output::operation(Operation::Data(data))])
    }

    pub fn grant(
        &self,
        recipient: u8,
        permissions: &[Permission],
        range: BlockRange,
        nonce: u64,
    ) -> VerifiedTransaction {
        let permissions = permissions.iter().copied().collect();
        let grant = Grant { entity: None, permissions, range, timestamp: 1 };
        let output = Output { recipient: Some(lock(recipient)), ..Output::operation(Operation::Grant(grant)) };
        self.sign(FIRST, nonce, 1_000, vec![output])
    }

    pub fn stream(&self, author: u8, name: &str, nonce: u64) -> VerifiedTransaction {
        let create = CreateStream {
            name: name.as_bytes().to_vec(),
            restriction: StreamRestriction::default(),
            salted: false,
            details: Vec::new(),
        };
        self.sign(author, nonce, 1_000, vec![Output::operation(Operation::CreateStream(create))])
    }

    pub fn item(&self, author: u8, stream: Txid, nonce: u64) -> VerifiedTransaction {
        let data = ItemData::Onchain(Data { format: DataFormat::Raw, bytes: nonce.to_le_bytes().to_vec() });
        let publish = Publish { stream, keys: vec![b"key".to_vec()], data };
        self.sign(author, nonce, 1_000, vec![Output::operation(Operation::Publish(publish))])
    }

    pub fn submit(&mut self, tx: VerifiedTransaction) -> Txid {
        self.try_submit(tx).unwrap()
    }

    pub fn try_submit(&mut self, tx: VerifiedTransaction) -> Result<Txid, SubmitError> {
        self.ledger.submit_all(vec![tx]).remove(0)
    }

    pub fn entry(&self, txid: &Txid) -> Option<Arc<PoolEntry>> {
        self.view.read().pool.get(txid).cloned()
    }

    pub fn waits(&self, txid: &Txid) -> bool {
        self.entry(txid).is_some()
    }

    pub fn waiting(&self) -> Vec<Txid> {
        self.view.read().pool.entries().map(|entry| entry.tx.txid()).collect()
    }

    pub fn is_confirmed(&self, txid: &Txid) -> bool {
        self.view.snapshot().transaction_location(txid).unwrap().is_some()
    }

    /// Events since the last look.
    pub fn events(&mut self) -> Vec<LedgerEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    pub fn set_lock_block(&mut self, hash: Option<BlockHash>) {
        self.settings.write().unwrap().lockblock = hash;
        self.ledger.reconsider_branches().unwrap();
    }
}

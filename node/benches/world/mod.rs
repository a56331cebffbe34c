//! A chain of one miner for benches: signed items, the pool and blocks made of them, and the ledger over a real database.
#![allow(dead_code, reason = "each bench uses a part")]

use std::sync::{Arc, RwLock};

use rota_chain::block::{Block, GenesisPlan};
use rota_chain::data::{Data, DataFormat};
use rota_chain::digest::full_digest;
use rota_chain::hash::{ParamsHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::multiset::Multiset;
use rota_chain::operation::{Genesis, Operation};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::witness::Witness;
use rota_consensus::block::apply_genesis;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::state::MemoryState;
use rota_consensus::transaction::{Place, VerifiedTransaction, apply_transaction, check_transaction};
use rota_node::clock::Clock;
use rota_node::genesis;
use rota_node::ledger::{Ledger, LedgerParts, initial_view, next_place};
use rota_node::miner::{Template, assemble, build_block};
use rota_node::pause::Paused;
use rota_node::pool::{PoolEntry, PoolLimits};
use rota_node::view::{SharedView, Tip};
use rota_params::options::{CommandLine, Options};
use rota_params::runtime::RuntimeSettings;
use rota_params::{PROTOCOL_LATEST, ParameterSet};
use rota_storage::journal::Journal;
use rota_storage::{OpenOptions, Store, StorePaths};
use rota_wallet::Wallet;
use tempfile::TempDir;
use tokio::sync::broadcast;

/// Time of the genesis block.
const START: u64 = 1_700_000_000;
/// Bytes of an item.
const ITEM_BYTES: usize = 100;

pub fn key() -> PrivateKey {
    PrivateKey::from_bytes([1; 32]).unwrap()
}

/// Signs a body of the one author, which is not yet verified.
fn sign(rules: &Rules, nonce: u64, outputs: Vec<Output>) -> Transaction {
    let author = Lock::Key(key().public_key().key_hash());
    let body = Body {
        version: TRANSACTION_VERSION,
        inputs: Vec::new(),
        outputs,
        authors: vec![author],
        lock_time: 0,
        last_height: 1_000,
        nonce,
    };
    let digest = full_digest(&rules.genesis, &body.txid(), &author);
    let witness = Witness::Key { key: key().public_key(), signature: key().sign(&digest) };
    Transaction { body, witnesses: vec![witness] }
}

fn stream() -> Operation {
    Operation::CreateStream(CreateStream {
        name: b"bench".to_vec(),
        restriction: StreamRestriction::default(),
        salted: false,
        details: Vec::new(),
    })
}

/// An item of 100 bytes.
pub fn item(rules: &Rules, stream: Txid, nonce: u64) -> Transaction {
    let bytes = nonce.to_le_bytes().into_iter().cycle().take(ITEM_BYTES).collect();
    let data = ItemData::Onchain(Data { format: DataFormat::Raw, bytes });
    let publish = Publish { stream, keys: vec![b"key".to_vec()], data };
    sign(rules, nonce, vec![Output::operation(Operation::Publish(publish))])
}

pub fn verify(rules: &Rules, signatures: &SignatureCache, transaction: Transaction) -> VerifiedTransaction {
    signatures.verify(check_transaction(Arc::new(transaction), rules).unwrap()).unwrap()
}

/// A state in memory with a stream, at height 0.
pub struct Plain {
    pub rules: Rules,
    pub state: Arc<MemoryState>,
    pub signatures: SignatureCache,
    pub stream: Txid,
    pub tip: Tip,
}

impl Plain {
    pub fn new() -> Plain {
        let rules = Rules::new(&ParameterSet::with_defaults("bench", PROTOCOL_LATEST).unwrap());
        let plan = GenesisPlan {
            genesis: Genesis { rules: ParamsHash([1; 32]), description: Vec::new() },
            root_stream: None,
            time: rota_chain::amount::Timestamp(START as u32),
            bits: 0,
            empty_state: Multiset::new().hash(),
        };
        let block = plan.build(&key());
        let mut state = MemoryState::default();
        state.commit(apply_genesis(&block, &rules, ParamsHash([1; 32])).unwrap());
        let signatures = SignatureCache::new(rules.genesis, [7; 32]);
        let time = block.header().time;
        let tip = Tip { hash: block.hash(), height: rota_chain::amount::Height(0), time, median_time: time };
        let made = verify(&rules, &signatures, sign(&rules, 0, vec![Output::operation(stream())]));
        let place = Place { offset: 1, ..next_place(&tip) };
        state.commit(apply_transaction(&state, &made, &rules, place).unwrap().changes);
        Plain { rules, state: Arc::new(state), signatures, stream: made.txid(), tip }
    }

    /// So many verified items.
    pub fn items(&self, count: u64) -> Vec<VerifiedTransaction> {
        (1..=count).map(|nonce| verify(&self.rules, &self.signatures, item(&self.rules, self.stream, nonce))).collect()
    }
}

/// A ledger over a database on disk, with a stream in block 1.
pub struct World {
    pub rules: Arc<Rules>,
    pub signatures: Arc<SignatureCache>,
    pub view: Arc<SharedView>,
    pub ledger: Ledger,
    pub stream: Txid,
    _folder: TempDir,
}

impl World {
    pub fn new() -> World {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        let mut set = rota_params::generate::create("bench", PROTOCOL_LATEST, &[], &mut rand::rng()).unwrap();
        let block = genesis::make(&mut set, &key(), START).unwrap();
        let paths = StorePaths { database: path.join("state"), blocks: path.join("blocks") };
        let store = Arc::new(Store::open(&paths, OpenOptions::default()).unwrap());
        genesis::store(&store, block, None, &set, START).unwrap();
        let rules = Arc::new(Rules::new(&set));
        let signatures = Arc::new(SignatureCache::new(rules.genesis, [7; 32]));
        let view = Arc::new(SharedView::new(initial_view(&store, &rules, PoolLimits::default()).unwrap()));
        let line = CommandLine::parse([format!("-datadir={}", path.display())], |_| false).unwrap();
        let options = Options::resolve(&line, None).unwrap();
        let parts = LedgerParts {
            view: Arc::clone(&view),
            store,
            signatures: Arc::clone(&signatures),
            rules: Arc::clone(&rules),
            journal: Arc::new(Journal::open(&path.join("journal")).unwrap()),
            wallet: Arc::new(Wallet::open(path, set.address_scheme()).unwrap()),
            settings: Arc::new(RwLock::new(RuntimeSettings::resolve(&options, &set).unwrap())),
            paused: Arc::new(Paused::default()),
            sync_transactions: false,
            clock: Clock::System,
        };
        let ledger = Ledger::load(parts, broadcast::channel(1_024).0).unwrap();
        let made = verify(&rules, &signatures, sign(&rules, 0, vec![Output::operation(stream())]));
        let stream = made.txid();
        let mut world = World { rules, signatures, view, ledger, stream, _folder: folder };
        world.submit(vec![made]);
        let block = world.block();
        world.ledger.accept_block(block, true);
        world.ledger.store().subscribe(stream, rota_storage::index::Indexes::ALL, true, false).unwrap();
        world
    }

    pub fn submit(&mut self, txs: Vec<VerifiedTransaction>) {
        assert!(self.ledger.submit_all(txs).iter().all(Result::is_ok));
    }

    /// So many verified items that were not there before `first`.
    pub fn items(&self, first: u64, count: u64) -> Vec<VerifiedTransaction> {
        let one = |nonce| verify(&self.rules, &self.signatures, item(&self.rules, self.stream, nonce));
        (first..first + count).map(one).collect()
    }

    /// The next block, of everything that waits.
    pub fn block(&self) -> Arc<Block> {
        let candidates: Vec<Arc<PoolEntry>> = self.view.read().pool.entries().cloned().collect();
        let (snapshot, tip) = (self.view.snapshot(), self.view.tip());
        let template = Template {
            state: &snapshot,
            state_hash: snapshot.multiset().unwrap().hash(),
            tip,
            rules: &self.rules,
            candidates,
            bits: self.ledger.next_bits(tip.time).unwrap(),
            now: START + 10 * u64::from(tip.height.0 + 1),
            miner: key().public_key().key_hash(),
        };
        let (header, transactions) = build_block(template).unwrap();
        assemble(header.sign(&self.rules.genesis, &key()), transactions)
    }
}

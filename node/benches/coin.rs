//! Choosing coins among 100,000 of one address, native currency and assets mixed: from the snapshot's list of the
//! address to reserved inputs and change. `cargo bench -p rota-node --bench coin`; figures in docs/performance.md.
#![allow(clippy::unwrap_used, reason = "a bench ends by panicking")]
#![allow(missing_docs, reason = "criterion's macros make items of their own")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::block::{Block, BlockHeader};
use rota_chain::hash::Txid;
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::transaction::{Body, Output, TRANSACTION_VERSION, Transaction};
use rota_consensus::coin::spend_and_make;
use rota_consensus::rules::Rules;
use rota_consensus::state::Overlay;
use rota_node::coin::CoinLocks;
use rota_node::genesis;
use rota_node::ledger::initial_view;
use rota_node::pool::PoolLimits;
use rota_node::rpc::payment::{Choosing, Purse};
use rota_node::view::SharedView;
use rota_params::PROTOCOL_LATEST;
use rota_storage::kv::Durability;
use rota_storage::{AppliedBlock, BlockEntry, BlockStatus, OpenOptions, Store, StorePaths, Tip, TipCommit, UndoBlock};
use rota_wallet::select::{Holding, Unit};

const START: u64 = 1_700_000_000;
const TRANSACTIONS: u32 = 100;
const OUTPUTS: u32 = 1_000;
/// A common asset, held by a third of the coins, and one that a single coin holds.
const COMMON: Txid = Txid([1; 32]);
const RARE: Txid = Txid([2; 32]);

/// The outputs of one transaction: amounts between 1 and 1,000, a third of them of the common asset.
fn outputs(owner: Lock, number: u32) -> Vec<Output> {
    let output = |index: u32| {
        let units = u64::from((number * 7_919 + index * 104_729) % 1_000) + 1;
        let carries =
            |asset| vec![AssetQuantity { asset: AssetReference::Existing(asset), token: None, quantity: units }];
        let assets = match (number, index) {
            (93, 17) => carries(RARE),
            _ if index.is_multiple_of(3) => carries(COMMON),
            _ => Vec::new(),
        };
        let amount = if assets.is_empty() { units } else { 0 };
        Output { assets, ..Output::payment(owner, Amount(amount)) }
    };
    (0..OUTPUTS).map(output).collect()
}

/// Commits a block that pays one address 100,000 coins.
fn fill(store: &Store, key: &PrivateKey, rules: &Rules) {
    let owner = Lock::Key(key.public_key().key_hash());
    let snapshot = store.snapshot().unwrap();
    let tip = snapshot.tip().unwrap();
    let genesis = snapshot.block_entry(&tip.hash).unwrap().unwrap();
    let mut transactions = vec![Transaction::coinbase(Height(1), vec![Output::payment(owner, Amount(1))])];
    transactions.extend((0..TRANSACTIONS).map(|number| {
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs: outputs(owner, number),
            authors: vec![owner],
            lock_time: 0,
            last_height: 1_000,
            nonce: u64::from(number),
        };
        Transaction { body, witnesses: Vec::new() }
    }));
    let mut overlay = Overlay::new(&snapshot);
    for transaction in &transactions {
        let (txid, body) = (transaction.txid(), &transaction.body);
        spend_and_make(&mut overlay, txid, &[], &body.outputs, Height(1), transaction.is_coinbase()).unwrap();
        overlay.put_transaction(txid, Some(Height(1)));
    }
    let mut multiset = snapshot.multiset().unwrap();
    let changes = overlay.into_changes();
    changes.apply_to(&mut multiset);
    let time = Timestamp(genesis.header.header.time.0 + 10);
    let header = BlockHeader { previous: tip.hash, time, ..genesis.header.header };
    let mut block = Block { signed: header.sign(&rules.genesis, key), transactions };
    let header = BlockHeader { merkle_root: block.computed_merkle_root(), ..header };
    block.signed = header.sign(&rules.genesis, key);
    let entry = BlockEntry {
        header: block.signed,
        height: Height(1),
        chainwork: genesis.chainwork + 1,
        size: u32::try_from(block.size()).unwrap(),
        transactions: TRANSACTIONS + 1,
        body: Some(store.append_block(&block).unwrap()),
        undo: Some(store.append_undo(&UndoBlock::of(&changes)).unwrap()),
        status: BlockStatus::Applied,
        sequence: 1,
        received: START,
        governance: false,
    };
    let applied = AppliedBlock::new(Arc::new(block), entry, changes);
    let tip = Tip { hash: applied.hash, height: Height(1) };
    let commit =
        TipCommit { undone: Vec::new(), applied: vec![applied], multiset, tip, durability: Durability::Synced };
    store.commit(&commit).unwrap();
}

fn open(folder: &Path, key: &PrivateKey) -> (Arc<Rules>, SharedView) {
    let mut set = rota_params::generate::create("bench", PROTOCOL_LATEST, &[], &mut rand::rng()).unwrap();
    let block = genesis::make(&mut set, key, START).unwrap();
    let paths = StorePaths { database: folder.join("state"), blocks: folder.join("blocks") };
    let store = Arc::new(Store::open(&paths, OpenOptions::default()).unwrap());
    genesis::store(&store, block, None, &set, START).unwrap();
    let rules = Arc::new(Rules::new(&set));
    fill(&store, key, &rules);
    let view = initial_view(&store, &rules, PoolLimits::default()).unwrap();
    (rules, SharedView::new(view))
}

fn choose(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let key = PrivateKey::from_bytes([7; 32]).unwrap();
    let owner = Lock::Key(key.public_key().key_hash());
    let (rules, view) = open(folder.path(), &key);
    let coins = Arc::new(CoinLocks::default());
    let purse = Purse { view: &view, rules: &rules, coins: &coins };
    let needs = |amount: u64, units: &[(Txid, u64)]| {
        let mut needs = Holding::native(Amount(amount));
        for (asset, quantity) in units {
            assert!(needs.add_asset(Unit { asset: *asset, token: None }, *quantity));
        }
        needs
    };
    let mut group = criterion.benchmark_group("choose_among_100000_coins");
    for (name, needs, least) in [
        ("little_currency", needs(5_000, &[]), 5),
        ("currency_and_an_asset", needs(5_000, &[(COMMON, 5_000)]), 10),
        ("an_asset_that_one_coin_holds", needs(0, &[(RARE, 1)]), 1),
        ("currency_of_5000_coins", needs(4_700_000, &[]), 4_000),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let chosen =
                    purse.choose(&[owner], black_box(&needs), Choosing::default(), Some(owner)).unwrap().unwrap();
                assert!(chosen.inputs.len() >= least);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = choose
}
criterion_main!(benches);

//! Chains for tests: blocks with streams, items and coins, committed to a real store and kept as a model beside it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::Arc;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::block::{BLOCK_VERSION, Block, BlockHeader};
use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::{BlockHash, FullHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::merkle::merkle_root;
use rota_chain::multiset::Multiset;
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, TRANSACTION_VERSION, Transaction};
use rota_consensus::coin::spend_and_make;
use rota_consensus::state::{
    Changes, Coin, Entity, EntityKind, MemoryState, Overlay, PermissionKey, PermissionRecord, StateKey, StateValue,
    StateView, element,
};
use tempfile::TempDir;

use crate::block::{BlockEntry, BlockStatus, Tip, UndoBlock};
use crate::coin::Beside;
use crate::commit::{AppliedBlock, TipCommit, places};
use crate::error::Result;
use crate::index::{Order, Selector, Subject};
use crate::kv::Durability;
use crate::snapshot::{EntityList, Snapshot};
use crate::store::{OpenOptions, Store, StorePaths};

/// A state after some block.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) tip: Option<Tip>,
    pub(crate) state: MemoryState,
    pub(crate) multiset: Multiset,
    pub(crate) streams: Vec<Txid>,
    pub(crate) transactions: Vec<Txid>,
}

/// A store in a folder of its own, and models of every block made.
pub(crate) struct Chain {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) models: HashMap<BlockHash, Model>,
    applied: HashMap<BlockHash, AppliedBlock>,
    nonce: u64,
}

pub(crate) fn paths(folder: &TempDir) -> StorePaths {
    StorePaths { database: folder.path().join("database"), blocks: folder.path().join("blocks") }
}

pub(crate) fn open(folder: &TempDir) -> Result<Store> {
    Store::open(&paths(folder), OpenOptions::default())
}

pub(crate) fn author(number: u8) -> Lock {
    Lock::Key(KeyHash([number; 20]))
}

impl Chain {
    pub(crate) fn new() -> Chain {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).unwrap();
        Chain { folder, store, models: HashMap::new(), applied: HashMap::new(), nonce: 0 }
    }

    /// Closes the store, lets `between` look at its folder, and opens it again.
    pub(crate) fn reopened(self, between: impl FnOnce(&TempDir)) -> Chain {
        let Chain { folder, store, models, applied, nonce } = self;
        drop(store);
        between(&folder);
        let store = open(&folder).unwrap();
        Chain { folder, store, models, applied, nonce }
    }

    pub(crate) fn tip(&self) -> Option<Tip> {
        self.store.snapshot().unwrap().tip()
    }

    pub(crate) fn model(&self) -> Model {
        self.tip().map(|tip| self.models[&tip.hash].clone()).unwrap_or_default()
    }

    pub(crate) fn transaction(&mut self, by: u8, operations: Vec<Operation>) -> Transaction {
        self.nonce += 1;
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs: operations.into_iter().map(Output::operation).collect(),
            authors: vec![author(by)],
            lock_time: 0,
            last_height: 1_000,
            nonce: self.nonce,
        };
        Transaction { body, witnesses: Vec::new() }
    }

    /// Spends coins and pays so many units to each of these.
    pub(crate) fn payment(&mut self, spent: &[OutPoint], paid: &[(u8, u64)]) -> Transaction {
        let mut transaction = self.transaction(1, Vec::new());
        let input = |outpoint: &OutPoint| Input { outpoint: *outpoint, coverage: Coverage::Full };
        transaction.body.inputs = spent.iter().map(input).collect();
        let output = |(to, units): &(u8, u64)| Output::payment(author(*to), Amount(*units));
        transaction.body.outputs = paid.iter().map(output).collect();
        transaction
    }

    /// A transaction in which `by` spends outputs and pays quantities of assets to others.
    pub(crate) fn transfer(&mut self, by: u8, spent: &[OutPoint], paid: &[(u8, Txid, u64)]) -> Transaction {
        let mut transaction = self.transaction(by, Vec::new());
        transaction.body.inputs =
            spent.iter().map(|outpoint| Input { outpoint: *outpoint, coverage: Coverage::Full }).collect();
        transaction.body.outputs = paid
            .iter()
            .map(|(to, asset, quantity)| {
                let mut output = Output::payment(author(*to), Amount(0));
                let asset = AssetReference::Existing(*asset);
                output.assets.push(AssetQuantity { asset, token: None, quantity: *quantity });
                output
            })
            .collect();
        transaction
    }

    pub(crate) fn stream(&mut self, name: &str) -> Transaction {
        let create = CreateStream {
            name: name.as_bytes().to_vec(),
            restriction: StreamRestriction::default(),
            salted: false,
            details: Vec::new(),
        };
        self.transaction(1, vec![Operation::CreateStream(create)])
    }

    pub(crate) fn item(&mut self, by: u8, stream: Txid, keys: &[&str]) -> Transaction {
        let publish = publish(stream, keys);
        self.transaction(by, vec![publish])
    }

    /// Makes a block on `parent`, writes body, undo data and entry, and does not move the tip.
    pub(crate) fn make(&mut self, parent: Option<BlockHash>, transactions: Vec<Transaction>) -> BlockHash {
        let before = parent.map(|hash| self.models[&hash].clone()).unwrap_or_default();
        let height = before.tip.map_or(Height(0), |tip| tip.height.next());
        self.nonce += 1;
        let block = Arc::new(block(parent, height, self.nonce, transactions));
        let changes = changes(&block, height, &before.state);
        let body = self.store.append_block(&block).unwrap();
        let undo = self.store.append_undo(&UndoBlock::of(&changes)).unwrap();
        self.store.sync_files().unwrap();
        let entry = BlockEntry {
            header: block.signed,
            height,
            chainwork: u128::from(height.0) + 1,
            size: body.length,
            transactions: u32::try_from(block.transactions.len()).unwrap(),
            body: Some(body),
            undo: Some(undo),
            status: BlockStatus::Applied,
            sequence: self.nonce,
            received: 1_700_000_000,
            governance: changes.changes_governance(),
        };
        let applied = AppliedBlock::new(block, entry.clone(), changes.clone());
        self.store.put_block_entry(&applied.hash, &entry).unwrap();
        let mut after = before;
        after.tip = Some(Tip { hash: applied.hash, height });
        changes.apply_to(&mut after.multiset);
        after.transactions.extend(&applied.txids);
        for (txid, transaction) in applied.txids.iter().zip(&applied.block.transactions) {
            if transaction.operations().any(|(_, operation)| matches!(operation, Operation::CreateStream(_))) {
                after.streams.push(*txid);
            }
        }
        after.state.commit(changes);
        let hash = applied.hash;
        self.models.insert(hash, after);
        self.applied.insert(hash, applied);
        hash
    }

    /// The commit that moves the tip from where it is to `to`.
    pub(crate) fn move_to(&self, to: BlockHash) -> TipCommit {
        let branch = |mut hash: BlockHash| {
            let mut branch = Vec::new();
            while let Some(applied) = self.applied.get(&hash) {
                branch.push(hash);
                hash = applied.block.header().previous;
            }
            branch.reverse();
            branch
        };
        let old = self.tip().map(|tip| branch(tip.hash)).unwrap_or_default();
        let new = branch(to);
        let shared = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let model = &self.models[&to];
        TipCommit {
            undone: old[shared..].iter().rev().copied().collect(),
            applied: new[shared..].iter().map(|hash| self.applied[hash].clone()).collect(),
            multiset: model.multiset.clone(),
            tip: model.tip.unwrap(),
            durability: Durability::Written,
        }
    }

    /// Makes a block on the tip and moves there.
    pub(crate) fn extend(&mut self, transactions: Vec<Transaction>) -> BlockHash {
        let parent = self.tip().map(|tip| tip.hash);
        let hash = self.make(parent, transactions);
        self.store.commit(&self.move_to(hash)).unwrap();
        hash
    }

    /// Compares what is stored with the model of the tip.
    pub(crate) fn assert_sound(&self) {
        let (snapshot, model) = (self.store.snapshot().unwrap(), self.model());
        assert_eq!(snapshot.tip(), model.tip);
        let mut computed = Multiset::new();
        let mut coins = Vec::new();
        snapshot
            .for_each_element(|key, value| {
                if let (StateKey::Coin(outpoint), StateValue::Coin(coin)) = (&key, &value) {
                    coins.push((coin.owner, *outpoint, coin.clone()));
                }
                assert_eq!(StateView::get(&snapshot, &key).unwrap().as_ref(), Some(&value));
                computed.add(&element(&key, &value));
            })
            .unwrap();
        assert_eq!(computed, model.multiset);
        assert_eq!(snapshot.multiset().unwrap(), model.multiset);
        coins.sort_by_key(|(owner, outpoint, _)| (*owner, *outpoint));
        let mut indexed = Vec::new();
        snapshot.for_each_coin(|outpoint, coin| indexed.push((coin.owner, outpoint, coin))).unwrap();
        assert_eq!(indexed, coins, "the coins by owner are those of the state");
        for (owner, outpoint, _) in coins {
            let (transaction, _) = snapshot.transaction(&outpoint.txid).unwrap().unwrap();
            let stands = Beside::of(&transaction.body.outputs[outpoint.index as usize]);
            let listed = snapshot.coins_of(&owner, None, usize::MAX).unwrap();
            let owned = listed.into_iter().find(|(known, _)| *known == outpoint).unwrap().1;
            assert_eq!(owned.beside, stands, "what stands beside coin {outpoint:?}");
        }
        let streams = u32::try_from(model.streams.len()).unwrap();
        assert_eq!(snapshot.entity_count(EntityList::Streams).unwrap(), streams);
        assert_eq!(snapshot.entities(EntityList::Streams, 0..streams + 9).unwrap(), model.streams);
        for txid in &model.transactions {
            let (transaction, location) = snapshot.transaction(txid).unwrap().unwrap();
            assert_eq!(transaction.txid(), *txid);
            let block = snapshot.block(&snapshot.block_hash(location.height).unwrap().unwrap()).unwrap().unwrap();
            assert_eq!(block.transactions[location.index as usize], transaction);
        }
        let known: usize = self.models.values().map(|model| model.transactions.len()).max().unwrap_or(0);
        assert!(known >= model.transactions.len());
    }
}

pub(crate) fn publish(stream: Txid, keys: &[&str]) -> Operation {
    Operation::Publish(Publish {
        stream,
        keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
        data: ItemData::Onchain(Data { format: DataFormat::Text, bytes: b"data".to_vec() }),
    })
}

fn block(parent: Option<BlockHash>, height: Height, nonce: u64, transactions: Vec<Transaction>) -> Block {
    let key = PrivateKey::from_bytes([7; 32]).unwrap();
    let mut all = vec![Transaction::coinbase(height, vec![Output::payment(author(9), Amount(nonce))])];
    all.extend(transactions);
    let hashes: Vec<FullHash> = all.iter().map(Transaction::full_hash).collect();
    let header = BlockHeader {
        version: BLOCK_VERSION,
        previous: parent.unwrap_or(BlockHash::ZERO),
        merkle_root: merkle_root(&hashes),
        state_hash: Multiset::new().hash(),
        time: Timestamp(1_700_000_000 + height.0),
        bits: 0,
        nonce: 0,
        miner: key.public_key().key_hash(),
    };
    Block { signed: header.sign(&BlockHash::ZERO, &key), transactions: all }
}

/// Changes in the manner of rules: a coin a coinbase, an entity, a name and a right a stream.
fn changes(block: &Block, height: Height, state: &MemoryState) -> Changes {
    let mut overlay = Overlay::new(state);
    let body = crate::block::Location { file: 0, offset: 0, length: 0 };
    let places = places(block, height, body).unwrap();
    for (transaction, place) in block.transactions.iter().zip(&places) {
        let txid = transaction.txid();
        overlay.put_transaction(txid, Some(height));
        if transaction.is_coinbase() {
            let coin = Coin { owner: author(9), amount: Amount(1), assets: Vec::new(), height, coinbase: true };
            let key = StateKey::Coin(OutPoint { txid, index: 0 });
            overlay.put(key, Some(StateValue::Coin(coin))).unwrap();
        } else {
            let body = &transaction.body;
            spend_and_make(&mut overlay, txid, &body.inputs, &body.outputs, height, false).unwrap();
        }
        for (_, operation) in transaction.operations() {
            let Operation::CreateStream(create) = operation else { continue };
            let entity = Entity {
                kind: EntityKind::Stream { restriction: create.restriction, salted: create.salted },
                name: create.name.clone(),
                creators: transaction.body.authors.clone(),
                height,
                offset: place.offset,
            };
            overlay.put(StateKey::Entity(txid), Some(StateValue::Entity(entity))).unwrap();
            overlay.put(StateKey::Name(create.name.clone()), Some(StateValue::Name(txid))).unwrap();
            for address in transaction.body.authors.iter().copied() {
                let key = PermissionKey { entity: Some(txid), permission: Permission::Admin, address };
                let record = PermissionRecord { range: BlockRange::ALWAYS, ..PermissionRecord::default() };
                overlay.put(StateKey::Permission(key), Some(StateValue::Permission(record))).unwrap();
            }
        }
    }
    let miner = StateKey::LastMined(block.header().miner);
    overlay.put(miner, Some(StateValue::LastMined(height))).unwrap();
    overlay.into_changes()
}

/// Everything that an index answers of a stream, with transactions instead of places.
pub(crate) fn answers(snapshot: &Snapshot, subject: impl Into<Subject>, orders: &[Order]) -> Vec<String> {
    let reader = snapshot.index(subject).unwrap().unwrap();
    let mut lines = Vec::new();
    let list = |order, selector: Selector<'_>| -> Vec<(Txid, u32, u16)> {
        let count = reader.count(order, selector).unwrap();
        let page = reader.page(order, selector, 0..count + 5).unwrap();
        assert_eq!(page.len() as u64, count);
        page.iter()
            .map(|item| (snapshot.item_transaction(item).unwrap().unwrap().txid, item.vout(), item.ordinal()))
            .collect()
    };
    for order in orders.iter().copied() {
        lines.push(format!("{order:?} {:?}", list(order, Selector::All)));
        let keys = reader.keys(order, 0..1_000).unwrap();
        assert_eq!(reader.key_count(order).unwrap(), keys.len() as u64);
        for key in keys {
            lines.push(format!("{order:?} {key:?} {:?}", list(order, Selector::Key(&key))));
        }
        let publishers = reader.publishers(order, 0..1_000).unwrap();
        assert_eq!(reader.publisher_count(order).unwrap(), publishers.len() as u64);
        for publisher in publishers {
            lines.push(format!("{order:?} {publisher:?} {:?}", list(order, Selector::Publisher(&publisher))));
        }
    }
    lines
}

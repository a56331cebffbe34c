//! Fixed values, every kind of thing among them: what the golden files hold the bytes of.

use rota_chain::amount::Height;
use rota_chain::amount::{Amount, Timestamp};
use rota_chain::asset::{AssetQuantity, AssetReference, AssetRules, IssueAsset, IssueMore, UpdateAsset};
use rota_chain::block::{BLOCK_VERSION, Block, BlockHeader, GenesisPlan};
use rota_chain::data::{ChunkReference, ChunkedData, Data, DataFormat, chunk_hash};
use rota_chain::digest::{full_digest, part_digest};
use rota_chain::filter::{Approve, CreateFilter, CreateLibrary, FilterKind, LibraryUpdateMode, UpdateLibrary};
use rota_chain::hash::{BlockHash, ParamsHash, StateHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::merkle::merkle_root;
use rota_chain::multiset::Multiset;
use rota_chain::operation::{Genesis, Operation};
use rota_chain::permission::{BlockRange, Grant, Permission, PermissionSet};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::upgrade::{CreateUpgrade, ParameterChange};
use rota_chain::variable::{CreateVariable, SetVariable};
use rota_chain::witness::{MultisigKeys, SlotSignature, Witness};

/// The genesis hash that digests of samples are made under.
pub const GENESIS: BlockHash = BlockHash([0x47; 32]);

/// The private key whose 32 bytes are all `seed`.
pub fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_bytes([seed; 32]).unwrap()
}

pub fn lock(seed: u8) -> Lock {
    Lock::Key(key(seed).public_key().key_hash())
}

/// 2 of the keys 3, 4, 5.
pub fn shared() -> MultisigKeys {
    let keys = [3, 4, 5].map(|seed| key(seed).public_key()).to_vec();
    MultisigKeys { required: 2, keys }
}

fn txid(seed: u8) -> Txid {
    Txid([seed; 32])
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn data(format: DataFormat, text: &str) -> Data {
    let bytes = bytes(text);
    Data { format, bytes }
}

fn grants() -> Vec<Operation> {
    let global = Grant {
        entity: None,
        permissions: PermissionSet::from_iter(Permission::ALL),
        range: BlockRange::ALWAYS,
        timestamp: 1_700_000_000,
    };
    let revoke = Grant {
        entity: Some(txid(0x11)),
        permissions: PermissionSet::EMPTY.with(Permission::Write),
        range: BlockRange::NEVER,
        timestamp: 1_700_000_001,
    };
    vec![Operation::Grant(global), Operation::Grant(revoke)]
}

fn streams() -> Vec<Operation> {
    let restriction = StreamRestriction { write: true, read: false, onchain: false, offchain: true };
    let create = CreateStream { name: bytes("stream1"), restriction, salted: true, details: bytes(r#"{"a":1}"#) };
    let onchain = Publish {
        stream: txid(0x12),
        keys: vec![bytes("key1"), bytes("key1"), Vec::new()],
        data: ItemData::Onchain(data(DataFormat::Json, r#"{"b":[1,2]}"#)),
    };
    let chunk = |salt: &[u8], chunk: &[u8]| ChunkReference {
        size: u32::try_from(chunk.len()).unwrap(),
        hash: chunk_hash(salt, chunk),
    };
    let offchain = Publish {
        stream: txid(0x13),
        keys: vec![bytes("key2")],
        data: ItemData::Offchain(ChunkedData {
            format: DataFormat::Raw,
            salt_size: 16,
            chunks: vec![chunk(&[9; 16], b"first chunk"), chunk(&[8; 16], b"second")],
        }),
    };
    vec![
        Operation::CreateStream(create),
        Operation::Publish(onchain),
        Operation::Publish(offchain),
        Operation::Data(data(DataFormat::Raw, "\u{0}raw")),
        Operation::Data(data(DataFormat::Text, "text")),
    ]
}

fn assets() -> Vec<Operation> {
    let rules = AssetRules {
        open: true,
        fungible: false,
        can_open: true,
        can_close: false,
        restrict_send: true,
        restrict_receive: false,
        restrict_issue: true,
        total_limit: Some(1_000_000),
        issue_limit: None,
    };
    let issue = IssueAsset { name: bytes("asset1"), multiple: 100, rules, quantity: 5_000, details: bytes("{}") };
    let more = |token| IssueMore { asset: txid(0x14), token, quantity: 7, details: Vec::new() };
    let update = UpdateAsset { asset: txid(0x15), open: false };
    vec![
        Operation::IssueAsset(issue),
        Operation::IssueMore(more(None)),
        Operation::IssueMore(more(Some(bytes("token")))),
        Operation::UpdateAsset(update),
    ]
}

fn variables_and_upgrades() -> Vec<Operation> {
    let create = CreateVariable { name: bytes("var1"), restrict_write: true, value: bytes("null") };
    let set = SetVariable { variable: txid(0x16), value: bytes("[1]") };
    let change = |name: &str, value| ParameterChange { name: bytes(name), value };
    let upgrade = CreateUpgrade {
        name: bytes("upgrade1"),
        start: 500,
        changes: vec![change("target-block-time", 10), change("anyone-can-mine", -1)],
    };
    vec![Operation::CreateVariable(create), Operation::SetVariable(set), Operation::CreateUpgrade(upgrade)]
}

fn filters() -> Vec<Operation> {
    let filter = |kind, entities| CreateFilter {
        name: bytes("filter1"),
        kind,
        entities,
        libraries: vec![txid(0x19)],
        code: bytes("function filtertransaction() {}"),
    };
    let library = |update_mode| CreateLibrary { name: bytes("lib1"), update_mode, code: bytes("var x;") };
    let update = UpdateLibrary { library: txid(0x1a), name: bytes("second"), code: bytes("var y;") };
    let approve = |stream, approve| Approve {
        entity: txid(0x1b),
        stream,
        update: bytes("second"),
        approve,
        timestamp: 1_700_000_002,
    };
    vec![
        Operation::CreateFilter(filter(FilterKind::Transaction, vec![txid(0x17), txid(0x18)])),
        Operation::CreateFilter(filter(FilterKind::Stream, Vec::new())),
        Operation::CreateLibrary(library(LibraryUpdateMode::None)),
        Operation::CreateLibrary(library(LibraryUpdateMode::Instant)),
        Operation::CreateLibrary(library(LibraryUpdateMode::Approve)),
        Operation::UpdateLibrary(update),
        Operation::Approve(approve(Some(txid(0x1c)), true)),
        Operation::Approve(approve(None, false)),
    ]
}

/// The genesis operation.
pub fn genesis_operation() -> Genesis {
    Genesis { rules: ParamsHash([0x52; 32]), description: bytes("a chain") }
}

/// Every kind of operation, most in more than one form.
pub fn operations() -> Vec<Operation> {
    let mut list = grants();
    list.extend(streams());
    list.extend(assets());
    list.extend(variables_and_upgrades());
    list.extend(filters());
    list.push(Operation::Genesis(genesis_operation()));
    list
}

fn full(tx: &Body, seed: u8) -> Witness {
    let digest = full_digest(&GENESIS, &tx.txid(), &lock(seed));
    Witness::Key { key: key(seed).public_key(), signature: key(seed).sign(&digest) }
}

/// A transaction of two authors, one of several keys, with every kind of operation and a lock height.
pub fn every_operation() -> Transaction {
    let mut outputs: Vec<Output> = operations().into_iter().map(Output::operation).collect();
    outputs[0].recipient = Some(lock(2));
    outputs[1].recipient = Some(shared().lock());
    let body = Body {
        version: TRANSACTION_VERSION,
        inputs: Vec::new(),
        outputs,
        authors: vec![lock(1), shared().lock()],
        lock_time: 90,
        last_height: 1_000,
        nonce: 0x0102_0304_0506_0708,
    };
    let digest = full_digest(&GENESIS, &body.txid(), &shared().lock());
    let slot = |slot: u8| SlotSignature { slot, signature: key(slot + 3).sign(&digest) };
    let several = Witness::Multisig { keys: shared(), signatures: vec![slot(0), slot(2)] };
    let witnesses = vec![full(&body, 1), several];
    Transaction { body, witnesses }
}

/// A transaction that spends coins, in full and in part, and pays native currency, assets and tokens; one witness is
/// still absent. Locked until a time, without last height.
pub fn coins() -> Transaction {
    let input = |seed, index, coverage| Input { outpoint: OutPoint { txid: txid(seed), index }, coverage };
    let quantity = |asset, token: Option<&str>, quantity| AssetQuantity { asset, token: token.map(bytes), quantity };
    let mut paid = Output::payment(lock(6), Amount(123_456_789));
    paid.assets = vec![
        quantity(AssetReference::New, None, 5_000),
        quantity(AssetReference::Existing(txid(0x21)), None, 1),
        quantity(AssetReference::Existing(txid(0x22)), Some("token"), u64::MAX),
    ];
    let mut offered = Output::payment(shared().lock(), Amount::ZERO);
    offered.operations = vec![Operation::Data(data(DataFormat::Text, "for sale"))];
    let body = Body {
        version: TRANSACTION_VERSION,
        inputs: vec![
            input(0x31, 0, Coverage::Full),
            input(0x32, 7, Coverage::Part),
            input(0x33, u32::MAX, Coverage::Full),
        ],
        outputs: vec![paid, offered],
        authors: Vec::new(),
        lock_time: 1_700_000_000,
        last_height: 0,
        nonce: u64::MAX,
    };
    let digest = part_digest(&GENESIS, &body, 1, &lock(7)).unwrap();
    let part = Witness::Key { key: key(7).public_key(), signature: key(7).sign(&digest) };
    let witnesses = vec![full(&body, 6), Witness::Absent, part];
    Transaction { body, witnesses }
}

/// A genesis block.
pub fn genesis_block() -> Block {
    let root = CreateStream {
        name: bytes("root"),
        restriction: StreamRestriction::default(),
        salted: false,
        details: Vec::new(),
    };
    GenesisPlan {
        genesis: genesis_operation(),
        root_stream: Some(root),
        time: Timestamp(1_700_000_000),
        bits: 0x207f_ffff,
        empty_state: Multiset::new().hash(),
    }
    .build(&key(1))
}

/// A block of a coinbase and both transactions.
pub fn block() -> Block {
    let reward = Output::payment(lock(1), Amount(50));
    let transactions = vec![Transaction::coinbase(Height(95), vec![reward]), every_operation(), coins()];
    let hashes: Vec<_> = transactions.iter().map(Transaction::full_hash).collect();
    let header = BlockHeader {
        version: BLOCK_VERSION,
        previous: BlockHash([0x61; 32]),
        merkle_root: merkle_root(&hashes),
        state_hash: StateHash([0x62; 32]),
        time: Timestamp(1_700_000_123),
        bits: 0x207f_ffff,
        nonce: 0,
        miner: key(1).public_key().key_hash(),
    };
    Block { signed: header.sign(&GENESIS, &key(1)), transactions }
}

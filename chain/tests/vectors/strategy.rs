//! Arbitrary values of every type that has canonical bytes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rota_chain::amount::{Amount, Timestamp};
use rota_chain::asset::{AssetQuantity, AssetReference, AssetRules, IssueAsset, IssueMore, UpdateAsset};
use rota_chain::block::{Block, BlockHeader, SignedHeader};
use rota_chain::data::{ChunkReference, ChunkedData, Data, DataFormat};
use rota_chain::filter::{Approve, CreateFilter, CreateLibrary, FilterKind, LibraryUpdateMode, UpdateLibrary};
use rota_chain::hash::{BlockHash, ChunkHash, MerkleRoot, ParamsHash, StateHash, Txid};
use rota_chain::key::{PublicKey, RecoverableBytes, Signature};
use rota_chain::lock::{KeyHash, Lock, ScriptHash};
use rota_chain::operation::{Genesis, Operation};
use rota_chain::permission::{BlockRange, Grant, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, Transaction};
use rota_chain::upgrade::{CreateUpgrade, ParameterChange};
use rota_chain::variable::{CreateVariable, SetVariable};
use rota_chain::witness::{MultisigKeys, SlotSignature, Witness};

fn txid() -> impl Strategy<Value = Txid> + Clone {
    any::<[u8; 32]>().prop_map(Txid)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

pub fn lock() -> impl Strategy<Value = Lock> {
    let hash = any::<[u8; 20]>();
    prop_oneof![hash.prop_map(|hash| Lock::Key(KeyHash(hash))), hash.prop_map(|hash| Lock::Multisig(ScriptHash(hash))),]
}

fn format() -> impl Strategy<Value = DataFormat> {
    prop_oneof![Just(DataFormat::Raw), Just(DataFormat::Text), Just(DataFormat::Json)]
}

fn data() -> impl Strategy<Value = Data> {
    (format(), text()).prop_map(|(format, bytes)| Data { format, bytes })
}

fn item() -> impl Strategy<Value = ItemData> {
    let chunk =
        (any::<u32>(), any::<[u8; 32]>()).prop_map(|(size, hash)| ChunkReference { size, hash: ChunkHash(hash) });
    let chunked = (format(), any::<u8>(), vec(chunk, 0..4));
    prop_oneof![
        data().prop_map(ItemData::Onchain),
        chunked
            .prop_map(|(format, salt_size, chunks)| { ItemData::Offchain(ChunkedData { format, salt_size, chunks }) }),
    ]
}

fn grant() -> impl Strategy<Value = Operation> {
    let permission = proptest::sample::select(Permission::ALL.to_vec());
    let parts = (option::of(txid()), vec(permission, 0..5), any::<(u32, u32, u32)>());
    parts.prop_map(|(entity, permissions, (start, end, timestamp))| {
        Operation::Grant(Grant {
            entity,
            permissions: permissions.into_iter().collect(),
            range: BlockRange { start, end },
            timestamp,
        })
    })
}

fn stream() -> impl Strategy<Value = Operation> {
    let create = (text(), any::<[bool; 5]>(), text()).prop_map(|(name, flags, details)| {
        let [write, read, onchain, offchain, salted] = flags;
        let restriction = StreamRestriction { write, read, onchain, offchain };
        Operation::CreateStream(CreateStream { name, restriction, salted, details })
    });
    let publish = (txid(), vec(text(), 0..4), item())
        .prop_map(|(stream, keys, data)| Operation::Publish(Publish { stream, keys, data }));
    prop_oneof![create, publish, data().prop_map(Operation::Data)]
}

fn asset() -> impl Strategy<Value = Operation> {
    let rules = (any::<[bool; 7]>(), any::<[Option<u64>; 2]>()).prop_map(|(flags, limits)| {
        let [open, fungible, can_open, can_close, restrict_send, restrict_receive, restrict_issue] = flags;
        let [total_limit, issue_limit] = limits;
        AssetRules {
            open,
            fungible,
            can_open,
            can_close,
            restrict_send,
            restrict_receive,
            restrict_issue,
            total_limit,
            issue_limit,
        }
    });
    let issue =
        (text(), any::<(u64, u64)>(), rules, text()).prop_map(|(name, (multiple, quantity), rules, details)| {
            Operation::IssueAsset(IssueAsset { name, multiple, rules, quantity, details })
        });
    let more = (txid(), option::of(text()), any::<u64>(), text()).prop_map(|(asset, token, quantity, details)| {
        Operation::IssueMore(IssueMore { asset, token, quantity, details })
    });
    let update = (txid(), any::<bool>()).prop_map(|(asset, open)| Operation::UpdateAsset(UpdateAsset { asset, open }));
    prop_oneof![issue, more, update]
}

fn variable() -> impl Strategy<Value = Operation> {
    let create = (text(), any::<bool>(), text()).prop_map(|(name, restrict_write, value)| {
        Operation::CreateVariable(CreateVariable { name, restrict_write, value })
    });
    let set = (txid(), text()).prop_map(|(variable, value)| Operation::SetVariable(SetVariable { variable, value }));
    prop_oneof![create, set]
}

fn governance() -> impl Strategy<Value = Operation> {
    let change = (text(), any::<i64>()).prop_map(|(name, value)| ParameterChange { name, value });
    let upgrade = (text(), any::<u32>(), vec(change, 0..3))
        .prop_map(|(name, start, changes)| Operation::CreateUpgrade(CreateUpgrade { name, start, changes }));
    let approve = (txid(), option::of(txid()), text(), any::<(bool, u32)>()).prop_map(
        |(entity, stream, update, (approve, timestamp))| {
            Operation::Approve(Approve { entity, stream, update, approve, timestamp })
        },
    );
    let genesis = (any::<[u8; 32]>(), text())
        .prop_map(|(rules, description)| Operation::Genesis(Genesis { rules: ParamsHash(rules), description }));
    prop_oneof![upgrade, approve, genesis]
}

fn filter() -> impl Strategy<Value = Operation> {
    let kind = prop_oneof![Just(FilterKind::Transaction), Just(FilterKind::Stream)];
    let names = || vec(txid(), 0..3);
    let filter = (text(), kind, names(), names(), text()).prop_map(|(name, kind, entities, libraries, code)| {
        Operation::CreateFilter(CreateFilter { name, kind, entities, libraries, code })
    });
    let mode =
        prop_oneof![Just(LibraryUpdateMode::None), Just(LibraryUpdateMode::Instant), Just(LibraryUpdateMode::Approve),];
    let library = (text(), mode, text())
        .prop_map(|(name, update_mode, code)| Operation::CreateLibrary(CreateLibrary { name, update_mode, code }));
    let update = (txid(), text(), text())
        .prop_map(|(library, name, code)| Operation::UpdateLibrary(UpdateLibrary { library, name, code }));
    prop_oneof![filter, library, update]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![grant(), stream(), asset(), variable(), governance(), filter()]
}

fn quantity() -> impl Strategy<Value = AssetQuantity> {
    let reference = prop_oneof![Just(AssetReference::New), txid().prop_map(AssetReference::Existing),];
    (reference, option::of(text()), any::<u64>()).prop_map(|(asset, token, quantity)| AssetQuantity {
        asset,
        token,
        quantity,
    })
}

fn output() -> impl Strategy<Value = Output> {
    let parts = (option::of(lock()), any::<u64>(), vec(quantity(), 0..3), vec(operation(), 0..3));
    parts.prop_map(|(recipient, amount, assets, operations)| Output {
        recipient,
        amount: Amount(amount),
        assets,
        operations,
    })
}

fn input() -> impl Strategy<Value = Input> {
    let coverage = prop_oneof![Just(Coverage::Full), Just(Coverage::Part)];
    (txid(), any::<u32>(), coverage)
        .prop_map(|(txid, index, coverage)| Input { outpoint: OutPoint { txid, index }, coverage })
}

fn public_key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 33]>().prop_map(PublicKey)
}

fn signature() -> impl Strategy<Value = Signature> {
    any::<[u8; 64]>().prop_map(Signature)
}

fn witness() -> impl Strategy<Value = Witness> {
    let one = (public_key(), signature()).prop_map(|(key, signature)| Witness::Key { key, signature });
    let slot = (any::<u8>(), signature()).prop_map(|(slot, signature)| SlotSignature { slot, signature });
    let several = (any::<u8>(), vec(public_key(), 0..4), vec(slot, 0..4)).prop_map(|(required, keys, signatures)| {
        Witness::Multisig { keys: MultisigKeys { required, keys }, signatures }
    });
    prop_oneof![Just(Witness::Absent), one, several]
}

/// Any transaction, sound or not.
pub fn transaction() -> impl Strategy<Value = Transaction> {
    let body = (vec(input(), 0..4), vec(output(), 0..4), vec(lock(), 0..4), any::<(u32, u32, u32, u64)>()).prop_map(
        |(inputs, outputs, authors, numbers)| {
            let (version, lock_time, last_height, nonce) = numbers;
            Body { version, inputs, outputs, authors, lock_time, last_height, nonce }
        },
    );
    (body, vec(witness(), 0..4)).prop_map(|(body, witnesses)| Transaction { body, witnesses })
}

/// Any block, sound or not.
pub fn block() -> impl Strategy<Value = Block> {
    let hashes = any::<[[u8; 32]; 3]>();
    let numbers = any::<(u32, u32, u32, u32)>();
    let header = (hashes, numbers, any::<[u8; 20]>()).prop_map(|(hashes, numbers, miner)| {
        let [previous, merkle_root, state_hash] = hashes;
        let (version, time, bits, nonce) = numbers;
        BlockHeader {
            version,
            previous: BlockHash(previous),
            merkle_root: MerkleRoot(merkle_root),
            state_hash: StateHash(state_hash),
            time: Timestamp(time),
            bits,
            nonce,
            miner: KeyHash(miner),
        }
    });
    let signature = any::<[u8; 65]>().prop_map(RecoverableBytes);
    let signed = (header, signature).prop_map(|(header, signature)| SignedHeader { header, signature });
    (signed, vec(transaction(), 0..4)).prop_map(|(signed, transactions)| Block { signed, transactions })
}

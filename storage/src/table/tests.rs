//! Tests of `table`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::amount::{Amount, Height};
use rota_chain::hash::{BlockHash, ChunkHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_chain::transaction::OutPoint;
use rota_consensus::state::{Coin, PermissionKey, StateKey};

use crate::block::{Location, Tip};
use crate::chunk::ChunkOwner;
use crate::coin::{Beside, OwnedCoin};
use crate::index::{Indexes, ItemRow, SeenRow, SubscriptionRow, TermRow};
use crate::key::Key;
use crate::table::{CHUNK_LIST, LIST};
use crate::transaction::TransactionLocation;

#[test]
fn tables_are_those_of_format_3() {
    let names = |list: &[(&str, &str, &str)]| -> Vec<String> {
        list.iter().map(|(name, key, value)| format!("{name}: {key} => {value}")).collect()
    };
    assert_eq!(
        names(LIST),
        [
            "meta: u8 => u64",
            "tip: () => Tip",
            "multiset: () => Multiset",
            "block: BlockHash => BlockEntry",
            "block_at: (Height, BlockHash) => ()",
            "active: Height => BlockHash",
            "state: StateKey => StateValue",
            "coin_owner: (Lock, OutPoint) => OwnedCoin",
            "transaction: Txid => TransactionLocation",
            "entity: (u8, u32) => Txid",
            "entity_history: (Txid, u32) => ItemRow",
            "entity_block: ([u8; 8], Height) => ()",
            "subscription: Subject => SubscriptionRow",
            "index_address: (u32, Vec<u8>) => MemberRow",
            "index_count: (u32, u8) => u32",
            "index_chain: (u32, u32) => ItemRow",
            "index_local: (u32, u32) => SeenRow",
            "index_seen: (u32, [u8; 16]) => u32",
            "index_term: (u32, u8, Vec<u8>) => TermRow",
            "index_term_list: (u32, u8, u32) => Vec<u8>",
            "index_posting: (u32, u8, u32, u32) => u32",
            "index_total: (u32, u32, u32) => u128",
            "lost: Txid => Transaction",
        ]
    );
    assert_eq!(
        names(CHUNK_LIST),
        [
            "chunk_totals: () => ChunkTotals",
            "chunk: ChunkHash => Vec<u8>",
            "chunk_info: ChunkHash => ChunkInfo",
            "chunk_owner: (ChunkHash, ChunkOwner) => ()",
            "owner_chunk: (ChunkOwner, ChunkHash) => ()",
            "chunk_pending: (ChunkHash, Txid) => PendingChunk",
            "item_purged: (Txid, Txid, u32) => ()",
        ]
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn keys_have_the_bytes_of_format_3() {
    let one = "01".repeat(32);
    let key = |bytes: Vec<u8>| hex(&bytes);
    assert_eq!(key((Height(258), BlockHash([1; 32])).to_bytes()), format!("00000102{one}"));
    assert_eq!(key((7u32, 2u8, b"k".to_vec()).to_bytes()), "00000007026b");
    assert_eq!(key((7u32, 3u32, 9u32).to_bytes()), "000000070000000300000009");
    assert_eq!(key((7u32, 1u8, 3u32, 9u32).to_bytes()), "00000007010000000300000009");
    assert_eq!(key((ChunkHash([1; 32]), ChunkOwner::Own).to_bytes()), format!("{one}00"));
    assert_eq!(key((ChunkOwner::Stream(Txid([1; 32])), ChunkHash([1; 32])).to_bytes()), format!("01{one}{one}"));
    let outpoint = OutPoint { txid: Txid([1; 32]), index: 258 };
    assert_eq!(key((Lock::Key(KeyHash([2; 20])), outpoint).to_bytes()), format!("00{}{one}00000102", "02".repeat(20)));
    assert_eq!(key((ChunkOwner::Published(Txid([1; 32])), ChunkHash([1; 32])).to_bytes()), format!("02{one}{one}"));
    let permission = StateKey::Permission(PermissionKey {
        entity: Some(Txid([1; 32])),
        permission: Permission::Mine,
        address: Lock::Key(KeyHash([2; 20])),
    });
    assert_eq!(key(permission.to_bytes()), format!("0001{one}0700{}", "02".repeat(20)));
}

#[test]
fn values_have_the_bytes_of_format_3() {
    let value = |bytes: Vec<u8>| hex(&bytes);
    let encode = |location: &TransactionLocation| rota_chain::codec::encode(location);
    let place = Location { file: 1, offset: 2, length: 3 };
    let location = TransactionLocation { height: Height(4), index: 5, offset: 6, place };
    let text = "040000000500000006000000010000000200000003000000";
    assert_eq!(value(encode(&location)), text);
    let item = ItemRow { location, vout: 7, ordinal: 8, check: [9; 4] };
    assert_eq!(value(rota_chain::codec::encode(&item)), format!("{text}07000000080009090909"));
    let seen = SeenRow { txid: Txid([1; 32]), vout: 2, ordinal: 3 };
    assert_eq!(value(rota_chain::codec::encode(&seen)), format!("{}020000000300", "01".repeat(32)));
    assert_eq!(hex(&seen.hash()), SEEN_HASH);
    let term = TermRow { number: 1, count: 2, first: 3 };
    assert_eq!(value(rota_chain::codec::encode(&term)), "010000000200000003000000");
    let coin = Coin {
        owner: Lock::Key(KeyHash([2; 20])),
        amount: Amount(3),
        assets: vec![],
        height: Height(4),
        coinbase: true,
    };
    let owned = OwnedCoin { coin, beside: Beside { data: true, grants: false } };
    let bytes = format!("00{}0300000000000000000000000400000001", "02".repeat(20));
    assert_eq!(value(rota_chain::codec::encode(&owned)), format!("{bytes}0100"));
    assert_eq!(value(rota_chain::codec::encode(&258u128)), format!("0201{}", "00".repeat(14)));
    let tip = Tip { hash: BlockHash([1; 32]), height: Height(2) };
    assert_eq!(value(rota_chain::codec::encode(&tip)), format!("{}02000000", "01".repeat(32)));
    let row = SubscriptionRow { id: 1, indexes: Indexes::ALL, retrieve: true, from: Height(2), next: Some(Height(3)) };
    assert_eq!(value(rota_chain::codec::encode(&row)), "010000003f01020000000103000000");
}

const SEEN_HASH: &str = "785bf749781848b7006669b893988a98";

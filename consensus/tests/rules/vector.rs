//! Golden vectors of the state: the bytes an element has in the multiset, and the hash of all of them together.
//! A change here is a new chain.

use rota_chain::amount::{Amount, Height};
use rota_chain::asset::AssetRules;
use rota_chain::hash::Txid;
use rota_chain::lock::{KeyHash, Lock, ScriptHash};
use rota_chain::multiset::Multiset;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::StreamRestriction;
use rota_chain::transaction::OutPoint;
use rota_consensus::state::{
    Coin, Entity, EntityKind, PermissionKey, PermissionRecord, StateKey, StateValue, Vote, element,
};

const ENTITY: Txid = Txid([0xee; 32]);
const KEY: Lock = Lock::Key(KeyHash([0x11; 20]));
const SEVERAL: Lock = Lock::Multisig(ScriptHash([0x22; 20]));

fn right(entity: Option<Txid>, votes: Vec<Vote>) -> (StateKey, StateValue) {
    let key = PermissionKey { entity, permission: Permission::Mine, address: KEY };
    let record = PermissionRecord { range: BlockRange { start: 1, end: 2 }, granters: vec![KEY, SEVERAL], votes };
    (StateKey::Permission(key), StateValue::Permission(record))
}

fn entity(kind: EntityKind) -> (StateKey, StateValue) {
    let entity = Entity { kind, name: b"ab".to_vec(), creators: vec![KEY], height: Height(3), offset: 4 };
    (StateKey::Entity(ENTITY), StateValue::Entity(entity))
}

fn elements() -> Vec<(StateKey, StateValue)> {
    let vote = Vote { admin: SEVERAL, range: BlockRange::NEVER, timestamp: 5, height: Height(6) };
    let restriction = StreamRestriction { write: true, ..StreamRestriction::default() };
    let coin = Coin { owner: SEVERAL, amount: Amount(7), assets: Vec::new(), height: Height(8), coinbase: true };
    vec![
        right(None, Vec::new()),
        right(Some(ENTITY), vec![vote]),
        entity(EntityKind::Stream { restriction, salted: true }),
        entity(EntityKind::Asset { multiple: 10, rules: AssetRules::default(), issued: 11 }),
        entity(EntityKind::Variable { restrict_write: true, last: ENTITY }),
        (StateKey::Name(b"ab".to_vec()), StateValue::Name(ENTITY)),
        (StateKey::Coin(OutPoint { txid: ENTITY, index: 9 }), StateValue::Coin(coin)),
        (StateKey::LastMined(KeyHash([0x11; 20])), StateValue::LastMined(Height(12))),
    ]
}

/// Hexadecimal, with the long runs that stand for hashes shortened: E for the entity, K and S for the locks' hashes.
fn short(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.replace(&"ee".repeat(32), "E").replace(&"11".repeat(20), "K").replace(&"22".repeat(20), "S")
}

#[test]
fn elements_have_these_bytes() {
    let bytes: Vec<String> = elements().iter().map(|(key, value)| short(&element(key, value))).collect();
    let expected = [
        "00000700K0001000000020000000200000000K01S00000000",
        "0001E0700K0001000000020000000200000000K01S0100000001S00000000000000000500000006000000",
        "01E010001000000010200000061620100000000K0300000004000000",
        "01E01010a000000000000000000000000000000000b000000000000000200000061620100000000K0300000004000000",
        "01E010201E0200000061620100000000K0300000004000000",
        "0202000000616202E",
        "03E090000000301S0700000000000000000000000800000001",
        "04K040c000000",
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn the_state_of_these_elements_has_this_hash() {
    let mut multiset = Multiset::new();
    assert_eq!(multiset.hash().to_string(), "a7a02cbcc0218daf8381a8c906a9743803663517249213bc0f0e4df49401d1b6");
    for (key, value) in elements() {
        multiset.add(&element(&key, &value));
    }
    assert_eq!(multiset.hash().to_string(), "29fd8382525f70b330af40a7c7af7fe76b644e3558dcceb4a19a9b821ece378d");
}

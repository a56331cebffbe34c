//! Tests of `entity`: histories of assets and variables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::asset::{AssetRules, IssueAsset, IssueMore};
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::variable::{CreateVariable, SetVariable};

use crate::fixture::Chain;
use crate::index::ItemRef;

fn issue(name: &str) -> Operation {
    Operation::IssueAsset(IssueAsset {
        name: name.as_bytes().to_vec(),
        multiple: 1,
        rules: AssetRules { open: true, fungible: true, ..AssetRules::default() },
        quantity: 5,
        details: Vec::new(),
    })
}

fn more(asset: Txid) -> Operation {
    Operation::IssueMore(IssueMore { asset, token: None, quantity: 3, details: Vec::new() })
}

fn set(variable: Txid, value: &str) -> Operation {
    Operation::SetVariable(SetVariable { variable, value: value.as_bytes().to_vec() })
}

/// The transactions of an entity's history with output and operation.
fn history(chain: &Chain, entity: &Txid) -> Vec<(Txid, u32, u16)> {
    let snapshot = chain.store.snapshot().unwrap();
    let count = snapshot.entity_history_count(entity).unwrap();
    let rows = snapshot.entity_history(entity, 0..count + 5).unwrap();
    assert_eq!(rows.len(), count as usize, "positions are dense");
    rows.into_iter()
        .map(|row| {
            let found = snapshot.item_transaction(&ItemRef::Chain(row)).unwrap().unwrap();
            (found.txid, row.vout, row.ordinal)
        })
        .collect()
}

#[test]
fn issuances_and_settings_are_listed_in_order_by_entity() {
    let mut chain = Chain::new();
    chain.extend(vec![]);
    let gold = chain.transaction(1, vec![issue("gold")]);
    let create = CreateVariable { name: b"rate".to_vec(), restrict_write: false, value: b"1".to_vec() };
    let rate = chain.transaction(1, vec![Operation::CreateVariable(create)]);
    let (asset, variable) = (gold.txid(), rate.txid());
    chain.extend(vec![gold, rate]);
    let both = chain.transaction(1, vec![more(asset), set(variable, "2"), more(asset)]);
    let later = chain.transaction(2, vec![set(variable, "3")]);
    let (both_id, later_id) = (both.txid(), later.txid());
    chain.extend(vec![both, later]);
    assert_eq!(history(&chain, &asset), [(asset, 0, 0), (both_id, 0, 0), (both_id, 2, 0)]);
    assert_eq!(history(&chain, &variable), [(variable, 0, 0), (both_id, 1, 0), (later_id, 0, 0)]);
    assert_eq!(history(&chain, &both_id), []);
    let snapshot = chain.store.snapshot().unwrap();
    let page = snapshot.entity_history(&variable, 1..2).unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!((page[0].vout, page[0].location.height.0), (1, 2));
}

#[test]
fn a_reorganisation_takes_histories_back_and_brings_them_again() {
    let mut chain = Chain::new();
    chain.extend(vec![]);
    let gold = chain.transaction(1, vec![issue("gold")]);
    let asset = gold.txid();
    let base = chain.extend(vec![gold.clone()]);
    let (one, two, three) = (
        chain.transaction(1, vec![more(asset)]),
        chain.transaction(1, vec![more(asset)]),
        chain.transaction(1, vec![more(asset)]),
    );
    let ids = [one.txid(), two.txid(), three.txid()];
    chain.extend(vec![one.clone()]);
    let old = chain.extend(vec![two.clone()]);
    let txids = |chain: &Chain| history(chain, &asset).into_iter().map(|(txid, _, _)| txid).collect::<Vec<_>>();
    assert_eq!(txids(&chain), [asset, ids[0], ids[1]]);
    let other = chain.make(Some(base), vec![three, two]);
    chain.store.commit(&chain.move_to(other)).unwrap();
    assert_eq!(txids(&chain), [asset, ids[2], ids[1]]);
    chain.store.commit(&chain.move_to(old)).unwrap();
    assert_eq!(txids(&chain), [asset, ids[0], ids[1]]);
    let genesis = chain.store.snapshot().unwrap().block_hashes(0..1).unwrap()[0];
    chain.store.commit(&chain.move_to(genesis)).unwrap();
    assert_eq!(txids(&chain), []);
}

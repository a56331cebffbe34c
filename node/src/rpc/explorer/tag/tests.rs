//! Tests of `tag`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::asset::{AssetRules, IssueAsset, IssueMore};
use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::ParamsHash;
use rota_chain::lock::{KeyHash, ScriptHash};
use rota_chain::operation::Genesis;
use rota_chain::permission::{BlockRange, PermissionSet};
use rota_chain::stream::Publish;
use rota_chain::transaction::{Body, TRANSACTION_VERSION};

use super::*;

const GOLD: Txid = Txid([1; 32]);
const SILVER: Txid = Txid([2; 32]);

fn key(number: u8) -> Lock {
    Lock::Key(KeyHash([number; 20]))
}

fn known(outputs: Vec<Output>) -> Known {
    let body = Body {
        version: TRANSACTION_VERSION,
        inputs: Vec::new(),
        outputs,
        authors: vec![key(1)],
        lock_time: 0,
        last_height: 9,
        nonce: 0,
    };
    Known::bare(Arc::new(Transaction { body, witnesses: Vec::new() }))
}

fn data() -> Data {
    Data { format: DataFormat::Raw, bytes: b"x".to_vec() }
}

fn held(asset: Txid, quantity: u64) -> AssetQuantity {
    AssetQuantity { asset: AssetReference::Existing(asset), token: None, quantity }
}

fn paid(amount: u64, assets: Vec<AssetQuantity>) -> Output {
    Output { assets, ..Output::payment(key(2), Amount(amount)) }
}

fn grant(permissions: &[Permission], range: BlockRange, entity: Option<Txid>) -> Output {
    let permissions: PermissionSet = permissions.iter().copied().collect();
    let grant = Grant { entity, permissions, range, timestamp: 0 };
    Output { recipient: Some(key(2)), ..Output::operation(Operation::Grant(grant)) }
}

fn item(stream: u8) -> Operation {
    Operation::Publish(Publish { stream: Txid([stream; 32]), keys: Vec::new(), data: ItemData::Onchain(data()) })
}

/// Words of the transaction, and of each output.
fn words(outputs: Vec<Output>) -> (Vec<&'static str>, Vec<Vec<&'static str>>) {
    let known = known(outputs);
    let outputs = (0u32..).zip(&known.tx.body.outputs).map(|(index, output)| of_output(&known, index, output));
    (of_transaction(&known), outputs.collect())
}

#[test]
fn grants_are_told_apart_by_who_may_give_them() {
    let of = |permissions: &[Permission], range, entity| words(vec![grant(permissions, range, entity)]).0;
    let both = [Permission::Send, Permission::Mine];
    assert_eq!(of(&both, BlockRange::ALWAYS, None), ["grant-low", "grant-high"]);
    assert_eq!(of(&both[..1], BlockRange::NEVER, None), ["revoke-low"]);
    assert_eq!(of(&both[1..], BlockRange { start: 9, end: 9 }, None), ["revoke-high"]);
    assert_eq!(of(&both, BlockRange::ALWAYS, Some(GOLD)), ["grant-per-entity"]);
    assert_eq!(of(&both, BlockRange::NEVER, Some(GOLD)), ["revoke-per-entity"]);
}

#[test]
fn a_reward_is_no_transfer_and_the_genesis_has_no_word() {
    let genesis = Genesis { rules: ParamsHash([0; 32]), description: Vec::new() };
    let genesis = Output::operation(Operation::Genesis(genesis));
    let coinbase = Transaction::coinbase(Height(1), vec![paid(5, Vec::new()), genesis]);
    let known = Known::bare(Arc::new(coinbase));
    assert_eq!(of_transaction(&known), ["coinbase"]);
    assert_eq!(of_output(&known, 0, &known.tx.body.outputs[0]), ["native"]);
    assert_eq!(of_output(&known, 1, &known.tx.body.outputs[1]), ["unspendable"]);
}

#[test]
fn units_that_are_issued_are_told_from_units_that_move() {
    let issue = |quantity, details: &[u8]| {
        let more = IssueMore { asset: GOLD, token: None, quantity, details: details.to_vec() };
        Output::operation(Operation::IssueMore(more))
    };
    let (tx, outputs) = words(vec![paid(0, vec![held(GOLD, 7)]), issue(7, b"")]);
    assert_eq!(tx, ["issuemore-asset-units"], "an issuance without details has none to show");
    assert_eq!(outputs, [vec!["issuemore-asset-units"], vec!["unspendable"]]);
    let change = vec![paid(0, vec![held(GOLD, 7)]), paid(0, vec![held(GOLD, 3)]), issue(7, b"{}")];
    let (tx, outputs) = words(change);
    assert_eq!(tx, ["issuemore-asset-details", "issuemore-asset-units", "transfer-asset"]);
    assert_eq!(outputs[..2], [vec!["issuemore-asset-units"], vec!["asset"]]);
    let first =
        IssueAsset { name: Vec::new(), multiple: 1, rules: AssetRules::default(), quantity: 0, details: Vec::new() };
    let mut nothing = Output::operation(Operation::IssueAsset(first));
    nothing.recipient = Some(key(2));
    nothing.assets.push(AssetQuantity { asset: AssetReference::New, token: None, quantity: 0 });
    assert_eq!(words(vec![nothing.clone()]).0, ["issue-asset-details"]);
    nothing.assets[0].quantity = 5;
    assert_eq!(words(vec![nothing]).0, ["issue-asset-details", "issue-asset-units"]);
}

#[test]
fn what_moves_is_named_on_the_transaction_and_held_by_its_outputs() {
    let (tx, outputs) = words(vec![paid(5, vec![held(GOLD, 1), held(SILVER, 2)]), paid(0, vec![held(GOLD, 1)])]);
    assert_eq!(tx, ["transfer-asset", "transfer-native", "multiple-assets"]);
    assert_eq!(outputs, [vec!["native", "asset", "multiple-assets"], vec!["asset"]]);
    let mut shared = paid(0, vec![held(GOLD, 1), held(GOLD, 2)]);
    shared.recipient = Some(Lock::Multisig(ScriptHash([3; 20])));
    assert_eq!(words(vec![shared.clone()]).0, ["transfer-asset", "pay-to-script-hash"]);
    assert_eq!(of_input(GOLD, Some(&shared)), ["asset", "pay-to-script-hash"], "two quantities, one asset");
    assert_eq!(of_input(GOLD, None), Vec::<&str>::new());
}

#[test]
fn data_and_items_are_told_apart_by_where_they_stand() {
    let inside = Output { operations: vec![Operation::Data(data())], ..paid(0, vec![held(GOLD, 1)]) };
    let (tx, outputs) = words(vec![inside, Output::operation(Operation::Data(data()))]);
    assert_eq!(tx, ["inline-data", "raw-data", "transfer-asset"]);
    assert_eq!(outputs, [vec!["asset", "inline-data"], vec!["raw-data", "unspendable"]]);
    let two = Output { operations: vec![item(7), item(8)], ..Output::operation(item(7)) };
    assert_eq!(words(vec![two]).1, [vec!["onchain-stream-item", "multiple-stream-items", "unspendable"]]);
    let (tx, outputs) = words(vec![Output::operation(item(7)), Output::operation(item(7))]);
    assert_eq!(tx, ["onchain-stream-item", "multiple-stream-items"]);
    assert_eq!(outputs[0], ["onchain-stream-item", "unspendable"]);
}

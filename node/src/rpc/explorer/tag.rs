//! The words that tell explorers what a transaction, an input or an output does. A closed vocabulary: see
//! docs/protocol/rpc.md.

use std::collections::{BTreeSet, HashMap};

use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::{Grant, Permission};
use rota_chain::stream::ItemData;
use rota_chain::transaction::{Output, Transaction};
use rota_consensus::authority::granting_right;

use crate::rpc::decode::Known;
use crate::rpc::decode::asset::{Arrival, unit};

/// Words, each once, in the order they were added.
#[derive(Debug, Default)]
struct Tags(Vec<&'static str>);

impl Tags {
    fn add(&mut self, word: &'static str) {
        if !self.0.contains(&word) {
            self.0.push(word);
        }
    }

    fn add_if(&mut self, holds: bool, word: &'static str) {
        if holds {
            self.add(word);
        }
    }

    /// What the operations of an output do, and how many items there are.
    fn add_operations(&mut self, output: &Output) -> usize {
        let mut items = 0;
        for operation in &output.operations {
            self.add_operation(operation, output.recipient.is_some());
            items += usize::from(matches!(operation, Operation::Publish(_)));
        }
        items
    }

    fn add_operation(&mut self, operation: &Operation, spendable: bool) {
        match operation {
            Operation::Grant(grant) => self.add_grant(grant),
            Operation::CreateStream(_) => self.add("create-stream"),
            Operation::Publish(publish) => self.add(match publish.data {
                ItemData::Onchain(_) => "onchain-stream-item",
                ItemData::Offchain(_) => "offchain-stream-item",
            }),
            Operation::Data(_) => self.add(if spendable { "inline-data" } else { "raw-data" }),
            Operation::IssueAsset(_) => self.add("issue-asset-details"),
            Operation::IssueMore(more) => self.add_if(!more.details.is_empty(), "issuemore-asset-details"),
            Operation::UpdateAsset(_) => self.add("update-asset"),
            Operation::CreateVariable(_) => self.add("create-variable"),
            Operation::SetVariable(_) => self.add("update-variable"),
            Operation::CreateUpgrade(_) => self.add("create-upgrade"),
            Operation::CreateFilter(_) => self.add("create-filter"),
            Operation::CreateLibrary(_) => self.add("create-library"),
            Operation::UpdateLibrary(_) => self.add("update-library"),
            Operation::Approve(approve) => {
                let upgrade = approve.stream.is_none() && approve.update.is_empty();
                self.add(if upgrade { "approve-upgrade" } else { "approve-filter-library" });
            }
            Operation::Genesis(_) => {}
        }
    }

    fn add_grant(&mut self, grant: &Grant) {
        let revokes = grant.range.is_empty();
        if grant.entity.is_some() {
            self.add(if revokes { "revoke-per-entity" } else { "grant-per-entity" });
            return;
        }
        for permission in grant.permissions.iter() {
            self.add(match (revokes, is_low(permission)) {
                (false, true) => "grant-low",
                (false, false) => "grant-high",
                (true, true) => "revoke-low",
                (true, false) => "revoke-high",
            });
        }
    }
}

/// Whether activators may grant a right of the chain; the others are for administrators.
fn is_low(permission: Permission) -> bool {
    granting_right(permission) == Permission::Activate
}

/// The words of a transaction: those of what its outputs do, and what it moves.
#[must_use]
pub fn of_transaction(known: &Known) -> Vec<&'static str> {
    let tx = &known.tx;
    let mut tags = Tags::default();
    tags.add_if(tx.is_coinbase(), "coinbase");
    let mut items = 0;
    for output in &tx.body.outputs {
        items += tags.add_operations(output);
    }
    tags.add_if(items > 1, "multiple-stream-items");
    add_moved(&mut tags, tx, known.txid);
    tags.add_if(tx.body.outputs.iter().any(is_shared), "pay-to-script-hash");
    tags.0
}

/// What a transaction issues and moves. What it places of a unit beyond what it issues comes from what it spends.
fn add_moved(tags: &mut Tags, tx: &Transaction, txid: Txid) {
    let mut placed: HashMap<(Txid, Option<&[u8]>), i128> = HashMap::new();
    let mut assets = BTreeSet::new();
    let (mut issued_first, mut issued_more) = (false, false);
    for held in tx.body.outputs.iter().flat_map(|output| &output.assets).filter(|held| held.quantity > 0) {
        match held.asset {
            AssetReference::New => {
                issued_first = true;
                assets.insert(txid);
            }
            AssetReference::Existing(asset) => {
                *placed.entry((asset, held.token.as_deref())).or_default() += i128::from(held.quantity);
                assets.insert(asset);
            }
        }
    }
    for (_, operation) in tx.operations() {
        if let Operation::IssueMore(more) = operation
            && more.quantity > 0
        {
            issued_more = true;
            *placed.entry((more.asset, more.token.as_deref())).or_default() -= i128::from(more.quantity);
        }
    }
    tags.add_if(issued_first, "issue-asset-units");
    tags.add_if(issued_more, "issuemore-asset-units");
    tags.add_if(placed.values().any(|beyond| *beyond > 0), "transfer-asset");
    let pays = tx.body.outputs.iter().any(|output| output.amount > Amount::ZERO);
    // A reward is made, not moved.
    tags.add_if(pays && !tx.is_coinbase(), "transfer-native");
    tags.add_if(assets.len() > 1, "multiple-assets");
}

fn is_shared(output: &Output) -> bool {
    matches!(output.recipient, Some(Lock::Multisig(_)))
}

/// The words of an output.
#[must_use]
pub fn of_output(known: &Known, index: u32, output: &Output) -> Vec<&'static str> {
    let mut tags = Tags::default();
    tags.add_if(output.amount > Amount::ZERO, "native");
    for held in output.assets.iter().filter(|held| held.quantity > 0) {
        tags.add(match Arrival::of(&known.tx, index, held) {
            Arrival::IssueFirst => "issue-asset-units",
            Arrival::IssueMore | Arrival::IssueToken => "issuemore-asset-units",
            Arrival::Transfer => "asset",
        });
    }
    tags.add_if(has_several_assets(known.txid, &output.assets), "multiple-assets");
    let items = tags.add_operations(output);
    tags.add_if(items > 1, "multiple-stream-items");
    tags.add_if(is_shared(output), "pay-to-script-hash");
    tags.add_if(output.recipient.is_none(), "unspendable");
    tags.0
}

/// The words of an input, by the output of transaction `source` that it spends; none if that is not known.
#[must_use]
pub fn of_input(source: Txid, spent: Option<&Output>) -> Vec<&'static str> {
    let mut tags = Tags::default();
    let Some(output) = spent else { return tags.0 };
    tags.add_if(output.amount > Amount::ZERO, "native");
    tags.add_if(output.assets.iter().any(|held| held.quantity > 0), "asset");
    tags.add_if(has_several_assets(source, &output.assets), "multiple-assets");
    tags.add_if(is_shared(output), "pay-to-script-hash");
    tags.0
}

fn has_several_assets(own: Txid, held: &[AssetQuantity]) -> bool {
    let mut assets = held.iter().filter(|held| held.quantity > 0).map(|held| unit(own, held).0);
    assets.next().is_some_and(|first| assets.any(|asset| asset != first))
}

#[cfg(test)]
mod tests;

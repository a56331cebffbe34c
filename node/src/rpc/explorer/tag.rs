//! The words that tell explorers what a transaction, an input or an output does. A closed vocabulary: see
//! docs/protocol/rpc.md.

use rota_chain::amount::Amount;
use rota_chain::asset::AssetReference;
use rota_chain::operation::Operation;
use rota_chain::stream::ItemData;
use rota_chain::transaction::{Output, Transaction};

/// The words of a transaction, each once, in order of outputs.
#[must_use]
pub fn of_transaction(tx: &Transaction) -> Vec<&'static str> {
    let mut tags = Vec::new();
    if tx.is_coinbase() {
        tags.push("coinbase");
    }
    for output in &tx.body.outputs {
        for tag in of_output(tx, output) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    tags
}

/// The words of an output.
#[must_use]
pub fn of_output(tx: &Transaction, output: &Output) -> Vec<&'static str> {
    let mut tags = Vec::new();
    if output.amount > Amount::ZERO {
        tags.push("native-transfer");
    }
    for held in &output.assets {
        let issued = match held.asset {
            AssetReference::New => true,
            AssetReference::Existing(asset) => tx.operations().any(|(_, operation)| {
                matches!(operation, Operation::IssueMore(more) if more.asset == asset && more.token == held.token)
            }),
        };
        tags.push(if issued { "asset-issue-units" } else { "asset-transfer" });
    }
    tags.extend(output.operations.iter().map(of_operation));
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(*tag));
    tags
}

/// The words of an input, by the output that it spends.
#[must_use]
pub fn of_input(spent: Option<&Output>) -> Vec<&'static str> {
    let Some(output) = spent else { return Vec::new() };
    let mut tags = Vec::new();
    if output.amount > Amount::ZERO {
        tags.push("native-transfer");
    }
    if !output.assets.is_empty() {
        tags.push("asset-transfer");
    }
    tags
}

const fn of_operation(operation: &Operation) -> &'static str {
    match operation {
        Operation::Grant(grant) if grant.range.start >= grant.range.end => "permission-revoke",
        Operation::Grant(_) => "permission-grant",
        Operation::CreateStream(_) => "stream-create",
        Operation::Publish(publish) => match publish.data {
            ItemData::Onchain(_) => "stream-item",
            ItemData::Offchain(_) => "stream-offchain-item",
        },
        Operation::Data(_) => "inline-data",
        Operation::IssueAsset(_) => "asset-issue-first",
        Operation::IssueMore(_) => "asset-issue-more",
        Operation::UpdateAsset(_) => "asset-update",
        Operation::CreateVariable(_) => "variable-create",
        Operation::SetVariable(_) => "variable-update",
        Operation::CreateUpgrade(_) => "upgrade-create",
        Operation::CreateFilter(_) => "filter-create",
        Operation::CreateLibrary(_) => "library-create",
        Operation::UpdateLibrary(_) => "library-update",
        Operation::Approve(_) => "approval",
        Operation::Genesis(_) => "genesis",
    }
}

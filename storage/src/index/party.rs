//! Whom a transaction concerns: its addresses, the assets it moves, and what each address uses.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::{Amount, Height};
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::block::Block;
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::{OutPoint, Transaction};
use rota_chain::witness::Witness;
use rota_consensus::state::{Coin, StateKey, StateValue};

use crate::index::{Entry, distinct, items};

/// The term under which the wallet lists transactions of addresses that it can sign for.
pub const MINE: &[u8] = b"mine";

/// What an address uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Used {
    /// An asset that it gives or takes.
    Asset(Txid),
    /// A stream that it writes to.
    Stream(Txid),
    /// Native currency that it gives or takes.
    Native,
}

/// An address and what it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Pair {
    /// The address.
    pub address: Lock,
    /// What it uses.
    pub used: Used,
}

impl Pair {
    /// The terms that list this pair: address and kind, and what is used.
    pub(crate) fn lists(&self) -> [Vec<u8>; 2] {
        let kind = match self.used {
            Used::Asset(_) | Used::Native => Kind::Asset,
            Used::Stream(_) => Kind::Stream,
        };
        [kind.list_of(&self.address), encode(&self.used)]
    }
}

/// A pair that a transaction concerns, and what it adds to the pair's total: raw units that the address takes less
/// those that it gives, or items that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PairChange {
    pub(crate) pair: Pair,
    pub(crate) change: i128,
}

/// The kinds of what an address uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Assets, and native currency.
    Asset,
    /// Streams.
    Stream,
}

impl Kind {
    pub(crate) fn list_of(self, address: &Lock) -> Vec<u8> {
        let mut term = encode(address);
        term.push(match self {
            Kind::Asset => 0,
            Kind::Stream => 1,
        });
        term
    }
}

/// The addresses that a valid transaction concerns, each once: recipients, authors, and owners of what it spends, who
/// all sign.
#[must_use]
pub fn addresses(transaction: &Transaction) -> Vec<Lock> {
    let recipients = transaction.body.outputs.iter().filter_map(|output| output.recipient);
    let signers = transaction.witnesses.iter().filter_map(Witness::lock);
    let mut seen = HashSet::new();
    recipients
        .chain(transaction.body.authors.iter().copied())
        .chain(signers)
        .filter(|lock| seen.insert(*lock))
        .collect()
}

/// Whether a transaction is a coinbase that pays nothing: it concerns no wallet.
#[must_use]
pub fn is_idle_coinbase(transaction: &Transaction) -> bool {
    transaction.is_coinbase()
        && transaction.body.lock_time > 0
        && transaction.body.outputs.iter().all(|output| output.amount == Amount::ZERO)
}

/// The assets that a transaction moves, issues or changes, each once. What it spends it gives again, so outputs and
/// operations tell.
#[must_use]
pub fn assets(transaction: &Transaction) -> Vec<Txid> {
    let mut own = None;
    let mut new = || *own.get_or_insert_with(|| transaction.txid());
    let mut found = Vec::new();
    for output in &transaction.body.outputs {
        for quantity in &output.assets {
            found.push(match quantity.asset {
                AssetReference::New => new(),
                AssetReference::Existing(asset) => asset,
            });
        }
        for operation in &output.operations {
            match operation {
                Operation::IssueAsset(_) => found.push(new()),
                Operation::IssueMore(issue) => found.push(issue.asset),
                Operation::UpdateAsset(update) => found.push(update.asset),
                _ => {}
            }
        }
    }
    let mut seen = HashSet::new();
    found.retain(|asset| seen.insert(*asset));
    found
}

/// An address that the wallet's index lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MemberRow {
    /// First height whose blocks were looked through for it.
    pub since: Height,
    /// From which height on the wallet can sign for it, none if it is watched alone.
    pub mine: Option<Height>,
}

/// A transaction as the wallet lists it, at a height (none while it waits); none if it concerns no member.
pub(crate) fn wallet_entry(
    transaction: &Transaction,
    height: Option<Height>,
    member: impl Fn(&Lock) -> Option<MemberRow>,
) -> Option<Entry> {
    if is_idle_coinbase(transaction) {
        return None;
    }
    let counts = |since: Height| height.is_none_or(|height| since <= height);
    let mut entry = Entry::default();
    for lock in addresses(transaction) {
        let Some(row) = member(&lock).filter(|row| counts(row.since)) else { continue };
        if entry.keys.is_empty() && row.mine.is_some_and(counts) {
            entry.keys.push(MINE.to_vec());
        }
        entry.publishers.push(encode(&lock));
    }
    (!entry.publishers.is_empty()).then_some(entry)
}

/// An output that a block spends.
#[derive(Clone, Debug)]
pub(crate) struct Spent {
    owner: Lock,
    amount: Amount,
    assets: Vec<AssetQuantity>,
}

/// The outputs that the transactions of a block spend: coins from before it, and outputs of its own.
#[derive(Debug, Default)]
pub(crate) struct SpentOutputs(HashMap<OutPoint, Spent>);

impl SpentOutputs {
    /// Takes them from the elements that the block changed, with their values before, and from the block.
    pub(crate) fn of<'e>(
        block: &Block,
        txids: &[Txid],
        before: impl Iterator<Item = (&'e StateKey, Option<&'e StateValue>)>,
    ) -> SpentOutputs {
        let mut spent = HashMap::new();
        for (key, value) in before {
            if let (StateKey::Coin(outpoint), Some(StateValue::Coin(coin))) = (key, value) {
                let Coin { owner, amount, assets, .. } = coin.clone();
                spent.insert(*outpoint, Spent { owner, amount, assets });
            }
        }
        let places: HashMap<&Txid, &Transaction> = txids.iter().zip(&block.transactions).collect();
        for input in block.transactions.iter().flat_map(|transaction| &transaction.body.inputs) {
            let Some(source) = places.get(&input.outpoint.txid) else { continue };
            let output = source.body.outputs.get(input.outpoint.index as usize);
            if let Some((owner, output)) = output.and_then(|output| output.recipient.map(|owner| (owner, output))) {
                let assets = output.assets.clone();
                spent.insert(input.outpoint, Spent { owner, amount: output.amount, assets });
            }
        }
        SpentOutputs(spent)
    }
}

/// What the owner of a coin of transaction `own` has by it: each asset and native currency, with raw units.
pub fn uses<'q>(
    own: &Txid,
    amount: Amount,
    assets: &'q [AssetQuantity],
) -> impl Iterator<Item = (Used, i128)> + use<'q> {
    let own = *own;
    let native = (amount > Amount::ZERO).then_some((Used::Native, i128::from(amount.0)));
    let assets = assets.iter().map(move |held| match held.asset {
        AssetReference::New => (Used::Asset(own), i128::from(held.quantity)),
        AssetReference::Existing(asset) => (Used::Asset(asset), i128::from(held.quantity)),
    });
    assets.chain(native)
}

/// A transaction as explorers list it: by its addresses, by the outputs it spends, and with what each address uses.
pub(crate) fn explorer_entry(txid: &Txid, transaction: &Transaction, spent: &SpentOutputs) -> Entry {
    let mut pairs: BTreeMap<Pair, i128> = BTreeMap::new();
    let mut add = |address: Lock, used: Used, change: i128| {
        *pairs.entry(Pair { address, used }).or_default() += change;
    };
    for output in &transaction.body.outputs {
        let Some(address) = output.recipient else { continue };
        for (used, units) in uses(txid, output.amount, &output.assets) {
            add(address, used, units);
        }
    }
    for input in &transaction.body.inputs {
        let Some(coin) = spent.0.get(&input.outpoint) else { continue };
        for (used, units) in uses(&input.outpoint.txid, coin.amount, &coin.assets) {
            add(coin.owner, used, -units);
        }
    }
    for item in items(transaction) {
        let writers: BTreeSet<Lock> = transaction.answering_locks(item.vout).into_iter().collect();
        for address in writers {
            add(address, Used::Stream(item.publish.stream), 1);
        }
    }
    Entry {
        keys: distinct(transaction.body.inputs.iter().map(|input| encode(&input.outpoint))),
        publishers: addresses(transaction).iter().map(encode).collect(),
        pairs: pairs.into_iter().map(|(pair, change)| PairChange { pair, change }).collect(),
        ..Entry::default()
    }
}

#[cfg(test)]
mod tests;

//! Transactions: the checks their bytes must pass, and what they change. See docs/protocol/transaction.md.

use std::collections::HashSet;
use std::sync::Arc;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::hash::{FullHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::transaction::{
    Body, Coverage, LOCK_TIME_THRESHOLD, MAX_AUTHORS, Output, TRANSACTION_VERSION, Transaction,
};

use crate::authority;
use crate::coin;
use crate::ops;
use crate::rule::{ApplyError, Rule, TransactionRule};
use crate::rules::Rules;
use crate::state::{Changes, Coin, Overlay, StateView};

/// A transaction whose bytes satisfy every rule that needs no state; its hashes are computed once.
#[derive(Clone, Debug)]
pub struct CheckedTransaction {
    transaction: Arc<Transaction>,
    txid: Txid,
    full_hash: FullHash,
    size: usize,
}

impl CheckedTransaction {
    /// The transaction.
    #[must_use]
    pub fn transaction(&self) -> &Arc<Transaction> {
        &self.transaction
    }

    /// Its id.
    #[must_use]
    pub const fn txid(&self) -> Txid {
        self.txid
    }

    /// Its full hash.
    #[must_use]
    pub const fn full_hash(&self) -> FullHash {
        self.full_hash
    }

    /// Its bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }
}

/// A checked transaction whose signatures verify under the keys they carry.
#[derive(Clone, Debug)]
pub struct VerifiedTransaction(CheckedTransaction);

impl VerifiedTransaction {
    pub(crate) const fn new(checked: CheckedTransaction) -> VerifiedTransaction {
        VerifiedTransaction(checked)
    }
}

impl std::ops::Deref for VerifiedTransaction {
    type Target = CheckedTransaction;

    fn deref(&self) -> &CheckedTransaction {
        &self.0
    }
}

/// Where a transaction is to be applied.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Height of the block.
    pub height: Height,
    /// Median time of the eleven blocks before.
    pub median_time: Timestamp,
    /// First byte of the transaction in the block's canonical bytes; 0 in the pool.
    pub offset: u32,
}

/// What applying a transaction gives.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Changes of the state.
    pub changes: Changes,
    /// Native currency left to the miner.
    pub fee: Amount,
}

/// Checks everything that needs no state.
///
/// # Errors
/// The first rule broken.
pub fn check_transaction(transaction: Arc<Transaction>, rules: &Rules) -> Result<CheckedTransaction, Rule> {
    let size = transaction.size();
    check_form(&transaction)?;
    check_lists(&transaction)?;
    check_heights(&transaction)?;
    let body = &transaction.body;
    if transaction.operations().filter(|(_, operation)| operation.creates_entity()).count() > 1 {
        return Err(TransactionRule::ManyEntities.into());
    }
    for output in &body.outputs {
        coin::check_output(output, rules)?;
        ops::asset::check_quantities(output)?;
        for operation in &output.operations {
            ops::check_operation(operation, output)?;
        }
    }
    ops::asset::check_new(&transaction)?;
    let (txid, full_hash) = (transaction.txid(), transaction.full_hash());
    Ok(CheckedTransaction { transaction, txid, full_hash, size })
}

fn check_form(transaction: &Transaction) -> Result<(), TransactionRule> {
    let body = &transaction.body;
    if body.version != TRANSACTION_VERSION {
        return Err(TransactionRule::Version { version: body.version });
    }
    if body.outputs.is_empty() {
        return Err(TransactionRule::NoOutputs);
    }
    if is_bound_coinbase(transaction) {
        return Err(TransactionRule::Coinbase);
    }
    if body.authors.is_empty() && body.inputs.is_empty() {
        return Err(TransactionRule::Nobody);
    }
    Ok(())
}

/// Whether a transaction has the form of a coinbase: nobody answers, and it is bound to one height.
pub(crate) fn is_bound_coinbase(transaction: &Transaction) -> bool {
    let body = &transaction.body;
    transaction.is_coinbase() && body.lock_time == body.last_height && body.nonce == u64::from(body.last_height)
}

fn check_lists(transaction: &Transaction) -> Result<(), TransactionRule> {
    let body = &transaction.body;
    let mut outpoints = HashSet::with_capacity(body.inputs.len());
    for (index, input) in body.inputs.iter().enumerate() {
        if !outpoints.insert(input.outpoint) {
            return Err(TransactionRule::InputTwice { outpoint: input.outpoint });
        }
        if input.coverage == Coverage::Part && index >= body.outputs.len() {
            return Err(TransactionRule::PartWithoutOutput { index });
        }
    }
    let mut authors = HashSet::with_capacity(body.authors.len());
    if let Some(author) = body.authors.iter().find(|author| !authors.insert(**author)) {
        return Err(TransactionRule::AuthorTwice { author: *author });
    }
    Ok(())
}

fn check_heights(transaction: &Transaction) -> Result<(), TransactionRule> {
    let body = &transaction.body;
    if body.inputs.is_empty() && body.last_height == 0 {
        return Err(TransactionRule::NoLastHeight);
    }
    let first = body.lock_time;
    if first < LOCK_TIME_THRESHOLD && body.last_height != 0 && body.last_height < first {
        return Err(TransactionRule::Heights { first, last: body.last_height });
    }
    Ok(())
}

/// Applies a transaction to the state before it. Rights are judged by that state; operations take effect together.
///
/// # Errors
/// The first rule broken, or storage.
pub fn apply_transaction<V: StateView>(
    view: &V,
    tx: &VerifiedTransaction,
    rules: &Rules,
    place: Place,
) -> Result<Applied, ApplyError> {
    let transaction = tx.transaction();
    let body = &transaction.body;
    let rules = &*rules.at(view)?;
    apply_limits(tx, rules)?;
    apply_heights(view, tx, rules, place)?;
    let coins = coin::load(view, rules, &body.inputs, place.height)?;
    check_witnesses(transaction, &coins)?;
    let owners = coins.iter().map(|coin| coin.owner);
    for address in body.authors.iter().copied().chain(owners) {
        if !authority::may(view, rules, Permission::Send, &address, place.height)? {
            return Err(TransactionRule::Send { address }.into());
        }
    }
    for output in &body.outputs {
        check_receive(view, rules, output, place.height)?;
    }
    let fee = coin::fee(&coins, &body.outputs)?;
    ops::asset::apply_transfer(view, transaction, &coins, place.height)?;
    let mut overlay = Overlay::new(view);
    coin::spend_and_make(&mut overlay, tx.txid(), &body.inputs, &body.outputs, place.height, false)?;
    let everyone = answering_in_full(body, &coins);
    for (index, output) in body.outputs.iter().enumerate().filter(|(_, output)| !output.operations.is_empty()) {
        let alone = body.inputs.get(index).zip(coins.get(index)).filter(|(input, _)| input.coverage == Coverage::Part);
        let answering = alone.map_or(everyone.as_slice(), |(_, coin)| std::slice::from_ref(&coin.owner));
        let needs_rights = output.operations.iter().any(|operation| !matches!(operation, Operation::Data(_)));
        if needs_rights && answering.len() > MAX_AUTHORS as usize {
            return Err(TransactionRule::Answering { count: answering.len(), limit: MAX_AUTHORS }.into());
        }
        let step = ops::Step { view, rules, place, txid: tx.txid(), output, answering };
        for operation in &output.operations {
            step.apply(operation, &mut overlay)?;
        }
    }
    overlay.put_transaction(tx.txid(), Some(place.height));
    Ok(Applied { changes: overlay.into_changes(), fee })
}

/// Holds sizes and counts against the limits of this state: upgrades change them.
fn apply_limits(tx: &VerifiedTransaction, rules: &Rules) -> Result<(), ApplyError> {
    let size = tx.size();
    if size > rules.maximum_transaction_size as usize {
        return Err(TransactionRule::Size { size, limit: rules.maximum_transaction_size }.into());
    }
    let outputs = &tx.transaction().body.outputs;
    let count = outputs.iter().filter(|output| output.recipient.is_none()).count();
    if count > rules.maximum_data_outputs as usize {
        return Err(TransactionRule::DataOutputs { count, limit: rules.maximum_data_outputs }.into());
    }
    for (_, operation) in tx.transaction().operations() {
        ops::apply_limits(operation, rules)?;
    }
    Ok(())
}

fn apply_heights<V: StateView>(
    view: &V,
    tx: &VerifiedTransaction,
    rules: &Rules,
    place: Place,
) -> Result<(), ApplyError> {
    let body = &tx.transaction().body;
    let height = place.height;
    let lock_time = body.lock_time;
    let locked = if lock_time < LOCK_TIME_THRESHOLD { height.0 < lock_time } else { place.median_time.0 < lock_time };
    if locked {
        return Err(TransactionRule::Locked { lock_time }.into());
    }
    let last = body.last_height;
    if last != 0 && height.0 > last {
        return Err(TransactionRule::Expired { last, height }.into());
    }
    let limit = height.0.saturating_add(rules.validity_window);
    if body.inputs.is_empty() && last > limit {
        return Err(TransactionRule::LastHeightFar { last, limit }.into());
    }
    if let Some(known) = view.transaction_height(&tx.txid())?
        && known.0.saturating_add(rules.validity_window) >= height.0
    {
        return Err(TransactionRule::Known { txid: tx.txid(), height: known }.into());
    }
    Ok(())
}

/// The locks that must sign, in the order of their witnesses: authors, owners of full inputs by first appearance,
/// then the owner of each input covered in part.
#[must_use]
pub fn expected_locks(transaction: &Transaction, owners: &[Lock]) -> Vec<Lock> {
    let mut locks = transaction.body.authors.clone();
    let mut seen: HashSet<Lock> = locks.iter().copied().collect();
    let pairs = || transaction.body.inputs.iter().zip(owners);
    for (_, owner) in pairs().filter(|(input, _)| input.coverage == Coverage::Full) {
        if seen.insert(*owner) {
            locks.push(*owner);
        }
    }
    locks.extend(pairs().filter(|(input, _)| input.coverage == Coverage::Part).map(|(_, owner)| *owner));
    locks
}

fn check_witnesses(transaction: &Transaction, coins: &[Coin]) -> Result<(), TransactionRule> {
    let owners: Vec<Lock> = coins.iter().map(|coin| coin.owner).collect();
    let expected = expected_locks(transaction, &owners);
    if expected.len() != transaction.witnesses.len() {
        let count = transaction.witnesses.len();
        return Err(TransactionRule::WitnessCount { count, expected: expected.len() });
    }
    for (index, (lock, witness)) in expected.iter().zip(&transaction.witnesses).enumerate() {
        witness.check_for(lock).map_err(|error| TransactionRule::Witness { index, error })?;
    }
    Ok(())
}

/// Who answers for the operations of outputs whose input is not covered in part: the authors, or the owners of the
/// inputs covered in full.
fn answering_in_full(body: &Body, coins: &[Coin]) -> Vec<Lock> {
    if !body.authors.is_empty() {
        return body.authors.clone();
    }
    let mut seen = HashSet::new();
    let full = body.inputs.iter().zip(coins).filter(|(input, _)| input.coverage == Coverage::Full);
    full.map(|(_, coin)| coin.owner).filter(|owner| seen.insert(*owner)).collect()
}

fn check_receive<V: StateView>(view: &V, rules: &Rules, output: &Output, height: Height) -> Result<(), ApplyError> {
    let Some(address) = output.recipient.filter(|_| output.is_coin(false)) else {
        return Ok(());
    };
    if !output.has_value() && rules.anyone.receive_empty {
        return Ok(());
    }
    if authority::may(view, rules, Permission::Receive, &address, height)? {
        return Ok(());
    }
    Err(TransactionRule::Receive { address }.into())
}

/// Whether the genesis operation or an operation switched off stands in a transaction.
pub(crate) fn not_enabled(operation: &Operation) -> Option<TransactionRule> {
    let name = match operation {
        Operation::Grant(_)
        | Operation::CreateStream(_)
        | Operation::Publish(_)
        | Operation::Data(_)
        | Operation::IssueAsset(_)
        | Operation::IssueMore(_)
        | Operation::UpdateAsset(_)
        | Operation::CreateVariable(_)
        | Operation::SetVariable(_)
        | Operation::CreateUpgrade(_) => return None,
        // Without stream and update it is about an upgrade.
        Operation::Approve(approve) if approve.stream.is_none() && approve.update.is_empty() => return None,
        Operation::Genesis(_) => return Some(TransactionRule::GenesisOperation),
        Operation::CreateFilter(_) => "create filter",
        Operation::CreateLibrary(_) => "create library",
        Operation::UpdateLibrary(_) => "update library",
        Operation::Approve(_) => "approve",
    };
    Some(TransactionRule::NotEnabled { name })
}

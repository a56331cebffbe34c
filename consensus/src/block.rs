//! Blocks: context-free checks, applying one to the state before it, and the genesis block. See docs/protocol/block.md.

use std::collections::HashSet;
use std::sync::Arc;

use rota_chain::amount::{Height, Timestamp};
use rota_chain::block::{BLOCK_VERSION, Block, HEADER_BYTES, SignedHeader};
use rota_chain::hash::{BlockHash, ParamsHash, StateHash};
use rota_chain::lock::Lock;
use rota_chain::merkle::merkle_root;
use rota_chain::multiset::Multiset;
use rota_chain::operation::Operation;
use rota_chain::permission::Grant;
use rota_chain::transaction::{TRANSACTION_VERSION, Transaction};

use crate::coin;
use crate::mining;
use crate::ops::Step;
use crate::ops::stream::put_stream;
use crate::ops::upgrade::apply_due;
use crate::rule::{ApplyError, BlockRule, Rule};
use crate::rules::Rules;
use crate::signature::SignatureCache;
use crate::state::{Changes, MemoryState, Overlay, PermissionKey, PermissionRecord, StateKey, StateValue, StateView};
use crate::transaction::{
    CheckedTransaction, Place, VerifiedTransaction, apply_transaction, check_transaction, is_bound_coinbase,
};
use crate::work;

/// Bytes of a block before its first transaction: header, signature, count.
pub const BLOCK_PREFIX: u32 = HEADER_BYTES as u32 + 65 + 4;

/// A block that satisfies every rule that needs no state, with its transactions' signatures verified.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    hash: BlockHash,
    block: Arc<Block>,
    transactions: Vec<VerifiedTransaction>,
    size: usize,
}

impl CheckedBlock {
    /// Its id.
    #[must_use]
    pub const fn hash(&self) -> BlockHash {
        self.hash
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// The transactions after the coinbase.
    #[must_use]
    pub fn transactions(&self) -> &[VerifiedTransaction] {
        &self.transactions
    }

    /// Bytes of the whole.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }
}

/// Checks what a header alone shows: version and signature, and proof of work where anyone may mine.
///
/// # Errors
/// [`BlockRule`].
pub fn check_header(signed: &SignedHeader, rules: &Rules) -> Result<(), BlockRule> {
    let header = &signed.header;
    if header.version != BLOCK_VERSION {
        return Err(BlockRule::Version { version: header.version });
    }
    if signed.miner_key(&rules.genesis).is_none() {
        return Err(BlockRule::Signature);
    }
    if !rules.anyone.mine {
        return if header.nonce == 0 { Ok(()) } else { Err(BlockRule::Nonce { nonce: header.nonce }) };
    }
    if !rules.skip_pow_check && !work::meets(&signed.hash(), header.bits) {
        return Err(BlockRule::Work { hash: signed.hash() });
    }
    Ok(())
}

/// Runs the checks of many transactions; a node passes one that uses all cores.
pub type VerifyAll<'a> = dyn Fn(Vec<CheckedTransaction>) -> Result<Vec<VerifiedTransaction>, Rule> + 'a;

/// Verifies one after the other.
///
/// # Errors
/// The first that does not verify.
pub fn verify_in_turn(
    cache: &SignatureCache,
    transactions: Vec<CheckedTransaction>,
) -> Result<Vec<VerifiedTransaction>, Rule> {
    transactions.into_iter().map(|tx| cache.verify(tx).map_err(Rule::from)).collect()
}

/// Checks everything that needs no state, header included.
///
/// # Errors
/// The first rule broken. [`BlockRule::Signature`] and [`BlockRule::MerkleRoot`] condemn the message, not the id.
pub fn check_block(block: Arc<Block>, rules: &Rules, verify_all: &VerifyAll<'_>) -> Result<CheckedBlock, Rule> {
    check_header(&block.signed, rules)?;
    let Some((coinbase, rest)) = block.transactions.split_first() else {
        let named = merkle_root(&[]) == block.header().merkle_root;
        return Err(if named { BlockRule::Coinbase } else { BlockRule::MerkleRoot }.into());
    };
    let mut checked = Vec::with_capacity(rest.len());
    let mut hashes = vec![coinbase.full_hash()];
    let mut seen = HashSet::with_capacity(rest.len());
    let mut broken = None;
    for transaction in rest {
        match check_transaction(Arc::new(transaction.clone()), rules) {
            Ok(tx) => {
                hashes.push(tx.full_hash());
                if !seen.insert(tx.txid()) {
                    broken = broken.or(Some(BlockRule::Twice { txid: tx.txid() }.into()));
                }
                checked.push(tx);
            }
            Err(rule) => {
                hashes.push(transaction.full_hash());
                broken = broken.or(Some(rule));
            }
        }
    }
    // Nothing is said of the id before the transactions are known to be those that it names.
    if merkle_root(&hashes) != block.header().merkle_root {
        return Err(BlockRule::MerkleRoot.into());
    }
    let size = block.size();
    check_coinbase_form(coinbase, &block)?;
    if let Some(rule) = broken {
        return Err(rule);
    }
    let transactions = verify_all(checked)?;
    Ok(CheckedBlock { hash: block.hash(), block, transactions, size })
}

fn check_coinbase_form(coinbase: &Transaction, block: &Block) -> Result<(), BlockRule> {
    let body = &coinbase.body;
    let pays_miner = match body.outputs.as_slice() {
        [output] => {
            output.recipient == Some(Lock::Key(block.header().miner))
                && output.operations.is_empty()
                && output.assets.is_empty()
        }
        _ => false,
    };
    if is_bound_coinbase(coinbase) && body.version == TRANSACTION_VERSION && pays_miner {
        Ok(())
    } else {
        Err(BlockRule::Coinbase)
    }
}

/// What the branch before a block gives to judge it by.
#[derive(Clone, Copy, Debug)]
pub struct BlockPlace {
    /// The block's height.
    pub height: Height,
    /// Median time of the eleven blocks before.
    pub median_time: Timestamp,
    /// The target it must state.
    pub bits: u32,
    /// Hash of the state before it.
    pub state_hash: StateHash,
}

/// Applies a block to the state before it.
///
/// # Errors
/// The first rule broken, or storage.
pub fn apply_block<V: StateView>(
    view: &V,
    checked: &CheckedBlock,
    rules: &Rules,
    place: BlockPlace,
) -> Result<Changes, ApplyError> {
    let (base, rules) = (rules, &*rules.at(view)?);
    let block = checked.block();
    let header = block.header();
    if checked.size() > rules.maximum_block_size as usize {
        return Err(BlockRule::Size { size: checked.size(), limit: rules.maximum_block_size }.into());
    }
    if header.time <= place.median_time {
        return Err(BlockRule::Time { time: header.time, median: place.median_time }.into());
    }
    if header.bits != place.bits {
        return Err(BlockRule::Bits { bits: header.bits, expected: place.bits }.into());
    }
    if header.state_hash != place.state_hash {
        return Err(BlockRule::State { stated: header.state_hash, computed: place.state_hash }.into());
    }
    mining::check_miner(view, rules, header.miner, place.height)?;
    let coinbase = block.transactions.first().ok_or(BlockRule::Coinbase)?;
    if coinbase.body.last_height != place.height.0 {
        return Err(BlockRule::Coinbase.into());
    }
    let mut overlay = Overlay::new(view);
    let mut offset = BLOCK_PREFIX.saturating_add(u32::try_from(coinbase.size()).unwrap_or(u32::MAX));
    let mut fees = coin::reward(rules, place.height);
    for tx in checked.transactions() {
        let spot = Place { height: place.height, median_time: place.median_time, offset };
        let applied = apply_transaction(&overlay, tx, base, spot)?;
        overlay.absorb(applied.changes);
        fees = fees.checked_add(applied.fee).ok_or(crate::rule::CoinRule::Overflow)?;
        offset = offset.saturating_add(u32::try_from(tx.size()).unwrap_or(u32::MAX));
    }
    let paid = coin::total(coinbase.body.outputs.iter().map(|output| output.amount))?;
    if paid > fees {
        return Err(BlockRule::Reward { paid, limit: fees }.into());
    }
    put_coinbase(&mut overlay, coinbase, place.height)?;
    apply_due(&mut overlay, base, place.height)?;
    if !rules.anyone.mine {
        overlay.put(StateKey::LastMined(header.miner), Some(StateValue::LastMined(place.height)))?;
    }
    Ok(overlay.into_changes())
}

fn put_coinbase<V: StateView>(
    overlay: &mut Overlay<V>,
    coinbase: &Transaction,
    height: Height,
) -> Result<(), ApplyError> {
    let txid = coinbase.txid();
    coin::spend_and_make(overlay, txid, &[], &coinbase.body.outputs, height, true)?;
    overlay.put_transaction(txid, Some(height));
    Ok(())
}

/// Applies the genesis block to the empty state: its coinbase gives the first rights and creates the root stream.
///
/// # Errors
/// [`BlockRule::Genesis`] if the block is not the one the parameters demand.
pub fn apply_genesis(block: &Block, rules: &Rules, rules_hash: ParamsHash) -> Result<Changes, ApplyError> {
    let wrong = || ApplyError::from(BlockRule::Genesis);
    let [coinbase] = block.transactions.as_slice() else {
        return Err(wrong());
    };
    let header = block.header();
    let sound = header.previous == BlockHash::ZERO
        && header.version == BLOCK_VERSION
        && header.merkle_root == block.computed_merkle_root()
        && header.state_hash == Multiset::new().hash()
        && block.signed.miner_key(&BlockHash::ZERO).is_some()
        && coinbase.is_coinbase();
    let bound = coinbase
        .operations()
        .any(|(_, operation)| matches!(operation, Operation::Genesis(genesis) if genesis.rules == rules_hash));
    if !sound || !bound {
        return Err(wrong());
    }
    let empty = MemoryState::default();
    let mut overlay = Overlay::new(&empty);
    let miner = Lock::Key(header.miner);
    let txid = coinbase.txid();
    let place = Place { height: Height(0), median_time: header.time, offset: BLOCK_PREFIX };
    for output in &coinbase.body.outputs {
        let step = Step { view: &empty, rules, place, txid, output, answering: &[miner] };
        for operation in &output.operations {
            match operation {
                Operation::Grant(grant) => {
                    let address = output.recipient.ok_or_else(wrong)?;
                    put_first_rights(&mut overlay, grant, address)?;
                }
                Operation::CreateStream(create) => put_stream(&step, create, vec![miner], &mut overlay)?,
                Operation::Genesis(_) => {}
                _ => return Err(wrong()),
            }
        }
    }
    overlay.put(StateKey::LastMined(header.miner), Some(StateValue::LastMined(Height(0))))?;
    overlay.put_transaction(txid, Some(Height(0)));
    Ok(overlay.into_changes())
}

/// Writes the rights that the genesis coinbase grants, by nobody but their holder.
fn put_first_rights<V: StateView>(overlay: &mut Overlay<V>, grant: &Grant, address: Lock) -> Result<(), ApplyError> {
    for permission in grant.permissions.iter() {
        let record = PermissionRecord { range: grant.range, granters: vec![address], votes: Vec::new() };
        let key = PermissionKey { entity: grant.entity, permission, address };
        overlay.put(StateKey::Permission(key), Some(StateValue::Permission(record)))?;
    }
    Ok(())
}

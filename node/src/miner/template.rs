//! Filling a block: what waits is applied again in order, what no longer applies is left out.

use std::sync::Arc;

use rota_chain::amount::{Amount, Timestamp};
use rota_chain::block::{BLOCK_VERSION, Block, BlockHeader};
use rota_chain::hash::{BlockHash, FullHash, StateHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::merkle::merkle_root;
use rota_chain::transaction::{Output, Transaction};
use rota_consensus::block::BLOCK_PREFIX;
use rota_consensus::coin;
use rota_consensus::rule::ApplyError;
use rota_consensus::rules::Rules;
use rota_consensus::state::{Overlay, StateError, StateView};
use rota_consensus::transaction::{Place, apply_transaction};

use crate::pool::PoolEntry;
use crate::view::{SharedView, Tip};

/// Bytes kept free for header, signature, counts and coinbase.
const RESERVED: usize = 1_024;

/// Room for transactions in a block.
pub fn room(rules: &Rules) -> usize {
    (rules.maximum_block_size as usize).saturating_sub(RESERVED)
}

/// What a block is made from.
pub struct Template<'a, V> {
    /// The state at the tip.
    pub state: V,
    /// Hash of that state.
    pub state_hash: StateHash,
    /// The tip.
    pub tip: Tip,
    /// The chain's rules.
    pub rules: &'a Rules,
    /// Candidates, in order.
    pub candidates: Vec<Arc<PoolEntry>>,
    /// The target to state.
    pub bits: u32,
    /// Unix seconds now.
    pub now: u64,
    /// Who mines.
    pub miner: KeyHash,
}

/// Builds the header and transactions of the next block, unsigned.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn build_block<V: StateView>(template: Template<'_, V>) -> Result<(BlockHeader, Vec<Transaction>), StateError> {
    let Template { state, state_hash, tip, rules, candidates, bits, now, miner } = template;
    let height = tip.height.next();
    let mut overlay = Overlay::new(state);
    let mut chosen: Vec<Transaction> = Vec::with_capacity(candidates.len());
    let mut hashes: Vec<FullHash> = Vec::with_capacity(candidates.len() + 1);
    let mut pays = coin::reward(rules, height);
    // The coinbase's size does not depend on its amount, so offsets are final.
    let empty = coinbase(height, miner, Amount::ZERO);
    let mut offset = BLOCK_PREFIX.saturating_add(u32::try_from(empty.size()).unwrap_or(u32::MAX));
    for entry in candidates {
        let place = Place { height, median_time: tip.median_time, offset };
        match apply_transaction(&overlay, &entry.tx, rules, place) {
            Ok(applied) => {
                let Some(sum) = pays.checked_add(applied.fee) else { continue };
                pays = sum;
                overlay.absorb(applied.changes);
                hashes.push(entry.tx.full_hash());
                chosen.push(Transaction::clone(entry.tx.transaction()));
                offset = offset.saturating_add(u32::try_from(entry.tx.size()).unwrap_or(u32::MAX));
            }
            Err(ApplyError::Rule(rule)) => {
                tracing::debug!(txid = %entry.tx.txid(), %rule, "left out of the block");
            }
            Err(ApplyError::State(error)) => return Err(error),
        }
    }
    let first = coinbase(height, miner, pays);
    hashes.insert(0, first.full_hash());
    chosen.insert(0, first);
    let now = u32::try_from(now).unwrap_or(u32::MAX);
    let header = BlockHeader {
        version: BLOCK_VERSION,
        previous: tip.hash,
        merkle_root: merkle_root(&hashes),
        state_hash,
        time: Timestamp(now.max(tip.median_time.0.saturating_add(1))),
        bits,
        nonce: 0,
        miner,
    };
    Ok((header, chosen))
}

/// An unsigned block for the tip, filled from the pool.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The tip it stands on.
    pub tip: BlockHash,
    /// Its header.
    pub header: BlockHeader,
    /// Its transactions.
    pub transactions: Vec<Transaction>,
}

/// Fills the next block from the pool, without the transactions that are `banned` here.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn draft(
    view: &SharedView,
    rules: &Rules,
    banned: &[Txid],
    miner: KeyHash,
    bits: u32,
    now: u64,
) -> Result<Draft, StateError> {
    let (snapshot, tip, mut candidates) = {
        let view = view.read();
        (view.snapshot.clone(), view.tip, view.pool.select(room(&*rules.at(&view.snapshot)?)))
    };
    candidates.retain(|entry| !banned.contains(&entry.tx.txid()));
    let state_hash = snapshot.multiset().map_err(StateError::from)?.hash();
    let template = Template { state: &snapshot, state_hash, tip, rules, candidates, bits, now, miner };
    let (header, transactions) = build_block(template)?;
    Ok(Draft { tip: tip.hash, header, transactions })
}

fn coinbase(height: rota_chain::amount::Height, miner: KeyHash, pays: Amount) -> Transaction {
    Transaction::coinbase(height, vec![Output::payment(Lock::Key(miner), pays)])
}

/// Puts a signed header and its transactions together.
pub fn assemble(signed: rota_chain::block::SignedHeader, transactions: Vec<Transaction>) -> Arc<Block> {
    Arc::new(Block { signed, transactions })
}

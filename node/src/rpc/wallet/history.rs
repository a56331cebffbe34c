//! The newest transactions of the wallet or of one address: the pool, then blocks from the tip backwards.

use std::sync::Arc;

use rota_api::error::RpcError;
use rota_chain::amount::{Amount, Height};
use rota_chain::lock::Lock;
use rota_chain::transaction::Transaction;
use rota_chain::witness::Witness;
use serde_json::Value;

use super::note;
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::decode::{Known, Moment, Whose, wallet_transaction};
use crate::rpc::resolve::storage_error;

/// Bytes of blocks that one call reads at most: some seconds of work. What lies further back is not listed.
const READ_BYTES: u64 = 512 << 20;
/// Transactions that one call lists at most.
const MAX_LISTED: usize = 100_000;

/// The newest transactions less those left out, oldest first.
pub fn list(ctx: &Context, whose: Whose, count: usize, skip: usize, verbose: bool) -> Answer {
    let (moment, waiting) = {
        let view = ctx.view.read();
        (Moment::at(ctx, &view), view.pool.entries().cloned().collect::<Vec<_>>())
    };
    let wanted = count.min(MAX_LISTED).saturating_add(skip);
    let mut found: Vec<Known> = Vec::new();
    let concerned = |tx: &Transaction| concerns(ctx, whose, tx);
    for entry in waiting.iter().rev().filter(|entry| concerned(entry.tx.transaction())) {
        if found.len() >= wanted {
            break;
        }
        found.push(Known::waiting(entry));
    }
    mined(&moment, wanted, &concerned, &mut found)?;
    let notes = note::all(ctx);
    let mut shown: Vec<Value> = Vec::new();
    for known in found.iter().skip(skip).take(count).rev() {
        if let Some(mut value) = wallet_transaction(&moment, known, whose, verbose)? {
            note::show(&notes, &known.txid, &mut value);
            shown.push(value);
        }
    }
    Ok(Value::Array(shown))
}

/// Adds mined transactions, newest first, until `wanted` are found.
fn mined(
    moment: &Moment<'_>,
    wanted: usize,
    concerned: &dyn Fn(&Transaction) -> bool,
    found: &mut Vec<Known>,
) -> Result<(), RpcError> {
    let mut read = 0;
    let mut height = Some(moment.tip.height);
    while let Some(at) = height.filter(|_| found.len() < wanted && read < READ_BYTES) {
        height = at.previous();
        let Some(hash) = moment.snapshot.block_hash(at).map_err(storage_error)? else { continue };
        let Some(block) = moment.snapshot.block(&hash).map_err(storage_error)? else { continue };
        read += block.size() as u64;
        let listed: Vec<(u32, Transaction)> = (0u32..).zip(block.transactions).collect();
        for (index, tx) in listed.into_iter().rev() {
            if found.len() >= wanted {
                break;
            }
            if is_idle_coinbase(&tx, at) || !concerned(&tx) {
                continue;
            }
            found.extend(moment.mined(tx.txid(), Arc::new(tx), at, index)?);
        }
    }
    Ok(())
}

/// Whether a transaction is a coinbase that pays nothing.
fn is_idle_coinbase(tx: &Transaction, height: Height) -> bool {
    height.0 > 0 && tx.is_coinbase() && tx.body.outputs.iter().all(|output| output.amount == Amount::ZERO)
}

/// Whether a transaction names an address of `whose`: as recipient, author or signer.
fn concerns(ctx: &Context, whose: Whose, tx: &Transaction) -> bool {
    let owns = |lock: Lock| match whose {
        Whose::Wallet { watch_only: false } => ctx.wallet.is_mine(&lock),
        Whose::Wallet { watch_only: true } => ctx.wallet.contains(&lock),
        Whose::Address(address) => address == lock,
    };
    let recipients = tx.body.outputs.iter().filter_map(|output| output.recipient);
    let signers = tx.witnesses.iter().filter_map(Witness::lock);
    recipients.chain(tx.body.authors.iter().copied()).chain(signers).any(owns)
}

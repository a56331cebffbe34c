//! Blocks, the chain's state, and the pool. What transactions hold is shown by `decode`.

pub mod entity;

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::blockchain::{
    BlockEntry as ListedBlock, BlockVerbose, BlockchainInfo, ChainTip, LastBlockInfo, MempoolEntry, MempoolInfo,
};
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::number::real_value;
use rota_api::params::{Params, as_text};
use rota_chain::amount::Height;
use rota_chain::block::BlockHeader;
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::multiset::Multiset;
use rota_chain::transaction::Transaction;
use rota_consensus::block::check_header;
use rota_consensus::coin::reward;
use rota_consensus::rules::Rules;
use rota_consensus::state::element;
use rota_storage::{BlockEntry, BlockStatus, Snapshot, StorageError};
use serde_json::{Map, Value, json};

use super::blockset::{HASH_DIGITS, block_set, c_integer};
use super::decode::{self, Moment};
use super::resolve::{confirmations, heavy, shape, short, stopped, storage_error};
use super::{Answer, Answerer};
use crate::context::Context;
use crate::ledger::LedgerError;

/// Most blocks that `listblocks` describes at once: about 50 MB of answer.
const MAX_LISTED_BLOCKS: u64 = 100_000;
/// The richest level of `getblock`.
const MAX_LEVEL: i64 = 4;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getblockchaininfo", Answerer::Now(getblockchaininfo)),
    ("getbestblockhash", Answerer::Now(getbestblockhash)),
    ("getblockcount", Answerer::Now(getblockcount)),
    ("getlastblockinfo", Answerer::Now(getlastblockinfo)),
    ("getblock", Answerer::Later(|ctx, params| heavy(ctx, params, getblock))),
    ("getblockhash", Answerer::Now(getblockhash)),
    ("listblocks", Answerer::Later(|ctx, params| heavy(ctx, params, listblocks))),
    ("getchaintips", Answerer::Later(getchaintips)),
    ("getdifficulty", Answerer::Now(getdifficulty)),
    ("getmempoolinfo", Answerer::Now(getmempoolinfo)),
    ("getrawmempool", Answerer::Later(|ctx, params| heavy(ctx, params, getrawmempool))),
    ("getstatehash", Answerer::Later(|ctx, params| heavy(ctx, params, getstatehash))),
    ("verifychain", Answerer::Later(|ctx, params| heavy(ctx, params, verifychain))),
    ("invalidateblock", Answerer::Later(invalidateblock)),
    ("reconsiderblock", Answerer::Later(reconsiderblock)),
    ("listtxfilters", Answerer::Now(entity::filters)),
    ("liststreamfilters", Answerer::Now(entity::filters)),
    ("listlibraries", Answerer::Now(entity::libraries)),
    ("getfiltercode", Answerer::Now(entity::filter)),
    ("getlibrarycode", Answerer::Now(entity::library)),
];

/// Native currency mined so far, in displayed units.
#[must_use]
pub fn chain_rewards(ctx: &Context, tip: Height) -> f64 {
    let multiple = (ctx.parameters.native_currency_multiple() as f64).max(1.0);
    rewards(&ctx.rules, tip) as f64 / multiple
}

/// Raw units of all rewards up to a height: block by block once a halving.
fn rewards(rules: &Rules, tip: Height) -> u128 {
    let mut sum = if tip.0 >= 1 { u128::from(reward(rules, Height(1)).0) } else { 0 };
    let mut height = 2;
    while height <= tip.0 {
        let per_block = u128::from(reward(rules, Height(height)).0);
        let era_end = (height / rules.reward_halving_interval).saturating_add(1);
        let last = era_end.saturating_mul(rules.reward_halving_interval).saturating_sub(1).min(tip.0);
        sum = sum.saturating_add(per_block.saturating_mul(u128::from(last - height) + 1));
        let Some(next) = last.checked_add(1).filter(|_| per_block > 0) else { break };
        height = next;
    }
    sum
}

/// How much harder than the easiest target of the old scale a block is.
#[must_use]
pub fn difficulty(bits: u32) -> f64 {
    let exponent = i32::try_from(bits >> 24).unwrap_or(0);
    let mantissa = bits & 0x00ff_ffff;
    if mantissa == 0 {
        return 0.0;
    }
    f64::from(0x0000_ffff_u32) / f64::from(mantissa) * 256_f64.powi(29 - exponent)
}

/// Work as 64 hexadecimal digits.
fn work_text(work: u128) -> String {
    format!("{work:064x}")
}

/// The entry of a block known here.
pub fn entry_of(snapshot: &Snapshot, hash: &BlockHash) -> Result<BlockEntry, RpcError> {
    let missing = || RpcError::new(Code::BlockNotFound, "Block not found").got(hash.to_string());
    snapshot.block_entry(hash).map_err(storage_error)?.ok_or_else(missing)
}

/// The block at a height of the active chain; -711 outside.
pub fn hash_at(snapshot: &Snapshot, height: i64) -> Result<BlockHash, RpcError> {
    let missing = || {
        let error = RpcError::new(Code::BlockNotFound, "Block height out of range").got(height);
        match snapshot.tip() {
            Some(tip) => error.allowed(format!("0 to {}", tip.height.0)),
            None => error,
        }
    };
    let number = u32::try_from(height).map_err(|_| missing())?;
    snapshot.block_hash(Height(number)).map_err(storage_error)?.ok_or_else(missing)
}

/// A block by hash or height, as text or whole number.
pub fn block_named(snapshot: &Snapshot, value: &Value) -> Result<BlockHash, RpcError> {
    if let Some(height) = value.as_i64() {
        return hash_at(snapshot, height);
    }
    let text = as_text(value)?;
    if let Ok(hash) = text.parse::<BlockHash>() {
        return Ok(hash);
    }
    let malformed = || RpcError::new(Code::BlockNotFound, "Block height should be integer").got(text);
    hash_at(snapshot, c_integer(text).ok_or_else(malformed)?)
}

/// A block hash given as text; -8 otherwise.
fn hash_param(params: &Params, index: usize) -> Result<BlockHash, RpcError> {
    let text = params.text(index)?;
    let malformed = |_| {
        let sentence = format!("hash must be hexadecimal string (not '{}')", short(text));
        RpcError::parameter(ParameterRule::Form, sentence)
            .got(text)
            .allowed(format!("{HASH_DIGITS} hexadecimal digits"))
    };
    text.parse().map_err(malformed)
}

fn getblockchaininfo(ctx: &Context, _params: &Params) -> Answer {
    let view = ctx.view.read();
    let (snapshot, tip) = (view.snapshot.clone(), view.tip);
    drop(view);
    let entry = entry_of(&snapshot, &tip.hash)?;
    shape(&BlockchainInfo {
        chain: chain_kind(ctx).to_owned(),
        chainname: ctx.directory.name().to_owned(),
        description: ctx.parameters.chain_description().to_owned(),
        protocol: ctx.parameters.chain_protocol().to_owned(),
        setupblocks: i64::from(ctx.rules.setup_first_blocks),
        reindex: ctx.settings().reindex,
        blocks: i64::from(tip.height.0),
        headers: i64::from(tip.height.0),
        bestblockhash: tip.hash.to_string(),
        difficulty: difficulty(entry.header.header.bits),
        verificationprogress: 1.0,
        chainwork: work_text(entry.chainwork),
        chainrewards: chain_rewards(ctx, tip.height),
    })
}

/// `test` for a chain that says so of itself, else `main`.
#[must_use]
pub fn chain_kind(ctx: &Context) -> &'static str {
    if ctx.parameters.chain_is_testnet() { "test" } else { "main" }
}

fn getbestblockhash(ctx: &Context, _params: &Params) -> Answer {
    Ok(Value::from(ctx.view.tip().hash.to_string()))
}

fn getblockcount(ctx: &Context, _params: &Params) -> Answer {
    Ok(Value::from(ctx.view.tip().height.0))
}

fn getblockhash(ctx: &Context, params: &Params) -> Answer {
    Ok(Value::from(hash_at(&ctx.view.snapshot(), params.integer(0)?)?.to_string()))
}

fn getdifficulty(ctx: &Context, _params: &Params) -> Answer {
    let entry = entry_of(&ctx.view.snapshot(), &ctx.view.tip().hash)?;
    Ok(real_value(difficulty(entry.header.header.bits)))
}

fn miner_text(ctx: &Context, header: &BlockHeader) -> Option<String> {
    Some(ctx.scheme.encode_key_hash(&header.miner))
}

fn getlastblockinfo(ctx: &Context, params: &Params) -> Answer {
    let skip = match params.given(0) {
        None => 0,
        Some(value) => value.as_i64().ok_or_else(|| RpcError::mistyped(value, "int", "Skip should be integer"))?,
    };
    let snapshot = ctx.view.snapshot();
    let tip = ctx.view.tip().height;
    let outside =
        || RpcError::new(Code::BlockNotFound, "Skip out of range").got(skip).allowed(format!("0 to {}", tip.0));
    let height = i64::from(tip.0).checked_sub(skip).filter(|_| skip >= 0).ok_or_else(outside)?;
    let hash = hash_at(&snapshot, height).map_err(|_| outside())?;
    let entry = entry_of(&snapshot, &hash)?;
    shape(&LastBlockInfo {
        hash: hash.to_string(),
        height,
        time: i64::from(entry.header.header.time.0),
        txcount: i64::from(entry.transactions),
        miner: miner_text(ctx, &entry.header.header),
    })
}

fn getblock(ctx: &Context, params: &Params) -> Answer {
    let moment = Moment::now(ctx);
    let (snapshot, tip) = (moment.snapshot.clone(), moment.tip.height);
    let hash = block_named(&snapshot, params.value(0))?;
    let level = params.level(1, 1, MAX_LEVEL)?;
    let entry = entry_of(&snapshot, &hash)?;
    let unread = || RpcError::internal(format!("the transactions of block {hash} are not here"));
    let block = snapshot.block(&hash).map_err(storage_error)?.ok_or_else(unread)?;
    if level == 0 {
        return Ok(Value::from(hex::encode(encode(&block))));
    }
    let active = snapshot.block_hash(entry.height).map_err(storage_error)? == Some(hash);
    let next = if active { snapshot.block_hash(entry.height.next()).map_err(storage_error)? } else { None };
    let header = &entry.header.header;
    let listed = block.transactions.into_iter().map(|tx| listed_transaction(&moment, tx, level));
    let tx = listed.collect::<Result<_, _>>()?;
    let invalid = matches!(entry.status, BlockStatus::Invalid | BlockStatus::InvalidAncestor);
    shape(&BlockVerbose {
        hash: hash.to_string(),
        miner: miner_text(ctx, header),
        confirmations: if active { confirmations(tip, Some(entry.height)) } else { -1 },
        size: i64::from(entry.size),
        height: i64::from(entry.height.0),
        version: i64::from(header.version),
        merkleroot: header.merkle_root.to_string(),
        tx,
        time: i64::from(header.time.0),
        nonce: i64::from(header.nonce),
        bits: format!("{:08x}", header.bits),
        difficulty: difficulty(header.bits),
        chainwork: work_text(entry.chainwork),
        valid: invalid.then_some(false),
        previousblockhash: (header.previous != BlockHash::ZERO).then(|| header.previous.to_string()),
        nextblockhash: next.map(|next| next.to_string()),
    })
}

/// A transaction of `getblock`: its id, id and bytes, the same with version and lock time, or decoded.
fn listed_transaction(moment: &Moment<'_>, tx: Transaction, level: i64) -> Answer {
    let id = || tx.txid().to_string();
    let hex = || hex::encode(encode(&tx));
    // A coinbase's lock time only binds it to its block.
    let lock_time = if tx.is_coinbase() { 0 } else { tx.body.lock_time };
    Ok(match level {
        1 => Value::from(id()),
        2 => json!({"txid": id(), "hex": hex()}),
        3 => json!({"txid": id(), "version": tx.body.version, "locktime": lock_time, "hex": hex()}),
        _ => {
            let mut decoded = decode::transaction(moment.ctx, &tx)?;
            if let Value::Object(members) = &mut decoded {
                members.insert("locktime".to_owned(), Value::from(lock_time));
                members.insert("hex".to_owned(), Value::from(hex()));
            }
            decoded
        }
    })
}

fn listblocks(ctx: &Context, params: &Params) -> Answer {
    let verbose = params.verbose(1)?;
    let view = ctx.view.read();
    let (snapshot, tip) = (view.snapshot.clone(), view.tip.height);
    drop(view);
    let set = block_set(&snapshot, tip, params, 0)?;
    if set.len() > MAX_LISTED_BLOCKS {
        let wide = format!("{} blocks asked for, at most {MAX_LISTED_BLOCKS} are listed at once", set.len());
        return Err(RpcError::not_supported(wide).rule("list-size").got(set.len()).allowed(MAX_LISTED_BLOCKS));
    }
    let blocks = set.heights().map(|height| listed_block(ctx, &snapshot, tip, height, verbose));
    Ok(Value::Array(blocks.collect::<Result<_, _>>()?))
}

/// A block of the active chain as `listblocks` shows it.
///
/// # Errors
/// -711 if there is none at the height, -32603 if storage fails.
pub fn listed_block(ctx: &Context, snapshot: &Snapshot, tip: Height, height: Height, verbose: bool) -> Answer {
    let hash = hash_at(snapshot, i64::from(height.0))?;
    let entry = entry_of(snapshot, &hash)?;
    let header = &entry.header.header;
    let next = if verbose { snapshot.block_hash(height.next()).map_err(storage_error)? } else { None };
    shape(&ListedBlock {
        hash: hash.to_string(),
        miner: miner_text(ctx, header),
        confirmations: confirmations(tip, Some(height)),
        height: i64::from(height.0),
        time: i64::from(header.time.0),
        txcount: i64::from(entry.transactions),
        size: verbose.then_some(i64::from(entry.size)),
        version: verbose.then_some(i64::from(header.version)),
        merkleroot: verbose.then(|| header.merkle_root.to_string()),
        nonce: verbose.then_some(i64::from(header.nonce)),
        bits: verbose.then(|| format!("{:08x}", header.bits)),
        difficulty: verbose.then(|| difficulty(header.bits)),
        chainwork: verbose.then(|| work_text(entry.chainwork)),
        previousblockhash: (verbose && header.previous != BlockHash::ZERO).then(|| header.previous.to_string()),
        nextblockhash: next.map(|next| next.to_string()),
    })
}

fn getchaintips(ctx: Arc<Context>, _params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { Ok(Value::Array(chain_tips(&ctx).await?)) })
}

/// The ends of all branches, as `getchaintips` shows them.
pub async fn chain_tips(ctx: &Context) -> Result<Vec<Value>, RpcError> {
    let tips = ctx.ledger.call(|ledger| ledger.chain_tips()).await.map_err(stopped)?.map_err(storage_error)?;
    let shown = tips.into_iter().map(|tip| {
        shape(&ChainTip {
            height: i64::from(tip.height.0),
            hash: tip.hash.to_string(),
            branchlen: i64::from(tip.branch_length),
            status: tip.status.to_owned(),
        })
    });
    shown.collect()
}

fn getmempoolinfo(ctx: &Context, _params: &Params) -> Answer {
    let view = ctx.view.read();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    shape(&MempoolInfo { size: count(view.pool.len()), bytes: count(view.pool.bytes()) })
}

fn getrawmempool(ctx: &Context, params: &Params) -> Answer {
    let verbose = params.boolean_or(0, false)?;
    // The answer is made with the view let go: a full pool takes long to write down.
    let (entries, tip) = {
        let view = ctx.view.read();
        (view.pool.entries().cloned().collect::<Vec<_>>(), view.tip.height)
    };
    if !verbose {
        return Ok(entries.iter().map(|entry| Value::from(entry.tx.txid().to_string())).collect());
    }
    let pool: HashSet<Txid> = entries.iter().map(|entry| entry.tx.txid()).collect();
    let multiple = (ctx.parameters.native_currency_multiple() as f64).max(1.0);
    let mut answer = Map::new();
    for entry in &entries {
        let inputs = &entry.tx.transaction().body.inputs;
        let waiting = inputs.iter().filter(|input| pool.contains(&input.outpoint.txid));
        let shown = MempoolEntry {
            size: i64::try_from(entry.tx.size()).unwrap_or(i64::MAX),
            fee: entry.fee.0 as f64 / multiple,
            time: i64::try_from(entry.received).unwrap_or(i64::MAX),
            height: i64::from(tip.0),
            startingpriority: 0.0,
            currentpriority: 0.0,
            depends: waiting.map(|input| input.outpoint.txid.to_string()).collect(),
        };
        answer.insert(entry.tx.txid().to_string(), shape(&shown)?);
    }
    Ok(Value::Object(answer))
}

/// Reads the newest blocks from disk again: header rules, signature, and the root over the transactions.
fn verifychain(ctx: &Context, params: &Params) -> Answer {
    let (level, count) = (params.integer_or(0, 3)?, params.integer_or(1, 288)?);
    let snapshot = ctx.view.snapshot();
    let tip = ctx.view.tip().height.0;
    let count = u32::try_from(count).unwrap_or(0);
    let first = if count == 0 { 1 } else { tip.saturating_sub(count - 1).max(1) };
    for height in (first..=tip).rev() {
        let hash = hash_at(&snapshot, i64::from(height))?;
        let Ok(Some(block)) = snapshot.block(&hash) else { return Ok(Value::from(false)) };
        let sound = block.hash() == hash && check_header(&block.signed, &ctx.rules).is_ok();
        if !sound || (level > 0 && block.computed_merkle_root() != block.header().merkle_root) {
            return Ok(Value::from(false));
        }
    }
    Ok(Value::from(true))
}

/// Adds up the state element by element. The hash kept beside the state follows from what each block changed: the two
/// differ where an element was lost or changed on disk.
fn getstatehash(ctx: &Context, _params: &Params) -> Answer {
    let (snapshot, tip) = {
        let view = ctx.view.read();
        (view.snapshot.clone(), view.tip)
    };
    let (mut state, mut elements) = (Multiset::new(), 0u64);
    let add = |key, value| {
        state.add(&element(&key, &value));
        elements += 1;
    };
    snapshot.for_each_element(add).map_err(storage_error)?;
    let (counted, kept) = (state.hash(), snapshot.multiset().map_err(storage_error)?.hash());
    if counted != kept {
        let detail = format!("the hash of the state is {counted}, the one kept beside it {kept}");
        return Err(storage_error(StorageError::Corrupt(detail)));
    }
    Ok(json!({
        "height": tip.height.0,
        "bestblock": tip.hash.to_string(),
        "elements": elements,
        "statehash": counted.to_string(),
    }))
}

/// What a caller is told when the ledger does not carry out a command about blocks.
#[must_use]
pub fn ledger_error(error: LedgerError) -> RpcError {
    let sentence = error.to_string();
    match error {
        LedgerError::UnknownBlock(hash) => RpcError::new(Code::BlockNotFound, sentence).got(hash.to_string()),
        LedgerError::Invalid(hash, rule) => {
            RpcError::new(Code::VerifyRejected, sentence).rule(rule.code()).got(hash.to_string())
        }
        LedgerError::Storage(_) => RpcError::new(Code::Database, sentence),
    }
}

fn invalidateblock(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let hash = hash_param(&params, 0)?;
        let done = ctx.ledger.call(move |ledger| ledger.invalidate(hash)).await.map_err(stopped)?;
        done.map(|()| Value::Null).map_err(ledger_error)
    })
}

fn reconsiderblock(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let hash = hash_param(&params, 0)?;
        let done = ctx.ledger.call(move |ledger| ledger.reconsider(hash)).await.map_err(stopped)?;
        done.map(|()| Value::Null).map_err(ledger_error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficulty_counts_in_the_old_scale() {
        assert!((difficulty(0x1d00_ffff) - 1.0).abs() < 1e-12);
        assert!((difficulty(0x2000_ffff) - 5.960_464_477_539_063e-8).abs() < 1e-20);
        assert!((difficulty(0x1b04_04cb) - 16_307.420_938_523_98).abs() < 1e-6);
    }

    #[test]
    fn work_has_64_digits() {
        assert_eq!(work_text(0x600).len(), 64);
        assert!(work_text(0x600).ends_with("0600"));
    }
}

//! Answers to peers' requests, from snapshots and the pool, never from the writer. Bounded in bytes by the frames of
//! the peer room, here by stopping once an answer is full.

use std::collections::HashSet;
use std::net::SocketAddr;

use rota_chain::amount::Height;
use rota_chain::block::SignedHeader;
use rota_chain::hash::{BlockHash, ChunkHash, FullHash, Txid};
use rota_chain::transaction::Transaction;
use rota_p2p::limit::{BODIES_FRAME, MAX_ADDRESSES};
use rota_p2p::{BlockBody, CompactBlock, Refusal, Request, Response};
use rota_storage::{Snapshot, StorageError};

use crate::view::SharedView;

/// Bytes after which no more is put into an answer.
const ANSWER_BYTES: usize = BODIES_FRAME as usize;

/// The answer to a peer's request; `chunks` answers for off-chain items.
pub fn answer(
    view: &SharedView,
    places: &[SocketAddr],
    request: Request,
    chunks: impl FnOnce(Txid, &[ChunkHash]) -> Response,
) -> Response {
    let answer = match request {
        Request::Headers { locator, stop, limit } => {
            headers(&view.snapshot(), &locator, stop, limit).map(Response::Headers)
        }
        Request::Blocks { hashes } => blocks(&view.snapshot(), &hashes).map(Response::Blocks),
        Request::Transactions { hashes } => Ok(Response::Transactions(transactions(view, &hashes))),
        Request::TransactionsById { txids } => Ok(Response::Transactions(transactions_by_id(view, &txids))),
        Request::PoolInventory { after, limit } => Ok(inventory(view, after, limit)),
        Request::Chunks { stream, hashes } => Ok(chunks(stream, &hashes)),
        Request::BlockTransactions { block, indexes } => block_transactions(&view.snapshot(), &block, &indexes),
        Request::Addresses => Ok(Response::Addresses(places.iter().copied().take(MAX_ADDRESSES as usize).collect())),
    };
    answer.unwrap_or_else(|error| {
        tracing::error!(%error, "a peer's request cannot be answered");
        Response::Refused(Refusal::Unknown)
    })
}

/// The announcement of a block of whatever branch, none if it is not here.
///
/// # Errors
/// [`StorageError`].
pub fn compact(snapshot: &Snapshot, hash: &BlockHash) -> Result<Option<CompactBlock>, StorageError> {
    let block = snapshot.block(hash)?;
    Ok(block.map(|block| CompactBlock::new(block.signed, block.full_hashes())))
}

fn headers(
    snapshot: &Snapshot,
    locator: &[BlockHash],
    stop: BlockHash,
    limit: u32,
) -> Result<Vec<SignedHeader>, StorageError> {
    let mut start = Height(0);
    for hash in locator {
        if let Some(entry) = snapshot.block_entry(hash)?
            && snapshot.block_hash(entry.height)? == Some(*hash)
        {
            start = entry.height;
            break;
        }
    }
    let first = start.0.saturating_add(1);
    let hashes = snapshot.block_hashes(first..first.saturating_add(limit))?;
    let mut headers = Vec::with_capacity(hashes.len());
    for hash in hashes {
        let Some(entry) = snapshot.block_entry(&hash)? else { break };
        headers.push(entry.header);
        if hash == stop {
            break;
        }
    }
    Ok(headers)
}

/// As the bytes they are kept as: to take a block apart and put it together again costs more than all else here.
fn blocks(snapshot: &Snapshot, hashes: &[BlockHash]) -> Result<Vec<BlockBody>, StorageError> {
    let (mut blocks, mut bytes) = (Vec::new(), 0usize);
    let mut given = HashSet::new();
    for hash in hashes.iter().filter(|hash| given.insert(**hash)) {
        let Some(block) = snapshot.block_bytes(hash)? else { continue };
        bytes = bytes.saturating_add(block.len());
        if bytes > ANSWER_BYTES && !blocks.is_empty() {
            break;
        }
        blocks.push(BlockBody::Bytes(block));
    }
    Ok(blocks)
}

/// In order of arrival, so that a transaction follows those it depends on.
fn transactions(view: &SharedView, hashes: &[FullHash]) -> Vec<Transaction> {
    let mut found: Vec<_> = {
        let view = view.read();
        hashes.iter().filter_map(|hash| view.pool.get_full(hash).cloned()).collect()
    };
    found.sort_by_key(|entry| entry.sequence);
    let mut bytes = 0usize;
    let fits = found.iter().take_while(|entry| {
        bytes = bytes.saturating_add(entry.tx.size());
        bytes <= ANSWER_BYTES
    });
    let count = fits.count().max(1);
    found.into_iter().take(count).map(|entry| Transaction::clone(entry.tx.transaction())).collect()
}

fn transactions_by_id(view: &SharedView, txids: &[Txid]) -> Vec<Transaction> {
    let hashes: Vec<FullHash> = {
        let view = view.read();
        txids.iter().filter_map(|txid| view.pool.get(txid).map(|entry| entry.tx.full_hash())).collect()
    };
    transactions(view, &hashes)
}

fn inventory(view: &SharedView, after: FullHash, limit: u32) -> Response {
    let mut hashes: Vec<FullHash> = {
        let view = view.read();
        view.pool.full_hashes_after(&after).take((limit as usize).saturating_add(1)).copied().collect()
    };
    let more = hashes.len() > limit as usize;
    hashes.truncate(limit as usize);
    Response::PoolInventory { hashes, more }
}

fn block_transactions(snapshot: &Snapshot, hash: &BlockHash, indexes: &[u32]) -> Result<Response, StorageError> {
    let Some(block) = snapshot.block(hash)? else { return Ok(Response::Refused(Refusal::Unknown)) };
    let wanted = indexes.iter().map(|index| block.transactions.get(*index as usize).cloned());
    let found: Option<Vec<Transaction>> = wanted.collect();
    Ok(found.map_or(Response::Refused(Refusal::Unknown), Response::BlockTransactions))
}

//! The digests that keys sign: one tag a use, so that no signature serves as another. See docs/protocol/witness.md.

use crate::codec::encode;
use crate::hash::{BlockHash, Txid, tagged_hash};
use crate::lock::Lock;
use crate::transaction::{Body, Coverage};

const FULL: &str = "rota/transaction/full";
const PART: &str = "rota/transaction/part";
const BLOCK: &str = "rota/block";

/// What the holder of `lock` signs when answering for the whole body.
#[must_use]
pub fn full_digest(genesis: &BlockHash, txid: &Txid, lock: &Lock) -> [u8; 32] {
    tagged_hash(FULL, &[genesis.as_bytes(), txid.as_bytes(), &encode(lock)])
}

/// What the holder of `lock` signs for the input at `index`, covered in part: its outpoint and the output at the
/// same index whole. None if there is no such input covered in part, or no such output.
#[must_use]
pub fn part_digest(genesis: &BlockHash, body: &Body, index: usize, lock: &Lock) -> Option<[u8; 32]> {
    let input = body.inputs.get(index).filter(|input| input.coverage == Coverage::Part)?;
    let output = body.outputs.get(index)?;
    let fields = encode(&(input.outpoint, body.version, body.lock_time, body.last_height, body.nonce));
    Some(tagged_hash(PART, &[genesis.as_bytes(), &encode(lock), &fields, &encode(output)]))
}

/// What a miner signs: the header's bytes. The genesis block's own is made with a zero genesis hash.
#[must_use]
pub fn block_digest(genesis: &BlockHash, header: &[u8]) -> [u8; 32] {
    tagged_hash(BLOCK, &[genesis.as_bytes(), header])
}

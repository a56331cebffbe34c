//! Blocks and headers. See docs/protocol/block.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::{Amount, Height, Timestamp};
use crate::codec::{bounded_list, encode, encoded_length};
use crate::digest::block_digest;
use crate::hash::{BlockHash, FullHash, MerkleRoot, StateHash, sha256d};
use crate::key::{PrivateKey, PublicKey, RecoverableBytes};
use crate::lock::{KeyHash, Lock};
use crate::merkle::merkle_root;
use crate::operation::{Genesis, Operation};
use crate::permission::{BlockRange, Grant, Permission, PermissionSet};
use crate::stream::CreateStream;
use crate::transaction::{Output, Transaction};

/// The version of blocks this code writes.
pub const BLOCK_VERSION: u32 = 1;
/// Bytes of a header without signature.
pub const HEADER_BYTES: usize = 132;
/// Most transactions a block: 1 GB, the largest maximum-block-size, holds fewer of the smallest.
pub const MAX_BLOCK_TRANSACTIONS: u32 = 16_000_000;

/// What a block's id is the hash of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockHeader {
    /// [`BLOCK_VERSION`].
    pub version: u32,
    /// Id of the block before, zero in genesis.
    pub previous: BlockHash,
    /// Root over the full hashes of the transactions.
    pub merkle_root: MerkleRoot,
    /// Hash of the state after the block before.
    pub state_hash: StateHash,
    /// Unix seconds.
    pub time: Timestamp,
    /// Target of proof of work in compact form.
    pub bits: u32,
    /// Found by proof of work; 0 where miners are permitted by grant.
    pub nonce: u32,
    /// Who made and signed it.
    pub miner: KeyHash,
}

impl BlockHeader {
    /// The block's id.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash(sha256d(&encode(self)))
    }

    /// Signs the header; `genesis` is the chain's genesis hash, zero for the genesis block itself.
    #[must_use]
    pub fn sign(self, genesis: &BlockHash, key: &PrivateKey) -> SignedHeader {
        let signature = key.sign_recoverable(&block_digest(genesis, &encode(&self)));
        SignedHeader { header: self, signature }
    }
}

/// A header and its miner's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedHeader {
    /// The header.
    pub header: BlockHeader,
    /// The miner's signature, from which the key is recovered.
    pub signature: RecoverableBytes,
}

impl SignedHeader {
    /// The block's id, which the signature is no part of.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        self.header.hash()
    }

    /// The key that signed, if it is the miner's.
    #[must_use]
    pub fn miner_key(&self, genesis: &BlockHash) -> Option<PublicKey> {
        let key = self.signature.recover(&block_digest(genesis, &encode(&self.header))).ok()?;
        (key.key_hash() == self.header.miner).then_some(key)
    }
}

/// A block: signed header and transactions, the first of which is the coinbase.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// Header and signature.
    pub signed: SignedHeader,
    /// Coinbase first.
    #[borsh(deserialize_with = "bounded_list::<MAX_BLOCK_TRANSACTIONS, _, _>")]
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &BlockHeader {
        &self.signed.header
    }

    /// The block's id.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        self.signed.hash()
    }

    /// Bytes of the whole.
    #[must_use]
    pub fn size(&self) -> usize {
        encoded_length(self)
    }

    /// The full hashes of the transactions, in order.
    #[must_use]
    pub fn full_hashes(&self) -> Vec<FullHash> {
        self.transactions.iter().map(Transaction::full_hash).collect()
    }

    /// The Merkle root its transactions have.
    #[must_use]
    pub fn computed_merkle_root(&self) -> MerkleRoot {
        merkle_root(&self.full_hashes())
    }
}

/// What a genesis block is made from.
#[derive(Clone, Debug)]
pub struct GenesisPlan {
    /// What the coinbase binds the chain to.
    pub genesis: Genesis,
    /// The root stream, if the chain has one.
    pub root_stream: Option<CreateStream>,
    /// Unix seconds.
    pub time: Timestamp,
    /// Target of proof of work.
    pub bits: u32,
    /// Hash of the empty state.
    pub empty_state: StateHash,
}

impl GenesisPlan {
    /// The genesis block, made and signed by the first node's key, which it gives all rights.
    #[must_use]
    pub fn build(self, key: &PrivateKey) -> Block {
        let miner = key.public_key().key_hash();
        let rights: PermissionSet = [
            Permission::Connect,
            Permission::Send,
            Permission::Receive,
            Permission::Issue,
            Permission::Create,
            Permission::Mine,
            Permission::Admin,
            Permission::Activate,
        ]
        .into_iter()
        .collect();
        let grant = Grant { entity: None, permissions: rights, range: BlockRange::ALWAYS, timestamp: self.time.0 };
        let first = Output {
            recipient: Some(Lock::Key(miner)),
            amount: Amount::ZERO,
            assets: Vec::new(),
            operations: vec![Operation::Grant(grant)],
        };
        let mut outputs = vec![first, Output::operation(Operation::Genesis(self.genesis))];
        outputs.extend(self.root_stream.map(|stream| Output::operation(Operation::CreateStream(stream))));
        let transactions = vec![Transaction::coinbase(Height(0), outputs)];
        let hashes: Vec<FullHash> = transactions.iter().map(Transaction::full_hash).collect();
        let header = BlockHeader {
            version: BLOCK_VERSION,
            previous: BlockHash::ZERO,
            merkle_root: merkle_root(&hashes),
            state_hash: self.empty_state,
            time: self.time,
            bits: self.bits,
            nonce: 0,
            miner,
        };
        Block { signed: header.sign(&BlockHash::ZERO, key), transactions }
    }
}

//! The Merkle tree over a block's full hashes: tagged leaves and nodes, no duplicated leaf, and proofs.
//! See docs/protocol/merkle.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::bounded_list;
use crate::hash::{FullHash, MerkleRoot, sha256d};

const LEAF: u8 = 0;
const NODE: u8 = 1;
/// Most steps of a proof: a tree over 2^32 leaves.
pub const MAX_PROOF: u32 = 32;

fn leaf(hash: &FullHash) -> [u8; 32] {
    let mut bytes = [LEAF; 33];
    let (_, rest) = bytes.split_at_mut(1);
    rest.copy_from_slice(&hash.0);
    sha256d(&bytes)
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut bytes = [NODE; 65];
    let (_, rest) = bytes.split_at_mut(1);
    let (first, second) = rest.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    sha256d(&bytes)
}

fn level_above(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            [single] => *single,
            _ => [0; 32],
        })
        .collect()
}

/// The root over `hashes` in order; of none: all zero. An unpaired node moves up unchanged.
#[must_use]
pub fn merkle_root(hashes: &[FullHash]) -> MerkleRoot {
    let mut level: Vec<[u8; 32]> = hashes.iter().map(leaf).collect();
    while level.len() > 1 {
        level = level_above(&level);
    }
    MerkleRoot(level.first().copied().unwrap_or_default())
}

/// One step of a proof from leaf to root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ProofStep {
    /// The sibling stands on the left.
    Left([u8; 32]),
    /// The sibling stands on the right.
    Right([u8; 32]),
}

/// Shows that a transaction is in a block, given the block's Merkle root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MerkleProof {
    /// Siblings from the leaf up.
    #[borsh(deserialize_with = "bounded_list::<MAX_PROOF, _, _>")]
    pub steps: Vec<ProofStep>,
}

impl MerkleProof {
    /// The proof for the hash at `index`; none if there is no such hash.
    #[must_use]
    pub fn of(hashes: &[FullHash], index: usize) -> Option<MerkleProof> {
        hashes.get(index)?;
        let mut level: Vec<[u8; 32]> = hashes.iter().map(leaf).collect();
        let (mut position, mut steps) = (index, Vec::new());
        while level.len() > 1 {
            let sibling = level.get(position ^ 1);
            if let Some(sibling) = sibling {
                steps.push(if position & 1 == 1 { ProofStep::Left(*sibling) } else { ProofStep::Right(*sibling) });
            }
            level = level_above(&level);
            position >>= 1;
        }
        Some(MerkleProof { steps })
    }

    /// The root this proof leads to from `hash`.
    #[must_use]
    pub fn root(&self, hash: &FullHash) -> MerkleRoot {
        let root = self.steps.iter().fold(leaf(hash), |below, step| match step {
            ProofStep::Left(sibling) => node(sibling, &below),
            ProofStep::Right(sibling) => node(&below, sibling),
        });
        MerkleRoot(root)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn hashes(count: u8) -> Vec<FullHash> {
        (0..count).map(|i| FullHash([i; 32])).collect()
    }

    #[test]
    fn every_proof_of_every_small_tree_leads_to_the_root() {
        for count in 1..40 {
            let list = hashes(count);
            let root = merkle_root(&list);
            for (index, hash) in list.iter().enumerate() {
                let proof = MerkleProof::of(&list, index).unwrap();
                assert_eq!(proof.root(hash), root);
                assert_ne!(proof.root(&FullHash([0xee; 32])), root);
            }
            assert_eq!(MerkleProof::of(&list, list.len()), None);
        }
    }

    #[test]
    fn a_repeated_last_leaf_changes_the_root() {
        let mut list = hashes(3);
        let root = merkle_root(&list);
        list.push(list[2]);
        assert_ne!(merkle_root(&list), root);
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let list = hashes(4);
        let left = node(&leaf(&list[0]), &leaf(&list[1]));
        let right = node(&leaf(&list[2]), &leaf(&list[3]));
        assert_ne!(merkle_root(&[FullHash(left), FullHash(right)]), merkle_root(&list));
    }
}

//! Transactions written by hand and signed by whoever is named, and blocks that hold them whether they may or not.

use std::sync::Arc;

use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::block::Block;
use rota_chain::digest::{full_digest, part_digest};
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant, Permission};
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::witness::Witness;
use rota_consensus::rule::Rule;
use rota_consensus::transaction::{VerifiedTransaction, check_transaction};

use super::super::world::{Node, key, lock};
use crate::ledger::SubmitError;
use crate::pool::PoolError;

/// A transaction being written: its body, and whose keys sign.
#[derive(Clone)]
pub struct Draft {
    pub body: Body,
    authors: Vec<u8>,
    owners: Vec<u8>,
}

/// An empty transaction, valid up to block 1,000.
pub fn draft(nonce: u64) -> Draft {
    let body = Body {
        version: TRANSACTION_VERSION,
        inputs: Vec::new(),
        outputs: Vec::new(),
        authors: Vec::new(),
        lock_time: 0,
        last_height: 1_000,
        nonce,
    };
    Draft { body, authors: Vec::new(), owners: Vec::new() }
}

impl Draft {
    pub fn by(mut self, author: u8) -> Draft {
        self.body.authors.push(lock(author));
        self.authors.push(author);
        self
    }

    pub fn spend(self, outpoint: OutPoint, owner: u8) -> Draft {
        self.input(outpoint, owner, Coverage::Full)
    }

    pub fn spend_in_part(self, outpoint: OutPoint, owner: u8) -> Draft {
        self.input(outpoint, owner, Coverage::Part)
    }

    fn input(mut self, outpoint: OutPoint, owner: u8, coverage: Coverage) -> Draft {
        self.body.inputs.push(Input { outpoint, coverage });
        self.owners.push(owner);
        self
    }

    pub fn output(mut self, output: Output) -> Draft {
        self.body.outputs.push(output);
        self
    }

    pub fn pay(self, to: u8, amount: u64) -> Draft {
        self.output(Output::payment(lock(to), Amount(amount)))
    }

    pub fn operation(self, operation: Operation) -> Draft {
        self.output(Output::operation(operation))
    }

    pub fn grant(self, to: u8, entity: Option<Txid>, rights: &[Permission], range: BlockRange) -> Draft {
        self.output(grant(to, entity, rights, range))
    }

    /// Signs for a chain, in the order that rules demand.
    pub fn sign(&self, genesis: &BlockHash) -> Transaction {
        let txid = self.body.txid();
        let mut full = self.authors.clone();
        for (input, owner) in self.body.inputs.iter().zip(&self.owners) {
            if input.coverage == Coverage::Full && !full.contains(owner) {
                full.push(*owner);
            }
        }
        let mut witnesses: Vec<Witness> =
            full.iter().map(|seed| witness(*seed, &full_digest(genesis, &txid, &lock(*seed)))).collect();
        for (index, owner) in self.owners.iter().enumerate() {
            if let Some(digest) = part_digest(genesis, &self.body, index, &lock(*owner)) {
                witnesses.push(witness(*owner, &digest));
            }
        }
        Transaction { body: self.body.clone(), witnesses }
    }
}

pub fn witness(seed: u8, digest: &[u8; 32]) -> Witness {
    Witness::Key { key: key(seed).public_key(), signature: key(seed).sign(digest) }
}

pub fn grant(to: u8, entity: Option<Txid>, rights: &[Permission], range: BlockRange) -> Output {
    let grant = Grant { entity, permissions: rights.iter().copied().collect(), range, timestamp: 1 };
    Output { recipient: Some(lock(to)), ..Output::operation(Operation::Grant(grant)) }
}

/// An output that pays so many units of an asset.
pub fn units(to: u8, asset: AssetReference, quantity: u64) -> Output {
    Output { assets: vec![AssetQuantity { asset, token: None, quantity }], ..Output::payment(lock(to), Amount::ZERO) }
}

impl Node {
    /// Checks form and signatures.
    pub fn verify(&self, transaction: &Transaction) -> Result<VerifiedTransaction, Rule> {
        let checked = check_transaction(Arc::new(transaction.clone()), &self.rules)?;
        self.signatures.verify(checked).map_err(Rule::from)
    }

    /// Offers a transaction as a caller's signed one; the rule that refuses it.
    pub fn offer(&mut self, transaction: &Transaction) -> Result<Txid, Rule> {
        let verified = self.verify(transaction)?;
        self.try_submit(verified).map_err(|error| match error {
            SubmitError::Pool(PoolError::Rule(rule)) => rule,
            other => panic!("{other}"),
        })
    }

    /// The block after the tip with just these transactions, whether they may stand there or not.
    pub fn block_of(&self, miner: u8, time: u64, transactions: Vec<Transaction>) -> Arc<Block> {
        let (header, mut all) = self.template(miner, time, Vec::new());
        all.extend(transactions);
        remade(self, header, all, miner)
    }
}

/// A block whose header names its transactions.
pub fn remade(
    node: &Node,
    mut header: rota_chain::block::BlockHeader,
    transactions: Vec<Transaction>,
    miner: u8,
) -> Arc<Block> {
    let unnamed = node.sign_block(header, transactions.clone(), miner);
    header.merkle_root = unnamed.computed_merkle_root();
    node.sign_block(header, transactions, miner)
}

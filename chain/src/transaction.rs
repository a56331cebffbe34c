//! Transactions: body, witnesses and ids. See docs/protocol/transaction.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::{Amount, Height};
use crate::asset::AssetQuantity;
use crate::codec::{bounded_list, encode, encoded_length};
use crate::hash::{FullHash, Txid, sha256d};
use crate::lock::Lock;
use crate::operation::Operation;
use crate::witness::Witness;

/// The version of transactions this code writes.
pub const TRANSACTION_VERSION: u32 = 1;
/// Most authors: each is a signature to verify and an address to judge.
pub const MAX_AUTHORS: u32 = 16;
/// Most inputs or outputs: 100 MB, the largest max-std-tx-size, hold fewer of the smallest.
pub const MAX_INPUTS: u32 = 2_000_000;
/// As [`MAX_INPUTS`].
pub const MAX_OUTPUTS: u32 = 2_000_000;
/// Most operations an output.
pub const MAX_OPERATIONS: u32 = 1_024;
/// Most asset quantities an output.
pub const MAX_ASSETS: u32 = 1_024;
/// Lock times from here on are unix seconds, below it heights.
pub const LOCK_TIME_THRESHOLD: u32 = 500_000_000;

/// Names one output of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct OutPoint {
    /// The transaction.
    pub txid: Txid,
    /// Index of the output.
    pub index: u32,
}

impl std::fmt::Display for OutPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.txid, self.index)
    }
}

/// How much of the transaction the owner of an input signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Coverage {
    /// All of the body.
    Full,
    /// The outpoint and the output at the same index; others may append inputs and outputs.
    Part,
}

/// Spends a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Input {
    /// The coin.
    pub outpoint: OutPoint,
    /// What its owner signs.
    pub coverage: Coverage,
}

/// An output: a payment, operations, or both.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Output {
    /// Who may spend the coin, or whom operations are about.
    pub recipient: Option<Lock>,
    /// Native currency.
    pub amount: Amount,
    /// Quantities of assets.
    #[borsh(deserialize_with = "bounded_list::<MAX_ASSETS, _, _>")]
    pub assets: Vec<AssetQuantity>,
    /// Operations.
    #[borsh(deserialize_with = "bounded_list::<MAX_OPERATIONS, _, _>")]
    pub operations: Vec<Operation>,
}

impl Output {
    /// An output that only carries an operation.
    #[must_use]
    pub fn operation(operation: Operation) -> Output {
        Output { recipient: None, amount: Amount::ZERO, assets: Vec::new(), operations: vec![operation] }
    }

    /// An output that pays `amount` to `recipient`.
    #[must_use]
    pub fn payment(recipient: Lock, amount: Amount) -> Output {
        Output { recipient: Some(recipient), amount, assets: Vec::new(), operations: Vec::new() }
    }

    /// Whether native currency or assets are in it.
    #[must_use]
    pub fn has_value(&self) -> bool {
        self.amount > Amount::ZERO || !self.assets.is_empty()
    }

    /// Whether it makes a coin: a recipient, with value or as a plain payment of nothing. A coinbase needs value.
    #[must_use]
    pub fn is_coin(&self, coinbase: bool) -> bool {
        self.recipient.is_some() && (self.has_value() || (self.operations.is_empty() && !coinbase))
    }
}

/// What authors and owners sign.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Body {
    /// [`TRANSACTION_VERSION`].
    pub version: u32,
    /// Coins spent.
    #[borsh(deserialize_with = "bounded_list::<MAX_INPUTS, _, _>")]
    pub inputs: Vec<Input>,
    /// Payments and operations.
    #[borsh(deserialize_with = "bounded_list::<MAX_OUTPUTS, _, _>")]
    pub outputs: Vec<Output>,
    /// Those who give authority, in order, unique.
    #[borsh(deserialize_with = "bounded_list::<MAX_AUTHORS, _, _>")]
    pub authors: Vec<Lock>,
    /// First height, or (from [`LOCK_TIME_THRESHOLD`]) first median time, at which it is valid.
    pub lock_time: u32,
    /// Last height at which it is valid; 0 for none, with inputs only.
    pub last_height: u32,
    /// Random, so that equal content gives different ids.
    pub nonce: u64,
}

impl Body {
    /// The transaction's id.
    #[must_use]
    pub fn txid(&self) -> Txid {
        Txid(sha256d(&encode(self)))
    }
}

/// A transaction, possibly not yet signed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// What is signed.
    pub body: Body,
    /// Who signed: authors, then owners of full inputs by first appearance, then inputs covered in part.
    #[borsh(deserialize_with = "bounded_list::<{ MAX_AUTHORS + MAX_INPUTS }, _, _>")]
    pub witnesses: Vec<Witness>,
}

impl Transaction {
    /// The id: hash of the body.
    #[must_use]
    pub fn txid(&self) -> Txid {
        self.body.txid()
    }

    /// The full hash: of body and witnesses.
    #[must_use]
    pub fn full_hash(&self) -> FullHash {
        FullHash(sha256d(&encode(self)))
    }

    /// Bytes of the whole.
    #[must_use]
    pub fn size(&self) -> usize {
        encoded_length(self)
    }

    /// Whether it has the form of a coinbase: no inputs, no authors, bound to one height.
    #[must_use]
    pub fn is_coinbase(&self) -> bool {
        self.body.inputs.is_empty() && self.body.authors.is_empty() && self.witnesses.is_empty()
    }

    /// The coinbase of a block: bound to its height by lock time and last height.
    #[must_use]
    pub fn coinbase(height: Height, outputs: Vec<Output>) -> Transaction {
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs,
            authors: Vec::new(),
            lock_time: height.0,
            last_height: height.0,
            nonce: u64::from(height.0),
        };
        Transaction { body, witnesses: Vec::new() }
    }

    /// Index and operation of every operation, in order.
    pub fn operations(&self) -> impl Iterator<Item = (u32, &Operation)> {
        (0u32..).zip(&self.body.outputs).flat_map(|(index, output)| output.operations.iter().map(move |op| (index, op)))
    }
}

/// Who answers for a transaction, as its witnesses show. Rules judge by body and coins; in a valid transaction both
/// agree. See docs/protocol/witness.md.
impl Transaction {
    /// Number of inputs covered in part; as many witnesses stand last.
    #[must_use]
    pub fn part_inputs(&self) -> usize {
        self.body.inputs.iter().filter(|input| input.coverage == Coverage::Part).count()
    }

    /// The witness of the input at `index`, if it is covered in part.
    #[must_use]
    pub fn part_witness(&self, index: usize) -> Option<&Witness> {
        self.body.inputs.get(index).filter(|input| input.coverage == Coverage::Part)?;
        let earlier = self.body.inputs.iter().take(index).filter(|i| i.coverage == Coverage::Part).count();
        let first = self.witnesses.len().checked_sub(self.part_inputs())?;
        self.witnesses.get(first.checked_add(earlier)?)
    }

    /// The locks that answer for the operations of the output at `index`: the owner of the same-index input if that
    /// is covered in part; otherwise the authors; otherwise the owners of full inputs.
    #[must_use]
    pub fn answering_locks(&self, index: u32) -> Vec<Lock> {
        if let Some(witness) = self.part_witness(index as usize) {
            return witness.lock().into_iter().collect();
        }
        if !self.body.authors.is_empty() {
            return self.body.authors.clone();
        }
        let full = self.witnesses.len().saturating_sub(self.part_inputs());
        self.witnesses.iter().take(full).filter_map(Witness::lock).collect()
    }
}

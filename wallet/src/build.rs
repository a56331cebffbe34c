//! Building of transactions. Coins are chosen elsewhere: what is built here gives authority and needs none.

use rota_chain::amount::Height;
use rota_chain::lock::Lock;
use rota_chain::transaction::{Body, Output, TRANSACTION_VERSION, Transaction};

/// An unsigned transaction without inputs, for publishing, granting and creating: `authors` answer for it, and it is
/// valid up to `last_height`. `nonce` is random, so that equal content gives different ids.
#[must_use]
pub fn data_transaction(authors: Vec<Lock>, outputs: Vec<Output>, last_height: Height, nonce: u64) -> Transaction {
    let body = Body {
        version: TRANSACTION_VERSION,
        inputs: Vec::new(),
        outputs,
        authors,
        lock_time: 0,
        last_height: last_height.0,
        nonce,
    };
    Transaction { body, witnesses: Vec::new() }
}

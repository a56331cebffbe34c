//! What is mine: keys, watched addresses, their encryption at rest, and building and signing of transactions.
//! No chain state here: owners of coins are asked of the caller.

pub mod address;
pub mod build;
mod cipher;
mod dump;
mod encryption;
pub mod error;
mod keypool;
mod record;
pub mod select;
pub mod sign;
mod store;
pub mod wallet;

pub use address::AddressInfo;
pub use cipher::MAX_PASSPHRASE;
pub use dump::Imported;
pub use encryption::EncryptionState;
pub use error::WalletError;
pub use keypool::MAX_KEYPOOL;
pub use record::{MAX_LABEL, reread as reread_record, samples as sample_records};
pub use sign::Completeness;
pub use wallet::Wallet;

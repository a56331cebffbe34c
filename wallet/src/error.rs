//! What can go wrong with a wallet, with stable codes.

use std::path::{Path, PathBuf};

use crate::cipher::MAX_PASSPHRASE;
use crate::keypool::MAX_KEYPOOL;
use crate::record::MAX_LABEL;
use crate::store::MAX_WALLET_FILE;

/// Why the wallet refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// No private key of this address is here.
    #[error("the wallet holds no private key of this address")]
    NotFound,
    /// The address is not one key's: it has no private key or message signature.
    #[error("the address belongs to several keys, one key's is needed")]
    NotOneKey,
    /// A secret is needed and the wallet is locked.
    #[error("the wallet is locked: unlock it with walletpassphrase first")]
    Locked,
    /// A new key is needed, the wallet is locked and no spare key is left.
    #[error("no spare key is left: unlock the wallet and call keypoolrefill")]
    KeypoolRanOut,
    /// The passphrase does not open the wallet.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The wallet is not encrypted.
    #[error("the wallet is not encrypted")]
    NotEncrypted,
    /// The wallet is encrypted already.
    #[error("the wallet is encrypted already: use walletpassphrasechange")]
    AlreadyEncrypted,
    /// A passphrase of no or too many bytes.
    #[error("a passphrase has 1 to {MAX_PASSPHRASE} bytes, got {0}")]
    Passphrase(usize),
    /// A label of too many bytes.
    #[error("a label has at most {MAX_LABEL} bytes, got {0}")]
    Label(usize),
    /// Too large a key pool.
    #[error("the key pool holds at most {MAX_KEYPOOL} keys, got {0}")]
    KeypoolSize(u32),
    /// Bytes that are no private key.
    #[error("the entropy given is no private key")]
    Entropy,
    /// m and n of a multisignature address do not fit together.
    #[error("{required} of {keys} keys is no multisignature address: 1 <= required <= keys <= 16")]
    Multisig {
        /// Signatures needed.
        required: u8,
        /// Keys given.
        keys: usize,
    },
    /// A header names another miner than the key that is to sign it.
    #[error("the block names another miner than the address that is to sign it")]
    NotMiner,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(String),
    /// The wallet file is damaged before its end: no key may be dropped silently.
    #[error("the wallet file {path} is damaged at byte {offset}: {reason}; restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What was found.
        reason: String,
    },
    /// The wallet file was written by a later version.
    #[error("the wallet file {path} has format {format}, this program knows up to {known}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest known.
        known: u32,
    },
    /// The wallet file would grow beyond what is read back.
    #[error("the wallet file would exceed {MAX_WALLET_FILE} bytes")]
    Full,
    /// A backup or dump onto the wallet file itself.
    #[error("{0} is the wallet file itself")]
    SameFile(PathBuf),
    /// A backup or dump onto a file that is neither, or is another wallet with keys of its own.
    #[error("{0} is there already and is no dump or older backup of this wallet, so it is not written over")]
    Foreign(PathBuf),
    /// A dump that is not text, or too long.
    #[error("{path} is no wallet dump: {reason}")]
    NotADump {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A file given by the caller cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The wallet file was replaced, and the former one could not be got rid of.
    #[error(
        "the new passphrase holds, but what the wallet file held before may still be on the disk, and may be back after a loss of power: {0}"
    )]
    FormerFile(Box<WalletError>),
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl WalletError {
    /// The stable code that logs, RPC, docs and tests quote.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            WalletError::NotFound => "wallet-key-not-found",
            WalletError::NotOneKey => "wallet-not-one-key",
            WalletError::Locked => "wallet-locked",
            WalletError::KeypoolRanOut => "wallet-keypool-empty",
            WalletError::WrongPassphrase => "wallet-passphrase-wrong",
            WalletError::NotEncrypted => "wallet-not-encrypted",
            WalletError::AlreadyEncrypted => "wallet-already-encrypted",
            WalletError::Passphrase(_) => "wallet-passphrase-length",
            WalletError::Label(_) => "wallet-label-length",
            WalletError::KeypoolSize(_) => "wallet-keypool-size",
            WalletError::Entropy => "wallet-entropy",
            WalletError::Multisig { .. } => "wallet-multisig",
            WalletError::NotMiner => "wallet-not-miner",
            WalletError::Randomness(_) => "wallet-randomness",
            WalletError::Damaged { .. } => "wallet-damaged",
            WalletError::Format { .. } => "wallet-format",
            WalletError::Full => "wallet-full",
            WalletError::SameFile(_) => "wallet-same-file",
            WalletError::Foreign(_) => "wallet-foreign-file",
            WalletError::NotADump { .. } => "wallet-not-a-dump",
            WalletError::Open { .. } => "wallet-open",
            WalletError::FormerFile(_) => "wallet-former-file",
            WalletError::Io { .. } => "wallet-io",
        }
    }

    /// The number that RPC answers carry.
    #[must_use]
    pub const fn rpc_code(&self) -> i32 {
        match self {
            WalletError::NotFound => -709,
            WalletError::NotOneKey => -5,
            WalletError::Locked => -13,
            WalletError::KeypoolRanOut => -12,
            WalletError::WrongPassphrase => -14,
            WalletError::NotEncrypted | WalletError::AlreadyEncrypted => -15,
            WalletError::Passphrase(_)
            | WalletError::Label(_)
            | WalletError::KeypoolSize(_)
            | WalletError::SameFile(_)
            | WalletError::Foreign(_) => -8,
            WalletError::Multisig { .. } => -1,
            WalletError::Open { .. } => -717,
            WalletError::Entropy
            | WalletError::NotMiner
            | WalletError::Randomness(_)
            | WalletError::Damaged { .. }
            | WalletError::Format { .. }
            | WalletError::Full
            | WalletError::NotADump { .. }
            | WalletError::FormerFile(_)
            | WalletError::Io { .. } => -4,
        }
    }

    /// Says which file failed.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> WalletError + '_ {
        |source| WalletError::Io { path: path.to_owned(), source }
    }

    /// Says which file of the caller's cannot be opened.
    pub(crate) fn open(path: &Path) -> impl FnOnce(std::io::Error) -> WalletError + '_ {
        |source| WalletError::Open { path: path.to_owned(), source }
    }
}

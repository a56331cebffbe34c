//! What an index is kept of.

use std::fmt;

use rota_chain::hash::Txid;

use crate::key::Key;

/// What an index is kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A stream's items, or an asset's transactions.
    Entity(Txid),
    /// The transactions of this node's addresses.
    Wallet,
    /// The same, made anew because an address with a past came in; takes the place of [`Subject::Wallet`] when done.
    WalletAnew,
    /// Every transaction by its addresses, for explorers.
    Explorer,
}

impl Subject {
    /// The entity, none for other subjects.
    #[must_use]
    pub const fn entity(self) -> Option<Txid> {
        match self {
            Subject::Entity(txid) => Some(txid),
            Subject::Wallet | Subject::WalletAnew | Subject::Explorer => None,
        }
    }
}

impl From<Txid> for Subject {
    fn from(txid: Txid) -> Subject {
        Subject::Entity(txid)
    }
}

impl From<&Txid> for Subject {
    fn from(txid: &Txid) -> Subject {
        Subject::Entity(*txid)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Entity(txid) => write!(f, "entity {txid}"),
            Subject::Wallet | Subject::WalletAnew => f.write_str("the wallet"),
            Subject::Explorer => f.write_str("all addresses"),
        }
    }
}

/// A tag, and an entity's id after its own.
impl Key for Subject {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Subject::Entity(txid) => {
                out.push(0);
                txid.write(out);
            }
            Subject::Wallet => out.push(1),
            Subject::WalletAnew => out.push(2),
            Subject::Explorer => out.push(3),
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Subject> {
        match <u8 as Key>::read(bytes)? {
            0 => Key::read(bytes).map(Subject::Entity),
            1 => Some(Subject::Wallet),
            2 => Some(Subject::WalletAnew),
            3 => Some(Subject::Explorer),
            _ => None,
        }
    }
}

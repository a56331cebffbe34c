//! What refusals tell programs besides their sentence: the values that a rule looked at.

use std::fmt::Display;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::hash::{BlockHash, StateHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_chain::transaction::OutPoint;
use rota_chain::witness::WitnessError;

/// A value in a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A count, size, height, time or amount in raw units.
    Number(u64),
    /// Anything that has a text of its own.
    Text(String),
    /// A lock: its text is an address, which depends on the chain.
    Lock(Lock),
}

impl Fact {
    /// The value as text, locks as `address` writes them.
    #[must_use]
    pub fn text(&self, address: &dyn Fn(&Lock) -> String) -> String {
        match self {
            Fact::Number(number) => number.to_string(),
            Fact::Text(text) => text.clone(),
            Fact::Lock(lock) => address(lock),
        }
    }
}

/// A field of a rule that can be told.
pub(super) trait ToFact {
    fn to_fact(&self) -> Fact;
}

macro_rules! numbers {
    ($($type:ty: $number:expr;)*) => {
        $(impl ToFact for $type {
            fn to_fact(&self) -> Fact {
                let number: fn(&$type) -> u64 = $number;
                Fact::Number(number(self))
            }
        })*
    };
}

numbers! {
    u32: |number| u64::from(*number);
    u64: |number| *number;
    usize: |number| u64::try_from(*number).unwrap_or(u64::MAX);
    Height: |height| u64::from(height.0);
    Timestamp: |time| u64::from(time.0);
    Amount: |amount| amount.0;
}

macro_rules! texts {
    ($($type:ty),*) => {
        $(impl ToFact for $type {
            fn to_fact(&self) -> Fact {
                text(self)
            }
        })*
    };
}

texts!(String, &'static str, Txid, BlockHash, StateHash, OutPoint, Permission, WitnessError);

fn text(value: &impl Display) -> Fact {
    Fact::Text(value.to_string())
}

impl ToFact for Lock {
    fn to_fact(&self) -> Fact {
        Fact::Lock(*self)
    }
}

impl ToFact for KeyHash {
    fn to_fact(&self) -> Fact {
        Fact::Lock(Lock::Key(*self))
    }
}

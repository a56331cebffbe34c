//! The consensus state: its keys and values, the view rules read it through, and overlays that collect changes.
//! See docs/protocol/state.md.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::{Amount, Height};
use rota_chain::asset::{AssetQuantity, AssetRules};
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::multiset::Multiset;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::StreamRestriction;
use rota_chain::transaction::OutPoint;
use rota_chain::upgrade::ParameterChange;

use crate::ops::upgrade::Skip;

/// Names one element of the state. The order of variants and fields is the order of keys on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum StateKey {
    /// One right of one address.
    Permission(PermissionKey),
    /// An entity by its creating transaction.
    Entity(Txid),
    /// An entity's name, ASCII letters folded to lower case.
    Name(Vec<u8>),
    /// An unspent output.
    Coin(OutPoint),
    /// The last block of a miner, where miners are permitted by grant.
    LastMined(KeyHash),
    /// A token of an asset that is not fungible.
    Token(Txid, Vec<u8>),
    /// Votes on an upgrade.
    Approval(Txid),
    /// Upgrades that are approved and not due yet.
    PendingUpgrades,
    /// Parameters that upgrades have changed.
    Parameters,
}

/// One right of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct PermissionKey {
    /// The entity, none for the whole chain.
    pub entity: Option<Txid>,
    /// The right.
    pub permission: Permission,
    /// The holder.
    pub address: Lock,
}

/// The value of one element.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum StateValue {
    /// Of [`StateKey::Permission`].
    Permission(PermissionRecord),
    /// Of [`StateKey::Entity`].
    Entity(Entity),
    /// Of [`StateKey::Name`]: the creating transaction.
    Name(Txid),
    /// Of [`StateKey::Coin`].
    Coin(Coin),
    /// Of [`StateKey::LastMined`].
    LastMined(Height),
    /// Of [`StateKey::Token`]: the issuing transaction.
    Token(Txid),
    /// Of [`StateKey::Approval`].
    Approval(Approval),
    /// Of [`StateKey::PendingUpgrades`]: in the order of their approval.
    PendingUpgrades(Vec<Txid>),
    /// Of [`StateKey::Parameters`]: by position in the table of parameters.
    Parameters(Vec<UpgradedParameter>),
}

/// Votes on an upgrade, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Approval {
    /// Administrators who are for it, in the order of their votes.
    pub votes: Vec<Lock>,
    /// The block that brought enough of them: from then on it cannot be withdrawn.
    pub approved: Option<Height>,
    /// The block at whose end it changed the parameters.
    pub applied: Option<Height>,
    /// Changes, by position, that it did not make.
    pub skipped: Vec<(u32, Skip)>,
}

/// A parameter that an upgrade has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct UpgradedParameter {
    /// Position in the table of parameters.
    pub parameter: u8,
    /// The value; truth values are 0 and 1.
    pub value: i64,
    /// The block at whose end it changed last.
    pub height: Height,
}

/// An administrator's open vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// Who voted.
    pub admin: Lock,
    /// For which range.
    pub range: BlockRange,
    /// Unix seconds, as the vote states.
    pub timestamp: u32,
    /// Block it was cast in.
    pub height: Height,
}

/// A right's range, who set it, and open votes to change it.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PermissionRecord {
    /// When the right holds.
    pub range: BlockRange,
    /// Those whose grants or votes produced the range.
    pub granters: Vec<Lock>,
    /// Votes not yet enough, in the order cast.
    pub votes: Vec<Vote>,
}

/// An entity: what rules need to know of it. Details stay in the creating transaction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Entity {
    /// Its kind and what depends on that.
    pub kind: EntityKind,
    /// The name as given, may be empty.
    pub name: Vec<u8>,
    /// Who created it.
    pub creators: Vec<Lock>,
    /// Block of the creating transaction (the next one while it waits in the pool).
    pub height: Height,
    /// First byte of the creating transaction in the block's canonical bytes (0 while it waits in the pool).
    pub offset: u32,
}

/// What kind of entity.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EntityKind {
    /// A stream.
    Stream {
        /// What is forbidden.
        restriction: StreamRestriction,
        /// Whether off-chain chunks are salted.
        salted: bool,
    },
    /// An asset.
    Asset {
        /// Raw units a displayed unit.
        multiple: u64,
        /// What is allowed now.
        rules: AssetRules,
        /// Raw units issued so far.
        issued: u64,
    },
    /// A variable: the transaction that set its value last.
    Variable {
        /// Whether setting needs the write permission.
        restrict_write: bool,
        /// Where the value stands.
        last: Txid,
    },
    /// An upgrade.
    Upgrade {
        /// First block at whose end it may apply.
        start: u32,
        /// The changes.
        changes: Vec<ParameterChange>,
    },
}

/// An unspent output.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Coin {
    /// Who may spend it.
    pub owner: Lock,
    /// Native currency.
    pub amount: Amount,
    /// Asset quantities, all of existing assets.
    pub assets: Vec<AssetQuantity>,
    /// Block of the transaction.
    pub height: Height,
    /// Whether it is a reward, spendable after a delay.
    pub coinbase: bool,
}

/// The state could not be read: a fault of storage, never a verdict on a block.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the state cannot be read: {0}")]
pub struct StateError(pub String);

/// A right's holder and record, as [`StateView::holders`] lists them.
pub type Holder = (Lock, PermissionRecord);

/// What rules read. Implementations: the stored state, and [`Overlay`]s over it.
pub trait StateView {
    /// The value of an element, none if absent.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn get(&self, key: &StateKey) -> Result<Option<StateValue>, StateError>;

    /// All records of one right on one entity, whether or not their range holds now, in order of address.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn holders(&self, entity: Option<Txid>, permission: Permission) -> Result<Vec<Holder>, StateError>;

    /// Height of the block of this branch that holds the transaction.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn transaction_height(&self, txid: &Txid) -> Result<Option<Height>, StateError>;

    /// The record of a right.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn permission(&self, key: PermissionKey) -> Result<Option<PermissionRecord>, StateError> {
        Ok(match self.get(&StateKey::Permission(key))? {
            Some(StateValue::Permission(record)) => Some(record),
            _ => None,
        })
    }

    /// An entity by its creating transaction.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn entity(&self, txid: &Txid) -> Result<Option<Entity>, StateError> {
        Ok(match self.get(&StateKey::Entity(*txid))? {
            Some(StateValue::Entity(entity)) => Some(entity),
            _ => None,
        })
    }

    /// The entity of a name, ASCII letters of either case.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn entity_named(&self, name: &[u8]) -> Result<Option<Txid>, StateError> {
        Ok(match self.get(&StateKey::Name(name.to_ascii_lowercase()))? {
            Some(StateValue::Name(txid)) => Some(txid),
            _ => None,
        })
    }

    /// An unspent output.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn coin(&self, outpoint: OutPoint) -> Result<Option<Coin>, StateError> {
        Ok(match self.get(&StateKey::Coin(outpoint))? {
            Some(StateValue::Coin(coin)) => Some(coin),
            _ => None,
        })
    }

    /// The transaction that issued a token.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn token(&self, asset: &Txid, token: &[u8]) -> Result<Option<Txid>, StateError> {
        Ok(match self.get(&StateKey::Token(*asset, token.to_vec()))? {
            Some(StateValue::Token(txid)) => Some(txid),
            _ => None,
        })
    }

    /// Votes on an upgrade.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn approval(&self, upgrade: &Txid) -> Result<Option<Approval>, StateError> {
        Ok(match self.get(&StateKey::Approval(*upgrade))? {
            Some(StateValue::Approval(approval)) => Some(approval),
            _ => None,
        })
    }

    /// Upgrades that are approved and not due yet.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn pending_upgrades(&self) -> Result<Vec<Txid>, StateError> {
        Ok(match self.get(&StateKey::PendingUpgrades)? {
            Some(StateValue::PendingUpgrades(pending)) => pending,
            _ => Vec::new(),
        })
    }

    /// Parameters that upgrades have changed.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn upgraded_parameters(&self) -> Result<Vec<UpgradedParameter>, StateError> {
        Ok(match self.get(&StateKey::Parameters)? {
            Some(StateValue::Parameters(upgraded)) => upgraded,
            _ => Vec::new(),
        })
    }

    /// Height of a miner's last block on this branch.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    fn last_mined(&self, miner: KeyHash) -> Result<Option<Height>, StateError> {
        Ok(match self.get(&StateKey::LastMined(miner))? {
            Some(StateValue::LastMined(height)) => Some(height),
            _ => None,
        })
    }
}

impl<V: StateView + ?Sized> StateView for &V {
    fn get(&self, key: &StateKey) -> Result<Option<StateValue>, StateError> {
        (**self).get(key)
    }

    fn holders(&self, entity: Option<Txid>, permission: Permission) -> Result<Vec<Holder>, StateError> {
        (**self).holders(entity, permission)
    }

    fn transaction_height(&self, txid: &Txid) -> Result<Option<Height>, StateError> {
        (**self).transaction_height(txid)
    }
}

impl<V: StateView + ?Sized> StateView for Arc<V> {
    fn get(&self, key: &StateKey) -> Result<Option<StateValue>, StateError> {
        (**self).get(key)
    }

    fn holders(&self, entity: Option<Txid>, permission: Permission) -> Result<Vec<Holder>, StateError> {
        (**self).holders(entity, permission)
    }

    fn transaction_height(&self, txid: &Txid) -> Result<Option<Height>, StateError> {
        (**self).transaction_height(txid)
    }
}

/// One element before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The value before, none if absent.
    pub before: Option<StateValue>,
    /// The value after, none if absent.
    pub after: Option<StateValue>,
}

/// Changes of the state as data: what a transaction or block does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Changed elements.
    pub elements: BTreeMap<StateKey, Change>,
    /// Transactions that came to stand on the branch (with their height) or left it (none).
    pub transactions: BTreeMap<Txid, Option<Height>>,
}

impl Changes {
    /// Adds later changes to these.
    pub fn absorb(&mut self, later: Changes) {
        for (key, change) in later.elements {
            match self.elements.get_mut(&key) {
                Some(earlier) => earlier.after = change.after,
                None => {
                    self.elements.insert(key, change);
                }
            }
        }
        self.transactions.extend(later.transactions);
    }

    /// Brings a multiset hash from the state before to the state after. Two element hashes a changed element.
    pub fn apply_to(&self, multiset: &mut Multiset) {
        for (key, change) in &self.elements {
            if change.before == change.after {
                continue;
            }
            if let Some(before) = &change.before {
                multiset.remove(&element(key, before));
            }
            if let Some(after) = &change.after {
                multiset.add(&element(key, after));
            }
        }
    }

    /// Whether a range of a global admin or mine right changes: what lock-admin-mine-rounds protects.
    #[must_use]
    pub fn changes_governance(&self) -> bool {
        self.elements.iter().any(|(key, change)| {
            let StateKey::Permission(PermissionKey { entity: None, permission, .. }) = key else {
                return false;
            };
            matches!(permission, Permission::Admin | Permission::Mine) && range(&change.before) != range(&change.after)
        })
    }
}

fn range(value: &Option<StateValue>) -> BlockRange {
    match value {
        Some(StateValue::Permission(record)) => record.range,
        _ => BlockRange::NEVER,
    }
}

/// The bytes an element has in the multiset hash: key, then value.
#[must_use]
pub fn element(key: &StateKey, value: &StateValue) -> Vec<u8> {
    let mut bytes = encode(key);
    bytes.extend_from_slice(&encode(value));
    bytes
}

/// A view with changes on top of another.
#[derive(Debug)]
pub struct Overlay<V> {
    base: V,
    changes: Changes,
}

impl<V: StateView> Overlay<V> {
    /// An overlay without changes.
    pub fn new(base: V) -> Overlay<V> {
        Overlay { base, changes: Changes::default() }
    }

    /// The view below.
    pub fn base(&self) -> &V {
        &self.base
    }

    /// The changes so far.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The changes, giving up the view.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    /// Adds changes made on top of this overlay.
    pub fn absorb(&mut self, changes: Changes) {
        self.changes.absorb(changes);
    }

    /// Sets or removes an element.
    ///
    /// # Errors
    /// [`StateError`] if the value before cannot be read.
    pub fn put(&mut self, key: StateKey, after: Option<StateValue>) -> Result<(), StateError> {
        if let Some(change) = self.changes.elements.get_mut(&key) {
            change.after = after;
            return Ok(());
        }
        let before = self.base.get(&key)?;
        self.changes.elements.insert(key, Change { before, after });
        Ok(())
    }

    /// Notes that a transaction stands on the branch, or no longer does.
    pub fn put_transaction(&mut self, txid: Txid, height: Option<Height>) {
        self.changes.transactions.insert(txid, height);
    }
}

impl<V: StateView> StateView for Overlay<V> {
    fn get(&self, key: &StateKey) -> Result<Option<StateValue>, StateError> {
        match self.changes.elements.get(key) {
            Some(change) => Ok(change.after.clone()),
            None => self.base.get(key),
        }
    }

    fn holders(&self, entity: Option<Txid>, permission: Permission) -> Result<Vec<Holder>, StateError> {
        let mut holders: BTreeMap<Lock, PermissionRecord> =
            self.base.holders(entity, permission)?.into_iter().collect();
        let lowest = Lock::Key(KeyHash([0; 20]));
        let first = StateKey::Permission(PermissionKey { entity, permission, address: lowest });
        for (key, change) in self.changes.elements.range(first..) {
            let StateKey::Permission(key) = key else {
                break;
            };
            if key.entity != entity || key.permission != permission {
                break;
            }
            match &change.after {
                Some(StateValue::Permission(record)) => {
                    holders.insert(key.address, record.clone());
                }
                _ => {
                    holders.remove(&key.address);
                }
            }
        }
        Ok(holders.into_iter().collect())
    }

    fn transaction_height(&self, txid: &Txid) -> Result<Option<Height>, StateError> {
        match self.changes.transactions.get(txid) {
            Some(height) => Ok(*height),
            None => self.base.transaction_height(txid),
        }
    }
}

/// A state in memory: the empty state of a chain before genesis, and of tests and simulations.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    elements: BTreeMap<StateKey, StateValue>,
    transactions: BTreeMap<Txid, Height>,
}

impl MemoryState {
    /// Takes over changes.
    pub fn commit(&mut self, changes: Changes) {
        for (key, change) in changes.elements {
            match change.after {
                Some(value) => self.elements.insert(key, value),
                None => self.elements.remove(&key),
            };
        }
        for (txid, height) in changes.transactions {
            match height {
                Some(height) => self.transactions.insert(txid, height),
                None => self.transactions.remove(&txid),
            };
        }
    }

    /// The multiset of all elements, computed anew.
    #[must_use]
    pub fn multiset(&self) -> Multiset {
        let mut multiset = Multiset::new();
        for (key, value) in &self.elements {
            multiset.add(&element(key, value));
        }
        multiset
    }
}

impl StateView for MemoryState {
    fn get(&self, key: &StateKey) -> Result<Option<StateValue>, StateError> {
        Ok(self.elements.get(key).cloned())
    }

    fn holders(&self, entity: Option<Txid>, permission: Permission) -> Result<Vec<Holder>, StateError> {
        let lowest = Lock::Key(KeyHash([0; 20]));
        let first = StateKey::Permission(PermissionKey { entity, permission, address: lowest });
        let mut holders = Vec::new();
        for (key, value) in self.elements.range(first..) {
            match (key, value) {
                (StateKey::Permission(key), StateValue::Permission(record))
                    if key.entity == entity && key.permission == permission =>
                {
                    holders.push((key.address, record.clone()));
                }
                _ => break,
            }
        }
        Ok(holders)
    }

    fn transaction_height(&self, txid: &Txid) -> Result<Option<Height>, StateError> {
        Ok(self.transactions.get(txid).copied())
    }
}

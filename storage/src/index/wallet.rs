//! The wallet's index: which addresses it lists, and how an address with a past comes in.

use std::collections::HashMap;

use borsh::BorshDeserialize;
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::lock::Lock;
use rota_crash::{Point, reached};

use crate::error::{Result, StorageError};
use crate::index::party::MemberRow;
use crate::index::subscription::drop_rows;
use crate::index::{Indexes, Subject, SubscriptionRow};
use crate::kv::{Batch, Database, Durability, Read};
use crate::store::{Store, WriterState};
use crate::table::{INDEX_ADDRESS, SUBSCRIPTION};

/// Addresses by the number of the index that lists them.
pub(crate) type Members = HashMap<u32, HashMap<Lock, MemberRow>>;

/// An address that the wallet's index is to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletAddress {
    /// The address.
    pub lock: Lock,
    /// Whether the wallet can sign for it.
    pub mine: bool,
    /// The first block to look through for it, none if it has no past: a key made just now, or one whose past is not
    /// asked for.
    pub past: Option<Height>,
}

/// The addresses of all indexes.
pub(crate) fn read_members(database: &Database) -> Result<Members> {
    let mut members = Members::new();
    for row in database.scan(&INDEX_ADDRESS, &())? {
        let ((id, bytes), row) = row?;
        let lock = Lock::try_from_slice(&bytes)
            .map_err(|error| StorageError::Corrupt(format!("an address in an index: {error}")))?;
        members.entry(id).or_default().insert(lock, row);
    }
    Ok(members)
}

impl Store {
    /// Lists transactions of these addresses from now on. True if one with a past came in: then the index is made anew
    /// beside the present one, which goes on answering, and [`Store::index_history`] of [`Subject::WalletAnew`] has to
    /// be called until it is complete. The first call makes the index.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn add_wallet_addresses(&self, addresses: &[WalletAddress]) -> Result<bool> {
        let mut writer = self.writer();
        let next = self.next_height()?;
        let mut batch = self.database().batch();
        let (row, fresh) = match writer.subscriptions.get(&Subject::Wallet) {
            Some(row) => (*row, false),
            None => (self.begin(&mut batch, Indexes::ALL, false, false)?, true),
        };
        let mut known = writer.members.get(&row.id).cloned().unwrap_or_default();
        let new: Vec<&WalletAddress> = addresses.iter().filter(|address| is_news(&known, address)).collect();
        if new.is_empty() && !fresh {
            return Ok(writer.subscriptions.contains_key(&Subject::WalletAnew));
        }
        let mut added: Vec<(u32, Lock, MemberRow)> = Vec::new();
        for address in &new {
            let member = entered(known.get(&address.lock), address.mine, next);
            known.insert(address.lock, member);
            added.push((row.id, address.lock, member));
        }
        let old = writer.subscriptions.get(&Subject::WalletAnew).copied();
        let rescans = next.0 > 0 && new.iter().any(|address| address.past.is_some());
        let anew = match (rescans, old) {
            (true, _) => {
                let begun = self.begin_anew(&mut batch, row, old)?;
                let before = old.and_then(|old| writer.members.get(&old.id).cloned());
                let members = members_anew(known, before, &new);
                added.extend(members.into_iter().map(|(lock, member)| (begun.id, lock, member)));
                Some(begun)
            }
            (false, Some(old)) => {
                let before = writer.members.get(&old.id).cloned().unwrap_or_default();
                let entered = new.iter().map(|new| (new.lock, entered(before.get(&new.lock), new.mine, next)));
                added.extend(entered.map(|(lock, member)| (old.id, lock, member)));
                None
            }
            (false, None) => None,
        };
        batch.put(&SUBSCRIPTION, &Subject::Wallet, &row)?;
        for (id, lock, member) in &added {
            batch.put(&INDEX_ADDRESS, &(*id, encode(lock)), member)?;
        }
        self.database().write(batch, Durability::Written)?;
        reached(Point::WalletIndexed);
        writer.subscriptions.insert(Subject::Wallet, row);
        if let Some(begun) = anew
            && let Some(old) = writer.subscriptions.insert(Subject::WalletAnew, begun)
        {
            writer.members.remove(&old.id);
        }
        for (id, lock, member) in added {
            writer.members.entry(id).or_default().insert(lock, member);
        }
        Ok(writer.subscriptions.contains_key(&Subject::WalletAnew))
    }

    /// Begins an index of the wallet anew, in the place of one that was begun before.
    fn begin_anew(
        &self,
        batch: &mut Batch,
        row: SubscriptionRow,
        old: Option<SubscriptionRow>,
    ) -> Result<SubscriptionRow> {
        if let Some(old) = old {
            drop_rows(batch, old.id)?;
        }
        let mut begun = self.begin(batch, row.indexes, row.retrieve, true)?;
        if begun.id <= row.id {
            // Both were begun in this batch, which the database does not know of yet.
            begun.id = row.id + 1;
            let next = u64::from(begun.id) + 1;
            batch.put(&crate::table::META, &crate::table::Meta::NextSubscription.key(), &next)?;
        }
        batch.put(&SUBSCRIPTION, &Subject::WalletAnew, &begun)?;
        Ok(begun)
    }

    /// The addresses that the wallet's index lists, and whether the wallet could sign for each.
    #[must_use]
    pub fn wallet_members(&self) -> Vec<(Lock, bool)> {
        let writer = self.writer();
        let members = writer.subscriptions.get(&Subject::Wallet).and_then(|row| writer.members.get(&row.id));
        members.into_iter().flatten().map(|(lock, row)| (*lock, row.mine.is_some())).collect()
    }

    /// Whether the wallet's index lists an address, and whether its past too.
    #[must_use]
    pub fn wallet_member(&self, lock: &Lock) -> Option<MemberRow> {
        let writer = self.writer();
        let row = writer.subscriptions.get(&Subject::Wallet)?;
        writer.members.get(&row.id)?.get(lock).copied()
    }
}

impl WriterState {
    /// Writes that the index made anew takes the place of the wallet's.
    pub(crate) fn write_replacement(&self, batch: &mut Batch, row: SubscriptionRow) -> Result<()> {
        if let Some(old) = self.subscriptions.get(&Subject::Wallet) {
            drop_rows(batch, old.id)?;
        }
        batch.delete(&SUBSCRIPTION, &Subject::WalletAnew)?;
        batch.put(&SUBSCRIPTION, &Subject::Wallet, &row)
    }

    /// Takes over [`WriterState::write_replacement`] once it is written.
    pub(crate) fn replace_wallet(&mut self, row: SubscriptionRow) {
        self.subscriptions.remove(&Subject::WalletAnew);
        if let Some(old) = self.subscriptions.insert(Subject::Wallet, row) {
            self.members.remove(&old.id);
        }
    }
}

/// Whether an address is not listed yet, or listed without a key that the wallet has now or the past asked for.
fn is_news(known: &HashMap<Lock, MemberRow>, address: &WalletAddress) -> bool {
    let lacks =
        |row: &MemberRow| (address.mine && row.mine.is_none()) || address.past.is_some_and(|past| past < row.since);
    known.get(&address.lock).is_none_or(lacks)
}

/// The row of an address that comes in at `next`.
fn entered(known: Option<&MemberRow>, mine: bool, next: Height) -> MemberRow {
    let since = known.map_or(next, |row| row.since);
    MemberRow { since, mine: known.and_then(|row| row.mine).or(mine.then_some(next)) }
}

/// The addresses of an index made anew: those known, with all past that is known of or asked for.
fn members_anew(
    known: HashMap<Lock, MemberRow>,
    before: Option<HashMap<Lock, MemberRow>>,
    new: &[&WalletAddress],
) -> HashMap<Lock, MemberRow> {
    let mut members = known;
    for (lock, row) in before.unwrap_or_default() {
        members.entry(lock).and_modify(|member| *member = earlier(*member, row)).or_insert(row);
    }
    for address in new {
        let Some(past) = address.past else { continue };
        let asked = MemberRow { since: past, mine: address.mine.then_some(past) };
        members.entry(address.lock).and_modify(|member| *member = earlier(*member, asked)).or_insert(asked);
    }
    members
}

fn earlier(one: MemberRow, other: MemberRow) -> MemberRow {
    let mine = match (one.mine, other.mine) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    MemberRow { since: one.since.min(other.since), mine }
}

#[cfg(test)]
mod tests;

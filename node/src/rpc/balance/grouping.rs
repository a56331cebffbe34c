//! Groups of addresses that the chain shows to be of one owner: transactions of the wallet spent their coins together, or
//! gave change to one of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rota_api::error::RpcError;
use rota_api::params::Params;
use rota_chain::lock::Lock;
use rota_chain::transaction::Transaction;
use rota_chain::witness::Witness;
use rota_storage::index::party::MINE;
use rota_storage::index::{Order, Selector};
use serde_json::Value;

use super::{Book, Counting, wallet_locks};
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::decode::Moment;
use crate::rpc::resolve::storage_error;
use crate::rpc::wallet::history;

/// Newest transactions of the wallet that are looked through: each is read from the block files, 20 us or so.
const MOST_TRANSACTIONS: u64 = 20_000;

/// Sets that grow together: each address points to another of its set, or to itself.
#[derive(Debug, Default)]
struct Groups(HashMap<Lock, Lock>);

impl Groups {
    /// The address that stands for the set.
    fn head(&mut self, lock: Lock) -> Lock {
        let mut head = lock;
        while let Some(next) = self.0.get(&head).filter(|next| **next != head) {
            head = *next;
        }
        // Later looks are short.
        self.0.insert(lock, head);
        head
    }

    fn join(&mut self, together: impl IntoIterator<Item = Lock>) {
        let mut first = None;
        for lock in together {
            let head = self.head(lock);
            let first = *first.get_or_insert(head);
            self.0.insert(head, first);
        }
    }

    /// The sets, each in order.
    fn sets(mut self) -> Vec<BTreeSet<Lock>> {
        let members: Vec<Lock> = self.0.keys().copied().collect();
        let mut sets: BTreeMap<Lock, BTreeSet<Lock>> = BTreeMap::new();
        for lock in members {
            sets.entry(self.head(lock)).or_default().insert(lock);
        }
        sets.into_values().collect()
    }
}

/// The wallet's addresses that a transaction which spends coins shows to be of one owner: those that signed it, and those
/// for change, which stand in no list.
fn together(ctx: &Context, listed: &HashMap<Lock, String>, transaction: &Transaction) -> Vec<Lock> {
    if transaction.body.inputs.is_empty() {
        return Vec::new();
    }
    let signers = transaction.witnesses.iter().filter_map(Witness::lock).filter(|lock| ctx.wallet.is_mine(lock));
    let mut together: Vec<Lock> = signers.collect();
    if !together.is_empty() {
        let paid = transaction.body.outputs.iter().filter_map(|output| output.recipient);
        together.extend(paid.filter(|lock| !listed.contains_key(lock) && ctx.wallet.is_mine(lock)));
    }
    together
}

/// Answers `listaddressgroupings`: addresses with coins, and those spent together with them.
pub(super) fn listaddressgroupings(ctx: &Context, _params: &Params) -> Answer {
    let listed: HashMap<Lock, String> = ctx.wallet.locks().into_iter().map(|info| (info.lock, info.label)).collect();
    let mut groups = Groups::default();
    for owner in wallet_locks(ctx, false) {
        groups.join([owner]);
    }
    read_transactions(ctx, |transaction| groups.join(together(ctx, &listed, transaction)))?;
    let sets = groups.sets();
    let members: Vec<Lock> = sets.iter().flatten().copied().collect();
    let book = Book::open(ctx, &members, Counting::SPENDABLE);
    let mut shown = Vec::new();
    for set in sets {
        let (mut group, mut coins) = (Vec::with_capacity(set.len()), 0);
        for lock in &set {
            let tally = book.tally(lock)?;
            coins += tally.coins;
            let amount = book.moment.amount(i128::try_from(tally.amount).unwrap_or(i128::MAX));
            let mut entry: Vec<Value> = vec![book.moment.address(lock).into(), amount];
            entry.extend(listed.get(lock).filter(|label| !label.is_empty()).map(|label| Value::from(label.as_str())));
            group.push(Value::Array(entry));
        }
        if coins > 0 || group.len() > 1 {
            shown.push(Value::Array(group));
        }
    }
    Ok(Value::Array(shown))
}

/// Calls `read` for the newest transactions that the wallet signed or could have, waiting ones included.
fn read_transactions(ctx: &Context, mut read: impl FnMut(&Transaction)) -> Result<(), RpcError> {
    let moment = Moment::settled(ctx)?;
    let Some(reader) = history::index(&moment)? else { return Ok(()) };
    let size = reader.count(Order::Local, Selector::Key(MINE)).map_err(storage_error)?;
    let newest = size.saturating_sub(MOST_TRANSACTIONS)..size;
    for row in &reader.page(Order::Local, Selector::Key(MINE), newest).map_err(storage_error)? {
        if let Some(known) = moment.listed(row)?.filter(|known| known.valid) {
            read(&known.tx);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rota_chain::lock::KeyHash;

    use super::*;

    fn lock(seed: u8) -> Lock {
        Lock::Key(KeyHash([seed; 20]))
    }

    #[test]
    fn what_was_spent_together_is_one_group_through_any_number_of_transactions() {
        let mut groups = Groups::default();
        (1..=7).for_each(|seed| groups.join([lock(seed)]));
        groups.join([lock(2), lock(1)]);
        groups.join([lock(4), lock(3)]);
        groups.join([lock(5)]);
        groups.join([lock(3), lock(2), lock(3)]);
        groups.join([]);
        let sets: Vec<Vec<Lock>> = groups.sets().into_iter().map(|set| set.into_iter().collect()).collect();
        let expected = [vec![1, 2, 3, 4], vec![5], vec![6], vec![7]];
        let expected = expected.map(|seeds| seeds.into_iter().map(lock).collect::<Vec<Lock>>());
        assert!(sets.len() == 4 && expected.iter().all(|set| sets.contains(set)), "{sets:?}");
    }
}

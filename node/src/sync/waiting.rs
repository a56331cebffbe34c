//! Transactions refused for a cause that may pass: kept for a while, bounded for each peer that delivers them, and
//! tried again when the cause changes.

use std::collections::HashMap;
use std::time::Duration;

use rota_chain::hash::{FullHash, Txid};
use rota_chain::lock::KeyHash;
use rota_consensus::rule::{AssetRule, CoinRule, PermissionRule, Rule, StreamRule, UpgradeRule, VariableRule};

use super::Delivered;

/// Transactions one address may have waiting: an answer's worth.
const COUNT_A_PEER: usize = 1_000;
/// Bytes one address may have waiting: an answer's frame.
const BYTES_A_PEER: usize = 4 << 20;
/// Transactions waiting in all: those of ten peers.
const COUNT: usize = 10 * COUNT_A_PEER;
/// Bytes waiting in all.
const BYTES: usize = 10 * BYTES_A_PEER;
/// A transaction waits this long at most: a few blocks of a slow chain.
const EXPIRY: Duration = Duration::from_secs(600);

/// What a transaction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Another transaction, which makes a coin or an entity.
    Parent(Txid),
    /// A right that may be granted.
    Right,
    /// A later block.
    Block,
}

impl Cause {
    /// What a rule that may pass waits for.
    pub fn of(rule: &Rule) -> Cause {
        match rule {
            Rule::Coin(CoinRule::Missing { outpoint }) => Cause::Parent(outpoint.txid),
            Rule::Stream(StreamRule::Missing { stream }) => Cause::Parent(*stream),
            Rule::Permission(PermissionRule::NoEntity { entity }) => Cause::Parent(*entity),
            Rule::Asset(AssetRule::Missing { asset }) => Cause::Parent(*asset),
            Rule::Variable(VariableRule::Missing { variable }) => Cause::Parent(*variable),
            Rule::Upgrade(UpgradeRule::Missing { upgrade }) => Cause::Parent(*upgrade),
            Rule::Asset(AssetRule::Closed { .. }) | Rule::Coin(_) | Rule::Block(_) => Cause::Block,
            Rule::Transaction(_)
            | Rule::Permission(_)
            | Rule::Entity(_)
            | Rule::Stream(_)
            | Rule::Asset(_)
            | Rule::Variable(_)
            | Rule::Upgrade(_) => Cause::Right,
        }
    }
}

#[derive(Debug)]
struct Waiting {
    delivered: Delivered,
    cause: Cause,
    size: usize,
    order: u64,
}

/// The room.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    entries: HashMap<FullHash, Waiting>,
    shares: HashMap<KeyHash, (usize, usize)>,
    bytes: usize,
    arrived: u64,
}

impl WaitingRoom {
    /// Whether a transaction waits.
    pub fn contains(&self, hash: &FullHash) -> bool {
        self.entries.contains_key(hash)
    }

    /// Keeps a transaction; false if there is no room.
    pub fn put(&mut self, delivered: Delivered, cause: Cause) -> bool {
        let size = delivered.transaction.size();
        let (count, bytes) = self.shares.get(&delivered.address).copied().unwrap_or_default();
        let full = count >= COUNT_A_PEER || bytes + size > BYTES_A_PEER;
        if full || self.entries.len() >= COUNT || self.bytes + size > BYTES || self.contains(&delivered.hash) {
            return false;
        }
        self.shares.insert(delivered.address, (count + 1, bytes + size));
        self.bytes += size;
        self.arrived += 1;
        self.entries.insert(delivered.hash, Waiting { delivered, cause, size, order: self.arrived });
        true
    }

    /// In order of arrival, so that a transaction follows those it rests on.
    fn take(&mut self, which: impl Fn(&Waiting) -> bool) -> Vec<Delivered> {
        let chosen = self.entries.iter().filter(|(_, waiting)| which(waiting));
        let mut taken: Vec<(u64, FullHash)> = chosen.map(|(hash, waiting)| (waiting.order, *hash)).collect();
        taken.sort_unstable();
        taken.into_iter().filter_map(|(_, hash)| self.remove(&hash)).collect()
    }

    fn remove(&mut self, hash: &FullHash) -> Option<Delivered> {
        let waiting = self.entries.remove(hash)?;
        self.bytes -= waiting.size;
        if let Some((count, bytes)) = self.shares.get_mut(&waiting.delivered.address) {
            *count -= 1;
            *bytes -= waiting.size;
            if *count == 0 {
                self.shares.remove(&waiting.delivered.address);
            }
        }
        Some(waiting.delivered)
    }

    /// Those to try again after a transaction came into the pool.
    pub fn after_admission(&mut self, txid: &Txid, grants: bool) -> Vec<Delivered> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        self.take(|waiting| match waiting.cause {
            Cause::Parent(parent) => parent == *txid,
            Cause::Right => grants,
            Cause::Block => false,
        })
    }

    /// Those to try again after the tip moved: all.
    pub fn after_block(&mut self) -> Vec<Delivered> {
        self.take(|_| true)
    }

    /// Drops those that waited too long.
    pub fn expire(&mut self, now: Duration) {
        self.take(|waiting| now.saturating_sub(waiting.delivered.since) >= EXPIRY);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rota_chain::amount::Height;
    use rota_chain::transaction::Transaction;
    use rota_p2p::PeerHandle;

    use super::*;

    fn delivered(number: u32, from: u8) -> Delivered {
        let transaction = Arc::new(Transaction::coinbase(Height(number), Vec::new()));
        Delivered {
            peer: PeerHandle(1),
            address: KeyHash([from; 20]),
            hash: transaction.full_hash(),
            transaction,
            since: Duration::ZERO,
        }
    }

    #[test]
    fn a_transaction_waits_for_its_parent_and_no_other() {
        let (mut room, parent) = (WaitingRoom::default(), Txid([7; 32]));
        assert!(room.put(delivered(1, 1), Cause::Parent(parent)));
        assert!(room.put(delivered(2, 1), Cause::Right));
        assert!(room.after_admission(&Txid([8; 32]), false).is_empty());
        assert_eq!(room.after_admission(&parent, false).len(), 1);
        assert_eq!(room.after_admission(&Txid([8; 32]), true).len(), 1);
        assert!(room.entries.is_empty() && room.shares.is_empty() && room.bytes == 0);
    }

    #[test]
    fn what_waited_is_tried_again_in_the_order_it_came() {
        let mut room = WaitingRoom::default();
        let came: Vec<FullHash> = (0..40)
            .map(|number| {
                let one = delivered(number, 1);
                let hash = one.hash;
                assert!(room.put(one, Cause::Block));
                hash
            })
            .collect();
        let tried: Vec<FullHash> = room.after_block().into_iter().map(|one| one.hash).collect();
        assert_eq!(tried, came);
    }

    #[test]
    fn one_peer_cannot_fill_the_room() {
        let mut room = WaitingRoom::default();
        for number in 0..COUNT_A_PEER as u32 {
            assert!(room.put(delivered(number, 1), Cause::Right));
        }
        assert!(!room.put(delivered(u32::MAX, 1), Cause::Right));
        assert!(room.put(delivered(u32::MAX, 2), Cause::Right));
    }

    #[test]
    fn nothing_waits_longer_than_ten_minutes() {
        let mut room = WaitingRoom::default();
        room.put(delivered(1, 1), Cause::Block);
        room.expire(EXPIRY - Duration::from_millis(1));
        assert_eq!(room.entries.len(), 1);
        room.expire(EXPIRY);
        assert!(room.entries.is_empty());
    }
}

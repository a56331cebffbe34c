//! Announced blocks put together from the pool; what is missing is asked for, or the whole block.

use std::sync::Arc;
use std::time::Duration;

use rota_chain::amount::Height;
use rota_chain::block::{Block, SignedHeader};
use rota_chain::hash::{BlockHash, FullHash};
use rota_chain::lock::Lock;
use rota_chain::merkle::merkle_root;
use rota_chain::transaction::{Output, Transaction};
use rota_consensus::coin;
use rota_p2p::{CompactBlock, PeerHandle, Request};

use super::header::{Body, Taken};
use super::peer::Query;
use super::{ChainFacts, Sync};

/// Blocks put together at a time: an honest chain announces one a target time.
const BUILDING: usize = 8;
/// Missing transactions must be here within this time, or the whole block is asked for.
const BUILDING_TIME: Duration = Duration::from_secs(5);

/// A block being put together.
#[derive(Debug)]
pub(super) struct Building {
    /// Who announced it and is asked for what is missing.
    pub peer: PeerHandle,
    header: SignedHeader,
    hashes: Vec<FullHash>,
    found: Vec<Option<Arc<Transaction>>>,
    until: Duration,
}

impl Building {
    fn missing(&self) -> Vec<u32> {
        (0u32..).zip(&self.found).filter(|(_, found)| found.is_none()).map(|(index, _)| index).collect()
    }
}

impl<V: ChainFacts> Sync<V> {
    pub(super) fn on_block_announced(&mut self, peer: PeerHandle, compact: CompactBlock) {
        if self.facts.incoming_paused() || !self.peers.contains_key(&peer) {
            return;
        }
        let hash = compact.header.hash();
        match self.take_header(peer, &compact.header, hash, None) {
            Taken::New => {
                self.peer_has(peer, hash);
                self.start_building(peer, hash, compact);
            }
            Taken::Known => self.peer_has(peer, hash),
            Taken::Orphan => self.ask_headers(peer),
            Taken::NoRoom => self.has_more_headers(peer),
            Taken::Invalid => {}
            Taken::Bad(rule) => self.misbehaving(peer, format!("it announced a block that breaks a rule: {rule}")),
        }
    }

    fn start_building(&mut self, peer: PeerHandle, hash: BlockHash, compact: CompactBlock) {
        let CompactBlock { header, hashes } = compact;
        let near = self.known(&header.header.previous).is_some()
            || self.tree.get(&header.header.previous).is_some_and(|parent| !matches!(parent.body, Body::Wanted));
        let full = self.peers.get(&peer).is_some_and(|state| state.full);
        // What is lighter than the tip, or one of many by one miner, is fetched when a branch on it needs it.
        let least = self.tip_work();
        let wanted = self.may_fetch(&header, &hash) && self.tree.get(&hash).is_some_and(|node| node.work >= least);
        if !near || !full || !wanted || self.building.len() >= BUILDING {
            return;
        }
        let whole = hashes.is_empty() || merkle_root(&hashes) != header.header.merkle_root;
        if whole {
            self.ask_blocks(peer, vec![hash]);
            return;
        }
        let Some(height) = self.tree.get(&hash).map(|node| node.height) else { return };
        let mut found = self.facts.pool_find(&hashes);
        if let (Some(first), Some(wanted)) = (found.first_mut(), hashes.first()) {
            *first =
                self.usual_coinbase(&header, height).filter(|coinbase| coinbase.full_hash() == *wanted).map(Arc::new);
        }
        let building = Building { peer, header, hashes, found, until: self.now.steady + BUILDING_TIME };
        let missing = building.missing();
        self.tree.set_body(&hash, Body::Building);
        self.building.insert(hash, building);
        if missing.is_empty() {
            self.finish_building(hash);
        } else {
            let request = Request::BlockTransactions { block: hash, indexes: missing };
            self.ask(peer, Query::BlockTransactions { block: hash }, request);
        }
    }

    /// The coinbase a block has when no fees are paid, which need not be asked for.
    fn usual_coinbase(&self, header: &SignedHeader, height: Height) -> Option<Transaction> {
        let reward = coin::reward(&self.rules, height);
        Some(Transaction::coinbase(height, vec![Output::payment(Lock::Key(header.header.miner), reward)]))
    }

    /// Transactions of an announced block; those left out are asked for with the whole block.
    pub(super) fn on_block_transactions(&mut self, peer: PeerHandle, hash: BlockHash, transactions: Vec<Transaction>) {
        let Some(building) = self.building.get_mut(&hash).filter(|building| building.peer == peer) else { return };
        let missing = building.missing();
        let complete = transactions.len() == missing.len();
        for (index, transaction) in missing.into_iter().zip(transactions) {
            let index = index as usize;
            if building.hashes.get(index).is_some_and(|wanted| *wanted == transaction.full_hash())
                && let Some(place) = building.found.get_mut(index)
            {
                *place = Some(Arc::new(transaction));
            }
        }
        let done = building.missing().is_empty();
        if done {
            self.finish_building(hash);
        } else if complete {
            // The announcement and the transactions do not fit: the whole block decides.
            self.building.remove(&hash);
            self.ask_blocks(peer, vec![hash]);
        } else {
            self.give_up_building(&hash);
        }
    }

    fn finish_building(&mut self, hash: BlockHash) {
        let Some(building) = self.building.remove(&hash) else { return };
        let transactions: Option<Vec<Transaction>> =
            building.found.into_iter().map(|found| found.map(Arc::unwrap_or_clone)).collect();
        match transactions {
            Some(transactions) => {
                let block = Block { signed: building.header, transactions };
                self.take_body(hash, Arc::new(block), building.peer);
            }
            None => self.tree.set_body(&hash, Body::Wanted),
        }
    }

    /// The block is asked for whole, of whoever has it.
    pub(super) fn give_up_building(&mut self, hash: &BlockHash) {
        let building = self.tree.get(hash).is_some_and(|node| matches!(node.body, Body::Building));
        if self.building.remove(hash).is_some() && building {
            self.tree.set_body(hash, Body::Wanted);
        }
    }

    pub(super) fn end_late_building(&mut self) {
        let now = self.now.steady;
        let mut late: Vec<BlockHash> =
            self.building.iter().filter(|(_, building)| building.until <= now).map(|(hash, _)| *hash).collect();
        late.sort_unstable();
        for hash in late {
            self.give_up_building(&hash);
        }
    }
}

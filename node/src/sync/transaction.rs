//! Transactions: asked for when announced and unknown, checked and given to the ledger, announced onward once taken.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use rota_chain::block::Block;
use rota_chain::hash::{FullHash, Txid};
use rota_chain::transaction::Transaction;
use rota_p2p::limit::{MAX_INVENTORY, MAX_TRANSACTIONS, REQUEST_TIME};
use rota_p2p::{PeerHandle, Request};

use super::peer::Query;
use super::waiting::{Cause, WaitingRoom};
use super::{ChainFacts, Delivered, Relayed, Sync, SyncAction, Verdict};

/// Full hashes remembered of transactions taken, confirmed or refused for good: minutes of a busy chain, 20 MB.
const KNOWN: NonZeroUsize = NonZeroUsize::new(131_072).expect("131,072 is not zero");
/// Full hashes remembered of transactions that the state at the tip, or want of room, refuses.
const REFUSED: NonZeroUsize = NonZeroUsize::new(16_384).expect("16,384 is not zero");
/// Parents remembered as asked for.
const PARENTS: NonZeroUsize = NonZeroUsize::new(4_096).expect("4,096 is not zero");
/// A transaction asked of one peer is not asked of another before this time: longer than a request lives, whose end
/// hands it to those who have it too.
const ASK_AGAIN: Duration = REQUEST_TIME.saturating_add(Duration::from_secs(5));
/// Transactions asked for or queued in all: 64 bytes each.
const ASKED: usize = 200_000;
/// Transactions queued for one peer: two pages of its pool.
const QUEUED_A_PEER: usize = 2 * MAX_INVENTORY as usize;
/// Peers remembered as having a transaction that is asked of another.
const OTHERS: usize = 3;
/// Requests for transactions under way with one peer: hides the time of one behind the checks of another.
const QUERIES_A_PEER: usize = 4;
/// Transactions asked for at once: half of what an answer holds, so that checks begin early.
const BATCH: usize = MAX_TRANSACTIONS as usize / 2;
/// Transactions being checked; no more are asked for meanwhile.
const CHECKING: usize = 8_000;
/// How often own transactions that wait are announced again.
const OWN_AGAIN: Duration = Duration::from_secs(30);
/// Own transactions announced again at once.
const OWN_AT_ONCE: usize = 10_000;

#[derive(Debug)]
struct Asked {
    peer: PeerHandle,
    /// Until when the answer is waited for; none while queued.
    until: Option<Duration>,
    others: Vec<PeerHandle>,
}

/// Transactions on their way.
#[derive(Debug)]
pub(super) struct Traffic {
    asked: HashMap<FullHash, Asked>,
    parents: LruCache<Txid, Duration>,
    known: LruCache<FullHash, ()>,
    /// Refused until the tip moves: by the state, or for want of room.
    refused: LruCache<FullHash, ()>,
    checking: HashSet<FullHash>,
    waiting: WaitingRoom,
    news: Vec<FullHash>,
    own_announced: Duration,
    looked: Duration,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic {
            asked: HashMap::new(),
            parents: LruCache::new(PARENTS),
            known: LruCache::new(KNOWN),
            refused: LruCache::new(REFUSED),
            checking: HashSet::new(),
            waiting: WaitingRoom::default(),
            news: Vec::new(),
            own_announced: Duration::ZERO,
            looked: Duration::ZERO,
        }
    }
}

impl Traffic {
    /// Whether announcements wait.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Forgets what was decided about transactions: the state they were judged by is another now.
    pub fn forget(&mut self) {
        self.known.clear();
        self.refused.clear();
    }

    /// Remembers the transactions of a block.
    pub fn confirmed(&mut self, block: &Block) {
        let first = block.transactions.len().saturating_sub(KNOWN.get());
        for transaction in block.transactions.iter().skip(first.max(1)) {
            self.known.put(transaction.full_hash(), ());
        }
    }

    fn is_known(&self, hash: &FullHash) -> bool {
        self.known.contains(hash)
            || self.refused.contains(hash)
            || self.checking.contains(hash)
            || self.waiting.contains(hash)
    }
}

impl<V: ChainFacts> Sync<V> {
    pub(super) fn on_transactions_announced(&mut self, peer: PeerHandle, hashes: &[FullHash]) {
        let full = self.peers.get(&peer).is_some_and(|state| state.full);
        if !full || self.is_busy() || self.facts.incoming_paused() {
            return;
        }
        let unknown: Vec<FullHash> = hashes.iter().filter(|hash| !self.traffic.is_known(hash)).copied().collect();
        for hash in self.facts.pool_lacks(&unknown) {
            self.want(peer, hash);
        }
        self.pump(peer);
    }

    fn want(&mut self, peer: PeerHandle, hash: FullHash) {
        if let Some(asked) = self.traffic.asked.get_mut(&hash) {
            if asked.peer != peer && asked.others.len() < OTHERS && !asked.others.contains(&peer) {
                asked.others.push(peer);
            }
            return;
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if self.traffic.asked.len() < ASKED && state.queue.len() < QUEUED_A_PEER {
            state.queue.push_back(hash);
            self.traffic.asked.insert(hash, Asked { peer, until: None, others: Vec::new() });
        }
    }

    /// Asks a peer for what is queued, as far as requests and checks have room.
    fn pump(&mut self, peer: PeerHandle) {
        while self.traffic.checking.len() < CHECKING {
            let Some(state) = self.peers.get_mut(&peer) else { return };
            if state.tries_patience(self.now.steady) {
                return;
            }
            if state.transactions_asked >= QUERIES_A_PEER || (state.queue.is_empty() && state.parents.is_empty()) {
                return;
            }
            if state.queue.is_empty() {
                let txids: Vec<Txid> = state.parents.drain(..).collect();
                self.ask(peer, Query::Parents { txids: txids.clone() }, Request::TransactionsById { txids });
                continue;
            }
            let count = state.queue.len().min(BATCH);
            let hashes: Vec<FullHash> = state.queue.drain(..count).collect();
            let until = Some(self.now.steady + ASK_AGAIN);
            for hash in &hashes {
                if let Some(asked) = self.traffic.asked.get_mut(hash) {
                    asked.until = until;
                }
            }
            self.ask(peer, Query::Transactions { hashes: hashes.clone() }, Request::Transactions { hashes });
        }
    }

    /// Transactions a peer answered with; the rest of a shortened answer is asked for again, what the peer lacks is
    /// asked of others.
    pub(super) fn on_transactions(&mut self, peer: PeerHandle, hashes: &[FullHash], found: Vec<Transaction>) {
        let Some(address) = self.peers.get(&peer).map(|state| state.address) else { return };
        let asked: HashSet<&FullHash> = hashes.iter().collect();
        let mut delivered = Vec::with_capacity(found.len());
        for transaction in found {
            let hash = transaction.full_hash();
            if !asked.contains(&hash) {
                self.misbehaving(peer, "it answered with a transaction that was not asked for");
                break;
            }
            self.traffic.asked.remove(&hash);
            delivered.push(Delivered {
                peer,
                address,
                hash,
                transaction: Arc::new(transaction),
                since: self.now.steady,
            });
        }
        let gave = !delivered.is_empty();
        for hash in hashes {
            let Some(left) = self.traffic.asked.get_mut(hash).filter(|asked| asked.peer == peer) else { continue };
            let others = std::mem::take(&mut left.others);
            self.traffic.asked.remove(hash);
            let cut = gave && hashes.len() > delivered.len();
            let mut next = others.into_iter().filter(|other| self.peers.contains_key(other)).collect::<Vec<_>>();
            if cut && next.is_empty() {
                next.push(peer);
            }
            for other in next {
                self.want(other, *hash);
            }
        }
        self.check(delivered);
        self.pump_all();
    }

    /// Has transactions checked, those for which there is room: signatures of an author whose share of the pool is used
    /// up are not worth verifying.
    fn check(&mut self, mut delivered: Vec<Delivered>) {
        let transactions: Vec<&Transaction> = delivered.iter().map(|one| &*one.transaction).collect();
        let mut room = self.facts.pool_has_room(&transactions).into_iter();
        delivered.retain(|one| {
            if room.next() == Some(false) {
                self.traffic.refused.put(one.hash, ());
                return false;
            }
            self.traffic.checking.insert(one.hash)
        });
        if !delivered.is_empty() {
            self.out.push(SyncAction::Transactions(delivered));
        }
    }

    fn pump_all(&mut self) {
        let queued = |(_, state): &(&PeerHandle, &super::Peer)| !state.queue.is_empty() || !state.parents.is_empty();
        let peers: Vec<PeerHandle> = self.peers.iter().filter(queued).map(|(peer, _)| *peer).collect();
        for peer in peers {
            self.pump(peer);
        }
    }

    pub(super) fn on_parents(&mut self, peer: PeerHandle, txids: &[Txid], found: Vec<Transaction>) {
        let Some(address) = self.peers.get(&peer).map(|state| state.address) else { return };
        let mut delivered = Vec::new();
        for transaction in found {
            if !txids.contains(&transaction.txid()) {
                self.misbehaving(peer, "it answered with a transaction that was not asked for");
                break;
            }
            let hash = transaction.full_hash();
            if !self.traffic.is_known(&hash) {
                delivered.push(Delivered {
                    peer,
                    address,
                    hash,
                    transaction: Arc::new(transaction),
                    since: self.now.steady,
                });
            }
        }
        self.check(delivered);
        self.pump_all();
    }

    pub(super) fn on_relayed(&mut self, results: Vec<Relayed>) {
        for Relayed { delivered, verdict } in results {
            let (peer, hash) = (delivered.peer, delivered.hash);
            self.traffic.checking.remove(&hash);
            // Signing a transaction again costs its author less than verifying that costs everybody.
            let in_vain = match &verdict {
                Verdict::Refused(_) => true,
                Verdict::Known => !self.traffic.known.contains(&hash) && !self.facts.pool_lacks(&[hash]).is_empty(),
                Verdict::Taken | Verdict::Bad(_) | Verdict::Postponed => false,
            };
            if let (true, Some(state)) = (in_vain, self.peers.get_mut(&peer)) {
                state.in_vain = state.in_vain.saturating_add(1);
            }
            match verdict {
                Verdict::Taken | Verdict::Known => {
                    self.traffic.known.put(hash, ());
                }
                Verdict::Postponed => {
                    self.traffic.refused.put(hash, ());
                }
                Verdict::Bad(rule) => {
                    self.traffic.known.put(hash, ());
                    self.misbehaving(peer, format!("it delivered transaction {hash} that breaks a rule: {rule}"));
                }
                Verdict::Refused(rule) if rule.may_pass() => {
                    let cause = Cause::of(&rule);
                    if !self.traffic.waiting.put(delivered, cause) {
                        self.traffic.refused.put(hash, ());
                    } else if let Cause::Parent(parent) = cause {
                        self.want_parent(peer, parent);
                    }
                }
                Verdict::Refused(rule) => {
                    tracing::debug!(%hash, %rule, "a peer's transaction is not taken");
                    let remembered =
                        if rule.is_lasting() { &mut self.traffic.known } else { &mut self.traffic.refused };
                    remembered.put(hash, ());
                }
            }
        }
        self.pump_all();
    }

    fn want_parent(&mut self, peer: PeerHandle, parent: Txid) {
        let now = self.now.steady;
        let asked = self.traffic.parents.get(&parent).is_some_and(|until| *until > now);
        if asked || self.facts.has_transaction(&parent) {
            return;
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.parents.len() < MAX_TRANSACTIONS as usize {
            state.parents.push_back(parent);
            self.traffic.parents.put(parent, now + ASK_AGAIN);
        }
    }

    pub(super) fn on_admitted(&mut self, hash: FullHash, txid: Txid, grants: bool) {
        self.traffic.known.put(hash, ());
        self.traffic.news.push(hash);
        let again = self.traffic.waiting.after_admission(&txid, grants);
        self.check(again);
        if self.traffic.news.len() >= MAX_TRANSACTIONS as usize {
            self.announce_news();
        }
    }

    pub(super) fn retry_waiting(&mut self) {
        self.traffic.refused.clear();
        let again = self.traffic.waiting.after_block();
        self.check(again);
    }

    fn announce_news(&mut self) {
        let news = std::mem::take(&mut self.traffic.news);
        if !news.is_empty() && !self.peers.is_empty() {
            self.out.push(SyncAction::AnnounceTransactions(news));
        }
    }

    pub(super) fn tick_transactions(&mut self) {
        self.announce_news();
        let now = self.now.steady;
        if now.saturating_sub(self.traffic.own_announced) >= OWN_AGAIN {
            self.traffic.own_announced = now;
            let own = if self.peers.is_empty() { Vec::new() } else { self.facts.pool_own(OWN_AT_ONCE) };
            if !own.is_empty() {
                self.out.push(SyncAction::AnnounceTransactions(own));
            }
        }
        if now.saturating_sub(self.traffic.looked) < Duration::from_secs(1) {
            return;
        }
        self.traffic.looked = now;
        self.traffic.waiting.expire(now);
        // The peer room ends every request before that; what is still here lost its answer to a disconnection.
        self.traffic.asked.retain(|_, asked| asked.until.is_none_or(|until| until > now));
        self.pump_all();
    }

    /// A peer is gone: what it was asked for is asked of others.
    pub(super) fn forget_asked(&mut self, peer: PeerHandle) {
        let mut gone: Vec<FullHash> =
            self.traffic.asked.iter().filter(|(_, asked)| asked.peer == peer).map(|(hash, _)| *hash).collect();
        gone.sort_unstable();
        for hash in gone {
            let others = self.traffic.asked.remove(&hash).map(|asked| asked.others).unwrap_or_default();
            for other in others {
                self.want(other, hash);
            }
        }
        self.pump_all();
    }

    /// A page of a peer's pool: what is unknown is asked for, then the next page.
    pub(super) fn on_inventory(&mut self, peer: PeerHandle, after: FullHash, hashes: &[FullHash], more: bool) {
        let ascending = hashes.is_sorted_by(|a, b| a < b) && hashes.first().is_none_or(|first| *first > after);
        if !ascending {
            self.misbehaving(peer, "it answered with an inventory out of order");
            return;
        }
        self.on_transactions_announced(peer, hashes);
        // A page that is not full and promises more would let a peer talk for ever.
        if let (true, Some(last)) = (more && hashes.len() >= MAX_INVENTORY as usize, hashes.last()) {
            self.ask_inventory(peer, *last);
        }
    }
}

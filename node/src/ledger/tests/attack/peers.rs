//! The sync machine of a node over its real ledger, and peers that are played by hand and may lie.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, FullHash};
use rota_chain::lock::KeyHash;
use rota_chain::transaction::Transaction;
use rota_p2p::{CompactBlock, PeerHandle, Request, Response};

use super::super::world::{Node, START};
use crate::sync::{Checked, LiveFacts, Now, Offer, Sync, SyncAction, SyncInput, check_delivered, input_of};

/// A node's neighbours.
pub struct Peers {
    machine: Sync<LiveFacts>,
    now: Duration,
    connected: u64,
    stock: HashMap<FullHash, Transaction>,
    /// What a peer answers when it is asked for a block.
    pub bodies: HashMap<(PeerHandle, BlockHash), Block>,
    /// What peers were accused of.
    pub accused: Vec<String>,
    /// Transactions announced onward.
    pub told: Vec<FullHash>,
    /// Requests for transactions.
    pub asked: usize,
    /// Transactions whose signatures were looked at.
    pub checked: Vec<FullHash>,
}

/// What a node's sync machine may ask of its ledger.
pub fn facts(node: &Node) -> LiveFacts {
    let (view, rules) = (Arc::clone(&node.view), Arc::clone(&node.rules));
    LiveFacts::new(view, rules, Arc::clone(&node.paused), Arc::clone(&node.settings))
}

impl Peers {
    pub fn of(node: &mut Node) -> Peers {
        node.events();
        let facts = facts(node);
        let now = Now { steady: Duration::ZERO, unix: START };
        Peers {
            machine: Sync::new(facts, Arc::clone(&node.rules), now),
            now: Duration::ZERO,
            connected: 0,
            stock: HashMap::new(),
            bodies: HashMap::new(),
            accused: Vec::new(),
            told: Vec::new(),
            asked: 0,
            checked: Vec::new(),
        }
    }

    /// A new neighbour with an address of its own.
    pub fn connect(&mut self, node: &mut Node) -> PeerHandle {
        self.connected += 1;
        let peer = PeerHandle(self.connected);
        let mut address = KeyHash([0; 20]);
        address.0[..8].copy_from_slice(&self.connected.to_le_bytes());
        let tip = node.view.tip();
        let tip = rota_p2p::Tip { height: tip.height, hash: tip.hash };
        self.feed(node, SyncInput::Connected { peer, address, full: true, tip });
        peer
    }

    /// A peer announces a transaction and gives it when asked.
    pub fn deliver(&mut self, node: &mut Node, peer: PeerHandle, transaction: &Transaction) {
        let hash = transaction.full_hash();
        self.stock.insert(hash, transaction.clone());
        self.feed(node, SyncInput::TransactionsAnnounced { peer, hashes: vec![hash] });
        self.pass(node, Duration::from_millis(200));
    }

    /// A peer announces a header with these full hashes; asked for more it gives `body`.
    pub fn announce(&mut self, node: &mut Node, peer: PeerHandle, compact: CompactBlock, body: Block) {
        self.bodies.insert((peer, compact.header.hash()), body);
        self.feed(node, SyncInput::BlockAnnounced { peer, compact });
        self.pass(node, Duration::from_millis(200));
    }

    /// A peer announces a block as it is.
    pub fn announce_whole(&mut self, node: &mut Node, peer: PeerHandle, block: &Block) {
        self.announce(node, peer, CompactBlock::new(block.signed, block.full_hashes()), block.clone());
    }

    /// Tells the machine what the ledger said meanwhile.
    pub fn catch_up(&mut self, node: &mut Node) {
        self.pass(node, Duration::from_millis(200));
    }

    /// Lets time pass.
    pub fn pass(&mut self, node: &mut Node, time: Duration) {
        self.now += time;
        self.feed(node, SyncInput::Tick);
    }

    fn feed(&mut self, node: &mut Node, input: SyncInput) {
        let mut inputs: VecDeque<SyncInput> = node.events().into_iter().map(input_of).collect();
        inputs.push_back(input);
        while let Some(input) = inputs.pop_front() {
            let now = Now { steady: self.now, unix: START + 1_000_000 };
            for action in self.machine.handle(now, input) {
                self.act(node, action, &mut inputs);
            }
            inputs.extend(node.events().into_iter().map(input_of));
        }
    }

    fn act(&mut self, node: &mut Node, action: SyncAction, inputs: &mut VecDeque<SyncInput>) {
        match action {
            SyncAction::Request { peer, query, request } => {
                let result = Ok(self.answer(peer, &request));
                inputs.push_back(SyncInput::Response { peer, query, result });
            }
            SyncAction::Block(block) => {
                let outcome = node.take(&block);
                inputs.extend(node.events().into_iter().map(input_of));
                inputs.push_back(SyncInput::Block { hash: block.hash(), outcome });
            }
            SyncAction::Transactions(delivered) => {
                self.checked.extend(delivered.iter().map(|one| one.hash));
                let check = |one| check_delivered(one, &node.rules, &node.signatures);
                let mut offer = Offer::of(delivered.into_iter().map(check).collect::<Vec<Checked>>());
                let outcomes = node.ledger.relay_all(std::mem::take(&mut offer.transactions));
                inputs.push_back(SyncInput::Relayed(offer.verdicts(outcomes)));
            }
            SyncAction::AnnounceTransactions(hashes) => self.told.extend(hashes),
            SyncAction::Misbehaving { reason, .. } => self.accused.push(reason),
            SyncAction::AnnounceBlock(_)
            | SyncAction::Behind(_)
            | SyncAction::CatchingUp(_)
            | SyncAction::GovernanceForks(_) => {}
        }
    }

    fn answer(&mut self, peer: PeerHandle, request: &Request) -> Response {
        match request {
            Request::Headers { .. } => Response::Headers(Vec::new()),
            Request::Blocks { hashes } => {
                let found = hashes.iter().filter_map(|hash| self.bodies.get(&(peer, *hash)).cloned());
                Response::Blocks(found.map(Into::into).collect())
            }
            Request::BlockTransactions { block, indexes } => {
                let body = self.bodies.get(&(peer, *block));
                let found = indexes.iter().map_while(|index| body?.transactions.get(*index as usize).cloned());
                Response::BlockTransactions(found.collect())
            }
            Request::Transactions { hashes } => {
                self.asked += hashes.len();
                Response::Transactions(hashes.iter().filter_map(|hash| self.stock.get(hash).cloned()).collect())
            }
            Request::TransactionsById { txids } => {
                let found = self.stock.values().filter(|transaction| txids.contains(&transaction.txid()));
                Response::Transactions(found.cloned().collect())
            }
            Request::PoolInventory { .. } => Response::PoolInventory { hashes: Vec::new(), more: false },
            Request::Chunks { .. } | Request::Addresses => Response::Refused(rota_p2p::Refusal::NotServed),
        }
    }
}

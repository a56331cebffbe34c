//! A miner that breaks the rules while it may: two blocks at one height, blocks out of turn, withheld, with invalid
//! transactions or false times. Its ledger is a real one; what it says to peers is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use rota_chain::amount::Timestamp;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, FullHash};
use rota_chain::merkle::merkle_root;
use rota_chain::permission::Permission;
use rota_chain::transaction::Transaction;
use rota_node::miner::Draft;
use rota_p2p::{CompactBlock, Refusal, Request, RequestError, Response};

use crate::chain;
use crate::node::Job;
use crate::peer::Message;
use crate::world::{Due, World};

/// Seconds before the time of a block that lies in the past.
const PAST: u32 = 3_600;
/// Seconds after now of a block that lies in the future.
const FUTURE: u32 = 7_200;

/// One act against the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Two different blocks on one parent, each to half of the peers.
    Equivocate,
    /// A block though others have their turn.
    OutOfTurn,
    /// Keeps its blocks to itself, and answers nobody.
    Withhold,
    /// Tells of what it kept.
    Release,
    /// A block with a transaction that is not allowed.
    InvalidTransaction,
    /// A block that claims an hour before the chain's.
    PastTime,
    /// A block that claims two hours from now.
    FutureTime,
    /// A transaction whose signature is not of it.
    BadSignature,
}

/// All acts that begin something.
pub const ACTS: &[Act] = &[
    Act::Equivocate,
    Act::OutOfTurn,
    Act::Withhold,
    Act::InvalidTransaction,
    Act::PastTime,
    Act::FutureTime,
    Act::BadSignature,
];

/// What a byzantine node keeps from its ledger.
#[derive(Debug, Default)]
pub struct Byzantine {
    secret: BTreeMap<BlockHash, Arc<Block>>,
    false_transactions: BTreeMap<FullHash, Transaction>,
    /// Whether it keeps its blocks to itself.
    pub withholds: bool,
}

impl Byzantine {
    /// The answer to a request where it is not what the ledger says.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Option<Result<Response, RequestError>> {
        if self.withholds {
            return Some(Err(RequestError::Refused(Refusal::Busy)));
        }
        match request {
            Request::Blocks { hashes } => {
                let found = hashes.iter().filter_map(|hash| self.secret.get(hash));
                let found: Vec<_> = found.map(|block| Block::clone(block).into()).collect();
                (!found.is_empty()).then_some(Ok(Response::Blocks(found)))
            }
            Request::BlockTransactions { block, indexes } => {
                let block = self.secret.get(block)?;
                let chosen = indexes.iter().map(|index| block.transactions.get(*index as usize).cloned());
                Some(Ok(Response::BlockTransactions(chosen.collect::<Option<Vec<_>>>()?)))
            }
            Request::Transactions { hashes } => {
                let found: Vec<Transaction> =
                    hashes.iter().filter_map(|hash| self.false_transactions.get(hash).cloned()).collect();
                (!found.is_empty()).then_some(Ok(Response::Transactions(found)))
            }
            _ => None,
        }
    }
}

impl World {
    /// Whether a node keeps its blocks to itself.
    #[must_use]
    pub fn withholds(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.byzantine.as_ref().is_some_and(|evil| evil.withholds))
    }

    /// A byzantine miner acts.
    ///
    /// # Errors
    /// If storage fails.
    pub fn act_against_the_rules(&mut self, node: usize, act: Act) -> anyhow::Result<()> {
        if !self.chaos || self.running(node).is_none() {
            return Ok(());
        }
        self.note(node, b"evil", || format!("breaks the rules: {act:?}"));
        self.checks.counts.byzantine += 1;
        match act {
            Act::Equivocate => self.equivocate(node),
            Act::Withhold => {
                self.set_withholding(node, true);
                let pause = self.fate.between(self.block_time() / 2, self.block_time() * 4);
                self.after(pause, Due::Act { node, act: Act::Release });
                Ok(())
            }
            Act::Release => self.release(node),
            Act::BadSignature => self.false_transaction(node),
            Act::OutOfTurn | Act::InvalidTransaction | Act::PastTime | Act::FutureTime => self.forge(node, act),
        }
    }

    fn set_withholding(&mut self, node: usize, withholds: bool) {
        if let Some(evil) = self.nodes.get_mut(node).and_then(|node| node.byzantine.as_mut()) {
            evil.withholds = withholds;
        }
    }

    /// Tells of what was withheld.
    ///
    /// # Errors
    /// If storage fails.
    pub fn release(&mut self, node: usize) -> anyhow::Result<()> {
        self.set_withholding(node, false);
        let Some((_, tip)) = self.nodes.get(node).and_then(crate::node::Node::tip) else { return Ok(()) };
        self.announce_block(node, tip)
    }

    fn equivocate(&mut self, node: usize) -> anyhow::Result<()> {
        let address = self.chain.address(node);
        let may = self.nodes.get(node).and_then(crate::node::Node::tip);
        if !may.is_some_and(|(_, tip)| self.checks.has_turn(&tip, &address)) {
            return Ok(());
        }
        let Some(first) = self.signed_block(node, address, |draft| draft)? else { return Ok(()) };
        let later = |mut draft: Draft| {
            draft.header.time = Timestamp(draft.header.time.0 + 1);
            draft
        };
        let Some(second) = self.signed_block(node, address, later)? else { return Ok(()) };
        self.queue_job(node, Job::Own(Arc::clone(&first)));
        self.keep_secret(node, &first);
        self.keep_secret(node, &second);
        self.tell(node, |other| other.is_multiple_of(2), &news(&first));
        self.tell(node, |other| !other.is_multiple_of(2), &news(&second));
        Ok(())
    }

    fn keep_secret(&mut self, node: usize, block: &Arc<Block>) {
        if let Some(evil) = self.nodes.get_mut(node).and_then(|node| node.byzantine.as_mut()) {
            evil.secret.insert(block.hash(), Arc::clone(block));
        }
    }

    fn forge(&mut self, node: usize, act: Act) -> anyhow::Result<()> {
        let address = self.chain.address(node);
        let Some((height, tip)) = self.nodes.get(node).and_then(crate::node::Node::tip) else { return Ok(()) };
        let has_turn = self.checks.has_turn(&tip, &address);
        if act == Act::OutOfTurn && has_turn {
            return Ok(());
        }
        let stranger = self.chain.node_key(node).cloned().filter(|_| act == Act::InvalidTransaction);
        let bad = match stranger {
            Some(key) => {
                // Without the right of an administrator nobody grants mine.
                let target = self.chain.user_address(0);
                let output = chain::grant(target, &[Permission::Admin], rota_chain::permission::BlockRange::ALWAYS, 1);
                Some(self.chain.sign(&key, height + 50, vec![output]))
            }
            None => None,
        };
        let is_admin = node < self.plan.admins;
        let change = |mut draft: Draft| {
            match act {
                Act::PastTime => draft.header.time = Timestamp(draft.header.time.0.saturating_sub(PAST)),
                Act::FutureTime => draft.header.time = Timestamp(draft.header.time.0.saturating_add(FUTURE)),
                _ => {}
            }
            if let Some(bad) = bad {
                draft.transactions.push(bad);
                let hashes: Vec<FullHash> = draft.transactions.iter().map(Transaction::full_hash).collect();
                draft.header.merkle_root = merkle_root(&hashes);
            }
            draft
        };
        let Some(block) = self.signed_block(node, address, change)? else { return Ok(()) };
        let may_be_good = act == Act::InvalidTransaction && is_admin;
        if act != Act::FutureTime && !may_be_good {
            self.checks.forged.insert(block.hash());
        }
        self.keep_secret(node, &block);
        self.tell(node, |_| true, &news(&block));
        Ok(())
    }

    fn false_transaction(&mut self, node: usize) -> anyhow::Result<()> {
        let Some(key) = self.chain.node_key(node).cloned() else { return Ok(()) };
        let mut transaction = self.chain.sign(&key, 1_000, vec![chain::data(vec![1])]);
        let other = self.chain.sign(&key, 1_000, vec![chain::data(vec![2])]);
        transaction.witnesses = other.witnesses;
        let hash = transaction.full_hash();
        if let Some(evil) = self.nodes.get_mut(node).and_then(|node| node.byzantine.as_mut()) {
            evil.false_transactions.insert(hash, transaction);
        }
        self.tell(node, |_| true, &Message::Transactions(vec![hash]));
        Ok(())
    }
}

fn news(block: &Block) -> Message {
    Message::Block(CompactBlock::new(block.signed, block.full_hashes()))
}

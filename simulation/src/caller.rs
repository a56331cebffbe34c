//! Callers: they submit transactions to nodes, change who may mine, and hold the nodes to what was acknowledged.

use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::transaction::{Output, Transaction};
use rota_consensus::transaction::VerifiedTransaction;

use crate::chain::{self, START, USERS};
use crate::node::Job;
use crate::world::{Due, SECOND, World};

/// Blocks that a transaction usually has to be confirmed in.
const USUAL_LIFE: u64 = 500;
/// Blocks that a short-lived transaction has.
const SHORT_LIFE: u64 = 4;
/// Rights of the callers' keys.
pub const RIGHTS: &[Permission] = &[Permission::Send, Permission::Receive, Permission::Create];

impl World {
    /// Lets callers submit transactions from now on, as often as the plan says.
    pub fn begin_work(&mut self) {
        if self.plan.transactions > 0 {
            self.after(SECOND, Due::Transact);
        }
    }

    /// A caller submits a transaction to a node, and later another.
    ///
    /// # Errors
    /// If a transaction cannot be made.
    pub fn transact(&mut self) -> anyhow::Result<()> {
        if !self.chaos {
            return Ok(());
        }
        let mean = self.block_time() / self.plan.transactions.max(1);
        let pause = self.work.between(mean / 4, mean * 2);
        self.after(pause, Due::Transact);
        let node = self.work.index(self.nodes.len());
        let Some((height, _)) = self.nodes.get(node).and_then(crate::node::Node::tip) else { return Ok(()) };
        let life = if self.work.chance(100) { self.work.between(1, SHORT_LIFE) } else { USUAL_LIFE };
        let last = height + u32::try_from(life).unwrap_or(1);
        let user = self.work.index(USERS);
        let Some(key) = self.chain.user_key(user).cloned() else { return Ok(()) };
        let number = self.work.next();
        let output = match self.work.below(6) {
            0 => {
                let name = format!("s{}", self.work.below(12));
                chain::stream(&name)
            }
            1 | 2 => match self.work.pick(&self.streams).copied() {
                Some(stream) => chain::item(stream, number.to_le_bytes().to_vec()),
                None => chain::data(vec![1]),
            },
            _ => chain::data(number.to_le_bytes().to_vec()),
        };
        let transaction = self.chain.sign(&key, last, vec![output]);
        self.offer(node, transaction)
    }

    /// Gives a node a caller's transaction.
    ///
    /// # Errors
    /// If the transaction breaks a rule by itself.
    pub fn offer(&mut self, node: usize, transaction: Transaction) -> anyhow::Result<()> {
        let verified = self.chain.verified(transaction)?;
        self.queue_job(node, Job::Submit(verified));
        Ok(())
    }

    /// A node's ledger takes a caller's transaction: what it acknowledges is promised.
    pub fn submit(&mut self, node: usize, transaction: VerifiedTransaction) {
        let creates = transaction.transaction().operations().any(|(_, op)| matches!(op, Operation::CreateStream(_)));
        let Some(running) = self.running_mut(node) else { return };
        let height = running.view.tip().height.0;
        let outcome = running.ledger.submit_all(vec![transaction]).into_iter().next();
        match outcome {
            Some(Ok(txid)) => {
                if creates {
                    self.streams.push(txid);
                }
                self.checks.counts.acknowledged += 1;
                self.note(node, &txid.0, || format!("acknowledges transaction {txid}"));
                if let Some(node) = self.nodes.get_mut(node) {
                    node.promised.insert(txid, height);
                }
            }
            Some(Err(error)) => self.note(node, b"refused", || format!("refuses a transaction: {error}")),
            None => {}
        }
    }

    /// Administrators grant mine to somebody or take it from somebody.
    ///
    /// # Errors
    /// If a transaction cannot be made.
    pub fn change_miners(&mut self) -> anyhow::Result<()> {
        let running: Vec<usize> = self.honest().map(|node| node.index).collect();
        let Some(through) = self.fate.pick(&running).copied() else { return Ok(()) };
        let permitted = self.permitted_at(through);
        let target = self.fate.index(self.nodes.len());
        let address = self.chain.address(target);
        let may = permitted.contains(&address);
        // The chain shall not be left to the dead alone: half of the first miners stay, the first one always.
        let removable = permitted.len() > (self.plan.miners / 2).max(2) && target != 0;
        if may && !removable {
            return Ok(());
        }
        let range = if may { BlockRange::NEVER } else { BlockRange::ALWAYS };
        let rights: &[Permission] = if may { &[Permission::Mine] } else { &[Permission::Connect, Permission::Mine] };
        self.checks.counts.grants += 1;
        self.note(through, &address.0, || format!("is to set mine of node {target} to {range:?}"));
        for admin in 0..self.plan.admins {
            // Each administrator votes, through whatever node.
            let node = self.fate.pick(&running).copied().unwrap_or(through);
            self.vote(node, admin, chain::grant(address, rights, range, START + self.now / SECOND))?;
        }
        Ok(())
    }

    /// An administrator's key signs an output, and a node is given the transaction.
    ///
    /// # Errors
    /// If the transaction breaks a rule by itself.
    pub fn vote(&mut self, node: usize, admin: usize, output: Output) -> anyhow::Result<()> {
        let Some((height, _)) = self.nodes.get(node).and_then(crate::node::Node::tip) else { return Ok(()) };
        let Some(key) = self.chain.node_key(admin).cloned() else { return Ok(()) };
        let transaction = self.chain.sign(&key, height + 500, vec![output]);
        self.offer(node, transaction)
    }

    /// Promises whose end is not seen on a node's chain: neither confirmed, nor ended visibly.
    ///
    /// # Errors
    /// If storage fails.
    pub fn open_promises(&mut self) -> anyhow::Result<Vec<(usize, Txid)>> {
        let (mut open, mut ended) = (Vec::new(), 0);
        // What a byzantine node promises is worth nothing.
        for node in self.nodes.iter().filter(|node| node.is_honest()) {
            let Some(running) = node.running.as_ref() else { continue };
            let snapshot = running.view.snapshot();
            for txid in node.promised.keys() {
                if snapshot.transaction_location(txid)?.is_some() {
                    continue;
                }
                if running.ledger.ending(txid).is_some() && running.view.read().pool.get(txid).is_none() {
                    ended += 1;
                    continue;
                }
                open.push((node.index, *txid));
            }
        }
        self.checks.counts.ended = ended;
        Ok(open)
    }
}

//! One run of a seed: the chain begins, faults come, everything heals, and what must hold is held against what is.

use std::path::Path;

use anyhow::Context as _;
use rota_chain::hash::BlockHash;
use rota_chain::permission::{BlockRange, Permission};

use crate::caller::RIGHTS;
use crate::chain;
use crate::check::{Counts, Failure};
use crate::governance::same_height;
use crate::node::Node;
use crate::plan::{Kind, Plan};
use crate::random::Random;
use crate::world::{SECOND, World};

/// Seconds a block may lie ahead at least before it is held; see docs/protocol/block.md.
const LEAST_AHEAD: u64 = 120;
/// Time for connections to come up again after everything healed.
const RECONNECT: u64 = 3 * SECOND;
/// Time for the last announcements to arrive.
const SETTLE: u64 = 40 * SECOND;
/// Block times within which all honest nodes have one tip, counted from the first block after healing.
const ONE_TIP: u64 = 3;

/// The same beyond that, where two miners contested every block.
const MANY_TIP: u64 = 12;
/// Times that mining ends anew while promises are open, which a branch that nobody mines on never keeps.
const ENDINGS: usize = 6;
/// Times that it ends anew at most, where two miners made the last block each time.
const MOST_ENDINGS: usize = 24;

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The property that did not hold.
    pub failure: Option<Failure>,
    /// Hash over all events.
    pub hash: [u8; 32],
    /// Events.
    pub events: u64,
    /// Height reached.
    pub height: u32,
    /// What happened.
    pub counts: Counts,
    /// The last lines, if the run was read.
    pub lines: Vec<String>,
}

/// How a run is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Whether lines are kept.
    pub keeps: bool,
    /// Whether they are printed too.
    pub prints: bool,
}

/// Runs a plan with files below `folder`, which is left empty.
///
/// # Errors
/// If the machine fails, not the code under test.
pub fn run(plan: Plan, folder: &Path, reading: Reading) -> anyhow::Result<Outcome> {
    let folder = folder.join(format!("seed-{}", plan.seed));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut world = World::new(plan, folder.clone())?;
    (world.record.reads, world.record.prints) = (reading.keeps || reading.prints, reading.prints);
    if let Err(error) = world.live() {
        world.checks.fail("a node can read what it stored", format!("{error:#}"));
    }
    let outcome = Outcome {
        failure: world.checks.failure.clone(),
        hash: world.record.hash(),
        events: world.record.events(),
        height: world.height(),
        counts: world.checks.counts,
        lines: world.record.lines(),
    };
    drop(world);
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    Ok(outcome)
}

impl World {
    fn live(&mut self) -> anyhow::Result<()> {
        self.begin()?;
        match self.plan.kind {
            Kind::Mixed => self.suffer()?,
            Kind::Stall => self.stall()?,
            Kind::Governance => return self.part_governance(),
        }
        self.recover()
    }

    fn failed(&self) -> bool {
        self.checks.failure.is_some()
    }

    /// The first block grants everybody's rights; then all nodes start.
    ///
    /// # Errors
    /// If the chain cannot begin.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        let (miners, nodes, admins) = (self.plan.miners, self.plan.nodes, self.plan.admins);
        self.now = SECOND;
        self.start(0)?;
        let key = self.chain.node_key(0).cloned().context("the first node's key")?;
        let mut outputs = Vec::new();
        for node in 0..nodes {
            let address = self.chain.address(node);
            let mut rights = RIGHTS.to_vec();
            if node < miners {
                rights.extend([Permission::Connect, Permission::Mine]);
            }
            outputs.push(chain::grant(address, &rights, BlockRange::ALWAYS, 1));
        }
        for user in 0..chain::USERS {
            let address = self.chain.user_address(user);
            outputs.push(chain::grant(address, RIGHTS, BlockRange::ALWAYS, 1));
        }
        for admin in 1..admins {
            outputs.push(chain::grant(self.chain.address(admin), &[Permission::Admin], BlockRange::ALWAYS, 1));
        }
        for part in outputs.chunks(20) {
            let transaction = self.chain.sign(&key, 100, part.to_vec());
            let verified = self.chain.verified(transaction)?;
            self.submit(0, verified);
        }
        let address = self.chain.address(0);
        self.nodes.first_mut().context("a first node")?.set_clock(self.now);
        let block = self.signed_block(0, address, |draft| draft)?.context("the first block")?;
        let running = self.running_mut(0).context("the first node runs")?;
        let outcome = running.ledger.accept_block(block.clone(), true);
        anyhow::ensure!(matches!(outcome, rota_node::ledger::BlockOutcome::Applied), "the first block: {outcome:?}");
        self.take_events(0)?;
        self.nodes.iter_mut().for_each(Node::note_synced);
        for node in 1..nodes {
            self.start(node)?;
            if node < miners {
                let running = self.running_mut(node).context("a node that was started runs")?;
                let outcome = running.ledger.accept_block(block.clone(), false);
                anyhow::ensure!(matches!(outcome, rota_node::ledger::BlockOutcome::Applied), "block 1: {outcome:?}");
                self.take_events(node)?;
                self.nodes.iter_mut().for_each(Node::note_synced);
            }
        }
        Ok(())
    }

    /// Faults, as many and as long as the plan says.
    fn suffer(&mut self) -> anyhow::Result<()> {
        self.chaos = true;
        self.network = self.plan.network;
        let length = self.plan.chaos * self.block_time();
        self.schedule_faults(length);
        self.begin_work();
        self.run(self.now + length, |_| false)?;
        Ok(())
    }

    /// So many miners are stopped that the rest may not go on; then one comes back.
    fn stall(&mut self) -> anyhow::Result<()> {
        let block_time = self.block_time();
        self.chaos = true;
        self.begin_work();
        self.run(self.now + 15 * block_time, |_| false)?;
        let Some((_, tip)) = self.nodes.first().and_then(Node::tip) else { return Ok(()) };
        let spacing = self.checks.rotation(&tip).map_or(1, |rotation| rotation.spacing as usize);
        let mut order: Vec<usize> = (0..self.plan.nodes).collect();
        self.fate.shuffle(&mut order);
        let miners: Vec<usize> = order.into_iter().filter(|node| *node < self.plan.miners).collect();
        for node in miners.iter().skip(spacing - 1).copied() {
            self.down(node, false)?;
        }
        // The rest makes what it may, at most a block each.
        self.run(self.now + 15 * block_time + 60 * SECOND, |_| false)?;
        let before: Vec<_> = self.honest().filter_map(Node::tip).collect();
        self.run(self.now + 15 * block_time + 60 * SECOND, |_| false)?;
        let after: Vec<_> = self.honest().filter_map(Node::tip).collect();
        if before != after {
            let detail = format!("{} miners of spacing {spacing} went on: {before:?}, {after:?}", spacing - 1);
            self.checks.fail("a chain that should stall stalls", detail);
        }
        if self.failed() {
            return Ok(());
        }
        self.checks.counts.stalls += 1;
        let height = self.height();
        if let Some(back) = miners.get(spacing - 1).copied() {
            self.checks.counts.restarts += 1;
            self.start(back)?;
        }
        let grew = move |world: &World| world.height() > height;
        if !self.run(self.now + 8 * block_time + 60 * SECOND, grew)? && !self.failed() {
            let detail = format!("{spacing} miners of spacing {spacing} stay at {height}");
            self.checks.fail("a chain that should not stall does not", detail);
        }
        Ok(())
    }

    /// Whether nobody has made a block for so long that nobody may.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.newest.is_none_or(|(at, _)| at + self.patience() < self.now)
    }

    /// Longest time in which a miner that has its turn makes a block if nobody else does: turnover, and backups one
    /// after another.
    fn patience(&self) -> u64 {
        6 * self.block_time() + 60 * SECOND
    }

    /// Everything heals, and all honest nodes come to one tip and one state.
    fn recover(&mut self) -> anyhow::Result<()> {
        if self.failed() {
            return Ok(());
        }
        self.heal()?;
        self.run(self.now + RECONNECT, |_| false)?;
        self.wait_for_time()?;
        let since = self.now;
        let mut first = None;
        let patience = self.patience();
        let made = move |world: &World| world.newest.is_some_and(|(at, _)| at > since);
        if self.run(self.now + patience, made)? {
            first = self.newest;
        } else {
            self.must_not_stall(since)?;
        }
        if let Some((at, hash)) = first {
            let limit = at + ONE_TIP * self.block_time();
            let mut settled = self.run(limit, World::is_settled)?;
            if !settled && self.is_contested() {
                // Two miners may make a block within the time it travels, several times in a row.
                self.checks.counts.late += 1;
                settled = self.run(limit + MANY_TIP * self.block_time(), World::is_settled)?;
            }
            if !settled && !self.failed() {
                let tips: Vec<_> = self.honest().map(|node| (node.index, node.tip())).collect();
                let pair = self.unsettled().next().map(|(one, other)| [one, other].map(World::fork_report).join("; "));
                let detail = format!(
                    "the first block after healing was {hash} at {at}; {}; at {limit} tips are {tips:?}",
                    pair.unwrap_or_default()
                );
                self.checks.fail("all honest nodes reach one tip within three block times", detail);
            }
        }
        self.confirm()?;
        self.finish()
    }

    /// Whether honest nodes have different tips of one height, the greatest or that of a branch which others refuse: the
    /// next block decides.
    fn is_contested(&self) -> bool {
        let height = self.height();
        let mut highest = self.honest().filter_map(Node::tip).filter(|tip| tip.0 == height);
        let first = highest.next();
        highest.any(|tip| Some(tip) != first) || self.unsettled().any(|(one, other)| same_height(one, other))
    }

    /// Waits until no block of an honest chain lies in the future of right clocks: such a block is held by others, and
    /// all that stand on it with it.
    fn wait_for_time(&mut self) -> anyhow::Result<()> {
        let ahead = (self.plan.target * 10).max(LEAST_AHEAD);
        let latest = self.honest().filter_map(Node::tip).map(|(_, tip)| self.checks.latest_time(&tip)).max();
        let due = latest.map_or(0, |time| time.saturating_sub(chain::START + ahead) * SECOND);
        if due > self.now {
            self.run(due, |_| false)?;
        }
        Ok(())
    }

    /// Blocks go on until all that was acknowledged has its end.
    fn confirm(&mut self) -> anyhow::Result<()> {
        let end = self.now + 20 * self.block_time() + self.patience();
        while self.now < end && !self.failed() {
            let open = self.open_promises()?;
            if open.is_empty() && self.is_settled() {
                return Ok(());
            }
            let before = self.now.saturating_sub(self.patience());
            self.run(self.now + self.block_time(), |_| false)?;
            if before > 0 {
                self.must_not_stall(before)?;
            }
        }
        Ok(())
    }

    /// No node that may make the next block, by its own tip, has waited since `since`.
    fn must_not_stall(&mut self, since: u64) -> anyhow::Result<()> {
        if self.failed() || self.newest.is_some_and(|(at, _)| at > since) || self.now < since + self.patience() {
            return Ok(());
        }
        let stuck: Vec<String> = self
            .honest()
            .filter_map(|node| {
                let running = node.running.as_ref()?;
                let (height, tip) = node.tip()?;
                let rests = running.decision.is_some_and(|decision| decision.rests());
                let alone = self.plan.requires_peers && running.peers.is_empty();
                let has_turn = self.checks.has_turn(&tip, &self.chain.address(node.index));
                let waited = running.tip_since <= since;
                let stuck = has_turn && waited && !rests && !alone;
                stuck.then(|| format!("node {} at {height}: {:?}", node.index, running.decision))
            })
            .collect();
        if stuck.is_empty() {
            self.checks.counts.stalls += 1;
        } else {
            self.checks.fail("a chain that should not stall does not", stuck.join("; "));
        }
        Ok(())
    }

    /// Mining ends, and what all have is compared: tips, states, promises, and the chain replayed from genesis.
    fn finish(&mut self) -> anyhow::Result<()> {
        if self.failed() {
            return Ok(());
        }
        for ending in 1..=MOST_ENDINGS {
            self.let_mine(false);
            self.run(self.now + SETTLE, |_| false)?;
            if self.failed() {
                return Ok(());
            }
            // The last block may have been contested, or have brought back what another branch had confirmed.
            let enough = ending >= ENDINGS || self.open_promises()?.is_empty();
            if ending == MOST_ENDINGS || (enough && self.is_settled()) {
                break;
            }
            self.let_mine(true);
            self.run(self.now + 2 * self.block_time(), World::is_settled)?;
            self.confirm()?;
        }
        let forked = !self.agrees();
        if !self.is_settled() {
            let reports: Vec<String> = self.honest().map(World::fork_report).collect();
            self.checks.fail("all honest nodes have one tip once nobody mines", reports.join("; "));
            return Ok(());
        }
        self.compare_promises(forked)?;
        let mut done: Vec<BlockHash> = Vec::new();
        for index in 0..self.nodes.len() {
            let tip = self.nodes.get(index).filter(|node| node.is_honest()).and_then(Node::tip);
            let Some((_, hash)) = tip else { continue };
            self.recount(index)?;
            if !done.contains(&hash) {
                done.push(hash);
                self.replay(index)?;
            }
        }
        Ok(())
    }

    /// All nodes mine, or none.
    pub fn let_mine(&mut self, mine: bool) {
        for running in self.nodes.iter().filter_map(|node| node.running.as_ref()) {
            running.settings.write().unwrap_or_else(std::sync::PoisonError::into_inner).gen_enabled = mine;
        }
    }

    fn compare_promises(&mut self, forked: bool) -> anyhow::Result<()> {
        for (node, txid) in self.open_promises()? {
            let Some(state) = self.nodes.get(node) else { continue };
            let Some(running) = state.running.as_ref() else { continue };
            let waits = running.view.read().pool.get(&txid).is_some() || running.ledger.is_resting(&txid);
            // It may wait on a chain that stalled, as it should, or on a branch that an operator has to decide about.
            let idle = forked || self.is_idle();
            if !waits || !idle {
                let detail = format!("{txid} of node {node} has no end; it waits: {waits}");
                self.checks.fail("an acknowledged transaction is confirmed or ends visibly", detail);
            }
        }
        Ok(())
    }

    /// The hash of a node's state is that of its elements, counted anew.
    fn recount(&mut self, index: usize) -> anyhow::Result<()> {
        let Some(running) = self.running(index) else { return Ok(()) };
        let snapshot = running.view.snapshot();
        let mut multiset = rota_chain::multiset::Multiset::new();
        snapshot.for_each_element(|key, value| multiset.add(&rota_consensus::state::element(&key, &value)))?;
        if multiset.hash() != snapshot.multiset()?.hash() {
            let detail = format!("node {index}: {} is not {}", snapshot.multiset()?.hash(), multiset.hash());
            self.checks.fail("the state hash is that of the state", detail);
        }
        Ok(())
    }

    /// A new node takes a node's chain from genesis, block by block: the same state at each, each transaction once.
    fn replay(&mut self, index: usize) -> anyhow::Result<()> {
        let Some(running) = self.running(index) else { return Ok(()) };
        let (snapshot, tip) = (running.view.snapshot(), running.view.tip());
        let folder = self.folder().join("replay");
        let random = Random::new(self.plan.seed, 99);
        let mut fresh = Node::new(0, &self.chain, &folder, false, random)?;
        fresh.start(&self.chain, self.now)?;
        let mut seen = std::collections::BTreeSet::new();
        for hash in snapshot.block_hashes(1..tip.height.0 + 1)? {
            let block = snapshot.block(&hash)?.context("a block of the chain")?;
            for transaction in block.transactions.iter().skip(1) {
                if !seen.insert(transaction.txid()) {
                    let detail = format!("{} is confirmed twice", transaction.txid());
                    self.checks.fail("a transaction is confirmed once", detail);
                }
            }
            let Some(running) = fresh.running.as_mut() else { return Ok(()) };
            let outcome = running.ledger.accept_block(block.into(), false);
            if !matches!(outcome, rota_node::ledger::BlockOutcome::Applied) {
                let detail = format!("block {hash}: {}", World::outcome(&outcome));
                self.checks.fail("a chain can be replayed from genesis", detail);
                return Ok(());
            }
            let now = running.view.snapshot();
            self.checks.state("the replay", &now)?;
            self.checks.applied(true, "the replay", hash, &now)?;
        }
        drop(fresh);
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }
}

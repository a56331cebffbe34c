//! Governance forks: both halves of a partition change who may mine, so deep that neither undoes its decision. All
//! nodes then report the fork with both tips.

use rota_chain::hash::BlockHash;
use rota_chain::permission::{BlockRange, Permission};

use crate::chain::{self, START};
use crate::node::Node;
use crate::world::{SECOND, World};

/// Time within which all connected nodes report a fork.
const REPORT: u64 = 40 * SECOND;
/// Blocks that nodes of one side may lack or have besides.
const ON_THEIR_WAY: u32 = 3;

impl World {
    /// Two halves decide differently and are joined again.
    ///
    /// # Errors
    /// If a node's storage fails.
    pub fn part_governance(&mut self) -> anyhow::Result<()> {
        let block_time = self.block_time();
        self.chaos = true;
        self.run(self.now + 6 * block_time, |_| false)?;
        for (node, island) in self.islands.iter_mut().enumerate() {
            *island = node % 2;
        }
        self.part();
        self.checks.counts.partitions += 1;
        self.run(self.now + 2 * block_time, |_| false)?;
        // The keys of two users get mine, one on each island: administrators 0 and 1 are on different ones.
        for side in 0..2 {
            let address = self.chain.user_address(side);
            let output = chain::grant(address, &[Permission::Mine], BlockRange::ALWAYS, START + self.now / SECOND);
            self.vote(side, side, output)?;
        }
        let decided = |world: &World, side: usize| world.permitted_at(side).contains(&world.chain.user_address(side));
        let both = move |world: &World| decided(world, 0) && decided(world, 1);
        if !self.run(self.now + 40 * block_time + 120 * SECOND, both)? {
            // One island could not decide, since too few of its miners have their turn: nothing to see.
            return self.end_quietly();
        }
        // Deeper than the lock lets go: its rounds, and the blocks of the partition before.
        let deep: Vec<u32> = [0, 1].iter().map(|side| self.height_of(*side) + self.lock_depth(*side) + 3).collect();
        let is_deep = move |world: &World| deep.iter().enumerate().all(|(side, deep)| world.height_of(side) >= *deep);
        if !self.run(self.now + 60 * block_time + 240 * SECOND, is_deep)? {
            return self.end_quietly();
        }
        self.islands.fill(0);
        self.run(self.now + 12 * block_time + 60 * SECOND, |_| false)?;
        // Tips move all the time, and what a peer says of its own comes every half a minute at least.
        let reported = self.run(self.now + REPORT, World::is_governance_fork)?;
        if self.checks.failure.is_some() {
            return Ok(());
        }
        if reported {
            self.checks.counts.governance += 1;
        } else {
            let reports: Vec<String> = self.honest().map(World::fork_report).collect();
            self.checks.fail("all nodes report a governance fork with both tips", reports.join("; "));
        }
        Ok(())
    }

    fn end_quietly(&mut self) -> anyhow::Result<()> {
        self.checks.counts.stalls += 1;
        Ok(())
    }

    fn height_of(&self, node: usize) -> u32 {
        self.nodes.get(node).and_then(Node::tip).map_or(0, |tip| tip.0)
    }

    fn lock_depth(&self, node: usize) -> u32 {
        let tip = self.nodes.get(node).and_then(Node::tip);
        let spacing = tip.and_then(|(_, hash)| self.checks.rotation(&hash)).map_or(1, |rotation| rotation.spacing);
        self.plan.lock_rounds * spacing
    }

    /// A node's tip, and the branches that it reports as governance forks.
    pub fn fork_report(node: &Node) -> String {
        let forks = node.running.as_ref().map(|running| running.ledger.governance_forks()).unwrap_or_default();
        let shown: Vec<String> = forks
            .iter()
            .map(|fork| format!("{} at {} since {}", fork.tip, fork.height.0, fork.fork_height.0))
            .collect();
        format!("node {} at {:?} reports {shown:?}", node.index, node.tip())
    }

    /// Pairs of honest nodes that are connected.
    fn pairs(&self) -> impl Iterator<Item = (&Node, &Node)> {
        let honest = |index: usize| self.honest().find(|node| node.index == index);
        let ends = self.connections.values().map(|connection| connection.ends);
        ends.filter_map(move |(one, other)| Some((honest(one)?, honest(other)?)))
    }

    /// Whether some connected honest nodes are on branches that parted long ago, and each of them reports the other's
    /// branch as a governance fork.
    #[must_use]
    pub fn is_governance_fork(&self) -> bool {
        let parted = |(one, other): &(&Node, &Node)| match (one.tip(), other.tip()) {
            (Some((_, one)), Some((_, other))) => self.parted(&one, &other),
            _ => false,
        };
        let mut pairs = self.pairs().filter(parted).peekable();
        pairs.peek().is_some() && pairs.all(|(one, other)| self.refuses(one, other) && self.refuses(other, one))
    }

    /// Whether every two connected honest nodes have one tip, or one of them reports the other's branch as a governance
    /// fork: then an operator has to decide. Branches of one height on which nobody may make a block stay as they are.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.agrees() || self.unsettled().next().is_none()
    }

    /// The pairs that are not settled, see [`World::is_settled`].
    pub fn unsettled(&self) -> impl Iterator<Item = (&Node, &Node)> {
        let settled = move |(one, other): &(&Node, &Node)| {
            let tied = same_height(one, other) && !self.has_turn(one) && !self.has_turn(other);
            one.tip() == other.tip() || tied || self.refuses(one, other) || self.refuses(other, one)
        };
        self.pairs().filter(move |pair| !settled(pair))
    }

    /// Whether a node, or another at its tip, may make the next block.
    fn has_turn(&self, node: &Node) -> bool {
        let Some((_, tip)) = node.tip() else { return false };
        let at_tip = self.honest().filter(|other| other.tip() == node.tip());
        at_tip.map(|other| self.chain.address(other.index)).any(|address| self.checks.has_turn(&tip, &address))
    }

    /// Whether a node reports the branch of another as a governance fork.
    fn refuses(&self, node: &Node, other: &Node) -> bool {
        let (Some(running), Some((height, tip))) = (node.running.as_ref(), other.tip()) else { return false };
        let forks = running.ledger.governance_forks();
        // The last blocks of the other branch may be on their way.
        let recent = forks.iter().filter(|fork| fork.height.0 + ON_THEIR_WAY >= height);
        let mut recent = recent.map(|fork| fork.tip);
        recent.any(|fork| !self.is_on(&fork, node) && (self.descends(&tip, &fork) || self.beside(&tip, &fork)))
    }

    /// Whether two blocks are on branches that parted more than a few blocks ago.
    fn parted(&self, one: &BlockHash, other: &BlockHash) -> bool {
        !self.descends(one, other) && !self.descends(other, one) && !self.beside(one, other)
    }

    /// Whether two branches parted within the last few blocks: nodes of one side that will agree soon.
    fn beside(&self, one: &BlockHash, other: &BlockHash) -> bool {
        let mut next = *one;
        for _ in 0..ON_THEIR_WAY {
            let Some(seen) = self.checks.seen(&next) else { return false };
            next = seen.previous;
            if self.descends(other, &next) {
                return true;
            }
        }
        false
    }

    /// Whether a block is on a node's chain.
    fn is_on(&self, hash: &BlockHash, node: &Node) -> bool {
        node.tip().is_some_and(|(_, tip)| self.descends(&tip, hash))
    }

    /// Whether a block is another or stands on it.
    fn descends(&self, hash: &BlockHash, ancestor: &BlockHash) -> bool {
        let Some(wanted) = self.checks.seen(ancestor) else { return false };
        let mut next = *hash;
        loop {
            if next == *ancestor {
                return true;
            }
            match self.checks.seen(&next) {
                Some(seen) if seen.height > wanted.height => next = seen.previous,
                _ => return false,
            }
        }
    }
}

/// Whether two nodes have tips of one height.
pub fn same_height(one: &Node, other: &Node) -> bool {
    one.tip().map(|tip| tip.0) == other.tip().map(|tip| tip.0)
}

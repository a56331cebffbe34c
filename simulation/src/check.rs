//! What must hold in every state: properties over what nodes applied, kept apart from the rules they check.

use std::collections::{BTreeMap, BTreeSet};

use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, StateHash};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_consensus::state::StateView as _;
use rota_storage::Snapshot;

/// Blocks whose times make the median.
const MEDIAN_BLOCKS: usize = 11;

/// Blocks looked back for one with a false time: more than a run makes while a clock is wrong.
const LOOKED_BACK: usize = 200;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The property.
    pub property: &'static str,
    /// What was seen.
    pub detail: String,
}

/// Who may mine after a block, counted from the state by hand.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The permitted.
    pub permitted: BTreeSet<KeyHash>,
    /// Blocks from one block of a miner to its next.
    pub spacing: u32,
}

/// A block as the checks see it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The block before.
    pub previous: BlockHash,
    /// Its height.
    pub height: u32,
    /// Who made it.
    pub miner: KeyHash,
    /// Its time.
    pub time: u32,
}

/// Events worth counting: a run in which none of a kind happened says nothing about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Blocks made by honest nodes.
    pub blocks: u64,
    /// Switches that undid blocks.
    pub reorganisations: u64,
    /// Most blocks undone at once.
    pub deepest: u64,
    /// Transactions acknowledged.
    pub acknowledged: u64,
    /// Of those, that ended unconfirmed and visibly.
    pub ended: u64,
    /// Starts after a crash.
    pub restarts: u64,
    /// Of those, after a power cut.
    pub power_cuts: u64,
    /// Partitions.
    pub partitions: u64,
    /// Clocks set wrong.
    pub skews: u64,
    /// Changes of who may mine that were submitted.
    pub grants: u64,
    /// Acts of a byzantine miner.
    pub byzantine: u64,
    /// Times a byzantine node was found out.
    pub accused: u64,
    /// Chains that stalled, as they should.
    pub stalls: u64,
    /// Governance forks that both sides reported.
    pub governance: u64,
    /// Messages lost.
    pub dropped: u64,
    /// Runs in which every block was contested for more than three block times.
    pub late: u64,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Counts) {
        self.blocks += other.blocks;
        self.reorganisations += other.reorganisations;
        self.deepest = self.deepest.max(other.deepest);
        self.acknowledged += other.acknowledged;
        self.ended += other.ended;
        self.restarts += other.restarts;
        self.power_cuts += other.power_cuts;
        self.partitions += other.partitions;
        self.skews += other.skews;
        self.grants += other.grants;
        self.byzantine += other.byzantine;
        self.accused += other.accused;
        self.stalls += other.stalls;
        self.governance += other.governance;
        self.dropped += other.dropped;
        self.late += other.late;
    }
}

/// What was seen so far.
#[derive(Debug)]
pub struct Checks {
    diversity: u32,
    setup: u32,
    states: BTreeMap<BlockHash, StateHash>,
    rotations: BTreeMap<BlockHash, Rotation>,
    blocks: BTreeMap<BlockHash, Seen>,
    /// Blocks that an honest node applied before the state after their parent was seen.
    open: BTreeSet<BlockHash>,
    /// Blocks that break a rule and must not be applied.
    pub forged: BTreeSet<BlockHash>,
    /// The first property that did not hold.
    pub failure: Option<Failure>,
    /// What happened.
    pub counts: Counts,
}

impl Checks {
    /// Nothing seen yet, on a chain with this diversity (millionths) and setup phase.
    #[must_use]
    pub fn new(diversity: u32, setup: u32) -> Checks {
        Checks {
            diversity,
            setup,
            states: BTreeMap::new(),
            rotations: BTreeMap::new(),
            blocks: BTreeMap::new(),
            open: BTreeSet::new(),
            forged: BTreeSet::new(),
            failure: None,
            counts: Counts::default(),
        }
    }

    /// Notes that a property does not hold; the first one counts.
    pub fn fail(&mut self, property: &'static str, detail: String) {
        if self.failure.is_none() {
            self.failure = Some(Failure { property, detail });
        }
    }

    /// A block as seen, if it was.
    #[must_use]
    pub fn seen(&self, hash: &BlockHash) -> Option<&Seen> {
        self.blocks.get(hash)
    }

    /// Who may mine after a block, if the state after it was seen.
    #[must_use]
    pub fn rotation(&self, hash: &BlockHash) -> Option<&Rotation> {
        self.rotations.get(hash)
    }

    /// Looks at a node's state at its tip: the same on all nodes, whatever path led there.
    ///
    /// # Errors
    /// If the node's storage fails.
    pub fn state(&mut self, who: &str, snapshot: &Snapshot) -> anyhow::Result<()> {
        let Some(tip) = snapshot.tip() else { return Ok(()) };
        let hash = snapshot.multiset()?.hash();
        match self.states.get(&tip.hash) {
            Some(known) if *known != hash => {
                let detail = format!("after block {} at {} {who} has {hash}, others {known}", tip.hash, tip.height.0);
                self.fail("one block has one effect", detail);
            }
            Some(_) => {}
            None => {
                self.states.insert(tip.hash, hash);
            }
        }
        if !self.rotations.contains_key(&tip.hash) {
            let next = Height(tip.height.0 + 1);
            let holders = snapshot.holders(None, Permission::Mine)?;
            let holds = |(lock, record): &(Lock, rota_consensus::state::PermissionRecord)| {
                record.range.contains(next).then(|| lock.key_hash()).flatten()
            };
            let permitted: BTreeSet<KeyHash> = holders.iter().filter_map(holds).collect();
            let spacing = self.spacing(permitted.len(), next.0);
            self.rotations.insert(tip.hash, Rotation { permitted, spacing });
        }
        Ok(())
    }

    fn spacing(&self, miners: usize, height: u32) -> u32 {
        if height < self.setup {
            return 1;
        }
        let miners = u64::try_from(miners).unwrap_or(u64::MAX);
        let share = (miners * u64::from(self.diversity)).div_ceil(1_000_000);
        u32::try_from(share.clamp(1, miners.max(1))).unwrap_or(u32::MAX)
    }

    /// Looks at a block that a node applied.
    ///
    /// # Errors
    /// If the node's storage fails.
    pub fn applied(&mut self, honest: bool, who: &str, hash: BlockHash, snapshot: &Snapshot) -> anyhow::Result<()> {
        if !self.blocks.contains_key(&hash)
            && let Some(entry) = snapshot.block_entry(&hash)?
        {
            let header = entry.header.header;
            let seen =
                Seen { previous: header.previous, height: entry.height.0, miner: header.miner, time: header.time.0 };
            self.blocks.insert(hash, seen);
            self.open.insert(hash);
        }
        if honest && self.forged.contains(&hash) {
            self.fail("no block that breaks a rule is applied", format!("{who} applied {hash}"));
        }
        self.close();
        Ok(())
    }

    /// Judges blocks whose parent's state is known by now.
    pub fn close(&mut self) {
        let judged: Vec<BlockHash> = self
            .open
            .iter()
            .filter(|hash| self.blocks.get(hash).is_some_and(|seen| self.rotations.contains_key(&seen.previous)))
            .copied()
            .collect();
        for hash in judged {
            self.open.remove(&hash);
            if let Err(detail) = self.judge(&hash) {
                self.fail("spacing, permission and time hold on every accepted chain", detail);
            }
        }
    }

    /// Blocks that were applied somewhere and could not be judged.
    #[must_use]
    pub fn unjudged(&self) -> usize {
        self.open.len()
    }

    fn judge(&self, hash: &BlockHash) -> Result<(), String> {
        let Some(seen) = self.blocks.get(hash) else { return Ok(()) };
        let Some(rotation) = self.rotations.get(&seen.previous) else { return Ok(()) };
        if !rotation.permitted.contains(&seen.miner) {
            return Err(format!("block {hash} at {} has a miner without permission", seen.height));
        }
        if !self.has_turn(&seen.previous, &seen.miner) {
            return Err(format!("block {hash} at {} is out of turn, spacing {}", seen.height, rotation.spacing));
        }
        let (mut times, mut next) = (Vec::new(), seen.previous);
        while let Some(before) = self.blocks.get(&next).filter(|_| times.len() < MEDIAN_BLOCKS) {
            times.push(before.time);
            next = before.previous;
        }
        times.sort_unstable();
        match times.get(times.len() / 2) {
            Some(median) if seen.time <= *median => {
                Err(format!("block {hash} at {} has time {}, the median is {median}", seen.height, seen.time))
            }
            _ => Ok(()),
        }
    }

    /// The latest time among the last blocks of a chain.
    #[must_use]
    pub fn latest_time(&self, tip: &BlockHash) -> u64 {
        let (mut next, mut latest) = (*tip, 0);
        for _ in 0..LOOKED_BACK {
            let Some(seen) = self.blocks.get(&next) else { break };
            latest = latest.max(u64::from(seen.time));
            next = seen.previous;
        }
        latest
    }

    /// Whether an address may make the block after `tip`: permitted, and none of the last blocks is its own.
    #[must_use]
    pub fn has_turn(&self, tip: &BlockHash, address: &KeyHash) -> bool {
        let Some(rotation) = self.rotations.get(tip) else { return false };
        let (mut next, mut back) = (*tip, 1);
        while back < rotation.spacing {
            let Some(seen) = self.blocks.get(&next) else { break };
            if seen.miner == *address {
                return false;
            }
            next = seen.previous;
            back += 1;
        }
        rotation.permitted.contains(address)
    }
}

//! What a seed stands for: how many miners, the chain's parameters, which faults and how often.

use crate::random::Random;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All faults together.
    Mixed,
    /// Miners are stopped until too few are left for the chain to go on, then one comes back.
    Stall,
    /// Both halves of a partition change who may mine, deeper than lock-admin-mine-rounds lets go.
    Governance,
}

/// Something broken on purpose, to see that the simulation notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The first node lets every permitted miner mine whenever it likes.
    NoSpacing,
    /// The first node counts votes by another rule.
    OtherVotes,
    /// A node that crashes loses its journal.
    NoJournal,
    /// Nothing arrives after everything healed.
    NoNetwork,
    /// Miners make no block once everything healed.
    NoMining,
    /// Who is barred by spacing mines all the same, and all nodes let it.
    NoSpacingAnywhere,
    /// A node drops what it knows of governance forks.
    NoReport,
    /// The network's chance is drawn from the machine's clock.
    OtherChance,
}

/// Faults of the network, each so many times in a thousand messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkFaults {
    /// Most microseconds a message travels.
    pub delay: u64,
    /// Messages that take up to ten times as long.
    pub slow: u64,
    /// Messages lost.
    pub drop: u64,
    /// Announcements that arrive twice.
    pub duplicate: u64,
    /// Answers cut short.
    pub cut: u64,
}

/// Faults of nodes, each as the mean number of them in a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeFaults {
    /// Partitions into islands.
    pub partitions: u64,
    /// Crashes.
    pub crashes: u64,
    /// Clocks set wrong.
    pub skews: u64,
    /// Changes of who may mine.
    pub grants: u64,
    /// Connections that end.
    pub disconnections: u64,
    /// Acts of the byzantine miner.
    pub byzantine: u64,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What it is about.
    pub kind: Kind,
    /// Nodes in all.
    pub nodes: usize,
    /// Nodes permitted to mine at first: the first ones.
    pub miners: usize,
    /// Nodes with the rights of an administrator.
    pub admins: usize,
    /// Target block time in seconds.
    pub target: u64,
    /// Mining diversity, in millionths.
    pub diversity: u32,
    /// Mining turnover, in millionths.
    pub turnover: u32,
    /// Blocks of the setup phase.
    pub setup: u32,
    /// Share of administrators that changes who may mine, in millionths.
    pub admin_consensus: u32,
    /// lock-admin-mine-rounds.
    pub lock_rounds: u32,
    /// mine-empty-rounds, in millionths; negative for never resting.
    pub empty_rounds: i32,
    /// Whether a node without peers does not mine.
    pub requires_peers: bool,
    /// Whether anyone may connect, or only who was granted it.
    pub anyone_can_connect: bool,
    /// Block times of faults.
    pub chaos: u64,
    /// Faults of the network.
    pub network: NetworkFaults,
    /// Faults of nodes.
    pub faults: NodeFaults,
    /// Transactions a block time.
    pub transactions: u64,
    /// Whether the last miner is byzantine while faults last.
    pub byzantine: bool,
    /// Whether databases are on disk instead of in memory.
    pub on_disk: bool,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Plan {
        let mut random = Random::new(seed, 1);
        let kind = match random.below(20) {
            0 => Kind::Stall,
            1 => Kind::Governance,
            _ => Kind::Mixed,
        };
        let miners = size(&mut random);
        let choice = |random: &mut Random, from: &[u32]| random.pick(from).copied().unwrap_or(0);
        let diversity = choice(&mut random, &[0, 300_000, 300_000, 500_000, 750_000, 1_000_000]);
        let turnover = choice(&mut random, &[0, 250_000, 500_000, 500_000, 1_000_000]);
        let admins = usize::try_from(random.between(1, 3)).unwrap_or(1).min(miners);
        let mut plan = Plan {
            seed,
            kind,
            nodes: miners + random.index(3),
            miners,
            admins,
            target: u64::from(choice(&mut random, &[4, 5, 8, 10, 15])),
            diversity,
            turnover,
            setup: choice(&mut random, &[1, 3, 12]),
            admin_consensus: choice(&mut random, &[0, 0, 500_000, 1_000_000]),
            lock_rounds: choice(&mut random, &[1, 3, 10, 10]),
            empty_rounds: if random.chance(150) { 2_000_000 } else { -1_000_000 },
            requires_peers: random.chance(600),
            anyone_can_connect: random.chance(700),
            chaos: random.between(10, 30),
            network: network_faults(&mut random),
            faults: NodeFaults::default(),
            transactions: random.between(0, 4),
            byzantine: miners >= 3 && random.chance(350),
            on_disk: false,
            sabotage: None,
        };
        plan.faults = node_faults(&mut random, plan.byzantine);
        plan.shape();
        plan
    }

    /// Makes the plan fit what it is about and how large it is.
    fn shape(&mut self) {
        match self.kind {
            Kind::Mixed => {}
            Kind::Stall => {
                // All are linked to all, so that those who are left can hear of each other.
                (self.miners, self.byzantine) = (self.miners.clamp(4, 8), false);
                self.nodes = self.miners;
                (self.diversity, self.setup) = (self.diversity.max(500_000), 1);
                (self.empty_rounds, self.requires_peers) = (-1_000_000, false);
            }
            Kind::Governance => {
                (self.miners, self.byzantine) = (self.miners.clamp(4, 10), false);
                (self.admins, self.admin_consensus) = (self.miners.min(4), 0);
                (self.diversity, self.setup, self.lock_rounds) = (300_000, 1, 1);
                (self.empty_rounds, self.requires_peers) = (-1_000_000, false);
            }
        }
        self.nodes = self.nodes.clamp(self.miners, self.miners + 2);
        self.admins = self.admins.min(self.miners);
        if self.miners > 12 {
            // Many nodes cost more: fewer block times say as much.
            self.chaos = self.chaos.min(if self.miners > 40 { 8 } else { 12 });
            self.nodes = self.miners;
            // A block has to travel over several nodes before the next is due.
            self.target = self.target.max(10);
        }
        // Databases on disk are slow to open: a share of the small runs has them.
        self.on_disk = self.miners <= 4 && self.seed.is_multiple_of(97);
    }
}

/// Miners: mostly few, sometimes up to a hundred.
fn size(random: &mut Random) -> usize {
    let (least, most) = match random.below(200) {
        0 => (60, 100),
        1..=3 => (26, 60),
        4..=15 => (11, 25),
        16..=65 => (6, 10),
        _ => (3, 5),
    };
    usize::try_from(random.between(least, most)).unwrap_or(3)
}

fn network_faults(random: &mut Random) -> NetworkFaults {
    let mut often = |most: u64| if random.chance(500) { random.between(1, most) } else { 0 };
    let faults = NetworkFaults { delay: 0, slow: often(100), drop: often(150), duplicate: often(200), cut: often(100) };
    let delay = *random.pick(&[5_000, 50_000, 200_000, 600_000]).unwrap_or(&50_000);
    NetworkFaults { delay, ..faults }
}

fn node_faults(random: &mut Random, byzantine: bool) -> NodeFaults {
    let mut often = |most: u64| if random.chance(600) { random.between(1, most) } else { 0 };
    NodeFaults {
        partitions: often(3),
        crashes: often(5),
        skews: often(3),
        grants: often(6),
        disconnections: often(6),
        byzantine: if byzantine { often(8).max(3) } else { 0 },
    }
}

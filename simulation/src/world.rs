//! A network in one thread: nodes, a queue of what happens when, and simulated time, which jumps from one event to the
//! next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use rota_chain::block::Block;
use rota_chain::hash::BlockHash;
use rota_node::ledger::BlockOutcome;
use rota_p2p::PeerHandle;

use crate::byzantine::Act;
use crate::chain::Chain;
use crate::check::Checks;
use crate::fault::Fault;
use crate::node::Node;
use crate::peer::{Connection, Message};
use crate::plan::{NetworkFaults, Plan, Sabotage};
use crate::random::Random;
use crate::record::Record;

/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;
/// Microseconds between two ticks of a sync machine.
const TICK: u64 = 100_000;
/// The same in large networks.
const SLOW_TICK: u64 = 500_000;
/// Nodes up to which every pair is linked.
const MESH: usize = 8;
/// Links a node begins in larger networks.
const LINKS: usize = 3;

/// Something that happens at a time.
#[derive(Debug)]
pub enum Due {
    /// A message arrives at an end of a connection.
    Arrive { connection: PeerHandle, to: usize, message: Box<Message> },
    /// A node dials another.
    Dial { from: usize, to: usize },
    /// A connection ends.
    Close { connection: PeerHandle },
    /// The ledger does what it was asked next.
    Job { node: usize, life: u32 },
    /// Time passes for a sync machine.
    Tick { node: usize, life: u32, again: bool },
    /// A miner looks whether to make a block.
    Look { node: usize, life: u32, number: u64 },
    /// A block is made.
    Made { node: usize, life: u32, block: Arc<Block> },
    /// A fault begins or ends.
    Fault(Fault),
    /// A byzantine miner acts.
    Act { node: usize, act: Act },
    /// A caller submits a transaction.
    Transact,
}

/// The network.
pub struct World {
    /// What the run is about.
    pub plan: Plan,
    /// The chain.
    pub chain: Chain,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Microseconds since the start.
    pub now: u64,
    queue: BTreeMap<(u64, u64), Due>,
    order: u64,
    /// Pairs of nodes that connect, the dialling one first.
    pub links: Vec<(usize, usize)>,
    /// Connections that are up.
    pub connections: BTreeMap<PeerHandle, Connection>,
    /// Number of the last connection.
    pub last_connection: u64,
    /// Which island each node is on.
    pub islands: Vec<usize>,
    /// Faults of the network now.
    pub network: NetworkFaults,
    /// Chance of the network.
    pub travel: Random,
    /// Chance of faults.
    pub fate: Random,
    /// Chance of callers.
    pub work: Random,
    /// Streams that callers created.
    pub streams: Vec<rota_chain::hash::Txid>,
    /// What happened.
    pub record: Record,
    /// What must hold.
    pub checks: Checks,
    /// Microseconds between two ticks of a sync machine.
    pub tick: u64,
    /// Whether callers and faults go on.
    pub chaos: bool,
    /// When a node last made a block, and which.
    pub newest: Option<(u64, BlockHash)>,
    folder: PathBuf,
}

impl World {
    /// A network at the genesis block, its nodes down, with files in `folder`.
    ///
    /// # Errors
    /// If the plan cannot be made true.
    pub fn new(plan: Plan, folder: PathBuf) -> anyhow::Result<World> {
        let chain = Chain::new(&plan)?;
        let mut nodes = Vec::with_capacity(plan.nodes);
        for index in 0..plan.nodes {
            let random = Random::new(plan.seed, 100 + index as u64);
            let mut node = Node::new(index, &chain, &folder, plan.on_disk, random)?;
            node.sync_transactions = node.random.chance(500);
            nodes.push(node);
        }
        let mut fate = Random::new(plan.seed, 2);
        let links = links(plan.nodes, &mut fate);
        Ok(World {
            nodes,
            now: 0,
            queue: BTreeMap::new(),
            order: 0,
            links,
            connections: BTreeMap::new(),
            last_connection: 0,
            islands: vec![0; plan.nodes],
            network: NetworkFaults { delay: 50_000, ..NetworkFaults::default() },
            travel: Random::new(if plan.sabotage == Some(Sabotage::OtherChance) { chance() } else { plan.seed }, 3),
            fate,
            work: Random::new(plan.seed, 4),
            streams: Vec::new(),
            record: Record::default(),
            checks: Checks::new(plan.diversity, plan.setup),
            tick: if plan.nodes > 12 { SLOW_TICK } else { TICK },
            chaos: false,
            newest: None,
            folder,
            chain,
            plan,
        })
    }

    /// Where the nodes' files are.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Microseconds of a block time.
    #[must_use]
    pub const fn block_time(&self) -> u64 {
        self.plan.target * SECOND
    }

    /// Lets something happen after a while.
    pub fn after(&mut self, delay: u64, due: Due) {
        self.order += 1;
        self.queue.insert((self.now + delay, self.order), due);
    }

    /// Starts a node, and lets it dial.
    ///
    /// # Errors
    /// If a node cannot be set up; a start that fails after a crash is a failure of the run instead.
    pub fn start(&mut self, index: usize) -> anyhow::Result<()> {
        let now = self.now;
        let node = self.nodes.get_mut(index).context("a node of the run")?;
        if let Err(error) = node.start(&self.chain, now) {
            self.checks.fail("a node starts again from what was durable", format!("node {index}: {error:#}"));
            return Ok(());
        }
        let life = node.life;
        self.note(index, b"start", || "starts".to_owned());
        self.observe_start(index)?;
        let first = self.travel.below(self.tick);
        self.after(first, Due::Tick { node: index, life, again: true });
        self.look_soon(index);
        for (from, to) in self.links.clone() {
            if from == index || to == index {
                let pause = self.travel.between(10_000, 300_000);
                self.after(pause, Due::Dial { from, to });
            }
        }
        Ok(())
    }

    /// Notes an event of a node.
    pub fn note(&mut self, node: usize, bytes: &[u8], line: impl FnOnce() -> String) {
        let mut all = vec![u8::try_from(node).unwrap_or(u8::MAX)];
        all.extend_from_slice(bytes);
        self.record.note(self.now, &all, || format!("node {node}: {}", line()));
    }

    /// Lets everything happen that is due up to `until`, or until `done` says so or a property fails. True if done.
    ///
    /// # Errors
    /// If a node's storage fails though nothing was done to it.
    pub fn run(&mut self, until: u64, mut done: impl FnMut(&World) -> bool) -> anyhow::Result<bool> {
        while let Some(first) = self.queue.first_entry().filter(|first| first.key().0 <= until) {
            let ((at, _), due) = first.remove_entry();
            self.now = self.now.max(at);
            self.happen(due)?;
            if self.checks.failure.is_some() {
                return Ok(false);
            }
            if done(self) {
                return Ok(true);
            }
        }
        self.now = self.now.max(until);
        Ok(done(self))
    }

    fn happen(&mut self, due: Due) -> anyhow::Result<()> {
        match due {
            Due::Arrive { connection, to, message } => self.arrive(connection, to, *message),
            Due::Dial { from, to } => self.dial(from, to),
            Due::Close { connection } => self.close(connection),
            Due::Job { node, life } => {
                if self.is_alive(node, life) {
                    return self.job(node);
                }
                Ok(())
            }
            Due::Tick { node, life, again } => self.tick(node, life, again),
            Due::Look { node, life, number } => {
                let due = self.running(node).is_some_and(|running| running.look == number && !running.making);
                if due && self.is_alive(node, life) { self.look(node) } else { Ok(()) }
            }
            Due::Made { node, life, block } => {
                if self.is_alive(node, life) {
                    self.made(node, block);
                }
                Ok(())
            }
            Due::Fault(fault) => self.fault(fault),
            Due::Act { node, act } => self.act_against_the_rules(node, act),
            Due::Transact => self.transact(),
        }
    }

    fn tick(&mut self, node: usize, life: u32, again: bool) -> anyhow::Result<()> {
        if !self.is_alive(node, life) {
            return Ok(());
        }
        if again {
            self.after(self.tick, Due::Tick { node, life, again });
            self.end_long_looks(node);
        } else if let Some(running) = self.running_mut(node) {
            running.news = false;
        }
        self.feed(node, rota_node::sync::SyncInput::Tick)
    }

    /// Whether a node still lives the life that something was meant for.
    #[must_use]
    pub fn is_alive(&self, node: usize, life: u32) -> bool {
        self.nodes.get(node).is_some_and(|node| node.life == life && node.running.is_some())
    }

    /// The parts of a node that runs.
    #[must_use]
    pub fn running(&self, node: usize) -> Option<&crate::node::Running> {
        self.nodes.get(node)?.running.as_ref()
    }

    /// As [`World::running`], to change.
    pub fn running_mut(&mut self, node: usize) -> Option<&mut crate::node::Running> {
        self.nodes.get_mut(node)?.running.as_mut()
    }

    /// Nodes that run, keep to the rules, and were let in: who never held the right to connect knows no chain.
    pub fn honest(&self) -> impl Iterator<Item = &Node> {
        let member = |node: &Node| {
            let joined = node.tip().is_some_and(|(height, _)| height > 0);
            self.plan.anyone_can_connect || node.index < self.plan.miners || joined
        };
        self.nodes.iter().filter(move |node| node.is_honest() && node.running.is_some() && member(node))
    }

    /// Whether all honest nodes that run have one tip.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let mut tips = self.honest().filter_map(Node::tip);
        let Some(first) = tips.next() else { return true };
        tips.all(|tip| tip == first)
    }

    /// The greatest height of an honest node.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.honest().filter_map(Node::tip).map(|tip| tip.0).max().unwrap_or(0)
    }

    /// Tells a block outcome in a word.
    #[must_use]
    pub fn outcome(outcome: &BlockOutcome) -> String {
        format!("{outcome:?}").chars().take(200).collect()
    }
}

/// A number that differs from run to run.
fn chance() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| u64::from(since.subsec_nanos()))
}

/// Who connects to whom: everybody, or in large networks a ring and a few more.
fn links(nodes: usize, fate: &mut Random) -> Vec<(usize, usize)> {
    let mut links = Vec::new();
    for from in 0..nodes {
        if nodes <= MESH {
            links.extend((from + 1..nodes).map(|to| (from, to)));
            continue;
        }
        let mut others = vec![(from + 1) % nodes];
        while others.len() < LINKS {
            let to = fate.index(nodes);
            if to != from && !others.contains(&to) {
                others.push(to);
            }
        }
        links.extend(others.into_iter().map(|to| (from, to)));
    }
    let mut kept: Vec<(usize, usize)> = Vec::new();
    for (from, to) in links {
        if !kept.contains(&(to, from)) {
            kept.push((from, to));
        }
    }
    kept
}

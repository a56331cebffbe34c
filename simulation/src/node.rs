//! A simulated node: what is durable, and while it runs the real ledger, pool, sync and miner, without their tasks.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, Txid};
use rota_consensus::transaction::VerifiedTransaction;
use rota_node::clock::Clock;
use rota_node::genesis;
use rota_node::ledger::{GovernanceFork, Ledger, LedgerEvent, LedgerParts, initial_view};
use rota_node::miner::{Decision, Gatherer, Miner};
use rota_node::pause::Paused;
use rota_node::pool::PoolLimits;
use rota_node::sync::{Delivered, LiveFacts, Now, Sync};
use rota_node::view::SharedView;
use rota_p2p::PeerHandle;
use rota_params::runtime::RuntimeSettings;
use rota_storage::journal::Journal;
use rota_storage::{MemoryStore, OpenOptions, Store, StorePaths};
use rota_wallet::Wallet;
use tokio::sync::broadcast;

use crate::byzantine::Byzantine;
use crate::chain::{Chain, START};
use crate::random::Random;

/// Events of the ledger that may wait: they are taken after each of its steps.
const EVENTS: usize = 4_096;

/// What the ledger's thread is asked, in order.
#[derive(Debug)]
pub enum Job {
    /// A peer's block.
    Block(Arc<Block>),
    /// A block this node made.
    Own(Arc<Block>),
    /// Peers' transactions.
    Relay(Vec<Delivered>),
    /// A caller's transaction.
    Submit(VerifiedTransaction),
    /// Whether many blocks are expected.
    CatchingUp(bool),
    /// Branches of peers that would undo protected changes of governance.
    Forks(Vec<GovernanceFork>),
}

/// The parts of a node that runs.
pub struct Running {
    /// The one writer.
    pub ledger: Ledger,
    /// What it tells.
    pub events: broadcast::Receiver<LedgerEvent>,
    /// What readers see.
    pub view: Arc<SharedView>,
    /// Keys.
    pub wallet: Arc<Wallet>,
    /// Settings.
    pub settings: Arc<RwLock<RuntimeSettings>>,
    /// The sync machine.
    pub sync: Sync<LiveFacts>,
    /// The miner.
    pub miner: Miner,
    /// The miner's facts.
    pub gatherer: Gatherer,
    /// What the miner decided last.
    pub decision: Option<Decision>,
    /// Whether a block is being made.
    pub making: bool,
    /// What waits for the ledger.
    pub jobs: VecDeque<Job>,
    /// Connections and the nodes at their other ends.
    pub peers: BTreeMap<PeerHandle, usize>,
    /// Blocks heard of, when, and whether they were passed on: the peer room does either once in a while.
    pub told: BTreeMap<BlockHash, (u64, bool)>,
    /// Microseconds of simulated time at which it was started.
    pub started: u64,
    /// When its tip moved last.
    pub tip_since: u64,
    /// Number of the miner's next look; earlier ones are void.
    pub look: u64,
    /// Whether a look at what is to be announced is due.
    pub news: bool,
    /// Whether it last told that it is behind.
    pub behind: bool,
}

/// Where a node keeps its databases.
enum Disk {
    Memory(MemoryStore),
    Folder,
}

/// A node.
pub struct Node {
    /// Its number.
    pub index: usize,
    folder: PathBuf,
    disk: Disk,
    clock: Arc<AtomicU64>,
    /// Milliseconds its clock is ahead of simulated time.
    pub skew: i64,
    /// Times it was started; events for earlier lives are void.
    pub life: u32,
    /// Its parts while it runs.
    pub running: Option<Running>,
    /// What it does against the rules, if it does.
    pub byzantine: Option<Byzantine>,
    /// Whether acknowledged transactions are synced to disk.
    pub sync_transactions: bool,
    /// Transactions it acknowledged whose end was not seen, and at which height.
    pub promised: BTreeMap<Txid, u32>,
    /// Bytes of the block file that are safe from power loss, as of a number of syncs.
    synced: (u64, u64),
    /// Chance of its own: of its miner, and of how it crashes.
    pub random: Random,
}

impl Node {
    /// A node that knows the genesis block alone.
    ///
    /// # Errors
    /// If its folder cannot be made.
    pub fn new(index: usize, chain: &Chain, folder: &Path, on_disk: bool, random: Random) -> anyhow::Result<Node> {
        let folder = folder.join(index.to_string());
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let disk = if on_disk { Disk::Folder } else { Disk::Memory(MemoryStore::default()) };
        let mut node = Node {
            index,
            folder,
            disk,
            clock: Arc::new(AtomicU64::new(START * 1_000)),
            skew: 0,
            life: 0,
            running: None,
            byzantine: None,
            sync_transactions: false,
            promised: BTreeMap::new(),
            synced: (0, 0),
            random,
        };
        let store = node.open_store()?;
        genesis::store(&store, chain.genesis.clone(), None, &chain.set, START)?;
        let wallet = Wallet::open(&node.folder, chain.set.address_scheme())?;
        let key = chain.node_key(index).context("a node has a key")?;
        wallet.import_private_key(key.clone(), "")?;
        node.note_synced();
        Ok(node)
    }

    fn open_store(&self) -> anyhow::Result<Store> {
        let blocks = self.folder.join("blocks");
        Ok(match &self.disk {
            Disk::Memory(tables) => Store::in_memory(tables, &blocks)?,
            Disk::Folder => {
                let paths = StorePaths { database: self.folder.join("state"), blocks };
                Store::open(&paths, OpenOptions::default())?
            }
        })
    }

    /// Sets its clock to simulated time (microseconds), skewed.
    pub fn set_clock(&self, now: u64) {
        let right = i64::try_from(START * 1_000 + now / 1_000).unwrap_or(i64::MAX);
        self.clock.store(u64::try_from(right.saturating_add(self.skew)).unwrap_or(0), Ordering::Relaxed);
    }

    /// Milliseconds since 1970 by its clock.
    #[must_use]
    pub fn milliseconds(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// The moment of an input to its sync machine.
    #[must_use]
    pub fn moment(&self, now: u64) -> Now {
        let started = self.running.as_ref().map_or(0, |running| running.started);
        Now { steady: Duration::from_micros(now.saturating_sub(started)), unix: self.milliseconds() / 1_000 }
    }

    /// Starts it from what is on its disk.
    ///
    /// # Errors
    /// If what is on its disk cannot be loaded.
    pub fn start(&mut self, chain: &Chain, now: u64) -> anyhow::Result<()> {
        self.set_clock(now);
        if let Disk::Memory(tables) = &self.disk {
            tables.database.stop_after(None);
        }
        let store = Arc::new(self.open_store()?);
        if store.is_rebuilding()? {
            genesis::restore(&store, &chain.set, self.milliseconds() / 1_000)?;
        }
        genesis::check_stored(&store, &chain.set)?;
        let rules = chain.rules_of(self.index);
        let view = Arc::new(SharedView::new(initial_view(&store, &rules, PoolLimits::default())?));
        let (sender, events) = broadcast::channel(EVENTS);
        let wallet = Arc::new(Wallet::open(&self.folder, chain.set.address_scheme())?);
        let settings = Arc::new(RwLock::new(chain.settings.clone()));
        let paused = Arc::new(Paused::default());
        let parts = LedgerParts {
            store,
            rules: Arc::clone(&rules),
            signatures: Arc::clone(&chain.signatures),
            view: Arc::clone(&view),
            journal: Arc::new(Journal::open(&self.folder.join("journal"))?),
            wallet: Arc::clone(&wallet),
            settings: Arc::clone(&settings),
            paused: Arc::clone(&paused),
            sync_transactions: self.sync_transactions,
            clock: Clock::Manual(Arc::clone(&self.clock)),
        };
        let ledger = Ledger::load(parts, sender)?;
        let seen = Arc::clone(&settings);
        let facts = LiveFacts::new(Arc::clone(&view), Arc::clone(&rules), paused, seen);
        let first = Now { steady: Duration::ZERO, unix: self.milliseconds() / 1_000 };
        self.life += 1;
        self.running = Some(Running {
            ledger,
            events,
            sync: Sync::new(facts, rules, first),
            view,
            wallet,
            settings,
            miner: Miner::default(),
            gatherer: Gatherer::default(),
            decision: None,
            making: false,
            jobs: VecDeque::new(),
            peers: BTreeMap::new(),
            told: BTreeMap::new(),
            started: now,
            tip_since: now,
            look: 0,
            news: false,
            behind: false,
        });
        // Opening syncs the database, and not the files.
        if let Disk::Memory(tables) = &self.disk {
            self.synced.0 = tables.database.syncs();
        }
        Ok(())
    }

    /// Ends it as `kill -9` does: all that was written stays.
    pub fn kill(&mut self) {
        self.running = None;
        self.life += 1;
    }

    /// Loses its journal, as a node must not.
    ///
    /// # Errors
    /// If the file cannot be cut.
    pub fn lose_journal(&self) -> anyhow::Result<()> {
        std::fs::OpenOptions::new().write(true).open(self.folder.join("journal"))?.set_len(0)?;
        Ok(())
    }

    /// Ends it as a power cut does: what was not synced may be gone, in part.
    ///
    /// # Errors
    /// If its files cannot be cut.
    pub fn lose_power(&mut self) -> anyhow::Result<()> {
        self.kill();
        let Disk::Memory(tables) = &self.disk else { return Ok(()) };
        let kept = self.random.index(tables.database.unsynced() + 1);
        tables.database.lose_power(kept);
        cut(&self.block_file(), self.synced.1, &mut self.random)?;
        if !self.sync_transactions {
            cut(&self.folder.join("journal"), 0, &mut self.random)?;
            // The node said that it does not promise these beyond a power cut.
            self.promised.clear();
        }
        Ok(())
    }

    /// Lets the database refuse writes after `count` more: the process ends within them.
    pub fn stop_writing_after(&self, count: u64) {
        if let Disk::Memory(tables) = &self.disk {
            tables.database.stop_after(Some(count));
        }
    }

    /// Lets the database take writes again.
    pub fn write_again(&self) {
        if let Disk::Memory(tables) = &self.disk {
            tables.database.stop_after(None);
        }
    }

    /// Whether the database refused a write.
    #[must_use]
    pub fn stopped_writing(&self) -> bool {
        matches!(&self.disk, Disk::Memory(tables) if tables.database.is_stopped())
    }

    /// Notes how much of the block file is safe from power loss, after a step of the ledger.
    pub fn note_synced(&mut self) {
        if let Disk::Memory(tables) = &self.disk {
            let syncs = tables.database.syncs();
            if syncs != self.synced.0 {
                let bytes = std::fs::metadata(self.block_file()).map_or(0, |file| file.len());
                self.synced = (syncs, bytes);
            }
        }
    }

    fn block_file(&self) -> PathBuf {
        self.folder.join("blocks").join("000000.dat")
    }

    /// The height and id of its tip, none while it is down.
    #[must_use]
    pub fn tip(&self) -> Option<(u32, BlockHash)> {
        let tip = self.running.as_ref()?.view.tip();
        Some((tip.height.0, tip.hash))
    }

    /// Whether it keeps to the rules.
    #[must_use]
    pub const fn is_honest(&self) -> bool {
        self.byzantine.is_none()
    }
}

/// Cuts a file at a random byte, but leaves its first `kept` bytes.
fn cut(path: &Path, kept: u64, random: &mut Random) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    file.set_len(random.between(kept.min(length), length))?;
    Ok(())
}

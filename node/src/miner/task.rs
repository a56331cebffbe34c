//! Carries the miner: gathers facts, sleeps until it is time, makes blocks and offers them to the ledger.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rota_chain::amount::Timestamp;
use rota_chain::block::{Block, BlockHeader};
use rota_chain::lock::{KeyHash, Lock};
use rota_consensus::mining;
use rota_consensus::rules::Rules;
use rota_consensus::work;
use rota_params::runtime::RuntimeSettings;
use rota_wallet::{EncryptionState, Wallet};
use tokio::sync::{broadcast, watch};

use super::facts::stall_warning;
use super::template::{Draft, assemble, draft};
use super::{Decision, Gatherer, Miner, MinerFacts, MinerState, MinerStatus, Surroundings};
use crate::context::unix_time;
use crate::ledger::{BlockOutcome, LedgerEvent, LedgerHandle};
use crate::network::Network;
use crate::pause::{Paused, Task};
use crate::view::SharedView;

/// Pause after a block could not be made.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Nonces tried between two looks whether to go on: a tenth of a second.
const NONCES_A_LOOK: u32 = 1 << 16;
/// How long one block is worked on: a new one takes in the transactions that arrived, and the time.
const REBUILD_AFTER: Duration = Duration::from_secs(60);
/// Weight of the newest block in the mean time to make one.
const CREATION_WEIGHT: f64 = 0.2;

/// Parts the miner uses.
#[derive(Clone)]
pub struct MinerParts {
    /// What it reads.
    pub view: Arc<SharedView>,
    /// Where blocks go.
    pub ledger: LedgerHandle,
    /// Who signs.
    pub wallet: Arc<Wallet>,
    /// The chain's rules.
    pub rules: Arc<Rules>,
    /// Settings.
    pub settings: Arc<RwLock<RuntimeSettings>>,
    /// Pauses.
    pub paused: Arc<Paused>,
    /// Peers.
    pub network: Network,
}

/// Mines until told to stop.
pub async fn run(parts: MinerParts, status: watch::Sender<MinerStatus>, mut shutdown: watch::Receiver<bool>) {
    let mut events = parts.ledger.subscribe_events();
    let told = shutdown.clone();
    let (miner, gatherer) = (Miner::default(), Gatherer::default());
    let mut carrier = Carrier { parts, miner, gatherer, creation: 0.0, resting: false, told };
    while !*shutdown.borrow() {
        let pause = match carrier.step(&status).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "no block can be made");
                carrier.miner.failed();
                AFTER_FAILURE
            }
        };
        let sleep = tokio::time::sleep(pause);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => break,
                event = events.recv() => if carrier.note(event) { break },
                _ = shutdown.changed() => break,
            }
        }
    }
}

struct Carrier {
    parts: MinerParts,
    miner: Miner,
    gatherer: Gatherer,
    creation: f64,
    resting: bool,
    /// Whether to end.
    told: watch::Receiver<bool>,
}

impl Carrier {
    /// Takes an event in; whether the decision may be another now. Transactions matter to a resting miner alone.
    fn note(&mut self, event: Result<LedgerEvent, broadcast::error::RecvError>) -> bool {
        match event {
            Ok(LedgerEvent::Tip { .. }) => true,
            Ok(LedgerEvent::Admitted { .. }) => self.resting,
            Ok(LedgerEvent::Ended { .. }) => false,
            Err(_) => {
                self.gatherer.forget();
                true
            }
        }
    }

    async fn step(&mut self, status: &watch::Sender<MinerStatus>) -> anyhow::Result<Duration> {
        let facts = self.gather().await?;
        let decision = self.miner.decide(&facts, || rand::rng().random::<f64>());
        let spacing = mining::spacing(facts.miners, self.parts.rules.mining_diversity);
        let own: Vec<Lock> = facts.own.iter().map(|own| Lock::Key(own.address)).collect();
        let warning = stall_warning(&facts, spacing, &own);
        if let Some(warning) = warning.as_deref().filter(|_| status.borrow().warning.is_none()) {
            tracing::warn!("{warning}");
        }
        let show = |state, until: Option<f64>, address| MinerStatus {
            state,
            until: until.map(|at| at.max(0.0) as u64),
            address,
            warning: warning.clone(),
        };
        self.resting = decision.rests();
        let pause = decision.pause(facts.now);
        match decision {
            Decision::Wait { state, until, address } => {
                status.send_if_modified(|old| {
                    let new = show(state, until, address);
                    let changed = *old != new;
                    *old = new;
                    changed
                });
            }
            Decision::Mine(address) => {
                status.send_replace(show(MinerState::Mining, None, Some(address)));
                self.mine(address).await?;
            }
        }
        Ok(pause)
    }

    async fn gather(&mut self) -> anyhow::Result<MinerFacts> {
        let parts = &self.parts;
        let around = Surroundings {
            now: clock(),
            creation: self.creation,
            fork_seen: parts.ledger.call(|ledger| ledger.has_rival()).await?,
            peers: parts.network.connection_count().await,
            paused: parts.paused.is_paused(Task::Mining),
            wallet_locked: parts.wallet.state() == EncryptionState::Locked,
        };
        let settings = parts.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(self.gatherer.gather(&parts.view, &parts.rules, settings, parts.wallet.key_hashes(), around)?)
    }

    async fn mine(&mut self, address: KeyHash) -> anyhow::Result<()> {
        let started = Instant::now();
        let now = unix_time();
        let time = Timestamp(u32::try_from(now).unwrap_or(u32::MAX));
        let bits = self.parts.ledger.call(move |ledger| ledger.next_bits(time)).await??;
        let (parts, told) = (self.parts.clone(), self.told.clone());
        let made = tokio::task::spawn_blocking(move || make(&parts, address, bits, now, &told)).await??;
        let Some(block) = made else { return Ok(()) };
        let (hash, count) = (block.hash(), block.transactions.len());
        match self.parts.ledger.own_block(block).await? {
            BlockOutcome::Applied => {
                let took = started.elapsed().as_secs_f64();
                self.creation = self.creation * (1.0 - CREATION_WEIGHT) + took * CREATION_WEIGHT;
                tracing::info!(block = %hash, transactions = count, "made a block");
                Ok(())
            }
            BlockOutcome::Stored | BlockOutcome::Known => Ok(()),
            outcome => anyhow::bail!("the own block {hash} was not applied: {outcome:?}"),
        }
    }
}

/// Fills, grinds and signs a block; none if it is not to be finished.
fn make(
    parts: &MinerParts,
    miner: KeyHash,
    bits: u32,
    now: u64,
    told: &watch::Receiver<bool>,
) -> anyhow::Result<Option<Arc<Block>>> {
    let banned = parts.settings.read().unwrap_or_else(PoisonError::into_inner).bantx.clone();
    let Draft { tip, mut header, transactions } = draft(&parts.view, &parts.rules, &banned, miner, bits, now)?;
    let started = Instant::now();
    let goes_on = || {
        let stopped = *told.borrow() || parts.paused.is_paused(Task::Mining);
        !stopped && started.elapsed() < REBUILD_AFTER && parts.view.tip().hash == tip
    };
    if parts.rules.anyone.mine && !parts.rules.skip_pow_check && !grind(&mut header, goes_on) {
        return Ok(None);
    }
    let signed = parts.wallet.sign_block(header, &parts.rules.genesis, &Lock::Key(miner))?;
    let block = assemble(signed, transactions);
    tracing::debug!(block = %block.hash(), transactions = block.transactions.len(), "sealed a block");
    Ok(Some(block))
}

/// Searches the nonce that makes a header meet its target, as long as `goes_on` says so.
pub(super) fn grind(header: &mut BlockHeader, goes_on: impl Fn() -> bool) -> bool {
    for nonce in 0..=u32::MAX {
        header.nonce = nonce;
        if work::meets(&header.hash(), header.bits) {
            return true;
        }
        if nonce.is_multiple_of(NONCES_A_LOOK) && !goes_on() {
            return false;
        }
    }
    false
}

fn clock() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

//! What the miner's decision depends on, gathered from the ledger at the tip.

use std::collections::HashSet;

use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_consensus::choice::rest::empty_limit;
use rota_consensus::choice::turnover::{pool_size, search_depth};
use rota_consensus::mining;
use rota_consensus::rules::Rules;
use rota_consensus::state::{StateError, StateView};
use rota_params::runtime::RuntimeSettings;
use rota_storage::Snapshot;

use crate::view::Tip;

/// Blocks whose arrival is averaged; see the turnover's algorithm.
const ARRIVALS: usize = 12;
/// Blocks looked back at most, for long chains with huge rounds.
const MOST_LOOKED_BACK: usize = 100_000;

/// An own address with the right to mine.
#[derive(Clone, Copy, Debug)]
pub struct OwnMiner {
    /// The address.
    pub address: KeyHash,
    /// First height it may mine at.
    pub earliest: Height,
    /// Its last block.
    pub last: Option<Height>,
}

/// All facts of one decision. Those of the chain change with the tip alone.
#[derive(Clone, Debug, Default)]
pub struct MinerFacts {
    /// Seconds now.
    pub now: f64,
    /// The tip.
    pub tip: BlockHash,
    /// Height of the next block.
    pub next_height: u32,
    /// Target block time in seconds.
    pub target: f64,
    /// Turnover, 0 to 1.
    pub turnover: f64,
    /// Mean seconds a block takes to make.
    pub creation: f64,
    /// Arrival of the latest blocks, newest first.
    pub arrivals: Vec<f64>,
    /// Miners of the latest blocks, newest first.
    pub recent_miners: Vec<KeyHash>,
    /// Miners that may make the next block, of those permitted.
    pub eligible: HashSet<KeyHash>,
    /// Permitted miners.
    pub miners: u32,
    /// Active miners.
    pub active: u32,
    /// Own permitted miners.
    pub own: Vec<OwnMiner>,
    /// Empty blocks after which mining rests.
    pub empty_limit: Option<u32>,
    /// Empty blocks up to the tip.
    pub empty_blocks: u32,
    /// Blocks of the setup phase.
    pub setup_first_blocks: u32,
    /// Whether anyone may mine.
    pub anyone_can_mine: bool,
    /// Whether the target is adjusted: then proof of work sets the pace.
    pub retargets: bool,
    /// Whether transactions wait.
    pub transactions_wait: bool,
    /// Whether a competing branch as high as the tip was seen.
    pub fork_seen: bool,
    /// Connected peers.
    pub peers: usize,
    /// Whether mining needs peers.
    pub requires_peers: bool,
    /// Whether mining is switched on.
    pub enabled: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether the wallet is locked.
    pub wallet_locked: bool,
    /// Whether the block of `lockblock` is on the active chain, or none is set.
    pub lock_block_met: bool,
}

impl MinerFacts {
    /// Gathers what the chain tells at `tip`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn of_chain(
        snapshot: &Snapshot,
        rules: &Rules,
        settings: &RuntimeSettings,
        own: &[KeyHash],
        tip: &Tip,
    ) -> Result<MinerFacts, StateError> {
        let rules = &*rules.at(snapshot)?;
        let next = tip.height.next();
        let holders = snapshot.holders(None, Permission::Mine)?;
        let permitted: Vec<KeyHash> = holders
            .iter()
            .filter(|(_, record)| record.range.contains(next))
            .filter_map(|(lock, _)| lock.key_hash())
            .collect();
        let miners = u32::try_from(permitted.len()).unwrap_or(u32::MAX);
        let spacing = mining::spacing_at(miners, rules, next);
        let active = mining::active_miners(miners, spacing);
        let turnover = f64::from(settings.miningturnover_millionths) / 1e6;
        let target = f64::from(rules.target_block_time);
        let limit = empty_limit(settings.mineemptyrounds_millionths, spacing);
        // A rotation is seen whole in two rounds.
        let depth = search_depth(pool_size(target, 0.0, turnover), miners, active).max(2 * permitted.len());
        let mut facts = MinerFacts {
            tip: tip.hash,
            next_height: next.0,
            target,
            turnover,
            miners,
            active,
            empty_limit: limit,
            setup_first_blocks: rules.setup_first_blocks,
            anyone_can_mine: rules.anyone.mine,
            retargets: rules.anyone.mine && rules.target_adjust_freq > 0,
            requires_peers: settings.miningrequirespeers,
            enabled: settings.gen_enabled,
            lock_block_met: lock_block_met(snapshot, settings)?,
            ..MinerFacts::default()
        };
        for miner in permitted.iter().copied() {
            if mining::next_turn(snapshot.last_mined(miner)?, spacing) <= next {
                facts.eligible.insert(miner);
            }
        }
        facts.own = own_miners(snapshot, rules, own, &permitted, next, spacing)?;
        facts.look_back(snapshot, tip, depth)?;
        Ok(facts)
    }

    fn look_back(&mut self, snapshot: &Snapshot, tip: &Tip, depth: usize) -> Result<(), StateError> {
        let empties = self.empty_limit.map_or(0, |limit| limit as usize);
        let mut in_empty_run = true;
        let mut next = tip.hash;
        for index in 0..depth.max(empties).clamp(ARRIVALS, MOST_LOOKED_BACK) {
            let Some(entry) = snapshot.block_entry(&next).map_err(StateError::from)? else { break };
            if index < ARRIVALS {
                self.arrivals.push(entry.received as f64);
            }
            if index < depth {
                self.recent_miners.push(entry.header.header.miner);
            }
            in_empty_run = in_empty_run && entry.transactions <= 1;
            if in_empty_run {
                self.empty_blocks += 1;
            }
            next = entry.header.header.previous;
        }
        Ok(())
    }

    /// Whether diversity bars none of several miners.
    pub fn rotates(&self) -> bool {
        self.miners > 1 && self.active == self.miners && !self.anyone_can_mine
    }

    /// How many may make the next block.
    pub fn eligible_count(&self) -> u32 {
        match self.anyone_can_mine {
            true => self.active,
            false => u32::try_from(self.eligible.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether a miner may make the next block.
    pub fn may_mine(&self, miner: &KeyHash) -> bool {
        self.anyone_can_mine || self.eligible.contains(miner)
    }

    /// Whether the next block is one of the setup phase.
    pub fn in_setup(&self) -> bool {
        self.next_height < self.setup_first_blocks
    }

    /// Whether the first block after genesis is due, or proof of work sets the pace.
    pub fn starts_at_once(&self) -> bool {
        self.next_height <= 1 || self.retargets
    }

    /// The own address to mine with: of those whose turn it may be, the one that mined longest ago.
    pub fn ready_address(&self) -> Option<KeyHash> {
        let ready = self.own.iter().filter(|own| own.earliest.0 <= self.next_height);
        ready.min_by_key(|own| own.last).map(|own| own.address)
    }
}

fn own_miners(
    snapshot: &Snapshot,
    rules: &Rules,
    own: &[KeyHash],
    permitted: &[KeyHash],
    next: Height,
    spacing: u32,
) -> Result<Vec<OwnMiner>, StateError> {
    let may = |address: &&KeyHash| rules.anyone.mine || permitted.contains(address);
    own.iter()
        .filter(may)
        .map(|address| {
            let last = snapshot.last_mined(*address)?;
            Ok(OwnMiner { address: *address, earliest: mining::next_turn(last, spacing).max(next), last })
        })
        .collect()
}

fn lock_block_met(snapshot: &Snapshot, settings: &RuntimeSettings) -> Result<bool, StateError> {
    let Some(hash) = settings.lockblock else { return Ok(true) };
    let Some(entry) = snapshot.block_entry(&hash).map_err(StateError::from)? else { return Ok(false) };
    Ok(snapshot.block_hash(entry.height).map_err(StateError::from)? == Some(hash))
}

/// A sentence if the chain could stall: fewer miners seen in the last rounds than diversity needs.
pub fn stall_warning(facts: &MinerFacts, spacing: u32, own: &[Lock]) -> Option<String> {
    if facts.anyone_can_mine || facts.miners < 2 {
        return None;
    }
    let mut seen: HashSet<KeyHash> = facts.recent_miners.iter().copied().collect();
    seen.extend(own.iter().filter_map(Lock::key_hash).filter(|hash| facts.own.iter().any(|o| o.address == *hash)));
    let seen = u32::try_from(seen.len()).unwrap_or(u32::MAX);
    (seen < spacing).then(|| {
        format!(
            "{} addresses may mine and mining diversity needs {spacing} of them to take turns, but only {seen} were seen \
             lately: the chain stalls if the others stay absent (revoke their mine permission or start their nodes)",
            facts.miners
        )
    })
}

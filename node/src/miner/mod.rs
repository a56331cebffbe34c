//! When this node makes a block: a state machine (facts, now, entropy in; a decision out). `task.rs` carries it,
//! `template.rs` fills the block. See docs/protocol/mining.md.

mod facts;
mod gather;
mod task;
mod template;

use std::time::Duration;

use rota_chain::hash::BlockHash;
use rota_chain::lock::KeyHash;
use rota_consensus::choice::rest::{RestFacts, waits_for_transaction};
use rota_consensus::choice::turnover::{Estimate, TurnoverFacts, choose_start, newcomer};

pub use facts::MinerFacts;
pub use gather::{Gatherer, Surroundings};
pub use task::{MinerParts, run};
pub use template::{Draft, Template, assemble, build_block, draft, room};

/// What the miner does or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinerState {
    /// Just started.
    Selecting,
    /// Switched off by `gen`.
    Disabled,
    /// Paused by the operator.
    Paused,
    /// The wallet is locked.
    WalletLocked,
    /// No own address may mine.
    NotPermitted,
    /// Own addresses may mine, but not yet again.
    WaitingDiversity,
    /// Another node is needed.
    RequiresPeers,
    /// Enough empty blocks: waits for a transaction.
    WaitingTransactions,
    /// The block of `lockblock` is not on the active chain.
    WaitingLockBlock,
    /// A member of the pool of recent miners waits for its time.
    WaitingBlockTime,
    /// A backup waits whether others make the block.
    WaitingTurnover,
    /// Making a block.
    Mining,
}

impl MinerState {
    /// The word `listminers` shows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MinerState::Selecting => "selecting-local-address",
            MinerState::Disabled => "disabled-by-gen-parameter",
            MinerState::Paused => "mining-paused",
            MinerState::WalletLocked => "waiting-wallet-unlock",
            MinerState::NotPermitted => "no-mine-permissions",
            MinerState::WaitingDiversity => "waiting-mining-diversity",
            MinerState::RequiresPeers => "mining-requires-peers",
            MinerState::WaitingTransactions => "waiting-new-transactions",
            MinerState::WaitingLockBlock => "waiting-for-lockblock",
            MinerState::WaitingBlockTime => "waiting-block-time",
            MinerState::WaitingTurnover => "waiting-mining-turnover",
            MinerState::Mining => "mining-block-now",
        }
    }
}

/// What the miner does, for answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinerStatus {
    /// The state.
    pub state: MinerState,
    /// Unix seconds when it will act, if it knows.
    pub until: Option<u64>,
    /// The own address that would mine.
    pub address: Option<KeyHash>,
    /// What an operator should know: permitted miners that are absent and could stall the chain.
    pub warning: Option<String>,
}

impl Default for MinerStatus {
    fn default() -> MinerStatus {
        MinerStatus { state: MinerState::Selecting, until: None, address: None, warning: None }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// Wait, until a time if that is known; look again at any event.
    Wait {
        /// Why.
        state: MinerState,
        /// Seconds on the clock of the facts.
        until: Option<f64>,
        /// The own address chosen.
        address: Option<KeyHash>,
    },
    /// Make a block with this address.
    Mine(KeyHash),
}

/// Longest sleep between two looks at settings, peers and pauses.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Decision {
    /// How long to sleep before the next decision unless something happens, `now` being the clock of the facts.
    #[must_use]
    pub fn pause(&self, now: f64) -> Duration {
        match self {
            Decision::Wait { until, .. } => {
                until.map_or(LOOK_EVERY, |at| Duration::from_secs_f64((at - now).max(0.0))).min(LOOK_EVERY)
            }
            Decision::Mine(_) => Duration::ZERO,
        }
    }

    /// Whether a transaction that comes into the pool may change the decision.
    #[must_use]
    pub const fn rests(&self) -> bool {
        matches!(self, Decision::Wait { state: MinerState::WaitingTransactions, .. })
    }
}

#[derive(Clone, Copy, Debug)]
struct Chosen {
    tip: BlockHash,
    address: KeyHash,
    drawn: f64,
    at: f64,
    in_pool: bool,
}

/// The miner between two blocks: what it drew for the current tip.
#[derive(Clone, Debug, Default)]
pub struct Miner {
    estimate: Estimate,
    chosen: Option<Chosen>,
}

impl Miner {
    /// Decides what to do; `random` gives numbers evenly spread over 0 to 1.
    pub fn decide(&mut self, facts: &MinerFacts, random: impl FnMut() -> f64) -> Decision {
        let wait = |state| Decision::Wait { state, until: None, address: None };
        if !facts.enabled {
            return wait(MinerState::Disabled);
        }
        if facts.paused {
            return wait(MinerState::Paused);
        }
        if facts.wallet_locked {
            return wait(MinerState::WalletLocked);
        }
        if facts.own.is_empty() {
            return wait(MinerState::NotPermitted);
        }
        if !facts.lock_block_met {
            return wait(MinerState::WaitingLockBlock);
        }
        let Some(address) = facts.ready_address() else { return wait(MinerState::WaitingDiversity) };
        let shared = facts.miners > 1 || facts.anyone_can_mine;
        if facts.requires_peers && !facts.in_setup() && shared && facts.peers == 0 {
            return wait(MinerState::RequiresPeers);
        }
        let chosen = self.draw(facts, address, random);
        if self.rests(facts) {
            return Decision::Wait { state: MinerState::WaitingTransactions, until: None, address: Some(address) };
        }
        if facts.starts_at_once() || facts.now >= chosen.at {
            return Decision::Mine(address);
        }
        let state = if chosen.in_pool { MinerState::WaitingBlockTime } else { MinerState::WaitingTurnover };
        Decision::Wait { state, until: Some(chosen.at), address: Some(address) }
    }

    /// Forgets the draw after a failed attempt, so that the next comes a block time later.
    pub fn failed(&mut self) {
        self.chosen = None;
    }

    fn rests(&self, facts: &MinerFacts) -> bool {
        waits_for_transaction(RestFacts {
            empty_limit: facts.empty_limit,
            empty_blocks: facts.empty_blocks,
            next_height: facts.next_height,
            setup_first_blocks: facts.setup_first_blocks,
            transactions_wait: facts.transactions_wait,
            fork_seen: facts.fork_seen,
        })
    }

    fn draw(&mut self, facts: &MinerFacts, address: KeyHash, random: impl FnMut() -> f64) -> Chosen {
        if let Some(chosen) = self.chosen
            && chosen.tip == facts.tip
            && chosen.address == address
            // A clock that was set back makes the time drawn void.
            && facts.now >= chosen.drawn
        {
            return chosen;
        }
        let turnover = TurnoverFacts {
            now: facts.now,
            target: facts.target,
            turnover: facts.turnover,
            creation: facts.creation,
            arrivals: &facts.arrivals,
            recent_miners: &facts.recent_miners,
            eligible: facts.eligible_count(),
            rotates: facts.rotates(),
            own: address,
        };
        if newcomer(&facts.recent_miners) {
            self.estimate = Estimate::default();
        }
        let start = choose_start(&turnover, self.estimate, |miner| facts.may_mine(miner), random);
        self.estimate = start.estimate;
        let chosen = Chosen { tip: facts.tip, address, drawn: facts.now, at: start.at, in_pool: start.in_pool };
        self.chosen = Some(chosen);
        chosen
    }
}

#[cfg(test)]
mod tests;

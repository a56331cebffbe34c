//! Gathering the facts of a decision: those of the chain anew only when the tip, the settings or own addresses changed.

use rota_chain::lock::KeyHash;
use rota_consensus::rules::Rules;
use rota_consensus::state::StateError;
use rota_params::runtime::RuntimeSettings;

use super::MinerFacts;
use crate::view::SharedView;

/// What a miner sees besides the chain, its settings and its keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// Unix seconds now.
    pub now: f64,
    /// Mean seconds a block takes to make.
    pub creation: f64,
    /// Whether a competing branch as high as the tip was seen.
    pub fork_seen: bool,
    /// Connected peers.
    pub peers: usize,
    /// Whether mining is paused.
    pub paused: bool,
    /// Whether the wallet is locked.
    pub wallet_locked: bool,
}

/// Facts of the chain, and what they were gathered with.
#[derive(Debug)]
struct Gathered {
    facts: MinerFacts,
    settings: RuntimeSettings,
    own: Vec<KeyHash>,
}

/// Keeps the facts of the chain from one decision to the next.
#[derive(Debug, Default)]
pub struct Gatherer(Option<Gathered>);

impl Gatherer {
    /// Forgets what was gathered: events were missed.
    pub fn forget(&mut self) {
        self.0 = None;
    }

    /// The facts now.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    pub fn gather(
        &mut self,
        view: &SharedView,
        rules: &Rules,
        settings: RuntimeSettings,
        own: Vec<KeyHash>,
        around: Surroundings,
    ) -> Result<MinerFacts, StateError> {
        let (snapshot, tip, waits) = {
            let view = view.read();
            (view.snapshot.clone(), view.tip, !view.pool.is_empty())
        };
        let same = |gathered: &Gathered| {
            gathered.facts.tip == tip.hash && gathered.settings == settings && gathered.own == own
        };
        let mut facts = match self.0.take().filter(same) {
            Some(gathered) => gathered.facts,
            None => MinerFacts::of_chain(&snapshot, rules, &settings, &own, &tip)?,
        };
        facts.now = around.now;
        facts.creation = around.creation;
        facts.transactions_wait = waits;
        facts.fork_seen = around.fork_seen;
        facts.peers = around.peers;
        facts.paused = around.paused;
        facts.wallet_locked = around.wallet_locked;
        self.0 = Some(Gathered { facts: facts.clone(), settings, own });
        Ok(facts)
    }
}

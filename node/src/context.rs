//! What every answer to a caller may use: the parts of a running node.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rota_chain::address::AddressScheme;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::state::StateError;
use rota_params::ParameterSet;
use rota_params::paths::ChainDirectory;
use rota_params::runtime::RuntimeSettings;
use rota_storage::Store;
use rota_wallet::Wallet;
use tokio::sync::watch;

use crate::coin::CoinLocks;
use crate::ledger::LedgerHandle;
use crate::miner::MinerStatus;
use crate::network::Network;
use crate::offchain::Offchain;
use crate::pause::Paused;
use crate::view::SharedView;

/// The parts of a running node.
pub struct Context {
    /// The chain's parameters.
    pub parameters: Arc<ParameterSet>,
    /// The rules that the chain began with, made from them; see [`Context::rules_now`].
    pub rules: Arc<Rules>,
    /// How addresses are written.
    pub scheme: AddressScheme,
    /// Where files live.
    pub directory: ChainDirectory,
    /// Settings that may change while running.
    pub settings: Arc<RwLock<RuntimeSettings>>,
    /// The database.
    pub store: Arc<Store>,
    /// What readers see.
    pub view: Arc<SharedView>,
    /// The one writer.
    pub ledger: LedgerHandle,
    /// Keys.
    pub wallet: Arc<Wallet>,
    /// Coins set aside.
    pub coins: Arc<CoinLocks>,
    /// Which transactions' signatures verify.
    pub signatures: Arc<SignatureCache>,
    /// Peers.
    pub network: Network,
    /// What the miner does.
    pub miner: watch::Receiver<MinerStatus>,
    /// What is paused.
    pub paused: Arc<Paused>,
    /// Off-chain items.
    pub offchain: Arc<Offchain>,
    /// Told true to stop the node.
    pub shutdown: watch::Sender<bool>,
    /// Ports and start time, for answers.
    pub facts: NodeFacts,
}

/// Facts of this run.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// TCP port for peers.
    pub port: u16,
    /// TCP port for JSON-RPC.
    pub rpc_port: u16,
    /// `chain@host:port` for others.
    pub node_address: String,
    /// Unix seconds of the start.
    pub started: u64,
    /// Folder of the chain.
    pub data_directory: String,
    /// Whether every address is indexed for an explorer (`explorersupport`).
    pub explorer: bool,
    /// Whether changed settings are kept for the next start (`storeruntimeparams`).
    pub store_settings: bool,
}

impl Context {
    /// The rules that hold for the next block: those the chain began with, and what upgrades changed of them.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    pub fn rules_now(&self) -> Result<Cow<'_, Rules>, StateError> {
        self.rules.at(&self.view.snapshot())
    }

    /// The settings now.
    pub fn settings(&self) -> RwLockReadGuard<'_, RuntimeSettings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings, to change.
    pub fn settings_mut(&self) -> RwLockWriteGuard<'_, RuntimeSettings> {
        self.settings.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unix seconds now.
pub fn unix_time() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

//! The chain of a run: its parameters and genesis block, everybody's keys, and transactions made of them.

use std::sync::Arc;

use anyhow::Context as _;
use rand::SeedableRng as _;
use rota_chain::block::Block;
use rota_chain::data::{Data, DataFormat};
use rota_chain::digest::full_digest;
use rota_chain::hash::{Txid, sha256};
use rota_chain::key::PrivateKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::witness::Witness;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::transaction::{VerifiedTransaction, check_transaction};
use rota_node::genesis;
use rota_params::options::{CommandLine, Options};
use rota_params::runtime::RuntimeSettings;
use rota_params::{PROTOCOL_LATEST, Parameter, ParameterSet};

use crate::plan::{Plan, Sabotage};

/// Unix seconds at which a run begins.
pub const START: u64 = 1_700_000_000;
/// Keys that hold rights and run no node.
pub const USERS: usize = 3;

/// A chain.
pub struct Chain {
    /// Its parameters.
    pub set: ParameterSet,
    /// Its rules.
    pub rules: Arc<Rules>,
    /// Its first block.
    pub genesis: Block,
    /// Settings of its nodes.
    pub settings: RuntimeSettings,
    /// Signatures that verify, shared by all nodes so that each is verified once.
    pub signatures: Arc<SignatureCache>,
    nodes: Vec<PrivateKey>,
    users: Vec<PrivateKey>,
    addresses: Vec<KeyHash>,
    user_addresses: Vec<KeyHash>,
    sabotage: Option<Sabotage>,
    nonce: u64,
}

impl Chain {
    /// The chain of a plan.
    ///
    /// # Errors
    /// If the plan's parameters do not fit together.
    pub fn new(plan: &Plan) -> anyhow::Result<Chain> {
        let key = |kind: &str, index: usize| {
            let secret = sha256(format!("simulation {} {kind} {index}", plan.seed).as_bytes());
            PrivateKey::from_bytes(secret).context("a key of a simulated node")
        };
        let nodes = (0..plan.nodes).map(|index| key("node", index)).collect::<anyhow::Result<Vec<_>>>()?;
        let users = (0..USERS).map(|index| key("user", index)).collect::<anyhow::Result<Vec<_>>>()?;
        let decimal = |millionths: i64| format!("{:.6}", millionths as f64 / 1e6);
        let choices = [
            (Parameter::TargetBlockTime, plan.target.to_string()),
            (Parameter::MiningDiversity, decimal(plan.diversity.into())),
            (Parameter::MiningTurnover, decimal(plan.turnover.into())),
            (Parameter::SetupFirstBlocks, plan.setup.to_string()),
            (Parameter::AdminConsensusMine, decimal(plan.admin_consensus.into())),
            (Parameter::AdminConsensusAdmin, "0".to_owned()),
            (Parameter::LockAdminMineRounds, plan.lock_rounds.to_string()),
            (Parameter::MineEmptyRounds, decimal(plan.empty_rounds.into())),
            (Parameter::MiningRequiresPeers, plan.requires_peers.to_string()),
            (Parameter::AnyoneCanConnect, plan.anyone_can_connect.to_string()),
        ];
        let mut entropy = rand::rngs::StdRng::seed_from_u64(plan.seed);
        let mut set = rota_params::generate::create("simulation", PROTOCOL_LATEST, &choices, &mut entropy)?;
        let first = nodes.first().context("a plan has nodes")?;
        let genesis = genesis::make(&mut set, first, START)?;
        let rules = Arc::new(Rules::new(&set));
        let line = CommandLine::parse(Vec::<String>::new(), |_| false)?;
        let settings = RuntimeSettings::resolve(&Options::resolve(&line, None)?, &set)?;
        let signatures = Arc::new(SignatureCache::new(rules.genesis, sha256(b"simulation")));
        let hashes = |keys: &[PrivateKey]| keys.iter().map(|key| key.public_key().key_hash()).collect();
        let (addresses, user_addresses) = (hashes(&nodes), hashes(&users));
        Ok(Chain {
            set,
            rules,
            genesis,
            settings,
            signatures,
            nodes,
            users,
            addresses,
            user_addresses,
            sabotage: plan.sabotage,
            nonce: 0,
        })
    }

    /// The rules a node goes by: all the same, unless something is broken on purpose.
    #[must_use]
    pub fn rules_of(&self, node: usize) -> Arc<Rules> {
        let mut rules = Rules::clone(&self.rules);
        match self.sabotage {
            Some(Sabotage::NoSpacing) if node == 0 => rules.mining_diversity = 0,
            Some(Sabotage::NoSpacingAnywhere) => rules.mining_diversity = 0,
            Some(Sabotage::OtherVotes) if node == 0 => rules.consensus_mine = 1_000_000,
            _ => return Arc::clone(&self.rules),
        }
        Arc::new(rules)
    }

    /// The key of a node.
    #[must_use]
    pub fn node_key(&self, node: usize) -> Option<&PrivateKey> {
        self.nodes.get(node)
    }

    /// The key of a user.
    #[must_use]
    pub fn user_key(&self, user: usize) -> Option<&PrivateKey> {
        self.users.get(user)
    }

    /// The address of a node.
    #[must_use]
    pub fn address(&self, node: usize) -> KeyHash {
        self.addresses.get(node).copied().unwrap_or(KeyHash([0; 20]))
    }

    /// The address of a user.
    #[must_use]
    pub fn user_address(&self, user: usize) -> KeyHash {
        self.user_addresses.get(user).copied().unwrap_or(KeyHash([0; 20]))
    }

    /// A signed transaction of one author.
    pub fn sign(&mut self, author: &PrivateKey, last_height: u32, outputs: Vec<Output>) -> Transaction {
        self.nonce += 1;
        let lock = Lock::Key(author.public_key().key_hash());
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs,
            authors: vec![lock],
            lock_time: 0,
            last_height,
            nonce: self.nonce,
        };
        let digest = full_digest(&self.rules.genesis, &body.txid(), &lock);
        let witness = Witness::Key { key: author.public_key(), signature: author.sign(&digest) };
        Transaction { body, witnesses: vec![witness] }
    }

    /// A transaction with its form and signatures checked.
    ///
    /// # Errors
    /// If a rule that needs no state refuses it.
    pub fn verified(&self, transaction: Transaction) -> anyhow::Result<VerifiedTransaction> {
        Ok(self.signatures.verify(check_transaction(Arc::new(transaction), &self.rules)?)?)
    }
}

/// The output that grants, or with an empty range revokes, rights of the whole chain.
#[must_use]
pub fn grant(recipient: KeyHash, permissions: &[Permission], range: BlockRange, timestamp: u64) -> Output {
    let timestamp = u32::try_from(timestamp).unwrap_or(u32::MAX);
    let grant = Grant { entity: None, permissions: permissions.iter().copied().collect(), range, timestamp };
    Output { recipient: Some(Lock::Key(recipient)), ..Output::operation(Operation::Grant(grant)) }
}

/// The output that carries data.
#[must_use]
pub fn data(bytes: Vec<u8>) -> Output {
    Output::operation(Operation::Data(Data { format: DataFormat::Raw, bytes }))
}

/// The output that creates a stream.
#[must_use]
pub fn stream(name: &str) -> Output {
    Output::operation(Operation::CreateStream(CreateStream {
        name: name.as_bytes().to_vec(),
        restriction: StreamRestriction::default(),
        salted: false,
        details: Vec::new(),
    }))
}

/// The output that publishes an item.
#[must_use]
pub fn item(stream: Txid, bytes: Vec<u8>) -> Output {
    let data = ItemData::Onchain(Data { format: DataFormat::Raw, bytes });
    Output::operation(Operation::Publish(Publish { stream, keys: vec![b"key".to_vec()], data }))
}

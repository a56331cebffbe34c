//! The parameters that rules read, resolved once from a chain's parameter set.

use std::borrow::Cow;

use rota_chain::hash::BlockHash;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_params::{Parameter, ParameterSet};

use crate::state::{StateError, StateView, UpgradedParameter};

/// Days a signed transaction without inputs stays valid at most.
const VALIDITY_DAYS: u32 = 30;
const SECONDS_PER_DAY: u32 = 86_400;

/// Where a parameter that upgrades may change stands among the rules.
enum Slot<'a> {
    Number(&'a mut u32),
    Flag(&'a mut bool),
}

/// What rules need to know of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Id of the genesis block, zero before it exists.
    pub genesis: BlockHash,
    /// Seconds between blocks.
    pub target_block_time: u32,
    /// Bytes of a block.
    pub maximum_block_size: u32,
    /// Bytes of a transaction.
    pub maximum_transaction_size: u32,
    /// Outputs without recipient of a transaction.
    pub maximum_data_outputs: u32,
    /// Bytes of one piece of data on the chain.
    pub maximum_data_size: u32,
    /// Bytes of an off-chain chunk.
    pub maximum_chunk_size: u32,
    /// Chunks of an off-chain item.
    pub maximum_chunk_count: u32,
    /// Blocks without diversity and voting.
    pub setup_first_blocks: u32,
    /// Diversity in millionths.
    pub mining_diversity: u32,
    /// Fractions in millionths of administrators that must agree: see [`Rules::consensus`].
    pub consensus_admin: u32,
    /// As `consensus_admin`.
    pub consensus_activate: u32,
    /// As `consensus_admin`.
    pub consensus_mine: u32,
    /// As `consensus_admin`.
    pub consensus_create: u32,
    /// As `consensus_admin`.
    pub consensus_issue: u32,
    /// As `consensus_admin`, of upgrades.
    pub consensus_upgrade: u32,
    /// Blocks between two upgrades of a parameter of time.
    pub upgrade_gap: u32,
    /// Whether target-adjust-freq is negative: then the target time never changes.
    pub target_time_is_fixed: bool,
    /// Metadata elements of an output as other nodes of this kind count them; shown, and bounds nothing here.
    pub maximum_drops_count: u32,
    /// Bytes of one such element; shown, and bounds nothing here.
    pub maximum_element_size: u32,
    /// Rights everybody has.
    pub anyone: Anyone,
    /// Whether grants to and coins of multisignature addresses are allowed.
    pub allow_multisig: bool,
    /// Raw units of the first block after genesis, if not negative.
    pub first_block_reward: i64,
    /// Raw units of every block.
    pub initial_block_reward: u64,
    /// Blocks a halving.
    pub reward_halving_interval: u32,
    /// Blocks until a reward may be spent.
    pub reward_spendable_delay: u32,
    /// Raw units an output with native currency holds at least.
    pub minimum_per_output: u64,
    /// Raw units an output holds at most.
    pub maximum_per_output: u64,
    /// Leading zero bits of proof of work.
    pub pow_minimum_bits: u32,
    /// Seconds between retargets, 0 for none.
    pub target_adjust_freq: u32,
    /// An easy block is allowed after twice the target time.
    pub allow_min_difficulty_blocks: bool,
    /// Proof of work is not checked.
    pub skip_pow_check: bool,
    /// Blocks within which a transaction without inputs expires, and its id is unique.
    pub validity_window: u32,
}

/// Rights everybody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anyone {
    /// May connect.
    pub connect: bool,
    /// May send.
    pub send: bool,
    /// May receive.
    pub receive: bool,
    /// May receive outputs that carry nothing.
    pub receive_empty: bool,
    /// May create entities.
    pub create: bool,
    /// May issue assets.
    pub issue: bool,
    /// May mine: proof of work, no diversity.
    pub mine: bool,
    /// May activate.
    pub activate: bool,
    /// May administer.
    pub admin: bool,
}

impl Rules {
    /// Resolves a parameter set; a set without genesis hash gives rules for making the genesis block.
    #[must_use]
    pub fn new(set: &ParameterSet) -> Rules {
        let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
        Rules {
            genesis: set.genesis_hash().unwrap_or(BlockHash::ZERO),
            target_block_time: set.target_block_time(),
            maximum_block_size: set.maximum_block_size(),
            maximum_transaction_size: set.max_std_tx_size(),
            maximum_data_outputs: set.max_std_op_returns_count(),
            maximum_data_size: set.max_std_op_return_size(),
            maximum_chunk_size: set.maximum_chunk_size(),
            maximum_chunk_count: set.maximum_chunk_count(),
            setup_first_blocks: set.setup_first_blocks(),
            mining_diversity: set.mining_diversity_millionths(),
            consensus_admin: set.admin_consensus_admin_millionths(),
            consensus_activate: set.admin_consensus_activate_millionths(),
            consensus_mine: set.admin_consensus_mine_millionths(),
            consensus_create: set.admin_consensus_create_millionths(),
            consensus_issue: set.admin_consensus_issue_millionths(),
            consensus_upgrade: set.admin_consensus_upgrade_millionths(),
            upgrade_gap: set.timing_upgrade_min_gap(),
            target_time_is_fixed: set.target_adjust_freq() < 0,
            maximum_drops_count: u32::try_from(set.max_std_op_drops_count()).unwrap_or(0),
            maximum_element_size: u32::try_from(set.max_std_element_size()).unwrap_or(0),
            anyone: Anyone {
                connect: set.anyone_can_connect(),
                send: set.anyone_can_send(),
                receive: set.anyone_can_receive(),
                receive_empty: set.anyone_can_receive_empty(),
                create: set.anyone_can_create(),
                issue: set.anyone_can_issue(),
                mine: set.anyone_can_mine(),
                activate: set.anyone_can_activate(),
                admin: set.anyone_can_admin(),
            },
            allow_multisig: set.allow_p2sh_outputs(),
            first_block_reward: set.first_block_reward(),
            initial_block_reward: unsigned(set.initial_block_reward()),
            reward_halving_interval: set.reward_halving_interval().max(1),
            reward_spendable_delay: set.reward_spendable_delay(),
            minimum_per_output: unsigned(set.minimum_per_output()),
            maximum_per_output: unsigned(set.maximum_per_output()),
            pow_minimum_bits: set.pow_minimum_bits(),
            target_adjust_freq: u32::try_from(set.target_adjust_freq()).unwrap_or(0),
            allow_min_difficulty_blocks: set.allow_min_difficulty_blocks(),
            skip_pow_check: set.skip_pow_check(),
            validity_window: validity_window(set.target_block_time()),
        }
    }

    /// These rules with parameters that upgrades have changed.
    #[must_use]
    pub fn with(&self, upgraded: &[UpgradedParameter]) -> Cow<'_, Rules> {
        if upgraded.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut rules = self.clone();
        for UpgradedParameter { parameter, value, .. } in upgraded {
            match Parameter::at(*parameter).and_then(|parameter| rules.slot(parameter)) {
                Some(Slot::Number(slot)) => *slot = u32::try_from(*value).unwrap_or(*slot),
                Some(Slot::Flag(slot)) => *slot = *value != 0,
                None => {}
            }
        }
        Cow::Owned(rules)
    }

    /// The rules that hold in a state: those that the chain began with, and what upgrades changed of them.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    pub fn at<V: StateView + ?Sized>(&self, view: &V) -> Result<Cow<'_, Rules>, StateError> {
        Ok(self.with(&view.upgraded_parameters()?))
    }

    /// The value of a parameter that upgrades may change; none for any other.
    #[must_use]
    pub fn upgradable(&self, parameter: Parameter) -> Option<i64> {
        match self.clone().slot(parameter)? {
            Slot::Number(slot) => Some(i64::from(*slot)),
            Slot::Flag(slot) => Some(i64::from(*slot)),
        }
    }

    fn slot(&mut self, parameter: Parameter) -> Option<Slot<'_>> {
        let anyone = &mut self.anyone;
        Some(match parameter {
            Parameter::MaximumBlockSize => Slot::Number(&mut self.maximum_block_size),
            Parameter::MaxStdTxSize => Slot::Number(&mut self.maximum_transaction_size),
            Parameter::MaxStdOpReturnsCount => Slot::Number(&mut self.maximum_data_outputs),
            Parameter::MaxStdOpReturnSize => Slot::Number(&mut self.maximum_data_size),
            Parameter::MaxStdOpDropsCount => Slot::Number(&mut self.maximum_drops_count),
            Parameter::MaxStdElementSize => Slot::Number(&mut self.maximum_element_size),
            Parameter::TargetBlockTime => Slot::Number(&mut self.target_block_time),
            Parameter::MaximumChunkSize => Slot::Number(&mut self.maximum_chunk_size),
            Parameter::MaximumChunkCount => Slot::Number(&mut self.maximum_chunk_count),
            Parameter::AnyoneCanConnect => Slot::Flag(&mut anyone.connect),
            Parameter::AnyoneCanSend => Slot::Flag(&mut anyone.send),
            Parameter::AnyoneCanReceive => Slot::Flag(&mut anyone.receive),
            Parameter::AnyoneCanReceiveEmpty => Slot::Flag(&mut anyone.receive_empty),
            Parameter::AnyoneCanCreate => Slot::Flag(&mut anyone.create),
            Parameter::AnyoneCanIssue => Slot::Flag(&mut anyone.issue),
            Parameter::AnyoneCanActivate => Slot::Flag(&mut anyone.activate),
            _ => return None,
        })
    }

    /// Whether everybody has a global right.
    #[must_use]
    pub const fn anyone_may(&self, permission: Permission) -> bool {
        match permission {
            Permission::Connect => self.anyone.connect,
            Permission::Send => self.anyone.send,
            Permission::Receive => self.anyone.receive,
            Permission::Create => self.anyone.create,
            Permission::Issue => self.anyone.issue,
            Permission::Mine => self.anyone.mine,
            Permission::Activate => self.anyone.activate,
            Permission::Admin => self.anyone.admin,
            Permission::Write
            | Permission::Read
            | Permission::Low1
            | Permission::Low2
            | Permission::Low3
            | Permission::High1
            | Permission::High2
            | Permission::High3 => false,
        }
    }

    /// Fraction in millionths of the administrators that must agree to change a global right; none if one suffices.
    #[must_use]
    pub const fn consensus(&self, permission: Permission) -> Option<u32> {
        match permission {
            Permission::Admin => Some(self.consensus_admin),
            Permission::Activate => Some(self.consensus_activate),
            Permission::Mine => Some(self.consensus_mine),
            Permission::Create => Some(self.consensus_create),
            Permission::Issue => Some(self.consensus_issue),
            _ => None,
        }
    }

    /// Whether a lock may own coins and rights on this chain.
    #[must_use]
    pub const fn allows_lock(&self, lock: &Lock) -> bool {
        match lock {
            Lock::Key(_) => true,
            Lock::Multisig(_) => self.allow_multisig,
        }
    }
}

/// Blocks of thirty days at the target block time.
#[must_use]
pub fn validity_window(target_block_time: u32) -> u32 {
    VALIDITY_DAYS.saturating_mul(SECONDS_PER_DAY).checked_div(target_block_time).unwrap_or(u32::MAX).max(1)
}

//! One typed getter for each parameter. Absent values read as their default, or as nothing: 0, empty.

use rota_chain::address::AddressScheme;
use rota_chain::hash::{BlockHash, ParamsHash};

use crate::set::{ParameterSet, default_value};
use crate::table::Parameter;
use crate::value::{Millionths, Value};

/// Port for peers of a set that has none.
pub const FALLBACK_NETWORK_PORT: u16 = 8571;
/// Port for JSON-RPC of a set that has none.
pub const FALLBACK_RPC_PORT: u16 = 8570;

macro_rules! getters {
    ($read:ident -> $type:ty: $($name:ident $variant:ident,)*) => {
        impl ParameterSet {
            $(
                #[doc = concat!("The value of [`Parameter::", stringify!($variant), "`].")]
                pub fn $name(&self) -> $type {
                    self.$read(Parameter::$variant)
                }
            )*
        }
    };
}

getters! {
    truth -> bool:
    root_stream_open RootStreamOpen, chain_is_testnet ChainIsTestnet, anyone_can_connect AnyoneCanConnect,
    anyone_can_send AnyoneCanSend, anyone_can_receive AnyoneCanReceive,
    anyone_can_receive_empty AnyoneCanReceiveEmpty, anyone_can_create AnyoneCanCreate,
    anyone_can_issue AnyoneCanIssue, anyone_can_mine AnyoneCanMine, anyone_can_activate AnyoneCanActivate,
    anyone_can_admin AnyoneCanAdmin, support_miner_precheck SupportMinerPrecheck,
    allow_arbitrary_outputs AllowArbitraryOutputs, allow_p2sh_outputs AllowP2shOutputs,
    allow_multisig_outputs AllowMultisigOutputs, mining_requires_peers MiningRequiresPeers,
    skip_pow_check SkipPowCheck, allow_min_difficulty_blocks AllowMinDifficultyBlocks,
    only_accept_std_txs OnlyAcceptStdTxs,
}

getters! {
    small -> u32:
    target_block_time TargetBlockTime, maximum_block_size MaximumBlockSize, maximum_chunk_size MaximumChunkSize,
    maximum_chunk_count MaximumChunkCount, timing_upgrade_min_gap TimingUpgradeMinGap,
    setup_first_blocks SetupFirstBlocks,
    lock_admin_mine_rounds LockAdminMineRounds, reward_halving_interval RewardHalvingInterval,
    reward_spendable_delay RewardSpendableDelay, pow_minimum_bits PowMinimumBits, max_std_tx_size MaxStdTxSize,
    max_std_op_returns_count MaxStdOpReturnsCount, max_std_op_return_size MaxStdOpReturnSize,
    genesis_version GenesisVersion, genesis_timestamp GenesisTimestamp, genesis_nbits GenesisNbits,
    genesis_nonce GenesisNonce,
}

getters! {
    signed -> i32:
    target_adjust_freq TargetAdjustFreq,
}

getters! {
    large -> i64:
    first_block_reward FirstBlockReward, initial_block_reward InitialBlockReward, minimum_per_output MinimumPerOutput,
    maximum_per_output MaximumPerOutput, minimum_offchain_fee MinimumOffchainFee, minimum_relay_fee MinimumRelayFee,
    native_currency_multiple NativeCurrencyMultiple, max_std_op_drops_count MaxStdOpDropsCount,
    max_std_element_size MaxStdElementSize, max_std_op_drop_size MaxStdOpDropSize,
}

getters! {
    share -> u32:
    mining_diversity_millionths MiningDiversity, admin_consensus_upgrade_millionths AdminConsensusUpgrade,
    admin_consensus_txfilter_millionths AdminConsensusTxfilter, admin_consensus_admin_millionths AdminConsensusAdmin,
    admin_consensus_activate_millionths AdminConsensusActivate, admin_consensus_mine_millionths AdminConsensusMine,
    admin_consensus_create_millionths AdminConsensusCreate, admin_consensus_issue_millionths AdminConsensusIssue,
    mining_turnover_millionths MiningTurnover,
}

getters! {
    text -> &str:
    chain_protocol ChainProtocol, chain_description ChainDescription, root_stream_name RootStreamName,
    chain_name ChainName,
}

getters! {
    bytes -> &[u8]:
    address_pubkeyhash_version AddressPubkeyhashVersion, address_scripthash_version AddressScripthashVersion,
    private_key_version PrivateKeyVersion, address_checksum_value AddressChecksumValue, genesis_pubkey GenesisPubkey,
    genesis_pubkey_hash GenesisPubkeyHash, genesis_op_return_script GenesisOpReturnScript,
}

impl ParameterSet {
    /// Rounds of empty blocks before mining rests, in millionths; negative: it never rests.
    pub fn mine_empty_rounds_millionths(&self) -> i32 {
        match self.or_default(Parameter::MineEmptyRounds) {
            Some(Value::Decimal(value)) => value.0,
            _ => 0,
        }
    }

    /// TCP port for peers, unless the node's options say otherwise.
    pub fn default_network_port(&self) -> u16 {
        self.port(Parameter::DefaultNetworkPort).unwrap_or(FALLBACK_NETWORK_PORT)
    }

    /// TCP port for JSON-RPC, unless the node's options say otherwise.
    pub fn default_rpc_port(&self) -> u16 {
        self.port(Parameter::DefaultRpcPort).unwrap_or(FALLBACK_RPC_PORT)
    }

    /// The mark of this chain's messages, if it has one yet.
    pub fn network_message_start(&self) -> Option<[u8; 4]> {
        self.bytes(Parameter::NetworkMessageStart).try_into().ok()
    }

    /// Id of the genesis block, once it was made.
    pub fn genesis_hash(&self) -> Option<BlockHash> {
        self.bytes(Parameter::GenesisHash).try_into().ok().map(BlockHash)
    }

    /// The stored chain-params-hash, once the genesis block was made.
    pub fn chain_params_hash(&self) -> Option<ParamsHash> {
        self.bytes(Parameter::ChainParamsHash).try_into().ok().map(ParamsHash)
    }

    /// How the chain writes addresses and private keys. A minimal set has no prefix of multisig addresses.
    pub fn address_scheme(&self) -> AddressScheme {
        AddressScheme {
            pubkeyhash_version: self.address_pubkeyhash_version().to_vec(),
            scripthash_version: self.address_scripthash_version().to_vec(),
            private_key_version: self.private_key_version().to_vec(),
            checksum: self.address_checksum_value().try_into().unwrap_or_default(),
        }
    }

    fn or_default(&self, parameter: Parameter) -> Option<Value> {
        self.get(parameter).cloned().or_else(|| default_value(parameter, self.chain_name(), self.protocol_version()))
    }

    fn truth(&self, parameter: Parameter) -> bool {
        self.or_default(parameter) == Some(Value::Bool(true))
    }

    fn small(&self, parameter: Parameter) -> u32 {
        match self.or_default(parameter) {
            Some(Value::U32(value)) => value,
            _ => 0,
        }
    }

    fn port(&self, parameter: Parameter) -> Option<u16> {
        u16::try_from(self.small(parameter)).ok().filter(|port| *port != 0)
    }

    fn signed(&self, parameter: Parameter) -> i32 {
        match self.or_default(parameter) {
            Some(Value::I32(value)) => value,
            _ => 0,
        }
    }

    fn large(&self, parameter: Parameter) -> i64 {
        match self.or_default(parameter) {
            Some(Value::I64(value)) => value,
            _ => 0,
        }
    }

    fn share(&self, parameter: Parameter) -> u32 {
        match self.or_default(parameter) {
            Some(Value::Decimal(Millionths(value))) => u32::try_from(value).unwrap_or(0),
            _ => 0,
        }
    }

    fn text(&self, parameter: Parameter) -> &str {
        match self.get(parameter) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    fn bytes(&self, parameter: Parameter) -> &[u8] {
        match self.get(parameter) {
            Some(Value::Binary(bytes)) => bytes,
            _ => &[],
        }
    }
}

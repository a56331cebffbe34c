//! The table of all 74 chain parameters, in the order that hashes and the wire form rely on: rows are never moved.
//! Meaning of the columns and of the table as a whole: docs/protocol/params.md.

use crate::kind::Kind::{Binary, Bool, Decimal, I32, I64, Text, U32};
use crate::kind::Preset::{self, Absent, Description, Number};
use crate::kind::Section::{Basic, Consensus, Currency, Genesis, Identity, Mining, Permission, Runtime, Standard};
use crate::kind::Source::{self, Calculated, Generated, User};
use crate::kind::flag::{CLONE, HIDDEN, MINIMAL, NOHASH, TIME};
use crate::kind::{Kind, Section};

/// The newest protocol that this software makes chains of.
pub const PROTOCOL_LATEST: u32 = 20013;

/// Protocols that this software runs, as pairs of first and last.
pub const PROTOCOLS_SUPPORTED: [(u32, u32); 2] = [(10008, 10012), (20004, PROTOCOL_LATEST)];

/// Number of parameters.
pub const PARAMETER_COUNT: usize = TABLE.len();

/// One parameter of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which parameter this is.
    pub parameter: Parameter,
    /// Name with hyphens, as shown.
    pub name: &'static str,
    /// Section of the file.
    pub section: Section,
    /// Type and range.
    pub kind: Kind,
    /// Who gives the value.
    pub source: Source,
    /// Value when nobody chose one.
    pub preset: Preset,
    /// First protocol that has the parameter.
    pub since: u32,
    /// First protocol that no longer has it; 0 if none.
    pub removed: u32,
    /// Bits of [`crate::kind::flag`].
    pub flags: u8,
    /// What the parameter does, in one line.
    pub meaning: &'static str,
}

macro_rules! parameters {
    ($($section:ident { $($variant:ident $name:literal, $kind:expr, $source:ident = $preset:expr,
        $since:literal $(..$removed:literal)?, $flags:expr, $meaning:literal;)* })*) => {
        /// A chain parameter; the order is that of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Parameter { $($(#[doc = $meaning] $variant,)*)* }

        /// All parameters, in table order.
        pub const TABLE: [Row; 74] = [$($(Row {
            parameter: Parameter::$variant, name: $name, section: $section, kind: $kind, source: $source,
            preset: $preset, since: $since, removed: 0 $(+ $removed)?, flags: $flags, meaning: $meaning,
        },)*)*];
    };
}

const YES: Preset = Preset::Bool(true);
const NO: Preset = Preset::Bool(false);
const SHARE: Kind = Decimal(0, 1_000_000);
const HALF: Preset = Number(500_000);
const QUINTILLION: i64 = 1_000_000_000_000_000_000;

parameters! {
    Basic {
        ChainProtocol "chain-protocol", Text(16), User = Preset::Text("multichain"), 10001, CLONE, "Rules of the chain: multichain, with permissions, assets and streams";
        ChainDescription "chain-description", Text(256), User = Description, 10001, CLONE, "Free text about the chain, kept in the genesis block, at most 90 characters";
        RootStreamName "root-stream-name", Text(256), User = Preset::Text("root"), 10006, CLONE, "Name of the stream that the genesis block creates; empty for none";
        RootStreamOpen "root-stream-open", Bool, User = YES, 10006, CLONE, "Anyone who may send can publish in the root stream";
        ChainIsTestnet "chain-is-testnet", Bool, User = NO, 10001, CLONE, "Shown as testnet in API answers; no rule depends on it";
        TargetBlockTime "target-block-time", U32(2, 86_400), User = Number(15), 10001, CLONE | TIME, "Seconds aimed at between two blocks";
        MaximumBlockSize "maximum-block-size", U32(5_000, 1_000_000_000), User = Number(8_388_608), 10001, CLONE, "Largest block in bytes";
        MaximumChunkSize "maximum-chunk-size", U32(256, 16_777_216), User = Number(1_048_576), 20003, CLONE, "Largest chunk of off-chain data in bytes";
        MaximumChunkCount "maximum-chunk-count", U32(16, 2_048), User = Number(1_024), 20003, CLONE, "Most chunks of one off-chain item";
        TimingUpgradeMinGap "timing-upgrade-min-gap", U32(1, 31_536_000), User = Number(100), 20002, CLONE | HIDDEN, "Blocks between two upgrades of time parameters, at least";
        DefaultNetworkPort "default-network-port", U32(1_024, 65_535), Generated = Absent, 10001, CLONE, "TCP port for peers, unless a node chooses another";
        DefaultRpcPort "default-rpc-port", U32(1_024, 65_535), Generated = Absent, 10001, CLONE | MINIMAL, "TCP port for JSON-RPC, unless a node chooses another";
    }
    Permission {
        AnyoneCanConnect "anyone-can-connect", Bool, User = NO, 10001, CLONE, "Nodes connect without a grant";
        AnyoneCanSend "anyone-can-send", Bool, User = NO, 10001, CLONE, "Addresses sign transactions without a grant";
        AnyoneCanReceive "anyone-can-receive", Bool, User = NO, 10001, CLONE, "Addresses receive without a grant";
        AnyoneCanReceiveEmpty "anyone-can-receive-empty", Bool, User = YES, 10007, CLONE, "Outputs without any value need no receive permission";
        AnyoneCanCreate "anyone-can-create", Bool, User = NO, 10006, CLONE, "Addresses create streams without a grant";
        AnyoneCanIssue "anyone-can-issue", Bool, User = NO, 10001, CLONE, "Addresses issue assets without a grant";
        AnyoneCanMine "anyone-can-mine", Bool, User = NO, 10001, CLONE, "Mining by proof of work, without grants and without diversity";
        AnyoneCanActivate "anyone-can-activate", Bool, User = NO, 10003, CLONE, "Everybody may grant and revoke connect, send and receive";
        AnyoneCanAdmin "anyone-can-admin", Bool, User = NO, 10001, CLONE, "Everybody may grant and revoke anything";
        SupportMinerPrecheck "support-miner-precheck", Bool, User = YES, 10007, CLONE, "Branches are judged from headers and grants before their blocks are fetched";
        AllowArbitraryOutputs "allow-arbitrary-outputs", Bool, User = NO, 10009, CLONE, "Outputs without a recognised address are allowed";
        AllowP2shOutputs "allow-p2sh-outputs", Bool, User = YES, 10001, CLONE, "Outputs to script hashes, as multisig addresses use, are allowed";
        AllowMultisigOutputs "allow-multisig-outputs", Bool, User = YES, 10001, CLONE, "Outputs that list the keys of a multisig are allowed";
    }
    Consensus {
        SetupFirstBlocks "setup-first-blocks", U32(1, 31_536_000), User = Number(60), 10001, CLONE, "Blocks at the start without diversity, admin votes and need for peers";
        MiningDiversity "mining-diversity", SHARE, User = Number(300_000), 10001, CLONE, "Share of permitted miners that must take turns";
        AdminConsensusUpgrade "admin-consensus-upgrade", SHARE, User = HALF, 10008, CLONE, "Share of admins that approves an upgrade";
        AdminConsensusTxfilter "admin-consensus-txfilter", SHARE, User = HALF, 20004, CLONE, "Share of admins that approves a transaction filter or library";
        AdminConsensusAdmin "admin-consensus-admin", SHARE, User = HALF, 10001, CLONE, "Share of admins that changes admin permissions";
        AdminConsensusActivate "admin-consensus-activate", SHARE, User = HALF, 10003, CLONE, "Share of admins that changes activate permissions";
        AdminConsensusMine "admin-consensus-mine", SHARE, User = HALF, 10001, CLONE, "Share of admins that changes mine permissions";
        AdminConsensusCreate "admin-consensus-create", SHARE, User = Number(0), 10006, CLONE, "Share of admins that changes create permissions";
        AdminConsensusIssue "admin-consensus-issue", SHARE, User = Number(0), 10003, CLONE, "Share of admins that changes issue permissions";
    }
    Runtime {
        LockAdminMineRounds "lock-admin-mine-rounds", U32(0, 10_000), User = Number(10), 10007, NOHASH | CLONE, "Mining rounds after which admin and mine changes are not undone";
        MiningRequiresPeers "mining-requires-peers", Bool, User = YES, 10001, NOHASH | CLONE, "A node without peers does not mine";
        MineEmptyRounds "mine-empty-rounds", Decimal(-1_000_000, 1_000_000_000), User = Number(10_000_000), 10007, NOHASH | CLONE, "Rounds of empty blocks before mining rests; negative: never rests";
        MiningTurnover "mining-turnover", SHARE, User = HALF, 10007, NOHASH | CLONE, "0 for a steady rotation of few miners, 1 for all miners at random";
    }
    Currency {
        FirstBlockReward "first-block-reward", I64(-1, QUINTILLION), User = Number(-1), 10002, CLONE, "Reward of block 1 in raw units; -1 for the same as others";
        InitialBlockReward "initial-block-reward", I64(0, QUINTILLION), User = Number(0), 10001, CLONE, "Reward of a block in raw units, before any halving";
        RewardHalvingInterval "reward-halving-interval", U32(60, 1_000_000_000), User = Number(52_560_000), 10001, CLONE, "Blocks after which the reward is halved";
        RewardSpendableDelay "reward-spendable-delay", U32(1, 100_000), User = Number(1), 10001, CLONE, "Blocks before a reward can be spent";
        MinimumPerOutput "minimum-per-output", I64(-1, 1_000_000_000), User = Number(0), 10001, CLONE, "Least native amount of an output in raw units; -1 to derive it from the fee";
        MaximumPerOutput "maximum-per-output", I64(0, QUINTILLION), User = Number(100_000_000_000_000), 10001, CLONE, "Largest native amount of an output in raw units";
        MinimumOffchainFee "minimum-offchain-fee", I64(0, 1_000_000_000), User = Number(0), 20003, CLONE, "Fee for 1000 bytes of off-chain data in raw units";
        MinimumRelayFee "minimum-relay-fee", I64(0, 1_000_000_000), User = Number(0), 10001, CLONE, "Fee for 1000 bytes of a transaction in raw units";
        NativeCurrencyMultiple "native-currency-multiple", I64(0, 1_000_000_000), User = Number(100_000_000), 10001, CLONE, "Raw units that make one unit as shown";
    }
    Mining {
        SkipPowCheck "skip-pow-check", Bool, User = NO, 10001, CLONE, "Proof of work is not looked at";
        PowMinimumBits "pow-minimum-bits", U32(1, 32), User = Number(8), 10001, CLONE, "Leading zero bits of a block hash, at least";
        TargetAdjustFreq "target-adjust-freq", I32(-1, i32::MAX), User = Number(-1), 10001, CLONE, "Seconds between two changes of the difficulty; -1 for none";
        AllowMinDifficultyBlocks "allow-min-difficulty-blocks", Bool, User = NO, 10001, CLONE, "After twice the target time a block of least difficulty is allowed";
    }
    Standard {
        OnlyAcceptStdTxs "only-accept-std-txs", Bool, User = YES, 10001, CLONE, "Only transactions within the following limits are taken";
        MaxStdTxSize "max-std-tx-size", U32(1_024, 100_000_000), User = Number(4_194_304), 10001, CLONE, "Bytes of a transaction, at most";
        MaxStdOpReturnsCount "max-std-op-returns-count", U32(0, 1_024), User = Number(32), 10006, CLONE, "Data outputs of a transaction, at most";
        MaxStdOpReturnSize "max-std-op-return-size", U32(0, 67_108_864), User = Number(2_097_152), 10001, CLONE, "Bytes of data in an output, at most";
        MaxStdOpDropsCount "max-std-op-drops-count", I64(0, 100), User = Number(5), 10001, CLONE, "Operations attached to an output, at most";
        MaxStdElementSize "max-std-element-size", I64(128, 80_000), User = Number(40_000), 10003, CLONE, "Bytes of one element of an output, at most";
        MaxStdOpDropSize "max-std-op-drop-size", I64(0, 32_768), User = Number(64), 10001..10003, CLONE, "Bytes of an attached operation in the oldest protocols";
    }
    Identity {
        ChainName "chain-name", Text(32), Generated = Absent, 10001, MINIMAL, "Name of the chain, the same as its directory";
        ProtocolVersion "protocol-version", U32(10_001, 99_999), Generated = Absent, 10001, MINIMAL, "Protocol of the chain at its start";
        NetworkMessageStart "network-message-start", Binary(4, 4), Generated = Absent, 10001, MINIMAL, "Mark that sets this chain's messages apart";
        AddressPubkeyhashVersion "address-pubkeyhash-version", Binary(1, 4), Generated = Absent, 10001, MINIMAL, "Prefix of addresses of keys";
        AddressScripthashVersion "address-scripthash-version", Binary(1, 4), Generated = Absent, 10001, CLEAR, "Prefix of multisig addresses";
        PrivateKeyVersion "private-key-version", Binary(1, 4), Generated = Absent, 10001, MINIMAL, "Prefix of private keys";
        AddressChecksumValue "address-checksum-value", Binary(4, 4), Generated = Absent, 10001, MINIMAL, "Mask of the checksum of addresses and private keys";
    }
    Genesis {
        GenesisPubkey "genesis-pubkey", Binary(33, 65), Calculated = Absent, 10001, CLEAR, "Public key of the first node";
        GenesisVersion "genesis-version", U32(0, u32::MAX), Calculated = Absent, 10001, CLEAR, "Version of the first block's header";
        GenesisTimestamp "genesis-timestamp", U32(0, u32::MAX), Calculated = Absent, 10001, CLEAR, "Time of the first block, in seconds since 1970";
        GenesisNbits "genesis-nbits", U32(0, u32::MAX), Calculated = Absent, 10001, CLEAR, "Difficulty of the first block";
        GenesisNonce "genesis-nonce", U32(0, u32::MAX), Calculated = Absent, 10001, CLEAR, "Nonce of the first block";
        GenesisPubkeyHash "genesis-pubkey-hash", Binary(20, 20), Calculated = Absent, 10001, CLEAR, "Hash of the first node's public key";
        GenesisOpReturnScript "genesis-op-return-script", Binary(0, 1_024), Calculated = Absent, 10001..10006, CLEAR, "Data of the first block in the oldest protocols";
        GenesisHash "genesis-hash", Binary(32, 32), Calculated = Absent, 10001, CLEAR, "Id of the first block";
        ChainParamsHash "chain-params-hash", Binary(32, 32), Calculated = Absent, 10001, NOHASH, "Hash of all parameters that bind every node";
    }
}

/// No flag at all.
const CLEAR: u8 = 0;

impl Parameter {
    /// The parameter's row of the table.
    pub const fn row(self) -> &'static Row {
        const ROWS: &[Row] = &TABLE;
        &ROWS[self as usize]
    }

    /// Name with hyphens, as shown to users.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Name without hyphens, as options and the API's compact form spell it.
    pub fn compact_name(self) -> String {
        self.row().name.replace('-', "")
    }

    /// Finds a parameter by its name; hyphens and underscores do not count, case does.
    pub fn find(name: &str) -> Option<Self> {
        let compact: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
        all().find(|parameter| parameter.compact_name() == compact)
    }

    /// The parameter at a position of the table.
    pub fn at(position: u8) -> Option<Self> {
        TABLE.get(usize::from(position)).map(|row| row.parameter)
    }

    /// Whether the row carries the flag.
    pub const fn has(self, flag: u8) -> bool {
        self.row().flags & flag != 0
    }

    /// Whether a chain that started with this protocol has the parameter.
    pub const fn exists_in(self, protocol: u32) -> bool {
        let row = self.row();
        row.since <= protocol && (row.removed == 0 || protocol < row.removed)
    }

    /// The first protocol in which `create upgrade` may change the parameter; none if never.
    pub const fn upgradable_since(self) -> Option<u32> {
        match self {
            Self::MaximumBlockSize
            | Self::MaxStdTxSize
            | Self::MaxStdOpReturnsCount
            | Self::MaxStdOpReturnSize
            | Self::MaxStdOpDropsCount
            | Self::MaxStdElementSize
            | Self::TargetBlockTime => Some(20002),
            Self::MaximumChunkSize | Self::MaximumChunkCount => Some(20003),
            Self::AnyoneCanConnect
            | Self::AnyoneCanSend
            | Self::AnyoneCanReceive
            | Self::AnyoneCanReceiveEmpty
            | Self::AnyoneCanCreate
            | Self::AnyoneCanIssue
            | Self::AnyoneCanActivate => Some(20007),
            _ => None,
        }
    }
}

/// All parameters in table order.
pub fn all() -> impl DoubleEndedIterator<Item = Parameter> {
    TABLE.iter().map(|row| row.parameter)
}

/// Whether this software runs chains of the protocol.
pub fn protocol_is_supported(protocol: u32) -> bool {
    PROTOCOLS_SUPPORTED.iter().any(|(first, last)| (*first..=*last).contains(&protocol))
}

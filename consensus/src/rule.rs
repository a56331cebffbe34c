//! Every rule as an error variant with a stable code: listing the variants lists the rules.

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::hash::{BlockHash, StateHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_chain::transaction::OutPoint;
use rota_chain::witness::WitnessError;

pub use self::fact::Fact;
use self::fact::ToFact;
use crate::state::StateError;

mod fact;

macro_rules! rules {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident $({ $($field:ident : $type:ty),* $(,)? })? = $code:literal, $text:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[allow(missing_docs, reason = "fields are named by the message")]
        pub enum $name {
            $($(#[$variant_doc])* #[error($text)] $variant $({ $($field: $type),* })?,)*
        }

        impl $name {
            /// The stable code of the rule that was broken.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(rules!(@pattern $name $variant $({ $($field),* })?) => $code,)*
                }
            }

            /// What the refusal is about: each field by its name.
            #[must_use]
            pub fn facts(&self) -> Vec<(&'static str, Fact)> {
                match self {
                    $($name::$variant $({ $($field),* })? => vec![$($((stringify!($field), $field.to_fact())),*)?],)*
                }
            }

            /// The sentence, with locks written as `address` writes them.
            fn sentence(&self, address: &dyn Fn(&Lock) -> String) -> String {
                let _ = &address;
                match self {
                    $($name::$variant $({ $($field),* })? => {
                        $($(let $field = $field.to_fact().text(address);)*)?
                        format!($text)
                    })*
                }
            }
        }
    };
    (@pattern $name:ident $variant:ident { $($field:ident),* }) => { $name::$variant { .. } };
    (@pattern $name:ident $variant:ident) => { $name::$variant };
}

rules! {
    /// Rules of a transaction as a whole. See docs/protocol/transaction.md.
    TransactionRule {
        /// The version is not known.
        Version { version: u32 } = "tx-version", "transaction version {version} is not known";
        /// Larger than the chain allows.
        Size { size: usize, limit: u32 } = "tx-size", "the transaction has {size} bytes, the limit is {limit}";
        /// Nothing comes out of it.
        NoOutputs = "tx-no-outputs", "the transaction has no outputs";
        /// Nobody answers for it.
        Nobody = "tx-nobody", "the transaction has neither authors nor inputs";
        /// A coin is spent twice within it.
        InputTwice { outpoint: OutPoint } = "tx-input-twice", "input {outpoint} stands twice";
        /// An author is listed twice.
        AuthorTwice { author: Lock } = "tx-author-twice", "author {author} is listed twice";
        /// An input covered in part has no output at its index.
        PartWithoutOutput { index: usize } = "tx-part-no-output", "input {index} is covered in part, no output stands at its index";
        /// The last height lies before the lock time.
        Heights { first: u32, last: u32 } = "tx-heights", "last height {last} lies before lock height {first}";
        /// Without inputs a last height is needed.
        NoLastHeight = "tx-no-last-height", "a transaction without inputs needs a last height";
        /// The last height lies too far ahead.
        LastHeightFar { last: u32, limit: u32 } = "tx-last-height-far", "last height {last} lies beyond {limit}, the last allowed now";
        /// Not valid yet.
        Locked { lock_time: u32 } = "tx-locked", "the transaction is locked until {lock_time}";
        /// Not valid any more.
        Expired { last: u32, height: Height } = "tx-expired", "the transaction expired at height {last}, the block has height {height}";
        /// The id stands on this branch already.
        Known { txid: Txid, height: Height } = "tx-known", "transaction {txid} stands in block {height} already";
        /// More than one operation creates an entity.
        ManyEntities = "tx-many-entities", "a transaction creates at most one entity";
        /// Too many outputs that only carry operations.
        DataOutputs { count: usize, limit: u32 } = "tx-data-outputs", "{count} outputs carry data, the limit is {limit}";
        /// An operation this version does not apply yet.
        NotEnabled { name: &'static str } = "tx-operation-off", "operation {name} is not enabled on this chain";
        /// The genesis operation outside genesis.
        GenesisOperation = "tx-genesis-operation", "the genesis operation stands in the genesis block alone";
        /// A coinbase outside its place.
        Coinbase = "tx-coinbase", "a coinbase stands first in a block and nowhere else";
        /// Too few or too many witnesses.
        WitnessCount { count: usize, expected: usize } = "tx-witness-count", "{count} witnesses, expected {expected}";
        /// A witness does not answer for its lock.
        Witness { index: usize, error: WitnessError } = "tx-witness", "witness {index}: {error}";
        /// Too many answer for an operation.
        Answering { count: usize, limit: u32 } = "tx-answering", "{count} addresses answer for an operation, the limit is {limit}";
        /// An author or owner may not send.
        Send { address: Lock } = "tx-send", "{address} has no send permission";
        /// A recipient may not receive.
        Receive { address: Lock } = "tx-receive", "{address} has no receive permission";
    }
}

rules! {
    /// Rules of coins. See docs/protocol/coin.md.
    CoinRule {
        /// No such coin, or spent.
        Missing { outpoint: OutPoint } = "coin-missing", "coin {outpoint} does not exist or is spent";
        /// A reward too young.
        Immature { outpoint: OutPoint, until: Height } = "coin-immature", "reward {outpoint} may be spent from block {until}";
        /// Outputs exceed inputs.
        Overspent { inputs: Amount, outputs: Amount } = "coin-overspent", "outputs of {outputs} exceed inputs of {inputs}";
        /// A sum does not fit.
        Overflow = "coin-overflow", "a sum of amounts does not fit";
        /// Below the least an output holds.
        Dust { amount: Amount, limit: u64 } = "coin-dust", "an output of {amount} is below {limit}";
        /// Above the most an output holds.
        Large { amount: Amount, limit: u64 } = "coin-large", "an output of {amount} exceeds {limit}";
        /// Multisignature owners are not allowed on this chain.
        Multisig { address: Lock } = "coin-multisig", "multisignature address {address} is not allowed on this chain";
    }
}

rules! {
    /// Rules of permissions. See docs/protocol/permission.md.
    PermissionRule {
        /// A grant without recipient.
        NoRecipient = "perm-no-recipient", "a grant needs a recipient";
        /// A grant of nothing.
        Empty = "perm-empty", "a grant names at least one permission";
        /// The right does not exist there.
        NotApplicable { permission: Permission } = "perm-not-applicable", "permission {permission} does not apply there";
        /// Mine for a multisignature address, which cannot sign blocks.
        MineMultisig = "perm-mine-multisig", "a multisignature address cannot mine";
        /// Nobody who answers may grant it.
        Denied { permission: Permission } = "perm-denied", "no author may grant or revoke {permission}";
        /// The entity does not exist.
        NoEntity { entity: Txid } = "perm-no-entity", "entity {entity} does not exist";
    }
}

rules! {
    /// Rules of entities and their names. See docs/protocol/entity.md.
    EntityRule {
        /// Too long.
        NameLong { length: usize, limit: usize } = "entity-name-long", "a name of {length} bytes exceeds {limit}";
        /// Not a name: `*`, not UTF-8, or shaped like a reference.
        NameForm = "entity-name-form", "the name is not allowed: not UTF-8, *, or shaped like a reference";
        /// Taken by another entity.
        NameTaken { name: String } = "entity-name-taken", "the name {name:?} is taken";
        /// Nobody who answers may create.
        Create = "entity-create", "no author has create permission";
    }
}

rules! {
    /// Rules of streams. See docs/protocol/stream.md.
    StreamRule {
        /// Contradictory restrictions.
        Restriction = "stream-restriction", "a stream cannot forbid items both on and off the chain, and a read-restricted one forbids items on the chain and is salted";
        /// No such stream.
        Missing { stream: Txid } = "stream-missing", "stream {stream} does not exist";
        /// Nobody who answers may write.
        Write { stream: Txid } = "stream-write", "no author may write to stream {stream}";
        /// Items on the chain are forbidden there.
        Onchain = "stream-onchain", "the stream forbids items on the chain";
        /// Items off the chain are forbidden there.
        Offchain = "stream-offchain", "the stream forbids items off the chain";
        /// No keys.
        NoKeys = "stream-no-keys", "an item has at least one key";
        /// Not a key.
        Key = "stream-key", "the key * is not allowed";
        /// Data too long.
        DataSize { size: usize, limit: u32 } = "stream-data-size", "data of {size} bytes exceeds {limit}";
        /// Too many chunks, or one too large or empty.
        Chunks = "stream-chunks", "off-chain chunks are empty, too large or too many";
        /// Salted chunks on an unsalted stream or the reverse.
        Salt = "stream-salt", "the salt of off-chain chunks is not as the stream demands";
    }
}

rules! {
    /// Rules of assets and tokens. See docs/protocol/asset.md.
    AssetRule {
        /// Units without recipient.
        NoRecipient = "asset-no-recipient", "units of an asset need a recipient";
        /// A quantity of nothing.
        Nothing = "asset-nothing", "a quantity is above 0";
        /// An asset or token twice in one output.
        Twice = "asset-twice", "an asset or token stands twice in one output";
        /// Not a token's identifier.
        TokenForm = "asset-token-form", "a token's identifier is UTF-8 and not empty";
        /// Units of a new asset that this transaction does not issue.
        NotIssued = "asset-not-issued", "units of a new asset stand in a transaction that issues none";
        /// Units come from nowhere or vanish.
        Unbalanced { inputs: u64, issued: u64, outputs: u64 } = "asset-unbalanced", "{outputs} units come out, {inputs} go in and {issued} are issued";
        /// A sum does not fit, or more than can ever be issued.
        Overflow = "asset-overflow", "a sum of units does not fit";
        /// Units a displayed unit.
        Multiple { multiple: u64, limit: u64 } = "asset-multiple", "{multiple} raw units a displayed unit, allowed are 1 to {limit}";
        /// Units of an asset that is not fungible belong to tokens.
        TokenNeeded = "asset-token-needed", "units of an asset that is not fungible are whole and belong to a token";
        /// A token of a fungible asset.
        Fungible { asset: Txid } = "asset-fungible", "asset {asset} has no tokens";
        /// The token exists.
        TokenTaken { asset: Txid } = "asset-token-taken", "asset {asset} has a token of this name";
        /// More than one issuance may bring.
        IssueLimit { quantity: u64, limit: u64 } = "asset-issue-limit", "{quantity} units exceed {limit}, the most of one issuance";
        /// More than may ever be issued.
        TotalLimit { total: u64, limit: u64 } = "asset-total-limit", "{total} units in all exceed {limit}";
        /// Nobody who answers may issue.
        Issue = "asset-issue", "no author has issue permission";
        /// No such asset.
        Missing { asset: Txid } = "asset-missing", "asset {asset} does not exist";
        /// Not open.
        Closed { asset: Txid } = "asset-closed", "asset {asset} is not open";
        /// Nobody who answers may issue more.
        IssueMore { asset: Txid } = "asset-issue-more", "no author may issue more of asset {asset}";
        /// Nobody who answers administers the asset.
        Update { asset: Txid } = "asset-update", "no author administers asset {asset}";
        /// Cannot be opened, or closed.
        Fixed { asset: Txid } = "asset-fixed", "asset {asset} cannot be opened or closed so";
        /// The owner may not send it.
        Send { asset: Txid, address: Lock } = "asset-send", "{address} may not send asset {asset}";
        /// The recipient may not receive it.
        Receive { asset: Txid, address: Lock } = "asset-receive", "{address} may not receive asset {asset}";
    }
}

rules! {
    /// Rules of variables. See docs/protocol/variable.md.
    VariableRule {
        /// No such variable.
        Missing { variable: Txid } = "variable-missing", "variable {variable} does not exist";
        /// Nobody who answers may set it.
        Write { variable: Txid } = "variable-write", "no author may set variable {variable}";
    }
}

rules! {
    /// Rules of upgrades. See docs/protocol/upgrade.md.
    UpgradeRule {
        /// Nothing to change.
        Empty = "upgrade-empty", "an upgrade changes at least one parameter";
        /// A parameter twice.
        Twice = "upgrade-twice", "an upgrade names a parameter twice";
        /// Nobody who answers administers the chain.
        Admin = "upgrade-admin", "no author has admin permission";
        /// No such upgrade.
        Missing { upgrade: Txid } = "upgrade-missing", "upgrade {upgrade} does not exist";
        /// Nobody who answers may vote.
        Vote { upgrade: Txid } = "upgrade-vote", "no author may approve upgrade {upgrade}";
        /// It is decided.
        Approved { upgrade: Txid } = "upgrade-approved", "upgrade {upgrade} is approved already";
    }
}

rules! {
    /// Rules of blocks. See docs/protocol/block.md.
    BlockRule {
        /// The version is not known.
        Version { version: u32 } = "block-version", "block version {version} is not known";
        /// Larger than the chain allows.
        Size { size: usize, limit: u32 } = "block-size", "the block has {size} bytes, the limit is {limit}";
        /// No coinbase first, or not of this form.
        Coinbase = "block-coinbase", "the first transaction is not a coinbase of this height that pays its miner";
        /// Pays more than reward and fees.
        Reward { paid: Amount, limit: Amount } = "block-reward", "the coinbase pays {paid}, allowed is {limit}";
        /// A transaction stands twice.
        Twice { txid: Txid } = "block-tx-twice", "transaction {txid} stands twice";
        /// Transactions do not match the root: the message is bad, not the id.
        MerkleRoot = "block-merkle-root", "the transactions do not match the merkle root";
        /// Not signed by its miner: the message is bad, not the id.
        Signature = "block-signature", "the block is not signed by its miner";
        /// Not after the median of the eleven blocks before.
        Time { time: Timestamp, median: Timestamp } = "block-time", "time {time} is not after the median {median}";
        /// The target is not the expected one.
        Bits { bits: u32, expected: u32 } = "block-bits", "bits {bits}, expected {expected}";
        /// The hash does not meet the target.
        Work { hash: BlockHash } = "block-work", "block {hash} does not meet its target";
        /// A nonce where miners are permitted by grant.
        Nonce { nonce: u32 } = "block-nonce", "nonce {nonce} must be 0 where miners are permitted by grant";
        /// The miner may not mine.
        Miner { miner: KeyHash } = "block-miner", "{miner} has no mine permission";
        /// The miner's last block is too recent.
        Spacing { miner: KeyHash, last: Height, spacing: u32 } = "block-spacing", "{miner} mined block {last} and waits for {spacing} blocks";
        /// The state before differs.
        State { stated: StateHash, computed: StateHash } = "block-state", "the header states {stated} for the state before, this node has {computed}";
        /// Not this chain's genesis block.
        Genesis = "block-genesis", "the genesis block does not match the parameters";
    }
}

/// Any rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Of transactions.
    #[error("{code}: {0}", code = .0.code())]
    Transaction(#[from] TransactionRule),
    /// Of coins.
    #[error("{code}: {0}", code = .0.code())]
    Coin(#[from] CoinRule),
    /// Of permissions.
    #[error("{code}: {0}", code = .0.code())]
    Permission(#[from] PermissionRule),
    /// Of entities.
    #[error("{code}: {0}", code = .0.code())]
    Entity(#[from] EntityRule),
    /// Of streams.
    #[error("{code}: {0}", code = .0.code())]
    Stream(#[from] StreamRule),
    /// Of assets.
    #[error("{code}: {0}", code = .0.code())]
    Asset(#[from] AssetRule),
    /// Of variables.
    #[error("{code}: {0}", code = .0.code())]
    Variable(#[from] VariableRule),
    /// Of upgrades.
    #[error("{code}: {0}", code = .0.code())]
    Upgrade(#[from] UpgradeRule),
    /// Of blocks.
    #[error("{code}: {0}", code = .0.code())]
    Block(#[from] BlockRule),
}

impl Rule {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Rule::Transaction(rule) => rule.code(),
            Rule::Coin(rule) => rule.code(),
            Rule::Permission(rule) => rule.code(),
            Rule::Entity(rule) => rule.code(),
            Rule::Stream(rule) => rule.code(),
            Rule::Asset(rule) => rule.code(),
            Rule::Variable(rule) => rule.code(),
            Rule::Upgrade(rule) => rule.code(),
            Rule::Block(rule) => rule.code(),
        }
    }

    /// What the refusal is about: each of its fields by name.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        match self {
            Rule::Transaction(rule) => rule.facts(),
            Rule::Coin(rule) => rule.facts(),
            Rule::Permission(rule) => rule.facts(),
            Rule::Entity(rule) => rule.facts(),
            Rule::Stream(rule) => rule.facts(),
            Rule::Asset(rule) => rule.facts(),
            Rule::Variable(rule) => rule.facts(),
            Rule::Upgrade(rule) => rule.facts(),
            Rule::Block(rule) => rule.facts(),
        }
    }

    /// Code and sentence as [`std::fmt::Display`] gives them, with locks written as `address` writes them.
    #[must_use]
    pub fn told(&self, address: &dyn Fn(&Lock) -> String) -> String {
        let sentence = match self {
            Rule::Transaction(rule) => rule.sentence(address),
            Rule::Coin(rule) => rule.sentence(address),
            Rule::Permission(rule) => rule.sentence(address),
            Rule::Entity(rule) => rule.sentence(address),
            Rule::Stream(rule) => rule.sentence(address),
            Rule::Asset(rule) => rule.sentence(address),
            Rule::Variable(rule) => rule.sentence(address),
            Rule::Upgrade(rule) => rule.sentence(address),
            Rule::Block(rule) => rule.sentence(address),
        };
        format!("{}: {sentence}", self.code())
    }

    /// Whether a later state may allow what this one refuses: such a transaction waits instead of being forgotten.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Rule::Transaction(rule) => matches!(
                rule,
                TransactionRule::Locked { .. }
                    | TransactionRule::LastHeightFar { .. }
                    | TransactionRule::Send { .. }
                    | TransactionRule::Receive { .. }
            ),
            Rule::Coin(rule) => {
                matches!(rule, CoinRule::Missing { .. } | CoinRule::Immature { .. })
            }
            Rule::Permission(rule) => matches!(rule, PermissionRule::Denied { .. } | PermissionRule::NoEntity { .. }),
            Rule::Entity(rule) => matches!(rule, EntityRule::Create),
            Rule::Stream(rule) => {
                matches!(rule, StreamRule::Missing { .. } | StreamRule::Write { .. })
            }
            Rule::Asset(rule) => matches!(
                rule,
                AssetRule::Missing { .. }
                    | AssetRule::Closed { .. }
                    | AssetRule::Issue
                    | AssetRule::IssueMore { .. }
                    | AssetRule::Update { .. }
                    | AssetRule::Send { .. }
                    | AssetRule::Receive { .. }
            ),
            Rule::Variable(VariableRule::Missing { .. } | VariableRule::Write { .. }) => true,
            Rule::Upgrade(rule) => {
                matches!(rule, UpgradeRule::Admin | UpgradeRule::Missing { .. } | UpgradeRule::Vote { .. })
            }
            Rule::Block(_) => false,
        }
    }

    /// Whether the verdict depends on the bytes alone: it may be remembered by full hash.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self {
            Rule::Transaction(rule) => !matches!(
                rule,
                TransactionRule::Locked { .. }
                    | TransactionRule::LastHeightFar { .. }
                    | TransactionRule::Expired { .. }
                    | TransactionRule::Size { .. }
                    | TransactionRule::DataOutputs { .. }
                    | TransactionRule::Known { .. }
                    | TransactionRule::Send { .. }
                    | TransactionRule::Receive { .. }
                    | TransactionRule::Witness { .. }
                    | TransactionRule::WitnessCount { .. }
            ),
            Rule::Coin(rule) => matches!(rule, CoinRule::Dust { .. } | CoinRule::Large { .. } | CoinRule::Overflow),
            Rule::Permission(rule) => !matches!(rule, PermissionRule::Denied { .. } | PermissionRule::NoEntity { .. }),
            Rule::Entity(rule) => {
                matches!(rule, EntityRule::NameLong { .. } | EntityRule::NameForm)
            }
            Rule::Stream(rule) => matches!(rule, StreamRule::NoKeys | StreamRule::Key),
            Rule::Asset(rule) => matches!(
                rule,
                AssetRule::NoRecipient
                    | AssetRule::Nothing
                    | AssetRule::Twice
                    | AssetRule::TokenForm
                    | AssetRule::NotIssued
                    | AssetRule::Multiple { .. }
            ),
            Rule::Upgrade(rule) => matches!(rule, UpgradeRule::Empty | UpgradeRule::Twice),
            Rule::Variable(_) | Rule::Block(_) => false,
        }
    }
}

/// Why something was not applied: a rule, or storage that failed (which is no verdict).
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApplyError {
    /// A rule was broken.
    #[error(transparent)]
    Rule(Rule),
    /// Storage failed.
    #[error(transparent)]
    State(#[from] StateError),
}

macro_rules! from_rule {
    ($($type:ident),*) => {
        $(impl From<$type> for ApplyError {
            fn from(rule: $type) -> ApplyError {
                ApplyError::Rule(rule.into())
            }
        })*
    };
}
from_rule!(
    TransactionRule,
    CoinRule,
    PermissionRule,
    EntityRule,
    StreamRule,
    AssetRule,
    VariableRule,
    UpgradeRule,
    BlockRule
);

impl From<Rule> for ApplyError {
    fn from(rule: Rule) -> ApplyError {
        ApplyError::Rule(rule)
    }
}

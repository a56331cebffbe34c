//! One chain's parameters in memory: values by parameter, what state the set is in, and the sealing at genesis.

use std::path::Path;

use rota_chain::hash::{BlockHash, ParamsHash};

use crate::error::ParameterError;
use crate::generate::{total_reward, total_reward_fits};
use crate::hash::chain_params_hash;
use crate::kind::flag::{HIDDEN, MINIMAL};
use crate::kind::{Kind, Preset, Source};
use crate::table::{PARAMETER_COUNT, PROTOCOL_LATEST, Parameter, all, protocol_is_supported};
use crate::value::{Millionths, Value};

/// How far a chain's parameters have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There are none.
    Empty,
    /// Just enough to show an address: received from a seed before connect was granted.
    Minimal,
    /// Made by node-util and still editable: no genesis block yet.
    Generated,
    /// Complete, and the stored hash is right.
    Valid,
    /// A parameter was changed after the genesis block was made.
    Invalid {
        /// The hash that the set holds.
        stored: ParamsHash,
        /// The hash that its values have.
        computed: ParamsHash,
    },
    /// Parameters are missing.
    Error {
        /// Which ones.
        missing: Vec<Parameter>,
    },
}

impl State {
    /// What is wrong with the file and what to do, for the two states that a node refuses.
    pub fn fault(&self, path: &Path, name: &str) -> Option<String> {
        let path = path.display();
        match self {
            Self::Empty | Self::Minimal | Self::Generated | Self::Valid => None,
            Self::Invalid { stored, computed } => Some(format!(
                "{path} was edited after the genesis block was made: chain-params-hash is {stored}, but the values \
                 have {computed}. Undo the edit, or make a new chain with these values: node-util clone {name} NEW-NAME"
            )),
            Self::Error { missing } => {
                let names: Vec<&str> = missing.iter().map(|parameter| parameter.name()).collect();
                Some(format!("{path} is not complete, these parameters are missing: {}", names.join(", ")))
            }
        }
    }
}

/// What the first node's genesis block adds to the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesisFields {
    /// The first node's public key, compressed.
    pub pubkey: [u8; 33],
    /// Version of the header.
    pub version: u32,
    /// Time of the header, in seconds since 1970.
    pub timestamp: u32,
    /// Difficulty of the header.
    pub nbits: u32,
    /// Nonce of the header.
    pub nonce: u32,
    /// Hash of the public key.
    pub pubkey_hash: [u8; 20],
    /// Id of the block.
    pub hash: BlockHash,
}

/// A chain's parameters. A parameter without a value is absent; an empty text is a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSet {
    values: [Option<Value>; PARAMETER_COUNT],
}

impl ParameterSet {
    /// A set without any value.
    pub fn empty() -> Self {
        Self { values: std::array::from_fn(|_| None) }
    }

    /// The defaults of a chain that nobody named or gave ports and prefixes yet.
    ///
    /// # Errors
    /// Refuses a name that cannot be a chain's and a protocol that is not supported.
    pub fn with_defaults(name: &str, protocol: u32) -> Result<Self, ParameterError> {
        crate::generate::check_name(name)?;
        if !protocol_is_supported(protocol) {
            return Err(ParameterError::Protocol(protocol));
        }
        let mut set = Self::empty();
        set.put(Parameter::ChainName, Value::Text(name.to_owned()));
        set.put(Parameter::ProtocolVersion, Value::U32(protocol));
        for parameter in all().filter(|parameter| parameter.row().source == Source::User) {
            set.fill_default(parameter);
        }
        Ok(set)
    }

    /// The value of a parameter, if the set has one.
    pub fn get(&self, parameter: Parameter) -> Option<&Value> {
        self.values.get(parameter as usize).and_then(Option::as_ref)
    }

    /// Sets a value after checking type, range and protocol. Does not ask whether the genesis block exists.
    ///
    /// # Errors
    /// Names parameter, value and range.
    pub fn set(&mut self, parameter: Parameter, value: Value) -> Result<(), ParameterError> {
        value.check(parameter)?;
        let protocol = self.protocol_version();
        let row = parameter.row();
        if row.since > protocol && Some(&value) != default_value(parameter, &self.chain_name_text(), protocol).as_ref()
        {
            return Err(ParameterError::Newer { name: row.name, since: row.since, protocol });
        }
        self.put(parameter, value);
        Ok(())
    }

    /// Stores a value that was checked.
    pub(crate) fn put(&mut self, parameter: Parameter, value: Value) {
        if let Some(slot) = self.values.get_mut(parameter as usize) {
            *slot = Some(value);
        }
    }

    /// Gives a parameter its default, if it has one.
    pub(crate) fn fill_default(&mut self, parameter: Parameter) {
        if let Some(value) = default_value(parameter, &self.chain_name_text(), self.protocol_version()) {
            self.put(parameter, value);
        }
    }

    /// Gives their defaults to parameters that files and messages may leave out: hidden ones, and those newer than
    /// the chain's protocol.
    pub(crate) fn fill_hidden(&mut self) {
        let protocol = self.protocol_version();
        for parameter in all() {
            let row = parameter.row();
            let may_be_absent = parameter.has(HIDDEN) || !parameter.exists_in(protocol);
            if row.source == Source::User && may_be_absent && self.get(parameter).is_none() {
                self.fill_default(parameter);
            }
        }
    }

    fn chain_name_text(&self) -> String {
        self.chain_name().to_owned()
    }

    /// What state the set is in, from its values alone.
    pub fn state(&self) -> State {
        if self.values.iter().all(Option::is_none) {
            return State::Empty;
        }
        if all().all(|parameter| self.get(parameter).is_some() == parameter.has(MINIMAL)) {
            return State::Minimal;
        }
        let missing = self.missing(|source| source != Source::Calculated);
        if !missing.is_empty() {
            return State::Error { missing };
        }
        let has_genesis = all()
            .filter(|parameter| parameter.row().source == Source::Calculated)
            .any(|parameter| self.get(parameter).is_some_and(|value| !value.is_empty()));
        if !has_genesis {
            return State::Generated;
        }
        let missing = self.missing(|_| true);
        match self.chain_params_hash() {
            Some(stored) if missing.is_empty() => {
                let computed = chain_params_hash(self);
                if stored == computed { State::Valid } else { State::Invalid { stored, computed } }
            }
            _ => State::Error { missing },
        }
    }

    /// Parameters of the chain's protocol without a value, of the sources asked for.
    fn missing(&self, wanted: impl Fn(Source) -> bool) -> Vec<Parameter> {
        let protocol = self.protocol_version();
        all()
            .filter(|parameter| wanted(parameter.row().source) && parameter.exists_in(protocol))
            .filter(|parameter| match self.get(*parameter) {
                None => true,
                Some(value) => value.is_empty() && parameter.row().source != Source::User,
            })
            .collect()
    }

    /// Checks what concerns several parameters: prefixes, ports, the sum of all rewards.
    ///
    /// # Errors
    /// Names the parameters and the limit.
    pub fn check(&self) -> Result<(), ParameterError> {
        let length = |parameter| match self.get(parameter) {
            Some(Value::Binary(bytes)) => bytes.len(),
            _ => 0,
        };
        let pubkeyhash = length(Parameter::AddressPubkeyhashVersion);
        let scripthash = length(Parameter::AddressScripthashVersion);
        let private_key = length(Parameter::PrivateKeyVersion);
        if pubkeyhash != scripthash || pubkeyhash != private_key {
            return Err(ParameterError::PrefixLength(pubkeyhash, scripthash, private_key));
        }
        let scheme = self.address_scheme();
        if pubkeyhash > 0 && scheme.pubkeyhash_version == scheme.scripthash_version {
            return Err(ParameterError::SamePrefix(hex::encode(scheme.pubkeyhash_version)));
        }
        if self.default_network_port() == self.default_rpc_port() {
            return Err(ParameterError::SamePort(self.default_rpc_port()));
        }
        if !total_reward_fits(self) {
            return Err(ParameterError::TotalReward { total: total_reward(self).to_string() });
        }
        Ok(())
    }

    /// Adds the genesis block's fields and chain-params-hash: from now on no hashed parameter may change.
    ///
    /// # Errors
    /// Refuses a set that is not [`State::Generated`].
    pub fn seal(&mut self, genesis: &GenesisFields) -> Result<ParamsHash, ParameterError> {
        match self.state() {
            State::Generated => {}
            State::Valid | State::Invalid { .. } => return Err(ParameterError::Sealed),
            _ => return Err(ParameterError::Incomplete(self.chain_name_text())),
        }
        self.put(Parameter::GenesisPubkey, Value::Binary(genesis.pubkey.to_vec()));
        self.put(Parameter::GenesisVersion, Value::U32(genesis.version));
        self.put(Parameter::GenesisTimestamp, Value::U32(genesis.timestamp));
        self.put(Parameter::GenesisNbits, Value::U32(genesis.nbits));
        self.put(Parameter::GenesisNonce, Value::U32(genesis.nonce));
        self.put(Parameter::GenesisPubkeyHash, Value::Binary(genesis.pubkey_hash.to_vec()));
        self.put(Parameter::GenesisHash, Value::Binary(genesis.hash.0.to_vec()));
        let hash = chain_params_hash(self);
        self.put(Parameter::ChainParamsHash, Value::Binary(hash.0.to_vec()));
        Ok(hash)
    }

    /// The parameters that users are shown, in table order: those of the chain's protocol, hidden ones only when they
    /// differ from their default. A parameter without a value gives `None`.
    pub fn shown(&self) -> impl Iterator<Item = (Parameter, Option<&Value>)> {
        let protocol = self.protocol_version();
        all()
            .filter(move |parameter| parameter.exists_in(protocol))
            .filter(|parameter| !(parameter.has(HIDDEN) && self.is_default(*parameter)))
            .map(|parameter| (parameter, self.get(parameter)))
    }

    /// Whether a parameter is absent or holds its default.
    pub fn is_default(&self, parameter: Parameter) -> bool {
        let default = default_value(parameter, self.chain_name(), self.protocol_version());
        self.get(parameter).is_none_or(|value| Some(value) == default.as_ref())
    }

    /// The minimal part of the set: what a node may know before it may connect.
    pub fn minimal(&self) -> Self {
        let mut minimal = Self::empty();
        for parameter in all().filter(|parameter| parameter.has(MINIMAL)) {
            if let Some(value) = self.get(parameter) {
                minimal.put(parameter, value.clone());
            }
        }
        minimal
    }

    /// The protocol at genesis; the latest one while the set has none.
    pub fn protocol_version(&self) -> u32 {
        match self.get(Parameter::ProtocolVersion) {
            Some(Value::U32(protocol)) => *protocol,
            _ => PROTOCOL_LATEST,
        }
    }
}

/// What a parameter holds when nobody chose a value; `None` for those that are generated or calculated.
pub fn default_value(parameter: Parameter, chain_name: &str, protocol: u32) -> Option<Value> {
    let row = parameter.row();
    let number = match row.preset {
        Preset::Absent => return None,
        Preset::Bool(value) => return Some(Value::Bool(value)),
        Preset::Text(text) => return Some(Value::Text(text.to_owned())),
        Preset::Description => return Some(Value::Text(format!("MultiChain {chain_name}"))),
        Preset::Number(_) if parameter == Parameter::MaxStdElementSize && protocol < LARGE_ELEMENTS_SINCE => {
            SMALL_ELEMENT_SIZE
        }
        Preset::Number(number) => number,
    };
    match row.kind {
        Kind::U32(..) => u32::try_from(number).ok().map(Value::U32),
        Kind::I32(..) => i32::try_from(number).ok().map(Value::I32),
        Kind::I64(..) => Some(Value::I64(number)),
        Kind::Decimal(..) => i32::try_from(number).ok().map(|value| Value::Decimal(Millionths(value))),
        Kind::Bool | Kind::Text(_) | Kind::Binary(..) => None,
    }
}

/// Protocol from which max-std-element-size has the default of the table.
const LARGE_ELEMENTS_SINCE: u32 = 20003;
/// Default of max-std-element-size before that protocol.
const SMALL_ELEMENT_SIZE: i64 = 8_192;

#[cfg(test)]
mod tests;

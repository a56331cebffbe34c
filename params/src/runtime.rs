//! The settings that getruntimeparams shows, and the rules by which setruntimeparam changes some of them.

use rota_chain::address::AddressScheme;
use rota_chain::hash::{BlockHash, Txid};

use crate::options::{OptionError, Options};
use crate::set::ParameterSet;
use crate::value::{Millionths, parse_bool};

/// Largest number that a setting holds: the range of the API's 32-bit numbers.
const SETTING_MAX: i64 = u32::MAX as i64;
/// Most mining rounds of empty blocks, in millionths: the range of the parameter mine-empty-rounds.
const EMPTY_ROUNDS_MAX: i128 = 1_000_000_000;
/// "Never", for mineemptyrounds.
const EMPTY_ROUNDS_NEVER: i128 = -1_000_000;
/// One, in millionths.
const ONE: i128 = 1_000_000;
/// Most transactions that bantx names: 1,000 ids take 65 KB, far beyond what a person lists.
const BANNED_MAX: usize = 1_000;
/// The words of autosubscribe; the streams- ones name kinds of index.
const SUBSCRIPTIONS: [&str; 9] = [
    "assets",
    "streams",
    "streams-items",
    "streams-keys",
    "streams-publishers",
    "streams-items-local",
    "streams-keys-local",
    "streams-publishers-local",
    "streams-retrieve",
];

/// A refused change of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// No setting of the name can be changed while the node runs.
    #[error("{0} is no setting that can be changed while the node runs")]
    Unsupported(String),
    /// The value has a type that the setting does not take.
    #[error("{name} takes {expected}")]
    Type {
        /// The setting.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// The value is not allowed.
    #[error("{name} is {value}, allowed is {allowed}")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value as given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The text is no address of this chain.
    #[error("handshakelocal is {0}, which is no address of this chain")]
    Address(String),
}

impl RuntimeError {
    /// The JSON-RPC error code: -5 for an address, otherwise -8.
    pub const fn code(&self) -> i32 {
        match self {
            Self::Address(_) => -5,
            _ => -8,
        }
    }
}

/// A setting's value as the API takes and shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum RuntimeValue {
    /// A JSON truth value.
    Bool(bool),
    /// A JSON number without point and exponent.
    Integer(i64),
    /// Any other JSON number.
    Real(f64),
    /// A JSON string.
    Text(String),
}

impl RuntimeValue {
    /// The text that stands for the value in setruntimeparam.conf.
    pub fn to_text(&self) -> String {
        match self {
            Self::Bool(value) => u8::from(*value).to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Real(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// When and how coins of this wallet are combined without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autocombine {
    /// Least confirmations of a coin.
    pub min_conf: u32,
    /// Least coins of an address; below 2 nothing is combined.
    pub min_inputs: u32,
    /// Most coins a transaction.
    pub max_inputs: u32,
    /// Seconds between rounds.
    pub delay: u32,
    /// Seconds of rest after a caller listed coins.
    pub suspend: u32,
    /// Most transactions a round; 0 for none.
    pub max_txs: u32,
}

/// The settings of a running node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// TCP port for peers.
    pub port: u16,
    /// Whether state and indexes are rebuilt.
    pub reindex: bool,
    /// Whether the wallet is rebuilt.
    pub rescan: bool,
    /// What new entities are subscribed to at once, as given.
    pub autosubscribe: String,
    /// The address shown to peers, if one was chosen.
    pub handshakelocal: Option<String>,
    /// Transactions that this node never accepts.
    pub bantx: Vec<Txid>,
    /// Block that the active chain must hold.
    pub lockblock: Option<BlockHash>,
    /// Whether recognised metadata is left out of shown scripts.
    pub hideknownopdrops: bool,
    /// Bytes of data shown in an answer.
    pub maxshowndata: u32,
    /// Items that a query may look at.
    pub maxqueryscanitems: u32,
    /// Whether answers have the members of API version 1.
    pub v1apicompatible: bool,
    /// Whether mining needs peers.
    pub miningrequirespeers: bool,
    /// Rounds of empty blocks before mining rests, in millionths; negative: never.
    pub mineemptyrounds_millionths: i32,
    /// Turnover of miners, in millionths.
    pub miningturnover_millionths: u32,
    /// Mining rounds after which admin and mine changes are not undone.
    pub lockadminminerounds: u32,
    /// Whether this node mines while permitted.
    pub gen_enabled: bool,
    /// Milliseconds for filters on others' transactions.
    pub acceptfiltertimeout: u32,
    /// Milliseconds for filters on own transactions.
    pub sendfiltertimeout: u32,
    /// Automatic combining.
    pub autocombine: Autocombine,
    scheme: AddressScheme,
}

impl RuntimeSettings {
    /// The settings by options, and by the chain's parameters where no option is given.
    ///
    /// # Errors
    /// Names option, value and range.
    pub fn resolve(options: &Options, set: &ParameterSet) -> Result<Self, OptionError> {
        let number = |name, default: i64| {
            options.number(name, default, 0..=SETTING_MAX).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
        };
        let port = options.number("port", i64::from(set.default_network_port()), 1..=65_535)?;
        let mut settings = Self {
            port: u16::try_from(port).unwrap_or(u16::MAX),
            reindex: options.flag("reindex", false),
            rescan: options.flag("rescan", false),
            autosubscribe: String::new(),
            handshakelocal: None,
            bantx: Vec::new(),
            lockblock: None,
            hideknownopdrops: options.flag("hideknownopdrops", false),
            maxshowndata: number("maxshowndata", 16_384)?,
            maxqueryscanitems: number("maxqueryscanitems", 5_000)?,
            v1apicompatible: options.flag("v1apicompatible", false),
            miningrequirespeers: options.flag("miningrequirespeers", set.mining_requires_peers()),
            mineemptyrounds_millionths: set.mine_empty_rounds_millionths(),
            miningturnover_millionths: set.mining_turnover_millionths(),
            lockadminminerounds: number("lockadminminerounds", i64::from(set.lock_admin_mine_rounds()))?,
            gen_enabled: options.flag("gen", true),
            acceptfiltertimeout: number("acceptfiltertimeout", 100)?,
            sendfiltertimeout: number("sendfiltertimeout", 20)?,
            autocombine: Autocombine {
                min_conf: number("autocombineminconf", 1)?,
                min_inputs: number("autocombinemininputs", 50)?,
                max_inputs: number("autocombinemaxinputs", 100)?,
                delay: number("autocombinedelay", 1)?,
                suspend: number("autocombinesuspend", 15)?,
                max_txs: number("autocombinemaxtxs", SETTING_MAX)?,
            },
            scheme: set.address_scheme(),
        };
        for name in TEXT_SETTINGS {
            let Some(value) = options.text(name) else {
                continue;
            };
            settings.set(name, &RuntimeValue::Text(value.to_owned())).map_err(|error| refused(options, name, error))?;
        }
        Ok(settings)
    }

    /// Changes a setting as setruntimeparam does; names are compact and in lower case.
    ///
    /// # Errors
    /// Refuses unknown names, other types and values that are not allowed; the settings then stay as they were.
    pub fn set(&mut self, name: &str, value: &RuntimeValue) -> Result<(), RuntimeError> {
        match name {
            "miningrequirespeers" => self.miningrequirespeers = truth("miningrequirespeers", value)?,
            "hideknownopdrops" => self.hideknownopdrops = truth("hideknownopdrops", value)?,
            "lockinlinemetadata" => {
                // Coin selection here never spends coins with inline data unless asked: nothing to switch.
                truth("lockinlinemetadata", value)?;
            }
            "maxshowndata" => self.maxshowndata = count("maxshowndata", value)?,
            "maxqueryscanitems" => self.maxqueryscanitems = count("maxqueryscanitems", value)?,
            "lockadminminerounds" => self.lockadminminerounds = count("lockadminminerounds", value)?,
            "acceptfiltertimeout" => self.acceptfiltertimeout = count("acceptfiltertimeout", value)?,
            "sendfiltertimeout" => self.sendfiltertimeout = count("sendfiltertimeout", value)?,
            "autocombineminconf" => self.autocombine.min_conf = count("autocombineminconf", value)?,
            "autocombinemininputs" => self.autocombine.min_inputs = count("autocombinemininputs", value)?,
            "autocombinemaxinputs" => self.autocombine.max_inputs = count("autocombinemaxinputs", value)?,
            "autocombinedelay" => self.autocombine.delay = count("autocombinedelay", value)?,
            "autocombinesuspend" => self.autocombine.suspend = count("autocombinesuspend", value)?,
            "autocombinemaxtxs" => self.autocombine.max_txs = count("autocombinemaxtxs", value)?,
            "mineemptyrounds" => {
                let allowed = |value: i128| value == EMPTY_ROUNDS_NEVER || (0..=EMPTY_ROUNDS_MAX).contains(&value);
                self.mineemptyrounds_millionths = decimal("mineemptyrounds", value, "0 to 1000, or -1", allowed)?;
            }
            "miningturnover" => {
                let turnover = decimal("miningturnover", value, "0 to 1", |value| (0..=ONE).contains(&value))?;
                self.miningturnover_millionths = turnover.unsigned_abs();
            }
            "autosubscribe" => self.autosubscribe = subscriptions(value)?,
            "bantx" => self.bantx = banned(value)?,
            "lockblock" => self.lockblock = locked(value)?,
            "handshakelocal" => self.handshakelocal = self.address(value)?,
            _ => {
                let short = name.chars().take(80).flat_map(char::escape_debug).collect();
                return Err(RuntimeError::Unsupported(short));
            }
        }
        Ok(())
    }

    fn address(&self, value: &RuntimeValue) -> Result<Option<String>, RuntimeError> {
        let text = text("handshakelocal", value)?;
        if text.is_empty() || text == "auto" {
            return Ok(None);
        }
        match self.scheme.decode(text) {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(_) => Err(RuntimeError::Address(text.chars().take(80).flat_map(char::escape_debug).collect())),
        }
    }

    /// The members of getruntimeparams, in order. `handshake` is the address that the node shows to peers.
    pub fn members(&self, handshake: &str) -> Vec<(&'static str, RuntimeValue)> {
        use RuntimeValue::{Bool, Integer, Real, Text};
        let real = |millionths: i32| Real(Millionths(millionths).to_f64());
        let banned: Vec<String> = self.bantx.iter().map(Txid::to_string).collect();
        vec![
            ("port", Integer(i64::from(self.port))),
            ("reindex", Bool(self.reindex)),
            ("rescan", Bool(self.rescan)),
            ("txindex", Bool(true)),
            ("autocombineminconf", Integer(i64::from(self.autocombine.min_conf))),
            ("autocombinemininputs", Integer(i64::from(self.autocombine.min_inputs))),
            ("autocombinemaxinputs", Integer(i64::from(self.autocombine.max_inputs))),
            ("autocombinedelay", Integer(i64::from(self.autocombine.delay))),
            ("autocombinesuspend", Integer(i64::from(self.autocombine.suspend))),
            ("autosubscribe", Text(self.autosubscribe.clone())),
            ("handshakelocal", Text(handshake.to_owned())),
            ("bantx", Text(banned.join(","))),
            ("lockblock", Text(self.lockblock.map(|hash| hash.to_string()).unwrap_or_default())),
            ("hideknownopdrops", Bool(self.hideknownopdrops)),
            ("maxshowndata", Integer(i64::from(self.maxshowndata))),
            ("maxqueryscanitems", Integer(i64::from(self.maxqueryscanitems))),
            ("v1apicompatible", Bool(self.v1apicompatible)),
            ("miningrequirespeers", Bool(self.miningrequirespeers)),
            ("mineemptyrounds", real(self.mineemptyrounds_millionths)),
            ("miningturnover", real(i32::try_from(self.miningturnover_millionths).unwrap_or(i32::MAX))),
            ("lockadminminerounds", Integer(i64::from(self.lockadminminerounds))),
            ("gen", Bool(self.gen_enabled)),
            ("genproclimit", Integer(1)),
            ("lockinlinemetadata", Bool(true)),
            ("acceptfiltertimeout", Integer(i64::from(self.acceptfiltertimeout))),
            ("sendfiltertimeout", Integer(i64::from(self.sendfiltertimeout))),
        ]
    }

    /// Whether new streams are subscribed to at once.
    pub fn subscribes_streams(&self) -> bool {
        self.autosubscribe.split(',').any(|word| word.trim().starts_with("streams"))
    }

    /// Whether new assets are subscribed to at once.
    pub fn subscribes_assets(&self) -> bool {
        self.autosubscribe.split(',').any(|word| word.trim() == "assets")
    }
}

/// Settings that options give as text, checked by the same rules as changes.
const TEXT_SETTINGS: [&str; 6] =
    ["mineemptyrounds", "miningturnover", "autosubscribe", "bantx", "lockblock", "handshakelocal"];

/// A refused setting as the error of the option that holds it.
fn refused(options: &Options, name: &'static str, error: RuntimeError) -> OptionError {
    let origin = options.origin(name).cloned().unwrap_or(crate::options::Origin::CommandLine);
    let expected = match &error {
        RuntimeError::Value { allowed, .. } => allowed,
        RuntimeError::Type { expected, .. } => expected,
        RuntimeError::Address(_) => "an address of this chain",
        RuntimeError::Unsupported(_) => "another option",
    };
    OptionError::Malformed { name, origin, value: options.text(name).unwrap_or_default().to_owned(), expected }
}

fn wrong(name: &'static str, value: &str, allowed: &'static str) -> RuntimeError {
    RuntimeError::Value { name, value: value.chars().take(80).flat_map(char::escape_debug).collect(), allowed }
}

fn truth(name: &'static str, value: &RuntimeValue) -> Result<bool, RuntimeError> {
    match value {
        RuntimeValue::Bool(value) => Ok(*value),
        RuntimeValue::Integer(value) => Ok(*value != 0),
        RuntimeValue::Text(text) => parse_bool(text).ok_or_else(|| wrong(name, text, "true or false")),
        RuntimeValue::Real(_) => Err(RuntimeError::Type { name, expected: "true, false or a whole number" }),
    }
}

fn count(name: &'static str, value: &RuntimeValue) -> Result<u32, RuntimeError> {
    const ALLOWED: &str = "0 to 4294967295";
    match value {
        RuntimeValue::Integer(value) => u32::try_from(*value).map_err(|_| wrong(name, &value.to_string(), ALLOWED)),
        RuntimeValue::Text(text) => text.trim().parse().map_err(|_| wrong(name, text, ALLOWED)),
        _ => Err(RuntimeError::Type { name, expected: "a whole number" }),
    }
}

/// A decimal in millionths. A whole JSON number is refused, as applications of this API know it.
fn decimal(
    name: &'static str,
    value: &RuntimeValue,
    allowed: &'static str,
    fits: impl Fn(i128) -> bool,
) -> Result<i32, RuntimeError> {
    let text = match value {
        RuntimeValue::Real(value) => value.to_string(),
        RuntimeValue::Text(text) => text.clone(),
        _ => {
            return Err(RuntimeError::Type { name, expected: "a number with a decimal point, or text" });
        }
    };
    // What is below zero is so however small: it is no nothing.
    let below = text.trim_start().starts_with('-') && text.contains(|digit: char| ('1'..='9').contains(&digit));
    let parsed = crate::number::Number::parse(&text).map(|number| number.millionths);
    let number = parsed.filter(|value| fits(*value) && !(below && *value == 0));
    number.and_then(|value| i32::try_from(value).ok()).ok_or_else(|| wrong(name, &text, allowed))
}

fn text<'a>(name: &'static str, value: &'a RuntimeValue) -> Result<&'a str, RuntimeError> {
    match value {
        RuntimeValue::Text(text) => Ok(text.trim()),
        _ => Err(RuntimeError::Type { name, expected: "text" }),
    }
}

fn subscriptions(value: &RuntimeValue) -> Result<String, RuntimeError> {
    let text = text("autosubscribe", value)?;
    if text.is_empty() || text.split(',').all(|word| SUBSCRIPTIONS.contains(&word.trim())) {
        return Ok(text.to_owned());
    }
    Err(wrong("autosubscribe", text, "streams, assets, or both with a comma"))
}

fn banned(value: &RuntimeValue) -> Result<Vec<Txid>, RuntimeError> {
    let text = text("bantx", value)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let words: Vec<&str> = text.split(',').take(BANNED_MAX + 1).collect();
    if words.len() > BANNED_MAX {
        return Err(wrong("bantx", text, "at most 1000 transaction ids"));
    }
    let allowed = "transaction ids of 64 hexadecimal digits, with commas between them";
    words.iter().map(|word| word.trim().parse().map_err(|_| wrong("bantx", word, allowed))).collect()
}

fn locked(value: &RuntimeValue) -> Result<Option<BlockHash>, RuntimeError> {
    let text = text("lockblock", value)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| wrong("lockblock", text, "a block hash of 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests;

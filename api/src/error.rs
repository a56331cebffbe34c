//! Every error code a caller can receive, its HTTP status, and the error value that handlers return.
//! The wording that scripts match on (-703, -705, -708) is made here and nowhere else.

mod breach;

use crate::params::type_word;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

pub use breach::{Breach, ParameterRule};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal;)+) => {
        /// The closed set of JSON-RPC error codes. The number is the contract; the name is for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Code {
            /// All codes, in the order of docs/protocol/rpc.md.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The name used in docs and logs, such as `NOT_SUBSCRIBED`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    /// The envelope is wrong: no method, parameters that are an object, another chain's name.
    InvalidRequest = -32600, "INVALID_REQUEST";
    /// No method has this name.
    MethodNotFound = -32601, "METHOD_NOT_FOUND";
    /// The parameters have a wrong structure.
    InvalidParams = -32602, "INVALID_PARAMS";
    /// The node failed, not the caller.
    InternalError = -32603, "INTERNAL_ERROR";
    /// The body is not JSON.
    ParseError = -32700, "PARSE_ERROR";
    /// Wrong parameter count or JSON type, and whatever has no code of its own.
    Misc = -1, "MISC_ERROR";
    /// Refused while a safety warning is active.
    SafeMode = -2, "FORBIDDEN_BY_SAFE_MODE";
    /// A value of a wrong type, in the few old calls that say so.
    Type = -3, "TYPE_ERROR";
    /// The wallet could not do it.
    Wallet = -4, "WALLET_ERROR";
    /// An address or key that is malformed or of another chain.
    InvalidAddressOrKey = -5, "INVALID_ADDRESS_OR_KEY";
    /// Not enough native currency or assets.
    InsufficientFunds = -6, "WALLET_INSUFFICIENT_FUNDS";
    /// Memory ran out.
    OutOfMemory = -7, "OUT_OF_MEMORY";
    /// A value that is not acceptable.
    InvalidParameter = -8, "INVALID_PARAMETER";
    /// There are no peers.
    NotConnected = -9, "CLIENT_NOT_CONNECTED";
    /// The node is still behind its peers.
    InInitialDownload = -10, "CLIENT_IN_INITIAL_DOWNLOAD";
    /// A bad account name of the old account calls.
    InvalidAccountName = -11, "WALLET_INVALID_ACCOUNT_NAME";
    /// No spare key is left.
    KeypoolRanOut = -12, "WALLET_KEYPOOL_RAN_OUT";
    /// The wallet is locked.
    UnlockNeeded = -13, "WALLET_UNLOCK_NEEDED";
    /// The passphrase is wrong.
    PassphraseIncorrect = -14, "WALLET_PASSPHRASE_INCORRECT";
    /// The wallet is not encrypted, or already is.
    WrongEncryptionState = -15, "WALLET_WRONG_ENC_STATE";
    /// The wallet could not be encrypted.
    EncryptionFailed = -16, "WALLET_ENCRYPTION_FAILED";
    /// The wallet is unlocked already.
    AlreadyUnlocked = -17, "WALLET_ALREADY_UNLOCKED";
    /// A database failed.
    Database = -20, "DATABASE_ERROR";
    /// Bytes that cannot be decoded.
    Deserialization = -22, "DESERIALIZATION_ERROR";
    /// The node was added before.
    NodeAlreadyAdded = -23, "CLIENT_NODE_ALREADY_ADDED";
    /// The node was never added.
    NodeNotAdded = -24, "CLIENT_NODE_NOT_ADDED";
    /// Verification failed, for example signatures are missing.
    Verify = -25, "VERIFY_ERROR";
    /// The rules refuse the transaction or block.
    VerifyRejected = -26, "VERIFY_REJECTED";
    /// The transaction is on the chain already.
    AlreadyInChain = -27, "VERIFY_ALREADY_IN_CHAIN";
    /// The node is starting; the message names the phase.
    InWarmup = -28, "IN_WARMUP";
    /// Not allowed in the present state.
    NotAllowed = -701, "NOT_ALLOWED";
    /// Not supported.
    NotSupported = -702, "NOT_SUPPORTED";
    /// The stream or asset is not subscribed to.
    NotSubscribed = -703, "NOT_SUBSCRIBED";
    /// A permission is missing.
    InsufficientPermissions = -704, "INSUFFICIENT_PERMISSIONS";
    /// The name is taken.
    DuplicateName = -705, "DUPLICATE_NAME";
    /// The entity is not confirmed yet.
    UnconfirmedEntity = -706, "UNCONFIRMED_ENTITY";
    /// A malformed or incomplete exchange.
    Exchange = -707, "EXCHANGE_ERROR";
    /// No such stream, asset, filter, upgrade, variable or library.
    EntityNotFound = -708, "ENTITY_NOT_FOUND";
    /// The address is not in this wallet.
    AddressNotFound = -709, "WALLET_ADDRESS_NOT_FOUND";
    /// No such transaction.
    TxNotFound = -710, "TX_NOT_FOUND";
    /// No such block.
    BlockNotFound = -711, "BLOCK_NOT_FOUND";
    /// No such output.
    OutputNotFound = -712, "OUTPUT_NOT_FOUND";
    /// The output carries no data.
    OutputNotData = -713, "OUTPUT_NOT_DATA";
    /// The inputs are not ours.
    InputsNotMine = -714, "INPUTS_NOT_MINE";
    /// The output is not in this wallet.
    WalletOutputNotFound = -715, "WALLET_OUTPUT_NOT_FOUND";
    /// No unspent output is available.
    NoUnspentOutputs = -716, "WALLET_NO_UNSPENT_OUTPUTS";
    /// A file could not be read or written.
    File = -717, "GENERAL_FILE_ERROR";
    /// The chain was upgraded past this node.
    UpgradeRequired = -718, "UPGRADE_REQUIRED";
}

impl Code {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The code with this number, if there is one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Code> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// The rule that an error of this code names in its `data` when no narrower one is known: the code's name in lower case,
    /// its words joined by hyphens.
    #[must_use]
    pub fn rule(self) -> String {
        self.name().to_ascii_lowercase().replace('_', "-")
    }

    /// The HTTP status of a reply to a single request that failed with this code.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        http_status(self as i32)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number(), self.name())
    }
}

/// The HTTP status for an error number, known or not: 400, 404, else 500.
#[must_use]
pub const fn http_status(number: i32) -> u16 {
    match number {
        -32600 => 400,
        -32601 => 404,
        _ => 500,
    }
}

/// What a failed call answers: `{"code":..,"message":..,"data":{"rule":..}}`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The code that callers branch on.
    pub code: Code,
    /// One sentence for people.
    pub message: String,
    /// What programs are told besides; without it, [`Code::rule`] alone.
    breach: Option<Box<Breach>>,
}

/// How an entity was named by the caller; decides the wording of -708.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// By its name.
    Name,
    /// By its reference, such as `60-265-29420`.
    Reference,
    /// By the id of the transaction that created it.
    Txid,
}

/// What kind of entity was looked for; the first word of -708.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityKind {
    /// A stream.
    Stream,
    /// An asset.
    Asset,
    /// A filter of either kind.
    Filter,
    /// A variable.
    Variable,
    /// A library.
    Library,
    /// An upgrade.
    Upgrade,
    /// Any of these.
    Any,
}

impl EntityKind {
    /// The word that opens the sentence.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stream => "Stream",
            Self::Asset => "Asset",
            Self::Filter => "Filter",
            Self::Variable => "Variable",
            Self::Library => "Library",
            Self::Upgrade => "Upgrade",
            Self::Any => "Entity",
        }
    }
}

impl RpcError {
    /// An error with a code and a sentence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), breach: None }
    }

    /// -8: a value that breaks a rule of parameters.
    #[must_use]
    pub fn parameter(rule: ParameterRule, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameter, message).rule(rule.name())
    }

    /// -8: a value of another JSON type than the allowed ones, which are told by their type words.
    #[must_use]
    pub fn mistyped(got: &Value, allowed: &str, message: impl Into<String>) -> Self {
        Self::parameter(ParameterRule::Type, message).got(type_word(got)).allowed(allowed)
    }

    /// -8: a value that is no whole number, or one that is not in the range.
    #[must_use]
    pub fn not_whole(got: &Value, allowed: impl Into<Value>, message: impl Into<String>) -> Self {
        match got {
            Value::Number(number) if !number.is_f64() => {
                Self::parameter(ParameterRule::Range, message).got(got.clone()).allowed(allowed)
            }
            other => Self::mistyped(other, "int", message),
        }
    }

    /// -8: an object has no field of this name.
    #[must_use]
    pub fn missing_field(name: &str) -> Self {
        Self::parameter(ParameterRule::Missing, format!("Missing {name} field")).allowed(name)
    }

    /// The same error, naming a rule.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<Cow<'static, str>>) -> Self {
        self.breach_mut().rule = rule.into();
        self
    }

    /// The same error, telling what was got: long texts are cut, lists and objects named by their type.
    #[must_use]
    pub fn got(mut self, got: impl Into<Value>) -> Self {
        self.breach_mut().got = Some(breach::shown(got.into()));
        self
    }

    /// The same error, telling several values that were got, by name.
    #[must_use]
    pub fn got_parts(mut self, parts: Map<String, Value>) -> Self {
        let parts = parts.into_iter().map(|(name, value)| (name, breach::shown(value))).collect();
        self.breach_mut().got = Some(Value::Object(parts));
        self
    }

    /// The same error, telling what is allowed.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<Value>) -> Self {
        self.breach_mut().allowed = Some(allowed.into());
        self
    }

    /// The same error with a method's help page.
    #[must_use]
    pub fn help(mut self, page: String) -> Self {
        self.breach_mut().help = Some(page);
        self
    }

    fn breach_mut(&mut self) -> &mut Breach {
        let code = self.code;
        self.breach.get_or_insert_with(|| Box::new(Breach { rule: code.rule().into(), ..Breach::default() }))
    }

    /// The `data` of this error.
    #[must_use]
    pub fn data(&self) -> Breach {
        match &self.breach {
            Some(breach) => Breach::clone(breach),
            None => Breach { rule: self.code.rule().into(), ..Breach::default() },
        }
    }

    /// -32603: the node failed; the cause belongs into the log too.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(Code::InternalError, format!("Internal error: {cause}"))
    }

    /// -701: not now.
    #[must_use]
    pub fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(Code::NotAllowed, message)
    }

    /// -702: not in this node.
    #[must_use]
    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new(Code::NotSupported, message)
    }

    /// -704: a permission is missing.
    #[must_use]
    pub fn no_permission(message: impl Into<String>) -> Self {
        Self::new(Code::InsufficientPermissions, message)
    }

    /// -32601.
    #[must_use]
    pub fn method_not_found() -> Self {
        Self::new(Code::MethodNotFound, "Method not found")
    }

    /// -701: a method that `list`, a setting, leaves out.
    #[must_use]
    pub fn method_not_allowed(name: &str, list: &str) -> Self {
        Self::not_allowed(format!("Method {name} is not in {list}")).got(name)
    }

    /// -1: a JSON type that cannot be read; `got` and `expected` are the short type words.
    #[must_use]
    pub fn wrong_type(got: &str, expected: &str) -> Self {
        let message = format!("value is type {got}, expected {expected}");
        Self::new(Code::Misc, message).rule(ParameterRule::Type.name()).got(got).allowed(expected)
    }

    /// -3: a JSON type that cannot be read, in the few old calls that say so.
    #[must_use]
    pub fn unexpected_type(got: &Value, expected: &str) -> Self {
        let word = type_word(got);
        let message = format!("Expected type {expected}, got {word}");
        Self::new(Code::Type, message).rule(ParameterRule::Type.name()).got(word).allowed(expected)
    }

    /// -28 with the phase the node is in.
    #[must_use]
    pub fn warming_up(phase: impl Into<String>) -> Self {
        Self::new(Code::InWarmup, phase)
    }

    /// -703 for a stream.
    #[must_use]
    pub fn stream_not_subscribed() -> Self {
        Self::new(Code::NotSubscribed, "Not subscribed to this stream")
    }

    /// -703 for an asset.
    #[must_use]
    pub fn asset_not_subscribed() -> Self {
        Self::new(Code::NotSubscribed, "Not subscribed to this asset")
    }

    /// -705.
    #[must_use]
    pub fn name_taken() -> Self {
        Self::new(Code::DuplicateName, "Entity with this name already exists").rule("entity-name-taken")
    }

    /// -708: nothing of this kind goes by this identifier.
    #[must_use]
    pub fn entity_not_found(kind: EntityKind, named: Named, identifier: &str) -> Self {
        let word = kind.word();
        let message = match named {
            Named::Name => format!("{word} with this name not found: {identifier}"),
            Named::Txid => format!("{word} with this txid not found: {identifier}"),
            Named::Reference if kind == EntityKind::Any => {
                format!("Entity with this reference not found: {identifier}")
            }
            Named::Reference => {
                format!("{word} with this {} reference not found: {identifier}", word.to_ascii_lowercase())
            }
        };
        Self::new(Code::EntityNotFound, message).rule(format!("{}-missing", word.to_ascii_lowercase())).got(identifier)
    }

    /// -709: the private key of this address is not here.
    #[must_use]
    pub fn address_not_in_wallet(address: &str) -> Self {
        Self::new(Code::AddressNotFound, format!("Private key for address {address} is not in this wallet"))
            .got(address)
    }

    /// -710.
    #[must_use]
    pub fn tx_not_found(txid: &str) -> Self {
        Self::new(Code::TxNotFound, format!("No transaction with id {txid} is known here")).got(txid)
    }

    /// -13.
    #[must_use]
    pub fn wallet_locked() -> Self {
        Self::new(Code::UnlockNeeded, "The wallet is locked: unlock it with walletpassphrase first")
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        let data = error.data();
        ErrorObjectOwned::owned(error.code.number(), error.message, Some(data))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{Code, EntityKind, Named, ParameterRule, RpcError};
    use jsonrpsee::types::ErrorObjectOwned;
    use serde_json::Value;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_its_own_number_and_name_and_is_found_by_number() {
        let numbers: HashSet<i32> = Code::ALL.iter().map(|code| code.number()).collect();
        let names: HashSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!((numbers.len(), names.len()), (Code::ALL.len(), Code::ALL.len()));
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
        }
        assert_eq!(Code::from_number(-18), None);
    }

    #[test]
    fn the_protocol_page_lists_exactly_these_codes_in_this_order() {
        let page = include_str!("../../docs/protocol/rpc.md");
        let (_, table) = page.split_once("| code | name | meaning |").unwrap();
        let rows: Vec<(&str, &str)> = table
            .lines()
            .skip_while(|line| !line.starts_with("| -"))
            .take_while(|line| line.starts_with('|'))
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                (cells[1], cells[2])
            })
            .collect();
        let codes: Vec<(String, &str)> =
            Code::ALL.iter().map(|code| (code.number().to_string(), code.name())).collect();
        let expected: Vec<(&str, &str)> = codes.iter().map(|(number, name)| (number.as_str(), *name)).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn only_a_bad_envelope_and_an_unknown_method_have_a_status_of_their_own() {
        for code in Code::ALL {
            let expected = match code {
                Code::InvalidRequest => 400,
                Code::MethodNotFound => 404,
                _ => 500,
            };
            assert_eq!(code.http_status(), expected, "{code}");
        }
    }

    #[test]
    fn the_sentences_that_scripts_match_on_keep_their_wording() {
        assert_eq!(RpcError::stream_not_subscribed().message, "Not subscribed to this stream");
        assert_eq!(RpcError::name_taken().message, "Entity with this name already exists");
        let unknown = |kind, named, id| RpcError::entity_not_found(kind, named, id).message;
        assert_eq!(unknown(EntityKind::Stream, Named::Name, "s"), "Stream with this name not found: s");
        assert_eq!(
            unknown(EntityKind::Stream, Named::Reference, "9-1-1"),
            "Stream with this stream reference not found: 9-1-1"
        );
        assert_eq!(unknown(EntityKind::Asset, Named::Txid, "00"), "Asset with this txid not found: 00");
    }

    #[test]
    fn an_error_names_its_rule_on_the_wire_and_what_was_got_and_is_allowed() {
        let wire = |error: RpcError| serde_json::to_string(&ErrorObjectOwned::from(error)).unwrap();
        assert_eq!(
            wire(RpcError::new(Code::InvalidParameter, "no")),
            r#"{"code":-8,"message":"no","data":{"rule":"invalid-parameter"}}"#
        );
        let error = RpcError::parameter(ParameterRule::Range, "no").got(7).allowed("0 to 5");
        assert_eq!(
            wire(error),
            r#"{"code":-8,"message":"no","data":{"rule":"parameter-range","got":7,"allowed":"0 to 5"}}"#
        );
        let number = |got: Value| RpcError::not_whole(&got, "0 or more", "no").data();
        assert_eq!(
            (number((-1).into()).rule.as_ref(), number((-1).into()).got),
            ("parameter-range", Some((-1).into()))
        );
        assert_eq!((number(1.5.into()).rule.as_ref(), number(1.5.into()).got), ("parameter-type", Some("real".into())));
        let error = RpcError::entity_not_found(EntityKind::Stream, Named::Name, "s");
        assert_eq!((error.data().rule.as_ref(), error.data().got), ("stream-missing", Some("s".into())));
    }

    #[test]
    fn the_protocol_page_lists_exactly_these_rules_of_parameters() {
        let page = include_str!("../../docs/protocol/rpc.md");
        let rows: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `parameter-"))
            .filter_map(|rest| rest.split_once('`').map(|(name, _)| name))
            .collect();
        let names: Vec<&str> =
            ParameterRule::ALL.iter().filter_map(|rule| rule.name().strip_prefix("parameter-")).collect();
        assert_eq!(rows, names);
    }
}

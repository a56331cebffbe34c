//! The table of all methods: names, parameters, summaries, examples. Help, parameter counts and the command
//! line's reading of words are made from it. The entries stand in the family files beside the shapes.

use crate::error::{Code, ParameterRule, RpcError};
use serde_json::Value;

mod discover;
mod group;
mod help;
mod meaning;
mod reference;
pub mod sample;
mod word;

pub use discover::openrpc;
pub use group::{Group, MethodList, UnknownMethod};
pub use help::{TOPICS, help_answer, help_list, help_page, help_text, words};
pub use reference::reference;
pub use word::{WordFault, read_word, read_words};

/// A set of JSON types a parameter may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u8);

/// A string.
pub const STR: Types = Types(1);
/// An integer.
pub const INT: Types = Types(2);
/// A number, whole or not.
pub const REAL: Types = Types(4);
/// A boolean.
pub const BOOL: Types = Types(8);
/// An array.
pub const ARRAY: Types = Types(16);
/// An object.
pub const OBJECT: Types = Types(32);
/// Null.
pub const NULL: Types = Types(64);
/// Any JSON value.
pub const ANY: Types = Types(127);

impl Types {
    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a value's type is in this set; an integer counts as real too.
    #[must_use]
    pub fn admits(self, value: &Value) -> bool {
        let set = match value {
            Value::Null => NULL,
            Value::Bool(_) => BOOL,
            Value::Number(number) if number.is_f64() => REAL,
            Value::Number(_) => return self.0 & (INT.0 | REAL.0) != 0,
            Value::String(_) => STR,
            Value::Array(_) => ARRAY,
            Value::Object(_) => OBJECT,
        };
        self.contains(set)
    }

    /// The types in words, such as `string or array`.
    #[must_use]
    pub fn words(self) -> String {
        if self == ANY {
            return "any JSON".to_owned();
        }
        let names = [
            (STR, "string"),
            (INT, "integer"),
            (REAL, "number"),
            (BOOL, "boolean"),
            (ARRAY, "array"),
            (OBJECT, "object"),
            (NULL, "null"),
        ];
        names
            .into_iter()
            .filter(|(types, _)| self.contains(*types))
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
            .join(" or ")
    }
}

/// One positional parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in help and errors.
    pub name: &'static str,
    /// The JSON types it takes.
    pub types: Types,
    /// Whether a call without it is refused.
    pub required: bool,
    /// What stands for it when left out, as JSON or in words; empty if nothing does.
    pub default: &'static str,
}

/// A required parameter.
#[must_use]
pub const fn required(name: &'static str, types: Types) -> Parameter {
    Parameter { name, types, required: true, default: "" }
}

/// An optional parameter with its default.
#[must_use]
pub const fn optional(name: &'static str, types: Types, default: &'static str) -> Parameter {
    Parameter { name, types, required: false, default }
}

/// The group a method is listed under, and the file its entry and shapes stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// The node itself.
    Control,
    /// Peers.
    Network,
    /// Blocks, chain state, pool.
    Blockchain,
    /// Who may mine, block templates.
    Mining,
    /// Addresses, keys, messages.
    Address,
    /// Grants and votes.
    Permission,
    /// Streams and their items.
    Stream,
    /// Assets and tokens.
    Asset,
    /// Transactions of the wallet, coins, backup, encryption.
    Wallet,
    /// Raw transactions.
    Raw,
    /// Atomic exchange.
    Exchange,
    /// Filters and libraries.
    Filter,
    /// Variables.
    Variable,
    /// Feeds of chain events.
    Feed,
    /// Subscriptions to chain events, over a WebSocket.
    Watch,
    /// What a block explorer asks.
    Explorer,
    /// Old calls kept for old clients.
    Legacy,
    /// Callable from filter code alone, never over RPC.
    FilterCallback,
}

impl Family {
    /// The families in the order of the help.
    pub const ALL: [Family; 18] = [
        Family::Control,
        Family::Network,
        Family::Blockchain,
        Family::Mining,
        Family::Address,
        Family::Permission,
        Family::Stream,
        Family::Asset,
        Family::Wallet,
        Family::Raw,
        Family::Exchange,
        Family::Filter,
        Family::Variable,
        Family::Feed,
        Family::Watch,
        Family::Explorer,
        Family::Legacy,
        Family::FilterCallback,
    ];

    /// The heading in the help.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Control => "Control",
            Self::Network => "Network",
            Self::Blockchain => "Blockchain",
            Self::Mining => "Mining",
            Self::Address => "Addresses",
            Self::Permission => "Permissions",
            Self::Stream => "Streams",
            Self::Asset => "Assets",
            Self::Wallet => "Wallet",
            Self::Raw => "Raw transactions",
            Self::Exchange => "Exchange",
            Self::Filter => "Filters",
            Self::Variable => "Variables",
            Self::Feed => "Feeds",
            Self::Watch => "Watching",
            Self::Explorer => "Explorer",
            Self::Legacy => "Legacy",
            Self::FilterCallback => "Filter callbacks",
        }
    }

    /// The methods of this family.
    #[must_use]
    pub const fn methods(self) -> &'static [Method] {
        match self {
            Self::Control => crate::control::METHODS,
            Self::Network => crate::network::METHODS,
            Self::Blockchain => crate::blockchain::METHODS,
            Self::Mining => crate::mining::METHODS,
            Self::Address => crate::address::METHODS,
            Self::Permission => crate::permission::METHODS,
            Self::Stream => crate::stream::METHODS,
            Self::Asset => crate::asset::METHODS,
            Self::Wallet => crate::wallet::METHODS,
            Self::Raw => crate::raw::METHODS,
            Self::Exchange => crate::exchange::METHODS,
            Self::Filter => crate::filter::METHODS,
            Self::Variable => crate::variable::METHODS,
            Self::Feed => crate::feed::METHODS,
            Self::Watch => crate::watch::METHODS,
            Self::Explorer => crate::explorer::METHODS,
            Self::Legacy => crate::legacy::METHODS,
            Self::FilterCallback => crate::filter::CALLBACKS,
        }
    }
}

/// One method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name, case-sensitive.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its parameters in order.
    pub parameters: &'static [Parameter],
    /// The parameters of a sample call, as words of the command line.
    pub example: &'static [&'static str],
    /// Left out of the help's list.
    pub hidden: bool,
    /// Takes any number of further parameters.
    pub variadic: bool,
    /// May take long for good reasons, so that it must not hold a place that short calls wait for.
    pub slow: bool,
    /// The method this one is another name of.
    pub alias_of: Option<&'static str>,
}

impl Method {
    /// An entry without parameters.
    #[must_use]
    pub const fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            parameters: &[],
            example: &[],
            hidden: false,
            variadic: false,
            slow: false,
            alias_of: None,
        }
    }

    /// An old name of another method.
    #[must_use]
    pub const fn alias(name: &'static str, target: &'static str) -> Self {
        Self { alias_of: Some(target), hidden: true, ..Self::new(name, "Old name of another method.") }
    }

    /// The same entry with parameters.
    #[must_use]
    pub const fn takes(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    /// The same entry with a sample call.
    #[must_use]
    pub const fn example(self, example: &'static [&'static str]) -> Self {
        Self { example, ..self }
    }

    /// The same entry, left out of the list.
    #[must_use]
    pub const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// The same entry, open to further parameters.
    #[must_use]
    pub const fn variadic(self) -> Self {
        Self { variadic: true, ..self }
    }

    /// The same entry, marked as one that may take long.
    #[must_use]
    pub const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    /// The entry that says what this one does: itself, or what it is another name of.
    #[must_use]
    pub fn target(&self) -> &Method {
        self.alias_of.and_then(find).unwrap_or(self)
    }

    /// Fewest and most parameters; no most for a variadic one.
    #[must_use]
    pub fn arity(&self) -> (usize, Option<usize>) {
        let target = self.target();
        let fewest = target.parameters.iter().filter(|parameter| parameter.required).count();
        (fewest, (!target.variadic).then_some(target.parameters.len()))
    }

    /// Refuses a wrong number of parameters: -1, a sentence that says what was expected, the help in `data`.
    pub fn check_count(&self, given: usize) -> Result<(), RpcError> {
        let (fewest, most) = self.arity();
        if given >= fewest && most.is_none_or(|most| given <= most) {
            return Ok(());
        }
        let expected = match most {
            Some(0) => "no parameters".to_owned(),
            Some(most) if most == fewest => count_words(fewest),
            Some(most) => format!("{fewest} to {}", count_words(most)),
            None => format!("at least {}", count_words(fewest)),
        };
        let message = format!("{} takes {expected}, got {given}: {}", self.name, self.usage());
        let error = RpcError::new(Code::Misc, message).rule(ParameterRule::Count.name());
        Err(error.got(given).allowed(expected).help(help_text(self)))
    }

    /// The call in one line: `name "text" value ( "optional" )`.
    #[must_use]
    pub fn usage(&self) -> String {
        let target = self.target();
        let shown = |parameter: &Parameter| match parameter.types == STR {
            true => format!("\"{}\"", parameter.name),
            false => parameter.name.to_owned(),
        };
        let mut line = self.name.to_owned();
        for parameter in target.parameters.iter().filter(|parameter| parameter.required) {
            line += &format!(" {}", shown(parameter));
        }
        let mut rest: Vec<String> =
            target.parameters.iter().filter(|parameter| !parameter.required).map(shown).collect();
        if target.variadic {
            rest.push("...".to_owned());
        }
        if !rest.is_empty() {
            line += &format!(" ( {} )", rest.join(" "));
        }
        line
    }
}

fn count_words(count: usize) -> String {
    if count == 1 { "1 parameter".to_owned() } else { format!("{count} parameters") }
}

/// All methods, family by family.
pub fn methods() -> impl Iterator<Item = (Family, &'static Method)> {
    Family::ALL.into_iter().flat_map(|family| family.methods().iter().map(move |method| (family, method)))
}

/// The method of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Method> {
    index().get(name).copied()
}

fn index() -> &'static std::collections::HashMap<&'static str, &'static Method> {
    static INDEX: std::sync::OnceLock<std::collections::HashMap<&'static str, &'static Method>> =
        std::sync::OnceLock::new();
    INDEX.get_or_init(|| methods().map(|(_, method)| (method.name, method)).collect())
}

#[cfg(test)]
mod tests;

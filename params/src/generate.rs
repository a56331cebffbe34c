//! Makes parameter sets: new ones from defaults, choices and entropy, and clones of other chains' sets.

use rand::{Rng, RngExt};

use crate::error::ParameterError;
use crate::kind::Source;
use crate::kind::flag::CLONE;
use crate::set::{ParameterSet, State};
use crate::table::{PROTOCOLS_SUPPORTED, Parameter, all, protocol_is_supported};
use crate::value::Value;

/// Longest name of a chain, in characters: the `chain-name` row of the table.
pub const NAME_MAX: usize = 32;
/// Starts of the ranges that random network ports are taken from: gaps between well-known services.
const PORT_BASES: [u32; 20] = [
    2644, 2744, 2870, 4244, 4324, 4374, 4754, 5744, 6264, 6446, 6716, 6790, 7172, 7314, 7404, 7718, 8338, 9218, 9538,
    9696,
];
/// Smallest bytes of network-message-start; the largest are 0xff. None of them is text.
const MESSAGE_START_LOW: [u8; 4] = [0xf0, 0xc0, 0xc0, 0xe0];
/// The mark of a node that does not know its chain yet; no chain may have it.
const MESSAGE_START_UNKNOWN: [u8; 4] = [0xfb, 0xb4, 0xc7, 0xde];
/// First byte of the three prefixes: address of a key, address of a script, private key.
const PREFIX_FIRST: [u8; 3] = [0x00, 0x05, 0x80];
/// Length of generated prefixes in bytes.
const PREFIX_LENGTH: usize = 4;

/// Checks that a name can be a chain's: it is a directory, a word of the command line and part of `chain@host:port`.
///
/// # Errors
/// Says which rule is broken.
pub fn check_name(name: &str) -> Result<(), ParameterError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_MAX {
        "it is longer than 32 characters"
    } else if name.starts_with(['-', '.']) {
        "it starts with a hyphen or a point"
    } else if !name.chars().all(allowed) {
        "only letters, digits, hyphen, underscore and point are allowed"
    } else {
        return Ok(());
    };
    let short: String = name.chars().take(NAME_MAX * 2).flat_map(char::escape_debug).collect();
    Err(ParameterError::ChainName { name: short, why })
}

/// The supported protocols, in words for an error.
pub fn supported_protocols() -> String {
    PROTOCOLS_SUPPORTED.map(|(first, last)| format!("{first} to {last}")).join(" and ")
}

/// Makes the set of a new chain: defaults, then the choices given, then what is random.
///
/// # Errors
/// Refuses a bad name, an unknown protocol, and choices out of range or that contradict each other.
pub fn create(
    name: &str,
    protocol: u32,
    choices: &[(Parameter, String)],
    entropy: &mut impl Rng,
) -> Result<ParameterSet, ParameterError> {
    let mut set = ParameterSet::with_defaults(name, protocol)?;
    for (parameter, text) in choices {
        check_choosable(*parameter)?;
        let value = Value::parse(*parameter, text)?;
        set.set(*parameter, value)?;
    }
    generate_ports(&mut set, entropy);
    generate_identity(&mut set, entropy);
    set.check()?;
    match set.state() {
        State::Generated => Ok(set),
        _ => Err(ParameterError::Incomplete(name.to_owned())),
    }
}

/// Makes the set of a new chain from another chain's: the same rules and ports, a new name and identity.
///
/// # Errors
/// Refuses a bad name and a set that is not complete. A set that was changed after its genesis may be cloned.
pub fn clone_of(old: &ParameterSet, name: &str, entropy: &mut impl Rng) -> Result<ParameterSet, ParameterError> {
    if matches!(old.state(), State::Empty | State::Minimal | State::Error { .. }) {
        return Err(ParameterError::Incomplete(old.chain_name().to_owned()));
    }
    if !protocol_is_supported(old.protocol_version()) {
        return Err(ParameterError::Protocol(old.protocol_version()));
    }
    let mut set = ParameterSet::with_defaults(name, old.protocol_version())?;
    for parameter in all().filter(|parameter| parameter.has(CLONE)) {
        if let Some(value) = old.get(parameter) {
            set.put(parameter, value.clone());
        }
    }
    generate_identity(&mut set, entropy);
    set.check()?;
    Ok(set)
}

/// Refuses parameters that a person cannot choose when a chain is made.
fn check_choosable(parameter: Parameter) -> Result<(), ParameterError> {
    let why = match (parameter, parameter.row().source) {
        (Parameter::ChainName, _) => "it is the first word after create",
        (Parameter::ProtocolVersion, _) => "it is the second word after the chain's name",
        (_, Source::Calculated) => "the first node calculates it when it makes the genesis block",
        (_, Source::User | Source::Generated) => return Ok(()),
    };
    Err(ParameterError::Fixed { name: parameter.name(), why })
}

/// Ports that were not chosen: the RPC port is the network port less one.
fn generate_ports(set: &mut ParameterSet, entropy: &mut impl Rng) {
    let chosen = |set: &ParameterSet, parameter| match set.get(parameter) {
        Some(Value::U32(port)) => Some(*port),
        _ => None,
    };
    let rpc_given = chosen(set, Parameter::DefaultRpcPort);
    let network = chosen(set, Parameter::DefaultNetworkPort).unwrap_or_else(|| match rpc_given {
        Some(65_535) => 65_534,
        Some(rpc) => rpc + 1,
        None => {
            let base = PORT_BASES[entropy.random_range(0..PORT_BASES.len())];
            base + 1 + 2 * entropy.random_range(0..=24)
        }
    });
    let rpc = rpc_given.unwrap_or(if network > 1_024 { network - 1 } else { network + 1 });
    set.put(Parameter::DefaultNetworkPort, Value::U32(network));
    set.put(Parameter::DefaultRpcPort, Value::U32(rpc));
}

/// The mark, the three prefixes and the mask, unless chosen. A chosen prefix gives the others its length.
fn generate_identity(set: &mut ParameterSet, entropy: &mut impl Rng) {
    fill(set, Parameter::NetworkMessageStart, || {
        loop {
            let mark = MESSAGE_START_LOW.map(|low| entropy.random_range(low..=0xff));
            if mark != MESSAGE_START_UNKNOWN {
                return mark.to_vec();
            }
        }
    });
    let prefixes =
        [Parameter::AddressPubkeyhashVersion, Parameter::AddressScripthashVersion, Parameter::PrivateKeyVersion];
    let length = prefixes
        .iter()
        .find_map(|parameter| match set.get(*parameter) {
            Some(Value::Binary(bytes)) if !bytes.is_empty() => Some(bytes.len()),
            _ => None,
        })
        .unwrap_or(PREFIX_LENGTH);
    for (parameter, first) in prefixes.into_iter().zip(PREFIX_FIRST) {
        fill(set, parameter, || {
            let mut prefix: Vec<u8> = (0..length).map(|_| entropy.random()).collect();
            prefix[0] = first;
            prefix
        });
    }
    fill(set, Parameter::AddressChecksumValue, || entropy.random::<[u8; 4]>().to_vec());
}

fn fill(set: &mut ParameterSet, parameter: Parameter, make: impl FnOnce() -> Vec<u8>) {
    if set.get(parameter).is_none_or(Value::is_empty) {
        set.put(parameter, Value::Binary(make()));
    }
}

/// All native currency that mining can ever create, in raw units.
pub fn total_reward(set: &ParameterSet) -> i128 {
    let interval = i128::from(set.reward_halving_interval());
    let initial = set.initial_block_reward();
    let halvings: i128 = (0..i64::BITS).map(|count| i128::from(initial >> count) * interval).sum();
    halvings + i128::from(set.first_block_reward().max(0))
}

/// Whether every sum of native amounts fits a signed 64-bit number.
pub fn total_reward_fits(set: &ParameterSet) -> bool {
    total_reward(set) <= i128::from(i64::MAX)
}

#[cfg(test)]
mod tests;

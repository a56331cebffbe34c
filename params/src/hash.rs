//! The two hashes of a parameter set: chain-params-hash, which covers the genesis block too, and the rules hash,
//! which the genesis block carries. Normative: docs/protocol/params.md.

use rota_chain::hash::{ParamsHash, sha256d, tagged_hash};

use crate::kind::Source;
use crate::kind::flag::NOHASH;
use crate::set::ParameterSet;
use crate::table::{Parameter, all};
use crate::value::Value;

/// Tag of the rules hash.
pub const RULES_TAG: &str = "rota/rules/1";

/// The hash that chain-params-hash holds: double SHA-256 of the values of all hashed parameters in table order.
pub fn chain_params_hash(set: &ParameterSet) -> ParamsHash {
    let mut bytes = Vec::with_capacity(512);
    for parameter in hashed(set) {
        let Some(value) = set.get(parameter) else {
            continue;
        };
        bytes.extend(value.raw());
        if matches!(value, Value::Text(text) if !text.is_empty()) {
            bytes.push(0);
        }
    }
    ParamsHash(sha256d(&bytes))
}

/// The hash of all rules of the chain that are known before its genesis block: hashed parameters that are not
/// calculated, each with its position and length, so that no two sets share one.
pub fn rules_hash(set: &ParameterSet) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(1_024);
    for parameter in hashed(set).filter(|parameter| parameter.row().source != Source::Calculated) {
        let raw = set.get(parameter).map(Value::raw).unwrap_or_default();
        bytes.push(parameter as u8);
        bytes.extend(u32::try_from(raw.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(raw);
    }
    tagged_hash(RULES_TAG, &[&bytes])
}

fn hashed(set: &ParameterSet) -> impl Iterator<Item = Parameter> {
    let protocol = set.protocol_version();
    all().filter(move |parameter| parameter.exists_in(protocol) && !parameter.has(NOHASH))
}

#[cfg(test)]
mod tests;

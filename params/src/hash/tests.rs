//! Golden vectors of both hashes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use super::*;
use crate::file::parse;
use crate::set::State;

/// The parameters of a chain that a node with these same parameters made, with its chain-params-hash.
pub(crate) const RECORDED: &str = include_str!("recorded.dat");

fn recorded() -> ParameterSet {
    let (set, state) = parse(RECORDED, "chain1").unwrap();
    assert_eq!(state, State::Valid);
    set
}

#[test]
fn the_hash_of_a_recorded_chain_is_reproduced() {
    let hash = chain_params_hash(&recorded());
    assert_eq!(hash.to_string(), "5c2392cb8d60bc937d14ae0c3561da8cba5069d2e615b071374805829e28d833");
}

#[test]
fn the_rules_hash_never_changes() {
    assert_eq!(
        hex::encode(rules_hash(&recorded())),
        "af6e321b8c3d6d9acec00f47ed980433b3a7ac2defe64421ff02f2efb019791f"
    );
}

#[test]
fn each_hashed_parameter_moves_the_hash_and_no_other_does() {
    let set = recorded();
    for parameter in all().filter(|parameter| parameter.exists_in(20013)) {
        let mut changed = set.clone();
        let value = match set.get(parameter).unwrap() {
            Value::Bool(value) => Value::Bool(!value),
            Value::U32(value) => Value::U32(value ^ 1),
            Value::I32(value) => Value::I32(value ^ 1),
            Value::I64(value) => Value::I64(value ^ 1),
            Value::Decimal(value) => Value::Decimal(crate::value::Millionths(value.0 ^ 1)),
            Value::Text(text) => Value::Text(format!("{text}x")),
            Value::Binary(bytes) => Value::Binary(bytes.iter().map(|byte| byte ^ 1).collect()),
        };
        changed.put(parameter, value);
        let local = matches!(
            parameter.name(),
            "lock-admin-mine-rounds"
                | "mining-requires-peers"
                | "mine-empty-rounds"
                | "mining-turnover"
                | "chain-params-hash"
        );
        if parameter != Parameter::ProtocolVersion {
            assert_eq!(chain_params_hash(&changed) == chain_params_hash(&set), local, "{}", parameter.name());
        }
        let calculated = parameter.row().source == Source::Calculated;
        assert_eq!(rules_hash(&changed) == rules_hash(&set), local || calculated, "{}", parameter.name());
    }
}

#[test]
fn the_rules_hash_tells_apart_what_plain_joining_confuses() {
    let mut first = recorded();
    let mut second = recorded();
    first.put(Parameter::AddressPubkeyhashVersion, Value::Binary(vec![1, 2]));
    first.put(Parameter::AddressScripthashVersion, Value::Binary(vec![3]));
    second.put(Parameter::AddressPubkeyhashVersion, Value::Binary(vec![1]));
    second.put(Parameter::AddressScripthashVersion, Value::Binary(vec![2, 3]));
    assert_eq!(chain_params_hash(&first), chain_params_hash(&second));
    assert_ne!(rules_hash(&first), rules_hash(&second));
}

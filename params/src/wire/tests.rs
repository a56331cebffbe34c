//! Tests of the wire form: round trips, and that nothing but the canonical bytes is read.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use super::*;
use crate::file::parse;

fn valid() -> ParameterSet {
    parse(include_str!("../hash/recorded.dat"), "chain1").unwrap().0
}

#[test]
fn full_and_minimal_sets_survive_the_wire() {
    let set = valid();
    let full = set.to_wire(false);
    assert_eq!(ParameterSet::from_wire(&full).unwrap(), set);
    let minimal = set.to_wire(true);
    let read = ParameterSet::from_wire(&minimal).unwrap();
    assert_eq!(read, set.minimal());
    assert_eq!(read.state(), State::Minimal);
    assert_eq!(read.address_scheme().pubkeyhash_version, set.address_scheme().pubkeyhash_version);
    assert!(minimal.len() < 100, "{}", minimal.len());
}

#[test]
fn the_minimal_bytes_never_change() {
    let expected = "010007\
        0b0400640b0000\
        3a0600636861696e31\
        3b04002d4e0000\
        3c0400f6dce7e5\
        3d04000060681d\
        3f040080cd5080\
        40040041f30cd7";
    assert_eq!(hex::encode(valid().to_wire(true)), expected);
}

#[test]
fn every_shortened_or_lengthened_message_is_refused() {
    for minimal in [true, false] {
        let bytes = valid().to_wire(minimal);
        for length in 0..bytes.len() {
            assert!(ParameterSet::from_wire(&bytes[..length]).is_err(), "{length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(ParameterSet::from_wire(&longer).is_err());
    }
    assert!(ParameterSet::from_wire(&vec![1; WIRE_MAX + 1]).is_err());
}

#[test]
fn a_flipped_byte_of_a_full_set_is_refused_or_a_local_default() {
    let set = valid();
    let bytes = set.to_wire(false);
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        if let Ok(read) = ParameterSet::from_wire(&changed) {
            assert_eq!(crate::hash::chain_params_hash(&read), crate::hash::chain_params_hash(&set));
        }
    }
}

#[test]
fn a_full_set_with_a_changed_rule_is_refused_with_both_hashes() {
    let mut set = valid();
    set.put(Parameter::TargetBlockTime, Value::U32(16));
    let error = ParameterSet::from_wire(&set.to_wire(false)).unwrap_err().to_string();
    assert!(error.contains("5c2392cb"), "{error}");
}

#[test]
fn a_name_that_would_leave_the_data_directory_is_refused() {
    let mut set = valid();
    set.put(Parameter::ChainName, Value::Text("../x".to_owned()));
    assert!(ParameterSet::from_wire(&set.to_wire(true)).is_err());
}

#[test]
fn values_out_of_range_and_parts_of_sets_are_refused() {
    let mut set = valid();
    set.put(Parameter::DefaultRpcPort, Value::U32(80));
    assert!(matches!(ParameterSet::from_wire(&set.to_wire(true)), Err(ParameterError::OutOfRange { .. })));
    assert!(ParameterSet::from_wire(&[1, 0, 0]).is_err());
    assert!(ParameterSet::from_wire(&[1, 1, 0]).is_err());
    assert!(ParameterSet::from_wire(&[2, 0, 0]).is_err());
    let generated = {
        let mut set = valid();
        set.put(Parameter::GenesisHash, Value::Binary(Vec::new()));
        set
    };
    assert!(ParameterSet::from_wire(&generated.to_wire(false)).is_err());
}

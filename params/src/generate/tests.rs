//! Tests of names, random values, choices and clones.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use super::*;
use crate::table::PROTOCOL_LATEST;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn make(choices: &[(&str, &str)]) -> Result<ParameterSet, ParameterError> {
    let choices: Vec<(Parameter, String)> =
        choices.iter().map(|(name, value)| (Parameter::find(name).unwrap(), (*value).to_owned())).collect();
    create("chain1", PROTOCOL_LATEST, &choices, &mut StdRng::seed_from_u64(1))
}

#[test]
fn names_that_are_no_directory_or_no_word_are_refused() {
    for name in ["a", "chain1", "my-chain_2.0", "A.b", &"x".repeat(32)] {
        check_name(name).unwrap();
    }
    for name in ["", "a b", "a/b", "..", ".a", "-a", "a@b", "a:b", "name!", "é", "a\n", &"x".repeat(33)] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
}

#[test]
fn random_values_lie_where_they_should() {
    let mut entropy = StdRng::seed_from_u64(2);
    for _ in 0..500 {
        let set = create("chain1", PROTOCOL_LATEST, &[], &mut entropy).unwrap();
        let (network, rpc) = (u32::from(set.default_network_port()), u32::from(set.default_rpc_port()));
        assert_eq!(rpc + 1, network);
        assert!(PORT_BASES.iter().any(|base| (base + 1..=base + 49).contains(&network)), "{network}");
        assert_eq!(network % 2, 1);
        let mark = set.network_message_start().unwrap();
        assert!(mark[0] >= 0xf0 && mark[1] >= 0xc0 && mark[2] >= 0xc0 && mark[3] >= 0xe0);
        assert_ne!(mark, MESSAGE_START_UNKNOWN);
        let scheme = set.address_scheme();
        let first = |prefix: &[u8]| (prefix.len(), prefix[0]);
        assert_eq!(first(&scheme.pubkeyhash_version), (4, 0x00));
        assert_eq!(first(&scheme.scripthash_version), (4, 0x05));
        assert_eq!(first(&scheme.private_key_version), (4, 0x80));
    }
}

#[test]
fn choices_are_kept_and_checked() {
    let set = make(&[("target-block-time", "5"), ("miningdiversity", "75%"), ("root_stream_name", "[null]")]).unwrap();
    assert_eq!(set.target_block_time(), 5);
    assert_eq!(set.mining_diversity_millionths(), 750_000);
    assert_eq!(set.root_stream_name(), "");
    let error = make(&[("targetblocktime", "1")]).unwrap_err().to_string();
    assert_eq!(error, "target-block-time is 1, the allowed range is 2 to 86400");
    for calculated in ["genesis-hash", "chain-params-hash", "chain-name", "protocol-version"] {
        assert!(matches!(make(&[(calculated, "00")]), Err(ParameterError::Fixed { .. })), "{calculated}");
    }
}

#[test]
fn a_chosen_port_moves_the_other_one() {
    let ports = |choices: &[(&str, &str)]| {
        let set = make(choices).unwrap();
        (set.default_network_port(), set.default_rpc_port())
    };
    assert_eq!(ports(&[("default-network-port", "5001")]), (5001, 5000));
    assert_eq!(ports(&[("default-rpc-port", "5000")]), (5001, 5000));
    assert_eq!(ports(&[("default-rpc-port", "65535")]), (65534, 65535));
    assert_eq!(ports(&[("default-network-port", "1024")]), (1024, 1025));
    assert_eq!(ports(&[("default-network-port", "7000"), ("default-rpc-port", "8000")]), (7000, 8000));
    let same = make(&[("default-network-port", "7000"), ("default-rpc-port", "7000")]);
    assert!(matches!(same, Err(ParameterError::SamePort(7000))));
}

#[test]
fn a_chosen_prefix_gives_the_others_its_length() {
    let scheme = make(&[("address-pubkeyhash-version", "00")]).unwrap().address_scheme();
    assert_eq!((scheme.scripthash_version, scheme.private_key_version), (vec![5], vec![0x80]));
    assert!(matches!(
        make(&[("address-pubkeyhash-version", "00"), ("private-key-version", "8011")]),
        Err(ParameterError::PrefixLength(1, 1, 2))
    ));
}

#[test]
fn more_native_currency_than_an_amount_holds_is_refused() {
    let limit = i64::MAX / 60;
    let interval = ("reward-halving-interval", "60");
    // Halving a power of two less one gives nearly twice the first interval's sum.
    let fits = ((1_i64 << 56) - 1).to_string();
    let set = make(&[interval, ("initial-block-reward", &fits)]).unwrap();
    assert!(total_reward(&set) <= i128::from(i64::MAX));
    let error = make(&[interval, ("initial-block-reward", &limit.to_string())]).unwrap_err();
    assert!(matches!(error, ParameterError::TotalReward { .. }), "{error}");
    let mut set = make(&[interval, ("initial-block-reward", "4"), ("first-block-reward", "1000")]).unwrap();
    assert_eq!(total_reward(&set), 60 * (4 + 2 + 1) + 1000);
    set.put(Parameter::FirstBlockReward, Value::I64(-1));
    assert_eq!(total_reward(&set), 420);
}

#[test]
fn a_clone_has_the_rules_and_ports_but_a_new_identity() {
    let old = make(&[("target-block-time", "5"), ("root-stream-name", "[null]")]).unwrap();
    let new = clone_of(&old, "chain2", &mut StdRng::seed_from_u64(9)).unwrap();
    assert_eq!(new.state(), State::Generated);
    assert_eq!(new.chain_name(), "chain2");
    for parameter in all().filter(|parameter| parameter.has(CLONE)) {
        assert_eq!(new.get(parameter), old.get(parameter), "{}", parameter.name());
    }
    for parameter in [
        Parameter::NetworkMessageStart,
        Parameter::AddressPubkeyhashVersion,
        Parameter::AddressScripthashVersion,
        Parameter::PrivateKeyVersion,
        Parameter::AddressChecksumValue,
    ] {
        assert_ne!(new.get(parameter), old.get(parameter), "{}", parameter.name());
    }
    assert!(clone_of(&old.minimal(), "chain2", &mut StdRng::seed_from_u64(9)).is_err());
}

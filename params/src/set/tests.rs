//! Tests of the table's defaults and ranges, and of the states of a set.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use super::*;
use crate::generate::create;
use crate::table::TABLE;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn generated() -> ParameterSet {
    create("chain1", PROTOCOL_LATEST, &[], &mut StdRng::seed_from_u64(1)).unwrap()
}

fn genesis() -> GenesisFields {
    GenesisFields {
        pubkey: [2; 33],
        version: 1,
        timestamp: 1_700_000_000,
        nbits: 8,
        nonce: 0,
        pubkey_hash: [7; 20],
        hash: BlockHash([9; 32]),
    }
}

/// Every parameter with its default, written down a second time.
const DEFAULTS: [(&str, &str); 74] = [
    ("chain-protocol", "multichain"),
    ("chain-description", "MultiChain chain1"),
    ("root-stream-name", "root"),
    ("root-stream-open", "true"),
    ("chain-is-testnet", "false"),
    ("target-block-time", "15"),
    ("maximum-block-size", "8388608"),
    ("maximum-chunk-size", "1048576"),
    ("maximum-chunk-count", "1024"),
    ("timing-upgrade-min-gap", "100"),
    ("default-network-port", ""),
    ("default-rpc-port", ""),
    ("anyone-can-connect", "false"),
    ("anyone-can-send", "false"),
    ("anyone-can-receive", "false"),
    ("anyone-can-receive-empty", "true"),
    ("anyone-can-create", "false"),
    ("anyone-can-issue", "false"),
    ("anyone-can-mine", "false"),
    ("anyone-can-activate", "false"),
    ("anyone-can-admin", "false"),
    ("support-miner-precheck", "true"),
    ("allow-arbitrary-outputs", "false"),
    ("allow-p2sh-outputs", "true"),
    ("allow-multisig-outputs", "true"),
    ("setup-first-blocks", "60"),
    ("mining-diversity", "0.3"),
    ("admin-consensus-upgrade", "0.5"),
    ("admin-consensus-txfilter", "0.5"),
    ("admin-consensus-admin", "0.5"),
    ("admin-consensus-activate", "0.5"),
    ("admin-consensus-mine", "0.5"),
    ("admin-consensus-create", "0.0"),
    ("admin-consensus-issue", "0.0"),
    ("lock-admin-mine-rounds", "10"),
    ("mining-requires-peers", "true"),
    ("mine-empty-rounds", "10"),
    ("mining-turnover", "0.5"),
    ("first-block-reward", "-1"),
    ("initial-block-reward", "0"),
    ("reward-halving-interval", "52560000"),
    ("reward-spendable-delay", "1"),
    ("minimum-per-output", "0"),
    ("maximum-per-output", "100000000000000"),
    ("minimum-offchain-fee", "0"),
    ("minimum-relay-fee", "0"),
    ("native-currency-multiple", "100000000"),
    ("skip-pow-check", "false"),
    ("pow-minimum-bits", "8"),
    ("target-adjust-freq", "-1"),
    ("allow-min-difficulty-blocks", "false"),
    ("only-accept-std-txs", "true"),
    ("max-std-tx-size", "4194304"),
    ("max-std-op-returns-count", "32"),
    ("max-std-op-return-size", "2097152"),
    ("max-std-op-drops-count", "5"),
    ("max-std-element-size", "40000"),
    ("max-std-op-drop-size", "64"),
    ("chain-name", ""),
    ("protocol-version", ""),
    ("network-message-start", ""),
    ("address-pubkeyhash-version", ""),
    ("address-scripthash-version", ""),
    ("private-key-version", ""),
    ("address-checksum-value", ""),
    ("genesis-pubkey", ""),
    ("genesis-version", ""),
    ("genesis-timestamp", ""),
    ("genesis-nbits", ""),
    ("genesis-nonce", ""),
    ("genesis-pubkey-hash", ""),
    ("genesis-op-return-script", ""),
    ("genesis-hash", ""),
    ("chain-params-hash", ""),
];

#[test]
fn every_parameter_has_its_place_and_its_default() {
    for (row, (name, default)) in TABLE.iter().zip(DEFAULTS) {
        assert_eq!(row.name, name);
        let value = default_value(row.parameter, "chain1", PROTOCOL_LATEST);
        assert_eq!(value.map(|value| value.to_text()).unwrap_or_default(), default, "{name}");
        assert_eq!(Parameter::at(row.parameter as u8), Some(row.parameter));
    }
}

#[test]
fn every_default_is_within_its_own_range() {
    for row in &TABLE {
        if let Some(value) = default_value(row.parameter, "chain1", PROTOCOL_LATEST) {
            value.check(row.parameter).unwrap();
        }
    }
}

#[test]
fn names_are_found_with_and_without_hyphens_and_case_counts() {
    for row in &TABLE {
        assert_eq!(Parameter::find(row.name), Some(row.parameter));
        assert_eq!(Parameter::find(&row.name.replace('-', "_")), Some(row.parameter));
        assert_eq!(Parameter::find(&row.parameter.compact_name()), Some(row.parameter));
        assert_eq!(Parameter::find(&row.name.to_uppercase()), None);
    }
    assert_eq!(Parameter::find(""), None);
}

#[test]
fn each_range_holds_its_ends_and_nothing_beyond() {
    for row in &TABLE {
        let (low, high, step): (i128, i128, &str) = match row.kind {
            Kind::U32(low, high) => (low.into(), high.into(), ""),
            Kind::I32(low, high) => (low.into(), high.into(), ""),
            Kind::I64(low, high) => (low.into(), high.into(), ""),
            Kind::Decimal(low, high) => (low.into(), high.into(), "e-6"),
            Kind::Bool | Kind::Text(_) | Kind::Binary(..) => continue,
        };
        for inside in [low, high] {
            Value::parse(row.parameter, &format!("{inside}{step}")).unwrap();
        }
        for outside in [low - 1, high + 1, i128::from(i64::MIN), i128::from(u64::MAX)] {
            let error = Value::parse(row.parameter, &format!("{outside}{step}")).unwrap_err();
            assert!(matches!(error, ParameterError::OutOfRange { .. }), "{} {outside}", row.name);
            let text = error.to_string();
            assert!(text.contains(row.name) && text.contains(&outside.to_string()), "{text}");
            assert!(text.contains(&crate::value::range_text(row.parameter)), "{text}");
        }
    }
}

#[test]
fn a_decimal_beyond_its_range_is_refused_with_the_range() {
    let error = Value::parse(Parameter::MiningDiversity, "2.0").unwrap_err().to_string();
    assert_eq!(error, "mining-diversity is 2.0, the allowed range is 0 to 1");
    let error = Value::parse(Parameter::MiningDiversity, "1.000001").unwrap_err().to_string();
    assert_eq!(error, "mining-diversity is 1.000001, the allowed range is 0 to 1");
}

#[test]
fn what_is_no_value_of_the_type_is_refused_with_what_is_expected() {
    for (parameter, text) in [
        (Parameter::TargetBlockTime, "fast"),
        (Parameter::TargetBlockTime, "15s"),
        (Parameter::TargetBlockTime, "2.5"),
        (Parameter::AnyoneCanSend, "yes"),
        (Parameter::AddressChecksumValue, "zz"),
        (Parameter::MiningDiversity, ""),
    ] {
        let error = Value::parse(parameter, text).unwrap_err();
        assert!(matches!(error, ParameterError::Malformed { .. }), "{text}: {error}");
    }
}

#[test]
fn texts_that_the_file_cannot_hold_are_refused() {
    for text in ["a#b", "a\nb", "a\u{7}b"] {
        assert!(Value::parse(Parameter::ChainDescription, text).is_err(), "{text:?}");
        assert!(Value::Text(text.to_owned()).check(Parameter::RootStreamName).is_err(), "{text:?}");
    }
    assert!(Value::Text(" x".to_owned()).check(Parameter::RootStreamName).is_err());
    assert!(Value::Text("é".repeat(90)).check(Parameter::ChainDescription).is_ok());
    assert!(Value::Text("é".repeat(91)).check(Parameter::ChainDescription).is_err());
    assert!(Value::Text("x".repeat(256)).check(Parameter::RootStreamName).is_ok());
    assert!(Value::Text("x".repeat(257)).check(Parameter::RootStreamName).is_err());
    assert!(Value::Text("bitcoin".to_owned()).check(Parameter::ChainProtocol).is_err());
}

#[test]
fn a_value_of_another_type_is_refused() {
    let mut set = generated();
    let error = set.set(Parameter::TargetBlockTime, Value::I64(15)).unwrap_err();
    assert_eq!(error.to_string(), "target-block-time holds another type of value");
}

#[test]
fn a_set_goes_from_generated_to_valid_and_changes_make_it_invalid() {
    let mut set = generated();
    assert_eq!(set.state(), State::Generated);
    let hash = set.seal(&genesis()).unwrap();
    assert_eq!(set.state(), State::Valid);
    assert_eq!(set.chain_params_hash(), Some(hash));
    assert_eq!(set.genesis_hash(), Some(BlockHash([9; 32])));
    assert!(matches!(set.seal(&genesis()), Err(ParameterError::Sealed)));

    let mut local = set.clone();
    local.set(Parameter::MiningTurnover, Value::Decimal(Millionths(1))).unwrap();
    assert_eq!(local.state(), State::Valid);
    set.set(Parameter::TargetBlockTime, Value::U32(16)).unwrap();
    assert!(matches!(set.state(), State::Invalid { stored, computed } if stored == hash && computed != hash));
}

#[test]
fn empty_minimal_and_incomplete_sets_are_told_apart() {
    assert_eq!(ParameterSet::empty().state(), State::Empty);
    let minimal = generated().minimal();
    assert_eq!(minimal.state(), State::Minimal);
    assert_eq!(minimal.chain_name(), "chain1");
    let defaults = ParameterSet::with_defaults("chain1", PROTOCOL_LATEST).unwrap();
    let State::Error { missing } = defaults.state() else { unreachable!("ports and prefixes are missing") };
    assert_eq!(missing.len(), 7, "{missing:?}");
    assert!(missing.contains(&Parameter::NetworkMessageStart));
}

#[test]
fn every_getter_reads_its_default_even_from_an_empty_set() {
    for set in [ParameterSet::empty(), generated()] {
        assert_eq!(set.target_block_time(), 15);
        assert_eq!(set.mining_diversity_millionths(), 300_000);
        assert_eq!(set.mine_empty_rounds_millionths(), 10_000_000);
        assert_eq!(set.maximum_block_size(), 8_388_608);
        assert_eq!(set.target_adjust_freq(), -1);
        assert_eq!(set.maximum_per_output(), 100_000_000_000_000);
        assert_eq!(set.protocol_version(), PROTOCOL_LATEST);
        assert!(!set.anyone_can_connect() && set.anyone_can_receive_empty() && set.mining_requires_peers());
        assert_eq!(set.genesis_hash(), None);
    }
    assert_eq!(ParameterSet::empty().default_network_port(), 8571);
    assert_eq!(ParameterSet::empty().default_rpc_port(), 8570);
    assert_eq!(generated().address_scheme().pubkeyhash_version.len(), 4);
}

#[test]
fn old_protocols_have_their_own_parameters_and_defaults() {
    let old = ParameterSet::with_defaults("chain1", 10008).unwrap();
    assert_eq!(old.max_std_element_size(), 8_192);
    assert!(old.shown().all(|(parameter, _)| parameter != Parameter::MaximumChunkSize));
    assert!(old.shown().all(|(parameter, _)| parameter != Parameter::MaxStdOpDropSize));
    let mut changed = old.clone();
    let error = changed.set(Parameter::MaximumChunkSize, Value::U32(4_096)).unwrap_err().to_string();
    assert_eq!(error, "maximum-chunk-size exists since protocol 20003, but the chain has protocol 10008");
    assert!(ParameterSet::with_defaults("chain1", 20001).is_err());
}

#[test]
fn a_hidden_parameter_is_shown_once_it_differs() {
    let mut set = generated();
    let shown = |set: &ParameterSet| set.shown().any(|(parameter, _)| parameter == Parameter::TimingUpgradeMinGap);
    assert!(!shown(&set));
    set.set(Parameter::TimingUpgradeMinGap, Value::U32(5)).unwrap();
    assert!(shown(&set));
    assert_eq!(set.shown().count(), 72);
}

#[test]
fn prefixes_and_ports_must_fit_together() {
    let mut set = generated();
    set.set(Parameter::AddressScripthashVersion, Value::Binary(vec![5])).unwrap();
    assert!(matches!(set.check(), Err(ParameterError::PrefixLength(4, 1, 4))));
    let mut set = generated();
    set.set(Parameter::AddressScripthashVersion, set.get(Parameter::AddressPubkeyhashVersion).unwrap().clone())
        .unwrap();
    assert!(matches!(set.check(), Err(ParameterError::SamePrefix(_))));
    let mut set = generated();
    set.set(Parameter::DefaultRpcPort, Value::U32(set.default_network_port().into())).unwrap();
    assert!(matches!(set.check(), Err(ParameterError::SamePort(_))));
}

//! Tests of reading and writing params.dat.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use super::*;
use crate::generate;
use crate::table::PROTOCOL_LATEST;
use crate::value::Millionths;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn generated() -> ParameterSet {
    generate::create("chain1", PROTOCOL_LATEST, &[], &mut StdRng::seed_from_u64(1)).unwrap()
}

fn valid() -> ParameterSet {
    parse(include_str!("../hash/recorded.dat"), "chain1").unwrap().0
}

#[test]
fn what_is_printed_is_read_again() {
    let mut odd = generated();
    odd.set(Parameter::RootStreamName, Value::Text(String::new())).unwrap();
    odd.set(Parameter::ChainDescription, Value::Text("ünder = way".to_owned())).unwrap();
    odd.set(Parameter::MineEmptyRounds, Value::Decimal(Millionths(999_123_456))).unwrap();
    odd.set(Parameter::TimingUpgradeMinGap, Value::U32(7)).unwrap();
    for set in [generated(), valid(), odd] {
        let state = set.state();
        assert_eq!(parse(&print(&set), "chain1").unwrap(), (set, state));
    }
    let minimal = valid().minimal();
    assert_eq!(parse(&print(&minimal), "chain1").unwrap(), (minimal, State::Minimal));
}

#[test]
fn old_protocols_are_printed_and_read_too() {
    for protocol in [10008, 10012, 20004, 20013] {
        let set = generate::create("chain1", protocol, &[], &mut StdRng::seed_from_u64(1)).unwrap();
        let text = print(&set);
        assert_eq!(text.contains("maximum-chunk-size"), protocol >= 20003);
        assert_eq!(parse(&text, "chain1").unwrap(), (set, State::Generated));
    }
}

#[test]
fn the_file_has_its_three_groups_and_aligned_comments() {
    let text = print(&generated());
    let order = ["# ==== ", "target-block-time = 15", "default-network-port = ", "genesis-hash = [null]"];
    let places: Vec<usize> = order.iter().map(|part| text.find(part).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let line = text.lines().find(|line| line.starts_with("target-block-time")).unwrap();
    assert_eq!(line.find('#'), Some(40));
    assert!(line.ends_with("(2 - 86400)"), "{line}");
    assert!(text.contains("admin-consensus-create = 0.0 "));
    assert!(text.contains("\n# Native blockchain currency\n"));
}

#[test]
fn names_comments_and_forms_are_read_as_people_write_them() {
    let text = print(&generated())
        .replace("target-block-time = 15", "targetblocktime=  +5.0")
        .replace("mining-diversity = 0.3", "mining_diversity = 75%")
        .replace("anyone-can-send = false", "anyone-can-send = TRUE")
        .replace("anyone-can-receive = false", "anyone-can-receive = 1")
        + "\ntarget-block-time = 99 # a second line does not count\n";
    let (set, state) = parse(&text, "chain1").unwrap();
    assert_eq!(state, State::Generated);
    assert_eq!(set.target_block_time(), 5);
    assert_eq!(set.mining_diversity_millionths(), 750_000);
    assert!(set.anyone_can_send() && set.anyone_can_receive());
}

#[test]
fn a_bad_line_is_told_by_number_name_and_range() {
    let text = "\n# note\nmining-diversity = 2.0\n";
    let error = parse(text, "chain1").unwrap_err().to_string();
    assert_eq!(error, "line 3: mining-diversity is 2.0, the allowed range is 0 to 1");
    let error = parse("target-blok-time = 5", "chain1").unwrap_err().to_string();
    assert_eq!(error, "line 1: unknown parameter target-blok-time, did you mean target-block-time?");
    let error = parse("target-block-time 5", "chain1").unwrap_err().to_string();
    assert_eq!(error, "line 1: \"target-block-time 5\" is not of the form name = value");
}

#[test]
fn a_file_of_another_chain_is_refused() {
    let error = parse(&print(&generated()), "chain2").unwrap_err();
    assert_eq!(error.to_string(), "chain-name is chain1, but the directory is named chain2");
}

#[test]
fn an_edit_after_genesis_makes_the_file_invalid_but_local_defaults_may_change() {
    let text = print(&valid());
    let edited = text.replace("anyone-can-connect = false", "anyone-can-connect = true");
    assert!(matches!(parse(&edited, "chain1").unwrap().1, State::Invalid { .. }));
    let local = text.replace("mining-turnover = 0.5", "mining-turnover = 1").replace("# ====", "# mine");
    assert_eq!(parse(&local, "chain1").unwrap().1, State::Valid);
}

#[test]
fn missing_lines_are_named() {
    let text: String = print(&generated())
        .lines()
        .filter(|line| !line.starts_with("target-block-time"))
        .collect::<Vec<_>>()
        .join("\n");
    let (_, state) = parse(&text, "chain1").unwrap();
    assert_eq!(state, State::Error { missing: vec![Parameter::TargetBlockTime] });
    let text: String =
        print(&valid()).lines().filter(|line| !line.starts_with("chain-params-hash")).collect::<Vec<_>>().join("\n");
    let (_, state) = parse(&text, "chain1").unwrap();
    assert_eq!(state, State::Error { missing: vec![Parameter::ChainParamsHash] });
}

#[test]
fn an_unsupported_protocol_is_refused() {
    let text = print(&generated()).replace("protocol-version = 20013", "protocol-version = 20014");
    let error = parse(&text, "chain1").unwrap_err().to_string();
    assert_eq!(error, "protocol 20014 is not supported, the allowed ones are 10008 to 10012 and 20004 to 20013");
}

#[test]
fn create_overwrites_nothing_and_the_backup_is_of_the_set_given() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("chain1").join("params.dat");
    assert_eq!(load(&path, "chain1").unwrap(), (ParameterSet::empty(), State::Empty));
    let set = generated();
    create(&path, &set).unwrap();
    assert!(matches!(create(&path, &valid()), Err(ParameterError::Exists(_))));
    assert_eq!(load(&path, "chain1").unwrap(), (set.clone(), State::Generated));
    save(&path, &valid()).unwrap();
    assert_eq!(load(&path, "chain1").unwrap(), (valid(), State::Valid));
    assert!(!backup_path(&path).exists(), "what stood there before the genesis block would lead to another chain");
    fs::write(backup_path(&path), print(&set)).unwrap();
    for _ in 0..2 {
        back_up(&path, &valid()).unwrap();
        assert_eq!(load(&backup_path(&path), "chain1").unwrap(), (valid(), State::Valid));
    }
    let names = fs::read_dir(data.path().join("chain1")).unwrap().count();
    assert_eq!(names, 2, "only params.dat and its backup stay");
}

#[test]
fn a_file_that_is_no_parameter_file_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("params.dat");
    fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(load(&path, "chain1"), Err(ParameterError::Io { .. })));
    fs::write(&path, vec![b'#'; usize::try_from(FILE_MAX).unwrap() + 1]).unwrap();
    assert!(matches!(load(&path, "chain1"), Err(ParameterError::FileSize { .. })));
    assert!(matches!(load(data.path(), "chain1"), Err(ParameterError::Io { .. })));
}

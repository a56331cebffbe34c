//! Command lines that become plans, and such that are refused with what was expected.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test reports a failure by panicking")]

use super::*;

fn order(line: &str) -> Order {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    read(&words).unwrap()
}

fn said(line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    format!("{:#}", read(&words).err().unwrap())
}

fn plan(line: &str) -> Plan {
    let Command::Run(plan) = order(line).command else { panic!("{line} is no run") };
    plan
}

const NODE: &str = "--port 2916 --user u --password p";

#[test]
fn a_full_command_line_becomes_a_plan() {
    let plan = plan(&format!("publish {NODE} --clients=8 --items-per-tx 30 --seconds 2 --chain-stream s1"));
    assert_eq!((plan.kind, plan.clients, plan.items_per_tx, plan.size), (Kind::Publish, 8, 30, 100));
    assert_eq!((plan.target.host.as_str(), plan.target.port), ("127.0.0.1", 2916));
    assert_eq!((plan.stream.as_str(), plan.duration.as_secs()), ("s1", 2));
    assert!(matches!(plan.turns, Turns::None));
}

#[test]
fn every_kind_of_reading_has_a_name_and_another_is_refused() {
    for (word, read) in [
        ("page", Read::Page),
        ("key", Read::Key),
        ("publisher", Read::Publisher),
        ("item", Read::Item),
        ("wide", Read::Wide),
    ] {
        assert_eq!(plan(&format!("list {NODE} --read {word}")).kind, Kind::List(read));
        assert_eq!(plan(&format!("mixed {NODE} --read {word}")).kind, Kind::Mixed(read));
    }
    assert_eq!(plan(&format!("list {NODE}")).kind, Kind::List(Read::Page));
    assert_eq!(plan(&format!("send {NODE}")).kind, Kind::Send);
    assert!(said(&format!("list {NODE} --read all")).contains("page, key, publisher, item or wide"));
    assert!(said(&format!("publish {NODE} --read key")).contains("publish has no option --read"));
}

#[test]
fn a_second_node_has_a_place_and_credentials_of_its_own() {
    let line = format!("list {NODE} --second h:7 --second-user v --second-password q --second-pid 5 --slice 3");
    let Turns::Second(second) = plan(&line).turns else { panic!("no second") };
    assert_eq!((second.target.host.as_str(), second.target.port), ("h", 7));
    assert_eq!((second.target.user.as_str(), second.pid, second.slice.as_secs()), ("v", Some(5), 3));
    assert!(said(&format!("list {NODE} --second h:7")).contains("--second-user (or --second-conf)"));
    assert!(said(&format!("list {NODE} --second 7")).contains("HOST:PORT"));
    assert!(said(&format!("list {NODE} --second h:x")).contains("from 1 to 65535"));
    assert!(said(&format!("list {NODE} --slice 3")).contains("--second is missing"));
    assert!(said(&format!("{line} --publish-rate 5")).contains("do not go together"));
    assert!(matches!(plan(&format!("list {NODE} --publish-rate 5")).turns, Turns::Published(5)));
}

#[test]
fn what_is_missing_or_out_of_range_is_named() {
    assert!(said("publish --user u --password p").contains("--port"));
    assert!(said("publish --port 1 --user u").contains("--password"));
    assert!(said("publish --port 70000 --user u --password p").contains("--port"));
    assert!(said("publish --port 1 --user u --password p --clients 0").contains("from 1 to 4096"));
    assert!(said("publish --prot 1").contains("--prot"));
    assert!(said("publish --port").contains("needs a value"));
    assert!(said("nothing").contains("nothing"));
    for line in ["", "help", "--help", "publish --help", "sync --bin b -h"] {
        assert!(matches!(order(line).command, Command::Help), "{line}");
    }
}

#[test]
fn workloads_with_nodes_of_their_own_want_programs_and_a_folder() {
    for workload in ["sync", "propagation", "series", "soak", "restart"] {
        assert!(said(workload).contains("--bin is missing"), "{workload}");
        assert!(said(&format!("{workload} --bin b")).contains("--dir is missing"), "{workload}");
        assert!(said(&format!("{workload} --bin b --dir d --port 1")).contains("has no option --port"), "{workload}");
    }
    let Command::Sync(plan) = order("sync --bin b --dir d --items 7 --block-time 2").command else { panic!("sync") };
    assert_eq!((plan.items, plan.clients, plan.block_time), (7, 8, 2));
    let Command::Propagation(plan) = order("propagation --bin b --dir d").command else { panic!("propagation") };
    assert_eq!((plan.items_per_block, plan.blocks), (10_000, 5));
    let Command::Restart(plan) = order("restart --bin b --dir d --chain c").command else { panic!("restart") };
    assert_eq!((plan.chain.as_str(), plan.rounds), ("c", 3));
    assert!(said("restart --bin b --dir d").contains("--chain is missing"));
    assert!(said("sync --bin b --dir d --block-time 1").contains("from 2 to 86400"));
}

#[test]
fn stops_of_a_series_rise() {
    let Command::Series(plan) = order("series --bin b --dir d").command else { panic!("series") };
    assert_eq!(plan.stops, [10_000, 100_000, 1_000_000]);
    let Command::Series(plan) = order("series --bin b --dir d --stops 10,20").command else { panic!("series") };
    assert_eq!(plan.stops, [10, 20]);
    assert!(said("series --bin b --dir d --stops 20,20").contains("greater than the one before"));
    assert!(said("series --bin b --dir d --stops 20,x").contains("--stops is x"));
}

#[test]
fn reports_of_all_workloads_go_where_they_are_wanted() {
    for line in [format!("publish {NODE}"), "soak --bin b --dir d".to_owned(), "calibrate".to_owned()] {
        let output = order(&format!("{line} --json j --results r")).output;
        assert_eq!((output.json, output.results), (Some(PathBuf::from("j")), Some(PathBuf::from("r"))));
    }
}

#[test]
fn help_names_every_option() {
    for name in [NODE_NAMES, ITEM_NAMES, READ_NAMES, CONTENDED_NAMES, STREAM_NAMES, SITE_NAMES, OUTPUT_NAMES].concat() {
        assert!(HELP.contains(&format!("--{name} ")), "--{name}");
    }
    for names in [SYNC_NAMES, PROPAGATION_NAMES, SERIES_NAMES, RESTART_NAMES, SOAK_NAMES] {
        for name in names {
            assert!(HELP.contains(&format!("--{name} ")), "--{name}");
        }
    }
}

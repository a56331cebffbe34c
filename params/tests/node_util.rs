//! The node-util program itself, driven as a person or a script would.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rota_params::credential::Credential;
use rota_params::file;
use rota_params::{ParameterSet, State};

fn node_util(data: &Path, arguments: &[&str]) -> (Output, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_node-util"))
        .args(arguments)
        .arg(format!("-datadir={}", data.display()))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

fn load(data: &Path, name: &str) -> (ParameterSet, State) {
    file::load(&data.join(name).join("params.dat"), name).unwrap()
}

#[test]
fn create_writes_the_file_and_says_what_to_do_next() {
    let data = tempfile::tempdir().unwrap();
    let (output, out, err) =
        node_util(data.path(), &["create", "chain1", "-target-block-time=5", "--anyonecanconnect"]);
    let path = data.path().join("chain1/params.dat");
    let expected = format!(
        "\nRota 0.1 Utilities (latest protocol 20013)\n\n\
         Blockchain parameter set was successfully generated.\n\
         You can edit it in {} before running noded for the first time.\n\n\
         To generate blockchain please run \"noded chain1 -daemon\".\n",
        path.display()
    );
    assert_eq!((out, err, output.status.code()), (expected, String::new(), Some(0)));
    let (set, state) = load(data.path(), "chain1");
    assert_eq!(state, State::Generated);
    assert_eq!(set.target_block_time(), 5);
    assert!(set.anyone_can_connect());
    let conf = fs::read_to_string(data.path().join("chain1/node.conf")).unwrap();
    assert!(conf.starts_with("rpcuser=rotarpc\nrpcpassword="), "{conf}");
}

#[test]
fn create_again_overwrites_nothing() {
    let data = tempfile::tempdir().unwrap();
    node_util(data.path(), &["create", "chain1"]);
    let path = data.path().join("chain1/params.dat");
    let before = fs::read(&path).unwrap();
    let (output, out, err) = node_util(data.path(), &["create", "chain1", "-target-block-time=5"]);
    assert_eq!(output.status.code(), Some(1));
    let sentence = format!("Cannot create chain parameter set, file {} already exists\n", path.display());
    assert!(out.ends_with(&sentence), "{out}");
    assert_eq!(err, "ERROR: Blockchain parameter set was not generated.\n");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn bad_input_names_the_fault_and_writes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let long = "x".repeat(33);
    for (arguments, fault) in [
        (vec!["create", "c", "-target-block-time=1"], "target-block-time is 1, the allowed range is 2 to 86400"),
        (vec!["create", "c", "-mining-diversity=2.0"], "mining-diversity is 2.0, the allowed range is 0 to 1"),
        (vec!["create", "c", "-target-blocktim=5"], "did you mean target-block-time?"),
        (vec!["create", "c", "-target-block-time"], "is not of the form name = value"),
        (vec!["create", "c", "-genesis-nonce=1"], "the first node calculates it"),
        (vec!["create", "c", "20001"], "protocol 20001 is not supported"),
        (vec!["create", "c", "new"], "protocol-version is \"new\""),
        (vec!["create", "c d"], "only letters, digits"),
        (vec!["create", "../c"], "it starts with a hyphen or a point"),
        (vec!["create", &long], "longer than 32 characters"),
        (vec!["create"], "expected: node-util create NAME"),
        (vec!["crate", "c"], "unknown command crate, did you mean create?"),
        (vec![], "a command is missing"),
        (vec!["clone", "absent", "c"], "absent/params.dat"),
        (vec!["show", "absent"], "there is no blockchain absent"),
    ] {
        let (output, _, err) = node_util(data.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(err.starts_with("ERROR: ") && err.contains(fault), "{arguments:?}: {err}");
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    fs::write(&file, "").unwrap();
    let (output, _, err) = node_util(&file, &["create", "chain1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains(&file.display().to_string()), "{err}");
}

#[test]
fn a_clone_keeps_the_rules() {
    let data = tempfile::tempdir().unwrap();
    node_util(data.path(), &["create", "chain1", "20010", "-mining-diversity=0.75"]);
    let (output, out, err) = node_util(data.path(), &["clone", "chain1", "chain2"]);
    assert_eq!((err.as_str(), output.status.code()), ("", Some(0)));
    assert!(out.contains("Blockchain parameter set was successfully cloned.\n"), "{out}");
    let (old, _) = load(data.path(), "chain1");
    let (new, state) = load(data.path(), "chain2");
    assert_eq!(state, State::Generated);
    assert_eq!((new.mining_diversity_millionths(), new.protocol_version()), (750_000, 20010));
    assert_eq!(new.default_network_port(), old.default_network_port());
    assert_ne!(new.network_message_start(), old.network_message_start());
    let (output, _, err) = node_util(data.path(), &["clone", "chain1", "chain2"]);
    assert_eq!((err.as_str(), output.status.code()), ("ERROR: Blockchain parameter set was not generated.\n", Some(1)));
}

#[test]
fn show_tells_what_is_fixed_and_fails_for_an_edited_file() {
    let data = tempfile::tempdir().unwrap();
    node_util(data.path(), &["create", "chain1", "-target-block-time=5"]);
    let (output, out, _) = node_util(data.path(), &["show", "chain1"]);
    assert_eq!(output.status.code(), Some(0));
    let line = |out: &str, name: &str| out.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line(&out, "target-block-time = 5").starts_with("* "));
    assert!(line(&out, "target-block-time = 5").ends_with("may be edited until the first start"));
    assert!(line(&out, "maximum-block-size").starts_with("  "));

    let path = data.path().join("chain1/params.dat");
    let (mut set, _) = load(data.path(), "chain1");
    set.seal(&rota_params::GenesisFields {
        pubkey: [2; 33],
        version: 1,
        timestamp: 1,
        nbits: 1,
        nonce: 1,
        pubkey_hash: [1; 20],
        hash: rota_chain::hash::BlockHash([1; 32]),
    })
    .unwrap();
    file::save(&path, &set).unwrap();
    let (output, out, _) = node_util(data.path(), &["show", "chain1"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(line(&out, "mining-diversity").ends_with("fixed: the genesis block binds it"));
    assert!(line(&out, "mining-turnover").ends_with("a default of this node alone"));
    assert!(line(&out, "maximum-block-size").ends_with("changed by an upgrade that admins approve"));

    let text = fs::read_to_string(&path).unwrap().replace("mining-diversity = 0.3", "mining-diversity = 0.4");
    fs::write(&path, text).unwrap();
    let (output, _, err) = node_util(data.path(), &["show", "chain1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("node-util clone chain1 NEW-NAME"), "{err}");
}

#[test]
fn help_teaches_and_version_tells() {
    let data = tempfile::tempdir().unwrap();
    for word in ["-help", "--help", "help"] {
        let (output, out, _) = node_util(data.path(), &[word]);
        assert_eq!(output.status.code(), Some(0));
        assert!(out.contains("node-util create NAME") && out.contains("-mining-diversity (0.3, 0 to 1)"), "{out}");
    }
    let (_, out, _) = node_util(data.path(), &["--version"]);
    assert_eq!(out, "Rota 0.1 Utilities (version 0.1.0, latest protocol 20013)\n");
}

#[test]
fn rpcauth_shows_a_password_once_and_the_line_that_knows_it() {
    let data = tempfile::tempdir().unwrap();
    let (output, out, err) = node_util(data.path(), &["rpcauth", "alice"]);
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
    let line = out.lines().find_map(|line| line.strip_prefix("rpcauth=")).unwrap();
    let credential = Credential::parse(line).unwrap();
    let password = out.lines().last().unwrap();
    assert!(credential.user() == "alice" && password.len() > 20, "{out}");
    assert_eq!(&credential.digest_of(password.as_bytes()), credential.digest());
    assert!(out.contains("\nrpcwhitelist=alice:@read\n"), "{out}");
    assert!(!node_util(data.path(), &["rpcauth", "alice"]).1.contains(password));
    for words in [&["rpcauth", "a#b"][..], &["rpcauth", "a:b"], &["rpcauth"], &["rpcauth", "a", "-targetblocktime=5"]] {
        let (output, out, err) = node_util(data.path(), words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(err.starts_with("ERROR: ") && !out.contains("rpcauth="), "{out}{err}");
    }
}

//! Which words are chain, method and parameters, and which file or option tells the way in.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::{Failure, RequestOut, Target, Wish, call_begun, wish};
use rota_params::options::CommandLine;
use std::fs;
use tempfile::TempDir;

/// A data directory with chains, each with a node.conf.
fn data(chains: &[&str]) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    for chain in chains {
        fs::create_dir(data.path().join(chain)).unwrap();
        fs::write(data.path().join(chain).join("params.dat"), "").unwrap();
        let conf = format!("rpcuser=rotarpc\nrpcpassword=secret-{chain}\nrpcport=7000\n");
        fs::write(data.path().join(chain).join("node.conf"), conf).unwrap();
    }
    data
}

fn ask(data: &TempDir, words: &[&str]) -> Result<Wish, Failure> {
    let directory = format!("-datadir={}", data.path().display());
    let arguments: Vec<&str> = [directory.as_str()].into_iter().chain(words.iter().copied()).collect();
    wish(&CommandLine::parse(arguments, call_begun).unwrap())
}

fn called(data: &TempDir, words: &[&str]) -> (Target, Vec<String>) {
    match ask(data, words).unwrap() {
        Wish::Call(target, words) => (*target, words),
        Wish::Print(text) => panic!("printed {text}"),
        Wish::Misuse => panic!("misuse"),
    }
}

#[test]
fn the_first_word_is_the_chain_if_it_has_a_folder() {
    let data = data(&["chain1", "getinfo"]);
    let (target, words) = called(&data, &["chain1", "getinfo"]);
    assert_eq!((target.chain.as_str(), words), ("chain1", vec!["getinfo".to_owned()]));
    assert_eq!(target.password, "secret-chain1");
    assert_eq!(target.address, "127.0.0.1:7000");
    let (target, words) = called(&data, &["getinfo"]);
    assert_eq!((target.chain.as_str(), words.len()), ("getinfo", 0));
}

#[test]
fn with_a_single_chain_its_name_may_be_left_out() {
    let data = data(&["chain1"]);
    let (target, words) = called(&data, &["grant", "ADDR", "connect,send,receive"]);
    assert_eq!(target.chain, "chain1");
    assert_eq!(words, ["grant", "ADDR", "connect,send,receive"]);
}

#[test]
fn with_several_chains_or_none_the_error_says_which() {
    let error = ask(&data(&["chain1", "chain2"]), &["getinfo"]).err().unwrap().to_string();
    assert!(error.contains("chain1, chain2"), "{error}");
    let error = ask(&data(&[]), &["getinfo"]).err().unwrap().to_string();
    assert!(error.contains("node-util create"), "{error}");
    let error = ask(&data(&["chain1"]), &["nosuchchain", "getinfo"]).err().unwrap().to_string();
    assert!(error.starts_with("nosuchchain is neither a blockchain in "), "{error}");
}

#[test]
fn options_stand_before_or_after_the_chain_and_outrank_its_file() {
    let data = data(&["chain1"]);
    for words in [
        &["-rpcport=8000", "-rpcpassword=p", "chain1", "getinfo"][..],
        &["chain1", "-rpcport=8000", "--rpcpassword=p", "getinfo"],
    ] {
        let (target, words) = called(&data, words);
        assert_eq!((target.address.as_str(), target.password.as_str()), ("127.0.0.1:8000", "p"));
        assert_eq!(words, ["getinfo"]);
    }
    let (target, _) = called(&data, &["chain1", "-rpcconnect=fd00::1", "getinfo"]);
    assert_eq!(target.address, "[fd00::1]:7000");
}

#[test]
fn after_the_method_hyphens_belong_to_its_parameters() {
    let data = data(&["chain1"]);
    let (_, words) = called(&data, &["chain1", "publish", "s", "-key", "00"]);
    assert_eq!(words, ["publish", "s", "-key", "00"]);
    let (_, words) = called(&data, &["publish", "s", "-key", "00"]);
    assert_eq!(words, ["publish", "s", "-key", "00"]);
    let (_, words) = called(&data, &["chain1", "liststreamitems", "s", "false", "10", "-10"]);
    assert_eq!(words.last().map(String::as_str), Some("-10"));
}

#[test]
fn a_chain_without_a_folder_can_be_called_where_the_way_in_is_told() {
    let data = data(&[]);
    let way = ["-rpcuser=u", "-rpcpassword=p", "-rpcport=9000", "-rpcconnect=10.0.0.7"];
    let words: Vec<&str> = way.into_iter().chain(["far", "getinfo"]).collect();
    let (target, words) = called(&data, &words);
    assert_eq!((target.chain.as_str(), target.address.as_str()), ("far", "10.0.0.7:9000"));
    assert_eq!((target.user.as_str(), words), ("u", vec!["getinfo".to_owned()]));
}

#[test]
fn requests_are_shown_where_the_option_says() {
    let data = data(&["chain1"]);
    assert_eq!(called(&data, &["chain1", "getinfo"]).0.request_out, RequestOut::Stderr);
    for (value, out) in [("stdout", RequestOut::Stdout), ("null", RequestOut::Null)] {
        let option = format!("-requestout={value}");
        assert_eq!(called(&data, &["chain1", &option, "getinfo"]).0.request_out, out);
    }
    assert!(matches!(ask(&data, &["chain1", "-requestout=x", "getinfo"]), Err(Failure::RequestOut(_))));
}

#[test]
fn without_a_password_or_a_port_the_error_says_where_it_comes_from() {
    let data = data(&["chain1"]);
    fs::write(data.path().join("chain1/node.conf"), "rpcport=1\n").unwrap();
    let error = ask(&data, &["chain1", "getinfo"]).err().unwrap().to_string();
    assert!(error.contains("rpcpassword") && error.contains("chain1/node.conf"), "{error}");
    fs::write(data.path().join("chain1/node.conf"), "rpcpassword=x\n").unwrap();
    let error = ask(&data, &["chain1", "getinfo"]).err().unwrap().to_string();
    assert!(error.contains("-rpcport"), "{error}");
}

#[test]
fn help_and_version_need_no_chain() {
    let data = data(&[]);
    for words in [&["-help"][..], &["--help"], &["chain1", "-help"]] {
        assert!(matches!(ask(&data, words).unwrap(), Wish::Print(text) if text.contains("Usage:")));
    }
    assert!(matches!(ask(&data, &["--version"]).unwrap(), Wish::Print(text) if text.contains("version")));
    assert!(matches!(ask(&data, &["help"]).unwrap(), Wish::Print(text) if text.contains("== Streams ==")));
    assert!(
        matches!(ask(&data, &["help", "publish"]).unwrap(), Wish::Print(text) if text.contains("publish \"stream\""))
    );
    assert!(matches!(ask(&data, &[]).unwrap(), Wish::Misuse));
}

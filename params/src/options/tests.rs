//! Tests of splitting command lines and of which value counts.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use super::*;
use std::fs;

fn line(arguments: &[&str]) -> CommandLine {
    CommandLine::parse(arguments, |_| false).unwrap()
}

fn typed(arguments: &[&str]) -> Result<Options, OptionError> {
    let data = tempfile::tempdir().unwrap();
    let datadir = format!("-datadir={}", data.path().display());
    let mut all = vec![datadir.as_str()];
    all.extend(arguments);
    Options::resolve(&line(&all), None)
}

#[test]
fn options_stand_before_or_after_words_and_negative_numbers_are_words() {
    let line = line(&["-daemon", "chain1", "--rpc-port=5", "-5", "-1.5", "-", "", "-datadir=/d=e"]);
    assert_eq!(line.words, ["chain1", "-5", "-1.5", "-", ""]);
    assert_eq!(line.text("rpcport"), Some("5"));
    assert_eq!(line.text("daemon"), Some("1"));
    assert_eq!(line.data_directory(), PathBuf::from("/d=e"));
    assert_eq!(line.text("port"), None);
}

#[test]
fn after_the_method_everything_is_a_word() {
    let arguments = ["-rpcport=5", "chain1", "-rpcuser=a", "publish", "-x", "--y=1"];
    let line = CommandLine::parse(arguments, |words| words.len() >= 2).unwrap();
    assert_eq!(line.words, ["chain1", "publish", "-x", "--y=1"]);
    assert_eq!(line.options.len(), 2);
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    let error = CommandLine::parse([OsString::from_vec(vec![0xff])], |_| false).unwrap_err();
    assert!(matches!(error, OptionError::NotText(_)));
}

#[test]
fn hyphens_underscores_and_no_are_understood() {
    let options = typed(&["-rpc-port=5", "--short_output", "-nolisten", "-nogen=0", "-nodaemon=1"]).unwrap();
    assert_eq!(options.number("rpcport", 0, 1..=65_535).unwrap(), 5);
    assert!(options.flag("shortoutput", false));
    assert!(!options.flag("listen", true));
    assert!(options.flag("gen", false));
    assert!(!options.flag("daemon", true));
    assert!(options.flag("flushsourcechunks", true));
}

#[test]
fn the_last_one_on_the_command_line_counts_and_lists_keep_their_order() {
    let options = typed(&["-port=1", "-addnode=a", "-port=2", "-addnode=b"]).unwrap();
    assert_eq!(options.text("port"), Some("2"));
    assert_eq!(options.all("addnode"), ["a", "b"]);
}

#[test]
fn unknown_options_are_refused_with_the_nearest_known_one() {
    let error = typed(&["-rcpport=5"]).unwrap_err().to_string();
    assert_eq!(error, "unknown option rcpport on the command line, did you mean -rpcport?");
    let error = typed(&["-Port=5"]).unwrap_err().to_string();
    assert!(error.ends_with("did you mean -port?"), "{error}");
    assert!(matches!(typed(&["-frobnicate"]), Err(OptionError::Unknown { nearest: None, .. })));
}

#[test]
fn values_of_another_form_are_refused() {
    for (argument, expected) in [
        ("-daemon=maybe", "option -daemon on the command line is \"maybe\", expected 0 or 1"),
        ("-port=x", "option -port on the command line is \"x\", expected a whole number"),
        ("-rpcuser", "option -rpcuser on the command line needs a value: -rpcuser=..."),
        ("-miningturnover=x", "option -miningturnover on the command line is \"x\", expected a number"),
    ] {
        assert_eq!(typed(&[argument]).unwrap_err().to_string(), expected);
    }
    let error = typed(&["-port=70000"]).unwrap().number("port", 0, 1..=65_535).unwrap_err().to_string();
    assert_eq!(error, "option -port on the command line is 70000, the allowed range is 1 to 65535");
}

#[test]
fn each_place_counts_more_than_the_next() {
    let data = tempfile::tempdir().unwrap();
    let chain = ChainDirectory::new(data.path(), "chain1").unwrap();
    chain.make().unwrap();
    let write = |path: PathBuf, from: usize| {
        let names = ["maxshowndata", "maxqueryscanitems", "bantime", "banscore", "timeout"];
        let text: String = names[..=from].iter().map(|name| format!("{name}={from}\n")).collect();
        fs::write(path, text + &format!("addnode=host{from}\n")).unwrap();
    };
    write(chain.runtime_conf(), 1);
    write(chain.conf(), 2);
    write(chain.legacy_conf(), 3);
    write(chain.data_conf(), 4);
    let options = Options::resolve(&line(&["-maxshowndata=0", "-addnode=host0"]), Some(&chain)).unwrap();
    for (place, name) in ["maxshowndata", "maxqueryscanitems", "bantime", "banscore", "timeout"].iter().enumerate() {
        assert_eq!(options.text(name), Some(place.to_string().as_str()), "{name}");
    }
    assert_eq!(options.all("addnode"), ["host0", "host1", "host2", "host3", "host4"]);
    let options = Options::resolve(&line(&["-noaddnode"]), Some(&chain)).unwrap();
    assert!(options.all("addnode").is_empty());
}

#[test]
fn the_first_line_of_a_file_counts_and_errors_name_the_line() {
    let data = tempfile::tempdir().unwrap();
    let chain = ChainDirectory::new(data.path(), "chain1").unwrap();
    chain.make().unwrap();
    fs::write(chain.conf(), "port=1\nport=2\n").unwrap();
    let options = Options::resolve(&line(&[]), Some(&chain)).unwrap();
    assert_eq!(options.text("port"), Some("1"));
    fs::write(chain.conf(), "\nprt=1\n").unwrap();
    let error = Options::resolve(&line(&[]), Some(&chain)).unwrap_err().to_string();
    assert!(error.contains("node.conf line 2, did you mean -port?"), "{error}");
}

#[test]
fn options_of_other_nodes_are_left_out_and_told() {
    let data = tempfile::tempdir().unwrap();
    let chain = ChainDirectory::new(data.path(), "chain1").unwrap();
    chain.make().unwrap();
    fs::write(chain.legacy_conf(), "rpcpassword=secret\nsomefeature=1\n").unwrap();
    let options = Options::resolve(&line(&["-walletdbversion=2"]), Some(&chain)).unwrap();
    assert_eq!(options.text("rpcpassword"), Some("secret"));
    assert_eq!(options.ignored().len(), 2, "{:?}", options.ignored());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let options = typed(&["-rpcpassword=hunter2"]).unwrap();
    assert!(!format!("{options:?}").contains("hunter2"));
    assert!(!format!("{:?}", line(&["-initprivkey=hunter2", "hunter2"])).contains("hunter2"));
}

#[test]
fn another_configuration_file_can_be_named() {
    let data = tempfile::tempdir().unwrap();
    let chain = ChainDirectory::new(data.path(), "chain1").unwrap();
    chain.make().unwrap();
    fs::write(chain.conf(), "port=1\n").unwrap();
    fs::write(chain.path().join("other.conf"), "port=2\n").unwrap();
    let options = Options::resolve(&line(&["-conf=other.conf"]), Some(&chain)).unwrap();
    assert_eq!(options.text("port"), Some("2"));
}

//! Tests of settings: defaults, options, and the rules of changes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use super::RuntimeValue::{Bool, Integer, Real, Text};
use super::*;
use crate::options::CommandLine;

fn chain() -> ParameterSet {
    crate::file::parse(include_str!("../hash/recorded.dat"), "chain1").unwrap().0
}

fn settings(arguments: &[&str]) -> Result<RuntimeSettings, OptionError> {
    let data = tempfile::tempdir().unwrap();
    let datadir = format!("-datadir={}", data.path().display());
    let mut all = vec![datadir.as_str()];
    all.extend(arguments);
    let line = CommandLine::parse(all, |_| false).unwrap();
    RuntimeSettings::resolve(&Options::resolve(&line, None).unwrap(), &chain())
}

fn text(value: &str) -> RuntimeValue {
    Text(value.to_owned())
}

#[test]
fn members_have_the_recorded_order_and_defaults() {
    let members = settings(&[]).unwrap().members("1abc");
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let recorded = "port reindex rescan txindex autocombineminconf autocombinemininputs autocombinemaxinputs \
        autocombinedelay autocombinesuspend autosubscribe handshakelocal bantx lockblock hideknownopdrops maxshowndata \
        maxqueryscanitems v1apicompatible miningrequirespeers mineemptyrounds miningturnover lockadminminerounds gen \
        genproclimit lockinlinemetadata acceptfiltertimeout sendfiltertimeout";
    assert_eq!(names.join(" "), recorded);
    let value = |name| members.iter().find(|member| member.0 == name).unwrap().1.clone();
    assert_eq!(value("port"), Integer(2917));
    assert_eq!(value("mineemptyrounds"), Real(10.0));
    assert_eq!(value("miningturnover"), Real(0.5));
    assert_eq!(value("miningrequirespeers"), Bool(true));
    assert_eq!(value("handshakelocal"), text("1abc"));
}

#[test]
fn combining_follows_options_and_changes() {
    let mut settings = settings(&["-autocombinemininputs=10", "-autocombinemaxtxs=3"]).unwrap();
    assert_eq!((settings.autocombine.min_inputs, settings.autocombine.max_inputs), (10, 100));
    assert_eq!(settings.autocombine.max_txs, 3);
    settings.set("autocombinemininputs", &Integer(0)).unwrap();
    assert_eq!(settings.autocombine.min_inputs, 0);
    assert!(settings.set("autocombinedelay", &Integer(-1)).is_err());
    assert_eq!(settings.autocombine.delay, 1);
}

#[test]
fn options_override_the_chains_defaults() {
    let settings =
        settings(&["-port=1234", "-mineemptyrounds=-1", "-miningturnover=1", "-miningrequirespeers=0"]).unwrap();
    assert_eq!(settings.port, 1234);
    assert_eq!(settings.mineemptyrounds_millionths, -1_000_000);
    assert_eq!(settings.miningturnover_millionths, 1_000_000);
    assert!(!settings.miningrequirespeers);
}

#[test]
fn options_out_of_range_are_refused() {
    for argument in [
        "-port=0",
        "-maxshowndata=-1",
        "-miningturnover=1.1",
        "-miningturnover=-0.000000001",
        "-mineemptyrounds=-2",
        "-mineemptyrounds=1001",
        "-bantx=zz",
        "-lockblock=zz",
        "-autosubscribe=everything",
        "-handshakelocal=nonsense",
    ] {
        let error = settings(&[argument]).unwrap_err().to_string();
        assert!(error.contains("on the command line"), "{argument}: {error}");
    }
}

#[test]
fn recorded_changes_are_taken() {
    let mut settings = settings(&[]).unwrap();
    let address = chain().address_scheme().burn_address();
    for (name, value) in [
        ("maxshowndata", Integer(100)),
        ("maxshowndata", text("200")),
        ("maxqueryscanitems", Integer(1000)),
        ("miningturnover", Real(0.8)),
        ("mineemptyrounds", Real(2.5)),
        ("mineemptyrounds", text("-1")),
        ("miningrequirespeers", Bool(false)),
        ("miningrequirespeers", text("true")),
        ("miningrequirespeers", Integer(0)),
        ("lockadminminerounds", Integer(5)),
        ("autosubscribe", text("streams,assets")),
        ("bantx", text("")),
        ("bantx", text(&"ab".repeat(32))),
        ("lockblock", text("")),
        ("hideknownopdrops", Bool(true)),
        ("acceptfiltertimeout", Integer(500)),
        ("sendfiltertimeout", Integer(200)),
        ("lockinlinemetadata", Bool(true)),
        ("handshakelocal", text(&address)),
    ] {
        settings.set(name, &value).unwrap();
    }
    assert_eq!(settings.maxshowndata, 200);
    assert_eq!(settings.miningturnover_millionths, 800_000);
    assert!(!settings.miningrequirespeers);
    assert!(settings.subscribes_streams() && settings.subscribes_assets());
    assert_eq!(settings.handshakelocal, Some(address));
    assert_eq!(settings.bantx.len(), 1);
}

#[test]
fn recorded_refusals_are_refused_and_change_nothing() {
    let mut settings = settings(&[]).unwrap();
    let before = settings.clone();
    for (name, value, code) in [
        ("MaxShownData", Integer(300), -8),
        ("nosuchparam", Integer(1), -8),
        ("miningturnover", Integer(2), -8),
        ("miningturnover", Integer(1), -8),
        ("miningturnover", Real(1.5), -8),
        ("mineemptyrounds", Integer(-1), -8),
        ("mineemptyrounds", Real(-2.5), -8),
        ("lockadminminerounds", Integer(-5), -8),
        ("maxshowndata", Integer(-1), -8),
        ("maxshowndata", Real(1.0), -8),
        ("autosubscribe", text("nonsense"), -8),
        ("autosubscribe", Bool(true), -8),
        ("bantx", text("zz"), -8),
        ("miningrequirespeers", Real(1.0), -8),
        ("handshakelocal", text("nonsense"), -5),
    ] {
        let error = settings.set(name, &value).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }
    assert_eq!(settings, before);
}

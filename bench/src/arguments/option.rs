//! Pairs of `--name value`: read, looked up, and held to limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::{MAX_SECONDS, Target};

/// The `--name value` pairs of a command line.
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Reads pairs whose names are among those of the workload.
    pub fn read(workload: &str, names: &[&[&str]], words: &[String]) -> anyhow::Result<Self> {
        let mut pairs = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").with_context(|| format!("expected --option, got {word}"))?;
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let known = names.iter().any(|names| names.contains(&name));
            ensure!(known, "{workload} has no option --{name} (--help lists them)");
            let value = value.or_else(|| words.next().cloned()).with_context(|| format!("--{name} needs a value"))?;
            pairs.push((name.to_owned(), value));
        }
        Ok(Self(pairs))
    }

    /// The last value of an option.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// A path that has to be given.
    pub fn needed_path(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.path(name).with_context(|| format!("--{name} is missing"))
    }

    /// A whole number within limits.
    pub fn number<N>(&self, name: &str, least: N, most: N) -> anyhow::Result<Option<N>>
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        self.text(name).map(|text| number(name, text, least, most)).transpose()
    }

    /// Whole numbers with commas between them, each greater than the one before.
    pub fn rising(&self, name: &str, least: u64, most: u64) -> anyhow::Result<Option<Vec<u64>>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let numbers = text.split(',').map(|one| number(name, one, least, most)).collect::<anyhow::Result<Vec<_>>>()?;
        let rise = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        ensure!(rise, "--{name} is {text}: each number must be greater than the one before");
        Ok(Some(numbers))
    }

    /// A number of seconds, `usual` of them when none is given.
    pub fn seconds(&self, name: &str, usual: u64) -> anyhow::Result<Duration> {
        Ok(Duration::from_secs(self.number(name, 1, MAX_SECONDS)?.unwrap_or(usual)))
    }

    /// The node that `--host` and `--port` name.
    pub fn target(&self) -> anyhow::Result<Target> {
        let (user, password) = self.credentials("")?;
        Ok(Target {
            host: self.text("host").unwrap_or("127.0.0.1").to_owned(),
            port: self.number("port", 1, 65_535)?.context("--port is missing")?,
            user,
            password,
        })
    }

    /// The node that `--second` names.
    pub fn second_target(&self) -> anyhow::Result<Option<Target>> {
        let Some(place) = self.text("second") else {
            let alone = self.0.iter().find(|(name, _)| name.starts_with("second-") || name == "slice");
            return match alone {
                Some((name, _)) => bail!("--{name} says something of a second node, and --second is missing"),
                None => Ok(None),
            };
        };
        let pair = place.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let (host, port) = pair.with_context(|| format!("--second is {place}: HOST:PORT is expected"))?;
        let port = number("second", port, 1, 65_535)?;
        let (user, password) = self.credentials("second-")?;
        Ok(Some(Target { host: host.to_owned(), port, user, password }))
    }

    fn credentials(&self, of: &str) -> anyhow::Result<(String, String)> {
        if let Some(conf) = self.text(&format!("{of}conf")) {
            return read_conf(Path::new(conf));
        }
        let needed = |name: &str| {
            let text = self.text(&format!("{of}{name}"));
            text.map(str::to_owned).with_context(|| format!("--{of}{name} (or --{of}conf) is missing"))
        };
        Ok((needed("user")?, needed("password")?))
    }
}

fn number<N>(name: &str, text: &str, least: N, most: N) -> anyhow::Result<N>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse::<N>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => bail!("--{name} is {text}: a whole number from {least} to {most} is expected"),
    }
}

/// User and password of a node.conf.
pub fn read_conf(path: &Path) -> anyhow::Result<(String, String)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = |name: &str| {
        let pair = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name);
        pair.map(|(_, value)| value.trim().to_owned()).with_context(|| format!("no {name} in {}", path.display()))
    };
    Ok((value("rpcuser")?, value("rpcpassword")?))
}

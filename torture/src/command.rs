//! The command line: what is done to nodes, how often, and where it goes on.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// How it is used.
pub const HELP: &str = "rota-torture: what nodes survive

  rota-torture kill     ends a node at every crash point and kills it at random times, under load
    --kills N           kills at random times (default 50)
    --recovery N        least percentage of kills during a start (default 10)
    --points N          times that each crash point is hit (default 1)
    --transactions N    transactions the chain has before the first kill (default 0)
  rota-torture damage   truncates files of a node and flips bits in them
    --count N           damages (default 40)
    --only WORD         only files whose kind is so named, as in the report

  --seed N              chance comes from it (default 1)
  --state DIR           keeps the nodes and what is done there, and goes on from it; otherwise a temporary folder
  --for SECONDS         stops after so many seconds; with --state the next run goes on

Binaries are looked for beside this one. The exit status is 1 if a promise was broken.";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Kills and crash points.
    Kill(KillPlan),
    /// Damaged files.
    Damage(DamagePlan),
}

/// How often a node is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillPlan {
    /// Kills at random times.
    pub kills: u64,
    /// Percentage of kills during a start, at least.
    pub recovery: u64,
    /// Times each crash point is hit.
    pub points: u64,
    /// Transactions before the first kill.
    pub transactions: u64,
    /// What both commands take.
    pub run: Run,
}

/// How often files are damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagePlan {
    /// Damages.
    pub count: u64,
    /// The only kind of file, if one was named.
    pub only: Option<String>,
    /// What both commands take.
    pub run: Run,
}

/// What both commands take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Where chance comes from.
    pub seed: u64,
    /// Where to go on from.
    pub state: Option<PathBuf>,
    /// Seconds after which to stop.
    pub seconds: Option<u64>,
}

impl Command {
    /// Reads the arguments; none if help is asked for.
    ///
    /// # Errors
    /// Names the word that is not understood.
    pub fn parse(words: &[String]) -> anyhow::Result<Option<Command>> {
        let mut run = Run { seed: 1, ..Run::default() };
        let mut kill = KillPlan { kills: 50, recovery: 10, points: 1, transactions: 0, run: Run::default() };
        let mut damage = DamagePlan { count: 40, only: None, run: Run::default() };
        if words.iter().any(|word| word == "--help" || word == "-h") {
            return Ok(None);
        }
        let mut words = words.iter();
        let kills = match words.next().map(String::as_str) {
            Some("kill") => true,
            Some("damage") => false,
            Some("help") | None => return Ok(None),
            Some(other) => bail!("{other} is neither kill nor damage; --help tells more"),
        };
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            let number = || value.parse::<u64>().with_context(|| format!("{word} takes a number, got {value}"));
            match (word.as_str(), kills) {
                ("--kills", true) => kill.kills = number()?,
                ("--recovery", true) => kill.recovery = number()?.min(100),
                ("--points", true) => kill.points = number()?,
                ("--transactions", true) => kill.transactions = number()?,
                ("--count", false) => damage.count = number()?,
                ("--only", false) => damage.only = Some(value.clone()),
                ("--seed", _) => run.seed = number()?,
                ("--state", _) => run.state = Some(value.into()),
                ("--for", _) => run.seconds = Some(number()?),
                (other, _) => bail!("{other} is not understood; --help tells what is"),
            }
        }
        Ok(Some(match kills {
            true => Command::Kill(KillPlan { run, ..kill }),
            false => Command::Damage(DamagePlan { run, ..damage }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Option<Command>> {
        Command::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_that_are_not_understood_are_named() {
        assert!(
            matches!(parse("kill --kills 7"), Ok(Some(Command::Kill(plan))) if plan.kills == 7 && plan.points == 1)
        );
        assert!(matches!(parse("damage --count 3 --seed 9"), Ok(Some(Command::Damage(p))) if p.run.seed == 9));
        for help in ["", "help", "--help", "kill --help", "damage --count 3 -h"] {
            assert!(matches!(parse(help), Ok(None)), "{help}");
        }
        for bad in ["burn", "kill --count 3", "kill --kills", "damage --count x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

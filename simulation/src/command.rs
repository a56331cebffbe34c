//! What the program is told: which seeds, for how long, from which file it goes on, and how it reports.
#![allow(clippy::print_stdout, reason = "this is a program for a person")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::check::Counts;
use crate::plan::Plan;
use crate::run::{Outcome, Reading, run};
use crate::turnover;

/// How it is used.
pub const HELP: &str = "rota-simulate: networks of nodes in simulated time, one for each seed

  --seeds A..B      run the seeds from A to B - 1 (default 0..1000)
  --seed N          run one seed and print what happens
  --for SECONDS     stop after so many seconds
  --resume FILE     go on where FILE says the last run ended; write it as seeds are done
  --threads N       seeds run side by side (default: as many as there are cores)
  --turnover N      make N blocks at turnover 0 and at 1, and judge who made them
  --twice           run every seed twice and compare all events
  --failures N      stop after N seeds that failed (default 1)

The exit status is 1 if a property did not hold.";

/// How often progress is told.
const REPORT: Duration = Duration::from_secs(10);
/// How often the file to go on from is written.
const NOTED: Duration = Duration::from_secs(5);
/// Last events shown of a seed that failed.
const SHOWN: usize = 60;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    seeds: Range<u64>,
    one: bool,
    seconds: Option<u64>,
    resume: Option<PathBuf>,
    threads: usize,
    twice: bool,
    failures: usize,
    turnover: Option<u32>,
}

impl Command {
    /// Reads the arguments.
    ///
    /// # Errors
    /// Names the word that is not understood.
    pub fn parse(words: &[String]) -> anyhow::Result<Command> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command {
            seeds: 0..1_000,
            one: false,
            seconds: None,
            resume: None,
            threads: cores,
            twice: false,
            failures: 1,
            turnover: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--seeds" => {
                    let text = value()?;
                    let (first, last) = text.split_once("..").with_context(|| format!("{text} is no range A..B"))?;
                    command.seeds = first.parse()?..last.parse()?;
                    ensure!(!command.seeds.is_empty(), "{text} holds no seed");
                }
                "--seed" => {
                    let seed: u64 = value()?.parse().context("--seed takes a number")?;
                    (command.seeds, command.one) = (seed..seed + 1, true);
                }
                "--for" => command.seconds = Some(value()?.parse().context("--for takes seconds")?),
                "--resume" => command.resume = Some(value()?.into()),
                "--threads" => command.threads = value()?.parse::<usize>().context("--threads takes a number")?.max(1),
                "--turnover" => command.turnover = Some(value()?.parse().context("--turnover takes blocks")?),
                "--failures" => command.failures = value()?.parse().context("--failures takes a number")?,
                "--twice" => command.twice = true,
                other => bail!("{other} is not understood; --help tells what is"),
            }
        }
        Ok(command)
    }

    /// Runs the seeds and reports.
    ///
    /// # Errors
    /// If the machine fails, not the code under test.
    pub fn carry_out(self) -> anyhow::Result<ExitCode> {
        let folder = folder()?;
        let done = self.carry_out_in(&folder);
        let _ = std::fs::remove_dir_all(&folder);
        done
    }

    fn carry_out_in(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        if let Some(blocks) = self.turnover {
            return alone(|| turnover::report(blocks, folder));
        }
        if self.one {
            return alone(|| show(self.seeds.start, folder));
        }
        let first = match &self.resume {
            Some(file) if file.exists() => {
                let text = std::fs::read_to_string(file)?;
                text.trim().parse::<u64>().with_context(|| format!("{} holds no seed", file.display()))?
            }
            _ => self.seeds.start,
        };
        let board = Mutex::new(Board::new(first.max(self.seeds.start), self.seeds.end));
        let end = self.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let failed: anyhow::Result<Vec<()>> = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..self.threads).map(|_| scope.spawn(|| alone(|| self.work(&board, end, folder)))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
        });
        let mut board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.note(&mut board, true)?;
        failed?;
        println!("{}", board.summary());
        if !board.failed.is_empty() {
            alone(|| board.failed.iter().try_for_each(|(seed, outcome)| tell(*seed, outcome, folder)))?;
        }
        Ok(if board.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn work(&self, board: &Mutex<Board>, end: Option<Instant>, folder: &Path) -> anyhow::Result<()> {
        loop {
            let seed = {
                let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
                let late = end.is_some_and(|end| Instant::now() >= end);
                if late || board.next >= board.end || board.failed.len() >= self.failures {
                    return Ok(());
                }
                board.next += 1;
                board.next - 1
            };
            let mut outcome = run(Plan::of(seed), folder, Reading::default())?;
            if self.twice {
                let again = run(Plan::of(seed), folder, Reading::default())?;
                if again.hash != outcome.hash {
                    outcome.failure = Some(crate::check::Failure {
                        property: "the same seed gives the same events",
                        detail: format!("{} events, then {}", outcome.events, again.events),
                    });
                }
            }
            let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
            board.done(seed, outcome);
            self.note(&mut board, false)?;
        }
    }

    /// Tells progress and writes where to go on, when either is due.
    fn note(&self, board: &mut Board, last: bool) -> anyhow::Result<()> {
        if board.reported.elapsed() >= REPORT {
            board.reported = Instant::now();
            println!("{}", board.progress());
            std::io::stdout().flush()?;
        }
        if let Some(file) = &self.resume
            && (last || board.noted.elapsed() >= NOTED)
        {
            board.noted = Instant::now();
            std::fs::write(file, format!("{}\n", board.all_done()))?;
        }
        Ok(())
    }
}

/// What was run so far.
#[derive(Debug)]
struct Board {
    first: u64,
    next: u64,
    end: u64,
    running: BTreeMap<u64, ()>,
    done: u64,
    highest: u64,
    failed: Vec<(u64, Outcome)>,
    counts: Counts,
    begun: Instant,
    reported: Instant,
    noted: Instant,
}

impl Board {
    fn new(first: u64, end: u64) -> Board {
        let now = Instant::now();
        Board {
            first,
            next: first,
            end,
            running: BTreeMap::new(),
            done: 0,
            highest: first,
            failed: Vec::new(),
            counts: Counts::default(),
            begun: now,
            reported: now,
            noted: now,
        }
    }

    fn done(&mut self, seed: u64, outcome: Outcome) {
        self.done += 1;
        self.counts.add(&outcome.counts);
        // Seeds end out of order: those ahead of the first open one are remembered until it is done.
        self.running.insert(seed, ());
        while self.running.remove(&self.highest).is_some() {
            self.highest += 1;
        }
        if outcome.failure.is_some() {
            self.failed.push((seed, outcome));
        }
    }

    /// The first seed that is not done.
    fn all_done(&self) -> u64 {
        // A seed that failed is run again.
        self.failed.iter().map(|(seed, _)| *seed).min().unwrap_or(self.highest).min(self.highest)
    }

    fn rate(&self) -> f64 {
        self.done as f64 / self.begun.elapsed().as_secs_f64().max(0.001)
    }

    fn progress(&self) -> String {
        let left = (self.end - self.first).saturating_sub(self.done);
        let seconds = left as f64 / self.rate().max(0.001);
        let failed = self.failed.len();
        format!(
            "{} of {} seeds, {failed} failed, {:.1} seeds/s, about {:.0} min left",
            self.done,
            self.end - self.first,
            self.rate(),
            seconds / 60.0
        )
    }

    fn summary(&self) -> String {
        let failed = self.failed.len();
        let c = &self.counts;
        format!(
            "simulation: {} seeds from {}, {failed} failed, {:.1} seeds/s, {:.0} s\n\
             seen: {} blocks, {} reorganisations (deepest {}), {} partitions, {} starts after a crash ({} power cuts), \
             {} wrong clocks, {} changes of miners, {} byzantine acts ({} times found out), {} stalls, \
             {} governance forks, {} transactions acknowledged ({} ended visibly), {} messages lost, {} runs \
             contested for longer than three block times",
            self.done,
            self.first,
            self.rate(),
            self.begun.elapsed().as_secs_f64(),
            c.blocks,
            c.reorganisations,
            c.deepest,
            c.partitions,
            c.restarts,
            c.power_cuts,
            c.skews,
            c.grants,
            c.byzantine,
            c.accused,
            c.stalls,
            c.governance,
            c.acknowledged,
            c.ended,
            c.dropped,
            c.late
        )
    }
}

/// Runs with all parallel work of the code under test in this one thread.
fn alone<R: Send>(work: impl FnOnce() -> anyhow::Result<R> + Send) -> anyhow::Result<R> {
    let _pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?;
    work()
}

/// A folder for files, in memory where the machine has one.
fn folder() -> anyhow::Result<PathBuf> {
    let shared = PathBuf::from("/dev/shm");
    let base = if shared.is_dir() { shared } else { std::env::temp_dir() };
    let folder = base.join(format!("rota-simulation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Runs one seed and prints what happens, with the nodes' own logs.
fn show(seed: u64, folder: &Path) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .without_time()
        .with_writer(std::io::stdout)
        .init();
    let plan = Plan::of(seed);
    println!("{plan:#?}");
    let outcome = run(plan, folder, Reading { keeps: true, prints: true })?;
    println!("{:#?}", outcome.counts);
    println!("height {}, {} events, hash {}", outcome.height, outcome.events, hex(&outcome.hash));
    match &outcome.failure {
        None => {
            println!("all properties hold");
            Ok(ExitCode::SUCCESS)
        }
        Some(failure) => {
            println!("FAILED: {}\n{}", failure.property, failure.detail);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Runs a seed that failed once more, for its last events.
fn tell(seed: u64, outcome: &Outcome, folder: &Path) -> anyhow::Result<()> {
    let again = run(Plan::of(seed), folder, Reading { keeps: true, prints: false })?;
    println!("\nseed {seed} FAILED; rota-simulate --seed {seed} shows all of it. Its last events:");
    let from = again.lines.len().saturating_sub(SHOWN);
    for line in again.lines.iter().skip(from) {
        println!("  {line}");
    }
    if let Some(failure) = &outcome.failure {
        println!("seed {seed} FAILED: {}\n  {}", failure.property, failure.detail);
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> anyhow::Result<Command> {
        Command::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_that_are_not_understood_are_named() {
        assert_eq!(parse(&["--seeds", "5..9"]).map(|command| command.seeds).ok(), Some(5..9));
        assert_eq!(parse(&["--seed", "7"]).map(|command| (command.seeds, command.one)).ok(), Some((7..8, true)));
        for bad in [&["--seed"][..], &["--seeds", "5"], &["--seeds", "9..5"], &["--sed", "5"], &["--for", "x"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_run_goes_on_at_the_first_seed_that_is_not_done() {
        let mut board = Board::new(10, 20);
        let outcome = || Outcome {
            failure: None,
            hash: [0; 32],
            events: 0,
            height: 0,
            counts: Counts::default(),
            lines: Vec::new(),
        };
        board.done(11, outcome());
        assert_eq!(board.all_done(), 10);
        board.done(10, outcome());
        assert_eq!(board.all_done(), 12);
        let failure = Some(crate::check::Failure { property: "p", detail: String::new() });
        board.done(12, Outcome { failure, ..outcome() });
        assert_eq!(board.all_done(), 12);
    }
}

//! What the program is told, and how it reports: a process for each target, so that one that dies names its input.
#![allow(clippy::print_stdout, reason = "this is a program for a person")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::seed;
use crate::target::{Target, find, targets};
use crate::trial::attempt;
use crate::worker::{Plan, work};

/// How it is used.
pub const HELP: &str = "rota-fuzz [TARGET ...]: changed inputs for every decoder, or for those named

  --executions N    inputs for each target, those of earlier runs included (default 100000)
  --for SECONDS     stop after so many seconds, shared among the targets
  --state FOLDER    go on where FOLDER says the last run ended; write it as inputs are done
  --jobs N          targets side by side (default: as many as there are cores)
  --seed N          what all chance follows from (default 1)
  --input FILE      give this input to the one target named, and say what came of it
  --list            name the targets
  --write-corpus    write the inputs that the repository keeps, made from golden vectors and of what is read

A target that breaks a promise is named with the file of the input that did it; the exit status is 1.";

/// How often progress is told.
const REPORT: Duration = Duration::from_secs(10);

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    targets: Vec<&'static str>,
    executions: u64,
    seconds: Option<u64>,
    state: Option<PathBuf>,
    jobs: usize,
    seed: u64,
    input: Option<PathBuf>,
    trace: Option<PathBuf>,
    act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    All,
    Worker,
    List,
    WriteCorpus,
}

impl Command {
    /// Reads the arguments.
    ///
    /// # Errors
    /// Names the word that is not understood.
    pub fn parse(words: &[String]) -> anyhow::Result<Command> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command {
            targets: Vec::new(),
            executions: 100_000,
            seconds: None,
            state: None,
            jobs: cores,
            seed: 1,
            input: None,
            trace: None,
            act: Act::All,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--executions" => command.executions = value()?.parse().context("--executions takes a number")?,
                "--for" => command.seconds = Some(value()?.parse().context("--for takes seconds")?),
                "--state" => command.state = Some(value()?.into()),
                "--jobs" => command.jobs = value()?.parse::<usize>().context("--jobs takes a number")?.max(1),
                "--seed" => command.seed = value()?.parse().context("--seed takes a number")?,
                "--input" => command.input = Some(value()?.into()),
                "--trace" => command.trace = Some(value()?.into()),
                "--worker" => command.act = Act::Worker,
                "--list" => command.act = Act::List,
                "--write-corpus" => command.act = Act::WriteCorpus,
                other => match find(other) {
                    Some(target) => command.targets.push(target.name),
                    None => bail!("{other} is no target; --list names them, --help tells what is understood"),
                },
            }
        }
        if command.targets.is_empty() {
            command.targets = targets().map(|target| target.name).collect();
        }
        Ok(command)
    }

    /// Does what it says.
    ///
    /// # Errors
    /// If the machine fails, not a decoder.
    pub fn carry_out(self) -> anyhow::Result<ExitCode> {
        if let Some(file) = &self.input {
            let input = std::fs::read(file).with_context(|| file.display().to_string())?;
            let outcome = attempt(self.one()?, &input);
            println!("{outcome:?}");
            return Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        match self.act {
            Act::All => self.all(),
            Act::Worker => self.worker(),
            Act::List => {
                println!("{}", self.targets.join("\n"));
                Ok(ExitCode::SUCCESS)
            }
            Act::WriteCorpus => seed::write().map(|()| ExitCode::SUCCESS),
        }
    }

    fn one(&self) -> anyhow::Result<&'static Target> {
        let [name] = self.targets.as_slice() else { bail!("name one target") };
        find(name).context("the name was found before")
    }

    /// Works on one target; lines tell the process above how it goes.
    fn worker(&self) -> anyhow::Result<ExitCode> {
        let target = self.one()?;
        let plan = Plan {
            executions: self.executions,
            time: self.seconds.map(Duration::from_secs),
            seed: self.seed,
            state: self.state.as_ref().map(|folder| folder.join(target.name)),
            trace: self.trace.clone(),
        };
        let report = work(target, &plan, |executions| {
            println!("at {executions}");
            // Nobody listening is noticed at the next line.
            let _ = std::io::stdout().flush();
        })?;
        let (made, micros) = (report.made, report.elapsed.as_micros().max(1));
        let rate = u128::from(made) * 1_000_000 / micros;
        println!("done {} {made} {rate} {}", report.executions, report.inputs);
        let Some((broken, input)) = report.broken else { return Ok(ExitCode::SUCCESS) };
        let file = failure_file(self.state.as_deref(), target.name);
        std::fs::write(&file, input).with_context(|| file.display().to_string())?;
        println!("broken {} {}", file.display(), broken.to_string().replace('\n', " "));
        Ok(ExitCode::FAILURE)
    }

    fn all(&self) -> anyhow::Result<ExitCode> {
        if let Some(folder) = &self.state {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let board = Mutex::new(Board::new(self.targets.len() as u64 * self.executions));
        let queue = Mutex::new(self.targets.clone().into_iter());
        std::thread::scope(|scope| {
            let jobs: Vec<_> = (0..self.jobs).map(|_| scope.spawn(|| self.job(&queue, &board))).collect();
            jobs.into_iter().try_for_each(|job| job.join().unwrap_or_else(|_| bail!("a thread panicked")))
        })?;
        let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
        println!(
            "{} targets, {} inputs in {} s, {} broke a promise",
            self.targets.len(),
            board.made,
            board.begun.elapsed().as_secs(),
            board.failed
        );
        Ok(if board.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn job(&self, queue: &Mutex<std::vec::IntoIter<&'static str>>, board: &Mutex<Board>) -> anyhow::Result<()> {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(name) = next else { return Ok(()) };
            let told = self.child(name, None, board)?;
            let line = match told {
                Told { broken: Some(broken), rate, .. } => format!("{name}: {rate}/s, BROKEN {broken}"),
                Told { done: true, executions, rate, inputs, .. } => {
                    format!("{name}: {executions} inputs, {rate}/s, {inputs} kept, sound")
                }
                // It died without a word: it is run again, each input written before it is tried.
                Told { .. } => {
                    let file = failure_file(self.state.as_deref(), name);
                    self.child(name, Some(&file), board)?;
                    format!("{name}: BROKEN {} the process ended", file.display())
                }
            };
            let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
            board.failed += usize::from(line.contains(" BROKEN "));
            println!("{line}");
        }
    }

    /// Runs a process for one target.
    fn child(&self, name: &str, trace: Option<&Path>, board: &Mutex<Board>) -> anyhow::Result<Told> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args([
            name,
            "--worker",
            "--executions",
            &self.executions.to_string(),
            "--seed",
            &self.seed.to_string(),
        ]);
        if let Some(folder) = &self.state {
            command.arg("--state").arg(folder);
        }
        match (trace, self.seconds) {
            (Some(file), _) => drop(command.arg("--trace").arg(file)),
            (None, Some(seconds)) => {
                let share = (seconds * self.jobs as u64).div_ceil(self.targets.len() as u64).max(1);
                command.args(["--for", &share.to_string()]);
            }
            (None, None) => {}
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the output was asked for")?;
        let mut told = Told::default();
        for line in BufReader::new(output).lines() {
            told.hear(&line?)?;
            let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
            board.made += told.fresh();
            board.report();
        }
        child.wait()?;
        Ok(told)
    }
}

/// Where the input that broke a promise is put.
fn failure_file(state: Option<&Path>, target: &str) -> PathBuf {
    state.map_or_else(std::env::temp_dir, Path::to_path_buf).join(format!("rota-fuzz-{target}.input"))
}

/// What a process said.
#[derive(Debug, Default)]
struct Told {
    executions: u64,
    counted: u64,
    rate: u64,
    inputs: u64,
    done: bool,
    broken: Option<String>,
}

impl Told {
    fn hear(&mut self, line: &str) -> anyhow::Result<()> {
        match line.split_once(' ') {
            Some(("at", executions)) => self.executions = executions.parse()?,
            Some(("done", figures)) => {
                let figures = figures.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
                ensure!(figures.len() == 4, "{line}: not a line of a worker");
                (self.executions, self.rate, self.inputs, self.done) = (figures[0], figures[2], figures[3], true);
            }
            Some(("broken", what)) => self.broken = Some(what.to_owned()),
            _ => bail!("{line}: not a line of a worker"),
        }
        Ok(())
    }

    /// Trials since this was asked last.
    fn fresh(&mut self) -> u64 {
        let fresh = self.executions.saturating_sub(self.counted);
        self.counted = self.executions;
        fresh
    }
}

/// What was done so far.
#[derive(Debug)]
struct Board {
    wanted: u64,
    made: u64,
    failed: usize,
    begun: Instant,
    reported: Instant,
}

impl Board {
    fn new(wanted: u64) -> Board {
        let now = Instant::now();
        Board { wanted, made: 0, failed: 0, begun: now, reported: now }
    }

    fn report(&mut self) {
        if self.reported.elapsed() < REPORT || self.made == 0 {
            return;
        }
        self.reported = Instant::now();
        let rate = self.made as f64 / self.begun.elapsed().as_secs_f64();
        let left = self.wanted.saturating_sub(self.made) as f64 / rate.max(1.0);
        println!("{} of {} inputs, {rate:.0}/s, at most {left:.0} s left", self.made, self.wanted);
    }
}

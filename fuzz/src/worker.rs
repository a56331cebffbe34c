//! The work on one target: inputs are changed and given to it until enough were, and what the next run needs is kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::codec::{decode, encode};

use crate::change::changed;
use crate::corpus::{Corpus, stored};
use crate::random::Random;
use crate::target::Target;
use crate::trial::{Broken, attempt};

/// Trials between looks at the clock.
const STRIDE: u64 = 1_024;
/// How often progress is told and what the next run needs is written.
const NOTED: Duration = Duration::from_secs(5);

/// What a worker is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Trials in all, those of earlier runs included.
    pub executions: u64,
    /// Longest run.
    pub time: Option<Duration>,
    /// What all chance follows from.
    pub seed: u64,
    /// File from which it goes on, and to which it writes where it is.
    pub state: Option<PathBuf>,
    /// File to which every input is written before it is tried: for one that ends the process.
    pub trace: Option<PathBuf>,
}

/// How it went.
#[derive(Debug)]
pub struct Report {
    /// Trials in all.
    pub executions: u64,
    /// Trials of this run.
    pub made: u64,
    /// Time of this run.
    pub elapsed: Duration,
    /// Inputs that others are made from.
    pub inputs: usize,
    /// What went wrong, and with what input.
    pub broken: Option<(Broken, Vec<u8>)>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct State {
    executions: u64,
    random: u64,
    inputs: Vec<(u64, Vec<u8>)>,
}

/// Works on a target, telling now and then how many trials were made.
///
/// # Errors
/// If files cannot be read or written, or the repository has no corpus of the target.
pub fn work(target: &Target, plan: &Plan, mut tell: impl FnMut(u64)) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let (mut executions, mut random, mut corpus) = match plan.state.as_deref().filter(|file| file.exists()) {
        Some(file) => restored(file)?,
        None => (0, Random::new(plan.seed), Corpus::default()),
    };
    let mut made = 0;
    let report = |executions, made, corpus: &Corpus, broken| {
        Ok(Report { executions, made, elapsed: begun.elapsed(), inputs: corpus.len(), broken })
    };
    for input in stored(target.name)? {
        made += 1;
        match traced(target, &input, plan)? {
            Ok(kind) => corpus.keep(kind, &input),
            Err(broken) => return report(executions, made, &corpus, Some((broken, input))),
        }
    }
    let mut noted = Instant::now();
    while executions < plan.executions {
        if executions.is_multiple_of(STRIDE) {
            if plan.time.is_some_and(|time| begun.elapsed() >= time) {
                break;
            }
            if noted.elapsed() >= NOTED {
                noted = Instant::now();
                tell(executions);
                keep(plan, executions, &random, &corpus)?;
            }
        }
        let other = corpus.pick(&mut random).to_vec();
        let input = changed(corpus.pick(&mut random), &other, target.words, &mut random);
        executions += 1;
        made += 1;
        match traced(target, &input, plan)? {
            Ok(kind) => corpus.keep(kind, &input),
            Err(broken) => return report(executions, made, &corpus, Some((broken, input))),
        }
    }
    keep(plan, executions, &random, &corpus)?;
    report(executions, made, &corpus, None)
}

fn traced(target: &Target, input: &[u8], plan: &Plan) -> anyhow::Result<Result<u64, Broken>> {
    if let Some(file) = &plan.trace {
        std::fs::write(file, input).with_context(|| file.display().to_string())?;
    }
    Ok(attempt(target, input))
}

fn restored(file: &Path) -> anyhow::Result<(u64, Random, Corpus)> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let state: State = decode(&bytes).with_context(|| format!("{} is not of this program", file.display()))?;
    let mut corpus = Corpus::default();
    for (kind, input) in &state.inputs {
        corpus.keep(*kind, input);
    }
    Ok((state.executions, Random::new(state.random), corpus))
}

fn keep(plan: &Plan, executions: u64, random: &Random, corpus: &Corpus) -> anyhow::Result<()> {
    // A run that is traced repeats another and must not move what that goes on from.
    let Some(file) = plan.state.as_ref().filter(|_| plan.trace.is_none()) else { return Ok(()) };
    let state = State { executions, random: random.rest(), inputs: corpus.entries() };
    let beside = file.with_extension("new");
    std::fs::write(&beside, encode(&state)).and_then(|()| std::fs::rename(&beside, file))?;
    Ok(())
}

//! One process and its chains, one or several: the words that name them, what they share, signals, and how the process
//! ends. The main thread runs this alone; each chain has a thread and a runtime of its own (`start.rs`). See
//! docs/adr/0009-several-chains.md.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rota_params::conf;
use rota_params::options::{CommandLine, Options, Origin};
use rota_params::paths::ChainDirectory;
use rota_params::seed::{Seed, parse_chain_word};
use rota_storage::OpenOptions;
use rota_storage::kv::{BlockCache, Blocks, USUAL_CACHE, USUAL_UNFLUSHED};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::Dispatch;

use crate::claim::Claims;
use crate::directory_lock::DirectoryLock;
use crate::{config, console, daemon, file_limit, program, start};

/// Most chains of one process: their open files (1,280 each) stay below a sixth of the half million that systems allow.
pub const CHAINS_MAX: usize = 64;
/// Least memory for what a chain has written and not flushed, in bytes: what its few dozen tables take, twelve times.
const UNFLUSHED_LEAST: usize = 8 << 20;
/// Options that mean something else for each chain, so that one command line cannot give them to several.
const NOT_FOR_SEVERAL: [&str; 3] = ["port", "rpcport", "expectparamshash"];

/// A chain that was asked for: its folder is locked, and nothing of it is open.
pub struct Chain {
    /// Where its files are.
    pub directory: ChainDirectory,
    /// What was asked for.
    pub options: Options,
    /// A node to join by.
    pub seed: Option<Seed>,
    /// Keeps its folder from other processes.
    pub lock: DirectoryLock,
    /// Its log, where its threads are to be told of it: with one chain the whole process logs there.
    pub log: Option<Dispatch>,
    /// Whether it prints its address alone.
    pub short: bool,
}

/// What the main thread asks of all chains.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders {
    /// To stop.
    pub stop: bool,
    /// How often to read files again that may be renewed while the process runs.
    pub reload: u64,
}

/// How far a chain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Waiting,
    Ready,
    Ended,
}

/// What the chains of a process have together.
struct Shared {
    chains: usize,
    cache: Option<BlockCache>,
    claims: Mutex<Vec<Claims>>,
}

/// A chain's place in its process. Whoever leaves it has ended.
pub struct Place {
    number: usize,
    shared: Arc<Shared>,
    stages: mpsc::Sender<(usize, Stage)>,
    orders: watch::Receiver<Orders>,
}

impl Place {
    /// Whether it is the only one.
    pub fn is_alone(&self) -> bool {
        self.shared.chains == 1
    }

    /// Says that the chain can be used.
    pub async fn ready(&self) {
        let _ = self.stages.send((self.number, Stage::Ready)).await;
    }

    /// Says that the chain waits until it may join, and answers callers meanwhile.
    pub async fn waiting(&self) {
        let _ = self.stages.send((self.number, Stage::Waiting)).await;
    }

    /// What is asked of the chain, from now on.
    pub fn orders(&self) -> watch::Receiver<Orders> {
        self.orders.clone()
    }

    /// Waits until all chains are to stop.
    pub async fn told_to_stop(&self) {
        // The sender lives as long as the main thread runs.
        let _ = self.orders.clone().wait_for(|orders| orders.stop).await;
    }

    /// How its database is opened, as one of the chains of this process.
    ///
    /// # Errors
    /// A sentence if an option is out of range.
    pub fn store_options(&self, options: &Options) -> anyhow::Result<OpenOptions> {
        let shared = &self.shared;
        let (cache, unflushed) = match &shared.cache {
            Some(cache) => {
                let part = (USUAL_UNFLUSHED / shared.chains).max(UNFLUSHED_LEAST);
                (Blocks::Shared(cache.clone()), Some(part))
            }
            None => (config::database_cache(options)?.map_or_else(Blocks::default, Blocks::Own), None),
        };
        let (reindex, least_free) = (options.flag("reindex", false), config::least_free(options)?);
        Ok(OpenOptions { reindex, cache, unflushed, least_free, ..OpenOptions::default() })
    }

    /// Takes addresses and files for the chain, once they are known.
    ///
    /// # Errors
    /// A sentence that names both chains, if another one has taken some of it.
    pub fn claim(&self, claims: Claims) -> anyhow::Result<()> {
        take(&mut self.shared.claims.lock().unwrap_or_else(PoisonError::into_inner), claims)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Three stages a chain fit the channel.
        let _ = self.stages.try_send((self.number, Stage::Ended));
    }
}

/// Runs the chains of a command line until all have ended.
///
/// # Errors
/// A sentence that says what is wrong and what to do, if nothing could be started or the only chain failed.
pub fn run(line: &CommandLine) -> anyhow::Result<ExitCode> {
    let named = chain_words(&line.words)?;
    let short = line.flag("shortoutput");
    if !short {
        console::say(&console::title());
    }
    let mut folders = Vec::new();
    for (name, seed) in named {
        let directory = ChainDirectory::new(line.data_directory(), &name)?;
        if !directory.exists() && seed.is_none() {
            anyhow::bail!("{}", console::no_chain(&name));
        }
        folders.push((directory, seed));
    }
    let alone = folders.len() == 1;
    for (directory, _) in &folders {
        directory.make().map_err(|error| anyhow::anyhow!("cannot write to {}: {error}", directory.path().display()))?;
    }
    file_limit::raise(folders.len())?;
    let mut chains = Vec::new();
    for (directory, seed) in folders {
        let lock = DirectoryLock::take(&directory.lock(), directory.name())?;
        conf::ensure_credentials(&directory, &mut rand::rng())?;
        let options = Options::resolve(line, Some(&directory))?;
        chains.push(Chain { directory, options, seed, lock, log: None, short });
    }
    if !alone {
        refuse_what_cannot_be_shared(&chains)?;
    }
    let claims = if alone { Vec::new() } else { early_claims(&chains)? };
    for chain in &mut chains {
        let dispatch = config::open_log(&chain.directory, &chain.options, !alone)?;
        tracing::dispatcher::with_default(&dispatch, || config::log_ignored(&chain.options));
        if alone {
            tracing::dispatcher::set_global_default(dispatch)?;
        } else {
            chain.log = Some(dispatch);
        }
    }
    let cache = if alone { None } else { Some(shared_cache(&chains)?) };
    let shared = Arc::new(Shared { chains: chains.len(), cache, claims: Mutex::new(claims) });
    attend(chains, shared)
}

/// The chains that words name, each with the node to join it by.
///
/// # Errors
/// A sentence if there is none, one stands twice, or there are more than [`CHAINS_MAX`].
fn chain_words(words: &[String]) -> anyhow::Result<Vec<(String, Option<Seed>)>> {
    anyhow::ensure!(!words.is_empty(), "expected the name of a chain, as in: noded chain1 (see noded --help)");
    anyhow::ensure!(
        words.len() <= CHAINS_MAX,
        "{} chains are named, one process runs {CHAINS_MAX} at most: start another one for the rest",
        words.len()
    );
    let mut named: Vec<(String, Option<Seed>)> = Vec::new();
    for word in words {
        let (name, seed) = parse_chain_word(word)?;
        anyhow::ensure!(named.iter().all(|(other, _)| other != name), "the chain {name} is named twice");
        named.push((name.to_owned(), seed));
    }
    Ok(named)
}

fn refuse_what_cannot_be_shared(chains: &[Chain]) -> anyhow::Result<()> {
    for name in NOT_FOR_SEVERAL {
        let typed = chains.iter().any(|chain| chain.options.origin(name) == Some(&Origin::CommandLine));
        let files: Vec<String> = chains.iter().map(|chain| chain.directory.conf().display().to_string()).collect();
        anyhow::ensure!(
            !typed,
            "-{name} on the command line would be the same for all {} chains: put {name}= into the node.conf of each ({})",
            chains.len(),
            files.join(", ")
        );
    }
    Ok(())
}

/// What the chains take whose parameters are known: none of it twice.
fn early_claims(chains: &[Chain]) -> anyhow::Result<Vec<Claims>> {
    let mut taken: Vec<Claims> = Vec::new();
    for chain in chains {
        let set = crate::prepare::load_parameters(&chain.directory)
            .map_err(|error| anyhow::anyhow!("chain {}: {error:#}", chain.directory.name()))?;
        let claims = Claims::of(&chain.directory, &chain.options, &set)
            .map_err(|error| anyhow::anyhow!("chain {}: {error:#}", chain.directory.name()))?;
        take(&mut taken, claims)?;
    }
    Ok(taken)
}

/// Adds what a chain takes, unless another one has taken some of it.
fn take(taken: &mut Vec<Claims>, claims: Claims) -> anyhow::Result<()> {
    let mut others = taken.iter().filter(|other| other.chain() != claims.chain());
    if let Some(clash) = others.find_map(|other| other.clash(&claims)) {
        anyhow::bail!("{clash}");
    }
    taken.push(claims);
    Ok(())
}

/// The block cache of all: as large as the largest that a chain is given.
fn shared_cache(chains: &[Chain]) -> anyhow::Result<BlockCache> {
    let mut bytes = None;
    for chain in chains {
        bytes = bytes.max(config::database_cache(&chain.options)?);
    }
    Ok(BlockCache::new(bytes.unwrap_or(USUAL_CACHE)))
}

/// Signals that a process with a ready chain answers.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Changes orders at the next signal; never without signals.
    async fn next(signals: &mut Option<Signals>, orders: &watch::Sender<Orders>) {
        let Some(Signals { terminate, interrupt, hangup }) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => orders.send_modify(|orders| orders.stop = true),
            _ = interrupt.recv() => orders.send_modify(|orders| orders.stop = true),
            _ = hangup.recv() => orders.send_modify(|orders| orders.reload += 1),
        }
    }
}

/// A chain's thread as the main thread sees it.
struct Seat {
    name: String,
    stage: Stage,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

/// Starts the threads of all chains and waits until they have ended.
fn attend(chains: Vec<Chain>, shared: Arc<Shared>) -> anyhow::Result<ExitCode> {
    let (orders, order) = watch::channel(Orders::default());
    let (stages, mut reports) = mpsc::channel(3 * CHAINS_MAX);
    let mut seats = Vec::new();
    for (number, chain) in chains.into_iter().enumerate() {
        let (shared, stages, orders) = (Arc::clone(&shared), stages.clone(), order.clone());
        let place = Place { number, shared, stages, orders };
        let name = chain.directory.name().to_owned();
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || start::run(chain, &place))?;
        seats.push(Seat { name, stage: Stage::Starting, thread: Some(thread) });
    }
    drop(stages);
    let alone = seats.len() == 1;
    let mut failures = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut signals, mut told) = (None, false);
        loop {
            let report = tokio::select! {
                report = reports.recv() => report,
                () = Signals::next(&mut signals, &orders) => continue,
            };
            let Some((number, stage)) = report else { return anyhow::Ok(()) };
            if let Err(error) = seats[number].reach(stage) {
                if !alone {
                    let _ = program::failed(&format!("chain {}: {error:#}", seats[number].name));
                }
                failures.push(error);
            }
            if stage == Stage::Ready && signals.is_none() {
                signals = Some(Signals::new()?);
            }
            let settled = seats.iter().all(|seat| seat.stage != Stage::Starting);
            if settled && !told && seats.iter().any(|seat| seat.stage != Stage::Ended) {
                told = true;
                daemon::detach();
            }
        }
    })?;
    match failures.pop() {
        Some(error) if alone => Err(error),
        Some(_) => Ok(ExitCode::FAILURE),
        None => Ok(ExitCode::SUCCESS),
    }
}

impl Seat {
    /// Notes a stage; at the last one, how the chain's thread ended.
    fn reach(&mut self, stage: Stage) -> anyhow::Result<()> {
        self.stage = stage;
        match self.thread.take_if(|_| stage == Stage::Ended) {
            Some(thread) => thread.join().map_err(|_| anyhow::anyhow!("its thread panicked"))?,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn words(words: &[&str]) -> anyhow::Result<Vec<(String, Option<Seed>)>> {
        chain_words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn each_word_names_a_chain_and_may_name_a_node_of_it() {
        let named = words(&["b", "a@127.0.0.1:7000", "c"]).unwrap();
        let shown: Vec<String> = named
            .iter()
            .map(|(name, seed)| format!("{name} {}", seed.as_ref().map(ToString::to_string).unwrap_or_default()))
            .collect();
        assert_eq!(shown, ["b ", "a 127.0.0.1:7000", "c "]);
    }

    #[test]
    fn no_word_and_a_name_that_stands_twice_are_refused() {
        assert!(words(&[]).unwrap_err().to_string().contains("noded chain1"));
        let twice = words(&["a", "b", "a@127.0.0.1:7000"]).unwrap_err().to_string();
        assert_eq!(twice, "the chain a is named twice");
        assert!(words(&["a", "../b"]).is_err());
    }

    #[test]
    fn as_many_chains_as_the_limit_are_taken_and_one_more_is_not() {
        let names: Vec<String> = (0..=CHAINS_MAX).map(|number| format!("chain{number}")).collect();
        assert_eq!(chain_words(&names[..CHAINS_MAX]).unwrap().len(), CHAINS_MAX);
        let refused = chain_words(&names).unwrap_err().to_string();
        assert!(refused.contains("65 chains") && refused.contains("64 at most"), "{refused}");
    }
}

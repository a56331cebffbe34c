//! Before a node starts: its parameters, wallet and genesis block are made, or fetched from a seed.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rota_api::control::InitStatus;
use rota_chain::block::Block;
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_params::options::Options;
use rota_params::paths::ChainDirectory;
use rota_params::seed::Seed;
use rota_params::{ParameterSet, State, file};
use rota_storage::{OpenOptions, Store, StorePaths};
use rota_wallet::Wallet;
use tracing::Dispatch;

use crate::claim::Claims;
use crate::context::unix_time;
use crate::process::Place;
use crate::rpc::waiting::WaitingFront;
use crate::{config, console, genesis, join};

/// Pause between two tries of a first join.
const JOIN_AGAIN: Duration = Duration::from_secs(3);
/// File that remembers the seed of a chain that is not yet joined.
const SEED_FILE: &str = "seed";

/// A chain that may start: its parameters and genesis block are here.
pub struct Prepared {
    /// Where its files are.
    pub directory: ChainDirectory,
    /// What was asked for.
    pub options: Options,
    /// Its parameters.
    pub set: ParameterSet,
    /// A peer to join by.
    pub seed: Option<String>,
}

/// Brings parameters and genesis block about: makes them, or joins. None if the node ends here, since it may not
/// connect yet.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn prepare(
    directory: ChainDirectory,
    options: Options,
    seed: Option<Seed>,
    place: &Place,
    short: bool,
) -> anyhow::Result<Option<Prepared>> {
    let set = load_parameters(&directory)?;
    let seed = seed.map(|seed| with_port(&seed, &set)).transpose()?;
    let prepared = |set, seed| Prepared { directory: directory.clone(), options: options.clone(), set, seed };
    match set.state() {
        State::Valid if is_emptied(&directory) => {
            let seed = seed.ok_or_else(|| anyhow::anyhow!("{}", console::nothing_stored(&directory)))?;
            let joined = first_join(&directory, &options, place, set, Some(seed), short).await?;
            Ok(joined.map(|(set, seed)| prepared(set, Some(seed))))
        }
        State::Valid => {
            expect_params_hash(&options, &set)?;
            Ok(Some(prepared(set, seed)))
        }
        State::Generated => {
            anyhow::ensure!(!holds_chain(&directory)?, "{}", console::genesis_exists(&directory));
            let mut set = set;
            make_genesis(&directory, &options, &mut set, short)?;
            Ok(Some(prepared(set, seed)))
        }
        _ => match first_join(&directory, &options, place, set, seed, short).await? {
            Some((set, seed)) => {
                claim_what_was_unknown(&directory, &options, &set, place)?;
                Ok(Some(prepared(set, Some(seed))))
            }
            None => Ok(None),
        },
    }
}

/// Whether neither database nor block files are left of a chain that was started before.
fn is_emptied(directory: &ChainDirectory) -> bool {
    !directory.state().exists()
        && std::fs::read_dir(directory.blocks()).map_or(true, |mut files| files.next().is_none())
}

/// Whether a chain is here that was started before, and not only a genesis block.
fn holds_chain(directory: &ChainDirectory) -> anyhow::Result<bool> {
    store_paths(directory).hold_more_than_genesis().map_err(|error| anyhow::anyhow!("{}: {error}", error.code()))
}

/// A chain's parameters as they are stored, none of them if it is not here.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn load_parameters(directory: &ChainDirectory) -> anyhow::Result<ParameterSet> {
    if !directory.exists() {
        return Ok(ParameterSet::empty());
    }
    let path = directory.params();
    let (set, state) = file::load(&path, directory.name())?;
    match state.fault(&path, directory.name()) {
        Some(fault) => Err(anyhow::anyhow!("{fault}")),
        None => Ok(set),
    }
}

/// Takes the ports of a chain that has just told them.
fn claim_what_was_unknown(
    directory: &ChainDirectory,
    options: &Options,
    set: &ParameterSet,
    place: &Place,
) -> anyhow::Result<()> {
    if place.is_alone() {
        return Ok(());
    }
    // What there is to say about options is logged when the parts are made.
    let claims = tracing::dispatcher::with_default(&Dispatch::none(), || Claims::of(directory, options, set))?;
    place.claim(claims)
}

fn with_port(seed: &Seed, set: &ParameterSet) -> anyhow::Result<String> {
    let port = seed.port.or((set.state() == State::Valid).then(|| set.default_network_port()));
    let port = port.ok_or_else(|| anyhow::anyhow!("the seed needs a port: NAME@HOST:PORT"))?;
    Ok(Seed { host: seed.host.clone(), port: Some(port) }.to_string())
}

fn make_genesis(
    directory: &ChainDirectory,
    options: &Options,
    set: &mut ParameterSet,
    short: bool,
) -> anyhow::Result<()> {
    if !short {
        console::say("Looking for genesis block...");
    }
    let wallet = open_wallet(directory, options, set)?;
    let first = wallet.default_lock().ok_or_else(|| anyhow::anyhow!("the wallet has no address"))?;
    let block = genesis::make(set, &wallet.private_key(&first)?, unix_time())?;
    // A crash before params.dat was sealed leaves a genesis block that nothing refers to; more would have been refused.
    for left_over in [directory.state(), directory.blocks()] {
        if left_over.exists() {
            std::fs::remove_dir_all(&left_over)?;
        }
    }
    let store = open_store(directory, OpenOptions::default())?;
    genesis::store(&store, block, None, set, unix_time())?;
    file::save(&directory.params(), set)?;
    if !short {
        console::say("Genesis block found\n");
    }
    Ok(())
}

/// Opens the wallet, with a first address in it.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn open_wallet(directory: &ChainDirectory, options: &Options, set: &ParameterSet) -> anyhow::Result<Wallet> {
    let wallet = Wallet::open(&directory.wallet(), set.address_scheme())?;
    if wallet.default_lock().is_none() {
        match options.text("initprivkey") {
            Some(text) => {
                let key = set
                    .address_scheme()
                    .decode_private_key(text)
                    .map_err(|error| anyhow::anyhow!("-initprivkey: {error}"))?;
                wallet.import_private_key(key, "")?;
            }
            None => {
                wallet.new_key(rand::rng().random())?;
            }
        }
    }
    Ok(wallet)
}

/// Opens the database.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn open_store(directory: &ChainDirectory, options: OpenOptions) -> anyhow::Result<Store> {
    let options = OpenOptions { mark: rand::rng().random(), ..options };
    Store::open(&store_paths(directory), options).map_err(|error| anyhow::anyhow!("{}: {error}", error.code()))
}

fn store_paths(directory: &ChainDirectory) -> StorePaths {
    StorePaths { database: directory.state(), blocks: directory.blocks() }
}

/// Asks the seed until it lets this node in; without `retryinittime` once.
async fn first_join(
    directory: &ChainDirectory,
    options: &Options,
    place: &Place,
    set: ParameterSet,
    seed: Option<String>,
    short: bool,
) -> anyhow::Result<Option<(ParameterSet, String)>> {
    let seed_file = directory.path().join(SEED_FILE);
    let seed = match seed {
        Some(seed) => seed,
        None => std::fs::read_to_string(&seed_file)
            .map_err(|_| anyhow::anyhow!("{}", console::no_chain(directory.name())))?
            .trim()
            .to_owned(),
    };
    std::fs::write(&seed_file, &seed)?;
    if !short {
        console::say(&format!("Retrieving blockchain parameters from the seed node {seed} ..."));
    }
    let retry = options.number("retryinittime", 0, 0..=i64::from(u32::MAX))?;
    let mut waiting = Waiting {
        directory,
        options,
        place,
        seed: &seed,
        started: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(u64::try_from(retry)?),
        front: None,
    };
    let joined = waiting.ask_until_let_in(set, short).await;
    if let Some(front) = waiting.front.take() {
        front.close().await;
    }
    let joined = joined?;
    if joined.is_some() {
        let _ = std::fs::remove_file(&seed_file);
    }
    Ok(joined.map(|set| (set, seed)))
}

/// A node that asks its seed again and again, and tells callers so.
struct Waiting<'a> {
    directory: &'a ChainDirectory,
    options: &'a Options,
    place: &'a Place,
    seed: &'a str,
    started: Instant,
    deadline: Instant,
    front: Option<WaitingFront>,
}

impl Waiting<'_> {
    /// The chain's parameters, kept together with its genesis block; none if the time is up or a caller said stop.
    async fn ask_until_let_in(&mut self, mut set: ParameterSet, short: bool) -> anyhow::Result<Option<ParameterSet>> {
        let (directory, options) = (self.directory, self.options);
        let mut told = false;
        loop {
            let (key, first) = joining_key(directory, options, &set)?;
            let asked = tokio::select! {
                asked = join::ask(self.seed, &key, directory.name()) => asked,
                () = self.place.told_to_stop() => return Ok(None),
            };
            match asked {
                Ok(join::Outcome::Permitted(joined, block)) => {
                    expect_same_chain(&set, &joined)?;
                    keep_joined(directory, options, &joined, *block, short)?;
                    return Ok(Some(*joined));
                }
                Ok(join::Outcome::NotPermitted(minimal)) => {
                    // What is known already is not given up for less.
                    if set.state() != State::Valid {
                        set = *minimal;
                        file::save(&directory.params(), &set)?;
                    }
                    let Some(first) = first else { continue };
                    let address = set.address_scheme().encode(&first);
                    if !told {
                        let asking = console::ask_for_grant(directory.name(), &address);
                        let line = if self.place.is_alone() {
                            address.clone()
                        } else {
                            format!("{} {address}", directory.name())
                        };
                        console::say(if short { &line } else { &asking });
                        told = true;
                    }
                    self.tell_callers(&set, Some(address), "the address has no connect permission").await?;
                }
                Err(error) if Instant::now() >= self.deadline => return Err(error),
                Err(error) => {
                    tracing::warn!("{error:#}");
                    self.tell_callers(&set, None, &format!("{error:#}")).await?;
                }
            }
            if Instant::now() >= self.deadline || self.pause().await {
                return Ok(None);
            }
        }
    }

    /// Answers `getinitstatus` from now on, once the port is known.
    async fn tell_callers(&mut self, set: &ParameterSet, address: Option<String>, error: &str) -> anyhow::Result<()> {
        if Instant::now() >= self.deadline || (set.state() == State::Empty && self.options.text("rpcport").is_none()) {
            return Ok(());
        }
        if self.front.is_none() {
            let port = config::port(self.options, "rpcport", set.default_rpc_port())?;
            let settings = config::front_config(self.options, self.directory, port)?;
            self.front = Some(WaitingFront::open(settings).await?);
            self.place.waiting().await;
        }
        if let Some(front) = &self.front {
            let (host, port) = self.seed.rsplit_once(':').unwrap_or((self.seed, "0"));
            front.tell(InitStatus {
                connecttime: i64::try_from(self.started.elapsed().as_secs()).ok(),
                connectaddress: Some(host.to_owned()),
                connectport: port.parse().ok(),
                handshakelocal: address,
                lasterror: Some(error.to_owned()),
                ..InitStatus::default()
            });
        }
        Ok(())
    }

    /// Waits a little; true if a caller or a signal said stop.
    async fn pause(&mut self) -> bool {
        let front = &mut self.front;
        let stopped = async move {
            match front {
                Some(front) => front.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(JOIN_AGAIN) => false,
            () = stopped => true,
            () = self.place.told_to_stop() => true,
        }
    }
}

/// Keeps what a seed gave: the genesis block first, then the parameters that make the chain startable.
fn keep_joined(
    directory: &ChainDirectory,
    options: &Options,
    set: &ParameterSet,
    block: Block,
    short: bool,
) -> anyhow::Result<()> {
    expect_params_hash(options, set)?;
    let store = open_store(directory, OpenOptions::default())?;
    if store.snapshot()?.tip().is_none() {
        genesis::store(&store, block, None, set, unix_time())?;
    }
    file::save(&directory.params(), set)?;
    if let Some(hash) = set.chain_params_hash() {
        if !short {
            console::say(&format!("Joined; chain-params-hash {hash} (compare it with that of a node you trust)\n"));
        }
        tracing::info!(chain_params_hash = %hash, "joined");
    }
    Ok(())
}

/// The key to ask the seed with, and its address. While the address scheme is not known, `initprivkey` cannot be read:
/// a passing key asks for the scheme then, and has no address.
fn joining_key(
    directory: &ChainDirectory,
    options: &Options,
    set: &ParameterSet,
) -> anyhow::Result<(PrivateKey, Option<Lock>)> {
    let scheme_known = set.state() != State::Empty;
    if !scheme_known && options.text("initprivkey").is_some() {
        return Ok((PrivateKey::from_bytes(rand::rng().random())?, None));
    }
    let wallet = if scheme_known { open_wallet(directory, options, set)? } else { probe_wallet(directory)? };
    let first = wallet.default_lock().ok_or_else(|| anyhow::anyhow!("the wallet has no address"))?;
    Ok((wallet.private_key(&first)?, Some(first)))
}

/// The wallet of a chain whose address scheme is not known yet.
fn probe_wallet(directory: &ChainDirectory) -> anyhow::Result<Wallet> {
    let wallet = Wallet::open(&directory.wallet(), ParameterSet::empty().address_scheme())?;
    if wallet.default_lock().is_none() {
        wallet.new_key(rand::rng().random())?;
    }
    Ok(wallet)
}

/// A chain whose parameters are here is taken from a seed again only if it is the same.
fn expect_same_chain(known: &ParameterSet, joined: &ParameterSet) -> anyhow::Result<()> {
    let same = known.state() != State::Valid
        || (known.chain_params_hash() == joined.chain_params_hash() && known.genesis_hash() == joined.genesis_hash());
    anyhow::ensure!(
        same,
        "the seed node is of another chain of this name: its genesis block is not that of params.dat"
    );
    Ok(())
}

fn expect_params_hash(options: &Options, set: &ParameterSet) -> anyhow::Result<()> {
    let Some(expected) = options.text("expectparamshash") else { return Ok(()) };
    let got = set.chain_params_hash().map(|hash| hash.to_string()).unwrap_or_default();
    anyhow::ensure!(
        got == expected,
        "the chain's chain-params-hash is {got}, -expectparamshash demands {expected}: this is not the chain you expect"
    );
    Ok(())
}

//! Wires every part of a node. Tasks that run: the ledger's thread, network and sync (`network/`), the miner
//! (`miner/task.rs`), the JSON-RPC front with its WebSockets (`rpc/http.rs`) and their subscriptions (`rpc/watch.rs`),
//! off-chain retrieval (`offchain/`), notifications (`notify/`), automatic combining (`combine.rs`) and the wallet's lock
//! timer (here). Signals come from the main thread (`process.rs`).

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use jsonrpsee::Methods;
use rand::RngExt as _;
use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_params::file;
use rota_params::options::Options;
use rota_params::paths::ChainDirectory;
use rota_params::runtime::RuntimeSettings;
use rota_storage::Store;
use rota_storage::journal::Journal;
use rota_wallet::Wallet;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::context::{Context, NodeFacts, unix_time};
use crate::ledger::{self, LedgerHandle, LedgerParts};
use crate::miner::{self, MinerParts, MinerStatus};
use crate::network::{Network, NetworkOptions, NetworkParts};
use crate::offchain::Offchain;
use crate::pause::Paused;
use crate::prepare::{Prepared, open_store, open_wallet, prepare};
use crate::process::{Chain, Orders, Place};
use crate::rpc;
use crate::rpc::http::{self, Phase};
use crate::view::SharedView;
use crate::{combine, config, console, genesis, join, log, notify};

/// How often an unlocked wallet is looked at.
const WALLET_LOOK: Duration = Duration::from_secs(1);
/// Longest a node may take to close its files after it was told to stop.
const CLOSING_TIME: Duration = Duration::from_secs(60);

/// Runs the node of a chain until it is told to stop; its files are closed then, and its folder is free.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn run(chain: Chain, place: &Place) -> anyhow::Result<()> {
    let Chain { directory, options, seed, lock, log, short } = chain;
    log.iter().for_each(log::adopt);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(log) = log {
        builder.on_thread_start(move || log::adopt(&log));
    }
    let runtime = builder.enable_all().build()?;
    let outcome = runtime.block_on(async {
        match prepare(directory, options, seed, place, short).await? {
            Some(prepared) => run_prepared(prepared, place, short).await,
            None => Ok(()),
        }
    });
    runtime.shutdown_timeout(CLOSING_TIME);
    if let Err(error) = &outcome {
        tracing::error!("{error:#}");
    }
    drop(lock);
    outcome
}

/// A running node: what is needed to stop it.
struct Running {
    context: Arc<Context>,
    ledger_thread: std::thread::JoinHandle<()>,
    tasks: JoinSet<()>,
    front: http::Bound,
    phase: watch::Sender<Phase>,
    _methods: watch::Sender<Methods>,
}

async fn run_prepared(prepared: Prepared, place: &Place, short: bool) -> anyhow::Result<()> {
    let running = start(&prepared, place).await?;
    // However it ends, the database is closed before the process: its threads do not outlive what they use.
    let served = serve(&prepared, &running, place, short).await;
    stop(running).await;
    served?;
    tracing::info!("node stopped");
    Ok(())
}

/// Tells that the node is ready, and waits until it is to stop.
async fn serve(prepared: &Prepared, running: &Running, place: &Place, short: bool) -> anyhow::Result<()> {
    let facts = &running.context.facts;
    if short {
        console::say(&facts.node_address);
    } else {
        let openness = running.front.openness();
        let bound = config::bind_addresses(&prepared.options, facts.port)?;
        let addresses = config::shown_addresses(&prepared.options, &bound, facts.port)?;
        console::say(&console::ready(prepared.directory.name(), &addresses, facts.rpc_port, openness));
    }
    let pid = config::pid_file(&prepared.directory, &prepared.options);
    std::fs::write(&pid, format!("{}\n", std::process::id()))
        .map_err(|error| anyhow::anyhow!("cannot write the process id to {} (-pid): {error}", pid.display()))?;
    place.ready().await;
    tracing::info!("node ready");
    wait_for_stop(running, place.orders()).await;
    let _ = std::fs::remove_file(pid);
    Ok(())
}

/// Ports and addresses of this run.
struct Ports {
    peer: u16,
    rpc: u16,
    listen: Vec<SocketAddr>,
}

/// The parts that the ledger, the network and callers share.
#[derive(Clone)]
struct Ground {
    rules: Arc<Rules>,
    settings: Arc<RwLock<RuntimeSettings>>,
    store: Arc<Store>,
    wallet: Arc<Wallet>,
    signatures: Arc<SignatureCache>,
    view: Arc<SharedView>,
    paused: Arc<Paused>,
}

async fn start(prepared: &Prepared, place: &Place) -> anyhow::Result<Running> {
    let Prepared { directory, options, set, .. } = prepared;
    let peer = config::port(options, "port", set.default_network_port())?;
    let rpc_port = config::port(options, "rpcport", set.default_rpc_port())?;
    let ports = Ports { peer, rpc: rpc_port, listen: config::listen_addresses(options, peer)? };
    // What cannot be understood is refused before anything is opened.
    let facts = facts(directory, options, &ports)?;
    let timers = config::offchain_settings(options)?;
    let programs = config::programs(options)?;
    let (shutdown, stopping) = watch::channel(false);
    let (phase, phases) = watch::channel(Phase::Starting("Loading the ledger".to_owned()));
    let (methods, method_table) = watch::channel(Methods::new());
    let front_config = config::front_config(options, directory, rpc_port)?;
    let front = http::serve(front_config, method_table, phases, stopping.clone()).await?;

    let ground = open_ground(prepared, place)?;
    let offchain = Arc::new(Offchain::new(Arc::clone(&ground.store), Arc::clone(&ground.rules), timers)?);
    let network_options = config::network_options(options, ports.listen.clone(), prepared.seed.clone())?;
    let genesis = stored_genesis(&ground.view)?;
    // Nothing fails from here on: the writer's thread, which has the database open, would outlive the refusal.
    let (ledger, ledger_thread) = spawn_ledger(prepared, &ground)?;
    let network = make_network(prepared, &ground, &ledger, &offchain, network_options, &genesis);
    let (miner_status, miner) = watch::channel(MinerStatus::default());
    let context = Arc::new(Context {
        parameters: Arc::new(set.clone()),
        rules: Arc::clone(&ground.rules),
        scheme: set.address_scheme(),
        directory: directory.clone(),
        settings: Arc::clone(&ground.settings),
        store: Arc::clone(&ground.store),
        view: Arc::clone(&ground.view),
        ledger: ledger.clone(),
        wallet: Arc::clone(&ground.wallet),
        coins: Arc::default(),
        signatures: Arc::clone(&ground.signatures),
        network: network.clone(),
        miner,
        paused: Arc::clone(&ground.paused),
        offchain,
        shutdown,
        facts,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(network.clone().run(stopping.clone()));
    tasks.spawn(crate::offchain::run(Arc::clone(&context)));
    let Ground { rules, settings, wallet, view, paused, .. } = ground;
    let miner_parts = MinerParts { view, ledger, wallet: Arc::clone(&wallet), rules, settings, paused, network };
    tasks.spawn(miner::run(miner_parts, miner_status, stopping.clone()));
    tasks.spawn(notify::run(Arc::clone(&context), programs, stopping.clone()));
    tasks.spawn(combine::run(Arc::clone(&context), stopping.clone()));
    tasks.spawn(lock_wallet_when_due(wallet, stopping));
    methods.send_replace(rpc::methods(Arc::clone(&context)));
    phase.send_replace(Phase::Ready);
    Ok(Running { context, ledger_thread, tasks, front, phase, _methods: methods })
}

fn facts(directory: &ChainDirectory, options: &Options, ports: &Ports) -> anyhow::Result<NodeFacts> {
    let shown = config::shown_addresses(options, &ports.listen, ports.peer)?;
    let address = shown.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], ports.peer)));
    Ok(NodeFacts {
        port: ports.peer,
        rpc_port: ports.rpc,
        node_address: format!("{}@{address}", directory.name()),
        started: unix_time(),
        data_directory: directory.path().display().to_string(),
        explorer: !matches!(options.text("explorersupport"), None | Some("" | "0")),
        store_settings: options.flag("storeruntimeparams", false),
    })
}

fn open_ground(prepared: &Prepared, place: &Place) -> anyhow::Result<Ground> {
    let Prepared { directory, options, set, .. } = prepared;
    let rules = Arc::new(Rules::new(set));
    let store_options = place.store_options(options)?;
    let reindex = store_options.reindex;
    let store = Arc::new(open_store(directory, store_options)?);
    if store.is_rebuilding()? {
        if !reindex {
            tracing::warn!("the last rebuild of the database (-reindex) was broken off: it goes on now");
        }
        genesis::restore(&store, set, unix_time())?;
    }
    genesis::check_stored(&store, set)?;
    // A node goes on without it where nothing can be written.
    if let Err(error) = file::back_up(&directory.params(), set) {
        tracing::warn!("params.dat.bak could not be written: {error}");
    }
    let view = ledger::initial_view(&store, &rules, config::pool_limits(options, set)?)?;
    let wallet = Arc::new(open_wallet(directory, options, set)?);
    rpc::wallet::follow::expect_whole(&store, &wallet, set.address_scheme(), &directory.wallet())?;
    rpc::wallet::follow::all(&store, &wallet)?;
    rpc::wallet::follow::begin(&store)?;
    Ok(Ground {
        settings: Arc::new(RwLock::new(RuntimeSettings::resolve(options, set)?)),
        wallet,
        signatures: Arc::new(SignatureCache::new(rules.genesis, rand::rng().random())),
        view: Arc::new(SharedView::new(view)),
        paused: Arc::new(Paused::default()),
        rules,
        store,
    })
}

fn spawn_ledger(prepared: &Prepared, ground: &Ground) -> anyhow::Result<(LedgerHandle, std::thread::JoinHandle<()>)> {
    let Prepared { directory, options, .. } = prepared;
    let Ground { rules, settings, store, wallet, signatures, view, paused } = ground.clone();
    let spawned = ledger::spawn(LedgerParts {
        store,
        rules,
        signatures,
        view,
        journal: Arc::new(open_journal(directory, options, &ground.store)?),
        wallet,
        settings,
        paused,
        sync_transactions: options.flag("txsync", false),
        clock: Clock::System,
    })?;
    Ok(spawned)
}

fn open_journal(directory: &ChainDirectory, options: &Options, store: &Store) -> anyhow::Result<Journal> {
    let opened = match options.flag("reindex", false) {
        true => Journal::salvage(&directory.journal()),
        false => Journal::open(&directory.journal()).and_then(|journal| {
            if let Some(noted) = store.journal_note()? {
                journal.expect_bytes(noted)?;
                store.forget_journal_note()?;
            }
            Ok(journal)
        }),
    };
    opened.map_err(|error| anyhow::anyhow!("{}: {error}", error.code()))
}

fn make_network(
    prepared: &Prepared,
    ground: &Ground,
    ledger: &LedgerHandle,
    offchain: &Arc<Offchain>,
    options: NetworkOptions,
    genesis: &Block,
) -> Network {
    let Prepared { directory, set, .. } = prepared;
    let Ground { rules, settings, wallet, signatures, view, paused, .. } = ground.clone();
    let join_answers = join::answers(set, genesis);
    Network::new(NetworkParts {
        parameters: Arc::new(set.clone()),
        rules,
        directory: directory.clone(),
        join_answers,
        view,
        ledger: ledger.clone(),
        wallet,
        signatures,
        settings,
        paused,
        offchain: Arc::clone(offchain),
        options,
    })
}

fn stored_genesis(view: &SharedView) -> anyhow::Result<Block> {
    let snapshot = view.snapshot();
    let hash = snapshot.block_hash(Height(0))?;
    let hash = hash.ok_or_else(|| anyhow::anyhow!("the database holds no genesis block: start with -reindex"))?;
    let block = snapshot.block(&hash)?;
    block.ok_or_else(|| anyhow::anyhow!("the genesis block cannot be read: start with -reindex"))
}

async fn lock_wallet_when_due(wallet: Arc<Wallet>, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        wallet.lock_if_due(unix_time());
        tokio::select! {
            () = tokio::time::sleep(WALLET_LOOK) => {}
            _ = shutdown.changed() => {}
        }
    }
}

async fn wait_for_stop(running: &Running, mut orders: watch::Receiver<Orders>) {
    let mut told = running.context.shutdown.subscribe();
    let mut reloads = 0;
    loop {
        let order = *orders.borrow_and_update();
        if order.stop {
            return;
        }
        if order.reload != reloads {
            reloads = order.reload;
            read_certificate_again(&running.front);
        }
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            _ = told.wait_for(|stop| *stop) => return,
        }
    }
}

/// What SIGHUP asks for. A certificate that does not serve leaves the one in use.
fn read_certificate_again(front: &http::Bound) {
    match front.certificate.as_ref().map(|certificate| certificate.reload()) {
        None => tracing::info!("SIGHUP has no effect without rpcssl"),
        Some(Ok(())) => tracing::info!("the certificate of JSON-RPC was read again"),
        Some(Err(error)) => tracing::error!("the certificate of JSON-RPC stays the one it was: {error}"),
    }
}

/// Stops all parts in the order of their needs: callers, tasks, then the writer.
async fn stop(running: Running) {
    let Running { context, ledger_thread, mut tasks, front, phase, .. } = running;
    phase.send_replace(Phase::Stopping);
    context.shutdown.send_replace(true);
    let ended = async {
        let _ = front.task.await;
        while tasks.join_next().await.is_some() {}
    };
    if tokio::time::timeout(CLOSING_TIME, ended).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    if tokio::time::timeout(CLOSING_TIME, context.ledger.stop()).await.is_err() {
        tracing::warn!("the ledger does not take the order to stop");
    }
    drop(context);
    let joined = tokio::task::spawn_blocking(move || ledger_thread.join());
    if tokio::time::timeout(CLOSING_TIME, joined).await.is_err() {
        tracing::warn!("the ledger did not end in time");
    }
}

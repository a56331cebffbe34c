//! From options to the settings of each part: what was typed in becomes what holds, with a sentence where it cannot.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rota_api::method::MethodList;
use rota_params::ParameterSet;
use rota_params::conf;
use rota_params::options::Options;
use rota_params::paths::ChainDirectory;
use tracing::Dispatch;

use crate::console;
use crate::daemon;
use crate::log::{self, LOG_FILES, LOG_MEGABYTES, LogFile};
use crate::network::NetworkOptions;
use crate::notify::{Programs, Template};
use crate::offchain::OffchainSettings;
use crate::pool::{AUTHOR_MEGABYTES, POOL_MEGABYTES, PoolLimits};
use crate::rpc::http::{self, FrontConfig, TlsFiles, UserSettings, Users};

/// The log file.
pub fn log_file(directory: &ChainDirectory, options: &Options) -> PathBuf {
    match options.text("logdir").filter(|folder| !folder.is_empty()) {
        Some(folder) => rota_params::paths::expand(folder).join("debug.log"),
        None => directory.log(),
    }
}

/// Opens the log file; `named` lets lines on the console begin with the chain's name.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn open_log(directory: &ChainDirectory, options: &Options, named: bool) -> anyhow::Result<Dispatch> {
    let bytes = megabytes(options, "maxlogsize", LOG_MEGABYTES)?;
    let files = options.number("maxlogfiles", i64::from(LOG_FILES), 0..=1_000)?;
    let path = log_file(directory, options);
    let log = LogFile::open(&path, bytes as u64, u32::try_from(files)?)
        .map_err(|error| anyhow::anyhow!("cannot write the log {}: {error}", path.display()))?;
    let filter = log::filter(options.text("loglevel").unwrap_or("info"), &options.all("debug"));
    let filter = filter.map_err(|error| anyhow::anyhow!(error))?;
    // In the background nobody reads it.
    let console = options.flag("printtoconsole", false) && !daemon::is_background();
    let prefix = if named { format!("{}: ", directory.name()) } else { String::new() };
    Ok(log::dispatch(log, filter, console.then_some(prefix)))
}

/// Logs options that have no effect.
pub fn log_ignored(options: &Options) {
    for ignored in options.ignored() {
        tracing::warn!("option without effect: {ignored}");
    }
}

/// A port that an option names, or the default.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn port(options: &Options, name: &str, default: u16) -> anyhow::Result<u16> {
    Ok(u16::try_from(options.number(name, i64::from(default), 1..=65_535)?)?)
}

/// Addresses that `bind` names, or every address of this host.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn bind_addresses(options: &Options, port: u16) -> anyhow::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for text in options.all("bind") {
        let address = text
            .parse::<SocketAddr>()
            .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)))
            .map_err(|_| anyhow::anyhow!("-bind={text} is no IP address, with or without a port"))?;
        addresses.push(address);
    }
    if addresses.is_empty() {
        addresses.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    Ok(addresses)
}

/// Addresses under which others reach this node, to be shown: those of `externalip`, or those of this host among the
/// ones it listens at.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn shown_addresses(options: &Options, listen: &[SocketAddr], port: u16) -> anyhow::Result<Vec<SocketAddr>> {
    let named = options.all("externalip").into_iter().map(|text| {
        let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
        let address = alone.or_else(|_| text.parse::<SocketAddr>());
        address.map_err(|_| anyhow::anyhow!("-externalip={text} is no IP address, with or without a port"))
    });
    let named = named.collect::<anyhow::Result<Vec<SocketAddr>>>()?;
    Ok(if named.is_empty() { console::host_addresses(listen) } else { named })
}

/// Whether peers may come in. Who names the only peers wants no others: they come in only where -listen=1 says so.
pub fn listens(options: &Options) -> bool {
    options.flag("listen", options.all("connect").is_empty()) && !options.flag("offline", false)
}

/// Addresses to listen at for peers, each of which is free now; none if the node does not listen.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn listen_addresses(options: &Options, port: u16) -> anyhow::Result<Vec<SocketAddr>> {
    if !listens(options) {
        return Ok(Vec::new());
    }
    let addresses = bind_addresses(options, port)?;
    for address in &addresses {
        TcpListener::bind(address).map_err(|error| {
            anyhow::anyhow!(
                "port {} on {} cannot be used for peers ({error}): stop what uses it, or choose another with -port",
                address.port(),
                address.ip()
            )
        })?;
    }
    Ok(addresses)
}

/// Limits of the pool.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn pool_limits(options: &Options, set: &ParameterSet) -> anyhow::Result<PoolLimits> {
    Ok(PoolLimits {
        bytes: megabytes(options, "maxmempool", POOL_MEGABYTES)?,
        author_bytes: megabytes(options, "maxmempoolauthor", AUTHOR_MEGABYTES)?,
        relay_fee: u64::try_from(set.minimum_relay_fee()).unwrap_or(0),
    })
}

/// Bytes of memory that the database keeps blocks of, none for the usual.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn database_cache(options: &Options) -> anyhow::Result<Option<usize>> {
    options.text("dbcache").map(|_| megabytes(options, "dbcache", 1)).transpose()
}

/// Bytes of the disk that are to stay free.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn least_free(options: &Options) -> anyhow::Result<u64> {
    let least = i64::try_from(rota_storage::LEAST_FREE >> 20)?;
    Ok(u64::try_from(options.number("mindiskspace", least, 0..=1_000_000)?)? << 20)
}

/// Bytes of an option in megabytes, at least one and at most a million of them.
fn megabytes(options: &Options, name: &str, default: u32) -> anyhow::Result<usize> {
    let size = options.number(name, i64::from(default), 1..=1_000_000)?;
    Ok(usize::try_from(size)? << 20)
}

/// Where the process id is written.
pub fn pid_file(directory: &ChainDirectory, options: &Options) -> PathBuf {
    match options.text("pid").filter(|name| !name.is_empty()) {
        Some(name) => directory.path().join(rota_params::paths::expand(name)),
        None => directory.pid(),
    }
}

/// Settings of the JSON-RPC front.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn front_config(options: &Options, directory: &ChainDirectory, rpc_port: u16) -> anyhow::Result<FrontConfig> {
    let tls = tls_files(options, directory);
    let open = tls.is_some() || options.flag("rpcallowplain", false);
    let allow_ips = http::allow_nets(&options.all("rpcallowip"), open)?;
    let binds: Vec<String> = options.all("rpcbind").iter().map(|text| (*text).to_owned()).collect();
    let binds = http::bind_addresses(rpc_port, &binds, &allow_ips)?;
    let users = Users::read(UserSettings {
        user: options.text("rpcuser").unwrap_or(conf::FIRST_USER),
        password: options.text("rpcpassword").unwrap_or(""),
        salted: &options.all("rpcauth"),
        lists: &options.all("rpcwhitelist"),
        node: &Arc::new(allow_methods(options)),
    })?;
    let mut config = FrontConfig::new(directory.name(), users, binds);
    config.allow_ips = allow_ips;
    config.tls = tls;
    config.workers = usize::try_from(options.number("rpcthreads", config.workers as i64, 1..=4_096)?)?;
    config.queue = usize::try_from(options.number("rpcworkqueue", config.queue as i64, 1..=1_000_000)?)?;
    let seconds = options.number("rpcservertimeout", config.timeout.as_secs() as i64, 1..=86_400)?;
    config.timeout = Duration::from_secs(u64::try_from(seconds)?);
    Ok(config)
}

/// The methods of `rpcallowmethod`; all if it names none.
fn allow_methods(options: &Options) -> MethodList {
    let Some(text) = options.text("rpcallowmethod").filter(|text| !text.split(',').all(|word| word.trim().is_empty()))
    else {
        return MethodList::ALL;
    };
    let (list, unknown) = MethodList::read(text);
    for unknown in unknown {
        tracing::warn!("rpcallowmethod: {unknown}");
    }
    list
}

/// Certificate and key of JSON-RPC; none without `rpcssl`.
fn tls_files(options: &Options, directory: &ChainDirectory) -> Option<TlsFiles> {
    let file = |name: &str, default: &str| {
        let given = options.text(name).filter(|text| !text.is_empty()).unwrap_or(default);
        directory.path().join(rota_params::paths::expand(given))
    };
    options.flag("rpcssl", false).then(|| TlsFiles {
        chain: file("rpcsslcertificatechainfile", conf::CERTIFICATE_NAME),
        key: file("rpcsslprivatekeyfile", conf::KEY_NAME),
    })
}

/// Settings of the network.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn network_options(
    options: &Options,
    listen: Vec<SocketAddr>,
    seed: Option<String>,
) -> anyhow::Result<NetworkOptions> {
    let list = |name: &str| options.all(name).iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut add_nodes = list("addnode");
    add_nodes.extend(list("seednode"));
    Ok(NetworkOptions {
        listen,
        add_nodes,
        connect: list("connect"),
        max_connections: u32::try_from(options.number("maxconnections", 125, 0..=10_000)?)?,
        max_out_connections: usize::try_from(options.number("maxoutconnections", 8, 0..=10_000)?)?,
        p2p_key: options.text("p2pkey").map(rota_params::paths::expand),
        seed,
        offline: options.flag("offline", false),
    })
}

/// How off-chain data is kept and fetched.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn offchain_settings(options: &Options) -> anyhow::Result<OffchainSettings> {
    let default = OffchainSettings::default();
    let seconds = |name, default: Duration| -> anyhow::Result<Duration> {
        let given = options.number(name, default.as_secs() as i64, 1..=86_400)?;
        Ok(Duration::from_secs(u64::try_from(given)?))
    };
    Ok(OffchainSettings {
        query_time: seconds("chunkquerytimeout", default.query_time)?,
        request_time: seconds("chunkrequesttimeout", default.request_time)?,
        sync_own: options.flag("flushsourcechunks", default.sync_own),
    })
}

/// Programs to run at blocks and transactions.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn programs(options: &Options) -> anyhow::Result<Programs> {
    let read = |name: &str| -> anyhow::Result<Option<Template>> {
        match options.text(name).filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(Template::parse(text).map_err(|error| anyhow::anyhow!("-{name}: {error}"))?)),
            None => Ok(None),
        }
    };
    Ok(Programs { wallet: read("walletnotify")?, wallet_new: read("walletnotifynew")?, block: read("blocknotify")? })
}

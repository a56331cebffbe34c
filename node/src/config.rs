//! From options to the settings of each part: what was typed in becomes what holds, with a sentence where it cannot.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use rota_params::ParameterSet;
use rota_params::conf;
use rota_params::options::Options;
use rota_params::paths::ChainDirectory;

use crate::log::{self, LOG_BYTES, LOG_FILES, LogFile};
use crate::network::NetworkOptions;
use crate::notify::{Programs, Template};
use crate::offchain::OffchainSettings;
use crate::pool::{AUTHOR_BYTES, POOL_BYTES, PoolLimits};
use crate::rpc::http::{self, FrontConfig};

/// Opens the log file and sends events there.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn start_log(directory: &ChainDirectory, options: &Options) -> anyhow::Result<()> {
    let bytes = options.number("maxlogsize", LOG_BYTES as i64, 4_096..=i64::MAX)?;
    let files = options.number("maxlogfiles", i64::from(LOG_FILES), 0..=1_000)?;
    let path = directory.log();
    let log = LogFile::open(&path, u64::try_from(bytes)?, u32::try_from(files)?)
        .map_err(|error| anyhow::anyhow!("cannot write the log {}: {error}", path.display()))?;
    log::start(log, options.text("loglevel").unwrap_or("info")).map_err(|error| anyhow::anyhow!(error))?;
    for ignored in options.ignored() {
        tracing::warn!("option without effect: {ignored}");
    }
    Ok(())
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

/// Addresses to listen at for peers, each of which is free now; none if the node does not listen.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn listen_addresses(options: &Options, port: u16) -> anyhow::Result<Vec<SocketAddr>> {
    // Who names the only peers wants no others: they come in only where -listen=1 says so.
    if !options.flag("listen", options.all("connect").is_empty()) || options.flag("offline", false) {
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
    let size = |name, default: usize| -> anyhow::Result<usize> {
        Ok(usize::try_from(options.number(name, default as i64, 1 << 20..=i64::MAX)?)?)
    };
    Ok(PoolLimits {
        bytes: size("maxmempool", POOL_BYTES)?,
        author_bytes: size("maxmempoolauthor", AUTHOR_BYTES)?,
        relay_fee: u64::try_from(set.minimum_relay_fee()).unwrap_or(0),
    })
}

/// Settings of the JSON-RPC front.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub fn front_config(options: &Options, chain: &str, rpc_port: u16) -> anyhow::Result<FrontConfig> {
    let plain = options.flag("rpcallowplain", false);
    let mut allow_ips = Vec::new();
    for text in options.all("rpcallowip") {
        allow_ips.push(http::allow_net(text, plain)?);
    }
    let binds: Vec<String> = options.all("rpcbind").iter().map(|text| (*text).to_owned()).collect();
    let binds = http::bind_addresses(rpc_port, &binds, &allow_ips)?;
    let user = options.text("rpcuser").unwrap_or(conf::FIRST_USER);
    let password = options.text("rpcpassword").unwrap_or("");
    let mut config = FrontConfig::new(chain, user, password, binds);
    config.allow_ips = allow_ips;
    config.allow_methods = allow_methods(options);
    config.workers = usize::try_from(options.number("rpcthreads", config.workers as i64, 1..=4_096)?)?;
    config.queue = usize::try_from(options.number("rpcworkqueue", config.queue as i64, 1..=1_000_000)?)?;
    let seconds = options.number("rpcservertimeout", config.timeout.as_secs() as i64, 1..=86_400)?;
    config.timeout = Duration::from_secs(u64::try_from(seconds)?);
    Ok(config)
}

/// The methods of `rpcallowmethod`, none if it names none: then all may be called.
pub fn allow_methods(options: &Options) -> Option<HashSet<String>> {
    let list = options.text("rpcallowmethod")?.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: HashSet<String> = list.map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
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
        p2p_key: options.text("p2pkey").map(rota_params::paths::expand),
        seed,
        offline: options.flag("offline", false),
    })
}

/// Timers of off-chain retrieval.
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

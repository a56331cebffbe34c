//! What noded prints. Scripts look for some of these lines, so their form is kept.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use rota_params::PROTOCOL_LATEST;
use rota_params::known;
use rota_params::known::Topic;
use rota_params::paths::ChainDirectory;

use crate::process::CHAINS_MAX;
use crate::rpc::http::Openness;

/// Line by which a node in the background tells the waiting start command that all was said.
pub const DETACH_LINE: &str = "\u{4}";

/// Prints a text; a closed terminal is no fault.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// The first lines of every start.
pub fn title() -> String {
    format!("\nRota {} Daemon (latest protocol {PROTOCOL_LATEST})\n\nStarting up node...\n", short_version())
}

/// The version with major and minor number.
pub fn short_version() -> &'static str {
    let version = env!("CARGO_PKG_VERSION");
    version.rsplit_once('.').map_or(version, |(short, _)| short)
}

/// The text of `--help`.
pub fn help() -> String {
    let options = known::help(&[
        Topic::General,
        Topic::Peer,
        Topic::Rpc,
        Topic::Chain,
        Topic::Mining,
        Topic::Wallet,
        Topic::Notification,
        Topic::Answer,
        Topic::Log,
    ]);
    format!(
        "noded runs a node of a chain, or of several chains in one process.\n\n\
         Usage:\n  \
         noded CHAIN [options]              start the node; the first start of a new chain makes its genesis block\n  \
         noded CHAIN@HOST:PORT [options]    join a chain through a node of it, or add that node and start\n  \
         noded CHAIN CHAIN ... [options]    run several chains, {CHAINS_MAX} at most; the ports of each stand in its node.conf\n\n\
         Examples:\n  \
         node-util create chain1            make the parameters of a new chain\n  \
         noded chain1 -daemon               start it in the background\n  \
         noded chain1@192.168.0.1:7447      join from another machine\n  \
         noded chain1 chain2 -daemon        start two chains in one process\n  \
         node-cli chain1 stop               stop it; the process ends with its last chain\n\n{options}"
    )
}

/// How others connect, where callers are answered, and that the node is ready.
pub fn ready(chain: &str, addresses: &[SocketAddr], rpc_port: u16, openness: Openness) -> String {
    let mut text = String::from("Other nodes can connect to this node using:\n");
    for address in addresses {
        text.push_str(&format!("noded {chain}@{address}\n"));
    }
    let from = match openness {
        Openness::Local => "local only - see rpcallowip setting",
        Openness::Plain | Openness::Encrypted => "see rpcallowip setting",
    };
    text.push_str(&format!("\nListening for API requests on port {rpc_port} ({from})\n"));
    if openness == Openness::Plain {
        text.push_str(
            "Warning: API requests and passwords of other machines travel unencrypted - see rpcssl setting\n",
        );
    }
    text.push_str("\nNode ready.\n");
    text
}

/// What to ask of an administrator, when this node may not connect yet.
pub fn ask_for_grant(chain: &str, address: &str) -> String {
    format!(
        "Blockchain successfully initialized.\n\n\
         Please ask blockchain admin or user having activate permission to let you connect and/or transact:\n\
         node-cli {chain} grant {address} connect\n\
         node-cli {chain} grant {address} connect,send,receive\n"
    )
}

/// What to do about a chain that is not here.
pub fn no_chain(chain: &str) -> String {
    format!(
        "Parameter set for blockchain {chain} is not complete.\n\n\n\
         If you want to create new blockchain please run one of the following:\n\n  \
         node-util create {chain}\n  node-util clone <old-blockchain-name> {chain}\n\n\
         And rerun noded {chain}\n\n\n\
         If you want to connect to existing blockchain please specify seed node:\n\n  \
         noded {chain}@<seed-node-ip>\n  noded {chain}@<seed-node-ip>:<seed-node-port>\n"
    )
}

/// What to do about a chain whose blocks are gone.
pub fn nothing_stored(directory: &ChainDirectory) -> String {
    let (chain, path) = (directory.name(), directory.path());
    format!(
        "neither database nor blocks of chain {chain} are left in {folder}: restore them from a backup, or name a peer \
         to take them from, as in: noded {chain}@<seed-node-ip>:<seed-node-port>",
        folder = path.display()
    )
}

/// What to do about parameters from before the genesis block of a chain that is here.
pub fn genesis_exists(directory: &ChainDirectory) -> String {
    let (chain, path) = (directory.name(), directory.path());
    format!(
        "genesis-exists: the params.dat of chain {chain} is from before its genesis block was made, but {folder} holds the \
         blocks of a chain, which are left as they are: copy params.dat.bak, or a backup of the params.dat that belongs to \
         them, over it; or move it away and take it from a peer, as in: noded {chain}@<seed-node-ip>:<seed-node-port>. To \
         begin a new chain of this name, move the whole folder away",
        folder = path.display()
    )
}

/// Addresses of this host by which others could reach it; loopback only if there is nothing else.
pub fn host_addresses(listen: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for bound in listen {
        if !bound.ip().is_unspecified() {
            addresses.push(*bound);
            continue;
        }
        let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
        let ips = interfaces.filter_map(|interface| {
            let address = interface.address?;
            address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()))
        });
        addresses.extend(ips.filter(|ip| !ip.is_loopback()).map(|ip| SocketAddr::new(ip, bound.port())));
        if addresses.is_empty() {
            addresses.push(SocketAddr::from(([127, 0, 0, 1], bound.port())));
        }
    }
    addresses
}

//! How the front is set up, what it waits for, and why it may fail to start.

use ipnet::IpNet;
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Largest request body: room for the largest transaction of a default chain in hexadecimal, several times over.
pub const BODY_LIMIT: u64 = 64 * 1024 * 1024;

/// Largest reply. What is larger is to be asked for by pages.
pub const REPLY_LIMIT: usize = 256 * 1024 * 1024;

/// Most requests in one batch: client libraries send hundreds at most.
pub const BATCH_LIMIT: usize = 10_000;

/// Calls that run at once. A place is not a thread: calls that wait for the writer share its work, so that more
/// of them at once are faster together.
pub const WORKERS: usize = 64;

/// Requests that may wait for a place before 503 is answered.
pub const QUEUE: usize = 256;

/// How long a connection may be idle, or one piece of a request or reply may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of the front. [`FrontConfig::new`] fills in the defaults.
#[derive(Clone)]
pub struct FrontConfig {
    /// Addresses to listen at: see [`super::bind_addresses`].
    pub binds: Vec<SocketAddr>,
    /// rpcuser.
    pub user: String,
    /// rpcpassword; must not be empty.
    pub password: String,
    /// Who may call besides this machine: see [`super::allow_net`].
    pub allow_ips: Vec<IpNet>,
    /// rpcallowmethod: the only methods that may be called, besides help; none for all.
    pub allow_methods: Option<HashSet<String>>,
    /// The chain a request may name.
    pub chain_name: String,
    /// rpcthreads: calls that run at once.
    pub workers: usize,
    /// rpcworkqueue: requests that wait for a place.
    pub queue: usize,
    /// rpcservertimeout.
    pub timeout: Duration,
    /// Largest request body in bytes.
    pub body_limit: u64,
    /// Largest reply in bytes.
    pub reply_limit: usize,
    /// Most requests in one batch.
    pub batch_limit: usize,
}

impl FrontConfig {
    /// Settings with default limits, for callers on this machine only.
    #[must_use]
    pub fn new(chain_name: &str, user: &str, password: &str, binds: Vec<SocketAddr>) -> Self {
        Self {
            binds,
            user: user.to_owned(),
            password: password.to_owned(),
            allow_ips: Vec::new(),
            allow_methods: None,
            chain_name: chain_name.to_owned(),
            workers: WORKERS,
            queue: QUEUE,
            timeout: TIMEOUT,
            body_limit: BODY_LIMIT,
            reply_limit: REPLY_LIMIT,
            batch_limit: BATCH_LIMIT,
        }
    }
}

/// How far the node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Starting; the text is what callers are told.
    Starting(String),
    /// All methods answer.
    Ready,
    /// Calls are no longer taken.
    Stopping,
}

/// Why the front did not start.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The port is taken.
    #[error(
        "port {} on {} is in use by another program, so JSON-RPC cannot listen there: stop it, or choose another port with -rpcport",
        .0.port(), .0.ip()
    )]
    Occupied(SocketAddr),
    /// The address is not one of this machine's.
    #[error("{} is no address of this machine, so JSON-RPC cannot listen there: see -rpcbind", .0.ip())]
    NotHere(SocketAddr),
    /// The port needs rights this process does not have.
    #[error("no right to listen at port {} on {}: choose a port above 1023 with -rpcport", .0.port(), .0.ip())]
    NotPermitted(SocketAddr),
    /// Another failure of the system.
    #[error("JSON-RPC cannot listen: {0}")]
    Io(String),
    /// There is nothing to bind.
    #[error("JSON-RPC has no address to listen at: see -rpcbind")]
    NoAddress,
    /// Everyone could call.
    #[error("rpcpassword is empty: set one in node.conf")]
    NoPassword,
    /// A subnet that cannot be read.
    #[error("rpcallowip={0} is not an IP address or subnet such as 192.168.1.0/24")]
    BadSubnet(String),
    /// The whole internet.
    #[error(
        "rpcallowip={0} would let the whole internet call without encryption: name your subnets, or set rpcallowplain=1 if this is what you want"
    )]
    EveryoneAllowed(String),
    /// An address to listen at that cannot be read.
    #[error("rpcbind={0} is not an IP address with or without a port")]
    BadBind(String),
}

impl FrontError {
    pub(super) fn bind(address: SocketAddr, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Occupied(address),
            io::ErrorKind::AddrNotAvailable => Self::NotHere(address),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(address),
            _ => Self::Io(format!("{address}: {error}")),
        }
    }
}

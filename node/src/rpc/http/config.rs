//! How the front is set up, what it waits for, and why it may fail to start.

use super::door::CONNECTION_LIMIT;
use super::tls::{TlsError, TlsFiles};
use super::user::{USER_LIMIT, Users};
use ipnet::IpNet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Largest request body: room for the largest transaction of a default chain in hexadecimal, several times over.
pub const BODY_LIMIT: u64 = 64 * 1024 * 1024;

/// Largest reply. What is larger is to be asked for by pages.
pub const REPLY_LIMIT: usize = 256 * 1024 * 1024;

/// Memory for larger replies that their callers have not read yet: four of the largest, so that one caller who reads slowly
/// leaves room for others.
pub const REPLY_MEMORY: usize = 4 * REPLY_LIMIT;

/// How long a reply waits for room in that memory: a large one is read in less on a near network.
pub const REPLY_PATIENCE: Duration = Duration::from_secs(5);

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
    /// Who may call, and what.
    pub users: Users,
    /// From where, besides this machine: see [`super::allow_nets`].
    pub allow_ips: Vec<IpNet>,
    /// Certificate and key; none where TLS is not spoken.
    pub tls: Option<TlsFiles>,
    /// The chain a request may name.
    pub chain_name: String,
    /// rpcthreads: calls that run at once.
    pub workers: usize,
    /// rpcworkqueue: requests that wait for a place.
    pub queue: usize,
    /// Connections at once.
    pub connections: usize,
    /// rpcservertimeout.
    pub timeout: Duration,
    /// Largest request body in bytes.
    pub body_limit: u64,
    /// Largest reply in bytes.
    pub reply_limit: usize,
    /// Memory for larger replies that are not read yet, in bytes.
    pub reply_memory: usize,
    /// How long a reply waits for room in it.
    pub reply_patience: Duration,
    /// Most requests in one batch.
    pub batch_limit: usize,
}

impl FrontConfig {
    /// Settings with default limits, for callers on this machine only.
    #[must_use]
    pub fn new(chain_name: &str, users: Users, binds: Vec<SocketAddr>) -> Self {
        Self {
            binds,
            users,
            allow_ips: Vec::new(),
            tls: None,
            chain_name: chain_name.to_owned(),
            workers: WORKERS,
            queue: QUEUE,
            connections: CONNECTION_LIMIT,
            timeout: TIMEOUT,
            body_limit: BODY_LIMIT,
            reply_limit: REPLY_LIMIT,
            reply_memory: REPLY_MEMORY,
            reply_patience: REPLY_PATIENCE,
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
    /// Half of the internet or more.
    #[error(
        "rpcallowip={0} would let half of the internet or more call without encryption: name your subnets, speak TLS with rpcssl=1, or set rpcallowplain=1 if this is what you want"
    )]
    EveryoneAllowed(String),
    /// A user that cannot be let in.
    #[error("JSON-RPC user \"{name}\": {cause}")]
    BadUser {
        /// The name.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
    /// An rpcauth that cannot be read; it is not repeated, since it tells of a password.
    #[error("rpcauth: {0}; node-util rpcauth USER makes one")]
    BadAuth(String),
    /// A user without a list of methods.
    #[error(
        "user {0} of rpcauth has no rpcwhitelist: say what it may call, as in rpcwhitelist={0}:@read,@write (or {0}:@all)"
    )]
    NoMethods(String),
    /// An rpcwhitelist that cannot be read.
    #[error("rpcwhitelist={text}: {cause}")]
    BadMethods {
        /// The setting.
        text: String,
        /// What is wrong with it.
        cause: String,
    },
    /// More users than each request can be compared with.
    #[error("there are {0} users of JSON-RPC, at most {USER_LIMIT} are possible")]
    TooManyUsers(usize),
    /// TLS is wanted and not possible.
    #[error("JSON-RPC cannot speak TLS (rpcssl=1): {0}")]
    Tls(#[from] TlsError),
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

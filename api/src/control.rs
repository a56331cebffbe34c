//! The node itself: its methods and their answers.

use crate::method::{ANY, BOOL, INT, Method, REAL, STR, optional, required};
use serde::Serialize;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("getinfo", "Shows the node and its chain at a glance."),
    Method::new("getchaintotals", "Counts what the chain holds: blocks, streams, assets and so on."),
    Method::new("getinitstatus", "Tells whether the node has started, and while it joins a chain, what it waits for."),
    Method::new("help", "Lists all methods, or explains one.")
        .takes(&[optional("command", STR, r#""""#)])
        .example(&["getblock"]),
    Method::new("stop", "Shuts the node down cleanly.").takes(&[optional("ignored", BOOL, "")]),
    Method::new("pause", "Stops tasks of the node until they are resumed.")
        .takes(&[required("tasks", STR)])
        .example(&["mining,incoming"]),
    Method::new("resume", "Takes paused tasks up again.").takes(&[required("tasks", STR)]).example(&["mining"]),
    Method::new("clearmempool", "Forgets all unconfirmed transactions; incoming and mining must be paused first."),
    Method::new(
        "setlastblock",
        "Makes a given block the tip, undoing those after it; incoming and mining must be paused first.",
    )
    .takes(&[optional("block", STR, r#""""#)])
    .example(&["-1"])
    .slow(),
    Method::new("getblockchainparams", "Shows the parameters that the chain was made with.")
        .takes(&[optional("display-names", BOOL, "true"), optional("with-upgrades", BOOL, "true")])
        .example(&["true"]),
    Method::new("getruntimeparams", "Shows the settings of this node that can be changed while it runs.")
        .takes(&[optional("ignored", ANY, "")]),
    Method::new("setruntimeparam", "Changes a setting of the running node.")
        .takes(&[required("name", STR), required("value", BOOL.or(INT).or(REAL).or(STR))])
        .example(&["miningturnover", "0.3"]),
    Method::new("getdiagnostics", "Gathers what is needed to find out why a chain stands still.")
        .takes(&[optional("verbose", BOOL.or(INT), "false")])
        .example(&["true"])
        .slow(),
    Method::new("applycommands", "Runs a prepared list of commands.")
        .takes(&[required("commands", STR)])
        .example(&["5b5d"]),
    Method::new("setmocktime", "Sets the clock that tests see.")
        .takes(&[required("timestamp", INT)])
        .example(&["1700000000"])
        .hidden(),
    Method::new("gethealthcheck", "Tells whether the node is in good health, and if not, why."),
    Method::new("debug", "Shows internals of the node, for its developers.")
        .takes(&[required("request", STR)])
        .example(&["summary"])
        .variadic()
        .hidden(),
    Method::new("rpc.discover", "Describes all methods that may be called here as an OpenRPC document.").hidden(),
];

/// What `getinfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Info {
    /// Release of this program.
    pub version: String,
    /// The same as one number.
    pub nodeversion: i64,
    /// Kept for old clients.
    pub edition: String,
    /// Protocol the chain follows now.
    pub protocolversion: i64,
    /// Name of the chain.
    pub chainname: String,
    /// Description of the chain.
    pub description: String,
    /// Protocol family of the chain.
    pub protocol: String,
    /// Port for peers.
    pub port: i64,
    /// Length of the setup phase in blocks.
    pub setupblocks: i64,
    /// `chain@host:port` for those who want to join.
    pub nodeaddress: String,
    /// An address that nobody can spend from.
    pub burnaddress: String,
    /// Whether blocks and transactions of peers wait.
    pub incomingpaused: bool,
    /// Whether mining is paused.
    pub miningpaused: bool,
    /// Whether off-chain data waits.
    pub offchainpaused: bool,
    /// Kept for old clients.
    pub walletversion: i64,
    /// Native currency of the wallet.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub balance: f64,
    /// Format of the wallet's files.
    pub walletdbversion: i64,
    /// Whether the database is being built anew.
    pub reindex: bool,
    /// Height of the tip.
    pub blocks: i64,
    /// Native currency mined so far.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub chainrewards: f64,
    /// Number of assets.
    pub assets: i64,
    /// Number of streams.
    pub streams: i64,
    /// Number of addresses seen; with explorer support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<i64>,
    /// Number of transactions; with explorer support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<i64>,
    /// Number of peers; with explorer support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<i64>,
    /// Seconds between this clock and that of the peers.
    pub timeoffset: i64,
    /// Connected peers.
    pub connections: i64,
    /// Proxy in use, empty if none.
    pub proxy: String,
    /// Difficulty of proof of work.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub difficulty: f64,
    /// Whether this is a test chain.
    pub testnet: bool,
    /// Birth of the oldest spare key, Unix time.
    pub keypoololdest: i64,
    /// Spare keys.
    pub keypoolsize: i64,
    /// When the wallet locks itself, Unix time, 0 if locked; encrypted wallets only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlocked_until: Option<i64>,
    /// Fee for a thousand bytes.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub paytxfee: f64,
    /// Least fee for a thousand bytes.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub relayfee: f64,
    /// Warnings, empty if none.
    pub errors: String,
}

/// What `getchaintotals` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChainTotals {
    /// Height of the tip.
    pub blocks: i64,
    /// Native currency mined so far.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub rewards: f64,
    /// Number of addresses seen; null without explorer support.
    pub addresses: Option<i64>,
    /// Number of transactions; null without explorer support.
    pub transactions: Option<i64>,
    /// Number of assets.
    pub assets: i64,
    /// Number of streams.
    pub streams: i64,
    /// Number of filters.
    pub filters: i64,
    /// Number of variables.
    pub variables: i64,
    /// Number of libraries.
    pub libraries: i64,
    /// Number of upgrades.
    pub upgrades: i64,
    /// Always 0.
    pub licenses: i64,
}

/// What `getinitstatus` answers, also before the node is ready.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InitStatus {
    /// Release of this program.
    pub version: String,
    /// The same as one number.
    pub nodeversion: i64,
    /// Whether the node is ready.
    pub initialized: bool,
    /// Seconds since joining was first tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connecttime: Option<i64>,
    /// Host that is asked to let this node join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connectaddress: Option<String>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connectport: Option<i64>,
    /// The address that needs connect permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshakelocal: Option<String>,
    /// Why joining failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasterror: Option<String>,
}

/// What `getruntimeparams` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuntimeParams {
    /// Port for peers.
    pub port: i64,
    /// Whether the database is being built anew.
    pub reindex: bool,
    /// Whether the wallet is being built anew.
    pub rescan: bool,
    /// Kept for strict clients: always true, every transaction can be looked up.
    pub txindex: bool,
    /// Confirmations of a coin before it is combined with others.
    pub autocombineminconf: i64,
    /// Coins of an address from which on they are combined.
    pub autocombinemininputs: i64,
    /// Most coins that one combining transaction spends.
    pub autocombinemaxinputs: i64,
    /// Seconds between looks for coins to combine.
    pub autocombinedelay: i64,
    /// Seconds without combining after coins were listed.
    pub autocombinesuspend: i64,
    /// What is subscribed to as soon as it is created.
    pub autosubscribe: String,
    /// The address that proves this node's identity.
    pub handshakelocal: String,
    /// Transactions that are never accepted.
    pub bantx: String,
    /// A block that the chain must contain.
    pub lockblock: String,
    /// Whether known metadata is left out of scripts.
    pub hideknownopdrops: bool,
    /// Larger data is shown as a reference.
    pub maxshowndata: i64,
    /// Most items a query looks at.
    pub maxqueryscanitems: i64,
    /// Whether answers carry the members of the first API.
    pub v1apicompatible: bool,
    /// Whether mining waits for a peer.
    pub miningrequirespeers: bool,
    /// Rounds of empty blocks before mining rests.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub mineemptyrounds: f64,
    /// How readily miners take turns.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub miningturnover: f64,
    /// Rounds after which changes of admins and miners are final.
    pub lockadminminerounds: i64,
    /// Whether this node mines.
    #[serde(rename = "gen")]
    pub generate: bool,
    /// Mining threads.
    pub genproclimit: i64,
    /// Kept for strict clients.
    pub lockinlinemetadata: bool,
    /// Milliseconds a filter has for a transaction of others.
    pub acceptfiltertimeout: i64,
    /// Milliseconds a filter has for an own transaction.
    pub sendfiltertimeout: i64,
}

/// The first words of the answer to `stop`.
pub const STOPPING: &str = "Rota server stopping";

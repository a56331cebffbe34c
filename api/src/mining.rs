//! Who mines when: methods and answers.

use crate::method::{BOOL, INT, Method, OBJECT, REAL, STR, optional, required};
use serde::Serialize;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("listminers", "Lists who may mine, when each comes next, and what this node waits for.")
        .takes(&[optional("verbose", BOOL, "false")])
        .example(&["true"]),
    Method::new("getmininginfo", "Shows how mining on this node goes."),
    Method::new("getnetworkhashps", "Estimates the hashes the network computes in a second.")
        .takes(&[optional("blocks", INT, "120"), optional("height", INT, "-1")])
        .example(&["120"]),
    Method::new("getblocktemplate", "Gives what a block made now would hold.")
        .takes(&[optional("request", OBJECT, "")]),
    Method::new("prioritisetransaction", "Changes the order in which a transaction is mined.")
        .takes(&[required("txid", STR), required("priority-delta", REAL), required("fee-delta", REAL)])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "0", "0"]),
    Method::new("submitblock", "Offers a complete block to the network.")
        .takes(&[required("hex", STR), optional("params", OBJECT, "")])
        .example(&["0100000001aa"]),
    Method::new("getgenerate", "Tells whether this node mines."),
    Method::new("gethashespersec", "Tells how many hashes this node computes in a second."),
    Method::new("setgenerate", "Switches mining on or off.")
        .takes(&[required("generate", BOOL.or(STR)), optional("genproclimit", INT, "1")])
        .example(&["true"]),
];

/// One miner in `listminers`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MinerEntry {
    /// The miner.
    pub address: String,
    /// Whether the key is in this wallet.
    pub islocal: bool,
    /// Whether it may mine now.
    pub permitted: bool,
    /// Blocks until mining diversity lets it mine, null without permission.
    pub diversitywaitblocks: Option<i64>,
    /// First permitted block; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startblock: Option<i64>,
    /// Block to stop before; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endblock: Option<i64>,
    /// Height of its last block.
    pub lastmined: Option<i64>,
    /// What the chain says of it.
    pub chainstate: String,
    /// What this node does with it, null if not local.
    pub localstate: Option<String>,
    /// When this node expects to mine with it, Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waituntil: Option<i64>,
    /// Why it waits, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What could make the chain stand still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// What `getmininginfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MiningInfo {
    /// Height of the tip.
    pub blocks: i64,
    /// Bytes of a block made now.
    pub currentblocksize: i64,
    /// Transactions of a block made now.
    pub currentblocktx: i64,
    /// Difficulty of proof of work.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub difficulty: f64,
    /// Warnings, empty if none.
    pub errors: String,
    /// Mining threads.
    pub genproclimit: i64,
    /// Estimated hashes in a second of the network.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub networkhashps: f64,
    /// Unconfirmed transactions.
    pub pooledtx: i64,
    /// Whether this is a test chain.
    pub testnet: bool,
    /// `main` or `test`.
    pub chain: String,
    /// Whether this node mines.
    pub generate: bool,
    /// Hashes in a second of this node.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub hashespersec: f64,
}

//! Blocks, chain state and pool: methods and answers.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};
use serde::Serialize;
use serde_json::Value;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("getblockchaininfo", "Shows the state of the chain: height, best block, difficulty."),
    Method::new("getbestblockhash", "Gives the hash of the tip."),
    Method::new("getblockcount", "Gives the height of the tip."),
    Method::new("getlastblockinfo", "Describes the tip, or a block some steps before it.")
        .takes(&[optional("skip", INT, "0")])
        .example(&["2"]),
    Method::new("getblock", "Shows a block by its hash or height.")
        .takes(&[required("block", STR.or(INT)), optional("verbose", BOOL.or(INT), "1")])
        .example(&["5", "2"]),
    Method::new("getblockhash", "Gives the hash of the block at a height.")
        .takes(&[required("height", INT)])
        .example(&["5"]),
    Method::new("listblocks", "Describes chosen blocks: heights, ranges, hashes, the last ones, or a span of time.")
        .takes(&[required("blocks", STR.or(INT).or(ARRAY).or(OBJECT)), optional("verbose", BOOL, "false")])
        .example(&["-5", "true"]),
    Method::new("getchaintips", "Lists the ends of all known branches."),
    Method::new("getdifficulty", "Gives the difficulty of proof of work."),
    Method::new("getmempoolinfo", "Counts the unconfirmed transactions and their bytes."),
    Method::new("getrawmempool", "Lists the ids of all unconfirmed transactions.")
        .takes(&[optional("verbose", BOOL, "false")])
        .example(&["true"]),
    Method::new("gettxout", "Shows an unspent output.")
        .takes(&[required("txid", STR), required("vout", INT), optional("unconfirmed", BOOL, "true")])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "0"]),
    Method::new("gettxoutsetinfo", "Sums up all unspent outputs.").slow(),
    Method::new(
        "getstatehash",
        "Counts the hash of the state after the last block anew: every node at this block gives the same.",
    )
    .hidden()
    .slow(),
    Method::new("verifychain", "Checks the most recent blocks in the database again.")
        .takes(&[optional("checklevel", INT, "3"), optional("numblocks", INT, "288")])
        .example(&["3", "100"])
        .slow(),
    Method::new("invalidateblock", "Treats a block as invalid from now on.")
        .takes(&[required("hash", STR)])
        .example(&["00b4decca1d42652529af2667341257954debda86fbc3ba6e085c0b26f64cef2"])
        .hidden()
        .slow(),
    Method::new("reconsiderblock", "Takes back what invalidateblock did.")
        .takes(&[required("hash", STR)])
        .example(&["00b4decca1d42652529af2667341257954debda86fbc3ba6e085c0b26f64cef2"])
        .hidden()
        .slow(),
    Method::new("listupgrades", "Lists upgrades of the chain's parameters and their approval.")
        .takes(&[optional("upgrades", STR.or(ARRAY), "*")])
        .example(&["*"]),
];

/// What `getblockchaininfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BlockchainInfo {
    /// `main` or `test`.
    pub chain: String,
    /// Name of the chain.
    pub chainname: String,
    /// Description of the chain.
    pub description: String,
    /// Protocol family of the chain.
    pub protocol: String,
    /// Length of the setup phase in blocks.
    pub setupblocks: i64,
    /// Whether the database is being built anew.
    pub reindex: bool,
    /// Height of the tip.
    pub blocks: i64,
    /// Height of the best known header.
    pub headers: i64,
    /// Hash of the tip.
    pub bestblockhash: String,
    /// Difficulty of proof of work.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub difficulty: f64,
    /// Share of the known chain that is applied, 0 to 1.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub verificationprogress: f64,
    /// Work in the chain, 64 hexadecimal digits.
    pub chainwork: String,
    /// Native currency mined so far.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub chainrewards: f64,
}

/// What `getlastblockinfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LastBlockInfo {
    /// Block hash.
    pub hash: String,
    /// Height.
    pub height: i64,
    /// Time in the header, Unix time.
    pub time: i64,
    /// Number of transactions.
    pub txcount: i64,
    /// Who mined it.
    pub miner: Option<String>,
}

/// What `getblock` answers from level 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BlockVerbose {
    /// Block hash.
    pub hash: String,
    /// Who mined it.
    pub miner: Option<String>,
    /// Blocks from here to the tip, -1 off the active branch.
    pub confirmations: i64,
    /// Bytes.
    pub size: i64,
    /// Height.
    pub height: i64,
    /// Version in the header.
    pub version: i64,
    /// Root over the transactions.
    pub merkleroot: String,
    /// Ids, or transactions at higher levels.
    pub tx: Vec<Value>,
    /// Time in the header, Unix time.
    pub time: i64,
    /// Nonce in the header.
    pub nonce: i64,
    /// Proof of work target, eight hexadecimal digits.
    pub bits: String,
    /// Difficulty of proof of work.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub difficulty: f64,
    /// Work up to here, 64 hexadecimal digits.
    pub chainwork: String,
    /// False on a block marked invalid, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Parent; absent in the first block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previousblockhash: Option<String>,
    /// Child on the active branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nextblockhash: Option<String>,
}

/// One block in `listblocks`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BlockEntry {
    /// Block hash.
    pub hash: String,
    /// Who mined it.
    pub miner: Option<String>,
    /// Blocks from here to the tip.
    pub confirmations: i64,
    /// Height.
    pub height: i64,
    /// Time in the header, Unix time.
    pub time: i64,
    /// Number of transactions.
    pub txcount: i64,
    /// Bytes; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Version in the header; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Root over the transactions; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merkleroot: Option<String>,
    /// Nonce in the header; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<i64>,
    /// Proof of work target; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<String>,
    /// Difficulty of proof of work; verbose.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::number::serialize_some_real")]
    pub difficulty: Option<f64>,
    /// Work up to here; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chainwork: Option<String>,
    /// Parent; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previousblockhash: Option<String>,
    /// Child; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nextblockhash: Option<String>,
}

/// One branch in `getchaintips`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChainTip {
    /// Height of the end.
    pub height: i64,
    /// Its hash.
    pub hash: String,
    /// Blocks since it left the active branch.
    pub branchlen: i64,
    /// `active`, `valid-fork`, `valid-headers`, `headers-only` or `invalid`.
    pub status: String,
}

/// What `getmempoolinfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MempoolInfo {
    /// Number of transactions.
    pub size: i64,
    /// Their bytes.
    pub bytes: i64,
}

/// One transaction in verbose `getrawmempool`, under its id.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MempoolEntry {
    /// Bytes.
    pub size: i64,
    /// Fee.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub fee: f64,
    /// When it arrived, Unix time.
    pub time: i64,
    /// Height of the tip when it arrived.
    pub height: i64,
    /// Kept for old clients.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub startingpriority: f64,
    /// Kept for old clients.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub currentpriority: f64,
    /// Unconfirmed transactions whose coins it spends.
    pub depends: Vec<String>,
}

//! The wallet's transactions, coins and secrets: methods and answers.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, REAL, STR, optional, required};
use serde::Serialize;
use serde_json::Value;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("getwalletinfo", "Describes the wallet."),
    Method::new("getwallettransaction", "Shows a transaction as the wallet sees it.")
        .takes(&[
            required("txid", STR),
            optional("include-watchonly", BOOL, "false"),
            optional("verbose", BOOL, "false"),
        ])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "false", "true"]),
    Method::new("listwallettransactions", "Lists the most recent transactions of the wallet.")
        .takes(&[
            optional("count", INT, "10"),
            optional("skip", INT.or(OBJECT), "0"),
            optional("include-watchonly", BOOL, "false"),
            optional("verbose", BOOL, "false"),
        ])
        .example(&["10", "0"]),
    Method::new("getaddresstransaction", "Shows what a transaction did to one of your addresses.")
        .takes(&[required("address", STR), required("txid", STR), optional("verbose", BOOL, "false")])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32",
        ]),
    Method::new("listaddresstransactions", "Lists the most recent transactions of one of your addresses.")
        .takes(&[
            required("address", STR),
            optional("count", INT, "10"),
            optional("skip", INT.or(OBJECT), "0"),
            optional("verbose", BOOL, "false"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "10"]),
    Method::new("listunspent", "Lists unspent outputs of the wallet.")
        .takes(&[optional("minconf", INT, "1"), optional("maxconf", INT, "9999999"), optional("addresses", ARRAY, "")])
        .example(&["1", "9999999", r#"["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]"#]),
    Method::new("send", "Sends native currency or assets.")
        .takes(&[
            required("address", STR),
            required("amount", REAL.or(OBJECT)),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&["17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", r#"{"asset1":10}"#]),
    Method::new("sendfrom", "Sends from one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("to-address", STR),
            required("amount", REAL.or(OBJECT)),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf",
            r#"{"asset1":10}"#,
        ]),
    Method::new("sendwithdata", "Sends and attaches data.")
        .takes(&[required("address", STR), required("amount", REAL.or(OBJECT)), required("data", STR.or(OBJECT))])
        .example(&["17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", r#"{"asset1":10}"#, r#"{"text":"invoice 7"}"#]),
    Method::new("sendwithdatafrom", "Sends from one of your addresses and attaches data.")
        .takes(&[
            required("from-address", STR),
            required("to-address", STR),
            required("amount", REAL.or(OBJECT)),
            required("data", STR.or(OBJECT)),
        ])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf",
            r#"{"asset1":10}"#,
            r#"{"text":"invoice 7"}"#,
        ]),
    Method::alias("sendtoaddress", "send"),
    Method::alias("sendfromaddress", "sendfrom"),
    Method::alias("sendwithmetadata", "sendwithdata"),
    Method::alias("sendwithmetadatafrom", "sendwithdatafrom"),
    Method::new("combineunspent", "Joins many small outputs of an address into few.")
        .takes(&[
            optional("addresses", STR, "*"),
            optional("minconf", INT, "1"),
            optional("maxcombines", INT, "100"),
            optional("mininputs", INT, "2"),
            optional("maxinputs", INT, "100"),
            optional("maxtime", INT, "15"),
        ])
        .example(&["*", "1", "10"])
        .slow(),
    Method::new("lockunspent", "Keeps outputs from being spent, or frees them.")
        .takes(&[required("unlock", BOOL), optional("outputs", ARRAY, "")])
        .example(&[
            "false",
            r#"[{"txid":"19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32","vout":0}]"#,
        ]),
    Method::new("listlockunspent", "Lists outputs that are kept from being spent."),
    Method::new("backupwallet", "Copies the wallet to a file on the node's machine.")
        .takes(&[required("destination", STR)])
        .example(&["/tmp/wallet.bak"]),
    Method::new("dumpwallet", "Writes all keys in readable form to a file on the node's machine.")
        .takes(&[required("filename", STR)])
        .example(&["/tmp/keys.txt"]),
    Method::new("importwallet", "Reads keys from a file that dumpwallet wrote.")
        .takes(&[required("filename", STR), optional("rescan", BOOL.or(INT), "true")])
        .example(&["/tmp/keys.txt"])
        .slow(),
    Method::new("encryptwallet", "Encrypts the keys with a passphrase; there is no way back without it.")
        .takes(&[required("passphrase", STR)])
        .example(&["correct-horse-battery-staple"])
        .slow(),
    Method::new("walletpassphrase", "Unlocks the encrypted wallet for some time.")
        .takes(&[required("passphrase", STR), required("timeout", INT)])
        .example(&["correct-horse-battery-staple", "60"])
        .slow(),
    Method::new("walletpassphrasechange", "Changes the passphrase.")
        .takes(&[required("oldpassphrase", STR), required("newpassphrase", STR)])
        .example(&["correct-horse-battery-staple", "better-horse"])
        .slow(),
    Method::new("walletlock", "Locks the wallet again."),
    Method::new("keypoolrefill", "Makes spare keys.")
        .takes(&[optional("newsize", INT, "100")])
        .example(&["100"])
        .slow(),
    Method::new("gettransaction", "Shows a transaction of the wallet in the old form.")
        .takes(&[required("txid", STR), optional("include-watchonly", BOOL, "false")])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32"]),
    Method::new("resendwallettransactions", "Announces unconfirmed transactions of the wallet once more."),
];

/// What `getwalletinfo` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WalletInfo {
    /// Kept for old clients.
    pub walletversion: i64,
    /// Native currency.
    #[serde(serialize_with = "crate::number::serialize_real")]
    pub balance: f64,
    /// Format of the wallet's files.
    pub walletdbversion: i64,
    /// Transactions of the wallet.
    pub txcount: i64,
    /// Unspent outputs of the wallet.
    pub utxocount: i64,
    /// Birth of the oldest spare key, Unix time.
    pub keypoololdest: i64,
    /// Spare keys.
    pub keypoolsize: i64,
    /// When the wallet locks itself, 0 if locked; encrypted wallets only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlocked_until: Option<i64>,
    /// How far the past of imported addresses is looked through; while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescan: Option<Rescan>,
}

/// How far a rescan is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rescan {
    /// Next block to look through.
    pub block: i64,
    /// Last block of the chain.
    pub of: i64,
}

/// A transaction as the wallet or one address sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WalletTransaction {
    /// What it changes.
    pub balance: WalletBalance,
    /// Own addresses it concerns.
    pub myaddresses: Vec<String>,
    /// Other addresses it concerns.
    pub addresses: Vec<String>,
    /// Permissions it gives or takes.
    pub permissions: Vec<Value>,
    /// The entity it creates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<Value>,
    /// The asset it issues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<Value>,
    /// Stream items it carries.
    pub items: Vec<Value>,
    /// Other data it carries.
    pub data: Vec<Value>,
    /// Blocks since it was mined, 0 while unconfirmed.
    pub confirmations: i64,
    /// True in a coinbase, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<bool>,
    /// Its block; confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockhash: Option<String>,
    /// Height of its block; confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockheight: Option<i64>,
    /// Its position; confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockindex: Option<i64>,
    /// Time of its block, Unix time; confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocktime: Option<i64>,
    /// Its id.
    pub txid: String,
    /// False after a conflict.
    pub valid: bool,
    /// The earlier of receipt and block time.
    pub time: i64,
    /// When it was first seen here.
    pub timereceived: i64,
    /// Private note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Private note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Inputs; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vin: Option<Vec<Value>>,
    /// Outputs; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vout: Option<Vec<Value>>,
    /// The whole transaction; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

/// A change of balances.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WalletBalance {
    /// Native currency.
    pub amount: Value,
    /// Assets: see [`crate::asset::AssetQuantity`].
    pub assets: Vec<Value>,
}

/// One output in `listunspent`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Unspent {
    /// Its transaction.
    pub txid: String,
    /// Its index.
    pub vout: i64,
    /// Its owner.
    pub address: String,
    /// Label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its script in the standard form, in hexadecimal.
    #[serde(rename = "scriptPubKey")]
    pub script_pub_key: String,
    /// The script behind a shared address, if known.
    #[serde(rename = "redeemScript", skip_serializing_if = "Option::is_none")]
    pub redeem_script: Option<String>,
    /// Native currency.
    pub amount: Value,
    /// Blocks since it was mined.
    pub confirmations: i64,
    /// Whether its owner may send.
    pub cansend: bool,
    /// Whether this wallet can sign for it.
    pub spendable: bool,
    /// Assets it holds.
    pub assets: Vec<Value>,
    /// Permissions it carries.
    pub permissions: Vec<Value>,
    /// Data inside the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<Value>>,
}

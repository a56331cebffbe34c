//! Raw transactions: methods and answers.

use crate::method::{ARRAY, BOOL, INT, Method, NULL, OBJECT, REAL, STR, optional, required};
use serde::Serialize;
use serde_json::Value;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("getrawtransaction", "Shows a transaction as hexadecimal or decoded.")
        .takes(&[required("txid", STR), optional("verbose", BOOL.or(INT).or(STR), "0")])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "1"]),
    Method::new("createrawtransaction", "Builds a transaction from given inputs.")
        .takes(&[
            required("inputs", ARRAY),
            required("addresses", OBJECT.or(ARRAY)),
            optional("data", ARRAY, ""),
            optional("action", STR, r#""""#),
            optional("privatekeys", ARRAY, ""),
            optional("sighashtype", STR, "ALL"),
        ])
        .example(&[
            r#"[{"txid":"19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32","vout":0}]"#,
            r#"{"17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf":{"asset1":10}}"#,
            r#"[{"text":"hello"}]"#,
        ]),
    Method::new("appendrawtransaction", "Adds inputs, outputs and data to a raw transaction.")
        .takes(&[
            required("hex", STR),
            required("inputs", ARRAY),
            optional("addresses", OBJECT.or(ARRAY), ""),
            optional("data", ARRAY, ""),
            optional("action", STR, r#""""#),
            optional("privatekeys", ARRAY, ""),
            optional("sighashtype", STR, "ALL"),
        ])
        .example(&["0100000001aa", "[]", r#"{"17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf":0}"#, r#"[{"text":"hello"}]"#]),
    Method::new(
        "createrawsendfrom",
        "Builds a transaction of one of your addresses, and on request locks, signs or sends it.",
    )
    .takes(&[
        required("from-address", STR),
        required("addresses", OBJECT.or(ARRAY)),
        optional("data", ARRAY, ""),
        optional("action", STR, r#""""#),
        optional("privatekeys", ARRAY, ""),
        optional("sighashtype", STR, "ALL"),
    ])
    .example(&[
        "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
        r#"{"17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf":{"asset1":10}}"#,
        "[]",
        "send",
    ]),
    Method::new("appendrawchange", "Adds the output that takes the change.")
        .takes(&[required("hex", STR), required("address", STR), optional("native-fee", REAL, "")])
        .example(&["0100000001aa", "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("appendrawdata", "Adds data to a raw transaction.")
        .takes(&[required("hex", STR), required("data", STR.or(OBJECT))])
        .example(&["0100000001aa", r#"{"text":"hello"}"#]),
    Method::alias("appendrawmetadata", "appendrawdata"),
    Method::new("decoderawtransaction", "Shows what a raw transaction does.")
        .takes(&[required("hex", STR)])
        .example(&["0100000001aa"]),
    Method::new("decodescript", "Shows what a script means.")
        .takes(&[required("hex", STR)])
        .example(&["76a914e470fb4ebaffd2834179240775fbcd64e86b5ba588ac"]),
    Method::new("signrawtransaction", "Signs a raw transaction with the keys at hand.")
        .takes(&[
            required("hex", STR),
            optional("prevtxs", ARRAY.or(NULL), ""),
            optional("privatekeys", ARRAY.or(NULL), ""),
            optional("sighashtype", STR, "ALL"),
        ])
        .example(&["0100000001aa"]),
    Method::new("sendrawtransaction", "Checks a signed transaction and announces it.")
        .takes(&[required("hex", STR), optional("allowhighfees", BOOL, "false")])
        .example(&["0100000001aa"]),
];

/// A decoded transaction.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TxVerbose {
    /// The whole transaction, first in `getrawtransaction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// Its id.
    pub txid: String,
    /// Its version.
    pub version: i64,
    /// Height or time before which it is not valid.
    pub locktime: i64,
    /// Inputs.
    pub vin: Vec<Value>,
    /// Outputs.
    pub vout: Vec<Value>,
    /// The asset it issues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<Value>,
    /// The entity it creates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<Value>,
    /// Its block, if mined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockhash: Option<String>,
    /// Blocks since it was mined, 0 off the active branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<i64>,
    /// When it was first seen here, or its block's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Time of its block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocktime: Option<i64>,
}

/// The standard form of an output's lock.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ScriptPubKey {
    /// In words.
    pub asm: String,
    /// In hexadecimal.
    pub hex: String,
    /// Signatures needed.
    #[serde(rename = "reqSigs", skip_serializing_if = "Option::is_none")]
    pub req_sigs: Option<i64>,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
}

/// What `signrawtransaction` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Signed {
    /// The transaction.
    pub hex: String,
    /// Whether every signature is there.
    pub complete: bool,
}

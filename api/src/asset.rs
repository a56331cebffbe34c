//! Assets and tokens: methods and answers.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, REAL, STR, optional, required};
use serde::Serialize;
use serde_json::Value;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("issue", "Creates an asset and sends all of it to an address.")
        .takes(&[
            required("address", STR),
            required("name-or-params", STR.or(OBJECT)),
            required("quantity", REAL),
            optional("smallest-unit", REAL, "1"),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("custom-fields", OBJECT, ""),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "asset1", "1000", "0.01"]),
    Method::new("issuefrom", "Creates an asset in the name of one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("to-address", STR),
            required("name-or-params", STR.or(OBJECT)),
            required("quantity", REAL),
            optional("smallest-unit", REAL, "1"),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("custom-fields", OBJECT, ""),
        ])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf",
            r#"{"name":"asset1","open":true}"#,
            "1000",
            "0.01",
        ]),
    Method::new("issuemore", "Issues more of an open asset.")
        .takes(&[
            required("address", STR),
            required("asset", STR),
            required("quantity", REAL),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("custom-fields", OBJECT, ""),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "asset1", "500"]),
    Method::new("issuemorefrom", "Issues more of an open asset in the name of one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("to-address", STR),
            required("asset", STR),
            required("quantity", REAL),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("custom-fields", OBJECT, ""),
        ])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf",
            "asset1",
            "500",
        ]),
    Method::new("issuetoken", "Issues a token of a non-fungible asset.")
        .takes(&[
            required("address", STR),
            required("asset", STR),
            required("token", STR),
            required("quantity", INT),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("token-details", OBJECT, ""),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "art", "mona", "1", "0", r#"{"year":"1503"}"#]),
    Method::new("issuetokenfrom", "Issues a token in the name of one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("to-address", STR),
            required("asset", STR),
            required("token", STR),
            required("quantity", INT),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("token-details", OBJECT, ""),
        ])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf",
            "art",
            "mona",
            "1",
        ]),
    Method::new("update", "Opens or closes an asset for further issues.")
        .takes(&[required("entity", STR), required("update", OBJECT)])
        .example(&["asset1", r#"{"open":false}"#]),
    Method::new("updatefrom", "Opens or closes an asset in the name of one of your addresses.")
        .takes(&[required("from-address", STR), required("entity", STR), required("update", OBJECT)])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "asset1", r#"{"open":false}"#]),
    Method::new("listassets", "Lists assets, all or chosen ones, by pages.")
        .takes(&[
            optional("assets", STR.or(ARRAY), "*"),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["*", "true"]),
    Method::new("getassetinfo", "Describes one asset.")
        .takes(&[required("asset", STR), optional("verbose", BOOL, "false")])
        .example(&["asset1", "true"]),
    Method::new("listassetissues", "Lists every issue of an asset.")
        .takes(&[
            required("asset", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["asset1", "true"]),
    Method::new("gettokeninfo", "Describes one token of a non-fungible asset.")
        .takes(&[required("asset", STR), required("token", STR), optional("verbose", BOOL, "false")])
        .example(&["art", "mona"]),
    Method::new("getassetbalances", "Shows how much of each asset the wallet holds.").takes(&[
        optional("account", STR, ""),
        optional("minconf", INT, "1"),
        optional("include-watchonly", BOOL, "false"),
        optional("include-locked", BOOL, "false"),
    ]),
    Method::new("getmultibalances", "Shows balances by address and asset.")
        .takes(&[
            optional("addresses", STR.or(ARRAY), "*"),
            optional("assets", STR.or(ARRAY), "*"),
            optional("minconf", INT, "1"),
            optional("include-watchonly", BOOL, "false"),
            optional("include-locked", BOOL, "false"),
        ])
        .example(&["*", "asset1"]),
    Method::new("gettokenbalances", "Shows balances of single tokens by address.")
        .takes(&[
            optional("addresses", STR.or(ARRAY), "*"),
            optional("assets", STR.or(ARRAY), "*"),
            optional("minconf", INT, "1"),
            optional("include-watchonly", BOOL, "false"),
            optional("include-locked", BOOL, "false"),
        ])
        .example(&["*", "art"]),
    Method::new("getaddressbalances", "Shows how much of each asset an address holds.")
        .takes(&[required("address", STR), optional("minconf", INT, "1"), optional("include-locked", BOOL, "false")])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("gettotalbalances", "Shows how much of each asset the wallet holds, native currency included.").takes(
        &[
            optional("minconf", INT, "1"),
            optional("include-watchonly", BOOL, "false"),
            optional("include-locked", BOOL, "false"),
        ],
    ),
    Method::new("listassettransactions", "Lists the transactions that move an asset, by pages.")
        .takes(&[
            required("asset", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
            optional("local-ordering", BOOL, "false"),
        ])
        .example(&["asset1", "true", "10"]),
    Method::new("getassettransaction", "Shows what a transaction did to an asset.")
        .takes(&[required("asset", STR), required("txid", STR), optional("verbose", BOOL, "false")])
        .example(&["asset1", "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32"]),
    Method::new("sendasset", "Sends an asset.")
        .takes(&[
            required("address", STR),
            required("asset", STR),
            required("quantity", REAL),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&["17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", "asset1", "12.5"]),
    Method::new("sendassetfrom", "Sends an asset from one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("to-address", STR),
            required("asset", STR),
            required("quantity", REAL),
            optional("native-amount", REAL, "minimum-per-output"),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf",
            "asset1",
            "12.5",
        ]),
    Method::alias("sendassettoaddress", "sendasset"),
];

/// A quantity of an asset in balances and outputs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AssetQuantity {
    /// Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its reference, null while unconfirmed.
    pub assetref: Option<String>,
    /// The token, for a non-fungible asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Quantity in display units.
    pub qty: Value,
    /// Quantity in smallest units; in some answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<i64>,
}

/// One asset in `listassets` and `getassetinfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AssetEntry {
    /// Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The transaction that issued it first.
    pub issuetxid: String,
    /// Its reference, null while unconfirmed.
    pub assetref: Option<String>,
    /// Smallest units in one display unit.
    pub multiple: i64,
    /// One smallest unit in display units.
    pub units: Value,
    /// Whether more may be issued.
    pub open: bool,
    /// What needs permission.
    pub restrict: AssetRestrict,
    /// Whether its units are alike.
    pub fungible: bool,
    /// Whether it may be opened.
    pub canopen: bool,
    /// Whether it may be closed.
    pub canclose: bool,
    /// Most that may exist, null if unlimited.
    pub totallimit: Value,
    /// Most in one issue, null if unlimited.
    pub issuelimit: Value,
    /// The fields it was created with.
    pub details: Value,
    /// Number of issues.
    pub issuecount: i64,
    /// All issued, in display units.
    pub issueqty: Value,
    /// All issued, in smallest units.
    pub issueraw: i64,
    /// Whether this node follows it; `listassets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribed: Option<bool>,
    /// Whether its index is complete; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronized: Option<bool>,
    /// Its transactions; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<i64>,
    /// Those of them that are confirmed; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<i64>,
    /// Every issue; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issues: Option<Vec<AssetIssue>>,
}

/// What needs permission in an asset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AssetRestrict {
    /// Sending needs permission.
    pub send: bool,
    /// Receiving needs permission.
    pub receive: bool,
    /// Issuing more needs permission.
    pub issue: bool,
}

/// One issue of an asset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AssetIssue {
    /// Its transaction.
    pub txid: String,
    /// Quantity in display units.
    pub qty: Value,
    /// Quantity in smallest units.
    pub raw: i64,
    /// The token, null in the first issue; non-fungible assets only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Value>,
    /// The fields of this issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Who issued; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuers: Option<Vec<String>>,
}

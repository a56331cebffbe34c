//! What a block explorer asks: methods.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, Parameter, STR, optional, required};

/// How much is shown of each entry; `-` for their number alone.
const DETAIL: Parameter = optional("verbose", BOOL.or(STR), "false");

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("explorerlisttransactions", "Lists the chain's latest transactions with tags.")
        .takes(&[DETAIL, optional("count", INT, "10"), optional("start", INT.or(OBJECT), "-count")])
        .example(&["true", "20"]),
    Method::new("explorerlistaddresses", "Lists addresses that the chain has seen.")
        .takes(&[
            optional("addresses", STR.or(ARRAY), "*"),
            DETAIL,
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["*", "true", "20"]),
    Method::new("explorerlistaddresstransactions", "Lists transactions that concern an address.")
        .takes(&[
            required("address", STR),
            DETAIL,
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "true", "20"]),
    Method::new("explorerlistblocktransactions", "Lists the transactions of a block with tags.")
        .takes(&[
            required("block", INT.or(STR)),
            DETAIL,
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["5", "true"]),
    Method::new(
        "explorerlistredeemtransactions",
        "Finds what spends the first outputs of a transaction, or those of a list.",
    )
    .takes(&[required("txid", STR), required("vouts", INT.or(ARRAY))])
    .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "[0,1]"]),
    Method::new("explorerlistaddressassets", "Lists what an address holds and held of assets and native currency.")
        .takes(&[
            required("address", STR),
            DETAIL,
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("explorerlistaddressstreams", "Lists the streams that an address writes to.")
        .takes(&[
            required("address", STR),
            DETAIL,
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("explorerlistassetaddresses", "Lists who holds and held an asset, or (empty name) native currency.")
        .takes(&[
            required("asset", STR),
            DETAIL,
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["asset1"]),
    Method::new("explorerlistaddressassettransactions", "Lists what an address did with an asset, with its balance.")
        .takes(&[
            required("address", STR),
            required("asset", STR),
            DETAIL,
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "asset1"]),
    Method::new("explorergetrawtransaction", "Shows any transaction with tags.")
        .takes(&[required("txid", STR), optional("verbose", BOOL.or(INT), "0")])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "1"]),
];

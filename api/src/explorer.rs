//! What a block explorer asks: methods.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("explorerlisttransactions", "Lists the chain's latest transactions with tags.")
        .takes(&[
            optional("verbose", BOOL, "false"),
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["true", "20"]),
    Method::new("explorerlistaddresses", "Lists addresses that the chain has seen.")
        .takes(&[
            optional("addresses", STR.or(ARRAY), "*"),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["*", "true", "20"]),
    Method::new("explorerlistaddresstransactions", "Lists transactions that concern an address.")
        .takes(&[
            required("address", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "true", "20"]),
    Method::new("explorerlistblocktransactions", "Lists the transactions of a block with tags.")
        .takes(&[
            required("block", INT.or(STR)),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["5", "true"]),
    Method::new("explorerlistredeemtransactions", "Finds the transactions that spend given outputs.")
        .takes(&[required("txid", STR), required("vouts", INT.or(ARRAY))])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "[0,1]"]),
    Method::new("explorerlistaddressassets", "Lists the assets that an address holds.")
        .takes(&[
            required("address", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("explorerlistaddressstreams", "Lists the streams that an address writes to.")
        .takes(&[
            required("address", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("explorerlistassetaddresses", "Lists who holds an asset.")
        .takes(&[
            required("asset", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["asset1"]),
    Method::new("explorerlistaddressassettransactions", "Lists what an address did with an asset.")
        .takes(&[
            required("address", STR),
            required("asset", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "10"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "asset1"]),
    Method::new("explorergetrawtransaction", "Shows any transaction with tags.")
        .takes(&[required("txid", STR), optional("verbose", BOOL.or(INT), "0")])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "1"]),
];

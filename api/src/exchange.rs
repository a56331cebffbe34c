//! Atomic exchange: methods. Answers are raw transactions or free in form.

use crate::method::{BOOL, INT, Method, OBJECT, STR, optional, required};

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("preparelockunspent", "Sets aside an output with exactly given quantities.")
        .takes(&[required("assets", OBJECT), optional("lock", BOOL, "true")])
        .example(&[r#"{"asset1":10}"#]),
    Method::new(
        "preparelockunspentfrom",
        "Sets aside an output of one of your addresses with exactly given quantities.",
    )
    .takes(&[required("from-address", STR), required("assets", OBJECT), optional("lock", BOOL, "true")])
    .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", r#"{"asset1":10}"#]),
    Method::new("createrawexchange", "Offers a prepared output in return for wanted quantities.")
        .takes(&[required("txid", STR), required("vout", INT), required("ask-assets", OBJECT)])
        .example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "0", r#"{"asset1":5}"#]),
    Method::new("appendrawexchange", "Adds an offer to an exchange.")
        .takes(&[required("hex", STR), required("txid", STR), required("vout", INT), required("ask-assets", OBJECT)])
        .example(&[
            "0100000001aa",
            "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32",
            "0",
            r#"{"asset1":10}"#,
        ]),
    Method::new("completerawexchange", "Adds the last offer, so that the exchange can be sent.")
        .takes(&[
            required("hex", STR),
            required("txid", STR),
            required("vout", INT),
            required("ask-assets", OBJECT),
            optional("data", STR.or(OBJECT), ""),
        ])
        .example(&[
            "0100000001aa",
            "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32",
            "0",
            r#"{"asset1":10}"#,
        ]),
    Method::new("decoderawexchange", "Shows what an exchange offers and asks.")
        .takes(&[required("hex", STR), optional("verbose", BOOL, "false")])
        .example(&["0100000001aa", "true"]),
    Method::new("disablerawtransaction", "Spends an output of an offer, so that the offer can no longer be taken.")
        .takes(&[required("hex", STR)])
        .example(&["0100000001aa"]),
];

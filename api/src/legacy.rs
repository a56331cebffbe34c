//! Old calls kept so that old clients get a proper answer.

use crate::method::{ANY, ARRAY, BOOL, INT, Method, OBJECT, REAL, STR, optional, required};

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("getaccount", "Accounts are not supported; kept for its error.")
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"])
        .variadic(),
    Method::new("getaccountaddress", "Accounts are not supported; kept for its error.").example(&["office"]).variadic(),
    Method::new("getaddressesbyaccount", "Accounts are not supported; kept for its error.")
        .example(&["office"])
        .variadic(),
    Method::new("setaccount", "Accounts are not supported; kept for its error.")
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "office"])
        .variadic(),
    Method::new("getbalance", "Gives the wallet's native currency.").variadic(),
    Method::new("getreceivedbyaccount", "Accounts are not supported; kept for its error.")
        .example(&["office"])
        .variadic(),
    Method::new("getreceivedbyaddress", "Gives the native currency an address has received.")
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"])
        .variadic(),
    Method::new("listaccounts", "Accounts are not supported; kept for its error.").variadic(),
    Method::new("listreceivedbyaccount", "Accounts are not supported; kept for its error.").variadic(),
    Method::new("listreceivedbyaddress", "Lists native currency received by address.").variadic(),
    Method::new("listtransactions", "Lists transactions by account; listwallettransactions serves better.").variadic(),
    Method::new("move", "Accounts are not supported; kept for its error.").example(&["a", "b", "1"]).variadic(),
    Method::new("sendfromaccount", "Accounts are not supported; kept for its error.")
        .example(&["office", "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "1"])
        .variadic(),
    Method::new("sendmany", "Sends native currency to several addresses.")
        .example(&["", r#"{"17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf":1}"#])
        .variadic(),
    Method::new("getunconfirmedbalance", "Gives native currency that is not confirmed yet."),
    Method::new("listaddressgroupings", "Lists addresses that appeared together."),
    Method::new("listsinceblock", "Lists wallet transactions since a block, at most 100,000: go on from lastblock.")
        .takes(&[
            optional("blockhash", STR, r#""""#),
            optional("target-confirmations", INT, "1"),
            optional("include-watchonly", BOOL, "false"),
        ])
        .example(&["00b4decca1d42652529af2667341257954debda86fbc3ba6e085c0b26f64cef2"]),
    Method::new("settxfee", "Sets the fee for a thousand bytes.")
        .takes(&[required("amount", REAL)])
        .example(&["0.0001"]),
    Method::new("estimatefee", "Estimates the fee for being mined soon.")
        .takes(&[required("nblocks", INT)])
        .example(&["3"]),
    Method::new("estimatepriority", "Estimates the priority for being mined soon.")
        .takes(&[required("nblocks", INT)])
        .example(&["3"]),
    Method::new("decodehexubjson", "Shows binary JSON in hexadecimal as JSON.")
        .takes(&[required("data", STR)])
        .example(&["5b5d"]),
    Method::new("encodehexubjson", "Turns JSON into binary JSON in hexadecimal.")
        .takes(&[required("json", ANY)])
        .example(&["[]"]),
    Method::new("getlicenserequest", "Licences do not exist here; kept for its error.")
        .takes(&[optional("new-owner", BOOL, "false")])
        .hidden(),
    Method::new("decodelicenserequest", "Licences do not exist here; kept for its error.")
        .takes(&[required("hex", STR)])
        .example(&["00"])
        .hidden(),
    Method::new("decodelicenseconfirmation", "Licences do not exist here; kept for its error.")
        .takes(&[required("hex", STR)])
        .example(&["00"])
        .hidden(),
    Method::new("activatelicense", "Licences do not exist here; kept for its error.")
        .takes(&[optional("hex", STR, r#""""#)])
        .example(&["00"])
        .hidden(),
    Method::new("activatelicensefrom", "Licences do not exist here; kept for its error.")
        .takes(&[required("from-address", STR), optional("hex", STR, r#""""#)])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "00"])
        .hidden(),
    Method::new("transferlicense", "Licences do not exist here; kept for its error.")
        .takes(&[required("license", STR), required("request", STR)])
        .example(&["licence1", "00"])
        .hidden(),
    Method::new("takelicense", "Licences do not exist here; kept for its error.")
        .takes(&[required("license", STR)])
        .example(&["licence1"])
        .hidden(),
    Method::new("listlicenses", "Licences do not exist here; kept for its error.")
        .takes(&[optional("licenses", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false")])
        .hidden(),
    Method::new("getlicenseconfirmation", "Licences do not exist here; kept for its error.")
        .takes(&[required("request", STR), optional("settings", INT.or(OBJECT).or(ARRAY), "")])
        .example(&["00"])
        .hidden(),
    Method::new("importlicenserequest", "Licences do not exist here; kept for its error.")
        .takes(&[required("request", STR)])
        .example(&["00"])
        .hidden(),
];

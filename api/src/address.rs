//! Addresses, keys and signed messages: methods and answers.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};
use serde::Serialize;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("getnewaddress", "Makes a new key pair and gives its address.").takes(&[optional("account", STR, "")]),
    Method::new("getaddresses", "Lists the addresses of the wallet.")
        .takes(&[optional("verbose", BOOL, "false")])
        .example(&["true"]),
    Method::new("listaddresses", "Lists addresses of the wallet, all or chosen ones, by pages.")
        .takes(&[
            optional("addresses", STR.or(ARRAY), "*"),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["*", "true", "10"]),
    Method::new("validateaddress", "Says what is known of an address, public key or private key.")
        .takes(&[required("key", STR)])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("importaddress", "Watches an address whose key is not here.")
        .takes(&[
            required("addresses", STR.or(ARRAY)),
            optional("label", STR, r#""""#),
            optional("rescan", BOOL.or(INT), "true"),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "office", "false"])
        .slow(),
    Method::new("importprivkey", "Adds private keys to the wallet.")
        .takes(&[
            required("privkeys", STR.or(ARRAY)),
            optional("label", STR, r#""""#),
            optional("rescan", BOOL.or(INT), "true"),
        ])
        .example(&["VGRAp2LEwBY163NbBwBfKiguJske5mLK9EwoNnitYQPxF95r2x7Fq2iG", "office", "false"])
        .slow(),
    Method::new("dumpprivkey", "Shows the private key of an address; whoever has it can sign for the address.")
        .takes(&[required("address", STR)])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("createkeypairs", "Makes key pairs without storing them.")
        .takes(&[optional("count", INT, "1")])
        .example(&["2"]),
    Method::new("createmultisig", "Computes an address that several keys share.")
        .takes(&[required("nrequired", INT), required("keys", ARRAY)])
        .example(&["1", r#"["035d31dcbe4facc54bf1b34ed322062668c663100455fdcf43d55b417286a867a2"]"#]),
    Method::new("addmultisigaddress", "Adds an address that several keys share to the wallet.")
        .takes(&[required("nrequired", INT), required("keys", ARRAY), optional("account", STR, "")])
        .example(&["1", r#"["035d31dcbe4facc54bf1b34ed322062668c663100455fdcf43d55b417286a867a2"]"#]),
    Method::new("signmessage", "Signs a text with the key of an address.")
        .takes(&[required("address-or-privkey", STR), required("message", STR)])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "hello"]),
    Method::new("verifymessage", "Checks whether an address signed a text.")
        .takes(&[required("address", STR), required("signature", STR), required("message", STR)])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "H1kGxoiyXWsVHJ2b9EHSBcXtJ+UHkHhk", "hello"]),
    Method::new("getrawchangeaddress", "Gives an address for change of raw transactions."),
];

/// What is known of an address: `getaddresses`, `listaddresses`, `validateaddress`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AddressDetail {
    /// True; `validateaddress` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isvalid: Option<bool>,
    /// The address.
    pub address: String,
    /// Whether this wallet can sign for it.
    pub ismine: bool,
    /// Whether it is only watched; if known to the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iswatchonly: Option<bool>,
    /// Whether several keys share it; if known to the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isscript: Option<bool>,
    /// Public key, if its private key is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pubkey: Option<String>,
    /// Whether the public key is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iscompressed: Option<bool>,
    /// Kind of the known script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The known script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// The addresses that share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// Signatures needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigsrequired: Option<i64>,
    /// Label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether its history is complete here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronized: Option<bool>,
    /// From where it is tracked, if its history is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startblock: Option<i64>,
}

/// One pair in `createkeypairs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct KeyPair {
    /// The address.
    pub address: String,
    /// Public key in hexadecimal.
    pub pubkey: String,
    /// Private key in text form.
    pub privkey: String,
}

/// What `createmultisig` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Multisig {
    /// The address.
    pub address: String,
    /// The script behind it, in hexadecimal.
    #[serde(rename = "redeemScript")]
    pub redeem_script: String,
}

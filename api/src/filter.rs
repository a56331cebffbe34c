//! Filters, libraries, and what filter code may call: methods.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("listtxfilters", "Lists filters that judge transactions, and their approval.")
        .takes(&[optional("filters", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false")])
        .example(&["*", "true"]),
    Method::new("liststreamfilters", "Lists filters that judge stream items.")
        .takes(&[optional("filters", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false")])
        .example(&["*", "true"]),
    Method::new("getfiltercode", "Shows the code of a filter.").takes(&[required("filter", STR)]).example(&["filter1"]),
    Method::new("runtxfilter", "Runs an existing filter on a transaction.")
        .takes(&[required("filter", STR), optional("tx", STR, "")])
        .example(&["filter1", "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32"]),
    Method::new("testtxfilter", "Tries code as a transaction filter.")
        .takes(&[required("options", OBJECT.or(BOOL)), required("code", STR), optional("tx", STR, "")])
        .example(&[
            "{}",
            "function filtertransaction(){}",
            "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32",
        ]),
    Method::new("runstreamfilter", "Runs an existing filter on a stream item.")
        .takes(&[required("filter", STR), optional("tx", STR, ""), optional("vout", INT, "")])
        .example(&["filter1", "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "0"]),
    Method::new("teststreamfilter", "Tries code as a stream filter.")
        .takes(&[
            required("options", OBJECT.or(BOOL)),
            required("code", STR),
            optional("tx", STR, ""),
            optional("vout", INT, ""),
        ])
        .example(&[
            "{}",
            "function filterstreamitem(){}",
            "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32",
            "0",
        ]),
    Method::new("listlibraries", "Lists code libraries that filters share.")
        .takes(&[optional("libraries", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false")])
        .example(&["*", "true"]),
    Method::new("addlibraryupdate", "Adds new code to a library.")
        .takes(&[required("library", STR), required("updatename", STR), required("code", STR)])
        .example(&["library1", "update1", "function four(){return 4;}"]),
    Method::new("addlibraryupdatefrom", "Adds new code to a library in the name of one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("library", STR),
            required("updatename", STR),
            required("code", STR),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "library1", "update1", "function four(){return 4;}"]),
    Method::new("getlibrarycode", "Shows the code of a library.")
        .takes(&[required("library", STR), optional("updatename", STR, "")])
        .example(&["library1", "update1"]),
    Method::new("testlibrary", "Tries library code on this node alone.")
        .takes(&[optional("library", STR, ""), optional("updatename", STR, ""), optional("code", STR, "")])
        .example(&["library1", "update1", "function four(){return 4;}"]),
];

/// What filter code may call. Over RPC these names do not exist.
pub const CALLBACKS: &[Method] = &[
    Method::new("getfiltertransaction", "Gives the transaction that the filter judges.").hidden(),
    Method::new("getfiltertxid", "Gives the id of the transaction that the filter judges.").hidden(),
    Method::new("getfiltertxinput", "Gives an input of the transaction that the filter judges.")
        .takes(&[required("vin", INT)])
        .example(&["0"])
        .hidden(),
    Method::new("getfilterassetbalances", "Gives what the transaction changes in the balances of an asset.")
        .takes(&[required("asset", STR), optional("raw", BOOL, "false")])
        .example(&["asset1"])
        .hidden(),
    Method::new("getfiltertokenbalances", "Gives what the transaction changes in the balances of tokens.")
        .takes(&[required("asset", STR)])
        .example(&["art"])
        .hidden(),
    Method::new("getfilterstreamitem", "Gives the item that the filter judges.").hidden(),
    Method::new("getfilterstream", "Gives the stream of the item that the filter judges.").hidden(),
    Method::new("setfilterparam", "Sets how large data is shown to the filter.")
        .takes(&[required("name", STR), required("value", INT)])
        .example(&["maxshowndata", "1000"])
        .hidden(),
];

//! Grants and votes: methods and answers.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, REAL, STR, optional, required};
use serde::Serialize;
use serde_json::{Map, Value};

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("grant", "Gives permissions to addresses and returns the transaction id.")
        .takes(&[
            required("addresses", STR),
            required("permissions", STR),
            optional("native-amount", REAL, "0"),
            optional("startblock", INT, "0"),
            optional("endblock", INT, "4294967295"),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&["17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", "connect,send,receive"]),
    Method::new("grantfrom", "Gives permissions in the name of one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("to-addresses", STR),
            required("permissions", STR),
            optional("native-amount", REAL, "0"),
            optional("startblock", INT, "0"),
            optional("endblock", INT, "4294967295"),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", "mine"]),
    Method::new("grantwithdata", "Gives permissions and attaches data.")
        .takes(&[
            required("addresses", STR),
            required("permissions", STR),
            required("data", STR.or(OBJECT)),
            optional("native-amount", REAL, "0"),
            optional("startblock", INT, "0"),
            optional("endblock", INT, "4294967295"),
        ])
        .example(&["17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", "send", r#"{"text":"hello"}"#]),
    Method::new("grantwithdatafrom", "Gives permissions in the name of one of your addresses and attaches data.")
        .takes(&[
            required("from-address", STR),
            required("to-addresses", STR),
            required("permissions", STR),
            required("data", STR.or(OBJECT)),
            optional("native-amount", REAL, "0"),
            optional("startblock", INT, "0"),
            optional("endblock", INT, "4294967295"),
        ])
        .example(&[
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR",
            "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf",
            "send",
            r#"{"text":"hello"}"#,
        ]),
    Method::alias("grantwithmetadata", "grantwithdata"),
    Method::alias("grantwithmetadatafrom", "grantwithdatafrom"),
    Method::new("revoke", "Takes permissions from addresses.")
        .takes(&[
            required("addresses", STR),
            required("permissions", STR),
            optional("native-amount", REAL, "0"),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&["17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", "send,receive"]),
    Method::new("revokefrom", "Takes permissions in the name of one of your addresses.")
        .takes(&[
            required("from-address", STR),
            required("to-addresses", STR),
            required("permissions", STR),
            optional("native-amount", REAL, "0"),
            optional("comment", STR, r#""""#),
            optional("comment-to", STR, r#""""#),
        ])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf", "mine"]),
    Method::new("listpermissions", "Lists who may do what, and with verbose the votes still open.")
        .takes(&[
            optional("permissions", STR, "all"),
            optional("addresses", STR.or(ARRAY), "*"),
            optional("verbose", BOOL, "false"),
        ])
        .example(&["connect,mine", "*", "true"]),
    Method::new("verifypermission", "Tells whether an address holds a permission.")
        .takes(&[required("address", STR), required("permission", STR)])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "send"]),
    Method::new("approvefrom", "Votes for or against an upgrade, a filter or a library update.")
        .takes(&[required("from-address", STR), required("entity", STR), required("approve", BOOL.or(OBJECT))])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "upgrade1", "true"]),
];

/// One permission in `listpermissions`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PermissionEntry {
    /// Who holds it.
    pub address: String,
    /// True if several keys share the address, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isp2shaddress: Option<bool>,
    /// Null for the chain, else the entity: see [`entity_value`].
    #[serde(rename = "for")]
    pub for_entity: Value,
    /// The permission.
    #[serde(rename = "type")]
    pub kind: String,
    /// First block.
    pub startblock: i64,
    /// Block to stop before.
    pub endblock: i64,
    /// Whose votes made it so; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admins: Option<Vec<String>>,
    /// Votes still open; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Vec<PendingVote>>,
}

/// An open vote in verbose `listpermissions`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PendingVote {
    /// First block proposed.
    pub startblock: i64,
    /// Block to stop before, as proposed.
    pub endblock: i64,
    /// Who voted for it.
    pub admins: Vec<String>,
    /// Votes still missing.
    pub required: i64,
}

/// How an answer refers to an entity: `{"type":"stream","name":..,"streamref":..}`. The kind is the word that also
/// opens the reference's member; a missing name is left out, a missing reference is null.
#[must_use]
pub fn entity_value(kind: &str, name: Option<&str>, reference: Option<&str>) -> Value {
    let mut entity = Map::new();
    entity.insert("type".to_owned(), Value::from(kind));
    if let Some(name) = name {
        entity.insert("name".to_owned(), Value::from(name));
    }
    entity.insert(format!("{kind}ref"), reference.map_or(Value::Null, Value::from));
    Value::Object(entity)
}

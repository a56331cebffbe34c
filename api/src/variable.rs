//! Variables: methods and answers.

use crate::method::{ANY, ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};
use serde::Serialize;
use serde_json::Value;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("setvariablevalue", "Writes a new value of a variable.")
        .takes(&[required("variable", STR), optional("value", ANY, "")])
        .example(&["variable1", r#"{"rate":1.5}"#]),
    Method::new("setvariablevaluefrom", "Writes a new value of a variable in the name of one of your addresses.")
        .takes(&[required("from-address", STR), required("variable", STR), optional("value", ANY, "")])
        .example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "variable1", "42"]),
    Method::new("getvariablevalue", "Gives the present value of a variable.")
        .takes(&[required("variable", STR)])
        .example(&["variable1"]),
    Method::new("getvariableinfo", "Describes one variable.")
        .takes(&[required("variable", STR), optional("verbose", BOOL, "false")])
        .example(&["variable1", "true"]),
    Method::new("listvariables", "Lists variables, all or chosen ones, by pages.")
        .takes(&[
            optional("variables", STR.or(ARRAY), "*"),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["*", "true"]),
    Method::new("getvariablehistory", "Lists the values a variable has had.")
        .takes(&[
            required("variable", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT.or(OBJECT), "-count"),
        ])
        .example(&["variable1", "true", "10"]),
];

/// One variable in `listvariables` and `getvariableinfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VariableEntry {
    /// Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The transaction that created it.
    pub createtxid: String,
    /// Its reference, null while unconfirmed.
    pub variableref: Option<String>,
    /// Number of values it has had, the present one included.
    pub historylen: i64,
    /// The present value.
    pub value: Value,
    /// Who set it.
    pub lastwriters: Vec<String>,
    /// The transaction that set it; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasttxid: Option<String>,
    /// The output that set it; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastvout: Option<i64>,
}

/// One value in `getvariablehistory`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VariableValue {
    /// The value.
    pub value: Value,
    /// Who set it.
    pub writers: Vec<String>,
    /// Where it was set; verbose.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<VariablePlace>,
}

/// Where a value was set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VariablePlace {
    /// The transaction.
    pub txid: String,
    /// The output.
    pub vout: i64,
    /// Blocks since it was mined, 0 while it waits.
    pub confirmations: i64,
    /// Its block; mined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockhash: Option<String>,
    /// Position in the block; mined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockindex: Option<i64>,
    /// Time of the block; mined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocktime: Option<i64>,
}

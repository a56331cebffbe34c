//! Variables: methods.

use crate::method::{ANY, ARRAY, BOOL, INT, Method, STR, optional, required};

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
            optional("start", INT, "-count"),
        ])
        .example(&["*", "true"]),
    Method::new("getvariablehistory", "Lists the values a variable has had.")
        .takes(&[
            required("variable", STR),
            optional("verbose", BOOL, "false"),
            optional("count", INT, "2147483647"),
            optional("start", INT, "-count"),
        ])
        .example(&["variable1", "true", "10"]),
];

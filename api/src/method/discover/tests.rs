//! The OpenRPC document holds every callable method once, with the counts and types that the table says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{default_value, openrpc};
use crate::error::Code;
use crate::method::{Family, find, methods};
use serde_json::{Value, json};
use std::collections::HashSet;

fn document() -> Value {
    openrpc("1.2.3", &|_| true)
}

fn described(name: &str) -> Value {
    let document = document();
    let list = document["methods"].as_array().unwrap();
    list.iter().find(|method| method["name"] == name).cloned().unwrap()
}

#[test]
fn every_method_that_can_be_called_is_described_once_and_callbacks_are_not() {
    let document = document();
    let names: Vec<&str> =
        document["methods"].as_array().unwrap().iter().map(|method| method["name"].as_str().unwrap()).collect();
    let unique: HashSet<&str> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len());
    for (family, method) in methods() {
        assert_eq!(unique.contains(method.name), family != Family::FilterCallback, "{}", method.name);
    }
    assert_eq!(document["info"]["version"], "1.2.3");
}

#[test]
fn parameters_keep_their_order_need_types_and_defaults() {
    let publish = described("publish");
    let params = publish["params"].as_array().unwrap();
    let names: Vec<&str> = params.iter().map(|param| param["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["stream", "keys", "data", "options"]);
    assert_eq!(params[1]["schema"], json!({"type": ["string", "array"]}));
    assert_eq!((&params[1]["required"], &params[3]["required"]), (&json!(true), &json!(false)));
    assert_eq!(publish["examples"][0]["params"][2], json!({"name": "data", "value": {"json": {"a": 1}}}));
    assert_eq!(described("getblockchainparams")["params"][0]["schema"], json!({"type": "boolean", "default": true}));
    assert_eq!(described("encodehexubjson")["params"][0]["schema"], json!({}));
    let listed = &described("listaddresses")["params"][3];
    assert_eq!(listed["schema"], json!({"type": ["integer", "object"]}));
    assert!(listed["description"].as_str().unwrap().ends_with("; default -count"), "{listed}");
}

#[test]
fn a_default_in_the_document_is_a_value_that_its_parameter_admits() {
    for (_, method) in methods() {
        for parameter in method.parameters {
            let value = default_value(parameter);
            assert!(value.is_none_or(|value| parameter.types.admits(&value)), "{} {}", method.name, parameter.name);
        }
    }
}

#[test]
fn an_old_name_has_the_parameters_of_the_method_it_leads_to() {
    let alias = described("sendtoaddress");
    assert_eq!((&alias["deprecated"], &alias["x-alias-of"]), (&json!(true), &json!("send")));
    assert_eq!(alias["params"], described("send")["params"]);
    assert_eq!(described("getaccount")["x-variadic"], true);
    assert!(find("rpc.discover").unwrap().hidden);
}

#[test]
fn only_allowed_methods_are_described_and_every_error_code_is() {
    let document = openrpc("1", &|name| name == "publish");
    assert_eq!(document["methods"].as_array().unwrap().len(), 1);
    let errors = document["components"]["errors"].as_object().unwrap();
    assert_eq!(errors.len(), Code::ALL.len());
    assert_eq!(errors["ENTITY_NOT_FOUND"]["code"], -708);
}

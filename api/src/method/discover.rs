//! The OpenRPC document that `rpc.discover` answers, made from the table.

use super::{
    ARRAY, BOOL, Family, INT, Method, NULL, OBJECT, Parameter, REAL, STR, Types, meaning, methods, read_words,
};
use crate::error::Code;
use serde_json::{Map, Value, json};

/// The edition of the OpenRPC specification that the document follows.
const OPENRPC: &str = "1.3.2";

/// The document over all methods that `allowed` admits, for a program of this version.
#[must_use]
pub fn openrpc(version: &str, allowed: &dyn Fn(&str) -> bool) -> Value {
    let described: Vec<Value> = methods()
        .filter(|(family, method)| *family != Family::FilterCallback && allowed(method.name))
        .map(|(family, method)| method_object(family, method))
        .collect();
    let errors: Map<String, Value> = Code::ALL
        .iter()
        .map(|code| (code.name().to_owned(), json!({"code": code.number(), "message": code.name()})))
        .collect();
    json!({
        "openrpc": OPENRPC,
        "info": {
            "title": "Rota JSON-RPC",
            "description": "Parameters are given by position; trailing optional ones may be left out.",
            "version": version,
        },
        "methods": described,
        "components": {"errors": errors},
    })
}

fn method_object(family: Family, method: &Method) -> Value {
    let target = method.target();
    let mut object = json!({
        "name": method.name,
        "summary": target.summary,
        "tags": [{"name": family.title()}],
        "paramStructure": "by-position",
        "params": target.parameters.iter().map(parameter_object).collect::<Vec<_>>(),
        "result": {"name": "result", "schema": true},
        "examples": [example(target)],
    });
    if let Some(members) = object.as_object_mut() {
        if let Some(name) = method.alias_of {
            members.insert("deprecated".to_owned(), Value::Bool(true));
            members.insert("description".to_owned(), Value::from(format!("Another name of {name}.")));
            members.insert("x-alias-of".to_owned(), Value::from(name));
        }
        if family == Family::Watch {
            members.insert("x-websocket".to_owned(), Value::Bool(true));
        }
        if target.variadic {
            members.insert("x-variadic".to_owned(), Value::Bool(true));
        }
    }
    object
}

fn parameter_object(parameter: &Parameter) -> Value {
    let mut schema = Map::new();
    let names = schema_types(parameter.types);
    match names.as_slice() {
        [] => {}
        [one] => drop(schema.insert("type".to_owned(), Value::from(*one))),
        several => drop(schema.insert("type".to_owned(), json!(several))),
    }
    let mut description = meaning::of(parameter.name).to_owned();
    match default_value(parameter) {
        Some(value) => drop(schema.insert("default".to_owned(), value)),
        None if !parameter.default.is_empty() => description += &format!("; default {}", parameter.default),
        None => {}
    }
    json!({
        "name": parameter.name,
        "description": description,
        "required": parameter.required,
        "schema": schema,
    })
}

/// The names of JSON Schema; none where any JSON may stand. A number may be whole, so that integer goes without
/// saying beside it.
fn schema_types(types: Types) -> Vec<&'static str> {
    if types == super::ANY {
        return Vec::new();
    }
    [
        (STR, "string"),
        (INT, "integer"),
        (REAL, "number"),
        (BOOL, "boolean"),
        (ARRAY, "array"),
        (OBJECT, "object"),
        (NULL, "null"),
    ]
    .into_iter()
    .filter(|(one, _)| types.contains(*one) && !(*one == INT && types.contains(REAL)))
    .map(|(_, name)| name)
    .collect()
}

/// The default as a value the parameter admits; none if there is none, or only words for it.
fn default_value(parameter: &Parameter) -> Option<Value> {
    if parameter.default.is_empty() {
        return None;
    }
    let parsed = serde_json::from_str(parameter.default).ok().filter(|value| parameter.types.admits(value));
    parsed.or_else(|| parameter.types.contains(STR).then(|| Value::from(parameter.default)))
}

fn example(target: &Method) -> Value {
    let words: Vec<String> = target.example.iter().map(|word| (*word).to_owned()).collect();
    let values = read_words(Some(target), &words).unwrap_or_default();
    let named = |(index, value): (usize, Value)| {
        let name = target.parameters.get(index).map_or("further", |parameter| parameter.name);
        json!({"name": name, "value": value})
    };
    json!({"name": "sample", "params": values.into_iter().enumerate().map(named).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests;

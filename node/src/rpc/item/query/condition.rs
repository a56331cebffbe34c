//! Conditions on JSON items: a path, a comparison and a value. An item meets one if a value that the path selects does.

use rota_api::error::{ParameterRule, RpcError};
use rota_api::path::{Budget, Comparison, Exhausted, Path, compare};
use serde_json::{Map, Value};

use crate::rpc::resolve::short;

/// Conditions of a query: each is tried on every candidate.
const MAX_CONDITIONS: usize = 16;
/// Longest value of a condition, in bytes of text: what is sought is short, what is searched may be long.
const MAX_VALUE: usize = 4_096;

/// The words for `op`.
const OPS: &str = "= != < <= > >= exists missing";

/// A condition.
#[derive(Debug, PartialEq)]
pub struct Condition {
    path: Path,
    test: Test,
}

#[derive(Debug, PartialEq)]
enum Test {
    Compare(Comparison, Value),
    Exists,
    Missing,
}

impl Condition {
    /// Reads the `json` member of a query: a condition, or a list of them.
    ///
    /// # Errors
    /// -8 that says which condition is wrong, and where its path is.
    pub fn read_all(value: &Value) -> Result<Vec<Condition>, RpcError> {
        let conditions = match value {
            Value::Object(map) => vec![map],
            Value::Array(list) => {
                let maps: Option<Vec<_>> = list.iter().map(Value::as_object).collect();
                maps.filter(|maps| !maps.is_empty()).ok_or_else(malformed)?
            }
            _ => return Err(malformed()),
        };
        if conditions.len() > MAX_CONDITIONS {
            let count = conditions.len();
            let sentence = format!("A query has at most {MAX_CONDITIONS} conditions, this has {count}");
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(count).allowed(MAX_CONDITIONS));
        }
        conditions.into_iter().map(Condition::read).collect()
    }

    fn read(map: &Map<String, Value>) -> Result<Condition, RpcError> {
        if let Some(name) = map.keys().find(|name| !matches!(name.as_str(), "path" | "op" | "value")) {
            let sentence = format!("Invalid field in a condition: {}", short(name));
            let error = RpcError::parameter(ParameterRule::Unknown, sentence);
            return Err(error.got(name.as_str()).allowed(["path", "op", "value"].as_slice()));
        }
        let text = |name: &str| {
            let text = map.get(name).and_then(Value::as_str);
            text.ok_or_else(|| lacks(name, format!("A condition needs {name}, a string")))
        };
        let path = text("path")?;
        let path = Path::read(path).map_err(|fault| {
            let sentence = format!("Invalid path {} {fault}", Value::from(short(path)));
            RpcError::parameter(ParameterRule::Form, sentence).got(path).allowed("a JSONPath of RFC 9535")
        })?;
        let test = match (text("op")?, map.get("value")) {
            ("exists", None) => Test::Exists,
            ("missing", None) => Test::Missing,
            ("exists" | "missing", Some(_)) => {
                let sentence = "A condition with exists or missing has no value";
                return Err(RpcError::parameter(ParameterRule::Unknown, sentence).got("value"));
            }
            (op, value) => {
                let comparison = comparison(op)?;
                let value = value.ok_or_else(|| lacks("value", format!("A condition with {op} needs a value")))?;
                Test::Compare(comparison, scalar(value)?)
            }
        };
        Ok(Condition { path, test })
    }

    /// Whether a value meets it.
    ///
    /// # Errors
    /// [`Exhausted`] if `budget` does not suffice to know.
    pub fn holds(&self, value: &Value, budget: &mut Budget) -> Result<bool, Exhausted> {
        match &self.test {
            Test::Exists => self.path.any(value, budget, |_, _| Ok(true)),
            Test::Missing => self.path.any(value, budget, |_, _| Ok(true)).map(|found| !found),
            Test::Compare(comparison, wanted) => {
                self.path.any(value, budget, |found, budget| compare(found, *comparison, wanted, budget))
            }
        }
    }
}

fn comparison(op: &str) -> Result<Comparison, RpcError> {
    Ok(match op {
        "=" => Comparison::Equal,
        "!=" => Comparison::Unequal,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        other => {
            let sentence = format!("Invalid op {}, one of {OPS}", short(other));
            return Err(RpcError::parameter(ParameterRule::Word, sentence).got(other).allowed(OPS));
        }
    })
}

fn scalar(value: &Value) -> Result<Value, RpcError> {
    match value {
        Value::Array(_) | Value::Object(_) => {
            let sentence = "The value of a condition is text, a number, true, false or null";
            Err(RpcError::mistyped(value, "str, int, real, bool or null", sentence))
        }
        Value::String(text) if text.len() > MAX_VALUE => {
            let length = text.len();
            let sentence = format!("The value of a condition has at most {MAX_VALUE} bytes, this has {length}");
            Err(RpcError::parameter(ParameterRule::Size, sentence).got(length).allowed(MAX_VALUE))
        }
        other => Ok(other.clone()),
    }
}

fn malformed() -> RpcError {
    let sentence = r#"Invalid json, should be {"path":..,"op":..,"value":..} or an array of such"#;
    RpcError::parameter(ParameterRule::Form, sentence).allowed("obj or array")
}

fn lacks(member: &str, sentence: String) -> RpcError {
    RpcError::parameter(ParameterRule::Missing, sentence).allowed(member)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn holds(condition: Value, value: &Value) -> bool {
        let conditions = Condition::read_all(&condition).unwrap();
        conditions.iter().all(|condition| condition.holds(value, &mut Budget::new(1_000)).unwrap())
    }

    fn refused(condition: &Value) -> String {
        let error = Condition::read_all(condition).unwrap_err();
        assert_eq!(error.code.number(), -8);
        error.message
    }

    #[test]
    fn a_condition_holds_if_one_of_the_selected_values_compares_true() {
        let item = json!({"n": [1, 5], "s": "abc", "big": 9_007_199_254_740_993i64, "z": null});
        let check = |path: &str, op: &str, value: Value| holds(json!({"path": path, "op": op, "value": value}), &item);
        assert!(check("$.n[*]", "=", json!(5)));
        assert!(check("$.n[*]", "!=", json!(5)), "the other one differs");
        assert!(!check("$.n[0]", "!=", json!(1)));
        assert!(check("$.n[*]", ">", json!(4.5)));
        assert!(!check("$.n[*]", ">", json!(5)));
        assert!(check("$.n[*]", ">=", json!(5)) && check("$.n[*]", "<=", json!(1)) && check("$.n[*]", "<", json!(2)));
        assert!(check("$.s", "<", json!("abd")) && !check("$.s", "<", json!("abc")));
        assert!(!check("$.s", "=", json!(1)) && check("$.s", "!=", json!(1)) && !check("$.s", ">", json!(1)));
        assert!(check("$.big", ">", json!(9_007_199_254_740_992i64)));
        assert!(check("$.z", "=", Value::Null) && !check("$.z", "!=", Value::Null));
        assert!(check("$.n", "!=", json!(1)) && !check("$.n", "=", json!(1)), "an array is no scalar");
        assert!(!check("$.none", "!=", json!(1)), "nothing compares true to anything");
    }

    #[test]
    fn existence_is_of_the_path_and_several_conditions_must_all_hold() {
        let item = json!({"a": null, "b": 2});
        assert!(holds(json!({"path": "$.a", "op": "exists"}), &item));
        assert!(holds(json!({"path": "$.c", "op": "missing"}), &item));
        assert!(!holds(json!({"path": "$.a", "op": "missing"}), &item));
        let both = |value| json!([{"path": "$.a", "op": "exists"}, {"path": "$.b", "op": "=", "value": value}]);
        assert!(holds(both(2), &item));
        assert!(!holds(both(3), &item));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_reason() {
        assert_eq!(
            refused(&json!({"path": "$.a[", "op": "exists"})),
            r#"Invalid path "$.a[" at character 5: expected a name in quotes, an index, a slice, * or ?"#
        );
        assert_eq!(refused(&json!({"op": "exists"})), "A condition needs path, a string");
        assert_eq!(refused(&json!({"path": "$"})), "A condition needs op, a string");
        assert!(refused(&json!({"path": "$", "op": "~", "value": 1})).starts_with("Invalid op ~"));
        assert_eq!(refused(&json!({"path": "$", "op": "="})), "A condition with = needs a value");
        assert!(refused(&json!({"path": "$", "op": "exists", "value": 1})).contains("has no value"));
        assert!(refused(&json!({"path": "$", "op": "=", "value": [1]})).starts_with("The value of a condition is"));
        assert_eq!(refused(&json!({"path": "$", "op": "=", "x": 1})), "Invalid field in a condition: x");
        for wrong in [json!([]), json!([1]), json!("$"), Value::Null] {
            assert!(refused(&wrong).starts_with("Invalid json"), "{wrong}");
        }
    }

    #[test]
    fn number_of_conditions_and_length_of_a_value_have_limits() {
        let one = json!({"path": "$", "op": "exists"});
        assert!(Condition::read_all(&Value::Array(vec![one.clone(); MAX_CONDITIONS])).is_ok());
        assert!(refused(&Value::Array(vec![one; MAX_CONDITIONS + 1])).ends_with("this has 17"));
        let value = |length: usize| json!({"path": "$", "op": "=", "value": "x".repeat(length)});
        assert!(Condition::read_all(&value(MAX_VALUE)).is_ok());
        assert!(refused(&value(MAX_VALUE + 1)).ends_with("this has 4097"));
    }
}

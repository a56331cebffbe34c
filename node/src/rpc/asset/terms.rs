//! What a caller asks of a new asset: name, rights, limits, the smallest unit. Pure: nothing of the chain is looked at.

use rota_api::error::{ParameterRule, RpcError};
use rota_api::number::{quantity_raw, whole_raw};
use rota_api::params::{as_real, as_text};
use rota_chain::asset::AssetRules;
use serde_json::{Map, Value};

use crate::rpc::create::name;
use crate::rpc::resolve::short;

/// The smallest unit there may be: an asset has at most eight decimals.
const SMALLEST_UNIT: f64 = 0.000_000_01;
/// How far units that make up 1 may miss it: a unit such as 0.333333333 has so many digits.
const UNIT_TOLERANCE: f64 = 1e-9;

/// What a caller asks of a new asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Empty for none.
    pub name: Vec<u8>,
    /// Rights and limits.
    pub rules: AssetRules,
}

/// The members that an object of terms may have.
pub const TERMS: [&str; 9] =
    ["name", "open", "fungible", "canopen", "canclose", "totallimit", "issuelimit", "restrict", "unrestrict"];

impl Terms {
    /// Reads a name, or an object of name, rights and limits. Limits are given in displayed units.
    ///
    /// # Errors
    /// -1 for another type, -702 for an unknown member, -8 for a member that cannot be taken.
    pub fn read(value: &Value, multiple: i64) -> Result<Terms, RpcError> {
        let rules = AssetRules { fungible: true, restrict_issue: true, ..AssetRules::default() };
        let Value::Object(map) = value else {
            as_text(value)?;
            return Ok(Terms { name: name(value, "asset")?, rules });
        };
        let mut terms = Terms { name: Vec::new(), rules };
        for (member, value) in map {
            terms.member(member, value, multiple)?;
        }
        terms.restrict(map)?;
        Ok(terms)
    }

    fn member(&mut self, member: &str, value: &Value, multiple: i64) -> Result<(), RpcError> {
        let rules = &mut self.rules;
        match member {
            "name" => self.name = name(value, "asset")?,
            "open" => rules.open = flag(member, value)?,
            "fungible" => rules.fungible = flag(member, value)?,
            "canopen" => rules.can_open = flag(member, value)?,
            "canclose" => rules.can_close = flag(member, value)?,
            "totallimit" => rules.total_limit = limit(member, value, multiple)?,
            "issuelimit" => rules.issue_limit = limit(member, value, multiple)?,
            "restrict" | "unrestrict" => {}
            _ => {
                let error = RpcError::not_supported(format!("Invalid field: {}", short(member)));
                return Err(error.rule(ParameterRule::Unknown.name()).got(member).allowed(TERMS));
            }
        }
        Ok(())
    }

    /// What needs the asset's own permission: issuing more does unless it is unrestricted.
    fn restrict(&mut self, map: &Map<String, Value>) -> Result<(), RpcError> {
        let restricted = words("restrict", map.get("restrict"))?;
        let unrestricted = words("unrestrict", map.get("unrestrict"))?;
        for (member, words, value) in [("restrict", &restricted, true), ("unrestrict", &unrestricted, false)] {
            for word in words {
                match *word {
                    "send" => self.rules.restrict_send = value,
                    "receive" => self.rules.restrict_receive = value,
                    "issue" => self.rules.restrict_issue = value,
                    _ => {
                        let sentence = format!("Invalid word in the {member} field: {}", short(word));
                        let error = RpcError::parameter(ParameterRule::Word, sentence).got(*word);
                        return Err(error.allowed(["send", "receive", "issue"]));
                    }
                }
            }
        }
        match restricted.iter().find(|word| unrestricted.contains(word)) {
            Some(word) => {
                let sentence = format!("{word} stands in both the restrict and unrestrict fields");
                Err(RpcError::parameter(ParameterRule::Twice, sentence).got(*word))
            }
            None => Ok(()),
        }
    }
}

fn flag(member: &str, value: &Value) -> Result<bool, RpcError> {
    let sentence = || format!("Invalid value for the {member} field, should be boolean");
    value.as_bool().ok_or_else(|| RpcError::mistyped(value, "bool", sentence()))
}

fn words<'a>(member: &str, value: Option<&'a Value>) -> Result<Vec<&'a str>, RpcError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let sentence = || format!("Invalid value for the {member} field, should be string");
    let text = value.as_str().ok_or_else(|| RpcError::mistyped(value, "str", sentence()))?;
    Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect())
}

/// A limit in displayed units; null for none.
fn limit(member: &str, value: &Value, multiple: i64) -> Result<Option<u64>, RpcError> {
    if value.is_null() {
        return Ok(None);
    }
    let sentence = |what: &str| format!("Invalid value for the {member} field, should be {what}");
    if !value.is_number() {
        return Err(RpcError::mistyped(value, "real", sentence("a number")));
    }
    let wrong = |what: &str| RpcError::parameter(ParameterRule::Range, sentence(what)).got(value.clone()).allowed(what);
    let raw = whole_raw(value, multiple)?.ok_or_else(|| wrong("a multiple of the smallest unit"))?;
    match u64::try_from(raw) {
        Ok(raw) if raw > 0 => Ok(Some(raw)),
        _ => Err(wrong("positive")),
    }
}

/// Raw units a displayed unit, from the smallest unit a caller gives; 1 for none.
///
/// # Errors
/// -1 for another type, -8 outside 0.00000001 to 1, or if 1 is no multiple of it.
pub fn multiple(unit: Option<&Value>) -> Result<i64, RpcError> {
    let Some(unit) = unit else { return Ok(1) };
    let unit = as_real(unit)?;
    if !(SMALLEST_UNIT..=1.0).contains(&unit) {
        let error = RpcError::parameter(ParameterRule::Range, "Invalid smallest unit, should be from 0.00000001 to 1");
        return Err(error.got(unit).allowed("0.00000001 to 1"));
    }
    let units = (1.0 / unit).round();
    if (units * unit - 1.0).abs() > UNIT_TOLERANCE {
        let error = RpcError::parameter(ParameterRule::Range, "Invalid smallest unit, 1 should be a multiple of it");
        return Err(error.got(unit).allowed("1 divided by a whole number"));
    }
    Ok(units as i64)
}

/// The first quantity of an asset in raw units: a whole number of smallest units.
///
/// # Errors
/// -1 for another type, -8 if negative or not whole.
pub fn first_quantity(value: &Value, multiple: i64) -> Result<u64, RpcError> {
    let broken = || {
        let sentence = "Invalid quantity, should be a multiple of the smallest unit";
        RpcError::parameter(ParameterRule::Range, sentence)
            .got(value.clone())
            .allowed("a multiple of the smallest unit")
    };
    not_negative(value, whole_raw(value, multiple)?.ok_or_else(broken)?)
}

/// A further quantity of an asset in raw units: rounded to smallest units.
///
/// # Errors
/// -1 for another type, -8 if negative.
pub fn more_quantity(value: &Value, multiple: i64) -> Result<u64, RpcError> {
    if as_real(value)? < 0.0 {
        return not_negative(value, -1);
    }
    not_negative(value, quantity_raw(value, multiple)?)
}

fn not_negative(value: &Value, raw: i64) -> Result<u64, RpcError> {
    let negative = |_| RpcError::parameter(ParameterRule::Range, "Invalid quantity, should be positive");
    u64::try_from(raw).map_err(|error| negative(error).got(value.clone()).allowed("0 or more"))
}

/// The quantity of a token: a whole number above 0.
///
/// # Errors
/// -8.
pub fn token_quantity(value: &Value) -> Result<u64, RpcError> {
    let refused = |sentence: &str| RpcError::not_whole(value, format!("1 to {}", i64::MAX), sentence);
    let number = value.as_i64().ok_or_else(|| refused("Invalid quantity, should be a whole number"))?;
    match u64::try_from(number) {
        Ok(raw) if raw > 0 => Ok(raw),
        _ => Err(refused("Invalid quantity, should be above 0")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn code<T: std::fmt::Debug>(answer: Result<T, RpcError>) -> i32 {
        answer.unwrap_err().code.number()
    }

    fn rules(value: Value) -> AssetRules {
        Terms::read(&value, 10).unwrap().rules
    }

    #[test]
    fn a_bare_name_makes_a_closed_fungible_asset_that_only_its_issuers_issue_more_of() {
        let terms = Terms::read(&json!("gold"), 1).unwrap();
        assert_eq!(terms.name, b"gold");
        let expected = AssetRules { fungible: true, restrict_issue: true, ..AssetRules::default() };
        assert_eq!(terms.rules, expected);
        assert_eq!(Terms::read(&json!({}), 1).unwrap(), Terms { name: Vec::new(), rules: expected });
    }

    #[test]
    fn rights_are_restricted_by_words_and_limits_count_in_displayed_units() {
        let given = rules(json!({
            "open": true, "canopen": true, "canclose": true, "fungible": false,
            "restrict": "send, receive", "unrestrict": "issue", "totallimit": 50, "issuelimit": 0.5,
        }));
        assert!(given.open && given.can_open && given.can_close && !given.fungible);
        assert!(given.restrict_send && given.restrict_receive && !given.restrict_issue);
        assert_eq!((given.total_limit, given.issue_limit), (Some(500), Some(5)));
        let none = rules(json!({"restrict": "", "totallimit": null}));
        assert_eq!((none.restrict_issue, none.total_limit), (true, None));
    }

    #[test]
    fn what_an_asset_cannot_be_is_refused() {
        let refused = |value: Value| code(Terms::read(&value, 1));
        assert_eq!((refused(json!(5)), refused(json!(null)), refused(json!(["gold"]))), (-1, -1, -1));
        assert_eq!(refused(json!({"name": "a", "nonsense": true})), -702);
        for value in [
            json!("*"),
            json!("1-2-3"),
            json!("x".repeat(33)),
            json!({"name": 5}),
            json!({"open": "yes"}),
            json!({"fungible": 0}),
            json!({"restrict": "nonsense"}),
            json!({"restrict": true}),
            json!({"unrestrict": "write"}),
            json!({"restrict": "issue", "unrestrict": "issue"}),
            json!({"totallimit": 0}),
            json!({"totallimit": -1}),
            json!({"issuelimit": 0.5}),
            json!({"issuelimit": "5"}),
        ] {
            assert_eq!(refused(value.clone()), -8, "{value}");
        }
    }

    #[test]
    fn a_smallest_unit_is_a_whole_part_of_one() {
        let of = |unit: Value| multiple(Some(&unit));
        assert_eq!((multiple(None).unwrap(), of(json!(1)).unwrap(), of(json!(0.01)).unwrap()), (1, 1, 100));
        assert_eq!((of(json!(0.000_000_01)).unwrap(), of(json!(1.0 / 3.0)).unwrap()), (100_000_000, 3));
        for unit in [json!(0), json!(0.3), json!(2), json!(-1), json!(0.000_000_009), json!(0.33)] {
            assert_eq!(code(of(unit.clone())), -8, "{unit}");
        }
        assert_eq!(code(of(json!("1"))), -1);
    }

    #[test]
    fn a_first_quantity_is_exact_and_a_further_one_is_rounded() {
        assert_eq!(first_quantity(&json!(100.5), 10).unwrap(), 1005);
        assert_eq!(first_quantity(&json!(0), 10).unwrap(), 0);
        assert_eq!(code(first_quantity(&json!(1.5), 1)), -8);
        assert_eq!((more_quantity(&json!(0.05), 10).unwrap(), more_quantity(&json!(0.06), 10).unwrap()), (0, 1));
        for quantity in [json!(-1), json!(-0.01)] {
            assert_eq!((code(first_quantity(&quantity, 10)), code(more_quantity(&quantity, 10))), (-8, -8));
        }
        assert_eq!((code(first_quantity(&json!("1"), 1)), code(more_quantity(&json!(null), 1))), (-1, -1));
    }

    #[test]
    fn tokens_are_counted_whole() {
        assert_eq!(token_quantity(&json!(20)).unwrap(), 20);
        for quantity in [json!(0.5), json!(-1), json!(0), json!("1"), json!(null), json!(1e30)] {
            assert_eq!(code(token_quantity(&quantity)), -8, "{quantity}");
        }
    }
}

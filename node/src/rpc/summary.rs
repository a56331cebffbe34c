//! getstreamkeysummary and getstreampublishersummary: JSON objects of items merged into one.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{ParameterRule, RpcError};
use rota_api::params::{Page, Params};
use rota_storage::index::{Order, Selector};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::rpc::cache::blocking;
use crate::rpc::item::look::Look;
use crate::rpc::item::{ShownItem, publisher, show_place};
use crate::rpc::{Answer, resolve};

/// Which of the publishers of the first item others must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publishers {
    Any,
    All,
}

/// How objects are merged, and which items count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mode {
    merge: bool,
    recursive: bool,
    no_update: bool,
    omit_null: bool,
    ignore_other: bool,
    ignore_missing: bool,
    first_publishers: Option<Publishers>,
}

/// The words that a mode is made of.
const MODES: [&str; 8] = [
    "jsonobjectmerge",
    "recursive",
    "noupdate",
    "omitnull",
    "ignoreother",
    "ignoremissing",
    "firstpublishersany",
    "firstpublishersall",
];

impl Mode {
    fn read(words: &[String]) -> Result<Mode, RpcError> {
        let mut mode = Mode::default();
        for word in words.iter().map(|word| word.trim()) {
            match word {
                "jsonobjectmerge" => mode.merge = true,
                "recursive" => mode.recursive = true,
                "noupdate" => mode.no_update = true,
                "omitnull" => mode.omit_null = true,
                "ignoreother" | "ignore" => mode.ignore_other = true,
                "ignoremissing" => mode.ignore_missing = true,
                "firstpublishersany" => mode.set_publishers(Publishers::Any)?,
                "firstpublishersall" => mode.set_publishers(Publishers::All)?,
                other => {
                    let sentence = format!("Unrecognized mode: {}", resolve::short(other));
                    return Err(RpcError::parameter(ParameterRule::Word, sentence).got(other).allowed(MODES));
                }
            }
        }
        let missing = || RpcError::parameter(ParameterRule::Missing, "missing jsonobjectmerge");
        if mode.merge { Ok(mode) } else { Err(missing().allowed("jsonobjectmerge")) }
    }

    fn set_publishers(&mut self, publishers: Publishers) -> Result<(), RpcError> {
        match self.first_publishers.replace(publishers) {
            None => Ok(()),
            Some(_) => {
                let sentence = "a mode has only one of firstpublishersany and firstpublishersall";
                Err(RpcError::parameter(ParameterRule::Twice, sentence).got("firstpublishers"))
            }
        }
    }
}

/// Answers getstreamkeysummary.
pub fn of_key(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let key = params.text(1)?;
        let mode = Mode::read(&params.list(2)?)?;
        summary(&look, Selector::Key(key.as_bytes()), mode)
    })
}

/// Answers getstreampublishersummary.
pub fn of_publisher(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let lock = publisher(&ctx, params.text(1)?)?;
        let mode = Mode::read(&params.list(2)?)?;
        summary(&look, Selector::Publisher(&lock), mode)
    })
}

fn summary(look: &Look<'_>, selector: Selector<'_>, mode: Mode) -> Answer {
    look.check_index(Order::Chain, selector)?;
    let mut merger = Merger::new(mode);
    look.for_page(selector, Page::ALL, |place| merger.take(show_place(look, place, false)?))?;
    Ok(json!({"json": merger.finish()?}))
}

/// Merges items one after the other.
struct Merger {
    mode: Mode,
    first_publishers: Option<Vec<String>>,
    merged: Option<Map<String, Value>>,
}

impl Merger {
    fn new(mode: Mode) -> Merger {
        Merger { mode, first_publishers: None, merged: None }
    }

    /// Takes an item, leaves it out, or refuses it, as the mode says.
    fn take(&mut self, shown: ShownItem) -> Result<(), RpcError> {
        let item = shown.item;
        if let Some(wanted) = self.mode.first_publishers {
            let first = self.first_publishers.get_or_insert_with(|| item.publishers.clone());
            let mut has = first.iter().map(|publisher| item.publishers.contains(publisher));
            let counts = match wanted {
                Publishers::Any => has.any(|has| has),
                Publishers::All => has.all(|has| has),
            };
            if !counts {
                return Ok(());
            }
        }
        if !item.available && shown.is_json {
            if self.mode.ignore_missing {
                return Ok(());
            }
            let error = RpcError::not_allowed("Some items to be merged are not available (try using 'ignoremissing')");
            return Err(error.rule("data-missing"));
        }
        match object_of(item.data).filter(|_| shown.is_json) {
            Some(object) => self.merge(object),
            None if self.mode.ignore_other => Ok(()),
            None => Err(wrong_format()),
        }
    }

    fn merge(&mut self, object: Map<String, Value>) -> Result<(), RpcError> {
        self.merged = Some(match self.merged.take() {
            None => object,
            Some(merged) => merge(merged, object, self.mode)?,
        });
        Ok(())
    }

    /// The merged object with its members in order of name.
    fn finish(self) -> Result<Map<String, Value>, RpcError> {
        merge(self.merged.unwrap_or_default(), Map::new(), self.mode)
    }
}

fn wrong_format() -> RpcError {
    let error = RpcError::not_allowed("Some items to be merged are in the wrong format (try using 'ignoreother')");
    error.rule("data-format").allowed("json")
}

/// The object of `{"json":{..}}`, none for anything else.
fn object_of(data: Value) -> Option<Map<String, Value>> {
    let Value::Object(mut outer) = data else { return None };
    match outer.remove("json") {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Merges a later object over an earlier one: members in order of name, the later value wins unless the mode says
/// otherwise.
fn merge(earlier: Map<String, Value>, later: Map<String, Value>, mode: Mode) -> Result<Map<String, Value>, RpcError> {
    let mut members: BTreeMap<String, Value> = earlier.into_iter().collect();
    for (name, value) in later {
        let merged = match members.remove(&name) {
            None => value,
            Some(before) => merge_values(before, value, mode)?,
        };
        members.insert(name, merged);
    }
    Ok(members.into_iter().filter(|(_, value)| !(mode.omit_null && value.is_null())).collect())
}

fn merge_values(before: Value, after: Value, mode: Mode) -> Result<Value, RpcError> {
    if mode.recursive {
        let conflict = before.is_null() != after.is_null();
        return match (before, after) {
            (Value::Object(before), Value::Object(after)) => merge(before, after, mode).map(Value::Object),
            (object @ Value::Object(_), _) | (_, object @ Value::Object(_)) if mode.ignore_other => Ok(object),
            (Value::Object(_), _) | (_, Value::Object(_)) => Err(wrong_format()),
            _ if conflict && !mode.ignore_other => Err(wrong_format()),
            (before, after) => Ok(if mode.no_update { before } else { after }),
        };
    }
    Ok(if mode.no_update { before } else { after })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn mode(words: &str) -> Mode {
        Mode::read(&words.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    fn merged(words: &str, objects: &[Value]) -> Result<String, i32> {
        let mut merger = Merger::new(mode(words));
        for object in objects {
            let object = object.as_object().cloned().unwrap();
            merger.merge(object).map_err(|error| error.code.number())?;
        }
        merger.finish().map(|map| Value::Object(map).to_string()).map_err(|error| error.code.number())
    }

    #[test]
    fn the_later_value_wins_and_members_are_sorted_by_name() {
        let objects = [json!({"name": "ann", "age": 30, "at": {"x": 1, "z": 2}}), json!({"age": 31, "at": {"y": 3}})];
        assert_eq!(merged("jsonobjectmerge", &objects).unwrap(), r#"{"age":31,"at":{"y":3},"name":"ann"}"#);
        let first = merged("jsonobjectmerge,noupdate", &objects).unwrap();
        assert_eq!(first, r#"{"age":30,"at":{"x":1,"z":2},"name":"ann"}"#);
        let deep = merged("jsonobjectmerge,recursive", &objects).unwrap();
        assert_eq!(deep, r#"{"age":31,"at":{"x":1,"y":3,"z":2},"name":"ann"}"#);
        assert_eq!(merged("jsonobjectmerge", &[json!({"b": 2, "a": 1})]).unwrap(), r#"{"a":1,"b":2}"#);
        assert_eq!(merged("jsonobjectmerge", &[]).unwrap(), "{}");
    }

    #[test]
    fn a_null_that_stands_last_deletes_its_member_with_omitnull() {
        let objects = [json!({"mail": "m", "n": {"c": null}}), json!({"mail": null})];
        assert_eq!(merged("jsonobjectmerge,omitnull", &objects).unwrap(), r#"{"n":{"c":null}}"#);
        assert_eq!(merged("jsonobjectmerge,omitnull,noupdate", &objects).unwrap(), r#"{"mail":"m","n":{"c":null}}"#);
    }

    #[test]
    fn an_object_against_anything_else_is_a_conflict_that_ignoreother_gives_to_the_object() {
        let objects = [json!({"x": {"y": 1}}), json!({"x": 5})];
        assert_eq!(merged("jsonobjectmerge", &objects).unwrap(), r#"{"x":5}"#);
        assert_eq!(merged("jsonobjectmerge,recursive", &objects), Err(-701));
        assert_eq!(merged("jsonobjectmerge,recursive,ignoreother", &objects).unwrap(), r#"{"x":{"y":1}}"#);
        let null = [json!({"mail": "m"}), json!({"mail": null})];
        assert_eq!(merged("jsonobjectmerge,recursive", &null), Err(-701));
        assert_eq!(merged("jsonobjectmerge,recursive,ignoreother", &null).unwrap(), r#"{"mail":null}"#);
    }

    #[test]
    fn a_mode_without_jsonobjectmerge_or_with_an_unknown_or_second_choice_is_refused() {
        let refused = |words: &str| Mode::read(&words.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap_err();
        for words in ["recursive", "jsonobjectmerge,nonsense", "jsonobjectmerge,firstpublishersany,firstpublishersall"]
        {
            assert_eq!(refused(words).code.number(), -8, "{words}");
        }
        assert_eq!(mode("jsonobjectmerge,ignore"), mode("jsonobjectmerge,ignoreother"));
    }
}

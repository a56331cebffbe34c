//! Every method under every wrong argument: the OpenRPC document says which methods and parameters there are, and
//! none of the calls made from it panics, hangs, changes state, answers a code of its own or hides the broken rule.

use std::collections::BTreeSet;

use rota_api::method::{Family, methods};
use rota_api::{Client, ClientError, Code, ParameterRule};
use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::rpc;
use crate::harness::view::text;

/// Methods that are not called, each with the reason.
const LEFT_OUT: &[(&str, &str)] = &[("stop", "its parameter is not looked at, so that a wrong one stops the node")];

/// Parameters that take any value: what stands there decides nothing.
const NOT_LOOKED_AT: &[&str] = &["account", "ignored", "params"];

/// Parameters that single methods read more loosely than the table says, each with the reason; none may change
/// anything by that.
const READ_LOOSELY: &[(&str, &str, &str)] = &[
    ("sendrawtransaction", "allowhighfees", "fees have no upper bound here, so that it decides nothing"),
    ("subscribe", "rescan", "callers know that a rescan which is no boolean is ignored"),
];

/// Parameters that name something which may not exist.
const NAMES_SOMETHING: &[&str] = &[
    "address",
    "address-or-privkey",
    "addresses",
    "asset",
    "assets",
    "block",
    "blockhash",
    "blocks",
    "command",
    "dataref",
    "entities",
    "entity",
    "entity-type",
    "feed",
    "feeds",
    "filter",
    "filters",
    "from-address",
    "hash",
    "identifier",
    "inputs",
    "libraries",
    "library",
    "outputs",
    "permission",
    "permissions",
    "stream",
    "streams",
    "tasks",
    "to-address",
    "to-addresses",
    "tx",
    "txid",
    "txids",
    "upgrades",
    "variable",
    "variables",
];

/// Methods for which one of the numbers tried is not out of range, so that they do what they are for.
const TAKES_A_NUMBER: &[(&str, &str)] = &[("issue", "2^63 - 1 raw units are the most that an asset may have")];

/// Rules about what a good parameter names, where that is asked for before the wrong one is read.
const COMES_FIRST: &[&str] = &[
    "asset-fungible",
    "cache-missing",
    "exchange-form",
    "library-missing",
    "wallet-insufficient-funds",
    "wallet-output-not-found",
];

/// What a running chain has, to stand where samples name what is not there.
struct Live {
    address: String,
    txid: String,
    block: String,
    /// A transaction that nobody signed yet.
    draft: String,
}

/// One call that is wrong somewhere.
struct Probe {
    params: Vec<Value>,
    /// What is wrong with it, for the complaint.
    wrong: String,
    /// Whether the call must be refused, and for what.
    expected: Expected,
}

#[derive(Clone, Copy, PartialEq)]
enum Expected {
    /// Refused: there are too few parameters or too many.
    Count,
    /// Refused: a parameter has a wrong type.
    Type,
    /// A number that may be out of range; if it is refused as a parameter, it is by a rule of parameters.
    Range,
    Answered,
}

impl Expected {
    /// Whether an error with this code and rule is one that the call may be answered with.
    fn admits(self, code: Code, rule: &str) -> bool {
        let of_parameters = ParameterRule::ALL.iter().any(|known| known.name() == rule);
        // What has a rule of its own for parameters does not answer with the name of the code alone.
        let told = rule != Code::InvalidParameter.rule() && rule != Code::Misc.rule() && rule != Code::Type.rule();
        told && match self {
            _ if code == Code::NotSupported => true,
            Self::Count => code == Code::Misc && rule == ParameterRule::Count.name(),
            Self::Type => of_parameters || COMES_FIRST.contains(&rule),
            Self::Range if matches!(code, Code::InvalidParameter | Code::Misc | Code::Type) => {
                of_parameters || COMES_FIRST.contains(&rule)
            }
            Self::Range | Self::Answered => true,
        }
    }
}

/// One described parameter, and the value that a call is made with where another one is wrong.
struct Parameter {
    name: String,
    types: Vec<String>,
    required: bool,
    value: Value,
}

impl Parameter {
    fn admits(&self, value: &Value) -> bool {
        let has = |name: &str| self.types.iter().any(|one| one == name);
        match value {
            Value::Null => !self.required || has("null"),
            Value::Bool(_) => has("boolean"),
            Value::Number(number) => has("number") || (number.is_i64() && has("integer")),
            Value::String(_) => has("string"),
            Value::Array(_) => has("array"),
            Value::Object(_) => has("object"),
        }
    }
}

/// The sample's value, with what it names replaced by what this chain has.
fn live_value(name: &str, sample: Value, live: &Live) -> Value {
    match name {
        "address" | "addresses" | "from-address" | "to-address" | "to-addresses" if sample.is_string() => {
            json!(live.address)
        }
        "addresses" if sample.is_array() => json!([live.address]),
        "addresses" if sample.is_object() => json!({&live.address: {"gold": 1}}),
        "stream" | "streams" | "entities" if sample.is_string() => json!("s"),
        "asset" => json!("gold"),
        "amount" if sample.is_object() => json!({"gold": 1}),
        "variable" => json!("v"),
        "txid" => json!(live.txid),
        "hash" | "block" => json!(live.block),
        "hex" => json!(live.draft),
        _ => sample,
    }
}

fn parameters(method: &Value, live: &Live) -> Vec<Parameter> {
    let sample = method["examples"][0]["params"].as_array().unwrap();
    let read = |(index, described): (usize, &Value)| {
        let name = text(&described["name"]);
        let types = match &described["schema"]["type"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => several.iter().map(text).collect(),
            _ => Vec::new(),
        };
        let value = sample.get(index).map_or(Value::Null, |given| given["value"].clone());
        Parameter {
            value: live_value(&name, value, live),
            required: described["required"].as_bool().unwrap(),
            name,
            types,
        }
    };
    method["params"].as_array().unwrap().iter().enumerate().map(read).collect()
}

/// The call with one value exchanged; what is optional and comes before it is left out by null.
fn exchanged(parameters: &[Parameter], at: usize, value: Value) -> Vec<Value> {
    let needed = parameters.iter().filter(|parameter| parameter.required).count().max(at + 1);
    let mut params: Vec<Value> = parameters[..needed].iter().map(|parameter| parameter.value.clone()).collect();
    params[at] = value;
    params
}

fn probes(method: &Value, parameters: &[Parameter]) -> Vec<Probe> {
    let mut probes = Vec::new();
    let needed = parameters.iter().filter(|parameter| parameter.required).count();
    let given = |count: usize| parameters[..count].iter().map(|parameter| parameter.value.clone()).collect();
    if needed > 0 {
        let params: Vec<Value> = given(needed - 1);
        probes.push(Probe { params, wrong: "one missing".to_owned(), expected: Expected::Count });
    }
    if method["x-variadic"] == true {
        let params = vec![json!({"x": 1}), json!([]), json!(-1), Value::Null, json!("no-such")];
        probes.push(Probe { params, wrong: "anything at all".to_owned(), expected: Expected::Answered });
    } else {
        let mut params: Vec<Value> = given(parameters.len());
        params.push(Value::Null);
        probes.push(Probe { params, wrong: "one too many".to_owned(), expected: Expected::Count });
    }
    for (at, parameter) in parameters.iter().enumerate() {
        let loose = NOT_LOOKED_AT.contains(&parameter.name.as_str())
            || READ_LOOSELY.iter().any(|(name, loose, _)| method["name"] == *name && parameter.name == *loose);
        for (value, wrong, expected) in wrong_values(parameter, loose) {
            let wrong = format!("{} {wrong}", parameter.name);
            probes.push(Probe { params: exchanged(parameters, at, value), wrong, expected });
        }
    }
    probes
}

/// Values of types that the parameter does not have, numbers out of range, and names of nothing.
fn wrong_values(parameter: &Parameter, loose: bool) -> Vec<(Value, &'static str, Expected)> {
    let mut values = Vec::new();
    let strict = if loose { Expected::Answered } else { Expected::Type };
    if !parameter.types.is_empty() {
        let others =
            [Value::Null, json!(true), json!(7), json!(1.5), json!("no type of mine"), json!([[]]), json!({"x": [1]})];
        let foreign = others.into_iter().filter(|value| !parameter.admits(value));
        values.extend(foreign.map(|value| (value, "of a wrong type", strict)));
    }
    for number in
        [json!(i64::MIN), json!(-2), json!(i64::MAX), json!(u64::MAX), json!(1e300), json!(-1.5), json!(-1e-9)]
    {
        if parameter.admits(&number) {
            values.push((number, "out of range", Expected::Range));
        }
    }
    if NAMES_SOMETHING.contains(&parameter.name.as_str()) {
        let nothing = "f".repeat(64);
        for name in ["no-such-thing", "", "99999999-1-1", nothing.as_str(), "1111111111111111111111111111111111"] {
            for value in [json!(name), json!([name]), json!({"key": name, "txid": name, "vout": 0})] {
                if parameter.admits(&value) {
                    values.push((value, "of nothing", Expected::Answered));
                }
            }
        }
    }
    values
}

/// What no refused call may change. The chain stands still while mining is paused.
async fn state(node: &Node) -> Value {
    let mut parts = Vec::new();
    for (method, params) in [
        ("getbestblockhash", json!([])),
        ("getmempoolinfo", json!([])),
        ("liststreams", json!([])),
        ("listassets", json!([])),
        ("listpermissions", json!([])),
        ("listvariables", json!([])),
        ("getaddresses", json!([])),
        ("listlockunspent", json!([])),
        ("getruntimeparams", json!([])),
    ] {
        parts.push(json!({ method: node.call(method, params).await }));
    }
    Value::Array(parts)
}

/// Makes the call; a complaint if the node answers other than it should.
async fn complaint(client: &Client, name: &str, probe: &Probe) -> Option<String> {
    let shown = Value::Array(probe.params.clone()).to_string();
    let outcome = client.call(name, Value::Array(probe.params.clone())).await;
    let told = |what: String| Some(format!("{name} {shown}, {}: {what}", probe.wrong));
    match outcome {
        Ok(_) if matches!(probe.expected, Expected::Range | Expected::Answered) => None,
        Ok(result) => told(format!("was not refused but answered {result}")),
        Err(ClientError::Rpc { code, message, data }) => {
            let rule = data.as_ref().map_or("", |data| data["rule"].as_str().unwrap_or_default());
            match Code::from_number(code) {
                None | Some(Code::MethodNotFound | Code::InternalError) => told(format!("{code} {message}")),
                Some(known) if probe.expected.admits(known, rule) => None,
                Some(_) => told(format!("{code} {message}, rule {rule:?}")),
            }
        }
        Err(other) => told(format!("no answer: {other}")),
    }
}

async fn furnished(node: &Node) -> Live {
    let address = node.address().await;
    node.open_stream("s", true).await;
    node.call("subscribe", json!(["s"])).await;
    let issued = text(&node.call("issue", json!([address, {"name": "gold", "open": true}, 1000, 0.01])).await);
    node.wait_confirmed(&issued).await;
    let made = text(&node.call("create", json!(["variable", "v", true, 7])).await);
    node.wait_confirmed(&made).await;
    let txid = node.publish("s", "key1", "one").await;
    node.wait_confirmed(&txid).await;
    node.call("pause", json!(["mining"])).await;
    let block = node.tip().await;
    let draft = text(&node.call("createrawtransaction", json!([[], {}, ["aa"]])).await);
    Live { address, txid, block, draft }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_of_any_method_are_answered_and_change_nothing() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let live = furnished(a).await;
    let document = a.call("rpc.discover", json!([])).await;
    let described = document["methods"].as_array().unwrap();
    let names: BTreeSet<String> = described.iter().map(|method| text(&method["name"])).collect();
    let callable = methods().filter(|(family, _)| *family != Family::FilterCallback);
    assert_eq!(names, callable.map(|(_, method)| method.name.to_owned()).collect(), "the document forgets a method");

    let client = rpc::client(a.rpc_port, &a.folder().join("node.conf")).unwrap();
    let mut complaints = Vec::new();
    let mut before = state(a).await;
    for method in described {
        let name = text(&method["name"]);
        if LEFT_OUT.iter().any(|(left_out, _)| *left_out == name) {
            continue;
        }
        let made = probes(method, &parameters(method, &live));
        assert!(!made.is_empty(), "{name} is not called");
        for probe in &made {
            complaints.extend(complaint(&client, &name, probe).await);
        }
        assert!(a.exit_status().is_none(), "{name} ended the node; {complaints:#?}");
        let after = state(a).await;
        if after != before && !TAKES_A_NUMBER.iter().any(|(taking, _)| *taking == name) {
            complaints.push(format!("{name} changed the state from {before} to {after}"));
        }
        before = after;
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn what_is_left_out_or_not_looked_at_is_in_the_table() {
    let known: BTreeSet<&str> = methods().map(|(_, method)| method.name).collect();
    assert!(LEFT_OUT.iter().all(|(name, reason)| known.contains(name) && !reason.is_empty()));
    let parameters: BTreeSet<&str> =
        methods().flat_map(|(_, method)| method.parameters).map(|parameter| parameter.name).collect();
    assert!(READ_LOOSELY.iter().all(|(name, _, reason)| known.contains(name) && !reason.is_empty()));
    for name in NAMES_SOMETHING.iter().chain(NOT_LOOKED_AT).chain(READ_LOOSELY.iter().map(|(_, name, _)| name)) {
        assert!(parameters.contains(name), "{name} is no parameter");
    }
}

//! What a node answers about everything it keeps, so that two nodes, or one before and after, can be compared.

use std::collections::BTreeMap;

use anyhow::Context as _;
use rota_api::client::ClientError;
use serde_json::{Value, json};

use crate::node::Node;

/// Items, blocks and transactions asked for at once.
const MANY: u64 = 100_000;

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A result.
    Result(Value),
    /// An error with code and sentence: nobody takes it for data.
    Refusal(String),
    /// The connection broke.
    Broken(String),
}

/// Answers by the call.
pub type Answers = BTreeMap<String, Answer>;

/// Asks a node about everything.
///
/// # Errors
/// If it cannot be asked at all.
pub async fn ask(node: &Node, blocks: u64) -> Answers {
    let mut answers = Answers::new();
    let calls = [
        ("getbestblockhash", json!([])),
        ("getstatehash", json!([])),
        ("getblockchainparams", json!([])),
        ("listpermissions", json!(["*", "*", true])),
        ("liststreams", json!(["*", true])),
        ("listassets", json!(["*", true])),
        ("getaddresses", json!([true])),
        ("listaddresses", json!(["*", true])),
        ("getmultibalances", json!(["*", "*", 0])),
        ("listunspent", json!([0])),
        ("listwallettransactions", json!([MANY])),
        ("liststreamkeys", json!(["s", "*", true])),
        ("liststreampublishers", json!(["s", "*", true])),
        ("liststreamitems", json!(["s", true, MANY])),
        ("liststreamitems", json!(["s", true, MANY, -(MANY as i64), true])),
        ("liststreamkeyitems", json!(["s", "key 1", true, MANY])),
        ("listassettransactions", json!(["gold", true, MANY])),
    ];
    for (method, params) in calls {
        note(&mut answers, node, method, params).await;
    }
    for height in 0..blocks {
        note(&mut answers, node, "getblock", json!([height.to_string(), 4])).await;
    }
    note(&mut answers, node, "getrawmempool", json!([])).await;
    let owned = answers.get("getaddresses [true]").cloned();
    if let Some(Answer::Result(Value::Array(owned))) = owned {
        for address in owned.iter().filter(|row| row["ismine"] == true) {
            note(&mut answers, node, "dumpprivkey", json!([address["address"]])).await;
        }
    }
    answers
}

async fn note(answers: &mut Answers, node: &Node, method: &str, params: Value) {
    let name = format!("{method} {params}");
    let answer = match node.call(method, params).await {
        Ok(mut result) => {
            if let (true, Value::Array(ids)) = (method == "getrawmempool", &mut result) {
                ids.sort_by_key(ToString::to_string);
            }
            forget_times(&mut result);
            Answer::Result(result)
        }
        Err(error @ ClientError::Rpc { .. }) => Answer::Refusal(error.to_string()),
        Err(error) => Answer::Broken(error.to_string()),
    };
    answers.insert(name, answer);
}

/// Takes out when this node saw something, which a rebuilt database does not know.
fn forget_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["timereceived", "time", "synchronized", "chunks-local"] {
                members.remove(name);
            }
            members.values_mut().for_each(forget_times);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_times),
        _ => {}
    }
}

/// How two sets of answers differ.
#[derive(Debug, Default)]
pub struct Difference {
    /// Calls that give another result: nobody would notice.
    pub silent: Vec<String>,
    /// Calls that are refused.
    pub refused: Vec<String>,
    /// Calls that broke the connection.
    pub broken: Vec<String>,
}

impl Difference {
    /// Compares answers with those that are right.
    pub fn of(right: &Answers, found: &Answers) -> Difference {
        let mut difference = Difference::default();
        for (call, answer) in right {
            match found.get(call) {
                Some(same) if same == answer => {}
                Some(Answer::Refusal(sentence)) => difference.refused.push(format!("{call}: {sentence}")),
                Some(Answer::Broken(sentence)) => difference.broken.push(format!("{call}: {sentence}")),
                other => difference.silent.push(format!("{call}: {}", clash(answer, other))),
            }
        }
        difference
    }

    /// The first of them, to be read.
    pub fn told(&self) -> String {
        let all = [("another", &self.silent), ("refused", &self.refused), ("broken off", &self.broken)];
        let lines =
            all.iter().flat_map(|(how, calls)| calls.iter().take(3).map(move |call| format!("\n  {how}: {call}")));
        lines.collect()
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.silent.is_empty() && self.refused.is_empty() && self.broken.is_empty()
    }
}

/// Two answers, shortened to where they part.
fn clash(right: &Answer, found: Option<&Answer>) -> String {
    let (right, found) = (format!("{right:?}"), format!("{found:?}"));
    let at = right.bytes().zip(found.bytes().skip("Some(".len())).take_while(|(a, b)| a == b).count();
    let end = |text: &str, at: usize| text.chars().skip(at.saturating_sub(40)).take(160).collect::<String>();
    format!("{} ... instead of ... {}", end(&found, at), end(&right, at))
}

/// The words of an answer that has to come, such as an address.
///
/// # Errors
/// If the node refuses.
pub async fn word(node: &Node, method: &str, params: Value) -> anyhow::Result<String> {
    let answer = node.call(method, params).await?;
    answer.as_str().map(str::to_owned).with_context(|| format!("{method} gave {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(answer: Answer) -> Answers {
        Answers::from([("call".to_owned(), answer)])
    }

    #[test]
    fn another_result_is_silent_and_an_error_is_not() {
        let right = answers(Answer::Result(json!(1)));
        assert!(Difference::of(&right, &right).is_none());
        assert_eq!(Difference::of(&right, &answers(Answer::Result(json!(2)))).silent.len(), 1);
        assert_eq!(Difference::of(&right, &Answers::new()).silent.len(), 1);
        assert_eq!(Difference::of(&right, &answers(Answer::Refusal("no".to_owned()))).refused.len(), 1);
        assert_eq!(Difference::of(&right, &answers(Answer::Broken("gone".to_owned()))).broken.len(), 1);
    }
}

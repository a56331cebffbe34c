//! The work of reading: pages of the stream, of a key or of a publisher, single items, or many with all that is known of
//! them; from changing places.

use std::collections::HashMap;
use std::io::Write as _;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::arguments::Read;
use crate::connection::Connection;
use crate::publish::mix;

/// Items a request asks for.
const PAGE: u64 = 10;
/// Items of a wide one.
const WIDE: u64 = 100;
/// Prime to any likely number of items, so that the pages wander over the whole stream.
const STRIDE: u64 = 7_919;
/// Keys or publishers that are asked for in turn, at most.
const MAX_SUBJECTS: u64 = 1_000;
/// Pages from which transactions are gathered for single items.
const GATHERED: u64 = 20;

/// Lists a stream.
pub struct List {
    stream: String,
    reading: Reading,
}

/// What is asked for.
enum Reading {
    Page { items: u64, verbose: bool, count: u64 },
    Of { method: &'static str, subjects: Vec<Subject> },
    Item { txids: Vec<String> },
}

/// A key or a publisher: as JSON, and how many items it has.
struct Subject {
    name: String,
    items: u64,
}

impl List {
    /// Gets ready to read a stream with so many items, and tries it once.
    pub async fn prepare(read: Read, stream: &str, items: u64, node: &mut Connection) -> anyhow::Result<Self> {
        let least = if read == Read::Wide { WIDE } else { PAGE };
        ensure!(items >= least, "{stream} holds {items} items: publish {least} or more first");
        let reading = match read {
            Read::Page => Reading::Page { items, verbose: false, count: PAGE },
            Read::Wide => Reading::Page { items, verbose: true, count: WIDE },
            Read::Key => Reading::Of {
                method: "liststreamkeyitems",
                subjects: subjects("liststreamkeys", "key", stream, node).await?,
            },
            Read::Publisher => Reading::Of {
                method: "liststreampublisheritems",
                subjects: subjects("liststreampublishers", "publisher", stream, node).await?,
            },
            Read::Item => Reading::Item { txids: single_items(stream, items, node).await? },
        };
        let list = Self { stream: Value::from(stream).to_string(), reading };
        list.try_once(node).await?;
        Ok(list)
    }

    /// Asks once and looks whether the answer holds as many items as it should.
    async fn try_once(&self, node: &mut Connection) -> anyhow::Result<()> {
        let mut body = Vec::new();
        self.write_request(0, 0, &mut body);
        let answer: Value = serde_json::from_slice(node.exchange(&body).await?)?;
        let expected = match &self.reading {
            Reading::Page { count, .. } => *count,
            Reading::Of { subjects, .. } => subjects[0].items.min(PAGE),
            Reading::Item { .. } => 1,
        };
        let found = match &answer["result"] {
            Value::Array(items) => items.len() as u64,
            Value::Object(_) => 1,
            _ => 0,
        };
        ensure!(found == expected, "{expected} items were asked for, the node answered {answer}");
        Ok(())
    }

    /// What it reads, in reports.
    pub fn name(&self) -> &'static str {
        match &self.reading {
            Reading::Page { verbose: false, .. } => "list",
            Reading::Page { verbose: true, .. } => "list-wide",
            Reading::Of { method: "liststreamkeyitems", .. } => "list-key",
            Reading::Of { .. } => "list-publisher",
            Reading::Item { .. } => "list-item",
        }
    }

    /// Writes a request for the place of this client and number.
    pub fn write_request(&self, client: usize, number: u64, body: &mut Vec<u8>) {
        let stream = &self.stream;
        let step = number.wrapping_mul(STRIDE).wrapping_add(client as u64 * PAGE);
        match &self.reading {
            Reading::Page { items, verbose, count } => {
                let start = step % (items - count + 1);
                let method = "liststreamitems";
                write!(body, r#"{{"method":"{method}","params":[{stream},{verbose},{count},{start}],"id":{number}}}"#)
            }
            Reading::Of { method, subjects } => {
                let Subject { name, items } = &subjects[turn(client, number, subjects.len())];
                let start = step % (items.saturating_sub(PAGE) + 1);
                write!(body, r#"{{"method":"{method}","params":[{stream},{name},false,{PAGE},{start}],"id":{number}}}"#)
            }
            Reading::Item { txids } => {
                let txid = &txids[turn(client, number, txids.len())];
                write!(body, r#"{{"method":"getstreamitem","params":[{stream},"{txid}"],"id":{number}}}"#)
            }
        }
        .expect("a vector takes every byte");
    }
}

/// Which of so many is a client's at this number: spread evenly, and the first at the beginning.
fn turn(client: usize, number: u64, of: usize) -> usize {
    if client == 0 && number == 0 {
        return 0;
    }
    (mix(number ^ (client as u64) << 48) % of as u64) as usize
}

/// Keys or publishers of a stream.
async fn subjects(method: &str, name: &str, stream: &str, node: &mut Connection) -> anyhow::Result<Vec<Subject>> {
    let found = node.call(method, json!([stream, "*", false, MAX_SUBJECTS, 0])).await?;
    let found = found.as_array().with_context(|| format!("{method} answered no list"))?;
    let subject = |one: &Value| Some(Subject { name: one.get(name)?.to_string(), items: one["items"].as_u64()? });
    let subjects: Vec<Subject> = found.iter().filter_map(subject).filter(|subject| subject.items > 0).collect();
    ensure!(!subjects.is_empty(), "{method} of {stream} names no {name}");
    Ok(subjects)
}

/// Transactions with one item, from all over a stream.
async fn single_items(stream: &str, items: u64, node: &mut Connection) -> anyhow::Result<Vec<String>> {
    let count = items.min(WIDE);
    let mut txids = Vec::new();
    for page in 0..GATHERED {
        let start = (items - count) * page / (GATHERED - 1);
        let rows = node.call("liststreamitems", json!([stream, false, count, start])).await?;
        let rows = rows.as_array().context("liststreamitems answered no list")?;
        let row_txids: Vec<&str> = rows.iter().filter_map(|row| row["txid"].as_str()).collect();
        txids.extend(single(&row_txids).into_iter().map(str::to_owned));
    }
    txids.sort();
    txids.dedup();
    ensure!(!txids.is_empty(), "{stream} has no transaction of one item");
    Ok(txids)
}

/// Those that stand once among the rows of a page. The outermost may go on beyond it, and are left out.
fn single<'a>(rows: &[&'a str]) -> Vec<&'a str> {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for row in rows {
        *counts.entry(row).or_default() += 1;
    }
    let ends = [rows.first(), rows.last()];
    rows.iter().filter(|row| counts[**row] == 1 && !ends.contains(&Some(row))).copied().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    fn requests(reading: Reading) -> Vec<Value> {
        let list = List { stream: "\"s\"".to_owned(), reading };
        let one = |number| {
            let mut body = Vec::new();
            list.write_request(1, number, &mut body);
            serde_json::from_slice(&body).unwrap()
        };
        (0..100).map(one).collect()
    }

    #[test]
    fn every_page_lies_within_the_stream_and_pages_differ() {
        for (count, places) in [(10, 116), (100, 26)] {
            let mut starts = std::collections::BTreeSet::new();
            for request in requests(Reading::Page { items: 125, verbose: count == WIDE, count }) {
                assert_eq!((&request["params"][1], &request["params"][2]), (&json!(count == WIDE), &json!(count)));
                starts.insert(request["params"][3].as_u64().unwrap());
            }
            assert!(starts.iter().all(|start| start + count <= 125));
            assert!(starts.len() as u64 > places / 2, "{starts:?}");
        }
    }

    #[test]
    fn keys_take_turns_and_their_pages_lie_within_their_items() {
        let subject = |name: &str, items| Subject { name: name.to_owned(), items };
        let subjects = vec![subject("\"a\"", 3), subject("\"b\"", 30)];
        let requests = requests(Reading::Of { method: "liststreamkeyitems", subjects });
        for (name, most) in [("a", 0), ("b", 20)] {
            let mut starts = requests.iter().filter(|one| one["params"][1] == name);
            assert!(starts.clone().count() > 20, "{name}");
            assert!(starts.all(|one| one["params"][4].as_u64().unwrap() <= most), "{name}");
        }
    }

    #[test]
    fn transactions_of_several_items_are_not_asked_for_as_one() {
        assert_eq!(single(&["x", "a", "b", "b", "c", "y"]), ["a", "c"]);
        assert!(single(&["x"]).is_empty() && single(&[]).is_empty());
        let txids = vec!["a".to_owned(), "b".to_owned()];
        let requests = requests(Reading::Item { txids });
        assert!(requests.iter().all(|one| one["method"] == "getstreamitem"));
        assert!(
            requests.iter().any(|one| one["params"][1] == "a") && requests.iter().any(|one| one["params"][1] == "b")
        );
    }
}

//! The work of reading: ten items of the stream at a time, from changing places.

use std::io::Write as _;

use anyhow::ensure;

use crate::arguments::Plan;
use crate::workload::Fill;

/// Items a request asks for.
const PAGE: u64 = 10;
/// Prime to any likely number of items, so that the pages wander over the whole stream.
const STRIDE: u64 = 7_919;

/// Lists pages of a stream.
pub struct List {
    stream: String,
    items: u64,
}

impl List {
    /// The work of a plan on a stream with items.
    pub fn new(plan: &Plan, fill: Fill) -> anyhow::Result<Self> {
        ensure!(fill.items >= PAGE, "{} holds {} items: publish {PAGE} or more first", plan.stream, fill.items);
        Ok(Self { stream: serde_json::Value::from(plan.stream.as_str()).to_string(), items: fill.items })
    }

    /// Writes a request for the page of this client and number.
    pub fn write_request(&self, client: usize, number: u64, body: &mut Vec<u8>) {
        let places = self.items - PAGE + 1;
        let start = (number.wrapping_mul(STRIDE).wrapping_add(client as u64 * PAGE)) % places;
        let stream = &self.stream;
        write!(body, r#"{{"method":"liststreamitems","params":[{stream},false,{PAGE},{start}],"id":{number}}}"#)
            .expect("a vector takes every byte");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn every_page_lies_within_the_stream_and_pages_differ() {
        let list = List { stream: "\"s\"".to_owned(), items: 25 };
        let mut starts = std::collections::BTreeSet::new();
        for number in 0..100 {
            let mut body = Vec::new();
            list.write_request(1, number, &mut body);
            let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(request["params"][2], 10);
            starts.insert(request["params"][3].as_u64().unwrap());
        }
        assert!(starts.iter().all(|start| start + PAGE <= 25));
        assert_eq!(starts.len(), 16);
    }
}

//! The work of publishing: bodies of `publish`, or of `publishmulti` when a transaction carries several items.

use std::io::Write as _;

/// Publishes items whose content differs from every other item of the run.
pub struct Publish {
    stream: String,
    size: usize,
    items: u64,
    /// Distinguishes this run's items from those of earlier ones.
    run: u64,
}

impl Publish {
    /// Items of so many bytes for a stream, so many in each transaction.
    pub fn new(stream: &str, size: usize, items: u64) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { stream: serde_json::Value::from(stream).to_string(), size, items, run: now.as_micros() as u64 }
    }

    /// Items in each transaction.
    pub fn items_per_tx(&self) -> u64 {
        self.items
    }

    /// Writes a request; each client uses a key of its own.
    pub fn write_request(&self, client: usize, number: u64, body: &mut Vec<u8>) {
        let stream = &self.stream;
        if self.items == 1 {
            put(body, format_args!(r#"{{"method":"publish","params":[{stream},"c{client}",""#));
            self.write_content(client, number, body);
            put(body, format_args!(r#""],"id":{number}}}"#));
            return;
        }
        put(body, format_args!(r#"{{"method":"publishmulti","params":[{stream},["#));
        for item in 0..self.items {
            let comma = if item == 0 { "" } else { "," };
            put(body, format_args!(r#"{comma}{{"key":"c{client}","data":""#));
            self.write_content(client, number * self.items + item, body);
            body.extend_from_slice(b"\"}");
        }
        put(body, format_args!(r#"]],"id":{number}}}"#));
    }

    /// Writes `size` bytes in hex: run, client and number as a counter, mixed so that nothing compresses well.
    fn write_content(&self, client: usize, number: u64, body: &mut Vec<u8>) {
        let mut state = self.run ^ (client as u64).rotate_left(48) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let end = body.len() + self.size * 2;
        while body.len() < end {
            state = mix(state);
            put(body, format_args!("{state:016x}"));
        }
        body.truncate(end);
    }
}

/// One step of the splitmix64 sequence.
pub fn mix(state: u64) -> u64 {
    let mut value = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn put(body: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    body.write_fmt(text).expect("a vector takes every byte");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;
    use serde_json::Value;

    fn request(size: usize, items: u64, client: usize, number: u64) -> Value {
        let publish = Publish { stream: r#""s \"1""#.to_owned(), size, items, run: 7 };
        let mut body = Vec::new();
        publish.write_request(client, number, &mut body);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_request_publishes_so_many_bytes_under_the_clients_key() {
        let request = request(101, 1, 3, 5);
        assert_eq!(request["method"], "publish");
        assert_eq!(request["params"][0], "s \"1");
        assert_eq!(request["params"][1], "c3");
        assert_eq!(request["params"][2].as_str().unwrap().len(), 202);
        assert_eq!(request["id"], 5);
    }

    #[test]
    fn several_items_go_in_one_transaction_and_no_two_are_alike() {
        let mut seen = std::collections::BTreeSet::new();
        for (client, number) in [(0, 0), (0, 1), (1, 0)] {
            let request = request(16, 30, client, number);
            let items = request["params"][1].as_array().unwrap();
            assert_eq!(items.len(), 30);
            seen.extend(items.iter().map(|item| item["data"].as_str().unwrap().to_owned()));
        }
        assert_eq!(seen.len(), 90);
    }
}

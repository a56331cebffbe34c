//! The work of paying: `sendtoaddress` of one unit of an asset that is issued for the run, to an address that is watched
//! and no key of the wallet's, so that what arrives can be counted and is not spent again.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::network::waiting;
use crate::workload::Fill;

/// Units of each coin that is issued: more than a client sends in a day.
const UNITS: u64 = 1_000_000_000;
/// Coins for each client, so that clients need not wait for one another's change.
const COINS_PER_CLIENT: usize = 4;
/// Coins that are issued at most.
const MAX_COINS: usize = 256;
/// How long a step of the preparation is tried: some nodes want a block before the next.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends units of an asset.
pub struct Send {
    asset: String,
    recipient: String,
}

impl Send {
    /// Makes an asset, coins of it for so many clients, and an address that may receive it.
    pub async fn prepare(clients: usize, node: &mut Connection) -> anyhow::Result<Self> {
        let owner = issuer(node).await?;
        let pairs = node.call("createkeypairs", json!([1])).await?;
        let recipient = pairs[0]["address"].as_str().context("createkeypairs answered no address")?.to_owned();
        node.call("grant", json!([recipient, "receive"])).await?;
        node.call("importaddress", json!([recipient, "", false])).await?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let asset = format!("bench-{:x}", now.as_micros());
        patiently(node, "issue", json!([owner, {"name": asset, "open": true}, UNITS, 1])).await?;
        for _ in 1..(clients * COINS_PER_CLIENT).min(MAX_COINS) {
            patiently(node, "issuemore", json!([owner, asset, UNITS])).await?;
        }
        let send = Self { asset, recipient };
        // The first payment is not part of the run: it waits until the recipient's right stands.
        patiently(node, "sendtoaddress", json!([send.recipient, {send.asset.as_str(): 1}])).await?;
        Ok(send)
    }

    /// Writes a request; all are alike but for their number.
    pub fn write_request(&self, number: u64, body: &mut Vec<u8>) {
        let (recipient, asset) = (&self.recipient, &self.asset);
        write!(body, r#"{{"method":"sendtoaddress","params":["{recipient}",{{"{asset}":1}}],"id":{number}}}"#)
            .expect("a vector takes every byte");
    }

    /// Units that have arrived, in all and in blocks. Balances count a node's own payments from the start, so those that
    /// wait are told by the pool.
    pub async fn fill(&self, node: &mut Connection) -> anyhow::Result<Fill> {
        let balances = node.call("getaddressbalances", json!([self.recipient, 0])).await?;
        let items = quantity(&balances, &self.asset);
        Ok(Fill { items, confirmed: items.saturating_sub(waiting(node).await?) })
    }
}

/// An address of the wallet that may issue.
async fn issuer(node: &mut Connection) -> anyhow::Result<String> {
    let rights = node.call("listpermissions", json!(["issue"])).await?;
    let addresses = node.call("getaddresses", json!([])).await?;
    let own = addresses.as_array().context("getaddresses answered no list")?;
    let listed = rights.as_array().into_iter().flatten().filter_map(|right| right["address"].as_str());
    for address in listed {
        // The address `*` stands for anyone.
        if address == "*" {
            return own.first().and_then(Value::as_str).map(str::to_owned).context("the wallet has no address");
        }
        if own.iter().any(|one| one == address) {
            return Ok(address.to_owned());
        }
    }
    bail!("no address of the node's wallet may issue assets")
}

/// Calls a method until it is not refused.
async fn patiently(node: &mut Connection, method: &str, params: Value) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match node.call(method, params.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The quantity of an asset among balances; 0 where it is not listed.
fn quantity(balances: &Value, asset: &str) -> u64 {
    let listed = balances.as_array().into_iter().flatten().find(|balance| balance["name"] == asset);
    listed.and_then(|balance| balance["qty"].as_f64()).map_or(0, |units| units as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn a_request_sends_one_unit_to_the_recipient() {
        let send = Send { asset: "bench-1".to_owned(), recipient: "1abc".to_owned() };
        let mut body = Vec::new();
        send.write_request(7, &mut body);
        let request: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(request["params"], json!(["1abc", {"bench-1": 1}]));
        assert_eq!((&request["method"], &request["id"]), (&json!("sendtoaddress"), &json!(7)));
    }

    #[test]
    fn units_are_those_of_the_asset() {
        let balances = json!([{"name": "a", "qty": 5}, {"name": "b", "qty": 6.0}]);
        assert_eq!([quantity(&balances, "a"), quantity(&balances, "b"), quantity(&balances, "c")], [5, 6, 0]);
    }
}

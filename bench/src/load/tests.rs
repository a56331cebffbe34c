//! A run against a small stand-in for a node: one that keeps what it acknowledges, and one that does not.
#![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::arguments::{Kind, Read, Target, Turns};

/// Counts published items; forgets the first `forgotten` of them.
struct StandIn {
    items: AtomicU64,
    forgotten: AtomicU64,
}

impl StandIn {
    fn answer(&self, request: &Value) -> Value {
        match request["method"].as_str().unwrap() {
            "liststreams" => {
                let items = self.items.load(Ordering::SeqCst);
                json!([{"name": "s", "items": items, "confirmed": items}])
            }
            "liststreamitems" => Value::Array(vec![Value::Null; request["params"][2].as_u64().unwrap() as usize]),
            "publish" => self.keep(1),
            "publishmulti" => self.keep(request["params"][1].as_array().unwrap().len() as u64),
            _ => Value::Null,
        }
    }

    fn keep(&self, count: u64) -> Value {
        for _ in 0..count {
            let forget = self.forgotten.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if forget.is_err() {
                self.items.fetch_add(1, Ordering::SeqCst);
            }
        }
        json!("ab".repeat(32))
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).await.unwrap();
            let request: Value = serde_json::from_slice(&body).unwrap();
            let answer = json!({"result": self.answer(&request), "error": null, "id": request["id"]}).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            writer.write_all((head + &answer).as_bytes()).await.unwrap();
        }
    }
}

/// Runs a plan against a stand-in that holds so many items and forgets so many new ones.
async fn run_against(kind: Kind, items: u64, forgotten: u64, items_per_tx: usize) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let node = Arc::new(StandIn { items: AtomicU64::new(items), forgotten: AtomicU64::new(forgotten) });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&node).serve(stream));
        }
    });
    let plan = Plan {
        kind,
        target: Target { host: "127.0.0.1".to_owned(), port, user: "u".to_owned(), password: "p".to_owned() },
        stream: "s".to_owned(),
        clients: 3,
        size: 16,
        items_per_tx,
        duration: Duration::from_millis(200),
        pid: None,
        turns: Turns::None,
    };
    run(&plan).await.unwrap()
}

#[tokio::test]
async fn every_acknowledged_item_is_found_again() {
    let report = run_against(Kind::Publish, 5, 0, 1).await;
    assert!(report.accepted > 0 && report.refused == 0);
    assert_eq!(report.latencies().count(), report.accepted);
    assert!(report.nothing_lost(), "{report}");
}

#[tokio::test]
async fn items_of_one_transaction_count_each() {
    let report = run_against(Kind::Publish, 0, 0, 30).await;
    assert_eq!(report.accepted, report.latencies().count() * 30);
    assert!(report.nothing_lost(), "{report}");
}

#[tokio::test]
async fn a_node_that_forgets_one_item_is_found_out() {
    let report = run_against(Kind::Publish, 0, 1, 1).await;
    assert!(!report.nothing_lost(), "{report}");
}

#[tokio::test]
async fn listing_adds_nothing() {
    let report = run_against(Kind::List(Read::Page), 50, 0, 1).await;
    assert!(report.accepted > 0 && report.nothing_lost(), "{report}");
}

#[tokio::test]
async fn of_mixed_work_a_fifth_publishes_and_is_found_again() {
    let report = run_against(Kind::Mixed(Read::Page), 50, 0, 1).await;
    let (reads, writes) = (report.reads.count(), report.writes.count());
    assert!(writes > 0 && report.nothing_lost(), "{report}");
    assert!(reads.abs_diff(writes * 4) <= 4 * 3, "{reads} reads, {writes} publishes");
    assert!(!run_against(Kind::Mixed(Read::Page), 50, 1, 1).await.nothing_lost());
}

//! What an RPC caller can do wrong: bodies that are no JSON, that never end, that nest without end.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::chain::Chain;
use crate::harness::http;
use crate::harness::node::Node;
use crate::harness::process_table::resident_kib;

/// Most memory a refused body may cost: far below the gigabyte announced, above an allocator's slack.
const GROWTH_LIMIT_KIB: u64 = 160 * 1024;

fn error_code(reply: &http::Reply) -> i64 {
    let body: Value =
        serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("no JSON body ({error}) in {reply:?}"));
    body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error code in {body}"))
}

async fn still_answers(node: &Node) {
    assert_eq!(node.call("getinfo", json!([])).await["chainname"], node.chain.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_json_or_not_a_request_gets_its_code() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let post = async |body: &[u8]| http::post(a.rpc_port, &a.authorization(), body).await;
    for body in [b"{".as_slice(), b"not json", b"", b"\xff\xfe", b"{\"method\":\"getinfo\"} trailing"] {
        let reply = post(body).await;
        assert_eq!((reply.status, error_code(&reply)), (500, -32700), "for {:?}", String::from_utf8_lossy(body));
        assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    }
    let reply = post(br#"{"method":7,"params":[],"id":1}"#).await;
    assert_eq!((reply.status, error_code(&reply)), (400, -32600));
    let reply = post(br#"{"method":"getinfo","params":{"a":1},"id":1}"#).await;
    assert_eq!((reply.status, error_code(&reply)), (400, -32600));
    let reply = post(br#"{"method":"nosuchmethod","params":[],"id":1}"#).await;
    assert_eq!((reply.status, error_code(&reply)), (404, -32601));
    still_answers(a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_another_path_and_another_verb_are_refused_with_an_empty_body() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let body = br#"{"method":"getinfo","params":[],"id":1}"#;
    let reply = http::post(a.rpc_port, &http::basic("rotarpc", "wrong"), body).await;
    assert_eq!((reply.status, reply.body.len()), (401, 0));
    assert!(reply.head.contains("www-authenticate: basic realm=\"jsonrpc\""), "{}", reply.head);
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", a.authorization());
    assert_eq!(http::exchange(a.rpc_port, request.as_bytes()).await.status, 405);
    let request = http::post_head(&a.authorization(), 2).replace("POST / ", "POST /other ") + "{}";
    let reply = http::exchange(a.rpc_port, request.as_bytes()).await;
    assert_eq!((reply.status, reply.body.len()), (404, 0));
    still_answers(a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_announced_or_a_hundred_megabytes_sent_costs_the_node_no_memory() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let before = resident_kib(a.id());

    let head = http::post_head(&a.authorization(), 1 << 30);
    let reply = http::exchange(a.rpc_port, head.as_bytes()).await;
    assert_eq!(reply.status, 413, "an announced gigabyte is refused by its head: {reply:?}");

    let sent = send_large(a, 100 << 20).await;
    let grown = resident_kib(a.id()).saturating_sub(before);
    assert!(grown < GROWTH_LIMIT_KIB, "{sent} bytes taken, {grown} KiB grown");
    still_answers(a).await;
}

/// Sends a valid JSON beginning of `length` bytes without an announced length, until the node closes.
async fn send_large(node: &Node, length: usize) -> usize {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.rpc_port)).await.unwrap();
    let head = http::post_head(&node.authorization(), 0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    stream.write_all(head.as_bytes()).await.unwrap();
    let part = "x".repeat(1 << 20);
    let chunk = format!("{:x}\r\n{part}\r\n", part.len());
    let mut sent = 0;
    while sent < length {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            return sent;
        }
        sent += part.len();
    }
    let _ = stream.write_all(b"0\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    let head = String::from_utf8_lossy(&answer);
    assert!(!head.starts_with("HTTP/1.1 200"), "a hundred megabytes were accepted: {head}");
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nesting_without_end_is_refused_and_the_node_lives() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    for depth in [200, 100_000, 2_000_000] {
        let body = format!(r#"{{"method":"getinfo","params":{}{},"id":1}}"#, "[".repeat(depth), "]".repeat(depth));
        let reply = http::post(a.rpc_port, &a.authorization(), body.as_bytes()).await;
        assert!(error_code(&reply) < 0, "depth {depth} was accepted");
        still_answers(a).await;
    }
    let deep = (0..101).fold(json!(1), |inner, _| json!([inner]));
    let body = json!({"method": "publish", "params": ["s", "k", {"json": deep}], "id": 1}).to_string();
    let reply = http::post(a.rpc_port, &a.authorization(), body.as_bytes()).await;
    assert!(error_code(&reply) < 0, "an item of depth 101 was accepted");
    let fits = (0..90).fold(json!(1), |inner, _| json!([inner]));
    a.call("publish", json!(["s", "k", {"json": fits}])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_every_age_are_understood() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let post = async |body: &str| {
        let reply = http::post(a.rpc_port, &a.authorization(), body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{body}");
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    for body in [
        r#"{"method":"getblockcount"}"#,
        r#"{"method":"getblockcount","params":null,"id":null}"#,
        r#"{"jsonrpc":"1.0","method":"getblockcount","params":[],"id":"x"}"#,
        r#"{"version":"1.1","method":"getblockcount","params":[],"id":7,"chain_name":"c"}"#,
        r#"{"jsonrpc":"2.0","method":"getblockcount","params":[],"id":7}"#,
    ] {
        let answer = post(body).await;
        let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(members, ["result", "error", "id"], "for {body}");
        assert!(answer["result"].is_u64() && answer["error"].is_null(), "{answer}");
    }
    assert_eq!(post("[]").await, json!([]));
    let batch = post(r#"[{"method":"getblockcount","id":1},{"method":"nosuch","id":2}]"#).await;
    assert_eq!((&batch[0]["id"], &batch[1]["error"]["code"]), (&json!(1), &json!(-32601)));
}

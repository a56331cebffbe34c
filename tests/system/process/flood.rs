//! More callers than a node can serve, and callers that want no answer: honest ones are served meanwhile.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::chain::Chain;
use crate::harness::http;
use crate::harness::node::Node;
use crate::harness::process_table::{open_files, resident_kib};
use crate::harness::wait::{check, until};

/// More than the connections that a node has places for.
const CROWD: usize = 700;
/// The connections that a node has places for.
const PLACES: usize = 512;
/// Calls of honest callers while the crowd is there.
const HONEST_CALLS: usize = 100;
/// Most memory that a crowd may cost: 128 KiB for each of its connections.
const GROWTH_LIMIT_KIB: u64 = 96 * 1024;

/// What one of the crowd sends before it goes on byte by byte, or says nothing more.
fn beginning(node: &Node, number: usize) -> String {
    let right = format!("Authorization: {}\r\n", node.authorization());
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    match number % 7 {
        0 => String::new(),
        1 => "POST / HTTP/1.1\r\nX-Slow: ".to_owned(),
        2 => "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{".to_owned(),
        3 => format!("POST / HTTP/1.1\r\nHost: x\r\n{right}Content-Length: 100000\r\n\r\n{{"),
        4 => upgrade.to_owned(),
        5 => format!("{upgrade}{right}Sec-WebSocket-Version: 13\r\n\r\n"),
        _ => format!(
            "POST / HTTP/1.1\r\nHost: x\r\n{right}Content-Length: 29\r\n\r\n{{\"method\":\"help\",\"params\":[]}}"
        ),
    }
}

/// Comes, trickles, and comes again when it was sent away.
async fn trickle(node: &Node, number: usize, ends: &AtomicBool) {
    let beginning = beginning(node, number);
    while !ends.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, node.rpc_port)).await else { continue };
        let _ = stream.try_write(beginning.as_bytes());
        let mut silence = 0;
        // A connection that the node closed shows it when it is written to for a second time.
        while !ends.load(Ordering::Relaxed) && silence < 100 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            match stream.try_write(b"x") {
                Ok(_) => silence += 1,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => silence += 1,
                Err(_) => break,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_hundred_clients_that_trickle_idle_or_do_not_read_keep_no_honest_caller_out() {
    let chain = Arc::new(Chain::create("c").node("a").start().await);
    let a = chain.node("a");
    let before = resident_kib(a.id());
    let ends = Arc::new(AtomicBool::new(false));
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let (chain, ends) = (Arc::clone(&chain), Arc::clone(&ends));
        crowd.push(tokio::spawn(async move { trickle(chain.node("a"), number, &ends).await }));
    }
    until("all places to be taken", async || {
        let open = open_files(a.id());
        check(open >= PLACES, format!("{open} files and connections are open"))
    })
    .await;
    // Nobody of a crowd that has come just now has to go; a second later somebody has.
    until("the first honest caller to be served", async || {
        a.try_call("getblockcount", json!([])).await.map_err(|refusal| format!("{refusal:?}"))
    })
    .await;
    let mut refused = 0;
    for _ in 0..HONEST_CALLS {
        // A connection of its own for each call, as scripts have.
        match a.try_call("getblockcount", json!([])).await {
            Ok(height) => assert!(height.is_u64(), "{height}"),
            Err(refusal) => {
                assert!(refusal.message.contains("503"), "{refusal:?}");
                refused += 1;
            }
        }
    }
    let grown = resident_kib(a.id()).saturating_sub(before);
    a.cli(&["getblockcount"]).await.succeeded();
    ends.store(true, Ordering::Relaxed);
    for client in crowd {
        client.await.unwrap();
    }
    assert!(refused <= HONEST_CALLS / 10, "{refused} of {HONEST_CALLS} honest calls were refused");
    assert!(grown < GROWTH_LIMIT_KIB, "the crowd cost {grown} KiB");
    a.call("getblockcount", json!([])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_answers_503_at_once_and_recovers() {
    let chain = Chain::create("c").option("-rpcthreads=1").option("-rpcworkqueue=1").node("a").start().await;
    let a = chain.node("a");
    let member = json!({"method": "createkeypairs", "params": [20], "id": 1});
    let batch = Value::Array(vec![member; 2_000]).to_string();
    let authorization = a.authorization();
    let calls = (0..12).map(|_| http::post(a.rpc_port, &authorization, batch.as_bytes()));
    let replies = futures::future::join_all(calls).await;
    let (served, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(served.len() >= 2, "one that runs and one that waits are answered");
    assert!(!refused.is_empty(), "there was no more than the queue holds");
    for reply in refused {
        assert_eq!((reply.status, String::from_utf8_lossy(&reply.body).as_ref()), (503, "Work queue depth exceeded"));
        assert!(reply.head.contains("retry-after: 1"), "{}", reply.head);
    }
    until("the queue to be free", async || {
        a.try_call("getblockcount", json!([])).await.map_err(|refusal| format!("{refusal:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_guesses_at_the_password_hold_up_nobody_who_knows_it() {
    let chain = Chain::create("c").option("-rpcthreads=1").option("-rpcworkqueue=1").node("a").start().await;
    let a = chain.node("a");
    let wrong = http::basic("rotarpc", "guess");
    let began = std::time::Instant::now();
    let guesses = (0..100).map(|_| http::post(a.rpc_port, &wrong, b"{\"method\":\"getinfo\",\"params\":[]}"));
    let honest = async {
        for _ in 0..20 {
            a.call("getblockcount", json!([])).await;
        }
        began.elapsed()
    };
    let (replies, honest) = tokio::join!(futures::future::join_all(guesses), honest);
    let guessed = began.elapsed();
    assert!(replies.iter().all(|reply| reply.status == 401 && reply.body.is_empty()));
    assert!(guessed >= Duration::from_secs(1), "a hundred guesses took {guessed:?}");
    assert!(honest < guessed, "right callers waited for wrong ones: {honest:?} of {guessed:?}");
    a.wait_logged(&["WARN", "JSON-RPC user or password wrong", "ip=127.0.0.1"]).await;
}

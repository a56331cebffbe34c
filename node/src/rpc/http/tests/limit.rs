//! What the front bears: too much, too many, too slow, broken off.

use super::world::{BASIC, World, post};
use rota_api::json::BODY_DEPTH_LIMIT;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_body_above_the_limit_is_413_with_a_sentence_that_names_the_limit() {
    let world = World::with(|config| config.body_limit = 1000).await;
    let fits = format!(r#"{{"method":"getinfo","id":"{}"}}"#, "x".repeat(972));
    assert_eq!(fits.len(), 1000);
    assert_eq!(world.post(&fits).await.status, 200);
    let response = world.post(&"x".repeat(1001)).await;
    assert_eq!(response.failure(), (413, -32600, json!(0)));
    assert!(response.body.contains("limit of 1000 bytes"), "{}", response.body);
    assert_eq!(response.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_cut_off_at_the_limit_too() {
    let world = World::with(|config| config.body_limit = 1000).await;
    let mut wire = world.connect().await;
    wire.send(&format!("POST / HTTP/1.1\r\nHost: x\r\n{BASIC}Transfer-Encoding: chunked\r\n\r\n")).await;
    for _ in 0..3 {
        wire.send(&format!("190\r\n{}\r\n", "x".repeat(400))).await;
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.response().await.failure(), (413, -32600, json!(0)));
}

#[tokio::test]
async fn an_announced_gigabyte_is_refused_before_it_is_sent() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let head = "Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n";
    wire.send(&format!("POST / HTTP/1.1\r\nHost: x\r\n{BASIC}{head}")).await;
    assert_eq!(wire.response().await.failure(), (413, -32600, json!(0)));
    assert!(wire.ends().await);
}

#[tokio::test]
async fn a_large_body_from_a_stranger_is_not_read() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    wire.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n").await;
    assert_eq!(wire.response().await.both(), (401, ""));
    assert!(wire.ends().await);
}

#[tokio::test]
async fn requests_and_replies_of_many_megabytes_pass() {
    let world = World::new().await;
    let long = "y".repeat(5_000_000);
    let response = world.post(&format!(r#"{{"method":"echo","params":["{long}"],"id":1}}"#)).await;
    assert_eq!(response.both(), (200, format!("{{\"result\":[\"{long}\"],\"error\":null,\"id\":1}}\n").as_str()));
    let response = world.post(r#"{"method":"long","params":[20000000],"id":1}"#).await;
    assert_eq!((response.status, response.body.len()), (200, 20_000_000 + 34));
}

#[tokio::test]
async fn a_reply_above_the_limit_becomes_an_error_that_says_what_to_do() {
    let world = World::with(|config| config.reply_limit = 1000).await;
    let response = world.post(r#"{"method":"long","params":[2000],"id":1}"#).await;
    assert_eq!(response.failure(), (500, -8, json!(1)));
    assert!(response.body.contains("fewer entries"));
    let member = r#"{"method":"long","params":[400],"id":1}"#;
    let batch = world.post(&format!("[{member},{member},{member}]")).await;
    let replies: Value = serde_json::from_str(&batch.body).unwrap();
    assert_eq!((&replies[1]["error"], &replies[2]["error"]["code"]), (&json!(null), &json!(-8)));
}

#[tokio::test]
async fn a_reply_of_just_the_limit_passes_and_one_of_a_byte_more_does_not() {
    let world = World::with(|config| config.reply_limit = 1000).await;
    // What stands around the text in the reply that is weighed.
    let around = r#"{"jsonrpc":"2.0","id":0,"result":""}"#.len();
    let long = |length: usize| format!(r#"{{"method":"long","params":[{length}],"id":1}}"#);
    assert_eq!(world.post(&long(1000 - around)).await.status, 200);
    assert_eq!(world.post(&long(1001 - around)).await.failure(), (500, -8, json!(1)));
}

#[tokio::test]
async fn a_body_of_just_the_depth_that_is_allowed_passes_and_a_deeper_one_does_not() {
    let world = World::new().await;
    let nested = |depth: usize| format!(r#"{{"method":"echo","params":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    // The request itself is a level.
    assert_eq!(world.post(&nested(BODY_DEPTH_LIMIT - 1)).await.status, 200);
    let refused = world.post(&nested(BODY_DEPTH_LIMIT)).await;
    assert_eq!(refused.failure(), (500, -32700, json!(0)));
    assert!(refused.body.contains(&format!("deeper than {BODY_DEPTH_LIMIT} levels")), "{}", refused.body);
}

#[tokio::test]
async fn a_batch_above_the_limit_is_refused_whole() {
    let world = World::with(|config| config.batch_limit = 2).await;
    let member = r#"{"method":"getinfo"}"#;
    assert_eq!(world.post(&format!("[{member},{member}]")).await.status, 200);
    assert_eq!(world.post(&format!("[{member},{member},{member}]")).await.failure(), (400, -32600, json!(0)));
}

#[tokio::test]
async fn a_head_above_the_limit_is_431() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    wire.send(&format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000))).await;
    assert_eq!(wire.response().await.status, 431);
}

#[tokio::test]
async fn when_all_places_and_the_queue_are_taken_503_is_answered_until_one_is_free() {
    let world = World::with(|config| (config.workers, config.queue) = (1, 0)).await;
    let mut running = world.connect().await;
    running.send(&post(BASIC, r#"{"method":"wait","id":1}"#)).await;
    world.gate.reached(&world.gate.entered, 1).await;
    for _ in 0..3 {
        let refused = world.post(r#"{"method":"getinfo","id":2}"#).await;
        assert_eq!(refused.both(), (503, "Work queue depth exceeded"));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    world.gate.open.notify_one();
    assert_eq!(running.response().await.status, 200);
    assert_eq!(world.post(r#"{"method":"getinfo","id":3}"#).await.status, 200);
}

#[tokio::test]
async fn a_request_in_the_queue_is_answered_when_a_place_is_free() {
    let world = World::with(|config| (config.workers, config.queue) = (1, 1)).await;
    let mut running = world.connect().await;
    running.send(&post(BASIC, r#"{"method":"wait","id":1}"#)).await;
    world.gate.reached(&world.gate.entered, 1).await;
    let mut queued = world.connect().await;
    queued.send(&post(BASIC, r#"{"method":"getinfo","id":2}"#)).await;
    world.gate.open.notify_one();
    assert_eq!(running.response().await.status, 200);
    assert_eq!(queued.response().await.status, 200);
}

#[tokio::test]
async fn calls_that_take_long_by_nature_hold_no_place() {
    let world = World::with(|config| config.workers = 1).await;
    let mut waiting = Vec::new();
    for number in 1..=3 {
        let mut wire = world.connect().await;
        wire.send(&post(BASIC, r#"{"method":"subscribe","params":["s"],"id":1}"#)).await;
        world.gate.reached(&world.gate.entered, number).await;
        waiting.push(wire);
    }
    assert_eq!(world.post(r#"{"method":"getinfo","id":1}"#).await.status, 200);
    world.gate.open.notify_waiters();
    for mut wire in waiting {
        assert_eq!(wire.response().await.status, 200);
    }
}

#[tokio::test]
async fn clients_that_send_slowly_hold_no_place() {
    let world = World::with(|config| (config.workers, config.queue) = (1, 0)).await;
    let mut slow = Vec::new();
    for start in ["POST", "POST / HTTP/1.1\r\nContent-", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\n\r\n{"] {
        let mut wire = world.connect().await;
        wire.send(&start.replace("Host: x\r\n", &format!("Host: x\r\n{BASIC}"))).await;
        slow.push(wire);
    }
    assert_eq!(world.post(r#"{"method":"getinfo","id":1}"#).await.status, 200);
    let mut last = slow.pop().unwrap();
    last.send("\"method\":\"getinfo\",\"id\":1}").await;
    assert_eq!(last.response().await.status, 200);
}

#[tokio::test]
async fn idle_connections_and_stuck_requests_are_ended() {
    let world = World::with(|config| config.timeout = Duration::from_millis(100)).await;
    let mut idle = world.connect().await;
    assert!(idle.ends().await || idle.response().await.status == 408);
    let mut stuck = world.connect().await;
    stuck.send(&format!("POST / HTTP/1.1\r\nHost: x\r\n{BASIC}Content-Length: 10\r\n\r\n{{")).await;
    assert_eq!(stuck.response().await.status, 408);
    assert!(stuck.ends().await);
}

#[tokio::test]
async fn a_reply_that_nobody_reads_is_given_up() {
    let world = World::with(|config| config.timeout = Duration::from_millis(100)).await;
    let mut wire = world.connect().await;
    wire.send(&post(BASIC, r#"{"method":"long","params":[100000000],"id":1}"#)).await;
    // Reading nothing until the front has closed its side: further requests cannot be written then.
    while wire.stream.try_write(b"POST").is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(wire.try_response().await.is_none(), "the reply came whole");
}

#[tokio::test]
async fn large_replies_that_are_not_read_leave_room_for_small_ones_and_make_it_when_their_callers_go() {
    let patience = Duration::from_millis(200);
    let world = World::with(|config| (config.reply_memory, config.reply_patience) = (100_000_000, patience)).await;
    let large = r#"{"method":"long","params":[60000000],"id":1}"#;
    let mut deaf = world.connect().await;
    deaf.send(&post(BASIC, large)).await;
    deaf.stream.readable().await.unwrap();
    let refused = world.post(large).await;
    assert_eq!((refused.status, refused.header("retry-after")), (500, None), "it is not to be tried again");
    assert!(refused.body.contains("was carried out"), "{}", refused.body);
    assert_eq!(world.post(r#"{"method":"getinfo","id":2}"#).await.status, 200);
    drop(deaf);
    while world.post(large).await.status != 200 {}
}

#[tokio::test]
async fn a_call_goes_on_when_its_client_hangs_up() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    wire.send(&post(BASIC, r#"{"method":"wait","id":1}"#)).await;
    world.gate.reached(&world.gate.entered, 1).await;
    drop(wire);
    assert_eq!(world.post(r#"{"method":"getinfo","id":1}"#).await.status, 200);
    world.gate.open.notify_one();
    world.gate.reached(&world.gate.passed, 1).await;
}

#[tokio::test]
async fn a_call_that_panics_is_an_internal_error_and_takes_nothing_along() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    for _ in 0..2 {
        wire.send(&post(BASIC, r#"{"method":"boom","id":1}"#)).await;
        assert_eq!(wire.response().await.failure(), (500, -32603, json!(0)));
    }
    wire.send(&post(BASIC, r#"{"method":"getinfo","id":1}"#)).await;
    assert_eq!(wire.response().await.status, 200);
}

#[tokio::test]
async fn shutdown_lets_running_calls_finish_and_takes_no_new_ones() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    wire.send(&post(BASIC, r#"{"method":"wait","id":1}"#)).await;
    world.gate.reached(&world.gate.entered, 1).await;
    world.shutdown.send(true).unwrap();
    while TcpStream::connect(world.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    world.gate.open.notify_one();
    assert_eq!(wire.response().await.status, 200);
    assert!(wire.ends().await);
    world.bound.task.await.unwrap();
}

//! Several users: each is held to its list over HTTP, in batches and over a WebSocket; wrong passwords cost time and
//! nobody else's.

use super::session::Socket;
use super::world::{BASIC, Response, World, post, users};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rota_params::credential::Credential;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A front with the full user, and with `eve` who may call these methods.
async fn world(methods: &str, node: &str) -> World {
    let eve = Credential::make("eve", b"apple", &mut rand::rng()).unwrap().to_string();
    let list = format!("eve:{methods}");
    World::with(|config| config.users = users(node, &[&eve], &[&list])).await
}

fn header(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(pair))
}

async fn ask(world: &World, pair: &str, body: &str) -> Response {
    let mut wire = world.connect().await;
    wire.send(&post(&header(pair), body)).await;
    wire.response().await
}

#[tokio::test]
async fn a_user_may_call_what_its_list_holds_and_is_told_where_the_rest_is_missing() {
    let world = world("getinfo", "").await;
    let call = |method: &str| format!(r#"{{"method":"{method}","id":1}}"#);
    for method in ["getinfo", "help"] {
        assert_eq!(ask(&world, "eve:apple", &call(method)).await.status, 200, "{method}");
    }
    let refused = ask(&world, "eve:apple", &call("stop")).await;
    assert_eq!(refused.failure(), (500, -701, json!(1)));
    assert!(refused.body.contains("Method stop is not in rpcwhitelist of user eve"), "{}", refused.body);
    assert_eq!(ask(&world, "eve:apple", &call("nosuch")).await.failure(), (404, -32601, json!(1)));
    assert_eq!(ask(&world, "rota:secret", &call("stop")).await.status, 200);
    assert_eq!(ask(&world, "eve:secret", &call("getinfo")).await.status, 401);
}

#[tokio::test]
async fn a_batch_is_held_to_the_list_member_by_member() {
    let world = world("getinfo", "").await;
    let batch = r#"[{"method":"getinfo","id":1},{"method":"stop","id":2},{"method":"getinfo","id":3}]"#;
    let replies: Value = serde_json::from_str(&ask(&world, "eve:apple", batch).await.body).unwrap();
    assert_eq!((&replies[0]["result"], &replies[2]["result"]), (&json!("getinfo"), &json!("getinfo")));
    assert_eq!((&replies[1]["error"]["code"], &replies[1]["id"]), (&json!(-701), &json!(2)));
}

#[tokio::test]
async fn the_list_of_the_node_and_the_list_of_the_user_hold_together() {
    let world = world("getinfo,stop", "getinfo,help").await;
    assert_eq!(ask(&world, "eve:apple", r#"{"method":"getinfo"}"#).await.status, 200);
    for pair in ["eve:apple", "rota:secret"] {
        let refused = ask(&world, pair, r#"{"method":"stop"}"#).await;
        assert!(refused.body.contains("rpcallowmethod of this node"), "{}", refused.body);
    }
}

#[tokio::test]
async fn a_websocket_is_held_to_the_list_of_the_user_who_opened_it() {
    let world = world("getinfo", "").await;
    let mut socket = Socket::open_as(&world, "eve:apple").await;
    assert_eq!(socket.ask(r#"{"method":"getinfo","id":1}"#).await["result"], "getinfo");
    for body in [r#"{"method":"stop","id":1}"#, r#"{"method":"count","params":[1],"id":1}"#] {
        let refused = socket.ask(body).await;
        assert_eq!(refused["error"]["code"], -701, "{refused}");
        let refused = socket.ask(format!("[{body}]")).await;
        assert_eq!(refused[0]["error"]["code"], -701, "{refused}");
    }
    let mut full = Socket::open_as(&world, "rota:secret").await;
    assert_eq!(full.ask(r#"{"method":"count","params":[0],"id":1}"#).await["result"], 1);
}

#[tokio::test]
async fn many_wrong_passwords_at_once_wait_and_right_ones_are_answered_meanwhile() {
    let world = World::with(|config| (config.workers, config.queue) = (1, 0)).await;
    let mut guesses = Vec::new();
    let began = Instant::now();
    for number in 0..100 {
        let mut wire = world.connect().await;
        wire.send(&post(&header(&format!("rota:guess{number}")), "{}")).await;
        guesses.push(wire);
    }
    let mut right = world.connect().await;
    let mut asked = began;
    for number in 0..21 {
        right.send(&post(BASIC, r#"{"method":"getinfo","id":1}"#)).await;
        assert_eq!(right.response().await.status, 200);
        if number == 0 {
            // By now the hundred requests were read, which is work and no waiting.
            asked = Instant::now();
        }
    }
    let answered = asked.elapsed();
    for mut wire in guesses {
        assert_eq!(wire.response().await.both(), (401, ""));
    }
    // Four turns of 32 guesses, each a quarter of a second.
    assert!(began.elapsed() >= Duration::from_millis(4 * 250), "{:?}", began.elapsed());
    assert!(answered < Duration::from_millis(250), "right callers waited for guesses: {answered:?}");
}

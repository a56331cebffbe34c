//! Envelopes, statuses and headers as old clients insist on them.

use super::world::{BASIC, World, post, users};
use crate::rpc::http::{FrontConfig, FrontError, Phase, serve};
use serde_json::{Value, json};
use tokio::sync::watch;

#[tokio::test]
async fn a_result_comes_in_the_old_envelope_with_exact_headers() {
    let response = World::new().await.post(r#"{"method":"echo","params":[1,"é",{"b":1,"a":2}],"id":"x"}"#).await;
    assert_eq!(response.both(), (200, "{\"result\":[1,\"é\",{\"b\":1,\"a\":2}],\"error\":null,\"id\":\"x\"}\n"));
    assert!(response.head.contains("\r\nContent-Type: application/json\r\n"), "{}", response.head);
    assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
    assert!(response.header("server").unwrap().starts_with("rota-json-rpc/"));
}

#[tokio::test]
async fn every_version_and_every_id_are_taken() {
    let world = World::new().await;
    for (members, id) in [
        (r#""id":7"#, "7"),
        (r#""id":"a-b","jsonrpc":"2.0""#, "\"a-b\""),
        (r#""id":null,"jsonrpc":"1.0""#, "null"),
        (r#""version":"1.1""#, "null"),
        (r#""id":[1],"chain_name":"chain1""#, "[1]"),
        (r#""params":null,"id":0"#, "0"),
    ] {
        let response = world.post(&format!(r#"{{"method":"echo",{members}}}"#)).await;
        assert_eq!(response.both(), (200, format!("{{\"result\":null,\"error\":null,\"id\":{id}}}\n").as_str()));
    }
}

#[tokio::test]
async fn content_type_accept_host_and_user_agent_do_not_matter() {
    let world = World::new().await;
    for headers in [
        "Content-Type: text/plain; charset=UTF-8\r\nAccept: text/html\r\n",
        "Content-Type: application/json-rpc\r\nUser-Agent: a\r\nUser-Agent: b\r\n",
        "Host: elsewhere\r\nConnection: keep-alive\r\n",
    ] {
        let mut wire = world.connect().await;
        wire.send(&post(&format!("{headers}{BASIC}"), r#"{"method":"getinfo","id":1}"#)).await;
        assert_eq!(wire.response().await.status, 200, "{headers}");
    }
}

#[tokio::test]
async fn errors_have_their_status_and_the_envelope_as_body() {
    let world = World::new().await;
    let response = world.post(r#"{"method":"unknownstream","id":5}"#).await;
    assert_eq!(
        response.both(),
        (
            500,
            concat!(
                r#"{"result":null,"error":{"code":-708,"message":"Stream with this name not found: \"é\"","#,
                r#""data":{"rule":"entity-not-found"}},"id":5}"#,
                "\n"
            )
        )
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    let response = world.post(r#"{"method":"nosuch","id":5}"#).await;
    assert_eq!(response.failure(), (404, -32601, json!(5)));
    assert!(response.body.contains("Method not found"));
}

#[tokio::test]
async fn a_wrong_envelope_is_400_with_id_0() {
    let world = World::new().await;
    for body in [
        r#"{"id":5}"#,
        r#"{"method":null,"id":5}"#,
        r#"{"method":5,"id":5}"#,
        r#"{"method":"echo","params":{"a":1},"id":5}"#,
        r#"{"method":"echo","params":"x","id":5}"#,
        r#"{"method":"echo","chain_name":"other","id":5}"#,
        r#"{"method":"echo","chain_name":5,"id":5}"#,
    ] {
        assert_eq!(world.post(body).await.failure(), (400, -32600, json!(0)), "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_500_with_id_0() {
    let world = World::new().await;
    for body in ["", " ", "x", "5", "null", "{", r#"{"method":"echo""#, r#"{"method":"echo"}x"#, "[", "{'a':1}"] {
        assert_eq!(world.post(body).await.failure(), (500, -32700, json!(0)), "{body}");
    }
}

#[tokio::test]
async fn nesting_that_would_exhaust_a_stack_is_refused_and_the_connection_lives() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    for deep in ["[".repeat(5_000_000), format!(r#"{{"method":"echo","params":{}}}"#, "[".repeat(109))] {
        wire.send(&post(BASIC, &deep)).await;
        assert_eq!(wire.response().await.failure(), (500, -32700, json!(0)));
    }
    let allowed = format!(r#"{{"method":"echo","params":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    wire.send(&post(BASIC, &allowed)).await;
    assert_eq!(wire.response().await.status, 200);
}

#[tokio::test]
async fn a_first_request_without_credentials_leaves_the_connection_usable() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let body = r#"{"method":"getinfo","id":1}"#;
    wire.send(&post("", body)).await;
    let response = wire.response().await;
    assert_eq!(response.both(), (401, ""));
    assert_eq!(response.header("www-authenticate"), Some("Basic realm=\"jsonrpc\""));
    wire.send(&post(BASIC, body)).await;
    assert_eq!(wire.response().await.status, 200);
}

#[tokio::test]
async fn wrong_credentials_are_401_whatever_their_form() {
    let world = World::new().await;
    // rota:wrong, rota alone, not base64, another scheme, nothing.
    for value in ["Basic cm90YTp3cm9uZw==", "Basic cm90YQ==", "Basic !!!", "Bearer cm90YTpzZWNyZXQ=", "Basic", ""] {
        let mut wire = world.connect().await;
        wire.send(&post(&format!("Authorization: {value}\r\n"), "{}")).await;
        let response = wire.response().await;
        assert_eq!(response.both(), (401, ""), "{value}");
        assert!(response.header("www-authenticate").is_some());
    }
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_404_with_empty_bodies() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    for (line, expected) in
        [("GET /", 405), ("PUT /", 405), ("DELETE /", 405), ("POST /rest", 404), ("GET /favicon.ico", 404)]
    {
        wire.send(&format!("{line} HTTP/1.1\r\nHost: x\r\n{BASIC}\r\n")).await;
        assert_eq!(wire.response().await.both(), (expected, ""), "{line}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_order_with_200_whatever_its_members_do() {
    let world = World::new().await;
    let body = r#"[{"method":"echo","params":[1],"id":1}, 5, {"method":"nosuch","id":"n"},
        {"method":"echo","params":{}, "id":3}, {"method":"unknownstream"}, {"method":"echo","params":[2]}]"#;
    let response = world.post(body).await;
    assert_eq!(response.status, 200);
    assert!(response.body.ends_with("]\n"));
    let replies: Vec<Value> = serde_json::from_str(&response.body).unwrap();
    let seen: Vec<(Value, Value)> =
        replies.iter().map(|reply| (reply["error"]["code"].clone(), reply["id"].clone())).collect();
    assert_eq!(
        seen,
        [
            (json!(null), json!(1)),
            (json!(-32600), json!(null)),
            (json!(-32601), json!("n")),
            (json!(-32600), json!(3)),
            (json!(-708), json!(null)),
            (json!(null), json!(null)),
        ]
    );
    assert_eq!((&replies[0]["result"], &replies[5]["result"]), (&json!([1]), &json!([2])));
}

#[tokio::test]
async fn an_empty_batch_gives_an_empty_batch() {
    assert_eq!(World::new().await.post("[]").await.both(), (200, "[]\n"));
}

#[tokio::test]
async fn many_requests_go_over_one_connection_also_without_waiting() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let mut all = String::new();
    for id in 0..50 {
        all += &post(BASIC, &format!(r#"{{"method":"echo","params":[{id}],"id":{id}}}"#));
    }
    wire.send(&all).await;
    for id in 0..50 {
        let expected = format!("{{\"result\":[{id}],\"error\":null,\"id\":{id}}}\n");
        assert_eq!(wire.response().await.both(), (200, expected.as_str()));
    }
}

#[tokio::test]
async fn a_client_that_reads_to_the_end_gets_one() {
    let world = World::new().await;
    for start in ["POST / HTTP/1.0\r\n", "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"] {
        let mut wire = world.connect().await;
        wire.send(&format!("{start}{BASIC}Content-Length: 27\r\n\r\n{{\"method\":\"getinfo\",\"id\":1}}")).await;
        assert_eq!(wire.response().await.status, 200);
        assert!(wire.ends().await, "{start}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_read_and_leave_to_send_is_given() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    wire.send(&format!("POST / HTTP/1.1\r\nHost: x\r\n{BASIC}Transfer-Encoding: chunked\r\n\r\n")).await;
    wire.send("d\r\n{\"method\":\"ge\r\ne\r\ntinfo\",\"id\":1}\r\n0\r\n\r\n").await;
    assert_eq!(wire.response().await.status, 200);
    wire.send(&format!("POST / HTTP/1.1\r\nHost: x\r\n{BASIC}Expect: 100-continue\r\nContent-Length: 27\r\n\r\n"))
        .await;
    assert_eq!(wire.response().await.status, 100);
    wire.send("{\"method\":\"getinfo\",\"id\":1}").await;
    assert_eq!(wire.response().await.status, 200);
}

#[tokio::test]
async fn while_starting_only_stop_and_getinitstatus_answer() {
    let world = World::new().await;
    world.phase.send(Phase::Starting("Loading block index...".into())).unwrap();
    let response = world.post(r#"{"method":"getinfo","id":5}"#).await;
    assert_eq!(response.failure(), (500, -28, json!(0)));
    assert!(response.body.contains("Loading block index..."));
    assert_eq!(world.post(r#"{"method":"nosuch","id":5}"#).await.failure().1, -28);
    for name in ["stop", "getinitstatus"] {
        assert_eq!(world.post(&format!(r#"{{"method":"{name}","id":5}}"#)).await.status, 200);
    }
    let batch = world.post(r#"[{"method":"getinfo","id":5},{"method":"getinitstatus","id":6}]"#).await;
    let replies: Value = serde_json::from_str(&batch.body).unwrap();
    assert_eq!((batch.status, &replies[0]["error"]["code"], &replies[0]["id"]), (200, &json!(-28), &json!(5)));
    assert_eq!(replies[1]["result"], "getinitstatus");
    world.phase.send(Phase::Ready).unwrap();
    assert_eq!(world.post(r#"{"method":"getinfo","id":5}"#).await.status, 200);
}

#[tokio::test]
async fn a_node_that_stops_answers_503() {
    let world = World::new().await;
    world.phase.send(Phase::Stopping).unwrap();
    assert_eq!(world.post(r#"{"method":"getinfo"}"#).await.both(), (503, "The node is shutting down"));
}

#[tokio::test]
async fn methods_outside_the_list_are_not_allowed_but_help_is() {
    let world = World::with(|config| config.users = users("getinfo", &[], &[])).await;
    assert_eq!(world.post(r#"{"method":"echo","id":1}"#).await.failure(), (500, -701, json!(1)));
    assert_eq!(world.post(r#"{"method":"nosuch","id":1}"#).await.failure(), (404, -32601, json!(1)));
    assert_eq!(world.post(r#"{"method":"getinfo"}"#).await.status, 200);
    assert_eq!(world.post(r#"{"method":"help"}"#).await.status, 200);
}

#[tokio::test]
async fn an_occupied_port_is_named_together_with_the_option_that_changes_it() {
    let world = World::new().await;
    let config = FrontConfig::new("chain1", users("", &[], &[]), vec![world.address]);
    let (_, methods) = watch::channel(jsonrpsee::Methods::new());
    let (_phase, phase) = watch::channel(Phase::Ready);
    let (_shutdown, shutdown) = watch::channel(false);
    let error = serve(config, methods, phase, shutdown).await.unwrap_err();
    assert!(matches!(error, FrontError::Occupied(address) if address == world.address));
    let text = error.to_string();
    assert!(text.contains(&world.address.port().to_string()) && text.contains("-rpcport"), "{text}");
}

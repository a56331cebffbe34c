//! WebSockets: who gets one, what is said over it, what it bears, and how it ends.

use super::world::{BASIC, Response, Wire, World, post, users};
use crate::rpc::http::Phase;
use crate::rpc::http::message::SUBSCRIPTIONS;
use crate::rpc::http::session::{CALLS, MESSAGE_LIMIT};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

/// One WebSocket with good credentials.
pub(super) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    pub(super) async fn open(world: &World) -> Socket {
        Self::open_as(world, "rota:secret").await
    }

    /// Opened with these credentials.
    pub(super) async fn open_as(world: &World, pair: &str) -> Socket {
        let mut request = format!("ws://{}/", world.address).into_client_request().unwrap();
        let credentials = format!("Basic {}", STANDARD.encode(pair));
        request.headers_mut().insert("Authorization", credentials.parse().unwrap());
        let stream = TcpStream::connect(world.address).await.unwrap();
        let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
        let (socket, response) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.unwrap();
        assert_eq!(response.status(), 101);
        Socket(socket)
    }

    async fn send(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    /// The next message that is JSON.
    async fn next(&mut self) -> Value {
        loop {
            match self.0.next().await.expect("a message").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn ask(&mut self, text: impl Into<String>) -> Value {
        self.send(text).await;
        self.next().await
    }

    /// Reads up to the end; gives the code of the close frame, if there is one.
    async fn end(&mut self) -> Option<CloseCode> {
        while let Some(Ok(message)) = self.0.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code);
            }
        }
        None
    }
}

pub(super) fn handshake(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n{headers}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

async fn asked(world: &World, request: &str) -> (Wire, Response) {
    let mut wire = world.connect().await;
    wire.send(request).await;
    let response = wire.response().await;
    (wire, response)
}

#[tokio::test]
async fn a_handshake_is_answered_after_the_same_checks_as_a_call() {
    let world = World::new().await;
    for headers in ["", "Authorization: Basic bm9ib2R5\r\n"] {
        let began = Instant::now();
        let (mut wire, response) = asked(&world, &handshake("/", headers)).await;
        assert_eq!(response.both(), (401, ""));
        assert_eq!(headers.is_empty(), began.elapsed() < Duration::from_millis(250), "{headers:?}");
        wire.send(&post(BASIC, r#"{"method":"getinfo","id":1}"#)).await;
        assert_eq!(wire.response().await.status, 200, "the connection stays usable");
    }
    assert_eq!(asked(&world, &handshake("/other", BASIC)).await.1.status, 404);
    let page = format!("{BASIC}Origin: http://example.com\r\n");
    assert_eq!(asked(&world, &handshake("/", &page)).await.1.status, 403);
    let own = format!("{BASIC}Origin: http://127.0.0.1\r\n");
    let switched = asked_head(&world, &handshake("/", &own)).await;
    assert!(switched.starts_with("HTTP/1.1 101"), "{switched}");
    assert!(switched.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{switched}");
    let old = handshake("/", BASIC).replace("Version: 13", "Version: 8");
    assert_eq!(asked(&world, &old).await.1.status, 400);
    let (_, response) = asked(&world, &format!("GET / HTTP/1.1\r\nHost: x\r\n{BASIC}\r\n")).await;
    assert_eq!((response.status, response.header("allow")), (405, Some("POST")));
}

/// The head of the answer to a request that may switch protocols.
async fn asked_head(world: &World, request: &str) -> String {
    use tokio::io::AsyncReadExt;
    let mut wire = world.connect().await;
    wire.send(request).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(wire.stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn calls_are_answered_in_the_envelope_of_json_rpc_2() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    let reply = socket.ask(r#"{"jsonrpc":"2.0","method":"echo","params":[1,{"a":2}],"id":"x"}"#).await;
    assert_eq!(reply.to_string(), r#"{"jsonrpc":"2.0","id":"x","result":[1,{"a":2}]}"#);
    let reply = socket.ask(r#"{"method":"unknownstream","id":2}"#).await;
    assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(-708), &json!(2)));
    assert!(reply.get("result").is_none());
    socket.0.send(Message::binary(&br#"{"method":"getinfo","id":3}"#[..])).await.unwrap();
    assert_eq!(socket.next().await["result"], "getinfo");
    for (wrong, code) in [("{", -32700), ("5", -32700), ("[]", -32600), (r#"{"id":1}"#, -32600)] {
        assert_eq!(socket.ask(wrong).await["error"]["code"], code, "{wrong}");
    }
    assert_eq!(socket.ask(r#"{"method":"nosuchmethod","id":4}"#).await["error"]["code"], -32601);
    let other = r#"{"method":"getinfo","chain_name":"chain2","id":5}"#;
    assert_eq!(socket.ask(other).await["error"]["code"], -32600);
    let broken = socket.ask(r#"{"method":"boom","id":6}"#).await;
    assert_eq!((&broken["error"]["code"], &broken["id"]), (&json!(-32603), &json!(6)));
}

#[tokio::test]
async fn a_request_without_id_is_carried_out_and_not_answered_alone_or_in_a_batch() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    socket.send(r#"{"method":"wait"}"#).await;
    world.gate.reached(&world.gate.entered, 1).await;
    world.gate.open.notify_waiters();
    world.gate.reached(&world.gate.passed, 1).await;
    socket.send(r#"[{"method":"getinfo"},{"method":"stop"}]"#).await;
    let replies = socket.ask(r#"[{"method":"getinfo","id":1},{"method":"getinfo"},7,{"method":"stop","id":2}]"#).await;
    let replies = replies.as_array().unwrap();
    assert_eq!(replies.len(), 3, "{replies:?}");
    assert_eq!(replies[0], json!({"jsonrpc": "2.0", "id": 1, "result": "getinfo"}));
    assert_eq!(replies[1]["error"]["code"], -32600);
    assert_eq!(replies[2]["result"], "stop");
}

#[tokio::test]
async fn calls_meet_the_same_gates_as_over_http() {
    let world = World::with(|config| {
        (config.workers, config.queue, config.batch_limit, config.reply_limit) = (1, 0, 2, 1000);
        config.users = users("getinfo,wait,long", &[], &[]);
    })
    .await;
    let mut socket = Socket::open(&world).await;
    assert_eq!(socket.ask(r#"{"method":"stop","id":1}"#).await["error"]["code"], -701);
    assert_eq!(socket.ask(r#"{"method":"count","params":[1],"id":1}"#).await["error"]["code"], -701);
    let member = r#"{"method":"getinfo","id":1}"#;
    assert_eq!(socket.ask(format!("[{member},{member},{member}]")).await["error"]["code"], -32600);
    assert_eq!(socket.ask(r#"{"method":"long","params":[2000],"id":1}"#).await["error"]["code"], -8);
    socket.send(r#"{"method":"wait","id":2}"#).await;
    world.gate.reached(&world.gate.entered, 1).await;
    let refused = socket.ask(r#"{"method":"getinfo","id":3}"#).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(3), &json!(-1)));
    assert_eq!(refused["error"]["message"], "Work queue depth exceeded");
    assert_eq!(world.post(r#"{"method":"getinfo","id":2}"#).await.status, 503);
    world.gate.open.notify_waiters();
    assert_eq!(socket.next().await["id"], 2);
    world.phase.send_replace(Phase::Starting("Loading".to_owned()));
    let waits = socket.ask(r#"{"method":"getinfo","id":4}"#).await;
    assert_eq!((&waits["error"]["code"], &waits["error"]["message"]), (&json!(-28), &json!("Loading")));
}

#[tokio::test]
async fn a_subscription_is_answered_first_and_told_in_order_until_it_is_ended() {
    let world = World::new().await;
    let response = world.post(r#"{"method":"count","params":[3],"id":1}"#).await;
    assert_eq!(response.failure(), (500, -702, json!(1)));
    assert!(response.body.contains("WebSocket"), "{}", response.body);
    assert_eq!(world.post(r#"{"method":"uncount","params":[1],"id":1}"#).await.failure().1, -702);

    let mut socket = Socket::open(&world).await;
    let begun = socket.ask(r#"{"method":"count","params":[3],"id":"s"}"#).await;
    assert_eq!(begun, json!({"jsonrpc": "2.0", "id": "s", "result": 1}));
    for number in 0..3 {
        let told = json!({"jsonrpc": "2.0", "method": "count", "params": {"subscription": 1, "result": number}});
        assert_eq!(socket.next().await, told);
    }
    assert_eq!(socket.ask(r#"{"method":"count","params":[0],"id":2}"#).await["result"], 2);
    assert_eq!(socket.ask(r#"{"method":"uncount","params":[1],"id":3}"#).await["result"], true);
    world.gate.reached(&world.gate.passed, 1).await;
    assert_eq!(socket.ask(r#"{"method":"uncount","params":[1],"id":4}"#).await["result"], false, "it has ended");
    let batch = socket.ask(r#"[{"method":"count","params":[0],"id":5}]"#).await;
    assert_eq!(batch[0]["error"]["code"], -32600, "{batch}");
    assert_eq!(socket.ask(r#"{"method":"count","params":[0],"id":1.5}"#).await["error"]["code"], -32600);
    // Another connection cannot end it; the end of its own does.
    let mut other = Socket::open(&world).await;
    assert_eq!(other.ask(r#"{"method":"uncount","params":[2],"id":6}"#).await["result"], false);
    drop(socket);
    world.gate.reached(&world.gate.passed, 2).await;
}

#[tokio::test]
async fn a_connection_has_so_many_subscriptions_and_an_ended_one_makes_room() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    let subscribe = r#"{"method":"count","params":[0],"id":1}"#;
    for _ in 0..SUBSCRIPTIONS {
        assert!(socket.ask(subscribe).await["result"].is_u64());
    }
    let refused = socket.ask(subscribe).await;
    assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(-701), &json!(1)));
    assert_eq!(socket.ask(r#"{"method":"uncount","params":[7],"id":1}"#).await["result"], true);
    world.gate.reached(&world.gate.passed, 1).await;
    // Its place is free once its task is through.
    while socket.ask(subscribe).await["result"].is_null() {}
    assert!(Socket::open(&world).await.ask(subscribe).await["result"].is_u64(), "other connections have their own");
}

#[tokio::test]
async fn a_client_that_reads_slowly_comes_behind_and_misses_nothing() {
    const NUMBERS: usize = 300_000;
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    let subscribe = format!(r#"{{"method":"count","params":[{NUMBERS}],"id":1}}"#);
    assert_eq!(socket.ask(subscribe).await["result"], 1);
    let sent = || world.gate.entered.load(Ordering::SeqCst);
    // Until what waits and the system's buffers are full, and nothing more is sent.
    let mut before = usize::MAX;
    while before != sent() {
        before = sent();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(before < NUMBERS, "nothing held it back");
    for number in 0..NUMBERS {
        assert_eq!(socket.next().await["params"]["result"], number);
    }
}

#[tokio::test]
async fn a_connection_has_so_many_calls_at_once_and_takes_no_places_from_others() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    for id in 0..CALLS * 2 {
        socket.send(format!(r#"{{"method":"wait","id":{id}}}"#)).await;
    }
    world.gate.reached(&world.gate.entered, CALLS).await;
    assert_eq!(world.post(r#"{"method":"getinfo","id":1}"#).await.status, 200);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.gate.entered.load(Ordering::SeqCst), CALLS);
    let mut answered = 0;
    while answered < CALLS * 2 {
        world.gate.open.notify_waiters();
        if let Ok(reply) = tokio::time::timeout(Duration::from_millis(20), socket.next()).await {
            assert_eq!(reply["result"], "done");
            answered += 1;
        }
    }
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_with_a_sentence_and_ends_the_connection() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    let around = r#"{"method":"echo","params":[""],"id":1}"#.len();
    let fits = format!(r#"{{"method":"echo","params":["{}"],"id":1}}"#, "y".repeat(MESSAGE_LIMIT - around));
    assert_eq!(fits.len(), MESSAGE_LIMIT);
    assert_eq!(socket.ask(fits.clone()).await["result"][0].as_str().unwrap().len(), MESSAGE_LIMIT - around);
    socket.send(fits + " ").await;
    let refused = socket.next().await;
    assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(-32600), &json!(null)));
    assert!(refused["error"]["message"].as_str().unwrap().contains(&MESSAGE_LIMIT.to_string()), "{refused}");
    assert_eq!(socket.end().await, Some(CloseCode::Size));
}

#[tokio::test]
async fn a_reply_without_room_is_answered_as_a_full_queue_is() {
    let patience = Duration::from_millis(200);
    let world = World::with(|config| (config.reply_memory, config.reply_patience) = (100_000_000, patience)).await;
    let large = |id: u32| format!(r#"{{"method":"long","params":[60000000],"id":{id}}}"#);
    let length = |reply: &Value| reply["result"].as_str().map(str::len);
    let (mut deaf, mut other) = (Socket::open(&world).await, Socket::open(&world).await);
    deaf.send(large(1)).await;
    deaf.0.get_ref().readable().await.unwrap();
    let refused = other.ask(large(2)).await;
    assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(-1), &json!(2)), "{refused}");
    let refused = other.ask(format!("[{},{}]", large(3), r#"{"method":"getinfo","id":4}"#)).await;
    let codes: Vec<_> = (0..2).map(|at| (refused[at]["error"]["code"].clone(), refused[at]["id"].clone())).collect();
    assert_eq!(codes, [(json!(-1), json!(3)), (json!(-1), json!(4))], "{refused}");
    assert_eq!(length(&deaf.next().await), Some(60_000_000));
    assert_eq!(length(&other.ask(large(3)).await), Some(60_000_000), "what was read makes room");
}

#[tokio::test]
async fn a_silent_connection_is_asked_for_a_sign_of_life_and_then_ended() {
    let world = World::with(|config| config.timeout = Duration::from_millis(100)).await;
    let mut alive = Socket::open(&world).await;
    let mut silent = world.connect().await;
    silent.send(&handshake("/", BASIC)).await;
    let lives = async {
        // Reading answers pings: long after the silent one is gone, this one is there.
        let _ = tokio::time::timeout(Duration::from_millis(900), alive.next()).await;
        assert_eq!(alive.ask(r#"{"method":"getinfo","id":1}"#).await["result"], "getinfo");
    };
    let ends = async {
        use tokio::io::AsyncReadExt;
        let mut bytes = Vec::new();
        silent.stream.read_to_end(&mut bytes).await.unwrap();
        assert!(bytes.windows(2).any(|window| window == [0x89, 0]), "no ping came");
    };
    tokio::join!(lives, ends);
}

#[tokio::test]
async fn a_call_goes_on_when_its_socket_is_gone() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    socket.send(r#"{"method":"wait","id":1}"#).await;
    world.gate.reached(&world.gate.entered, 1).await;
    drop(socket);
    assert_eq!(world.post(r#"{"method":"getinfo","id":1}"#).await.status, 200);
    world.gate.open.notify_waiters();
    world.gate.reached(&world.gate.passed, 1).await;
}

#[tokio::test]
async fn shutdown_answers_running_calls_ends_subscriptions_and_says_goodbye() {
    let world = World::new().await;
    let mut socket = Socket::open(&world).await;
    assert_eq!(socket.ask(r#"{"method":"count","params":[0],"id":1}"#).await["result"], 1);
    let mut idle = Socket::open(&world).await;
    socket.send(r#"{"method":"wait","id":2}"#).await;
    world.gate.reached(&world.gate.entered, 1).await;
    world.shutdown.send(true).unwrap();
    assert_eq!(idle.end().await, Some(CloseCode::Away));
    world.gate.open.notify_waiters();
    assert_eq!(socket.next().await["result"], "done");
    assert_eq!(socket.end().await, Some(CloseCode::Away));
    world.gate.reached(&world.gate.passed, 2).await;
    drop((socket, idle));
    let began = Instant::now();
    world.bound.task.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "the front waited for its grace to pass");
}

//! A WebSocket to a node's RPC port: calls, subscriptions, and what a program holds that carries out what it is told.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::node::Node;

/// Longest wait for a message: several blocks.
const MESSAGE_LIMIT: Duration = Duration::from_secs(60);

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    next_id: u64,
    early: Vec<Value>,
}

impl Socket {
    /// Connects with the node's credentials.
    pub async fn open(node: &Node) -> Self {
        Self::open_as(node, &node.authorization()).await
    }

    /// Connects with this Authorization header.
    pub async fn open_as(node: &Node, authorization: &str) -> Self {
        let mut request = format!("ws://127.0.0.1:{}/", node.rpc_port).into_client_request().expect("an address");
        let authorization = authorization.parse().expect("credentials fit a header");
        request.headers_mut().insert("Authorization", authorization);
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.rpc_port)).await.expect("the port answers");
        let opened = tokio_tungstenite::client_async(request, stream).await;
        let (stream, _) = opened.unwrap_or_else(|error| panic!("no WebSocket to {}: {error}", node.name));
        Self { stream, next_id: 1, early: Vec::new() }
    }

    /// The next message; a `close` member stands for the end, with its code.
    async fn message(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(MESSAGE_LIMIT, self.stream.next()).await;
            match message.unwrap_or_else(|_| panic!("no message came within {MESSAGE_LIMIT:?}")) {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("a message is JSON"),
                Some(Ok(Message::Close(frame))) => return json!({"close": frame.map(|frame| u16::from(frame.code))}),
                Some(Ok(_)) => {}
                Some(Err(error)) => return json!({"close": error.to_string()}),
                None => return json!({"close": null}),
            }
        }
    }

    /// Calls a method and gives the whole reply; notifications that come first are kept.
    pub async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": id});
        self.stream.send(Message::text(request.to_string())).await.expect("the node reads");
        loop {
            let message = self.message().await;
            if message["id"] == id {
                return message;
            }
            assert!(message.get("close").is_none(), "{method} ended the connection: {message}");
            self.early.push(message);
        }
    }

    /// Calls a method that has to succeed.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let reply = self.ask(method, params).await;
        reply.get("result").cloned().unwrap_or_else(|| panic!("{method} was refused: {reply}"))
    }

    /// What the next notification of a subscription has as its parameters, or the end.
    pub async fn told(&mut self, subscription: &Value) -> Value {
        let at = self.early.iter().position(|message| message["params"]["subscription"] == *subscription);
        if let Some(at) = at {
            return self.early.remove(at)["params"].clone();
        }
        loop {
            let message = self.message().await;
            if message.get("close").is_some() {
                return message;
            }
            if message["params"]["subscription"] == *subscription {
                return message["params"].clone();
            }
            self.early.push(message);
        }
    }

    /// The next event of a subscription.
    pub async fn event(&mut self, subscription: &Value) -> Value {
        let told = self.told(subscription).await;
        told.get("result").cloned().unwrap_or_else(|| panic!("no event but {told}"))
    }
}

/// What a program holds that carries out events in order: blocks, each with what was told of it.
#[derive(Default, Debug)]
pub struct Held {
    /// Height, hash, entries.
    pub blocks: Vec<(u64, String, Vec<Value>)>,
    /// Whether the last block is whole.
    pub whole: bool,
}

impl Held {
    /// Carries out an event, and gives its word. `member` is where the entries stand.
    pub fn carry_out(&mut self, event: &Value, member: &str) -> String {
        let (height, hash) = (event["height"].as_u64().expect("a height"), event["hash"].as_str().expect("a hash"));
        let word = event["event"].as_str().expect("a word").to_owned();
        match word.as_str() {
            "connected" => {
                let entries = event[member].as_array().cloned().unwrap_or_default();
                match self.blocks.last_mut() {
                    Some((_, last, held)) if last == hash => held.extend(entries),
                    last => {
                        assert!(
                            last.is_none_or(|(last, ..)| *last < height),
                            "{event} does not follow {:?}",
                            self.blocks
                        );
                        self.blocks.push((height, hash.to_owned(), entries));
                    }
                }
                self.whole = event["more"] != true;
            }
            "disconnected" => {
                self.blocks.retain(|(_, held, _)| held != hash);
                assert!(self.blocks.last().is_none_or(|(last, ..)| *last < height), "{event} is not the newest");
                self.whole = true;
            }
            other => panic!("unknown event {other}"),
        }
        word
    }

    /// Where to go on another time: the last whole block.
    pub fn checkpoint(&self) -> Value {
        assert!(self.whole, "the last block is not whole");
        self.blocks.last().map_or(json!(-1), |(height, hash, _)| json!({"height": height, "hash": hash}))
    }

    /// All entries in order.
    pub fn entries(&self) -> Vec<&Value> {
        self.blocks.iter().flat_map(|(_, _, entries)| entries).collect()
    }
}

//! The client against a scripted server on a raw socket.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Client, ClientError, request_body};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Reads one request with a Content-Length and returns head and body.
async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..count]);
    }
}

/// Serves connections one after the other; each gets the replies of its list, then is closed. Every request
/// is passed on with the number of its connection.
async fn server(script: Vec<Vec<String>>) -> (String, mpsc::UnboundedReceiver<(usize, String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for (number, replies) in script.into_iter().enumerate() {
            let (mut stream, _) = listener.accept().await.unwrap();
            for reply in replies {
                let Some((head, body)) = read_request(&mut stream).await else {
                    break;
                };
                let _ = sender.send((number, head, body));
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        }
    });
    (address, receiver)
}

fn reply(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn result(value: &str) -> String {
    reply("200 OK", &format!("{{\"result\":{value},\"error\":null,\"id\":1}}\n"))
}

#[tokio::test]
async fn calls_share_one_connection_and_carry_user_chain_and_parameters() {
    let (address, mut requests) = server(vec![vec![result("5"), result("null")]]).await;
    let client = Client::new(&address, "user", "pass").with_chain("chain1");
    assert_eq!(client.call("getblockcount", json!([])).await.unwrap(), json!(5));
    assert_eq!(client.call("ping", json!(["é"])).await.unwrap(), json!(null));
    let (first, head, body) = requests.recv().await.unwrap();
    assert_eq!(first, 0);
    assert!(head.starts_with("POST / HTTP/1.1"), "{head}");
    assert!(head.contains("Basic dXNlcjpwYXNz"), "{head}");
    assert_eq!(body, r#"{"method":"getblockcount","params":[],"id":1,"chain_name":"chain1"}"#);
    let (second, _, body) = requests.recv().await.unwrap();
    assert_eq!((second, body), (0, r#"{"method":"ping","params":["é"],"id":2,"chain_name":"chain1"}"#.to_owned()));
}

#[tokio::test]
async fn a_connection_closed_between_calls_is_made_anew() {
    let (address, mut requests) = server(vec![vec![result("1")], vec![result("2")]]).await;
    let client = Client::new(&address, "u", "p");
    assert_eq!(client.call("a", json!([])).await.unwrap(), json!(1));
    requests.recv().await.unwrap();
    // The server closes after its only reply; the client may or may not have noticed.
    while client.connection.lock().await.as_ref().is_some_and(|sender| !sender.is_closed()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.call("b", json!([])).await.unwrap(), json!(2));
    assert_eq!(requests.recv().await.unwrap().0, 1);
}

#[tokio::test]
async fn an_error_reply_keeps_code_message_and_data() {
    let body = r#"{"result":null,"error":{"code":-708,"message":"no","data":"help"},"id":1}"#;
    let (address, _requests) = server(vec![vec![reply("500 Internal Server Error", body)]]).await;
    let error = Client::new(&address, "u", "p").call("x", json!([])).await.unwrap_err();
    assert!(error.is(crate::Code::EntityNotFound));
    assert_eq!(error.to_string(), "error code -708: no");
    assert!(matches!(error, ClientError::Rpc { data: Some(data), .. } if data == json!("help")));
}

#[tokio::test]
async fn refusals_without_a_reply_are_told_apart() {
    let script = vec![
        reply("401 Unauthorized", ""),
        reply("403 Forbidden", ""),
        reply("503 Service Unavailable", "Work queue depth exceeded"),
        reply("200 OK", "<html>"),
    ];
    let (address, _requests) = server(vec![script]).await;
    let client = Client::new(&address, "u", "p");
    assert!(matches!(client.call("x", json!([])).await, Err(ClientError::Unauthorized)));
    assert!(matches!(client.call("x", json!([])).await, Err(ClientError::Forbidden)));
    let busy = client.call("x", json!([])).await.unwrap_err().to_string();
    assert_eq!(busy, "HTTP status 503: Work queue depth exceeded");
    assert!(matches!(client.call("x", json!([])).await, Err(ClientError::Protocol(_))));
}

#[tokio::test]
async fn where_nothing_listens_the_error_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::new(&address, "u", "p").call("x", json!([])).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }));
    assert!(error.to_string().contains(&address));
}

#[test]
fn a_request_body_has_the_recorded_form() {
    let body = request_body("publish", &json!(["s\"1"]), &json!("86325824-1795194576"), Some("chain1"));
    assert_eq!(body, r#"{"method":"publish","params":["s\"1"],"id":"86325824-1795194576","chain_name":"chain1"}"#);
}

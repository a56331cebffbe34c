//! The real program against a scripted node: what goes to stdout, what to stderr, and the exit status.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// Answers one request for each of the given replies (status, body) on one connection; gives the bodies received.
fn node(replies: Vec<(u16, &'static str)>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        for (status, body) in replies {
            let mut bytes = Vec::new();
            let request = loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head.lines().find_map(|line| {
                        line.to_lowercase()
                            .strip_prefix("content-length: ")
                            .map(|length| length.parse::<usize>().unwrap())
                    });
                    if body.len() >= length.unwrap_or(0) {
                        break body.to_owned();
                    }
                }
                let mut chunk = [0; 4096];
                let count = stream.read(&mut chunk).unwrap();
                assert!(count > 0, "the client hung up early");
                bytes.extend_from_slice(&chunk[..count]);
            };
            received.push(request);
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
        received
    });
    (port, serving)
}

fn data(port: u16) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let chain = data.path().join("chain1");
    std::fs::create_dir(&chain).unwrap();
    std::fs::write(chain.join("params.dat"), "").unwrap();
    std::fs::write(chain.join("node.conf"), format!("rpcuser=u\nrpcpassword=p\nrpcport={port}\n")).unwrap();
    data
}

fn run(data: &TempDir, words: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_node-cli"))
        .arg(format!("-datadir={}", data.path().display()))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn a_result_goes_to_stdout_and_the_request_to_stderr() {
    let (port, serving) = node(vec![(200, r#"{"result":"4e74ab","error":null,"id":1}"#)]);
    let data = data(port);
    let (out, err, status) = texts(&run(&data, &["chain1", "publish", "s1", "key1", r#"{"text":"héllo"}"#], ""));
    assert_eq!((out.as_str(), status), ("4e74ab\n", Some(0)));
    let start = r#"{"method":"publish","params":["s1","key1",{"text":"h\u00E9llo"}],"id":""#;
    assert!(err.starts_with(start), "{err}");
    assert!(err.ends_with("\",\"chain_name\":\"chain1\"}\n\n"), "{err}");
    assert_eq!(serving.join().unwrap(), [err.trim_end()]);
}

#[test]
fn an_error_goes_to_stderr_in_the_recorded_form_with_its_code_as_status() {
    let reply = r#"{"result":null,"error":{"code":-703,"message":"Not subscribed to this stream"},"id":1}"#;
    let (port, _serving) = node(vec![(500, reply)]);
    let (out, err, status) = texts(&run(&data(port), &["-requestout=null", "liststreamitems", "s1"], ""));
    assert_eq!(out, "");
    assert_eq!(err, "error code: -703\nerror message:\nNot subscribed to this stream\n");
    assert_eq!(status, Some(191));
}

#[test]
fn help_in_an_error_is_shown_below_it() {
    let reply = r#"{"result":null,"error":{"code":-1,"message":"getblock takes","data":"getblock block"},"id":1}"#;
    let (port, _serving) = node(vec![(500, reply)]);
    let (_, err, status) = texts(&run(&data(port), &["chain1", "-requestout=null", "getblock"], ""));
    assert_eq!(err, "error code: -1\nerror message:\ngetblock takes\n\ngetblock block\n");
    assert_eq!(status, Some(1));
}

#[test]
fn null_prints_nothing_and_a_list_is_laid_out() {
    let (port, _serving) = node(vec![(200, r#"{"result":null,"error":null,"id":1}"#)]);
    let (out, _, status) = texts(&run(&data(port), &["chain1", "subscribe", "s1"], ""));
    assert_eq!((out.as_str(), status), ("", Some(0)));
    let (port, _serving) = node(vec![(200, r#"{"result":[],"error":null,"id":1}"#)]);
    let (out, err, _) =
        texts(&run(&data(port), &["chain1", "-requestout=stdout", "liststreamkeyitems", "s1", "n2"], ""));
    assert!(out.ends_with("}\n\n[\n]\n"), "{out}");
    assert_eq!(err, "");
}

#[test]
fn a_node_that_does_not_run_is_named_with_the_way_to_start_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (out, err, status) = texts(&run(&data(port), &["chain1", "-requestout=null", "getinfo"], ""));
    assert_eq!((out.as_str(), status), ("", Some(1)));
    assert!(err.contains(&format!("127.0.0.1:{port}")) && err.contains("noded chain1 -daemon"), "{err}");
}

#[test]
fn a_wrong_password_names_the_file_to_compare_with() {
    let (port, _serving) = node(vec![(401, "")]);
    let (_, err, status) = texts(&run(&data(port), &["chain1", "-requestout=null", "getinfo"], ""));
    assert!(err.contains("chain1/node.conf"), "{err}");
    assert_eq!(status, Some(1));
}

#[test]
fn the_prompt_takes_calls_until_bye_over_one_connection() {
    let one = r#"{"result":1,"error":null,"id":1}"#;
    let no = r#"{"result":null,"error":{"code":-708,"message":"no"},"id":1}"#;
    let (port, serving) = node(vec![(200, one), (500, no)]);
    let input = "getblockcount\n\npublish s [\"a b\"] 'x'\n\"open\nbye\nnever\n";
    let (out, err, status) = texts(&run(&data(port), &["-requestout=null", "chain1"], input));
    assert_eq!(out, "chain1: 1\n\nchain1: chain1: \nchain1: error: a quotation mark is not closed\n\nchain1: ");
    assert_eq!((err.as_str(), status), ("error code: -708\nerror message:\nno\n", Some(0)));
    let received = serving.join().unwrap();
    assert!(received[1].starts_with(r#"{"method":"publish","params":["s",["a b"],"x"],"#), "{}", received[1]);
}

#[test]
fn a_parameter_may_stand_in_a_file_or_on_standard_input() {
    let (port, serving) = node(vec![(200, r#"{"result":[{"a":1}],"error":null,"id":1}"#)]);
    let data = data(port);
    let file = data.path().join("value.json");
    std::fs::write(&file, "{\"json\":\n7}\n").unwrap();
    let named = format!("@{}", file.display());
    let words = ["chain1", "--pretty", "-requestout=null", "publish", "@-", "@@k", &named];
    let (out, err, status) = texts(&run(&data, &words, "stream1\n"));
    assert_eq!((out.as_str(), err.as_str(), status), ("[{\"a\": 1}]\n", "", Some(0)));
    let received = serving.join().unwrap();
    assert!(received[0].contains(r#""params":["stream1","@k",{"json":7}]"#), "{}", received[0]);
    let (_, err, status) = texts(&run(&data, &["chain1", "publish", "s", "k", "@nosuchfile"], ""));
    assert!(err.contains("@nosuchfile") && status == Some(1), "{err}");
}

#[test]
fn completion_is_printed_for_known_shells_without_a_node() {
    let data = tempfile::tempdir().unwrap();
    for words in [&["--completion", "bash"][..], &["--completion=bash"]] {
        let (out, _, status) = texts(&run(&data, words, ""));
        assert!(out.contains("complete -") && out.contains(" liststreamitems ") && status == Some(0), "{out}");
    }
    let (_, err, status) = texts(&run(&data, &["--completion", "fish"], ""));
    assert!(err.contains("expected bash or zsh") && status == Some(1), "{err}");
}

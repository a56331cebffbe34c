//! Few file descriptors: refused at the start where they are too few, and not to be exhausted by callers.

use futures::future::join_all;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::harness::binary;
use crate::harness::chain::Chain;
use crate::harness::console;
use crate::harness::node::Node;
use crate::harness::wait::until;

/// The node's program under a limit of open files.
fn limited(node: &Node, files: u32) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {files}; exec \"$@\"")).arg("sh");
    command.arg(binary::path("noded")).args(node.words(&node.chain));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_may_open_too_few_files_is_refused_with_a_sentence() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    console::finish(limited(a, 300), &a.home).await.failed_saying(&["300 files", "1280", "ulimit -n"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_and_strangers_cannot_exhaust_the_files_of_a_node() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.stop().await;
    a.spawn(limited(a, 1_280));
    a.wait_ready().await;
    // A crowd that is a second old makes room, so a machine that takes longer to connect it tries again.
    let crowd = until("a caller too many to be refused", async || {
        let ports = std::iter::repeat_n(a.rpc_port, 700).chain(std::iter::repeat_n(a.port, 300));
        let crowd = join_all(ports.map(|port| TcpStream::connect(("127.0.0.1", port)))).await;
        match a.try_call("getinfo", json!([])).await {
            Ok(_) => Err("the front takes more callers".to_owned()),
            Err(_) => Ok(crowd),
        }
    })
    .await;
    // Blocks go on being written and the log says why callers are refused.
    a.wait_logged(&["too many json-rpc connections"]).await;
    drop(crowd);
    let txid = until("calls to be answered again", async || {
        a.try_call("publish", json!(["s", "k", {"text": "after"}])).await.map_err(|refusal| format!("{refusal:?}"))
    })
    .await;
    a.wait_confirmed(txid.as_str().expect("a txid")).await;
    assert!(!a.log_tail(1 << 20).contains("Too many open files"));
}

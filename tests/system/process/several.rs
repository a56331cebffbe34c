//! Several chains in one process: what each keeps for itself, how one is stopped while the others go on, and what becomes of
//! all when one cannot start.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::chain::Chain;
use crate::harness::console;
use crate::harness::node::Node;
use crate::harness::wait::{check, until};

/// Two chains in one data directory, to be run by one process, which `one` holds.
struct Pair {
    one: Node,
    two: Node,
    root: TempDir,
}

impl Pair {
    /// Makes both chains; ports are in each node.conf.
    async fn create() -> Pair {
        let root = TempDir::with_prefix("rota-test-").expect("a temporary directory");
        let [one, two] = ["one", "two"].map(|chain| Node::new(root.path(), chain, "home", &[]));
        for node in [&one, &two] {
            node.util(&["create", &node.chain, "-target-block-time=2", "-mine-empty-rounds=-1"]).await.succeeded();
            write_conf(node, "");
        }
        Pair { one, two, root }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = console::command("noded", words);
        command.arg(format!("-datadir={}", self.one.home.display()));
        command
    }

    /// Runs both chains in one process and waits until both answer.
    async fn start(&self) {
        self.one.spawn(self.command(&["one", "two"]));
        self.one.wait_ready().await;
        self.two.wait_ready().await;
    }

    /// Runs a process that is expected to end by itself.
    async fn run(&self, words: &[&str]) -> console::Outcome {
        console::finish(self.command(words), self.root.path()).await
    }
}

/// Ports of a node and what else its node.conf is to say.
fn write_conf(node: &Node, further: &str) {
    std::fs::create_dir_all(node.folder()).expect("a folder");
    let text = format!("port={}\nrpcport={}\nbind=127.0.0.1\n{further}\n", node.port, node.rpc_port);
    std::fs::write(node.folder().join("node.conf"), text).expect("a node.conf");
}

fn log(node: &Node) -> String {
    std::fs::read_to_string(node.folder().join("debug.log")).expect("a log")
}

fn pid_file(node: &Node) -> std::path::PathBuf {
    node.folder().join("noded.pid")
}

async fn wait_gone(path: &Path) {
    until(&format!("{} to be gone", path.display()), async || check(!path.exists(), path)).await;
}

/// A published item of each chain, confirmed.
async fn publish_on_both(pair: &Pair) -> [String; 2] {
    let mut txids = Vec::new();
    for node in [&pair.one, &pair.two] {
        node.open_stream("s", true).await;
        txids.push(node.publish("s", "k", &format!("item of {}", node.chain)).await);
    }
    for (node, txid) in [&pair.one, &pair.two].into_iter().zip(&txids) {
        node.wait_confirmed(txid).await;
    }
    txids.try_into().expect("two")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_chains_of_one_process_mine_and_one_is_stopped_while_the_other_goes_on() {
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    pair.start().await;
    let [first, second] = publish_on_both(&pair).await;
    assert_eq!(one.items("s").await.len(), 1);
    assert!(one.try_call("getrawtransaction", json!([second])).await.is_err(), "a transaction of the other chain");
    let [pid, other] = [one, two].map(|node| std::fs::read_to_string(pid_file(node)).unwrap());
    assert_eq!((pid.trim().to_owned(), &pid), (one.id().to_string(), &other));
    let datadir = format!("-datadir={}", two.home.display());
    console::run("node-cli", &["two", &datadir, "stop"], &two.home).await.succeeded();
    wait_gone(&pid_file(two)).await;
    one.wait_blocks(2).await;
    assert!(one.exit_status().is_none() && pid_file(one).exists());
    // Its folder is free: it goes on in a process of its own.
    until("the lock to be free", async || check(log(two).contains("node stopped"), two.log_tail(600))).await;
    two.start().await;
    two.wait_item("s", &second).await;
    two.wait_blocks(1).await;
    two.stop().await;
    one.stop().await;
    pair.start().await;
    one.wait_item("s", &first).await;
    two.wait_item("s", &second).await;
    two.wait_blocks(1).await;
    one.terminate().await;
    assert!(!pid_file(one).exists() && !pid_file(two).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_chain_holds_its_own_lines_alone() {
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    write_conf(two, "loglevel=warn");
    pair.start().await;
    one.open_stream("s", true).await;
    two.open_stream("s", true).await;
    let tip = one.tip().await;
    one.wait_blocks(1).await;
    one.terminate().await;
    let text = log(one);
    for (name, from) in [("the start", "node ready"), ("the ledger's thread", &tip[..]), ("the end", "node stopped")] {
        assert!(text.contains(from), "nothing of {name} in {text}");
    }
    assert_eq!(text.matches("node ready").count(), 1, "{text}");
    let quiet = log(two);
    assert!(!quiet.contains("INFO"), "lines of another chain, or of another level: {quiet}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_all_chains_of_the_process_come_back_with_what_they_acknowledged() {
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    pair.start().await;
    let [first, second] = publish_on_both(&pair).await;
    let [third, fourth] = [one.publish("s", "k", "waits").await, two.publish("s", "k", "waits").await];
    one.kill().await;
    pair.start().await;
    for (node, txids) in [(one, [first, third]), (two, [second, fourth])] {
        for txid in txids {
            node.wait_item("s", &txid).await;
            node.wait_confirmed(&txid).await;
        }
    }
    one.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_chains_cannot_share_is_refused_before_anything_is_opened() {
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    pair.run(&["one", "two", "-port=7000"]).await.failed_saying(&["-port", "2 chains", "node.conf"]);
    pair.run(&["one", "two", "-rpcport=7000"]).await.failed_saying(&["-rpcport", "2 chains", "node.conf"]);
    let logdir = format!("-logdir={}", pair.root.path().display());
    pair.run(&["one", "two", &logdir]).await.failed_saying(&["one and two", "debug.log", "logdir="]);
    pair.run(&["one", "two", "one"]).await.failed_saying(&["one", "twice"]);
    let conf = two.folder().join("node.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, text.replace(&two.rpc_port.to_string(), &one.port.to_string())).unwrap();
    let conf = conf.display().to_string();
    let port = one.port.to_string();
    pair.run(&["one", "two"]).await.failed_saying(&["one and two", &port, "rpcport=", &conf]);
    pair.run(&["one", "nosuch"]).await.failed_saying(&["nosuch", "node-util create nosuch"]);
    assert!(!one.folder().join("state").exists() && !two.folder().join("state").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_parameters_of_one_chain_refuse_the_start_and_a_damaged_journal_ends_that_chain_alone() {
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    pair.start().await;
    two.open_stream("s", true).await;
    two.call("pause", json!(["mining"])).await;
    two.publish("s", "k", "waits").await;
    one.terminate().await;
    let params = two.folder().join("params.dat");
    let whole = std::fs::read_to_string(&params).unwrap();
    std::fs::write(&params, whole.replace("target-block-time = 2", "target-block-time = 3")).unwrap();
    pair.run(&["one", "two"]).await.failed_saying(&["chain two", "chain-params-hash"]);
    std::fs::write(&params, whole).unwrap();
    let journal = two.folder().join("journal");
    let bytes = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &bytes[..bytes.len() - 20]).unwrap();
    one.spawn(pair.command(&["one", "two"]));
    one.wait_ready().await;
    one.wait_logged(&["error: chain two", "storage-damaged-journal"]).await;
    one.wait_blocks(2).await;
    assert!(log(two).contains("storage-damaged-journal") && !log(one).contains("storage-damaged-journal"));
    assert!(two.try_call("getinfo", json!([])).await.is_err());
    one.call("stop", json!([])).await;
    let status = until("the process to end", async || one.exit_status().ok_or("runs".to_owned())).await;
    assert_eq!(status.code(), Some(1), "a chain of it has failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_another_process_runs_refuses_the_start_of_all() {
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    two.start().await;
    pair.run(&["one", "two"]).await.failed_saying(&["lock", "blockchain two"]);
    assert!(!one.folder().join("state").exists());
    two.wait_blocks(1).await;
    two.stop().await;
    pair.start().await;
    pair.run(&["two"]).await.failed_saying(&["lock", "blockchain two"]);
    one.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_joined_by_a_process_that_runs_another() {
    let chain = Chain::create("two").node("a").start().await;
    let admin = chain.node("a");
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    std::fs::remove_file(two.folder().join("params.dat")).unwrap();
    one.spawn(pair.command(&["one", &admin.invitation(), "-retryinittime=600", "-shortoutput"]));
    one.wait_ready().await;
    let line = until("the address to grant", async || {
        let printed = std::fs::read_to_string(one.home.join("console.log")).unwrap_or_default();
        console::word_after(&printed, "two ").ok_or(printed)
    })
    .await;
    let height = one.wait_blocks(1).await;
    admin.call("grant", json!([line, "connect,send,receive"])).await;
    two.wait_ready().await;
    two.wait_height(admin.height().await).await;
    one.wait_height(height + 1).await;
    let printed = std::fs::read_to_string(one.home.join("console.log")).unwrap();
    for node in [one, two] {
        assert!(printed.lines().any(|shown| shown == node.invitation()), "{printed}");
    }
    assert_eq!(
        printed.lines().filter(|shown| !shown.is_empty()).count(),
        3,
        "one line a chain, and the address: {printed}"
    );
    one.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_in_the_background_ends_when_all_chains_are_ready() {
    let pair = Pair::create().await;
    let (one, two) = (&pair.one, &pair.two);
    let started = pair.run(&["one", "two", "-daemon"]).await.succeeded();
    assert_eq!(started.out.matches("Node ready.").count(), 2, "{started:?}");
    for node in [one, two] {
        node.call("getinfo", json!([])).await;
        node.call("stop", json!([])).await;
    }
    for node in [one, two] {
        wait_gone(&pid_file(node)).await;
    }
}

//! Wrong names, places and peers: each is refused with a sentence that says what and what to do.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::json;

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::wait::{check, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_chain_is_refused_with_the_ways_to_make_or_join_one() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "nosuchchain", "a", &[]);
    for further in [&[][..], &["-daemon"]] {
        let outcome = node.run_to_end("nosuchchain", further).await;
        outcome.failed_saying(&["nosuchchain", "node-util create nosuchchain", "noded nosuchchain@"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_occupied_port_is_named_with_the_option_that_changes_it() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "c", "a", &[]);
    node.util(&["create", "c"]).await.succeeded();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, node.port)).unwrap();
    node.run_to_end("c", &[]).await.failed_saying(&[&node.port.to_string(), "-port"]);
    drop(taken);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, node.rpc_port)).unwrap();
    node.run_to_end("c", &["-daemon"]).await.failed_saying(&[&node.rpc_port.to_string(), "-rpcport"]);
    drop(taken);
    node.start().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_edited_after_genesis_are_refused_and_restored_ones_work() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.wait_height(1).await;
    a.stop().await;
    let path = a.folder().join("params.dat");
    let original = std::fs::read_to_string(&path).unwrap();
    let edited: Vec<String> =
        original
            .lines()
            .map(|line| {
                if line.starts_with("mining-diversity") { "mining-diversity = 0.9".to_owned() } else { line.to_owned() }
            })
            .collect();
    assert_ne!(edited.join("\n"), original.trim_end(), "there was a line to edit");
    std::fs::write(&path, edited.join("\n") + "\n").unwrap();
    a.run_to_end("c", &[]).await.failed_saying(&["params.dat"]);
    std::fs::write(&path, original).unwrap();
    a.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_out_of_range_is_named_with_its_range_and_nothing_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "c", "a", &[]);
    node.util(&["create", "c", "-mining-diversity=2.0"]).await.failed_saying(&["mining-diversity", "2", "0", "1"]);
    assert!(!node.folder().join("params.dat").exists());
    node.util(&["create", "c", "-target-block-time=5"]).await.succeeded();
    let first = std::fs::read(node.folder().join("params.dat")).unwrap();
    node.util(&["create", "c"]).await.failed_saying(&["params.dat", "already exists"]);
    assert_eq!(std::fs::read(node.folder().join("params.dat")).unwrap(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_or_key_of_another_chain_is_refused() {
    let one = Chain::create("one").node("a").start().await;
    let two = Chain::create("two").node("a").start().await;
    let (a, b) = (one.node("a"), two.node("a"));
    let foreign = b.address().await;
    let key = b.call("dumpprivkey", json!([foreign])).await;
    assert_eq!(a.refusal("grant", json!([foreign, "connect"])).await.code, -5);
    assert_eq!(a.refusal("importprivkey", json!([key])).await.code, -5);
    assert_eq!(a.call("validateaddress", json!([foreign])).await["isvalid"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_chain_is_refused_by_name() {
    let one = Chain::create("one").node("a").start().await;
    let two = Chain::create("two").node("a").start().await;
    let (a, b) = (one.node("a"), two.node("a"));
    let newcomer = one.outsider("newcomer");
    let target = format!("one@127.0.0.1:{}", b.port);
    newcomer.run_to_end(&target, &[]).await.failed_saying(&["one", "two"]);

    a.call("addnode", json!([format!("127.0.0.1:{}", b.port), "add"])).await;
    a.wait_logged(&["two"]).await;
    a.wait_peers(&[]).await;
    b.wait_peers(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_does_not_answer_is_named() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "c", "a", &[]);
    let port = crate::harness::port::free();
    let outcome = node.run_to_end(&format!("c@127.0.0.1:{port}"), &[]).await;
    outcome.failed_saying(&[&format!("127.0.0.1:{port}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let mut words = a.words("c");
    words.retain(|word| !word.starts_with("-port=") && !word.starts_with("-rpcport="));
    words.push(format!("-port={}", crate::harness::port::free()));
    words.push(format!("-rpcport={}", crate::harness::port::free()));
    for further in [None, Some("-daemon")] {
        let mut command = crate::harness::console::command("noded", &[]);
        command.args(&words).args(further);
        let outcome = crate::harness::console::finish(command, chain.root()).await;
        outcome.failed_saying(&["already running"]);
    }
    a.wait_blocks(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    // A path through a file cannot be made by anybody, root included.
    let datadir = format!("-datadir={}", file.join("below").display());
    let scratch = root.path();
    let created = crate::harness::console::run("node-util", &["create", "c", &datadir], scratch).await;
    created.failed_saying(&["a-file"]);
    let started = crate::harness::console::run("noded", &["c@127.0.0.1:1", &datadir], scratch).await;
    started.failed_saying(&["a-file"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_option_is_refused_before_anything_is_made() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "c", "a", &[]);
    node.util(&["create", "c"]).await.succeeded();
    node.run_to_end("c", &["-rpcprot=5"]).await.failed_saying(&["rpcprot", "rpcport"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_a_node_that_does_not_run_says_so() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "c", "a", &[]);
    node.util(&["create", "c"]).await.succeeded();
    node.cli(&["getinfo"]).await.failed_saying(&["noded"]);
    until("no file but the parameters to be left", async || {
        let entries = std::fs::read_dir(node.folder()).unwrap().count();
        check(entries <= 2, entries)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_cannot_be_understood_is_refused_with_what_it_may_be() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "c", "a", &[]);
    node.util(&["create", "c"]).await.succeeded();
    for (option, parts) in [
        ("-loglevel=loud", ["loglevel", "debug"]),
        ("-debug=nosuch", ["nosuch", "network"]),
        ("-maxlogsize=0", ["maxlogsize", "1"]),
        ("-maxmempool=0", ["maxmempool", "1"]),
        ("-dbcache=much", ["dbcache", "much"]),
        ("-externalip=example.org", ["externalip", "IP address"]),
    ] {
        node.run_to_end("c", &[option]).await.failed_saying(&parts);
    }
    let logs = root.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let logdir = format!("-logdir={}", logs.display());
    let pid = format!("-pid={}", logs.join("node.pid").display());
    let further = [&logdir, &pid, "-maxlogsize=1", "-debug=sync", "-externalip=192.0.2.7"].map(|word| word as &str);
    node.start_with("c", &further).await;
    let shown = node.call("getinfo", json!([])).await["nodeaddress"].clone();
    assert_eq!(shown, format!("c@192.0.2.7:{}", node.port));
    let log = std::fs::read_to_string(logs.join("debug.log")).unwrap();
    assert!(log.contains("node ready"), "{log}");
    assert_eq!(std::fs::read_to_string(logs.join("node.pid")).unwrap().trim(), node.id().to_string());
    node.stop().await;
    assert!(!logs.join("node.pid").exists());
}

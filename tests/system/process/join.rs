//! The way in: create, start, ask, be granted, join, write, read; by the console lines that scripts rely on.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::console;
use crate::harness::node::Node;
use crate::harness::wait::{check, until};

/// Fails unless the lines stand in the text in this order, each as a whole line.
fn says_in_order(text: &str, lines: &[String]) {
    let mut rest = text.lines().map(str::trim_end);
    for line in lines {
        assert!(rest.any(|candidate| candidate == line), "no line {line:?} (in its place) in:\n{text}");
    }
}

/// Starts a node detached, as a user would, and gives what the command printed.
async fn start_detached(node: &Node, target: &str) -> String {
    let outcome = node.run_to_end(target, &["-daemon"]).await.succeeded();
    node.wait_ready().await;
    outcome.out
}

fn ready_lines(node: &Node) -> Vec<String> {
    vec![
        "Other nodes can connect to this node using:".to_owned(),
        format!("noded {}", node.invitation()),
        format!("Listening for API requests on port {} (local only - see rpcallowip setting)", node.rpc_port),
        "Node ready.".to_owned(),
    ]
}

fn ask_lines(chain: &str, seed: &Node, address: &str) -> Vec<String> {
    vec![
        format!("Retrieving blockchain parameters from the seed node 127.0.0.1:{} ...", seed.port),
        "Blockchain successfully initialized.".to_owned(),
        "Please ask blockchain admin or user having activate permission to let you connect and/or transact:".to_owned(),
        format!("node-cli {chain} grant {address} connect"),
        format!("node-cli {chain} grant {address} connect,send,receive"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_creates_joins_writes_and_reads_by_the_documented_commands() {
    let root = tempfile::tempdir().unwrap();
    let first = Node::new(root.path(), "chain1", "first", &[]);
    let second = Node::new(root.path(), "chain1", "second", &[]);

    let created = first.util(&["create", "chain1", "-target-block-time=2"]).await.succeeded();
    says_in_order(
        &created.out,
        &[
            "Blockchain parameter set was successfully generated.".to_owned(),
            format!(
                "You can edit it in {}/params.dat before running noded for the first time.",
                first.folder().display()
            ),
            "To generate blockchain please run \"noded chain1 -daemon\".".to_owned(),
        ],
    );
    says_in_order(&start_detached(&first, "chain1").await, &ready_lines(&first));

    let asked = second.run_to_end(&first.invitation(), &[]).await;
    let line = asked.line_after("node-cli chain1 grant ");
    let address = line.split_whitespace().next().unwrap().to_owned();
    says_in_order(&asked.out, &ask_lines("chain1", &first, &address));

    let asked_again = second.run_to_end(&first.invitation(), &["-daemon"]).await;
    says_in_order(&asked_again.out, &ask_lines("chain1", &first, &address));

    let granted = first.cli(&["grant", &address, "connect,send,receive"]).await.succeeded();
    let txid = granted.out.trim().to_owned();
    assert_eq!(txid.len(), 64, "grant prints the txid alone: {granted:#?}");
    let echo: Value = serde_json::from_str(granted.err.lines().next().unwrap()).unwrap();
    assert_eq!(echo["method"], "grant");
    assert_eq!(echo["params"], json!([address, "connect,send,receive"]));
    assert_eq!(echo["chain_name"], "chain1");
    first.wait_confirmed(&txid).await;

    says_in_order(&start_detached(&second, &first.invitation()).await, &ready_lines(&second));
    write_and_read(&first, &second, &address).await;
    take_turns(&first, &second, &address).await;
}

async fn write_and_read(first: &Node, second: &Node, address: &str) {
    first.cli(&["create", "stream", "stream1", "false"]).await.succeeded();
    let published = first.cli(&["publish", "stream1", "key1", r#"{"json":{"a":1}}"#]).await.succeeded();
    first.cli(&["subscribe", "stream1"]).await.succeeded();
    let listed = first.cli(&["liststreamitems", "stream1"]).await.succeeded();
    let items: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(items[0]["txid"], published.out.trim());
    assert_eq!(items[0]["data"], json!({"json": {"a": 1}}));

    first.wait_confirmed(published.out.trim()).await;
    first.cli(&["grant", address, "stream1.write"]).await.succeeded();
    first.wait_pool_empty().await;
    let height = first.height().await;
    second.wait_height(height).await;
    second.cli(&["subscribe", "stream1"]).await.succeeded();
    let answer = second.cli(&["publish", "stream1", "key2", r#"{"text":"from the second"}"#]).await.succeeded();
    let item = first.wait_item("stream1", answer.out.trim()).await;
    assert_eq!(item["publishers"], json!([address]));
    assert_eq!(item["keys"], json!(["key2"]));
    assert_eq!(item["data"], json!({"text": "from the second"}));
}

async fn take_turns(first: &Node, second: &Node, address: &str) {
    let granted = first.cli(&["grant", address, "mine"]).await.succeeded();
    first.wait_confirmed(granted.out.trim()).await;
    let from = first.height().await + 1;
    until("a block of each miner", async || {
        let to = first.height().await;
        let miners = if to < from { Vec::new() } else { first.miners(from, to).await };
        let own = miners.iter().any(|miner| miner != address);
        let other = miners.iter().any(|miner| miner == address);
        // A transaction now and then keeps both mining once empty blocks have become pointless.
        second.publish("stream1", "turn", "x").await;
        check(own && other, miners)
    })
    .await;
}

/// Starts a node that waits for its grant.
fn start_waiting(chain: &Chain) -> Node {
    let waiting = chain.outsider("b");
    let mut command = console::command("noded", &[]);
    command.args(waiting.words(&chain.node("a").invitation())).arg("-retryinittime=600");
    waiting.spawn(command);
    waiting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_retries_joins_by_itself_once_it_is_granted() {
    let chain = Chain::create("c").node("a").start().await;
    let waiting = start_waiting(&chain);
    let line = until("the grant line of the waiting node", async || {
        let said = waiting.log_tail(4_000);
        console::word_after(&said, "node-cli c grant ").ok_or(said)
    })
    .await;
    let address = line.split_whitespace().next().unwrap();
    chain.node("a").call("grant", json!([address, "connect,send,receive"])).await;
    waiting.wait_ready().await;
    let height = chain.node("a").height().await;
    waiting.wait_height(height).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_for_its_grant_tells_callers_so() {
    let chain = Chain::create("c").node("a").start().await;
    let waiting = start_waiting(&chain);
    until("getinitstatus of the waiting node", async || {
        let status = waiting.try_call("getinitstatus", json!([])).await;
        let status = status.map_err(|refusal| format!("{refusal:?}"))?;
        check(status["initialized"] == false && status["handshakelocal"].is_string(), status)
    })
    .await;
    assert_eq!(waiting.refusal("getinfo", json!([])).await.code, -28);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naming_a_peer_on_a_chain_that_exists_starts_the_node_with_that_peer() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    b.stop().await;
    b.start_with(&a.invitation(), &[]).await;
    let target = a.wait_blocks(1).await;
    b.wait_height(target).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_may_be_left_out_where_the_data_directory_holds_one() {
    let chain = Chain::create("only").node("a").start().await;
    let a = chain.node("a");
    let words = [format!("-datadir={}", a.home.display()), format!("-rpcport={}", a.rpc_port), "getinfo".to_owned()];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answer = console::run("node-cli", &words, chain.root()).await.succeeded();
    let info: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(info["chainname"], "only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_call_prints_its_code_and_ends_with_a_code_of_its_own() {
    let chain = Chain::create("c").node("a").start().await;
    let refused = chain.node("a").cli(&["liststreamitems", "nosuchstream"]).await;
    assert_eq!(refused.out, "");
    let lines: Vec<&str> = refused.err.lines().collect();
    let at = lines.iter().position(|line| *line == "error code: -708").expect("the code stands on a line");
    assert_eq!(lines[at + 1], "error message:");
    assert_eq!(refused.code, 708 & 0xff);
}

//! Who may call a node and what: several users with lists of methods, files that callers choose, and how far a port is
//! open.

use rota_api::method::sample;
use rota_api::{Client, ClientError};
use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::http;
use crate::harness::node::Node;
use crate::harness::socket::Socket;

/// A user of a node, made as an operator makes one.
struct User {
    name: &'static str,
    password: String,
    /// The value for `rpcauth`.
    line: String,
}

impl User {
    async fn make(node: &Node, name: &'static str) -> Self {
        let told = node.util(&["rpcauth", name]).await.succeeded();
        let password = told.out.lines().last().expect("a password").to_owned();
        Self { name, password, line: told.line_after("rpcauth=") }
    }

    /// The `noded` options that let this user call these methods.
    fn options(&self, methods: &str) -> [String; 2] {
        [format!("-rpcauth={}", self.line), format!("-rpcwhitelist={}:{methods}", self.name)]
    }

    fn authorization(&self) -> String {
        http::basic(self.name, &self.password)
    }

    async fn call(&self, node: &Node, method: &str, params: Value) -> Result<Value, ClientError> {
        let client = Client::new(format!("127.0.0.1:{}", node.rpc_port), self.name, &self.password);
        client.call(method, params).await
    }

    async fn is_refused(&self, node: &Node, method: &str, params: Value) {
        match self.call(node, method, params).await {
            Err(ClientError::Rpc { code: -701, message, .. }) => {
                assert!(message.contains(&format!("not in rpcwhitelist of user {}", self.name)), "{message}");
            }
            other => panic!("{method}: {other:?}"),
        }
    }
}

/// Starts a node anew with further options.
async fn restart_with(node: &Node, options: &[String]) {
    node.stop().await;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    node.start_with(&node.chain, &options).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_user_is_held_to_its_list_in_calls_batches_help_and_subscriptions() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let (reader, author) = (User::make(a, "reader").await, User::make(a, "author").await);
    restart_with(a, &[reader.options("@read"), author.options("publish, getinfo")].concat()).await;
    a.open_stream("s", true).await;

    assert_eq!(reader.call(a, "getinfo", json!([])).await.unwrap()["chainname"], "c");
    for (method, params) in [
        ("publish", json!(["s", "k", "00"])),
        ("getnewaddress", json!([])),
        ("grant", json!(["x", "send"])),
        ("dumpprivkey", json!(["x"])),
        ("signrawtransaction", json!(["00"])),
        ("sendtoaddress", json!(["x", 1])),
        ("stop", json!([])),
    ] {
        reader.is_refused(a, method, params).await;
    }
    author.call(a, "publish", json!(["s", "k", "00"])).await.unwrap();
    author.is_refused(a, "liststreamitems", json!(["s"])).await;

    let help = author.call(a, "help", json!([])).await.unwrap();
    let listed: Vec<&str> = help.as_str().unwrap().lines().filter(|line| !line.is_empty()).collect();
    let names: Vec<&str> = listed.iter().filter(|line| !line.starts_with("==")).map(|line| first_word(line)).collect();
    assert_eq!(names, ["getinfo", "help", "publish"], "{help}");
    author.is_refused(a, "help", json!(["stop"])).await;
    for (method, unsigned) in [("verifymessage", sample::SIGNATURE), ("decoderawtransaction", sample::RAW_TRANSACTION)]
    {
        let page = reader.call(a, "help", json!([method])).await.unwrap();
        assert!(page.as_str().unwrap().contains(unsigned), "nothing is signed for who may not sign: {page}");
    }
    author.is_refused(a, "rpc.discover", json!([])).await;
    let discovered = reader.call(a, "rpc.discover", json!([])).await.unwrap();
    let methods = discovered["methods"].as_array().unwrap();
    assert!(methods.len() > 100 && methods.iter().all(|method| method["name"] != "stop"));

    let body = br#"[{"method":"getblockcount","id":1},{"method":"stop","id":2}]"#;
    let reply = http::post(a.rpc_port, &reader.authorization(), body).await;
    let replies: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(replies[0]["result"].is_u64() && replies[1]["error"]["code"] == -701, "{replies}");

    let mut socket = Socket::open_as(a, &reader.authorization()).await;
    assert_eq!(socket.ask("stop", json!([])).await["error"]["code"], -701);
    assert!(socket.call("watchblocks", json!([])).await.is_u64());
    let mut socket = Socket::open_as(a, &author.authorization()).await;
    assert_eq!(socket.ask("watchblocks", json!([])).await["error"]["code"], -701);
    a.call("getinfo", json!([])).await;
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_the_node_binds_every_user_and_takes_away_what_writes_files() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    let path = chain.root().join("dump.txt").display().to_string();
    a.call("dumpwallet", json!([path])).await;
    let precious = chain.root().join("precious");
    std::fs::write(&precious, "not a wallet").unwrap();
    for method in ["dumpwallet", "backupwallet"] {
        let refusal = a.refusal(method, json!([precious.display().to_string()])).await;
        assert_eq!(refusal.code, -8, "{refusal:?}");
    }
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "not a wallet");

    restart_with(a, &["-rpcallowmethod=@read,@write,stop".to_owned()]).await;
    a.open_stream("s", true).await;
    for method in ["dumpwallet", "backupwallet", "importwallet", "dumpprivkey"] {
        let refusal = a.refusal(method, json!(["x"])).await;
        assert_eq!(refusal.code, -701, "{method}: {refusal:?}");
    }
    let help = a.call("help", json!([])).await;
    assert!(!help.as_str().unwrap().contains("dumpwallet") && help.as_str().unwrap().contains("publish"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_lists_that_cannot_be_meant_stop_the_start_with_a_sentence() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    let eve = User::make(a, "eve").await;
    let auth = format!("-rpcauth={}", eve.line);
    for (options, parts) in [
        (vec![auth.as_str()], vec!["eve", "rpcwhitelist=eve:@read"]),
        (vec!["-rpcwhitelist=bob:@read"], vec!["bob", "neither in rpcuser nor in rpcauth"]),
        (vec![&auth, "-rpcwhitelist=eve:publsh"], vec!["publsh", "did you mean publish?"]),
        (vec![&auth, "-rpcwhitelist=eve:@read", "-rpcwhitelist=eve:stop"], vec!["put all its methods into one"]),
        (vec!["-rpcauth=eve:nonsense"], vec!["rpcauth", "node-util rpcauth"]),
    ] {
        a.run_to_end("c", &options).await.failed_saying(&parts);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_the_internet_is_not_let_in_unencrypted_however_it_is_cut() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    for nets in [
        &["-rpcallowip=0.0.0.0/0"][..],
        &["-rpcallowip=::/0"],
        &["-rpcallowip=0.0.0.0/1", "-rpcallowip=128.0.0.0/1"],
        &["-rpcallowip=10.0.0.0/8", "-rpcallowip=2000::/4"],
    ] {
        a.run_to_end("c", nets).await.failed_saying(&["without encryption", "rpcallowplain=1", "rpcssl=1"]);
    }
    a.run_to_end("c", &["-rpcallowip=10.0.0.0/33"]).await.failed_saying(&["rpcallowip=10.0.0.0/33"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_open_to_a_subnet_is_warned_of_in_the_log_and_on_the_console() {
    let warning = "API requests and passwords of other machines travel unencrypted";
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    assert!(!a.log_tail(1 << 20).contains(warning));
    // Only this machine is in the net; the port is open beyond it all the same.
    restart_with(a, &["-rpcallowip=127.0.0.0/8".to_owned(), "-rpcbind=0.0.0.0".to_owned()]).await;
    a.wait_logged(&["WARN", "listens beyond this machine, unencrypted"]).await;
    a.wait_logged(&["Warning: ", warning]).await;
    a.call("getinfo", json!([])).await;
}

//! TLS between callers and a node: from a certificate that anybody can make, to a renewed one while the node runs.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{CertificateParams, KeyPair};
use rota_api::client::{Client, ClientError, Trust};
use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::http;
use crate::harness::node::Node;
use crate::harness::rpc;
use crate::harness::wait::until;

/// Puts a new certificate and its key where a node looks for them; gives the certificate.
fn write_certificate(node: &Node) -> String {
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec!["node.example".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate").pem();
    std::fs::write(node.folder().join("server.cert"), &certificate).unwrap();
    std::fs::write(node.folder().join("server.pem"), key.serialize_pem()).unwrap();
    certificate
}

async fn height(node: &Node, certificate: &str) -> Result<Value, ClientError> {
    let (user, password) = rpc::credentials(&node.folder().join("node.conf")).expect("credentials");
    let trust = Trust::read(certificate.as_bytes()).expect("a certificate");
    let client = Client::new(format!("127.0.0.1:{}", node.rpc_port), &user, &password).with_trust(trust);
    client.call("getblockcount", json!([])).await
}

/// Starts a node that speaks TLS by its node.conf, and waits until it answers.
async fn start_encrypted(node: &Node, certificate: &str) {
    let conf = node.folder().join("node.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, text + "rpcssl=1\n").unwrap();
    let mut command = crate::harness::console::command("noded", &[]);
    command.args(node.words(&node.chain));
    node.spawn(command);
    until("the node to answer over TLS", async || {
        height(node, certificate).await.map_err(|error| format!("{error}\n{}", node.log_tail(600)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_and_its_command_line_speak_tls_by_one_line_of_node_conf() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    let certificate = write_certificate(a);
    start_encrypted(a, &certificate).await;
    a.cli(&["getblockcount"]).await.succeeded();
    a.cli(&["-rpcssl=0", "getblockcount"]).await.failed_saying(&["400", "this port speaks TLS"]);
    let reply = http::post(a.rpc_port, &a.authorization(), b"{\"method\":\"getinfo\",\"params\":[]}").await;
    assert_eq!(reply.status, 400, "a caller without TLS is told so");

    // Another certificate is trusted now than the one that is shown.
    let renewed = write_certificate(a);
    a.cli(&["getblockcount"]).await.failed_saying(&["no TLS with the node", "rpcsslcertificatechainfile"]);
    assert!(matches!(height(a, &renewed).await, Err(ClientError::Tls { .. })));
    kill(Pid::from_raw(i32::try_from(a.id()).unwrap()), Signal::SIGHUP).unwrap();
    a.wait_logged(&["the certificate of JSON-RPC was read again"]).await;
    a.cli(&["getblockcount"]).await.succeeded();
    assert!(height(a, &renewed).await.is_ok() && height(a, &certificate).await.is_err());

    std::fs::write(a.folder().join("server.pem"), "no key").unwrap();
    kill(Pid::from_raw(i32::try_from(a.id()).unwrap()), Signal::SIGHUP).unwrap();
    a.wait_logged(&["ERROR", "stays the one it was", "rpcsslprivatekeyfile"]).await;
    a.cli(&["stop"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_do_not_serve_stop_the_start_with_their_names() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    a.run_to_end("c", &["-rpcssl"]).await.failed_saying(&["rpcssl=1", "rpcsslcertificatechainfile=", "server.cert"]);
    a.cli(&["-rpcssl", "getinfo"]).await.failed_saying(&["rpcsslcertificatechainfile=", "server.cert"]);
    write_certificate(a);
    let key = std::fs::read(a.folder().join("server.pem")).unwrap();
    write_certificate(a);
    std::fs::write(a.folder().join("other.pem"), key).unwrap();
    let other = ["-rpcssl", "-rpcsslprivatekeyfile=other.pem"];
    a.run_to_end("c", &other).await.failed_saying(&["other.pem", "does not serve for the certificate"]);
    std::fs::write(a.folder().join("other.pem"), "").unwrap();
    a.run_to_end("c", &other).await.failed_saying(&["rpcsslprivatekeyfile=", "other.pem", "no private key"]);
    // With TLS, everybody may be let in.
    let open = ["-rpcssl", "-rpcallowip=0.0.0.0/0", "-rpcbind=192.0.2.1"];
    a.run_to_end("c", &open).await.failed_saying(&["192.0.2.1 is no address of this machine"]);
}

//! What a node shows of itself to peers: the key of its address, in an encrypted wallet, in a file of its own, and
//! taken by a second host.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::harness::chain::Chain;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

/// Seconds that a wallet is unlocked for: longer than any test.
const LONG: u64 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_locked_wallet_a_node_answers_and_its_peers_and_mining_wait_for_the_passphrase() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let (first, second) = (a.address().await, b.address().await);
    for node in [a, b] {
        node.call("encryptwallet", json!(["sesame"])).await;
        node.stop().await;
        node.restart().await;
        node.wait_logged(&["wallet is locked", "walletpassphrase"]).await;
    }
    let height = a.height().await;
    let info = a.call("getinfo", json!([])).await;
    assert_eq!((&info["unlocked_until"], &info["connections"]), (&json!(0), &json!(0)), "{info}");
    let told = text(&info["errors"]);
    assert!(told.contains("locked") && told.contains("peers") && told.contains("walletpassphrase"), "{told}");
    assert_eq!(a.refusal("publish", json!(["root", "k", "00"])).await.code, -13);
    assert_eq!(a.refusal("walletpassphrase", json!(["wrong", 10])).await.code, -14);

    b.call("walletpassphrase", json!(["sesame", LONG])).await;
    assert_eq!((a.height().await, a.peers().await.len()), (height, 0), "nothing moves while the miner is locked");
    a.call("walletpassphrase", json!(["sesame", LONG])).await;
    a.wait_peers(&[&second]).await;
    b.wait_peers(&[&first]).await;
    a.wait_blocks(2).await;
    chain.wait_agreed().await;
    assert_eq!(a.call("getinfo", json!([])).await["errors"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_key_in_a_file_a_node_with_a_locked_wallet_has_peers() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let address = b.address().await;
    let path = b.home.join("identity.key");
    let option = format!("-p2pkey={}", path.display());
    b.stop().await;
    b.start_with(&chain.name, &[&option]).await;
    a.wait_peers(&[&address]).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = text(&b.call("dumpprivkey", json!([address])).await);
    assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), key);

    b.call("encryptwallet", json!(["sesame"])).await;
    b.stop().await;
    b.start_with(&chain.name, &[&option]).await;
    a.wait_peers(&[&address]).await;
    let target = a.wait_blocks(1).await;
    b.wait_height(target).await;
    let told = text(&b.call("getinfo", json!([])).await["errors"]);
    assert!(told.contains("locked") && !told.contains("peers"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_host_with_a_peers_identity_is_told_so_and_the_first_stays() {
    let chain = Chain::create("c").nodes(&["a", "b"]).start().await;
    let (a, b) = (chain.node("a"), chain.node("b"));
    let address = b.address().await;
    let key = text(&b.call("dumpprivkey", json!([address])).await);
    let twin = chain.outsider("twin");
    twin.start_with(&a.invitation(), &[&format!("-initprivkey={key}")]).await;
    let first = a.call("getpeerinfo", json!([])).await[0]["id"].clone();
    twin.wait_logged(&[&format!("{address} is already connected from 127.0.0.1"), "handshakelocal"]).await;
    a.wait_logged(&[&format!("{address} is already connected from 127.0.0.1"), "handshakelocal"]).await;
    assert!(twin.peers().await.is_empty());
    assert_eq!(a.call("getpeerinfo", json!([])).await[0]["id"], first);

    b.stop().await;
    until("the second host to take the place of the first", async || {
        let peers = twin.call("getpeerinfo", json!([])).await;
        check(peers.as_array().is_some_and(|peers| peers.len() == 1), peers)
    })
    .await;
    let target = a.wait_blocks(1).await;
    twin.wait_height(target).await;
}

//! Damaged and full storage: said in a sentence, and nothing that was acknowledged is lost.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::process::Command;

use crate::harness::binary;
use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;

/// Files of the state database that it cannot open without.
fn database_files(node: &Node) -> Vec<PathBuf> {
    let state = node.folder().join("state");
    let entries = std::fs::read_dir(&state).unwrap_or_else(|error| panic!("{}: {error}", state.display()));
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with("MANIFEST") || name.ends_with(".sst") || name == "CURRENT"
        })
        .collect()
}

fn ruin(path: &Path) {
    let length = std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(0).max(64);
    std::fs::write(path, vec![0xa5; usize::try_from(length).expect("a small file")]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_database_is_refused_and_rebuilt_from_the_blocks_when_asked() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let mut txids = Vec::new();
    for number in 0..20 {
        txids.push(a.publish("s", "k", &number.to_string()).await);
    }
    for txid in &txids {
        a.wait_confirmed(txid).await;
    }
    let (height, address) = (a.height().await, a.address().await);
    let hash = a.hash_at(height).await;
    a.stop().await;
    let files = database_files(a);
    assert!(!files.is_empty(), "no database files under state/");
    files.iter().for_each(|path| ruin(path));
    a.run_to_end("c", &[]).await.failed_saying(&["storage-corrupt", "-reindex"]);

    a.start_with("c", &["-reindex"]).await;
    a.wait_height(height).await;
    assert_eq!(a.hash_at(height).await, hash);
    assert_eq!(a.address().await, address);
    a.call("subscribe", json!(["s"])).await;
    for txid in &txids {
        a.wait_item("s", txid).await;
    }
}

/// Runs the node so that no file of it can grow beyond `kib`: what a full disk looks like from inside.
fn start_limited(node: &Node, kib: u32) {
    let mut command = Command::new("sh");
    // The signal that comes with the limit is ignored, so that writes fail with an error as on a full disk.
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", u64::from(kib) * 2)).arg("sh");
    command.arg(binary::path("noded")).args(node.words(&node.chain));
    node.spawn(command);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_every_acknowledged_item_survives_it() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.stop().await;
    start_limited(a, 1_024);
    a.wait_ready().await;
    let mut acknowledged = Vec::new();
    let mut refusals = Vec::new();
    for number in 0..400 {
        // 8 KiB an item: the limit is met after some dozens wherever the bytes are kept.
        let content = format!("{number:08}").repeat(1_024);
        match a.try_call("publish", json!(["s", "k", {"text": content}])).await {
            Ok(txid) => acknowledged.push(text(&txid)),
            Err(refusal) => refusals.push(refusal),
        }
        if refusals.len() > 3 {
            break;
        }
    }
    let first = refusals.first().expect("400 items of 8 KiB do not fit below 1 MiB");
    let said = first.message.to_lowercase();
    assert!(
        said.contains("file too large") || (first.code == 0 && a.exit_status().is_some()),
        "the refusal after {} items names the cause, or the node has ended: {first:?}",
        acknowledged.len()
    );
    a.wait_logged(&["file too large"]).await;
    a.kill().await;
    a.restart().await;
    for txid in &acknowledged {
        a.wait_item("s", txid).await;
    }
}

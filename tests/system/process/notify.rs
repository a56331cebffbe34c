//! Notifications: programs called with facts from the chain, which nobody interprets on the way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::wait::{check, until};

/// Writes a program that stores its arguments, each ended by NUL, in a file of its own under `out`.
fn recorder(folder: &Path, body_first: &str) -> PathBuf {
    let out = folder.join("calls");
    std::fs::create_dir_all(&out).unwrap();
    let program = folder.join("record.sh");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\0' \"$@\" > '{out}'/$$.part\nmv '{out}'/$$.part '{out}'/$$.call\n{body_first}\n",
        out = out.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// The calls recorded so far, each a list of arguments.
fn calls(folder: &Path) -> Vec<Vec<String>> {
    let entries = std::fs::read_dir(folder.join("calls")).unwrap();
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "call"))
        .map(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            text.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
        })
        .collect()
}

/// A call with this transaction id and flag (1: first seen, 0: confirmed), waited for.
async fn notified(folder: &Path, txid: &str, fresh: &str) -> Vec<String> {
    until(&format!("a notification of {txid} with %c={fresh}"), async || {
        let calls = calls(folder);
        let found = calls.iter().find(|call| call[0] == txid && call[1] == fresh);
        found.cloned().ok_or_else(|| format!("{} calls", calls.len()))
    })
    .await
}

/// Characters that mean something to a shell, to printf, or to a token replacer that runs twice.
const HOSTILE: &str = "$(touch HERE) `touch HERE` \"; touch HERE; ' && touch HERE | %s %j %m \\ \n * ~ é";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walletnotify_passes_every_token_and_hostile_data_stays_data() {
    let folder = tempfile::tempdir().unwrap();
    let program = recorder(folder.path(), "");
    let chain = Chain::create("c")
        .option(&format!("-walletnotify={} %s %c %n %b %h %a %e %m %j", program.display()))
        .node("a")
        .start()
        .await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let marker = folder.path().join("owned");
    let hostile = HOSTILE.replace("HERE", &marker.display().to_string());
    let txid = a.call("publish", json!(["s", hostile, {"json": {"evil": hostile}}])).await;
    let txid = txid.as_str().unwrap().to_owned();

    let first = notified(folder.path(), &txid, "1").await;
    assert_eq!(first.len(), 9, "nine tokens are nine arguments: {first:#?}");
    assert_eq!(first[2], "-1");
    assert_eq!(first[3], "0".repeat(64));
    assert_eq!(first[4], a.call("getrawtransaction", json!([txid])).await);
    assert_eq!(first[5], a.address().await);
    let stream = a.call("liststreams", json!(["s"])).await;
    assert_eq!(first[6], stream[0]["createtxid"]);
    assert_eq!(first[7], "c");
    let shown: Value = serde_json::from_str(&first[8]).expect("%j is JSON");
    assert_eq!(shown["txid"], txid.as_str());
    assert!(first[8].contains("touch"), "the data is in the JSON: {}", first[8]);

    let confirmed = notified(folder.path(), &txid, "0").await;
    let height: u64 = confirmed[2].parse().expect("%n is a height");
    assert_eq!(confirmed[3], a.hash_at(height).await);
    assert!(!marker.exists(), "a shell ran what stood in the data");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walletnotifynew_calls_once_at_first_sight() {
    let folder = tempfile::tempdir().unwrap();
    let program = recorder(folder.path(), "");
    let chain =
        Chain::create("c").option(&format!("-walletnotifynew={} %s %c", program.display())).node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let txid = a.publish("s", "k", "once").await;
    notified(folder.path(), &txid, "1").await;
    a.wait_confirmed(&txid).await;
    let later = a.publish("s", "k", "a later one").await;
    notified(folder.path(), &later, "1").await;
    a.wait_confirmed(&later).await;
    let times = calls(folder.path()).iter().filter(|call| call[0] == txid).count();
    assert_eq!(times, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocknotify_tells_the_hash_of_new_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let program = recorder(folder.path(), "");
    let chain = Chain::create("c").option(&format!("-blocknotify={} %s", program.display())).node("a").start().await;
    let a = chain.node("a");
    let height = a.wait_blocks(1).await;
    let hash = a.hash_at(height).await;
    until("a notification of the block", async || {
        let calls = calls(folder.path());
        check(calls.iter().any(|call| call == std::slice::from_ref(&hash)), calls)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_never_ends_and_one_that_does_not_exist_delay_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let release = folder.path().join("release");
    let program = recorder(folder.path(), &format!("while [ ! -e '{}' ]; do sleep 0.2; done", release.display()));
    let chain = Chain::create("c")
        .option(&format!("-walletnotify={} %s %c", program.display()))
        .option("-blocknotify=/nonexistent/program %s")
        .node("a")
        .start()
        .await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let mut published = Vec::new();
    for number in 0..40 {
        published.push(a.publish("s", "k", &number.to_string()).await);
    }
    for txid in &published {
        a.wait_confirmed(txid).await;
    }
    assert!(!calls(folder.path()).is_empty(), "the program was never called");
    // A clean stop waits for none of them either.
    a.stop().await;
    std::fs::write(&release, "").unwrap();
}

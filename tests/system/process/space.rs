//! A disk that is full or may not be written, of a node in a mount namespace of its own: a small disk in memory stands in
//! for its folder.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::Command;

use crate::harness::binary;
use crate::harness::chain::Chain;
use crate::harness::console;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::until;

/// A command in a mount namespace of its own; who is not root becomes root in a user namespace for it.
fn unshared(script: &str) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command
}

/// Starts the node with its folder on a disk of so many megabytes.
fn start_on_small_disk(node: &Node, megabytes: u32, further: &[&str]) {
    let small = node.home.join("small");
    std::fs::create_dir_all(&small).unwrap();
    let mut command = unshared(&format!(
        "mount -t tmpfs -o size={megabytes}m tmpfs \"$1\" && cp -a \"$2/.\" \"$1\" && mount --bind \"$1\" \"$2\" \
         && shift 2 && exec \"$@\""
    ));
    command.arg(&small).arg(node.folder()).arg(binary::path("noded")).args(node.words(&node.chain)).args(further);
    node.spawn(command);
}

/// Runs a script where the node sees its folder, which is `$1`.
async fn beside(node: &Node, script: &str) {
    let mut command = Command::new("nsenter");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.args(["--mount", &format!("--target={}", node.id()), "sh", "-c", script, "sh"]).arg(node.folder());
    console::finish(command, &node.home).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_runs_full_refuses_what_is_new_keeps_reading_and_goes_on_once_there_is_room() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let first = a.publish("s", "k", "first").await;
    a.wait_confirmed(&first).await;
    a.stop().await;
    start_on_small_disk(a, 160, &[]);
    a.wait_ready().await;
    let kept = a.publish("s", "k", "kept").await;
    a.wait_confirmed(&kept).await;

    beside(a, "head -c 110M /dev/zero > \"$1/ballast\"").await;
    let refusal = until("a refusal for want of room", async || {
        match a.try_call("publish", json!(["s", "k", {"text": "too much"}])).await {
            Err(refusal) => Ok(refusal),
            Ok(txid) => Err(format!("{txid} was taken")),
        }
    })
    .await;
    assert_eq!(refusal.code, -20, "{refusal:?}");
    assert!(refusal.message.contains("free some space") && refusal.message.contains("-mindiskspace"), "{refusal:?}");
    let refusal = a.refusal("publish", json!(["s", "k", {"text": "too much"}, "offchain"])).await;
    assert!(refusal.message.contains("free some space"), "{refusal:?}");
    let item = a.call("createbinarycache", json!([])).await;
    let refusal = a.refusal("appendbinarycache", json!([item, "00"])).await;
    assert!(refusal.message.contains("free some space"), "{refusal:?}");
    beside(a, "grep -q storage-low \"$1/debug.log\"").await;
    assert!(text(&a.call("getinfo", json!([])).await["errors"]).contains("free some space"));
    for txid in [&first, &kept] {
        a.wait_item("s", txid).await;
    }

    let height = a.height().await;
    beside(a, "rm \"$1/ballast\"").await;
    let after = until("a publication to be taken again", async || {
        a.try_call("publish", json!(["s", "k", {"text": "after"}])).await.map_err(|refusal| format!("{refusal:?}"))
    })
    .await;
    a.wait_confirmed(&text(&after)).await;
    a.wait_height(height + 2).await;
    assert_eq!(a.call("getinfo", json!([])).await["errors"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_a_byte_left_loses_nothing_that_was_acknowledged() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    a.stop().await;
    // Without the reserve the disk is really full: writes fail half way.
    start_on_small_disk(a, 48, &["-mindiskspace=0"]);
    a.wait_ready().await;
    let mut acknowledged = vec![a.publish("s", "k", "before").await];
    beside(a, "cat /dev/zero > \"$1/ballast\" 2>/dev/null; true").await;
    let content = "much ".repeat(4_000);
    let mut refused = None;
    for _ in 0..400 {
        match a.try_call("publish", json!(["s", "k", {"text": content}])).await {
            Ok(txid) => acknowledged.push(text(&txid)),
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    let refused = refused.expect("a full disk takes no 400 items of 20 KB");
    assert!(refused.message.contains("is full: free some space"), "{refused:?}");
    for txid in &acknowledged {
        a.wait_item("s", txid).await;
    }
    // Room returns, and the node is started again, as its sentence says: on what stood on the small disk when it died.
    let id = i32::try_from(a.id()).unwrap();
    kill(Pid::from_raw(id), Signal::SIGSTOP).unwrap();
    beside(a, "rm \"$1/ballast\" && cp -a \"$1/.\" \"$1/../kept\"").await;
    a.kill().await;
    std::fs::remove_dir_all(a.folder()).unwrap();
    std::fs::rename(a.home.join("kept"), a.folder()).unwrap();
    a.restart().await;
    for txid in &acknowledged {
        a.wait_item("s", txid).await;
        a.wait_confirmed(txid).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_may_not_be_written_is_refused_with_a_sentence() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.stop().await;
    let mut command = unshared("mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"");
    command.arg(a.folder()).arg(binary::path("noded")).args(a.words("c"));
    console::finish(command, &a.home).await.failed_saying(&["cannot write to", "read-only"]);
    a.restart().await;
    assert!(a.height().await > 0);
}
